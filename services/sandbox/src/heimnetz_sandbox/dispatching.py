"""Takes waiting runs while there is room, and carries each to its outcome."""

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, NotFound, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import traced
from heimnetz_sandbox import ending, metrics
from heimnetz_sandbox.asking import announcement
from heimnetz_sandbox.chambers import Chamber, Place
from heimnetz_sandbox.errors import CannotPrepare, EngineAway, EngineDown, ImageMissing
from heimnetz_sandbox.model import Evidence, Installation, Outcome, Request, Run, Trigger, judge
from heimnetz_sandbox.pooling import Pool
from heimnetz_sandbox.preparing import Preparer
from heimnetz_sandbox.recording import Log, visible
from heimnetz_sandbox.running import Execution, Task
from heimnetz_sandbox.store import installations, leases, outputs, runs
from heimnetz_sandbox.watching import Look

POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0
MAX_ATTEMPTS = 60
STOP_SECONDS = 8.0

STOPPED_BECAUSE = {
    Outcome.CANCELLED: "somebody cancelled the run",
    Outcome.KILLED: "the version may not run any more",
    Outcome.INTERRUPTED: "the sandbox was stopped",
}

log = get_logger(__name__)


class LeaseLost(Exception):
    """The run is not ours any more: we were silent for too long."""


class Dispatcher:
    """One per process. Its instance id is new at every start, so that old leases just expire."""

    def __init__(
        self,
        database: Database,
        preparer: Preparer,
        place: Place,
        pool: Pool,
        *,
        concurrency: int,
        plugin_concurrency: int,
        lease: timedelta,
        finished: Callable[[str, Look | None], None],
    ) -> None:
        self._database = database
        self._preparer = preparer
        self._place = place
        self._pool = pool
        self._concurrency = concurrency
        self._plugin_concurrency = plugin_concurrency
        self._lease = lease
        self._finished = finished
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._executions: dict[str, Execution] = {}
        # Room that is kept for runs whose transaction is not over.
        self._reserved = 0
        # Room of runs that wait for another one.
        self._lent = 0
        # Services run beside everything else.
        self._services: set[str] = set()
        metrics.SLOTS.set(concurrency)

    def wake(self) -> None:
        self._wake.set()

    @property
    def _has_room(self) -> bool:
        busy = len(self._busy) - len(self._services)
        return busy + self._reserved - self._lent < self._concurrency

    @property
    def is_busy(self) -> bool:
        return len(self._busy) > len(self._services) or bool(self._reserved)

    @contextlib.contextmanager
    def lending(self) -> Iterator[None]:
        """While a run waits for one that it called, that one has its room."""
        self._lent += 1
        try:
            yield
        finally:
            self._lent -= 1

    async def run(self) -> None:
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    await self._fill()
                except (EngineDown, Unavailable) as error:
                    log.warning("runs_wait", reason=error.detail)
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._stop_all()

    async def keep_leases(self) -> None:
        """Renews what we hold, and hears what is to be stopped."""
        pause = self._lease.total_seconds() / 6
        while True:
            try:
                async with self._database.transaction() as connection:
                    await installations.show_life(connection, self._place.instance)
                    held = await leases.renew(
                        connection, self._place.instance, list(self._busy), self._lease
                    )
                    metrics.QUEUED.set(await runs.count_queued(connection))
                for run_id, outcome in held.items():
                    if outcome is not None:
                        self.stop(run_id, outcome)
            except HeimnetzError as error:
                log.warning("leases_wait", reason=error.detail)
            # A wish to stop must not wait for a lease's sixth.
            await asyncio.sleep(min(pause, 1.0))

    def stop(self, run_id: str, outcome: Outcome, reason: str | None = None) -> None:
        """At once when the run is here; otherwise its sandbox reads the wish in the database."""
        execution = self._executions.get(run_id)
        if execution is not None:
            execution.stop(outcome, reason or STOPPED_BECAUSE[outcome])

    async def _fill(self) -> None:
        while self._has_room:
            if not self._busy:
                # While the engine is down runs wait: they would fail for no fault of theirs.
                await self._place.engine.ping()
            async with self._database.connection() as connection:
                run = await leases.claim(
                    connection,
                    owner=self._place.instance,
                    lease=self._lease,
                    plugin_concurrency=self._plugin_concurrency,
                )
            if run is None:
                return
            if run.attempts == 1:
                metrics.QUEUE_WAIT.observe((datetime.now(UTC) - run.queued_at).total_seconds())
            task = asyncio.create_task(self._carry(run), name=f"run-{run.id}")
            self._busy[run.id] = task
            if run.trigger == Trigger.SERVICE:
                self._services.add(run.id)
            metrics.RUNNING.set(len(self._busy))
            task.add_done_callback(functools.partial(self._forget, run.id))

    def _forget(self, run_id: str, _: "asyncio.Task[None]") -> None:
        self._busy.pop(run_id, None)
        self._services.discard(run_id)
        metrics.RUNNING.set(len(self._busy))
        self._wake.set()

    async def _carry(self, run: Run) -> None:
        with traced(run.traceparent):
            try:
                await self._carry_on(run)
            except LeaseLost:
                log.warning("lease_lost", run=run.id)
            except Exception:
                log.exception("run_failed", run=run.id)
                await self._end(run, Outcome.ENGINE_ERROR, "the sandbox failed; its log says how")

    async def _carry_on(self, run: Run) -> None:
        try:
            task = await self._prepare(run)
        except (CannotPrepare, NotFound) as error:
            await self._end(run, Outcome.REFUSED, error.detail)
        except ImageMissing as error:
            await self._end(run, Outcome.IMAGE_UNAVAILABLE, error.detail)
        except (EngineDown, Unavailable) as error:
            await self._try_later(run, error)
        else:
            is_service = task.program.is_service
            warm = None if is_service else await self._pool.take(task.installation)
            beginning = Beginning()
            await self._execute(run, task, warm, lambda: self._announce(run, beginning), beginning)

    async def _try_later(self, run: Run, error: HeimnetzError) -> None:
        if run.attempts >= MAX_ATTEMPTS:
            await self._end(run, Outcome.ENGINE_ERROR, f"given up: {error.detail}")
            return
        log.warning("run_waits", run=run.id, reason=error.detail)
        async with self._database.transaction() as connection:
            delay = timedelta(seconds=RETRY_SECONDS)
            await leases.release(connection, run.id, self._place.instance, delay)

    async def _prepare(self, run: Run) -> Task:
        """Raises: CannotPrepare, NotFound, EngineDown, Unavailable."""
        async with self._database.connection() as connection:
            installation = await installations.get(connection, run.plugin)
            block = await installations.find_block(connection, run.plugin, installation.version)
            files = await outputs.list_inputs(connection, run.id)
            document = json.loads(await runs.get_input(connection, run.id))
        if block is not None:
            raise CannotPrepare(f"{run.plugin} {installation.version} may not run: {block}")
        if installation.sha256 != run.sha256:
            raise CannotPrepare("another version was installed while the run waited")
        ready = await self._preparer.ensure(installation)
        assert ready.program is not None
        if ready.program.is_service != (run.trigger == Trigger.SERVICE):
            raise CannotPrepare(
                f"{run.plugin} is a service: it runs all the time and is not called"
            )
        return Task(
            run=run,
            installation=ready,
            program=ready.program,
            given=self._preparer.open(ready),
            input=document,
            files=files,
        )

    async def prepare(self, plugin: str) -> None:
        """Ahead of the first run, so that it does not wait. Raises: as `_prepare`."""
        async with self._database.connection() as connection:
            installation = await installations.get(connection, plugin)
        await self._preparer.ensure(installation)

    def reserve(self, installation: Installation, running: int) -> "Reservation | None":
        """A chamber for a run that need not be queued, while there is room for one more."""
        if not self._has_room or running >= self._plugin_concurrency:
            return None
        chamber = self._pool.take_if_any(installation)
        if chamber is None:
            return None
        self._reserved += 1
        return Reservation(self, chamber, self._place.instance, self._lease)

    def start(self, chamber: Chamber, run: Run, request: Request) -> None:
        self._reserved -= 1
        metrics.QUEUE_WAIT.observe(0)
        task = asyncio.create_task(self._carry_direct(chamber, run, request), name=f"run-{run.id}")
        self._busy[run.id] = task
        metrics.RUNNING.set(len(self._busy))
        task.add_done_callback(functools.partial(self._forget, run.id))

    def let_go(self, chamber: Chamber) -> None:
        """Of a reservation whose run was not to be."""
        self._reserved -= 1
        self._pool.put_back(chamber)

    async def _carry_direct(self, chamber: Chamber, run: Run, request: Request) -> None:
        beginning = Beginning(run.started_at, time.monotonic())
        with traced(run.traceparent):
            try:
                task = Task(
                    run=run,
                    installation=chamber.installation,
                    program=chamber.program,
                    given=self._preparer.open(chamber.installation),
                    input=json.loads(request.input),
                    files=request.files,
                )
                await self._execute(run, task, chamber, _said_already, beginning)
            except LeaseLost:
                log.warning("lease_lost", run=run.id)
            except Exception:
                log.exception("run_failed", run=run.id)
                await self._end(run, Outcome.ENGINE_ERROR, "the sandbox failed; its log says how")

    async def _execute(
        self,
        run: Run,
        task: Task,
        warm: Chamber | None,
        announce: Callable[[], Awaitable[None]],
        beginning: "Beginning",
    ) -> None:
        execution = Execution(self._place, task)
        self._executions[run.id] = execution
        writer = ending.LogWriter(self._database, run.id)
        try:
            try:
                evidence = await execution.run(announce, writer.flush, warm)
            except EngineAway as error:
                await self._try_later(run, error)
                return
            outcome, reason = judge(evidence)
            if outcome is not Outcome.OK:
                execution.log.say(f"{outcome}: {reason}")
            await self._end(
                run,
                outcome,
                reason,
                evidence,
                writer=writer,
                run_log=execution.log,
                has_inputs=bool(task.files),
                # What came with it is to be removed, too.
                beginning=None if task.files else beginning,
            )
        finally:
            self._executions.pop(run.id, None)
            if warm is not None:
                await self._pool.give_back(warm)

    async def _announce(self, run: Run, beginning: "Beginning") -> None:
        """Raises: LeaseLost."""
        told = announcement(run.id, run.plugin, run.version, Trigger(run.trigger))
        async with self._database.connection() as connection:
            started_at = await runs.mark_started(connection, run.id, self._place.instance, told)
        if started_at is None:
            raise LeaseLost
        beginning.at, beginning.clock = started_at, time.monotonic()

    async def _end(
        self,
        run: Run,
        outcome: Outcome,
        reason: str | None,
        evidence: Evidence | None = None,
        *,
        writer: ending.LogWriter | None = None,
        run_log: Log | None = None,
        has_inputs: bool = True,
        beginning: "Beginning | None" = None,
    ) -> None:
        """Tried until the database has it or the lease is lost: the outcome must not be."""

        async def write() -> Run | None:
            if writer is not None and run_log is not None:
                await writer.flush(run_log)
            if beginning is not None and evidence is not None and outcome is Outcome.OK:
                begun = replace(run, started_at=beginning.at)
                seconds = time.monotonic() - beginning.clock
                async with self._database.connection() as connection:
                    ended = await ending.end_well(
                        connection, begun, self._place.instance, seconds, evidence
                    )
                if ended is not None:
                    return ended
            async with self._database.transaction() as connection:
                return await ending.end(
                    connection,
                    run.id,
                    owner=self._place.instance,
                    outcome=outcome,
                    reason=None if reason is None else visible(reason)[:2000],
                    evidence=evidence,
                    has_inputs=has_inputs,
                )

        finished = await _insist(write)
        if finished is None:
            raise LeaseLost
        self._finished(run.id, None if evidence is None else _look(finished, evidence))
        ending.count(finished)
        log.info("run_finished", run=run.id, plugin=run.plugin, outcome=str(outcome), reason=reason)

    async def _stop_all(self) -> None:
        for execution in list(self._executions.values()):
            execution.stop(Outcome.INTERRUPTED, STOPPED_BECAUSE[Outcome.INTERRUPTED])
        if self._busy:
            await asyncio.wait(list(self._busy.values()), timeout=STOP_SECONDS)


@dataclass
class Beginning:
    """When a run began: by the database's clock, and by our monotonic one in seconds."""

    at: datetime | None = None
    clock: float = 0.0


@dataclass(frozen=True)
class Reservation:
    """See `asking.Direct`."""

    dispatcher: Dispatcher
    chamber: Chamber
    owner: str
    lease: timedelta

    def start(self, run: Run, request: Request) -> None:
        self.dispatcher.start(self.chamber, run, request)

    def cancel(self) -> None:
        self.dispatcher.let_go(self.chamber)


async def _said_already() -> None:
    """A run that began in the transaction that recorded it has been announced there."""


def _look(run: Run, evidence: Evidence) -> Look | None:
    """None where there are files, whose digests the database makes."""
    if evidence.files:
        return None
    is_ok = run.outcome is Outcome.OK and evidence.result is not None
    return Look(run, (evidence.result or "").encode() if is_ok else None)


async def _insist(write: Callable[[], Awaitable[Run | None]]) -> Run | None:
    pause = 0.2
    while True:
        try:
            return await write()
        except HeimnetzError as error:
            log.warning("outcome_waits", reason=error.detail)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
