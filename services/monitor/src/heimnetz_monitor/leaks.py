"""What the monitor says about a container that leaks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class LeakKind(StrEnum):
    GRADUAL = "gradual"  # the floor rises for hours or days
    SUDDEN = "sudden"  # a runaway, or a staircase of jumps that are kept
    CYCLIC = "cyclic"  # a saw-tooth or batch whose floor rises


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person sees of a leak: points, the line through them, the floor that it rose from.

    Times as in the samples; amounts in KiB; at most 80 points. `confidence` is a share of 1.
    """

    reason: str
    confidence: float
    floor_kib: float
    times: tuple[float, ...]
    held_kib: tuple[float, ...]
    line_kib: tuple[float, ...]


class Verdict(TypedDict):
    """What an update answers; `oom_eta` is in the time of the samples."""

    alert: bool
    kind: str
    oom_eta: float | None
