"""What the monitor knows about: outcomes, runs, alerts, the health of a service."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

#: The heartbeat of the alarm system; it always fires and is never in the history.
WATCHDOG = "Watchdog"

#: Observations in a row that turn a health to down, and to up again.
DOWN_AFTER, UP_AFTER = 3, 2

#: Upper bounds of the duration histogram, in seconds: a run may take from 10 ms to an hour.
DURATION_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class Fault(StrEnum):
    """Whose doing the end of a run was."""

    NONE = "none"
    PLUGIN = "plugin"
    PLATFORM = "platform"
    #: Somebody wanted it so; it says nothing about plugin or platform.
    NOBODY = "nobody"


class Outcome(StrEnum):
    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CPU_LIMIT = "cpu_limit"
    OUT_OF_MEMORY = "out_of_memory"
    PIDS_LIMIT = "pids_limit"
    DISK_LIMIT = "disk_limit"
    OUTPUT_LIMIT = "output_limit"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    IMAGE_UNAVAILABLE = "image_unavailable"
    ENGINE_ERROR = "engine_error"
    KILLED = "killed"

    @property
    def fault(self) -> Fault:
        return _FAULTS.get(self, Fault.PLUGIN)


_FAULTS: Mapping[Outcome, Fault] = {
    Outcome.OK: Fault.NONE,
    Outcome.IMAGE_UNAVAILABLE: Fault.PLATFORM,
    Outcome.ENGINE_ERROR: Fault.PLATFORM,
    # A sandbox that restarts interrupts its runs; that alone is no sign of a broken engine.
    Outcome.INTERRUPTED: Fault.NOBODY,
    Outcome.CANCELLED: Fault.NOBODY,
    Outcome.REFUSED: Fault.NOBODY,
    Outcome.KILLED: Fault.NOBODY,
}


def bound_of(duration_seconds: float) -> float:
    """The upper bound of the histogram's bucket; infinity above the last."""
    return next((bound for bound in DURATION_BOUNDS if duration_seconds <= bound), float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    run_id: str
    plugin: str
    version: str
    trigger: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    run_id: str
    plugin: str
    version: str
    trigger: str
    outcome: Outcome
    duration_seconds: float
    peak_memory_bytes: int | None
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotal:
    """Runs of one plugin by one trigger with one outcome, since the plugin is known."""

    plugin: str
    trigger: str
    outcome: Outcome
    runs: int
    duration_seconds: float
    last_finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginState:
    """An installed plugin; `failures` counts by trigger since the last good run."""

    plugin: str
    version: str | None
    memory_limit_bytes: int | None
    last_run_id: str | None = None
    last_outcome: Outcome | None = None
    last_finished_at: datetime | None = None
    last_duration_seconds: float | None = None
    last_peak_memory_bytes: int | None = None
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def state(self) -> Literal["ok", "failing", "idle"]:
        if self.last_outcome is None:
            return "idle"
        return "failing" if any(self.failures.values()) else "ok"


class AlertStatus(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`fingerprint` names the label set; with `starts_at` it names one occurrence."""

    fingerprint: str
    starts_at: datetime
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    ends_at: datetime | None

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One answer of a service to a probe; `reason` is empty where it is ready."""

    at: datetime
    reason: str
    duration_seconds: float

    @property
    def is_ready(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Damped: it takes several observations in a row to change a mind that is made up.

    One slow answer is no outage, and one good answer no recovery.
    """

    is_up: bool | None = None
    since: datetime | None = None
    last: Observation | None = None
    contrary: int = 0

    def after(self, observation: Observation) -> Self:
        if self.is_up is None:
            return replace(self, is_up=observation.is_ready, since=observation.at, last=observation)
        if observation.is_ready == self.is_up:
            return replace(self, last=observation, contrary=0)
        contrary = self.contrary + 1
        if contrary < (DOWN_AFTER if self.is_up else UP_AFTER):
            return replace(self, last=observation, contrary=contrary)
        return replace(
            self, is_up=observation.is_ready, since=observation.at, last=observation, contrary=0
        )


class SampleKind(StrEnum):
    """What a sample of memory was taken of."""

    SERVICE = "service"
    CONTAINER = "container"
    RUN = "run"
    #: What the container of a plugin that serves holds, without pages of files.
    SERVING = "serving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Working set in bytes; `subject` is a service, or a plugin."""

    kind: SampleKind
    subject: str
    taken_at: datetime
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Leaking:
    """A service whose memory grows and is not given back."""

    service: str
    kind: str
    since: datetime
    slope_bytes_per_hour: float | None
    out_of_memory_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a plugin takes more of with every run, or the longer it serves."""

    kind: str
    since: datetime
    slope_bytes_per_hour: float | None
    out_of_memory_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginUse:
    """What a plugin uses now: `memory_bytes` and `cpu_cores` are None where nobody measured."""

    plugin: str
    version: str | None
    memory_bytes: int | None
    last_peak_memory_bytes: int | None
    memory_limit_bytes: int | None
    cpu_cores: float | None
    runs: int
    growth: Growth | None


class DeliveryState(StrEnum):
    """What became of a message to a channel."""

    ARRIVED = "arrived"
    FAILED = "failed"
    #: Neither accepted nor refused within the time that somebody waits.
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    channel: str
    state: DeliveryState


#: Kinds of behaviour that are a threat without a grant: egress, and somebody else's secret.
THREATENING = frozenset({"connect", "secret"})


class Action(StrEnum):
    """What can be done about a plugin."""

    DROP_CACHES = "drop_caches"
    RECYCLE = "recycle"
    RAISE_MEMORY = "raise_memory"
    RESTART = "restart"
    ROLL_BACK = "roll_back"
    QUARANTINE = "quarantine"


class Cause(StrEnum):
    LEAK = "leak"
    THREAT = "threat"


class Mode(StrEnum):
    """Whether it is done by itself, waits for somebody, or is never thought of."""

    AUTOMATIC = "automatic"
    PROPOSED = "proposed"
    OFF = "off"


class RemediationState(StrEnum):
    PROPOSED = "proposed"
    #: It would have been done, were it not for the dry run.
    DRY_RUN = "dry_run"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyPolicy:
    """By default only what loses nothing is done by itself."""

    modes: Mapping[Action, Mode] = field(default_factory=dict)
    most_an_hour: int = 4
    is_dry_run: bool = False
    #: Beyond it no plugin's limit is raised.
    most_memory_bytes: int = 512 << 20

    def mode_of(self, action: Action) -> Mode:
        default = Mode.AUTOMATIC if action is Action.RECYCLE else Mode.PROPOSED
        return self.modes.get(action, default)

    def raised(self, limit_bytes: int | None) -> int | None:
        """Half as much again, within the bound; None where there is no room."""
        if limit_bytes is None or limit_bytes >= self.most_memory_bytes:
            return None
        return min(limit_bytes * 3 // 2, self.most_memory_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something should be done about a plugin; `since` is when it began."""

    plugin: str
    version: str
    cause: Cause
    reason: str
    since: datetime
    is_service: bool
    held_bytes: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """What a plugin did without a grant; seen for the first time at `seen_at`."""

    plugin: str
    version: str
    kind: str
    target: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """What was, or is to be, done about a plugin. `decided_by` is a policy or a person."""

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
    judged_at: datetime | None
    has_helped: bool | None
    detail: str
    held_bytes: int | None
    #: The new limit, where memory is raised.
    limit_bytes: int | None
