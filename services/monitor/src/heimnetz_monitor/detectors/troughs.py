"""Growth seen in the troughs of a saw-tooth: what remains after each clean-up.

A collector or a batch whose cycles are long needs many hours before twelve windows hold a cycle
each. Its troughs tell the same after five cycles.
"""

from array import array

from heimnetz_monitor.detectors.floors import Growth, measure

_KEPT = 16
_LENGTHS = (5, 6, 8, 11, 16)
_LEAST_SWING = 0.012  # of the limit; smaller cycles do not matter to anyone
_NOISE = 8.0  # a turn is this many times the usual step from sample to sample
_SHARP = 0.2  # a fall is sharp if it takes less of the time of the climb before


class Troughs:
    """Follows a stream from turn to turn and keeps its latest troughs."""

    __slots__ = (
        "_edge",
        "_edge_at",
        "_highest",
        "_is_falling",
        "_near_at",
        "_points",
        "cycles",
        "fallen",
        "sharpness",
        "swing",
    )

    def __init__(self) -> None:
        self._points = array("f")  # time, value
        self._is_falling = False
        self._edge = self._edge_at = self._near_at = 0.0
        self._highest = 0.0  # of the troughs that are no longer kept
        self.cycles = 0
        self.swing = 0.0  # height of a usual cycle
        self.fallen = 0.0  # sum of all falls
        self.sharpness = 0.0  # share of the latest falls that were sharp

    def add(self, time: float, value: float, noise: float) -> bool:
        """Whether a trough has ended."""
        turn = max(0.5 * self.swing, _LEAST_SWING, _NOISE * noise)
        if self._is_falling:
            if value < self._edge:
                self._edge, self._edge_at = value, time
            elif value > self._edge + turn:
                self._keep()
                self._is_falling = False
                self._edge = value
                return True
        elif value > self._edge - 0.3 * turn:
            self._near_at = time
            self._edge = max(self._edge, value)
        elif value < self._edge - turn:
            self._fall(time, value)
        return False

    def find_growths(self) -> list[Growth]:
        """What grew over the latest troughs, fewest first."""
        times = self._points[0::2].tolist()
        values = self._points[1::2].tolist()
        found = []
        for length in _LENGTHS:
            if length > len(values):
                break
            earlier = max(values[:-length], default=0.0)
            found.append(measure(times[-length:], values[-length:], max(earlier, self._highest)))
        return [growth for growth in found if growth]

    def is_saw(self, least_swing: float = 0.0) -> bool:
        """Whether the stream climbs slowly and falls sharply, again and again."""
        return self.cycles >= 5 and self.sharpness > 0.85 and self.swing >= least_swing

    def period(self) -> float:
        """Seconds from trough to trough; 0 where too few are known."""
        times = self._points[0::2]
        return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 2 else 0.0

    def rescale(self, factor: float) -> None:
        for place in range(1, len(self._points), 2):
            self._points[place] *= factor
        self._edge *= factor
        self._highest *= factor
        self.swing *= factor
        self.fallen *= factor

    def _fall(self, time: float, value: float) -> None:
        height = self._edge - value
        climbed = self._near_at - self._edge_at
        is_sharp = time - self._near_at < _SHARP * climbed
        self.cycles += 1
        self.fallen += height
        self.swing += (height - self.swing) * 0.3
        self.sharpness += (is_sharp - self.sharpness) * max(0.15, 1 / self.cycles)
        self._is_falling = True
        self._edge, self._edge_at = value, time

    def _keep(self) -> None:
        points = self._points
        points.extend((self._edge_at, self._edge))
        if len(points) > 2 * _KEPT:
            self._highest = max(self._highest, points[1])
            del points[:2]
