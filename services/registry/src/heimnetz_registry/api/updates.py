"""Who puts newer versions to use, and the way back from one."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request, Response

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_registry.api.dependencies import Plugin, Rooms, actor_of, answer
from heimnetz_registry.api.installations import version_of
from heimnetz_registry.api.schemas import (
    InstallationShown,
    OutlookShown,
    RollbackBody,
    UpdatePolicyBody,
)

READERS: Rule = require("operator", "auditor", "viewer")
INSTALLERS: Rule = require("operator")
REVERTERS: Rule = require("operator", services=("monitor",))


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/installations/{plugin}", tags=["installations"])

    @api.put("/update-policy", response_model=InstallationShown)
    async def set_policy(
        request: Request,
        plugin: Plugin,
        body: UpdatePolicyBody,
        principal: Principal = Depends(INSTALLERS),
    ) -> Response:
        """Say who puts newer versions to use: a person, or the registry where that is safe."""
        found = await rooms.updater.set_policy(plugin, body.update_policy, actor_of(principal))
        return answer(request, asdict(found))

    @api.get("/rollback", response_model=OutlookShown, dependencies=[Depends(READERS)])
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

    @api.post("/rollback", response_model=InstallationShown)
    async def roll_back(
        request: Request,
        plugin: Plugin,
        body: RollbackBody | None = None,
        principal: Principal = Depends(REVERTERS),
    ) -> Response:
        """Bring back the version, grants and configuration from before the last update."""
        wish = body or RollbackBody()
        installation = await rooms.reverter.roll_back(
            plugin,
            actor_of(principal),
            revision=wish.revision,
            version=None if wish.version is None else version_of(wish.version),
            reason=wish.reason,
        )
        return answer(request, asdict(installation))

    return api
