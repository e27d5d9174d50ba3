"""How many containers of a plugin should wait, from the plugin's own history of calls.

Arrivals are counted in slots; level and trend of the counts are smoothed exponentially (Holt 1957,
reprinted in International Journal of Forecasting 20, 2004). From the forecast rate follows how many
calls come in the time that it takes to make a container, and with what is to spare for their chance
(two standard deviations of a Poisson count) how many should wait.
"""

import math

SLOT_SECONDS = 5.0
LEVEL, TREND = 0.5, 0.2
# From the removal of the last container to the next one's being ready, with others in the queue.
REFILL_SECONDS = 1.0


class Demand:
    """Of one plugin. Times are seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._slot = int(now / SLOT_SECONDS)
        self._count = 0
        self._level = 0.0
        self._trend = 0.0
        self._last = now

    def arrive(self, now: float) -> None:
        self._advance(now)
        self._count += 1
        self._last = now

    def per_second(self, now: float) -> float:
        """Calls to be expected in the next slot; what this one has seen counts at once."""
        self._advance(now)
        return max(self._level + self._trend, self._count, 0.0) / SLOT_SECONDS

    def target(self, now: float, *, idle_seconds: float) -> int:
        """Containers that should wait; none for a plugin that nobody has called for so long."""
        if now - self._last > idle_seconds:
            return 0
        expected = self.per_second(now) * REFILL_SECONDS
        return max(1, math.ceil(expected + 2 * math.sqrt(expected)))

    def _advance(self, now: float) -> None:
        slot = int(now / SLOT_SECONDS)
        # After so many empty slots nothing of the past is left.
        for _ in range(min(slot - self._slot, 60)):
            before = self._level
            self._level = LEVEL * self._count + (1 - LEVEL) * (self._level + self._trend)
            self._trend = TREND * (self._level - before) + (1 - TREND) * self._trend
            self._level = max(self._level, 0.0)
            self._count = 0
        self._slot = max(slot, self._slot)
