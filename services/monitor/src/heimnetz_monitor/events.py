"""What the monitor announces."""

from datetime import datetime
from typing import ClassVar

from heimnetz_common.events import EventData
from heimnetz_monitor.model import Action, Cause


class AlertRaised(EventData):
    """An alert fires that did not fire before."""

    name: ClassVar[str] = "alert.raised.v1"

    alert: str
    fingerprint: str
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime


class AlertResolved(EventData):
    """An alert no longer fires."""

    name: ClassVar[str] = "alert.resolved.v1"

    alert: str
    fingerprint: str
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None


class LeakSuspected(EventData):
    """The memory of a service, or of a plugin, grows and is not given back.

    A plugin's is told with the service that runs it; its slope is in bytes an hour.
    """

    name: ClassVar[str] = "leak.suspected.v1"

    service: str
    plugin: str | None = None
    kind: str
    slope_bytes_per_hour: float | None = None
    out_of_memory_at: datetime | None


class LeakEnded(EventData):
    """What had grown was given back, or has grown no further for long."""

    name: ClassVar[str] = "leak.ended.v1"

    service: str
    plugin: str | None = None
    kind: str


class RemediationApplied(EventData):
    """Something was done about a plugin, by a policy or a person."""

    name: ClassVar[str] = "remediation.applied.v1"

    remediation: int
    plugin: str
    version: str
    action: Action
    cause: Cause
    reason: str
    decided_by: str
    applied_at: datetime


class RemediationJudged(EventData):
    """Whether what was done about a plugin helped."""

    name: ClassVar[str] = "remediation.judged.v1"

    remediation: int
    plugin: str
    version: str
    action: Action
    cause: Cause
    has_helped: bool
