"""What the registry does when others announce something."""

from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event
from heimnetz_registry import deciding
from heimnetz_registry.events import VersionAudited
from heimnetz_registry.metrics import TRANSITIONS


async def on_version_audited(event: Event[VersionAudited]) -> Effect:
    async def effect(connection: Connection) -> None:
        state = await deciding.take_audit(connection, event.data, event.time)
        if state is not None:
            TRANSITIONS.labels(state.value).inc()

    return effect


SUBSCRIPTIONS = (Subscription(VersionAudited, on_version_audited),)
