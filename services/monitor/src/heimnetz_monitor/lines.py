"""Straight lines through points."""

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Line:
    slope: float
    base: float  # at x = 0
    squares: float  # sum of squared errors

    def at(self, x: float) -> float:
        return self.base + self.slope * x


def fit(xs: list[float], ys: list[float]) -> Line:
    """Least squares; flat where all points have one x."""
    count = len(xs)
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    xs = [x - mean_x for x in xs]
    ys = [y - mean_y for y in ys]
    xx = sum([x * x for x in xs])
    xy = sum([x * y for x, y in zip(xs, ys, strict=True)])
    yy = sum([y * y for y in ys])
    slope = xy / xx if xx > 1e-12 else 0.0
    return Line(slope, mean_y - slope * mean_x, max(0.0, yy - slope * xy))


def deviation(line: Line, count: int) -> float:
    return sqrt(line.squares / count)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
