"""Services are kept running: started, looked at, started again later and later, and replaced.

A service is a run without an end, by the trigger `service`. Every sandbox looks; that each start
happens once is the idempotency key's doing, which is the start before.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h11

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox import metrics
from heimnetz_sandbox.asking import Queue
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.model import Health, Outcome, Request, Trigger
from heimnetz_sandbox.store import installations, runs, services
from heimnetz_sandbox.store.services import Life

LOOK_SECONDS = 1.0
UP_SECONDS = 30.0
PROBE_SECONDS = 5.0
MAX_FAILURES = 3
DRAIN_SECONDS = 5.0
REPLACE_SECONDS = 60.0
# Who lived as long begins anew with the first pause.
STEADY = timedelta(minutes=1)
FIRST_PAUSE, MAX_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
REMEMBERED = 12
# Answers before the answer to a health check.
MAX_EARLY = 10
# The SDK's; see heimnetz_sdk.serving.
DROP_CACHES = "/.well-known/heimnetz/drop-caches"
# What is no fault of the plugin's.
BLAMELESS = {Outcome.CANCELLED, Outcome.INTERRUPTED, Outcome.KILLED, None}

log = get_logger(__name__)


def next_start(lives: Sequence[Life]) -> datetime | None:
    """When it may be started again; None for at once. `lives` of one plugin, newest first."""
    failures = 0
    for life in lives:
        if life.outcome in BLAMELESS or not life.is_current:
            break
        assert life.finished_at is not None
        if life.started_at is not None and life.finished_at - life.started_at >= STEADY:
            break
        failures += 1
    ended_at = lives[0].finished_at if failures else None
    pause: timedelta = min(FIRST_PAUSE * 2.0 ** (failures - 1), MAX_PAUSE)
    return None if ended_at is None else ended_at + pause


@dataclass
class Probing:
    """What is known of one service that runs here; times by the loop's clock."""

    began_at: float
    next_at: float
    is_up: bool = False
    failures: int = 0
    why: str = ""
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Keeper:
    """`stop` ends a run that is here, with an outcome and why.

    `in_use` counts the requests under way by the socket that they went to.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        folders: Folders,
        instance: str,
        stop: Callable[[str, Outcome, str], None],
        in_use: Counter[Path],
    ) -> None:
        self._in_use = in_use
        self._database = database
        self._queue = queue
        self._folders = folders
        self._instance = instance
        self._stop = stop
        self._probed: dict[str, Probing] = {}
        self._up: dict[str, str] = {}
        # Plugins whose services ran here when we last looked.
        self._shown: set[str] = set()

    def find(self, plugin: str) -> Path | None:
        """The socket where the plugin serves now."""
        run_id = self._up.get(plugin)
        return None if run_id is None else self._socket(run_id)

    def _socket(self, run_id: str) -> Path:
        return self._folders.root / "runs" / run_id / "socket" / "http.sock"

    async def run(self) -> None:
        try:
            while True:
                try:
                    if await self._has_any():
                        await self._start_missing(datetime.now(UTC))
                        await self._stop_outdated()
                        await self._look_after_own()
                except HeimnetzError as error:
                    log.warning("services_wait", reason=error.detail)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for probing in self._probed.values():
                if probing.task is not None:
                    probing.task.cancel()

    async def _has_any(self) -> bool:
        """Most homes have no service, and one small question a second is all they pay."""
        if self._up or self._probed or self._shown:
            return True
        async with self._database.connection() as connection:
            return bool(await services.list_wanted(connection))

    async def _start_missing(self, now: datetime) -> None:
        async with self._database.connection() as connection:
            missing = await services.list_missing(connection)
            lives = await services.list_lives(connection, missing, REMEMBERED)
        for plugin in missing:
            own = [life for life in lives if life.plugin == plugin]
            not_before = next_start(own)
            if not_before is not None and not_before > now:
                continue
            request = Request(
                plugin=plugin,
                trigger=Trigger.SERVICE,
                input=b"{}",
                requested_by="service",
                idempotency_key=own[0].run_id if own else "first",
            )
            try:
                asked = await self._queue.ask(request)
            except HeimnetzError as error:
                log.warning("service_waits", plugin=plugin, reason=error.detail)
                continue
            if asked.is_new:
                metrics.SERVICE_STARTS.labels(plugin).inc()
                log.info("service_starts", plugin=plugin, run=asked.run_id, starts=len(own))

    async def _stop_outdated(self) -> None:
        async with self._database.transaction() as connection:
            outdated = await services.list_outdated(connection, DRAIN_SECONDS, REPLACE_SECONDS)
            if any(self._in_use[self._socket(run_id)] for run_id in outdated):
                late = await services.list_outdated(connection, REPLACE_SECONDS, REPLACE_SECONDS)
                outdated = [
                    run_id
                    for run_id in outdated
                    if run_id in late or not self._in_use[self._socket(run_id)]
                ]
            for run_id in outdated:
                # Whoever runs it reads this when it renews its lease.
                await runs.stop(connection, run_id, Outcome.CANCELLED)

    async def _look_after_own(self) -> None:
        async with self._database.connection() as connection:
            own = await services.list_own(connection, self._instance)
            healths = await installations.list_healths(connection, list(set(own.values())))
            self._up = await services.list_up(connection)
        now = time.monotonic()
        for run_id in self._probed.keys() - own.keys():
            del self._probed[run_id]
        for run_id, plugin in own.items():
            probing = self._probed.setdefault(run_id, Probing(now, now))
            is_idle = probing.task is None or probing.task.done()
            if is_idle and now >= probing.next_at:
                health = healths.get(plugin) or Health()
                probing.task = asyncio.create_task(self._probe(run_id, plugin, health, probing))
        for plugin in self._shown | set(own.values()):
            metrics.SERVICE_UP.labels(plugin).set(plugin in self._up)
        self._shown = set(own.values())

    async def _probe(self, run_id: str, plugin: str, health: Health, probing: Probing) -> None:
        why = await look(self._socket(run_id), health)
        now = time.monotonic()
        if why is None:
            probing.failures = 0
            probing.next_at = now + health.interval_seconds
            if not probing.is_up:
                await self._mark_up(run_id, plugin, probing)
            return
        probing.why = why
        probing.failures += probing.is_up
        probing.next_at = now + (LOOK_SECONDS if not probing.is_up else PROBE_SECONDS)
        if not probing.is_up and now - probing.began_at > UP_SECONDS:
            self._stop(run_id, Outcome.ERROR, f"it did not answer within {UP_SECONDS:g} s: {why}")
        elif probing.failures >= MAX_FAILURES:
            times = f"{MAX_FAILURES} times in a row"
            self._stop(run_id, Outcome.ERROR, f"its health check failed {times}: {why}")

    async def _mark_up(self, run_id: str, plugin: str, probing: Probing) -> None:
        try:
            async with self._database.transaction() as connection:
                await services.mark_up(connection, run_id)
        except HeimnetzError as error:
            probing.next_at = 0.0
            log.warning("service_up_waits", plugin=plugin, reason=error.detail)
            return
        probing.is_up = True
        # Whoever is told that it is up may ask for its pages at once.
        self._up[plugin] = run_id
        log.info("service_up", plugin=plugin, run=run_id)


async def drop_caches(path: Path) -> bool:
    """Whether the service at this socket has dropped its caches, as its author foresaw."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                return await _ask(reader, writer, DROP_CACHES, "POST") == 204
            finally:
                writer.transport.abort()
    except (TimeoutError, OSError, EOFError, h11.RemoteProtocolError):
        return False


async def look(path: Path, health: Health) -> str | None:
    """Why it is not well, or None."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                status = await _ask(reader, writer, health.path)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except (OSError, EOFError, h11.RemoteProtocolError) as error:
        return f"no answer that can be read ({type(error).__name__})"
    is_well = 200 <= status < 400 if health.is_declared else True
    return None if is_well else f"GET {health.path} is answered with {status}"


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, method: str = "GET"
) -> int:
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=16 * 1024)
    headers = [("host", "health"), ("connection", "close")]
    writer.write(client.send(h11.Request(method=method, target=path, headers=headers)) or b"")
    writer.write(client.send(h11.EndOfMessage()) or b"")
    early = 0
    while not isinstance(event := client.next_event(), h11.Response):
        if event is not h11.NEED_DATA:
            early += 1
            if early > MAX_EARLY:
                raise EOFError
            continue
        data = await reader.read(16 * 1024)
        if not data:
            raise EOFError
        client.receive_data(data)
    return event.status_code
