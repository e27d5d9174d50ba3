"""Back to what an installation was before its version last changed."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request, Response

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_registry.api.dependencies import Plugin, Rooms, actor_of, answer
from heimnetz_registry.api.schemas import InstallationShown, OutlookShown, RollbackBody

READERS: Rule = require("operator", "auditor", "viewer")
INSTALLERS: Rule = require("operator")


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/installations/{plugin}/rollback", tags=["installations"])

    @api.get("", response_model=OutlookShown, dependencies=[Depends(READERS)])
    async def get_outlook(request: Request, plugin: Plugin) -> Response:
        """What a rollback would bring, and whether it would be refused."""
        found = await rooms.reverter.look(plugin)
        shown = {
            **asdict(found.kept),
            "state": found.version.state,
            "from_version": found.installed.version,
            "revision": found.installed.revision,
            "refusal": None if found.refusal is None else found.refusal.detail,
        }
        return answer(request, shown)

    @api.post("", response_model=InstallationShown)
    async def roll_back(
        request: Request,
        plugin: Plugin,
        body: RollbackBody | None = None,
        principal: Principal = Depends(INSTALLERS),
    ) -> Response:
        """Bring back the version, grants and configuration from before the last update."""
        installation = await rooms.reverter.roll_back(
            plugin, actor_of(principal), revision=None if body is None else body.revision
        )
        return answer(request, asdict(installation))

    return api
