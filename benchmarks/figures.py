"""One measured figure, and what it is held against."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    what: str
    measured: float
    unit: str
    #: Measured in the same run on the same machine: what it is, and how much.
    against: tuple[str, float] | None = None
    to_reach: str = ""

    def row(self) -> str:
        peer = f"{self.against[0]}: {_short(self.against[1])} {self.unit}" if self.against else ""
        ratio = f"{self.measured / self.against[1]:.2f}" if self.against else ""
        cells = (self.what, f"{_short(self.measured)} {self.unit}", peer, ratio, self.to_reach)
        return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], share: float) -> float:
    """By linear interpolation; `share` from 0 to 1."""
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    low = int(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
