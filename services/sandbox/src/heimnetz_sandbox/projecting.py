"""Keeps what the registry decided: what is installed, and which versions must not run."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox import ending
from heimnetz_sandbox.model import Outcome, State
from heimnetz_sandbox.store import installations, runs, storage

log = get_logger(__name__)

# A copy of more might outlast the time that a statement has (10 s) on a slow disk.
KEPT_BYTES = 32 * 1024 * 1024

Stop = Callable[[str, Outcome], None]


async def change(
    connection: Connection,
    *,
    plugin: str,
    version: str,
    sha256: str,
    triggers: dict[str, Any],
    at: datetime,
    grants: Sequence[str] = (),
    is_rollback: bool = False,
) -> None:
    """What the plugin keeps is copied as the version before leaves it; a rollback brings it back.

    One transaction, so that no crash leaves the one without the other.
    """
    before = await installations.find_place(connection, plugin)
    is_news = await installations.announce(
        connection,
        plugin=plugin,
        version=version,
        sha256=sha256,
        triggers=triggers,
        grants=grants,
        at=at,
    )
    if is_news and before is not None and before.version != version:
        await _keep_storage(connection, plugin, version, before, is_rollback=is_rollback)


async def _keep_storage(
    connection: Connection,
    plugin: str,
    version: str,
    before: installations.Place,
    *,
    is_rollback: bool,
) -> None:
    await storage.lock(connection, plugin)
    is_there = is_rollback and before.kept_version == version
    await storage.forget_kept(connection, plugin, but=version if is_there else None)
    used = await storage.measure(connection, plugin, without="")
    kept_version = before.version if used.byte_count <= KEPT_BYTES else None
    if kept_version is not None:
        await storage.keep(connection, plugin, kept_version)
    else:
        log.warning("storage_not_kept", plugin=plugin, size_bytes=used.byte_count)
    if is_there:
        await storage.bring_back(connection, plugin, version)
        await storage.forget_kept(connection, plugin, but=kept_version)
    await installations.set_kept_version(connection, plugin, kept_version)


async def remove(connection: Connection, plugin: str, at: datetime) -> None:
    if await installations.remove(connection, plugin, at):
        await storage.forget_kept(connection, plugin)
        await installations.set_kept_version(connection, plugin, None)
        await _stop_runs(connection, plugin, None, "the plugin was removed")


async def block(
    connection: Connection, *, plugin: str, version: str, reason: str, at: datetime
) -> None:
    """Refuses new runs of the version, and stops those that are under way."""
    is_news = await installations.set_blocked(
        connection, plugin=plugin, version=version, reason=reason, at=at, is_blocked=True
    )
    if is_news:
        await _stop_runs(connection, plugin, version, reason)


async def unblock(connection: Connection, *, plugin: str, version: str, at: datetime) -> None:
    await installations.set_blocked(
        connection, plugin=plugin, version=version, reason="", at=at, is_blocked=False
    )


async def _stop_runs(connection: Connection, plugin: str, version: str | None, reason: str) -> None:
    for run in await runs.list_unfinished(connection, plugin, version):
        ended = None
        if run.state is State.QUEUED:
            ended = await ending.end(
                connection, run.id, owner=None, outcome=Outcome.REFUSED, reason=reason
            )
        if ended is None:
            # Whoever runs it, perhaps since a moment ago, reads this when it renews its lease.
            await runs.stop(connection, run.id, Outcome.KILLED)


class Cancelling:
    """A person's wish to stop one run."""

    def __init__(self, database: Database, stop: Stop, finished: Callable[[str], None]) -> None:
        self._database = database
        self._stop = stop
        self._finished = finished

    async def cancel(self, run_id: str) -> bool:
        """Whether the run was there to be cancelled. Raises: RunNotFound."""
        async with self._database.transaction() as connection:
            run = await runs.get(connection, run_id)
            if run.state is State.FINISHED:
                return False
            ended = await ending.end(
                connection,
                run_id,
                owner=None,
                outcome=Outcome.CANCELLED,
                reason="somebody cancelled the run",
            )
            if ended is None:
                await runs.stop(connection, run_id, Outcome.CANCELLED)
        if ended is None:
            self._stop(run_id, Outcome.CANCELLED)
        else:
            ending.count(ended)
            self._finished(run_id)
        return True


async def prepare_all(
    database: Database,
    prepare: Callable[[str], Awaitable[None]],
    wake: asyncio.Event,
    pause_seconds: float = 10.0,
) -> None:
    """Fetches what is installed ahead of its first run, and again while something is amiss."""
    while True:
        try:
            async with database.connection() as connection:
                installed = await installations.list_installed(connection)
            for one in installed:
                if one.failure is None and (one.program is None or one.configuration is None):
                    await _prepare_one(prepare, one.plugin)
        except HeimnetzError as error:
            log.warning("preparation_waits", reason=error.detail)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await wake.wait()
        wake.clear()


async def _prepare_one(prepare: Callable[[str], Awaitable[None]], plugin: str) -> None:
    try:
        await prepare(plugin)
        log.info("prepared", plugin=plugin)
    except HeimnetzError as error:
        log.warning("cannot_prepare", plugin=plugin, reason=error.detail)
