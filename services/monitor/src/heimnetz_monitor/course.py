"""Where a leak goes: the course of its level, and when it reaches the limit."""

import itertools
from dataclasses import dataclass
from math import sqrt

from heimnetz_monitor.history import History, Series
from heimnetz_monitor.lines import Line, fit, quantile

# Leaks slow down and speed up with their load. A bent course is believed only if its squared error
# is so many times smaller than that of a straight one.
_POWERS = (0.85, 1.25, 1.5, 2.0)
_BETTER = 1.5
_TURNS = 24  # places where the rise may have begun
_BEFORE = 0.5  # part of the span before it that is looked at for the flat part
_LATEST_TURN = 0.35  # of the span
_WIDE = 0.06  # of the limit: so much swing is load, and its peaks decide


@dataclass(frozen=True, slots=True)
class Course:
    """level(t) = base + scale * ((t - onset) / length) ** power; `above` is what swings over it."""

    onset: float
    length: float
    base: float
    scale: float
    power: float
    above: float
    error: float  # standard error of the scale

    def at(self, time: float) -> float:
        return float(
            self.base + self.scale * (max(0.0, time - self.onset) / self.length) ** self.power
        )

    def slope_at(self, time: float) -> float:
        step = 0.05 * self.length
        return (self.at(time) - self.at(time - step)) / step

    def reaches(self, level: float, scale: float | None = None) -> float | None:
        scale = self.scale if scale is None else scale
        share = (level - self.above - self.base) / scale if scale > 1e-9 else 0.0
        if share <= 0:
            return None
        return float(self.onset + self.length * share ** (1 / self.power))


@dataclass(frozen=True, slots=True)
class _Fit:
    onset: float
    power: float
    line: Line


def follow(history: History, started: float, earliest: float, now: float) -> Course | None:
    """The course of a steady leak that holds since about `started`."""
    since = max(earliest, now - (1 + _BEFORE) * (now - started))
    series = history.covering(since, now)
    first = series.first_at(since)
    times, means = series.times[first:], series.means[first:]
    if len(times) < 6:
        return None
    latest = started + _LATEST_TURN * (now - started)
    best = _best_fit(times, means, latest, now)
    series = history.covering(best.onset, now)
    first = max(0, min(series.first_at(best.onset), len(series) - 5))
    times, means = series.times[first:], series.means[first:]
    knots = _knots(times, best.onset, now, best.power)
    line = fit(knots, means)
    errors = [mean - line.at(knot) for mean, knot in zip(means, knots, strict=True)]
    swing = quantile(errors, 0.9) - quantile(errors, 0.1)
    recent = errors[len(errors) // 2 :]
    above = quantile(errors, 0.9) if swing > _WIDE else quantile(recent, 0.5)
    return Course(
        onset=best.onset,
        length=max(now - best.onset, 1.0),
        base=line.base,
        scale=line.slope,
        power=best.power,
        above=above + _ripple(history),
        error=_error(line, knots, errors),
    )


def follow_cycles(
    history: History, started: float, earliest: float, now: float, period: float
) -> Course | None:
    """The course of the floors of a saw-tooth; its peaks swing above."""
    steady = follow(history, started, earliest, now)
    if steady is None:
        return None
    series = history.covering(steady.onset, now)
    first = max(0, min(series.first_at(steady.onset), len(series) - 5))
    size = max(1, min(round(period / series.width), (len(series) - first) // 4))
    first += (len(series) - first) % size
    starts = range(first, len(series), size)
    if len(starts) < 3:
        return steady
    length = max(now - steady.onset, 1.0)
    times = [(sum(series.times[at : at + size]) / size - steady.onset) / length for at in starts]
    floors = [min(series.lows[at : at + size]) for at in starts]
    peaks = [max(series.highs[at : at + size]) for at in starts]
    line = fit(times, floors)
    above = [peak - line.at(time) for peak, time in zip(peaks, times, strict=True)]
    errors = [floor - line.at(time) for floor, time in zip(floors, times, strict=True)]
    error = _error(line, times, errors)
    return Course(steady.onset, length, line.base, line.slope, 1.0, quantile(above, 0.4), error)


def _best_fit(times: list[float], means: list[float], latest: float, now: float) -> _Fit:
    straight = bent = None
    for at in range(0, len(times) - 4, max(1, len(times) // _TURNS)):
        onset = times[at]
        if onset > latest and straight:
            break
        for power in (1.0, *_POWERS):
            found = _Fit(onset, power, fit(_knots(times, onset, now, power), means))
            if power == 1.0:
                straight = _better(straight, found)
            else:
                bent = _better(bent, found)
    assert straight
    assert bent
    return straight if straight.line.squares < _BETTER * bent.line.squares else bent


def _better(old: _Fit | None, new: _Fit) -> _Fit:
    return new if old is None or new.line.squares < old.line.squares else old


def _knots(times: list[float], onset: float, now: float, power: float) -> list[float]:
    length = max(now - onset, 1.0)
    if power == 1.0:
        return [(time - onset) / length if time > onset else 0.0 for time in times]
    return [((time - onset) / length) ** power if time > onset else 0.0 for time in times]


def _ripple(history: History) -> float:
    """What a sample usually has above the mean of its minute."""
    series: Series = history.series(0)
    return quantile(
        [high - mean for high, mean in zip(series.highs, series.means, strict=True)], 0.5
    )


def _error(line: Line, xs: list[float], errors: list[float]) -> float:
    """Standard error of the slope; neighbours err together, and count as one for it."""
    count = len(xs)
    mean = sum(xs) / count
    spread = sum((x - mean) ** 2 for x in xs)
    if spread <= 0 or count < 4:
        return abs(line.slope)
    total = sum(error * error for error in errors) + 1e-12
    shared = sum(a * b for a, b in itertools.pairwise(errors)) / total
    alike = (1 + max(0.0, shared)) / (1 - min(0.95, max(0.0, shared)))
    return sqrt(line.squares / (count - 2) / spread * alike)
