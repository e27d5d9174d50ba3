"""How a stream moves from sample to sample: its usual step, and the steps out of the ordinary.

A saw-tooth climbs in small steps and falls in large ones. Bursts of load are the other way round.
"""

_UNUSUAL = 6.0
_LEAST = 0.002  # of the limit


class Steps:
    __slots__ = ("_last", "falls", "fell", "rose", "usual")

    def __init__(self) -> None:
        self._last = -1.0
        self.usual = 0.001  # mean size of a step, as a share of the limit
        self.falls = 0
        self.fell = 0.0  # sum of the unusual falls
        self.rose = 0.0  # sum of the unusual rises

    def add(self, value: float) -> None:
        last, self._last = self._last, value
        if last < 0:
            return
        step = value - last
        size = step if step >= 0 else -step
        usual = self.usual
        if size > _UNUSUAL * usual and size > _LEAST:
            if step < 0:
                self.falls += 1
                self.fell += size
            else:
                self.rose += size
        # Clipped, so that one cliff does not hide the next.
        self.usual = usual + (min(size, 4 * usual) - usual) * 0.01 + 1e-7

    def rescale(self, factor: float) -> None:
        self._last *= factor
        self.usual *= factor
        self.fell *= factor
        self.rose *= factor
