"""Services over HTTP: how they are, and another start."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from heimnetz_common.auth import EVERYONE, Rule, require
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_sandbox.api.runs import MAY_RUN, PluginInPath
from heimnetz_sandbox.errors import CachesNotDropped, ServiceNotRunning
from heimnetz_sandbox.keeping import REMEMBERED, drop_caches, next_start
from heimnetz_sandbox.model import State
from heimnetz_sandbox.projecting import Cancelling
from heimnetz_sandbox.store import installations, services
from heimnetz_sandbox.store.services import Life

TRACE_SECONDS = 900.0
#: What a manifest may ask for at most.
MAX_MEMORY_BYTES = 1 << 30
MAY_TEND: Rule = require("operator", services=("monitor",))


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


class MemoryLimit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    memory_bytes: Annotated[int, Field(ge=1, le=MAX_MEMORY_BYTES)]


class MemoryTrace(BaseModel):
    """`is_service` where a service runs, whose new container has begun or will at once."""

    until: datetime
    is_service: bool


def routes(
    database: Database, cancelling: Cancelling, find: Callable[[str], Path | None]
) -> APIRouter:
    api = router(prefix="/v1/services", tags=["services"])

    @api.get("", dependencies=[Depends(EVERYONE)])
    async def list_services() -> ServiceList:
        async with database.connection() as connection:
            wanted = await services.list_wanted(connection)
            lives = await services.list_lives(connection, wanted, REMEMBERED)
        return ServiceList(
            items=[_view(name, [one for one in lives if one.plugin == name]) for name in wanted]
        )

    @api.post("/{plugin}/recycles", status_code=202, dependencies=[Depends(MAY_TEND)])
    async def recycle(plugin: PluginInPath) -> ServiceView:
        """Another run takes the place of the one that serves, which ends when it is idle."""
        async with database.transaction() as connection:
            if not await services.recycle(connection, plugin):
                raise ServiceNotRunning(plugin)
            lives = await services.list_lives(connection, [plugin], REMEMBERED)
        return _view(plugin, lives)

    @api.post("/{plugin}/cache-drops", status_code=204, dependencies=[Depends(MAY_TEND)])
    async def drop(plugin: PluginInPath) -> None:
        """Asks the plugin to give back memory that it does not need."""
        socket = find(plugin)
        if socket is None:
            raise ServiceNotRunning(plugin)
        if not await drop_caches(socket):
            raise CachesNotDropped(plugin)

    @api.post("/{plugin}/restarts", status_code=202, dependencies=[Depends(MAY_TEND)])
    async def restart(plugin: PluginInPath) -> ServiceView:
        """Ends the run that serves; another one begins at once."""
        async with database.connection() as connection:
            lives = await services.list_lives(connection, [plugin], REMEMBERED)
        if not lives or not await cancelling.cancel(lives[0].run_id):
            raise ServiceNotRunning(plugin)
        return _view(plugin, lives)

    return api


def memory_routes(database: Database) -> APIRouter:
    api = router(prefix="/v1/plugins", tags=["services"])

    @api.post("/{plugin}/memory-traces", status_code=202, dependencies=[Depends(MAY_RUN)])
    async def trace_memory(plugin: PluginInPath) -> MemoryTrace:
        """Containers that begin from now on write into the run's log which lines hold memory.

        Python only. A service gets a new container for it, without a request that fails.
        """
        async with database.transaction() as connection:
            until = await installations.trace_memory(connection, plugin, TRACE_SECONDS)
            is_service = await services.recycle(connection, plugin)
        return MemoryTrace(until=until, is_service=is_service)

    @api.put("/{plugin}/memory-limit", status_code=204, dependencies=[Depends(MAY_TEND)])
    async def raise_memory(plugin: PluginInPath, wanted: MemoryLimit) -> None:
        """Of containers that begin from now on, until the installation changes.

        Never less than the manifest asks for. A service gets a new container for it.
        """
        async with database.transaction() as connection:
            await installations.raise_memory(connection, plugin, wanted.memory_bytes)
            await services.recycle(connection, plugin)

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
