"""What the auditor learns from others: a version was submitted."""

from typing import Annotated, ClassVar

from pydantic import Field

from heimnetz_auditor import store
from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event, EventData
from heimnetz_common.telemetry import current_trace

# They become a path of the registry.
Plugin = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Version = Annotated[str, Field(pattern=r"^[0-9][0-9A-Za-z.+-]{0,127}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class VersionSubmitted(EventData):
    name: ClassVar[str] = "version.submitted.v1"

    plugin: Plugin
    version: Version
    sha256: Sha256


async def on_version_submitted(event: Event[VersionSubmitted]) -> Effect:
    """An audit may take minutes: it is only asked for here."""
    data = event.data
    trace = current_trace()

    async def effect(connection: Connection) -> None:
        await store.add_request(
            connection,
            plugin=data.plugin,
            version=data.version,
            sha256=data.sha256,
            requested_by="service:registry",
            traceparent=trace.traceparent if trace else None,
        )

    return effect


SUBSCRIPTIONS = (Subscription(VersionSubmitted, on_version_submitted),)
