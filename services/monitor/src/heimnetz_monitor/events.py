"""What the monitor announces."""

from datetime import datetime
from typing import ClassVar

from heimnetz_common.events import EventData


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
