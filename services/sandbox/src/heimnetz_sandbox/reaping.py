"""Ends what a dead sandbox left: runs under expired leases, containers of runs that are over."""

import asyncio
from datetime import timedelta

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox import ending, metrics
from heimnetz_sandbox.containers import INSTANCE_LABEL, KIND_LABEL, RUN_LABEL
from heimnetz_sandbox.engine import Engine, Found
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.model import Outcome
from heimnetz_sandbox.store import installations, leases, runs, services

PAUSE_SECONDS = 5.0
# Kept of the log of a service that runs.
SERVICE_LINES = 10_000
_ROUNDS_BETWEEN_PURGES = 720

log = get_logger(__name__)


class Reaper:
    """Acts on leases alone, which the database's clock measures: never on a live neighbour's."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        folders: Folders,
        *,
        stack: str,
        lease: timedelta,
        history: timedelta,
        dependencies_bytes: int,
    ) -> None:
        self._database = database
        self._engine = engine
        self._folders = folders
        self._stack = stack
        self._lease = lease
        self._history = history
        self._dependencies_bytes = dependencies_bytes

    async def run(self) -> None:
        rounds = 0
        while True:
            try:
                await self.end_expired()
                await self.remove_orphans()
                if rounds % _ROUNDS_BETWEEN_PURGES == 0:
                    await self.purge()
                rounds += 1
            except HeimnetzError as error:
                log.warning("reaper_waits", reason=error.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def end_expired(self) -> None:
        async with self._database.connection() as connection:
            expired = await leases.list_expired(connection)
        for run, owner in expired:
            async with self._database.transaction() as connection:
                ended = await ending.end(
                    connection,
                    run.id,
                    owner=owner,
                    outcome=Outcome.INTERRUPTED,
                    reason="the sandbox that ran it fell silent",
                )
            if ended is not None:
                ending.count(ended)
                metrics.INTERRUPTED.inc()
                log.warning("run_interrupted", run=run.id, owner=owner)

    async def remove_orphans(self) -> None:
        found = await self._engine.list_own(self._stack)
        in_use = await self._list_in_use(found)
        for container in found:
            if container.id not in in_use:
                await self._engine.remove(container.id)
                metrics.ORPHANS.inc()
                log.warning("orphan_removed", container=container.id[:12], labels=container.labels)
        await self._remove_folders()

    async def _list_in_use(self, found: list[Found]) -> set[str]:
        """A run's container lives as long as its lease, any other as long as its sandbox.

        None outlives its folder: one that could not be removed while the engine was away does.
        """
        async with self._database.connection() as connection:
            run_ids = [one.labels.get(RUN_LABEL, "") for one in found]
            live = await leases.list_live(connection, run_ids)
            instances = [one.labels.get(INSTANCE_LABEL, "") for one in found]
            silent = await installations.list_silent(connection, instances, self._lease)
        return {
            one.id
            for one in found
            if one.labels.get(RUN_LABEL) in live
            or (
                one.labels.get(KIND_LABEL) in ("build", "warm", "trial", "draft")
                and self._folders.has_container(one.labels.get(RUN_LABEL, ""))
                and one.labels.get(INSTANCE_LABEL) not in silent
            )
        }

    async def _remove_folders(self) -> None:
        names = set(await asyncio.to_thread(self._folders.list_runs))
        # Of containers that no run has asked for: the sandbox's id and a number.
        owners = {name: owner for name in names if len(owner := name.partition("-")[0]) == 32}
        async with self._database.connection() as connection:
            live = await leases.list_live(connection, list(names))
            silent = await installations.list_silent(
                connection, list(set(owners.values())), self._lease
            )
        kept = live | {name for name, owner in owners.items() if owner not in silent}
        for name in names - kept:
            await asyncio.to_thread(self._folders.remove_run, name)

    async def purge(self) -> None:
        """Runs that are old enough; code and dependencies that nobody installs any more."""
        async with self._database.transaction() as connection:
            await runs.purge(connection, self._history)
            await services.trim_logs(connection, SERVICE_LINES)
            digests = await installations.list_digests(connection)
            kept = await installations.list_dependencies(connection)
        await asyncio.to_thread(self._folders.collect_code, digests)
        await asyncio.to_thread(self._folders.collect_builds)
        collect = self._folders.collect_dependencies
        metrics.DEPENDENCIES.set(await asyncio.to_thread(collect, kept, self._dependencies_bytes))
