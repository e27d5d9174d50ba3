"""A runaway: half of the headroom gone in one go, or less if it goes faster and faster.

Every sample is compared with a mark that is moved once a minute, because a container may have only
minutes to live.
"""

from array import array
from bisect import bisect_left

from heimnetz_monitor.history import RINGS, History
from heimnetz_monitor.lines import fit, quantile

_SHARE = 0.45  # of the headroom; bursts and batches of healthy containers stay below
_ABOVE = 0.1  # of the headroom, above everything seen before
_CLIMB = 0.015  # of the limit, beyond the mark; a burst that is over does not climb on
_RECENT_SECONDS = 1800.0  # a surge is younger
_ACCELERATING_SHARE = 0.26
_DOUBLING_SHARE = 0.35
_SOON_SECONDS = 2400.0
_KEPT = 8


class Surge:
    __slots__ = ("_entry", "_recent", "attention", "mark")

    def __init__(self) -> None:
        self._recent = array("d")  # time, value
        self._entry = 0.0
        self.mark = 9.0  # no value is higher
        self.attention = 9.0  # above it an acceleration matters

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
        base = _usual_level(history)
        now = history.series(0).times[-1]
        high = _highest_before(history, now - _RECENT_SECONDS)
        above = max(_ABOVE * (1 - base), 0.5 * swing)
        self.mark = max(base + _SHARE * (1 - base), high + above)
        self.attention = base + _ACCELERATING_SHARE * (1 - base)

    def rest(self) -> None:
        """No value is a surge until the next `watch`."""
        self.mark = self.attention = 9.0
        self._entry = 0.0


def is_accelerating(history: History, time: float, value: float) -> bool:
    """Whether the last minutes rise ever faster to this value, and would reach the limit soon."""
    base = _usual_level(history)
    series = history.series(0)
    lows = series.lows
    rise = value - base
    foot = len(lows) - 1
    while foot > 0 and lows[foot] > base + 0.08 * rise:
        foot -= 1
    if len(lows) - foot < 5 or foot < 10:
        return False
    if max(*series.highs[:foot], _highest_before(history, series.times[foot])) > base + 0.7 * rise:
        return False
    slow, middle, fast = _thirds([*series.times[foot:], time], [*lows[foot:], value])
    if not (middle > 1.2 * slow and fast > 1.2 * middle):
        return False
    # What doubles and doubles may be load that arrives, and levels out at its height.
    if fast > 2 * middle and rise < _DOUBLING_SHARE * (1 - base):
        return False
    return (1 - value) / (3 * fast / (time - series.times[foot])) < _SOON_SECONDS


def _thirds(times: list[float], values: list[float]) -> tuple[float, float, float]:
    """How much was gained in each third of the time."""
    cuts = []
    for part in range(4):
        time = times[0] + (times[-1] - times[0]) * part / 3
        at = max(1, bisect_left(times, time))
        share = (time - times[at - 1]) / max(1e-6, times[at] - times[at - 1])
        cuts.append(values[at - 1] + share * (values[at] - values[at - 1]))
    return cuts[1] - cuts[0], cuts[2] - cuts[1], cuts[3] - cuts[2]


def _usual_level(history: History) -> float:
    """The level of the last hour; 1 where nothing is known."""
    hour = history.series(1).means[-15:]
    return quantile(hour, 0.5) if hour else 1.0


def _highest_before(history: History, time: float) -> float:
    highest = 0.0
    for ring in range(1, RINGS):
        series = history.series(ring)
        end = time - series.width / 2
        for at, high in zip(series.times, series.highs, strict=True):
            if at > end:
                break
            highest = max(highest, high)
    return highest
