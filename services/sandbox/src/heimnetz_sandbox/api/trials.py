"""Versions tried out, over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from heimnetz_common.auth import Rule, require
from heimnetz_common.database import Database
from heimnetz_common.errors import Unavailable
from heimnetz_common.routing import router
from heimnetz_sandbox.api.schemas import PLUGIN_PATTERN, TrialRequest, TrialView
from heimnetz_sandbox.errors import VersionUnknown
from heimnetz_sandbox.store import trials
from heimnetz_sandbox.trialing import Trials

MAY_TRY: Rule = require("operator", "auditor", services=("auditor",))
READERS: Rule = require("operator", "auditor", "publisher", "viewer", services=("auditor",))


def routes(database: Database, held: Callable[[], Trials | None]) -> APIRouter:
    api = router(tags=["trials"])

    @api.post("/v1/trials", dependencies=[Depends(MAY_TRY)])
    async def hold(body: TrialRequest) -> TrialView:
        """Runs the version on its examples and tells what it touched; at most three minutes."""
        place = held()
        if place is None:
            raise Unavailable("the sandbox is starting")
        return TrialView.model_validate(await place.hold(body.plugin, body.version))

    @api.get("/v1/trials", dependencies=[Depends(READERS)])
    async def get_last(
        plugin: Annotated[str, Query(pattern=PLUGIN_PATTERN)],
        version: Annotated[str, Query(max_length=255)],
    ) -> TrialView:
        async with database.connection() as connection:
            report: dict[str, Any] | None = await trials.find(connection, plugin, version)
        if report is None:
            raise VersionUnknown(plugin, f"{version} was not tried")
        return TrialView.model_validate(report)

    return api
