"""What the monitor learns from others: runs and installations."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event, EventData
from heimnetz_monitor import recording, store
from heimnetz_monitor.levels import Promise
from heimnetz_monitor.model import THREATENING, FinishedRun, Outcome, StartedRun, Threat

# Both become labels of metrics.
Plugin = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Trigger = Annotated[str, Field(pattern=r"^[a-z_]{1,20}$")]
# A higher one is newer, whatever the order of arrival.
Revision = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class RunStarted(EventData):
    name: ClassVar[str] = "run.started.v1"

    run_id: Text
    plugin: Plugin
    version: Text
    trigger: Trigger


class RunFinished(EventData):
    name: ClassVar[str] = "run.finished.v1"

    run_id: Text
    plugin: Plugin
    version: Text
    trigger: Trigger
    outcome: Outcome
    duration_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    peak_memory_bytes: int | None = Field(default=None, ge=0, lt=2**63)


class Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    memory_bytes: int | None = Field(default=None, gt=0, lt=2**63)


class ServiceLevel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    availability: float | None = Field(default=None, gt=0, lt=1)
    latency_seconds: float | None = Field(default=None, gt=0, le=3600)


class InstallationChanged(EventData):
    name: ClassVar[str] = "installation.changed.v1"

    plugin: Plugin
    version: Text
    limits: Limits = Limits()
    revision: Revision
    service_level: ServiceLevel | None = None


class InstallationRemoved(EventData):
    name: ClassVar[str] = "installation.removed.v1"

    plugin: Plugin
    revision: Revision


class BehaviourObserved(EventData):
    name: ClassVar[str] = "behaviour.observed.v1"

    plugin: Plugin
    version: Text
    kind: Text
    target: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
    is_granted: bool


async def on_run_started(event: Event[RunStarted]) -> Effect:
    data = event.data
    run = StartedRun(
        run_id=data.run_id,
        plugin=data.plugin,
        version=data.version,
        trigger=data.trigger,
        started_at=event.time,
    )

    async def effect(connection: Connection) -> None:
        await recording.record_start(connection, run)

    return effect


async def on_run_finished(event: Event[RunFinished]) -> Effect:
    data = event.data
    run = FinishedRun(
        run_id=data.run_id,
        plugin=data.plugin,
        version=data.version,
        trigger=data.trigger,
        outcome=data.outcome,
        # A run that never started has no duration.
        duration_seconds=data.duration_seconds or 0.0,
        peak_memory_bytes=data.peak_memory_bytes,
        finished_at=event.time,
    )

    async def effect(connection: Connection) -> None:
        await recording.record_end(connection, run)

    return effect


async def on_installation_changed(event: Event[InstallationChanged]) -> Effect:
    data, level = event.data, event.data.service_level
    promise = None
    if level is not None and (level.availability or level.latency_seconds):
        promise = Promise(
            availability=level.availability,
            latency_seconds=level.latency_seconds,
            since=event.time,
        )

    async def effect(connection: Connection) -> None:
        await recording.record_installation(
            connection, data.plugin, data.version, data.limits.memory_bytes, data.revision, promise
        )

    return effect


async def on_installation_removed(event: Event[InstallationRemoved]) -> Effect:
    data = event.data

    async def effect(connection: Connection) -> None:
        await recording.record_removal(connection, data.plugin, data.revision, event.time)

    return effect


async def on_behaviour_observed(event: Event[BehaviourObserved]) -> Effect | None:
    """What a plugin did without a grant, where that is more than a slip."""
    seen = event.data
    if seen.is_granted or seen.kind not in THREATENING:
        return None
    threat = Threat(
        plugin=seen.plugin,
        version=seen.version,
        kind=seen.kind,
        target=seen.target,
        seen_at=event.time,
    )

    async def effect(connection: Connection) -> None:
        await store.add_threat(connection, threat)

    return effect


SUBSCRIPTIONS = (
    Subscription(RunStarted, on_run_started),
    Subscription(RunFinished, on_run_finished),
    Subscription(InstallationChanged, on_installation_changed),
    Subscription(InstallationRemoved, on_installation_removed),
    Subscription(BehaviourObserved, on_behaviour_observed),
)
