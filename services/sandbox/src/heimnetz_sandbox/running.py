"""One run: a container with every cap, one call, an outcome, and nothing left of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from heimnetz_common.logs import get_logger
from heimnetz_sandbox import cgroups, metrics
from heimnetz_sandbox.broker.holding import Given
from heimnetz_sandbox.chambers import Chamber, EndedEarly, Place
from heimnetz_sandbox.conversing import Violation
from heimnetz_sandbox.engine import Ending
from heimnetz_sandbox.errors import EngineAway, EngineDown, ImageMissing
from heimnetz_sandbox.model import Evidence, InputFile, Installation, Outcome, Program, Run
from heimnetz_sandbox.recording import Log, Masker, safe_reason

SAMPLE_SECONDS = 0.2
FLUSH_SECONDS = 0.25
END_SECONDS = 3.0
# 128 and SIGKILL.
KILLED = 137
# A service's caps are rates: its log and bytes for each hour, everything else for each minute.
SERVICE_SECONDS, SERVICE_ROUNDS = 60.0, 60

log = get_logger(__name__)

Flush = Callable[[Log], Awaitable[None]]


@dataclass
class Task:
    """One run with everything that it needs."""

    run: Run
    installation: Installation
    program: Program
    given: Given = field(repr=False)
    input: Any = field(repr=False)
    files: Sequence[InputFile] = field(repr=False)


class Execution:
    """`stop` may be called at any time and from anywhere in the loop; the first call counts."""

    def __init__(self, place: Place, task: Task) -> None:
        self._place = place
        self._task = task
        self._limits = task.program.limits
        self._stopped = asyncio.Event()
        self._masker = Masker(task.given.secrets)
        self.log = Log(self._limits.log_bytes, self._masker)
        self.evidence = Evidence()
        self._peak = 0
        self._group: cgroups.Cgroup | None = None
        # What a chamber used while it loaded and waited, or for an earlier run, is not this run's.
        self._before = cgroups.NOTHING
        self._is_first = True
        self._has_begun = False

    def stop(self, outcome: Outcome, reason: str) -> None:
        if self.evidence.stopped_by is None:
            self.evidence.stopped_by, self.evidence.stopped_because = outcome, reason
        self._stopped.set()

    def _log_is_full(self) -> None:
        if self._task.program.is_service:
            return
        limit = self._limits.log_bytes
        self.stop(Outcome.OUTPUT_LIMIT, f"the plugin wrote more than {limit} bytes of log")

    async def run(
        self,
        announce: Callable[[], Awaitable[None]],
        flush: Flush,
        warm: Chamber | None = None,
    ) -> Evidence:
        """What was seen of the run; `announce` is awaited once its container has started.

        A chamber that waited is the caller's to close; one that is made here is gone afterwards.

        Raises: EngineAway before the container has started; the plugin's code has not run.
        """
        flushing = asyncio.create_task(_repeat(FLUSH_SECONDS, lambda: flush(self.log)))
        try:
            if warm is not None:
                await self._use(warm, announce)
            else:
                await self._make(announce)
        except ImageMissing as error:
            self.stop(Outcome.IMAGE_UNAVAILABLE, error.detail)
        except EngineDown as error:
            if isinstance(error, EngineAway) and not self._has_begun:
                raise
            self.stop(Outcome.ENGINE_ERROR, error.detail)
        except EndedEarly as error:
            self._take_ending(error.ending)
            self.evidence.violation = str(error)
        except Violation as violation:
            self.evidence.violation = str(violation)
        finally:
            flushing.cancel()
            self._forget_gauges()
            self.log.end()
        self._conclude()
        return self.evidence

    async def _use(self, chamber: Chamber, announce: Callable[[], Awaitable[None]]) -> None:
        """A chamber in which the plugin waits."""
        self._adopt(chamber)
        if self._group is not None:
            self._before = self._group.read() or cgroups.NOTHING
        self._is_first = not chamber.is_reused
        self._has_begun = True
        await announce()
        if self._task.files:
            await asyncio.to_thread(chamber.put, self._task.files)
        await self._call(chamber)

    async def _make(self, announce: Callable[[], Awaitable[None]]) -> None:
        async def begin() -> None:
            self._has_begun = True
            await announce()

        chamber = Chamber(self._place, self._task.run.id, "run", self._task.installation)
        try:
            await chamber.open(self._task.files, announce=begin, stopped=self._stopped)
            self._adopt(chamber)
            await self._call(chamber)
        finally:
            await chamber.close()

    def _adopt(self, chamber: Chamber) -> None:
        """From now on what the chamber says is this run's."""
        assert chamber.talk is not None
        chamber.serve(self._task.run, self._task.given.held)
        self.log = chamber.log
        self.log.masker = self._masker
        self.log.on_full = self._log_is_full
        self._group = chamber.group
        chamber.talk.stop = self.stop
        seen = chamber.talk.evidence
        seen.stopped_by = self.evidence.stopped_by
        seen.stopped_because = self.evidence.stopped_because
        self.evidence = seen

    def _conclude(self) -> None:
        evidence = self.evidence
        evidence.log_truncated = self.log.is_truncated
        evidence.peak_memory_bytes = self._peak or None
        if evidence.is_oom_killed:
            evidence.peak_memory_bytes = max(self._peak, self._limits.memory_bytes)
        if evidence.reason is not None:
            evidence.reason = safe_reason(evidence.reason, self._masker)
        if self._masker.count:
            metrics.MASKED.labels(self._task.run.plugin).inc(self._masker.count)

    async def _call(self, chamber: Chamber) -> None:
        if self.log.is_truncated:
            self._log_is_full()
        talking = asyncio.create_task(self._talk(chamber))
        stopped = asyncio.create_task(self._stopped.wait())
        sampling = asyncio.create_task(_repeat(SAMPLE_SECONDS, self._sample))
        refilling = asyncio.create_task(self._refill(chamber))
        wall = self._limits.wall_seconds
        # A service runs until it is stopped.
        timeout = None if self._task.program.is_service else wall
        try:
            await asyncio.wait({talking, stopped}, timeout=timeout, return_when="FIRST_COMPLETED")
            if not talking.done():
                self.stop(Outcome.TIMEOUT, f"the plugin took longer than {wall:g} s")
            await self._sample()
        finally:
            for task in (talking, stopped, sampling, refilling):
                task.cancel()
            await asyncio.gather(talking, stopped, sampling, refilling, return_exceptions=True)
        evidence = self.evidence
        if not (evidence.has_ended or evidence.stopped_by or evidence.violation):
            # The connection ended before the talk did: the container's first process is gone.
            ending = await chamber.look_why(END_SECONDS)
            self._take_ending(ending)
            if ending.exit_code == KILLED and not evidence.is_oom_killed:
                # Nobody in the container can kill its first process.
                self.stop(Outcome.ENGINE_ERROR, "the container was killed from outside")

    async def _refill(self, chamber: Chamber) -> None:
        rounds = 0
        while self._task.program.is_service:
            await asyncio.sleep(SERVICE_SECONDS)
            rounds += 1
            is_hour = rounds % SERVICE_ROUNDS == 0
            chamber.refill(with_bytes=is_hour)
            if is_hour:
                self.log.reopen()

    async def _talk(self, chamber: Chamber) -> None:
        task, talk = self._task, chamber.talk
        assert talk is not None
        if not talk.is_ready and not await chamber.load():
            return
        await talk.call(
            {
                "run_id": task.run.id,
                "trace_id": task.run.trace_id,
                "input": task.input,
                "configuration": task.given.configuration,
                "files": [file.name for file in task.files],
                "is_service": task.program.is_service,
                "traces_memory": task.installation.traces_memory(datetime.now(UTC)),
            }
        )

    def _take_ending(self, ending: Ending) -> None:
        # 128 + n is how the engine reports a signal.
        is_signal = 128 < ending.exit_code < 193
        self.evidence.exit_code = ending.exit_code
        self.evidence.exit_signal = ending.exit_code - 128 if is_signal else 0
        self.evidence.is_oom_killed |= ending.is_oom_killed

    async def _sample(self) -> None:
        usage = self._group.read() if self._group is not None else None
        if usage is None:
            return
        evidence, plugin = self.evidence, self._task.run.plugin
        self._peak = max(self._peak, usage.memory_bytes or 0)
        if self._is_first:
            self._peak = max(self._peak, usage.peak_memory_bytes or 0)
        evidence.is_oom_killed |= usage.oom_kills > self._before.oom_kills
        evidence.has_hit_pids |= usage.pids_refused > self._before.pids_refused
        if usage.memory_bytes is not None:
            metrics.CONTAINER_MEMORY.labels(plugin, "busy").set(usage.memory_bytes)
            if self._task.program.is_service and self._group is not None:
                held = usage.memory_bytes - cgroups.read_file_bytes(self._group)
                metrics.SERVICE_MEMORY.labels(plugin).set(max(held, 0))
        if usage.processes is not None:
            metrics.CONTAINER_PROCESSES.labels(plugin).set(usage.processes)
        if usage.cpu_seconds is None:
            return
        spent = max(usage.cpu_seconds - (self._before.cpu_seconds or 0.0), 0.0)
        metrics.CONTAINER_CPU.labels(plugin).inc(max(spent - (evidence.cpu_seconds or 0.0), 0.0))
        evidence.cpu_seconds = spent
        limit = self._limits.cpu_seconds
        if limit is not None and spent > limit and not self._task.program.is_service:
            self.stop(Outcome.CPU_LIMIT, f"the plugin used more than {limit:g} s of processor time")

    def _forget_gauges(self) -> None:
        plugin = self._task.run.plugin
        metrics.CONTAINER_MEMORY.labels(plugin, "busy").set(0)
        metrics.CONTAINER_PROCESSES.labels(plugin).set(0)
        with suppress(KeyError):
            metrics.SERVICE_MEMORY.remove(plugin)


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:
            log.exception("repeated_work_failed")
