"""What the registry does when something is announced, by others or by itself."""

from heimnetz_common.consuming import Effect, Subscription
from heimnetz_common.database import Connection
from heimnetz_common.events import Event
from heimnetz_registry import deciding
from heimnetz_registry.events import (
    ApprovalHeard,
    BehaviourObserved,
    RemediationApplied,
    RevocationHeard,
    RunFinished,
    VersionAudited,
)
from heimnetz_registry.metrics import TRANSITIONS
from heimnetz_registry.store import trail
from heimnetz_registry.updating import Updater


async def on_version_audited(event: Event[VersionAudited]) -> Effect:
    async def effect(connection: Connection) -> None:
        state = await deciding.take_audit(connection, event.data, event.time)
        if state is not None:
            TRANSITIONS.labels(state.value).inc()

    return effect


async def on_key_revoked(event: Event[RevocationHeard]) -> Effect:
    async def effect(connection: Connection) -> None:
        for state in await deciding.stop_signed(connection, event.data.key_id, event.data.reason):
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


async def on_remediation_applied(event: Event[RemediationApplied]) -> Effect:
    """What the monitor did about a plugin goes into the trail, whoever carried it out."""
    done = event.data
    return lambda connection: trail.add_entry(
        connection,
        actor="service:monitor",
        action=f"remedy.{done.action}"[:100],
        plugin=done.plugin,
        version=done.version,
        reason=f"{done.reason} (decided by {done.decided_by})"[:1000],
    )


def subscriptions(updater: Updater) -> tuple[Subscription, ...]:
    async def on_version_approved(event: Event[ApprovalHeard]) -> Effect:
        heard = event.data
        return lambda connection: updater.take(connection, heard.plugin, heard.version)

    async def on_run_finished(event: Event[RunFinished]) -> Effect | None:
        run = event.data
        if not await updater.is_on_trial(run.plugin, run.version):
            return None
        return lambda connection: updater.judge(
            connection, run.plugin, run.version, outcome=run.outcome
        )

    return (
        Subscription(VersionAudited, on_version_audited),
        Subscription(RevocationHeard, on_key_revoked),
        Subscription(BehaviourObserved, on_behaviour_observed),
        Subscription(RemediationApplied, on_remediation_applied),
        Subscription(ApprovalHeard, on_version_approved),
        Subscription(RunFinished, on_run_finished),
    )
