"""One run: a container with every cap, one call, an outcome, and nothing left of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heimnetz_common.logs import get_logger
from heimnetz_sandbox import cgroups, containers, metrics, runtimes
from heimnetz_sandbox.conversing import Conversation, Violation
from heimnetz_sandbox.engine import Engine
from heimnetz_sandbox.errors import EngineDown, ImageMissing
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.model import Evidence, InputFile, Installation, Outcome, Program, Run
from heimnetz_sandbox.recording import Log, Masker, safe_reason

SAMPLE_SECONDS = 0.2
FLUSH_SECONDS = 0.25
END_SECONDS = 3.0

log = get_logger(__name__)

Flush = Callable[[Log], Awaitable[None]]


@dataclass(frozen=True)
class Place:
    """Where runs take place: what is the same for all of them."""

    engine: Engine
    folders: Folders
    cgroup_root: Path
    images: dict[str, str]
    stack: str
    instance: str
    start_seconds: float


@dataclass
class Task:
    """One run with everything that it needs."""

    run: Run
    installation: Installation
    program: Program
    code: Path
    dependencies: Path | None
    configuration: dict[str, Any] = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    input: Any = field(repr=False)
    files: Sequence[InputFile] = field(repr=False)


class Execution:
    """`stop` may be called at any time and from anywhere in the loop; the first call counts."""

    def __init__(self, place: Place, task: Task) -> None:
        self._place = place
        self._task = task
        self._limits = task.program.limits
        self._stopped = asyncio.Event()
        self._masker = Masker(task.secrets)
        self.log = Log(self._limits.log_bytes, self._masker, self._log_is_full)
        self.evidence = Evidence()
        self._peak = 0
        self._group: cgroups.Cgroup | None = None

    def stop(self, outcome: Outcome, reason: str) -> None:
        if self.evidence.stopped_by is None:
            self.evidence.stopped_by, self.evidence.stopped_because = outcome, reason
        self._stopped.set()

    def _log_is_full(self) -> None:
        limit = self._limits.log_bytes
        self.stop(Outcome.OUTPUT_LIMIT, f"the plugin wrote more than {limit} bytes of log")

    async def run(self, announce: Callable[[], Awaitable[None]], flush: Flush) -> Evidence:
        """What was seen of the run; `announce` is awaited once its container has started."""
        flushing = asyncio.create_task(_repeat(FLUSH_SECONDS, lambda: flush(self.log)))
        try:
            async with self._container(announce) as (container, reader, writer):
                await self._call(container, reader, writer)
        except ImageMissing as error:
            self.stop(Outcome.IMAGE_UNAVAILABLE, error.detail)
        except EngineDown as error:
            self.stop(Outcome.ENGINE_ERROR, error.detail)
        except Violation as violation:
            self.evidence.violation = str(violation)
        finally:
            flushing.cancel()
            self.log.end()
        self._conclude()
        return self.evidence

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

    @contextlib.asynccontextmanager
    async def _container(
        self, announce: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[tuple[str, asyncio.StreamReader, asyncio.StreamWriter]]:
        """A started container whose runner has connected; gone when the block is left."""
        place, task = self._place, self._task
        folder = await asyncio.to_thread(place.folders.make_run, task.run.id, task.files)
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        connected = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # The first to come is process 1; nobody else has a business on this socket.
            if connected.done():
                writer.close()
            else:
                connected.set_result((reader, writer))

        path = folder / "socket" / "runner.sock"
        server = await asyncio.start_unix_server(accept, str(path), limit=1 << 18)
        path.chmod(0o666)
        container = None
        try:
            container = await place.engine.create(*await self._document(folder))
            started = time.perf_counter()
            await place.engine.start(container)
            await announce()
            reader, writer = await self._await_runner(container, connected)
            metrics.START.observe(time.perf_counter() - started)
            server.close()
            try:
                yield container, reader, writer
            finally:
                writer.transport.abort()
        finally:
            server.close()
            self._forget_gauges()
            if container is not None:
                await asyncio.shield(self._remove(container))
            await asyncio.to_thread(place.folders.remove_run, task.run.id)

    async def _document(self, folder: Path) -> tuple[str, dict[str, Any]]:
        place, task = self._place, self._task
        runtime = runtimes.BY_NAME[task.program.runtime]
        image = place.images[runtime.name]
        targets = {"/plugin": task.code, "/in": folder / "in", "/run/heimnetz": folder / "socket"}
        if task.dependencies is not None:
            targets["/deps"] = task.dependencies
        run, stack = task.run, place.stack
        identity = containers.Identity(stack, place.instance, run.id, run.plugin, "run")
        return identity.name, containers.plugin(
            identity,
            image=image,
            command=runtime.command,
            uid=task.installation.uid,
            limits=self._limits,
            folders=targets,
            image_variables=await place.engine.list_variables(image),
        )

    async def _await_runner(
        self,
        container: str,
        connected: "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]",
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        stopped = asyncio.create_task(self._stopped.wait())
        deadline = time.monotonic() + self._place.start_seconds
        try:
            while True:
                waiting: tuple[asyncio.Future[Any], ...] = (connected, stopped)
                await asyncio.wait(waiting, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
                if connected.done():
                    return connected.result()
                if stopped.done():
                    raise Violation("stopped before the runner came")
                ending = await self._place.engine.inspect(container)
                if not ending.is_running:
                    self._take_ending(ending.exit_code, is_oom_killed=ending.is_oom_killed)
                    raise Violation(f"the container ended at once (status {ending.exit_code})")
                if time.monotonic() > deadline:
                    raise EngineDown("the container did not start in time")
        finally:
            stopped.cancel()

    async def _call(
        self, container: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._group = cgroups.find(self._place.cgroup_root, container)
        talk = Conversation(reader, writer, limits=self._limits, log=self.log, stop=self.stop)
        seen = talk.evidence
        seen.stopped_by, seen.stopped_because = (
            self.evidence.stopped_by,
            self.evidence.stopped_because,
        )
        self.evidence = seen
        talking = asyncio.create_task(self._talk(talk))
        stopped = asyncio.create_task(self._stopped.wait())
        sampling = asyncio.create_task(_repeat(SAMPLE_SECONDS, self._sample))
        wall = self._limits.wall_seconds
        try:
            await asyncio.wait({talking, stopped}, timeout=wall, return_when="FIRST_COMPLETED")
            if not talking.done():
                self.stop(Outcome.TIMEOUT, f"the plugin took longer than {wall:g} s")
            await self._sample()
        finally:
            for task in (talking, stopped, sampling):
                task.cancel()
            await asyncio.gather(talking, stopped, sampling, return_exceptions=True)
        if not self.evidence.has_ended and self.evidence.stopped_by is None:
            await self._look_why(container)

    async def _talk(self, talk: Conversation) -> None:
        task = self._task
        try:
            await talk.hear_hello()
        except (EOFError, Violation) as error:
            talk.evidence.violation = str(error) or "the runner ended before it began"
            return
        await talk.talk(
            {
                "entry_point": task.program.entry_point,
                "result_bytes": self._limits.result_bytes,
            },
            {
                "run_id": task.run.id,
                "trace_id": task.run.trace_id,
                "input": task.input,
                "configuration": task.configuration,
                "files": [file.name for file in task.files],
            },
        )

    async def _look_why(self, container: str) -> None:
        """The connection ended before the talk did: the container's first process is gone."""
        if self.evidence.violation is not None:
            return
        with contextlib.suppress(EngineDown):
            await self._place.engine.wait(container, END_SECONDS)
        ending = await self._place.engine.inspect(container)
        self._take_ending(ending.exit_code, is_oom_killed=ending.is_oom_killed)

    def _take_ending(self, exit_code: int, *, is_oom_killed: bool) -> None:
        # 128 + n is how the engine reports a signal.
        is_signal = 128 < exit_code < 193
        self.evidence.exit_code = exit_code
        self.evidence.exit_signal = exit_code - 128 if is_signal else 0
        self.evidence.is_oom_killed |= is_oom_killed

    async def _sample(self) -> None:
        usage = self._group.read() if self._group is not None else None
        if usage is None:
            return
        evidence, plugin = self.evidence, self._task.run.plugin
        self._peak = max(self._peak, usage.peak_memory_bytes or 0, usage.memory_bytes or 0)
        evidence.is_oom_killed |= usage.oom_kills > 0
        evidence.has_hit_pids |= usage.pids_refused > 0
        if usage.memory_bytes is not None:
            metrics.CONTAINER_MEMORY.labels(plugin, "busy").set(usage.memory_bytes)
        if usage.processes is not None:
            metrics.CONTAINER_PROCESSES.labels(plugin).set(usage.processes)
        if usage.cpu_seconds is None:
            return
        used = max(usage.cpu_seconds - (evidence.cpu_seconds or 0.0), 0.0)
        metrics.CONTAINER_CPU.labels(plugin).inc(used)
        evidence.cpu_seconds = usage.cpu_seconds
        limit = self._limits.cpu_seconds
        if limit is not None and usage.cpu_seconds > limit:
            self.stop(Outcome.CPU_LIMIT, f"the plugin used more than {limit:g} s of processor time")

    def _forget_gauges(self) -> None:
        plugin = self._task.run.plugin
        metrics.CONTAINER_MEMORY.labels(plugin, "busy").set(0)
        metrics.CONTAINER_PROCESSES.labels(plugin).set(0)

    async def _remove(self, container: str) -> None:
        try:
            await self._place.engine.remove(container)
        except EngineDown as error:
            # The reaper takes it by its label when the engine is back.
            log.warning("container_left", container=container[:12], reason=error.detail)


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:
            log.exception("repeated_work_failed")
