"""Growth that is never given back, found in the floors of equal windows.

A span of the recent past is cut into twelve windows. The lowest value of each window is what the
container keeps whatever it allocates and frees in between, so that a saw-tooth, a batch or a
collection of garbage shorter than a window leaves the floors flat, and a leak raises all of them.

A floor counts as risen only above every earlier floor of the same length. Load that comes back each
day has been that high before.
"""

from dataclasses import dataclass

from heimnetz_monitor.history import RINGS, History, Series
from heimnetz_monitor.lines import deviation, fit

WINDOWS = 12
# Lengths of spans in blocks of a ring. The rings overlap: from 12 minutes to 77 hours.
SPANS = (12, 24, 36, 48, 72)
LEAST = 0.03  # of the limit; less is noise for any container


@dataclass(frozen=True, slots=True)
class Growth:
    """A rise of floors; levels are shares of the limit, times seconds."""

    started: float
    seconds: float
    base: float
    gain: float  # above every earlier floor
    rise: float  # along the line
    residual: float  # spread around the line, as a share of the rise
    late: float  # share of the rise that fell into the second half

    @property
    def consumed(self) -> float:
        """Share of the headroom that the growth has taken."""
        return self.gain / max(1e-6, 1 - self.base)

    @property
    def slope(self) -> float:
        return self.rise / self.seconds


def find_growths(history: History, ring: int) -> list[Growth]:
    """What grew over each of the spans that end now, longest last."""
    series = history.series(ring)
    spans = [span for span in SPANS if span <= len(series)]
    found = [_find_growth(history, ring, series, span) for span in spans]
    return [growth for growth in found if growth]


def measure(times: list[float], floors: list[float], earlier: float) -> Growth | None:
    """Describes a rise of `floors`, or nothing where they did not rise above `earlier`."""
    base = min(floors)
    gain = floors[-1] - max(base, earlier)
    if gain < LEAST:
        return None
    line = fit([time - times[0] for time in times], floors)
    count = len(floors)
    rise = line.slope * (times[-1] - times[0]) * count / (count - 1)
    if rise < LEAST / 2:
        return None
    half = count // 2
    begin, end = (floors[0] + floors[1]) / 2, (floors[-2] + floors[-1]) / 2
    centre = floors[half] if count % 2 else (floors[half - 1] + floors[half]) / 2
    return Growth(
        started=times[0],
        seconds=(times[-1] - times[0]) * count / (count - 1),
        base=base,
        gain=gain,
        rise=rise,
        residual=deviation(line, count) / rise,
        late=(end - centre) / max(end - begin, 1e-6),
    )


def _find_growth(history: History, ring: int, series: Series, span: int) -> Growth | None:
    first = len(series) - span
    size = span // WINDOWS
    starts = range(first, len(series), size)
    floors = [min(series.lows[at : at + size]) for at in starts]
    if floors[-1] - min(floors) < LEAST:
        return None
    times = [sum(series.times[at : at + size]) / size for at in starts]
    return measure(times, floors, _highest_floor_before(history, ring, series, first, size))


def _highest_floor_before(
    history: History, ring: int, series: Series, first: int, size: int
) -> float:
    lows = series.lows
    highest = max((min(lows[at - size : at]) for at in range(first, size - 1, -size)), default=0.0)
    started = series.times[first] - series.width / 2
    for coarser in range(ring + 1, RINGS):
        blocks = history.series(coarser)
        end = started - blocks.width / 2 + 1
        for time, low in zip(blocks.times, blocks.lows, strict=True):
            if time > end:
                break
            highest = max(highest, low)
    return highest
