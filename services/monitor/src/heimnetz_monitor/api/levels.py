"""Service levels: what is promised, what was kept, and what is left."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends

from heimnetz_common.auth import EVERYONE
from heimnetz_common.routing import router
from heimnetz_monitor.api.schemas import LevelShown, ServiceLevels
from heimnetz_monitor.leveling import Levels
from heimnetz_monitor.levels import PERIOD_DAYS


def routes(levels: Levels) -> APIRouter:
    edge = router(prefix="/v1", tags=["status"])

    @edge.get("/service-levels", dependencies=[Depends(EVERYONE)])
    async def list_service_levels() -> ServiceLevels:
        """Objectives of services and plugins over 30 days, with what is left of their budgets."""
        now = datetime.now(UTC)
        found, reason = await levels.list_levels(now)
        return ServiceLevels(
            at=now,
            period_days=PERIOD_DAYS,
            items=[
                LevelShown(
                    kind=level.kind,
                    subject=level.subject,
                    objective=level.aim,
                    target=level.target,
                    limit_seconds=level.limit_seconds,
                    achieved=level.achieved,
                    budget_left=level.budget_left,
                    burn_rate=level.burn_rate,
                    since=level.since,
                )
                for level in found
            ],
            missing=reason or None,
        )

    return edge
