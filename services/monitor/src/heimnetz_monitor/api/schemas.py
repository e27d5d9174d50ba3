"""What the monitor's routes take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from heimnetz_monitor.levels import Aim, Subject
from heimnetz_monitor.model import (
    Action,
    AlertStatus,
    Cause,
    DeliveryState,
    Mode,
    Outcome,
    RemediationState,
)


def _without_nul(text: str) -> str:
    # PostgreSQL keeps no NUL in text or jsonb.
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_nul)]
Text = Annotated[str, Field(max_length=4096), AfterValidator(_without_nul)]
Labels = Annotated[dict[Name, Text], Field(max_length=64)]


class WebhookAlert(BaseModel):
    """https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"""

    model_config = ConfigDict(extra="ignore")

    status: AlertStatus
    labels: Labels
    annotations: Labels = Field(default_factory=dict)
    starts_at: datetime = Field(alias="startsAt")
    ends_at: datetime | None = Field(default=None, alias="endsAt")
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]


class WebhookMessage(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: str
    alerts: Annotated[list[WebhookAlert], Field(max_length=1000)]


class AlertEntry(BaseModel):
    alert: str
    fingerprint: str
    status: AlertStatus
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None


class AlertPage(BaseModel):
    items: list[AlertEntry]
    next_cursor: str | None


class ServiceStatus(BaseModel):
    """`reason` is what the service said last, whatever its damped state is."""

    service: str
    state: Literal["up", "down", "unknown"]
    since: datetime | None
    reason: str
    checked_at: datetime | None
    duration_seconds: float | None


class PluginRun(BaseModel):
    run_id: str
    outcome: Outcome
    finished_at: datetime
    duration_seconds: float
    peak_memory_bytes: int | None


class PluginStatus(BaseModel):
    """`failures` counts the runs that the plugin failed since its last good one, by trigger."""

    plugin: str
    version: str | None
    state: Literal["ok", "failing", "idle"]
    last_run: PluginRun | None
    failures: dict[str, int]


class AlertingStatus(BaseModel):
    """`heartbeat_at` is when the Watchdog last came the whole way of an alert."""

    heartbeat_at: datetime | None
    firing: dict[str, int]


class Status(BaseModel):
    state: Literal["ok", "degraded", "unknown"]
    services: list[ServiceStatus]
    plugins: list[PluginStatus]
    alerting: AlertingStatus


class GrowthShown(BaseModel):
    kind: str
    since: datetime
    slope_bytes_per_hour: float | None
    out_of_memory_at: datetime | None
    #: 0 where it should have run out already.
    out_of_memory_seconds: float | None


class PluginUsage(BaseModel):
    """`memory_bytes` is what its containers hold now; None where nobody measured lately."""

    plugin: str
    version: str | None
    memory_bytes: int | None
    last_peak_memory_bytes: int | None
    memory_limit_bytes: int | None
    cpu_cores: float | None
    runs: int
    leak: GrowthShown | None


class Top(BaseModel):
    at: datetime
    items: list[PluginUsage]


class PointShown(BaseModel):
    """`line_bytes` is where the fitted line is at that time."""

    at: datetime
    held_bytes: int
    line_bytes: int


class EvidenceShown(BaseModel):
    """`floor_bytes` is the level that it rose from; `confidence` is a share of 1."""

    reason: str
    confidence: float
    floor_bytes: int
    points: list[PointShown]


class LeakShown(BaseModel):
    """A plugin's is told with the service that runs it."""

    service: str
    plugin: str | None
    kind: str
    since: datetime
    slope_bytes_per_hour: float | None
    out_of_memory_at: datetime | None
    evidence: EvidenceShown | None


class Leaks(BaseModel):
    items: list[LeakShown]


class LevelShown(BaseModel):
    """Shares are of 1; `achieved` is None where nothing has happened yet.

    `budget_left` is 1 where nothing went wrong and below 0 where the budget is overspent;
    `burn_rate` is that of the last hour, 1 being just as fast as allowed.
    """

    kind: Subject
    subject: str
    objective: Aim
    target: float
    limit_seconds: float | None
    achieved: float | None
    budget_left: float
    burn_rate: float
    since: datetime | None


class ServiceLevels(BaseModel):
    """`missing` says why the services' levels are not among the items."""

    at: datetime
    period_days: int
    items: list[LevelShown]
    missing: str | None


class PolicyShown(BaseModel):
    """What is done by itself, within a limit; in a dry run it is only written down."""

    model_config = ConfigDict(extra="forbid")

    modes: dict[Action, Mode]
    most_an_hour: Annotated[int, Field(ge=0, le=100)]
    is_dry_run: bool
    most_memory_bytes: Annotated[int, Field(ge=0, le=1 << 30)] = 512 << 20


class RemediationShown(BaseModel):
    """`has_helped` is known some minutes after it was applied."""

    id: int
    plugin: str
    version: str
    action: Action
    cause: Cause
    reason: str
    state: RemediationState
    decided_at: datetime
    decided_by: str
    applied_at: datetime | None
    has_helped: bool | None
    detail: str


class Remedies(BaseModel):
    """The latest first."""

    policy: PolicyShown
    items: list[RemediationShown]


class DeliveryShown(BaseModel):
    """`arrived` is what the channel's server accepted."""

    channel: str
    state: DeliveryState


class ChannelTest(BaseModel):
    items: list[DeliveryShown]
