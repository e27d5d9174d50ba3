"""What the monitor says about a container that leaks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class LeakKind(StrEnum):
    GRADUAL = "gradual"  # the floor rises for hours or days
    SUDDEN = "sudden"  # a runaway, or a staircase of jumps that are kept
    CYCLIC = "cyclic"  # a saw-tooth or batch whose floor rises


class Verdict(TypedDict):
    """What an update answers; `oom_eta` is in the time of the samples."""

    alert: bool
    kind: str
    oom_eta: float | None


@dataclass(frozen=True, slots=True)
class Point:
    at: float  # seconds, in the time of the samples
    kib: float


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """When the limit will be reached; the interval holds the truth in about four cases of five."""

    expected_at: float
    earliest_at: float
    latest_at: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person needs to see the leak: the floors, the line through them, what swings above."""

    floors: tuple[Point, ...]
    line: tuple[Point, ...]
    base_kib: float
    swing_kib: float
    reason: str


@dataclass(frozen=True, slots=True)
class Leak:
    kind: LeakKind
    since: float  # seconds, in the time of the samples
    slope_kib_per_hour: float
    confidence: float  # 0 to 1
    out_of_memory: OutOfMemory | None
    evidence: Evidence
