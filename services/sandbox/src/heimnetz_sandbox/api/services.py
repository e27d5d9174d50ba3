"""Services over HTTP: how they are, and another start."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from heimnetz_common.auth import EVERYONE
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_sandbox.api.runs import MAY_RUN, PluginInPath
from heimnetz_sandbox.errors import ServiceNotRunning
from heimnetz_sandbox.keeping import REMEMBERED, next_start
from heimnetz_sandbox.model import State
from heimnetz_sandbox.projecting import Cancelling
from heimnetz_sandbox.store import services
from heimnetz_sandbox.store.services import Life


class ServiceView(BaseModel):
    """`path` is below the plugins' port. `starts` counts the last twelve at most.

    `up`: it answers. `starting`: it runs, and has not answered yet. `waiting`: it failed, and is
    started again at `next_start_at`. `stopped`: it has not been started yet.
    """

    plugin: str
    version: str | None
    state: Literal["up", "starting", "waiting", "stopped"]
    path: str
    run_id: str | None
    up_since: datetime | None
    starts: int
    next_start_at: datetime | None
    reason: str | None


class ServiceList(BaseModel):
    items: list[ServiceView]


def routes(database: Database, cancelling: Cancelling) -> APIRouter:
    api = router(prefix="/v1/services", tags=["services"])

    @api.get("", dependencies=[Depends(EVERYONE)])
    async def list_services() -> ServiceList:
        async with database.connection() as connection:
            wanted = await services.list_wanted(connection)
            lives = await services.list_lives(connection, wanted, REMEMBERED)
        return ServiceList(
            items=[_view(name, [one for one in lives if one.plugin == name]) for name in wanted]
        )

    @api.post("/{plugin}/restarts", status_code=202, dependencies=[Depends(MAY_RUN)])
    async def restart(plugin: PluginInPath) -> ServiceView:
        """Ends the run that serves; another one begins at once."""
        async with database.connection() as connection:
            lives = await services.list_lives(connection, [plugin], REMEMBERED)
        if not lives or not await cancelling.cancel(lives[0].run_id):
            raise ServiceNotRunning(plugin)
        return _view(plugin, lives)

    return api


def _view(plugin: str, lives: list[Life]) -> ServiceView:
    last = lives[0] if lives else None
    not_before = None
    state: Literal["up", "starting", "waiting", "stopped"] = "stopped"
    if last is not None and last.state == State.FINISHED:
        not_before = next_start(lives) or datetime.now(UTC)
        state = "waiting"
    elif last is not None:
        state = "starting" if last.up_since is None else "up"
    return ServiceView(
        plugin=plugin,
        version=None if last is None else last.version,
        state=state,
        path=f"/{plugin}/",
        run_id=None if last is None else last.run_id,
        up_since=last.up_since if last is not None and state == "up" else None,
        starts=len(lives),
        next_start_at=not_before,
        reason=next((one.reason for one in lives if one.reason), None),
    )
