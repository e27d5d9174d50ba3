"""What the registry does when others announce something."""

from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event
from heimnetz_registry import deciding
from heimnetz_registry.events import BehaviourObserved, VersionAudited
from heimnetz_registry.metrics import TRANSITIONS
from heimnetz_registry.store import trail


async def on_version_audited(event: Event[VersionAudited]) -> Effect:
    async def effect(connection: Connection) -> None:
        state = await deciding.take_audit(connection, event.data, event.time)
        if state is not None:
            TRANSITIONS.labels(state.value).inc()

    return effect


async def on_behaviour_observed(event: Event[BehaviourObserved]) -> Effect | None:
    """What a plugin tried for the first time without a grant goes into the trail."""
    seen = event.data
    if seen.is_granted:
        return None
    return lambda connection: trail.add_entry(
        connection,
        actor="service:sandbox",
        action="behaviour.refused",
        plugin=seen.plugin,
        version=seen.version,
        reason=f"{seen.kind} {seen.target}"[:1000],
    )


SUBSCRIPTIONS = (
    Subscription(VersionAudited, on_version_audited),
    Subscription(BehaviourObserved, on_behaviour_observed),
)
