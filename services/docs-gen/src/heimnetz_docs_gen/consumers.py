"""What docs-gen learns from others: something about a version changed.

Events arrive in any order and more than once, so none of them is believed: each only makes the
version due, and the worker asks the registry what is true now.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event, EventData
from heimnetz_docs_gen import store


class VersionEvent(EventData):
    plugin: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    version: Annotated[str, Field(max_length=200, pattern=r"^[0-9A-Za-z.+-]+$")]


class VersionApproved(VersionEvent):
    name: ClassVar[str] = "version.approved.v1"


class VersionNeedsReview(VersionEvent):
    name: ClassVar[str] = "version.needs_review.v1"


class VersionRejected(VersionEvent):
    name: ClassVar[str] = "version.rejected.v1"


class VersionDeprecated(VersionEvent):
    name: ClassVar[str] = "version.deprecated.v1"


class VersionYanked(VersionEvent):
    name: ClassVar[str] = "version.yanked.v1"


class VersionQuarantined(VersionEvent):
    name: ClassVar[str] = "version.quarantined.v1"


class VersionDeleted(VersionEvent):
    name: ClassVar[str] = "version.deleted.v1"


class VersionAudited(VersionEvent):
    name: ClassVar[str] = "version.audited.v1"


async def on_change(event: Event[VersionEvent]) -> Effect:
    data, traceparent = event.data, event.traceparent

    async def effect(connection: Connection) -> None:
        await store.ask(connection, data.plugin, data.version, traceparent)

    return effect


SUBSCRIPTIONS = tuple(
    Subscription(kind, on_change)
    for kind in (
        VersionApproved,
        VersionNeedsReview,
        VersionRejected,
        VersionDeprecated,
        VersionYanked,
        VersionQuarantined,
        VersionDeleted,
        VersionAudited,
    )
)
