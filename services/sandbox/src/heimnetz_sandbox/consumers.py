"""What the sandbox hears. It believes the registry, and reads no more than it needs."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event, EventData
from heimnetz_sandbox import projecting, reacting


class InstallationChanged(EventData):
    name: ClassVar[str] = "installation.changed.v1"

    plugin: str
    version: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    triggers: dict[str, Any] = Field(default_factory=dict)
    grants: list[Annotated[str, Field(max_length=400)]] = Field(default_factory=list)
    is_rollback: bool = False


class InstallationRemoved(EventData):
    name: ClassVar[str] = "installation.removed.v1"

    plugin: str


class _VersionEvent(EventData):
    plugin: str
    version: str
    reason: str | None = None


class VersionQuarantined(_VersionEvent):
    name: ClassVar[str] = "version.quarantined.v1"


class VersionDeleted(_VersionEvent):
    name: ClassVar[str] = "version.deleted.v1"


class VersionApproved(_VersionEvent):
    name: ClassVar[str] = "version.approved.v1"


class _Heard(EventData):
    """What plugins may be started by: passed on as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")


class AlertRaised(_Heard):
    name: ClassVar[str] = "alert.raised.v1"


class AlertResolved(_Heard):
    name: ClassVar[str] = "alert.resolved.v1"


class LeakSuspected(_Heard):
    name: ClassVar[str] = "leak.suspected.v1"


def subscriptions(wake_preparer: Callable[[], None]) -> tuple[Subscription, ...]:
    async def changed(event: Event[InstallationChanged]) -> Effect:
        data = event.data

        async def effect(connection: Connection) -> None:
            await projecting.change(
                connection,
                plugin=data.plugin,
                version=data.version,
                sha256=data.sha256,
                triggers=data.triggers,
                grants=data.grants,
                at=event.time,
                is_rollback=data.is_rollback,
            )
            wake_preparer()

        return effect

    async def removed(event: Event[InstallationRemoved]) -> Effect:
        return lambda connection: projecting.remove(connection, event.data.plugin, event.time)

    # A yanked version runs on where it is installed; a quarantined or deleted one does not.
    async def ended(event: Event[Any]) -> Effect:
        data = event.data
        state = data.name.split(".")[1]
        reason = f"the version is {state}" + (f": {data.reason}" if data.reason else "")
        return lambda connection: projecting.block(
            connection, plugin=data.plugin, version=data.version, reason=reason, at=event.time
        )

    async def approved(event: Event[VersionApproved]) -> Effect:
        data = event.data
        return lambda connection: projecting.unblock(
            connection, plugin=data.plugin, version=data.version, at=event.time
        )

    async def heard(event: Event[Any]) -> Effect:
        async def effect(connection: Connection) -> None:
            await reacting.react(connection, event.type, event.data.model_dump(mode="json"))

        return effect

    return (
        Subscription(AlertRaised, heard),
        Subscription(AlertResolved, heard),
        Subscription(LeakSuspected, heard),
        Subscription(InstallationChanged, changed),
        Subscription(InstallationRemoved, removed),
        Subscription(VersionQuarantined, ended),
        Subscription(VersionDeleted, ended),
        Subscription(VersionApproved, approved),
    )
