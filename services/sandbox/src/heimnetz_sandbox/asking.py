"""Somebody asks for a run: checked, and queued for whoever has room."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import Trace, current_trace
from heimnetz_sandbox import metrics
from heimnetz_sandbox.errors import KeyReused, NotCallable, PluginNotInstalled, QueueFull
from heimnetz_sandbox.events import RunStarted
from heimnetz_sandbox.model import Installation, Request, Run, Trigger, new_run_id
from heimnetz_sandbox.store import installations, runs
from heimnetz_sandbox.store.installations import Standing

# How long an installation's event may take before a caller is told that there is none.
HEAR_SECONDS = 20.0
HEAR_POLL_SECONDS = 0.05

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """`is_direct`: it runs here already, and its end will be told here."""

    run_id: str
    is_new: bool
    is_direct: bool = False


class Direct(Protocol):
    """A container that waits for this call, kept for it until one of the two is said."""

    @property
    def owner(self) -> str: ...

    @property
    def lease(self) -> timedelta: ...

    def start(self, run: Run, request: Request) -> None: ...

    def cancel(self) -> None: ...


class Queue:
    """Bounded: a full queue says so, and when to come again.

    `wake` tells whoever has room; `is_installed` asks the registry. A run that need not wait, since
    a container does, is recorded as running and never queued.
    """

    def __init__(
        self,
        database: Database,
        *,
        limit: int,
        plugin_limit: int,
        wake: Callable[[], None],
        is_installed: Callable[[str], Awaitable[bool]],
        reserve: Callable[[Installation, int], Direct | None] = lambda _, __: None,
    ) -> None:
        self._database = database
        self._limit = limit
        self._plugin_limit = plugin_limit
        self._wake = wake
        self._is_installed = is_installed
        self._reserve = reserve

    async def ask(self, request: Request) -> Asked:
        """The run; an earlier one where the idempotency key says so.

        Raises: PluginNotInstalled, NotCallable, QueueFull, KeyReused.
        """
        direct: Direct | None = None
        run: Run | None = None
        try:
            async with self._database.connection() as connection:
                standing = await installations.get_standing(connection, request.plugin)
                installation = standing.installation
                if request.trigger is Trigger.HTTP and not installation.triggers.get("http", True):
                    raise NotCallable(f"{request.plugin} is not called over HTTP")
                program = installation.program
                is_service = program is not None and program.is_service
                if is_service and request.trigger is not Trigger.SERVICE:
                    raise NotCallable(
                        f"{request.plugin} is a service: it runs all the time, and its pages are at"
                        f" /{request.plugin}/ on the plugins' port"
                    )
                earlier = await self._find(connection, request)
                if earlier is not None:
                    return earlier
                # A service has its place beside all others, and its start is not held up by them.
                direct = None if is_service else self._find_place(standing)
                # Without files, or with them in memory, it is one statement.
                is_whole = direct is not None or not request.files
                async with nullcontext() if is_whole else connection.transaction():
                    run = await self._add(connection, request, installation, direct=direct)
                if run is None:
                    # Somebody else used the key between our look and our insert.
                    earlier = await self._find(connection, request)
                    assert earlier is not None
                    return earlier
            asked = Asked(run.id, is_new=True, is_direct=direct is not None)
        except BaseException:
            run = None
            raise
        finally:
            if direct is not None and run is None:
                direct.cancel()
        if direct is not None:
            direct.start(run, request)
        else:
            self._wake()
        return asked

    async def ask_patiently(self, request: Request) -> Asked:
        """As `ask`. Whoever has just installed a plugin need not know that its event is on the way.

        Raises: PluginNotInstalled, NotCallable, QueueFull, KeyReused.
        """
        deadline: float | None = None
        while True:
            try:
                return await self.ask(request)
            except PluginNotInstalled:
                if deadline is None:
                    is_coming = await self._is_installed(request.plugin)
                    deadline = time.monotonic() + HEAR_SECONDS * is_coming
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(HEAR_POLL_SECONDS)

    async def ask_for_slot(
        self, request: Request, schedule: str, slot_at: datetime, *, is_alone: bool = False
    ) -> bool:
        """Whether the cron slot was free; it is taken, and its run queued, together.

        `is_alone`: it is let pass while an earlier one is not over.
        """
        async with self._database.transaction() as connection:
            installation = await installations.get(connection, request.plugin)
            run_id = new_run_id(datetime.now(UTC))
            if not await runs.take_slot(connection, request.plugin, schedule, slot_at, run_id):
                return False
            if is_alone and await runs.has_unfinished(connection, request.plugin, Trigger.CRON):
                log.info("slot_passed", plugin=request.plugin, schedule=schedule)
                return False
            await self._add(connection, request, installation, run_id)
        self._wake()
        return True

    async def _find(self, connection: Connection, request: Request) -> Asked | None:
        if request.idempotency_key is None:
            return None
        known = await runs.find_by_key(connection, request)
        if known is None:
            return None
        run_id, digest = known
        if digest != _digest(request):
            raise KeyReused
        return Asked(run_id, is_new=False)

    def _find_place(self, standing: Standing) -> Direct | None:
        """At once, where a container waits and nobody waits for it. Raises: QueueFull."""
        own, together = standing.own_waiting, standing.waiting
        metrics.QUEUED.set(together)
        if own >= self._plugin_limit:
            plugin = standing.installation.plugin
            raise QueueFull(f"{own} runs of {plugin} wait already", retry_after_seconds=10)
        if together >= self._limit:
            raise QueueFull(f"{together} runs wait already", retry_after_seconds=10)
        if own or standing.is_blocked:
            return None
        return self._reserve(standing.installation, standing.own_running)

    async def _add(
        self,
        connection: Connection,
        request: Request,
        installation: Installation,
        run_id: str | None = None,
        direct: Direct | None = None,
    ) -> Run | None:
        """None where the idempotency key was used before."""
        new_id = run_id or new_run_id(datetime.now(UTC))
        trace = current_trace() or Trace.new()
        run = await runs.add(
            connection,
            new_id,
            request,
            installation,
            request_sha256=_digest(request),
            traceparent=trace.traceparent,
            owner=direct.owner if direct else None,
            lease=direct.lease if direct else None,
            told=announcement(new_id, request.plugin, installation.version, request.trigger)
            if direct
            else None,
        )
        files = [(file.name, file.data) for file in request.files]
        if run is not None and files and direct is None:
            await runs.add_files(connection, new_id, "in", files)
        return run


def announcement(run_id: str, plugin: str, version: str, trigger: Trigger) -> outbox.Announcement:
    """That a run has started."""
    event = RunStarted(run_id=run_id, plugin=plugin, version=version, trigger=trigger)
    return outbox.announcement(event, service="sandbox", subject=f"{plugin}/{run_id}")


def _digest(request: Request) -> str:
    whole = hashlib.sha256(request.input)
    for file in sorted(request.files, key=lambda file: file.name):
        whole.update(b"\0" + file.name.encode() + b"\0" + hashlib.sha256(file.data).digest())
    return whole.hexdigest()
