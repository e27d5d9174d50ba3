"""Somebody asks for a run: checked, and queued for whoever has room."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from heimnetz_common.database import Connection, Database
from heimnetz_common.telemetry import Trace, current_trace
from heimnetz_sandbox import metrics
from heimnetz_sandbox.errors import KeyReused, NotCallable, QueueFull
from heimnetz_sandbox.model import Installation, Request, Trigger, new_run_id
from heimnetz_sandbox.store import installations, runs


@dataclass(frozen=True, slots=True)
class Asked:
    run_id: str
    is_new: bool


class Queue:
    """Bounded: a full queue says so, and when to come again. `wake` tells whoever has room."""

    def __init__(
        self, database: Database, *, limit: int, plugin_limit: int, wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._limit = limit
        self._plugin_limit = plugin_limit
        self._wake = wake

    async def ask(self, request: Request) -> Asked:
        """The run; an earlier one where the idempotency key says so.

        Raises: PluginNotInstalled, NotCallable, QueueFull, KeyReused.
        """
        async with self._database.transaction() as connection:
            installation = await installations.get(connection, request.plugin)
            if request.trigger is Trigger.HTTP and not installation.triggers.get("http", True):
                raise NotCallable(f"{request.plugin} is not called over HTTP")
            asked = await self._find(connection, request)
            if asked is None:
                await self._check_room(connection, request.plugin)
                asked = await self._add(connection, request, installation)
        self._wake()
        return asked

    async def ask_for_slot(self, request: Request, schedule: str, slot_at: datetime) -> bool:
        """Whether the cron slot was free; it is taken, and its run queued, together."""
        async with self._database.transaction() as connection:
            installation = await installations.get(connection, request.plugin)
            run_id = new_run_id(datetime.now(UTC))
            if not await runs.take_slot(connection, request.plugin, schedule, slot_at, run_id):
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

    async def _check_room(self, connection: Connection, plugin: str) -> None:
        together, own = await runs.count_waiting(connection, plugin)
        metrics.QUEUED.set(together)
        if own >= self._plugin_limit:
            raise QueueFull(f"{own} runs of {plugin} wait already", retry_after_seconds=10)
        if together >= self._limit:
            raise QueueFull(f"{together} runs wait already", retry_after_seconds=10)

    async def _add(
        self,
        connection: Connection,
        request: Request,
        installation: Installation,
        run_id: str | None = None,
    ) -> Asked:
        new_id = run_id or new_run_id(datetime.now(UTC))
        trace = current_trace() or Trace.new()
        is_new = await runs.add(
            connection,
            new_id,
            request,
            installation,
            request_sha256=_digest(request),
            traceparent=trace.traceparent,
        )
        if not is_new:
            # Somebody else used the key between our look and our insert.
            earlier = await self._find(connection, request)
            assert earlier is not None
            return earlier
        files = [(file.name, file.data) for file in request.files]
        if files:
            await runs.add_files(connection, new_id, "in", files)
        return Asked(new_id, is_new=True)


def _digest(request: Request) -> str:
    whole = hashlib.sha256(request.input)
    for file in sorted(request.files, key=lambda file: file.name):
        whole.update(b"\0" + file.name.encode() + b"\0" + hashlib.sha256(file.data).digest())
    return whole.hexdigest()
