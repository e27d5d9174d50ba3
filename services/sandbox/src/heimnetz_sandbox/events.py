"""What the sandbox announces."""

from typing import ClassVar

from heimnetz_common.events import EventData


class RunStarted(EventData):
    """A run's container was started."""

    name: ClassVar[str] = "run.started.v1"

    run_id: str
    plugin: str
    version: str
    trigger: str


class RunFinished(EventData):
    """A run has its outcome, which never changes."""

    name: ClassVar[str] = "run.finished.v1"

    run_id: str
    plugin: str
    version: str
    trigger: str
    outcome: str
    duration_seconds: float
    peak_memory_bytes: int | None
