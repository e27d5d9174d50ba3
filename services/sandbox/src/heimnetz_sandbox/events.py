"""What the sandbox announces."""

from typing import Any, ClassVar

from heimnetz_common.events import EventData
from heimnetz_sandbox.model import Outcome, Trigger


class RunStarted(EventData):
    """A run's container was started."""

    name: ClassVar[str] = "run.started.v1"

    run_id: str
    plugin: str
    version: str
    trigger: Trigger


class RunFinished(EventData):
    """A run has its outcome, which never changes."""

    name: ClassVar[str] = "run.finished.v1"

    run_id: str
    plugin: str
    version: str
    trigger: Trigger
    outcome: Outcome
    duration_seconds: float
    peak_memory_bytes: int | None


class PluginAnnounced(EventData):
    """A plugin published an event that it may publish; `event` is its type, `data` its content."""

    name: ClassVar[str] = "plugin.announced.v1"

    run_id: str
    plugin: str
    version: str
    event: str
    data: dict[str, Any]


class BehaviourObserved(EventData):
    """A plugin did, or tried without a grant, what it never had before.

    `kind`: `connect`, `resolve`, `read`, `write`, `process`, `code` made from text, `native` code,
    `storage` of its own, `publish` of an event, `call` of another plugin, `secret` that was to be
    sent to somebody whom it is not for, or came back.
    """

    name: ClassVar[str] = "behaviour.observed.v1"

    plugin: str
    version: str
    kind: str
    target: str
    is_granted: bool
