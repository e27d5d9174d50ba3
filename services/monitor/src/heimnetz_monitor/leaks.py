"""What the monitor says about a container that leaks."""

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
