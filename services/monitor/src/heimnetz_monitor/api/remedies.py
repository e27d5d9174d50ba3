"""What is done about plugins: the policy, what was done, and what waits for a decision."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from heimnetz_common.auth import EVERYONE, Rule, require
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_monitor import store
from heimnetz_monitor.api.schemas import PolicyShown, RemediationShown, Remedies
from heimnetz_monitor.model import Action, Remediation, RemedyPolicy
from heimnetz_monitor.remediating import Remediator

OWNER: Rule = require("owner")
DECIDERS: Rule = require("operator")
Number = Annotated[int, Path(ge=1, lt=2**63)]


def routes(database: Database, remediator: Remediator) -> APIRouter:
    edge = router(prefix="/v1/remedies", tags=["remedies"])

    @edge.get("", dependencies=[Depends(EVERYONE)])
    async def list_remedies(limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Remedies:
        async with database.connection() as connection:
            policy = await store.get_policy(connection)
            found = await store.list_remediations(connection, limit)
        return Remedies(policy=_policy(policy), items=[_shown(one) for one in found])

    @edge.put("/policy", dependencies=[Depends(OWNER)])
    async def choose_policy(wanted: PolicyShown) -> PolicyShown:
        """An action that is not named keeps its default."""
        policy = RemedyPolicy(
            modes=wanted.modes,
            most_an_hour=wanted.most_an_hour,
            is_dry_run=wanted.is_dry_run,
            most_memory_bytes=wanted.most_memory_bytes,
        )
        async with database.transaction() as connection:
            await store.put_policy(connection, policy)
        return _policy(policy)

    @edge.post("/{number}/application")
    async def apply(number: Number, principal: Principal = Depends(DECIDERS)) -> RemediationShown:
        """Does what was proposed; its state says whether that went well."""
        return _shown(await remediator.apply(number, principal.name))

    @edge.post("/{number}/dismissal")
    async def dismiss(number: Number, principal: Principal = Depends(DECIDERS)) -> RemediationShown:
        """Against a leak nothing is proposed for a day; against a threat until the next one."""
        return _shown(await remediator.dismiss(number, principal.name))

    return edge


def _policy(policy: RemedyPolicy) -> PolicyShown:
    return PolicyShown(
        modes={action: policy.mode_of(action) for action in Action},
        most_an_hour=policy.most_an_hour,
        is_dry_run=policy.is_dry_run,
        most_memory_bytes=policy.most_memory_bytes,
    )


def _shown(one: Remediation) -> RemediationShown:
    return RemediationShown(
        id=one.id,
        plugin=one.plugin,
        version=one.version,
        action=one.action,
        cause=one.cause,
        reason=one.reason,
        state=one.state,
        decided_at=one.decided_at,
        decided_by=one.decided_by,
        applied_at=one.applied_at,
        has_helped=one.has_helped,
        detail=one.detail,
    )
