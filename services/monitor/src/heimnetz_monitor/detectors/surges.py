"""A runaway: half of the headroom gone in one go, or less if it goes faster and faster.

Every sample is compared with a mark that is moved once a minute, because a container may have only
minutes to live.
"""

import itertools
from array import array

from heimnetz_monitor.history import History
from heimnetz_monitor.lines import fit, quantile

_SHARE = 0.45  # of the headroom; bursts and batches of healthy containers stay below
_ABOVE = 0.1  # of the headroom, above everything seen before
_CLIMB = 0.015  # of the limit, beyond the mark; a burst that is over does not climb on
_ACCELERATING_SHARE = 0.24
_SOON_SECONDS = 2400.0
_KEPT = 8


class Surge:
    __slots__ = ("_entry", "_recent", "mark")

    def __init__(self) -> None:
        self._recent = array("d")  # time, value
        self._entry = 0.0
        self.mark = 9.0  # no value is higher

    def add(self, time: float, value: float) -> bool:
        """Whether the stream is over the mark, and climbs on."""
        recent = self._recent
        recent.append(time)
        recent.append(value)
        if len(recent) > 2 * _KEPT:
            del recent[:2]
        if value <= self.mark:
            self._entry = value
            return False
        if recent[-3] <= self.mark:
            self._entry = value
        return value >= self._entry + _CLIMB

    @property
    def level(self) -> float:
        return self._recent[-1] if self._recent else 0.0

    def reaches(self, level: float) -> float | None:
        """When the latest samples, drawn on, come to `level`."""
        times = self._recent[0::2].tolist()
        if len(times) < 3:
            return None
        now = times[-1]
        line = fit([time - now for time in times], self._recent[1::2].tolist())
        if line.slope <= 1e-9:
            return None
        return float(now + max(1.0, (level - line.base) / line.slope))

    def watch(self, history: History, swing: float) -> None:
        """Moves the mark to what would be a surge now."""
        base, high = _usual(history)
        above = max(_ABOVE * (1 - base), 0.5 * swing)
        self.mark = max(base + _SHARE * (1 - base), high + above)

    def rest(self) -> None:
        """No value is a surge until the next `watch`."""
        self.mark = 9.0
        self._entry = 0.0


def is_accelerating(history: History) -> bool:
    """Whether the last minutes rise ever faster, and would reach the limit soon."""
    base, _ = _usual(history)
    series = history.series(0)
    lows = series.lows
    now = lows[-1]
    if now - base < _ACCELERATING_SHARE * (1 - base):
        return False
    foot = len(lows) - 1
    while foot > 0 and lows[foot] > base + 0.08 * (now - base):
        foot -= 1
    climb = lows[foot:]
    if len(climb) < 6 or foot < 10:
        return False
    if max(*series.highs[:foot], _usual(history)[1]) > base + 0.7 * (now - base):
        return False
    third = (len(climb) - 1) / 3
    cuts = [climb[round(third * part)] for part in range(4)]
    slow, middle, fast = (after - before for before, after in itertools.pairwise(cuts))
    if not (middle > 1.2 * slow and fast > 1.2 * middle):
        return False
    return (1 - now) / (fast / (third * series.width)) < _SOON_SECONDS


def _usual(history: History) -> tuple[float, float]:
    """The level of the last hour, and the highest value before the last few minutes."""
    hour = history.series(1).means[-15:]
    high = max((max(history.series(ring).highs, default=0.0) for ring in (1, 2, 3)), default=0.0)
    return (quantile(hour, 0.5) if hour else 1.0), high
