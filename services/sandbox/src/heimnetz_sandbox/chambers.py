"""A plugin's container from its creation to its removal, with its runner on the line.

A chamber may wait with the plugin loaded until a run comes, or be made for one run. It serves one,
or, where the plugin wants new processes only, one after the other.
"""

import asyncio
import contextlib
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from heimnetz_common.database import Database
from heimnetz_common.logs import get_logger
from heimnetz_sandbox import cgroups, containers, metrics, runtimes
from heimnetz_sandbox.broker.announcing import Announcing
from heimnetz_sandbox.broker.answering import Answering
from heimnetz_sandbox.broker.calling import Call, Calling
from heimnetz_sandbox.broker.holding import Held
from heimnetz_sandbox.broker.rules import Rules, read_near
from heimnetz_sandbox.broker.serving import Attempt, Broker, Caps
from heimnetz_sandbox.broker.storing import Storage
from heimnetz_sandbox.conversing import Conversation, Violation
from heimnetz_sandbox.doors import Door
from heimnetz_sandbox.engine import Ending, Engine
from heimnetz_sandbox.errors import EngineDown
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.model import InputFile, Installation, Outcome, Program, Run, Touch
from heimnetz_sandbox.observing import Observing
from heimnetz_sandbox.recording import Log, Masker, visible

# The template, and the one that makes a copy of it.
TEMPLATE_PROCESSES = 2
RENEW_SECONDS = 2.0
# Everything that is sent in a trial is searched.
TRIAL_CAPS = Caps(attempts=200, byte_count=8 << 20)

log = get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """Where runs take place: what is the same for all of them."""

    engine: Engine
    folders: Folders
    cgroup_root: Path
    images: dict[str, str]
    oci_runtime: str
    stack: str
    instance: str
    start_seconds: float
    observing: Observing
    database: Database
    call: Call
    # Whom the broker trusts where it makes a TLS connection itself.
    tls: ssl.SSLContext


class EndedEarly(Exception):
    """The container ended before its runner came."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"the container ended at once (status {ending.exit_code})")
        self.ending = ending


def new_name(instance: str) -> str:
    """Of a chamber that no run has asked for; the reaper sees whose it is."""
    return f"{instance}-{uuid.uuid4().hex[:8]}"


class TrialEars(Protocol):
    """What hears of everything that code does that is not installed.

    Without a sink its connections are real, as far as it has grants.
    """

    @property
    def own(self) -> Mapping[str, Answering]: ...

    def saw(self, touch: Touch) -> None: ...

    @property
    def sink(self) -> Callable[[str, bytes], None] | None: ...


class Chamber:
    """`name` is the folder's and the label's: a run's id, or one of `new_name`."""

    def __init__(
        self,
        place: Place,
        name: str,
        kind: str,
        installation: Installation,
        trial: "TrialEars | None" = None,
    ) -> None:
        assert installation.program is not None
        self._trial = trial
        self._place = place
        self.name = name
        self._kind = kind
        self.installation = installation
        self.is_reused = kind == "warm" and installation.program.fresh == "process"
        self._has_files = False
        # Of the processor, until it last began to wait.
        self.spent_before = 0.0
        self.program: Program = installation.program
        self.log = Log(self.program.limits.log_bytes, Masker(()))
        # The one that it serves now.
        self.run: Run | None = None
        self.talk: Conversation | None = None
        self.container: str | None = None
        self.group: cgroups.Cgroup | None = None
        self.load_seconds = 0.0
        self._folder: Path | None = None
        self._server: asyncio.Server | None = None
        self._broker: Broker | None = None
        self._door: Door | None = None
        self._announcing: Announcing | None = None
        self._untold: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def open(
        self,
        files: Sequence[InputFile] = (),
        *,
        announce: Callable[[], Awaitable[None]] | None = None,
        stopped: asyncio.Event | None = None,
    ) -> None:
        """Started, and the runner has said hello; `announce` is awaited in between.

        Raises: ImageMissing, EngineDown, EndedEarly, Violation.
        """
        place = self._place
        if why := containers.why_impossible(place.oci_runtime, self.program):
            raise EngineDown(why)
        self._folder = await asyncio.to_thread(place.folders.make_run, self.name, files)
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        connected = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # The first to come is process 1; nobody else has a business on this socket.
            if connected.done():
                writer.close()
            else:
                connected.set_result((reader, writer))

        path = self._folder / "socket" / "runner.sock"
        self._server = await asyncio.start_unix_server(accept, str(path), limit=1 << 18)
        path.chmod(0o666)
        await self._open_broker(self._folder / "socket" / "broker.sock")
        if self.program.is_service:
            self._door = Door(self._folder / "socket")
        self.container = await place.engine.create(*await self._document())
        began = time.perf_counter()
        await place.engine.start(self.container)
        if announce is not None:
            await announce()
        reader, self._writer = await self._await_runner(connected, stopped or asyncio.Event())
        metrics.START.observe(time.perf_counter() - began)
        self._server.close()
        self.group = cgroups.find(place.cgroup_root, self.container)
        self.talk = Conversation(
            reader, self._writer, limits=self.program.limits, log=self.log, stop=_ignore
        )
        self.talk.see = self._see
        try:
            await self.talk.hear_hello()
        except EOFError as error:
            raise Violation("the runner ended before it began") from error

    async def _open_broker(self, path: Path) -> None:
        """Also for a plugin without a grant, so that what it tries is told."""
        plugin, grants = self.installation.plugin, self.installation.grants
        if self._trial is not None:
            self._broker = Broker(
                plugin,
                Rules(grants.network, read_near()),
                say=self._note,
                tell=self._observe,
                own=self._trial.own,
                sink=self._trial.sink,
                caps=None if self._trial.sink is None else TRIAL_CAPS,
                tls=self._place.tls,
            )
            await self._broker.open(path)
            return
        self._announcing = Announcing(self._place.database, grants.publish, self._current)
        self._broker = Broker(
            plugin,
            Rules(grants.network, read_near()),
            say=self._note,
            tell=self._observe,
            tls=self._place.tls,
            own={
                "storage": Storage(self._place.database, plugin, grants.storage_bytes),
                "events": self._announcing,
                "plugins": Calling(self._place.call, grants.call, self._current),
            },
        )
        await self._broker.open(path)

    def serve(self, run: Run, held: Sequence[Held]) -> None:
        """From now on it is this run's."""
        assert self._broker is not None
        self.run = run
        self._broker.held = held

    def refill(self, *, with_bytes: bool) -> None:
        """For a service, whose caps are rates."""
        assert self._broker is not None
        self._broker.refill(with_bytes=with_bytes)
        if self._announcing is not None:
            self._announcing.refill()

    def _current(self) -> Run | None:
        return self.run

    def _note(self, text: str) -> None:
        self.log.note(text)

    def _observe(self, attempt: Attempt) -> None:
        self._tell(Touch(attempt.kind, visible(attempt.target), is_granted=attempt.is_granted))

    def _see(self, kind: str, target: str) -> None:
        """What the runner tells; a connection beside the broker is nobody's grant."""
        is_granted = kind not in ("connect", "resolve")
        self._tell(Touch(kind, visible(target), is_granted=is_granted))

    def _tell(self, touch: Touch) -> None:
        installation = self.installation
        masked = replace(touch, target=self.log.masker.mask(touch.target))
        if self._trial is not None:
            self._trial.saw(touch)
            return
        telling = self._place.observing.saw(installation.plugin, installation.version, masked)
        task = asyncio.create_task(telling)
        self._untold.add(task)
        task.add_done_callback(self._untold.discard)

    async def load(self) -> bool:
        """Whether the plugin is loaded; otherwise the talk's evidence has what it said."""
        assert self.talk is not None
        limits, began = self.program.limits, time.monotonic()
        await self.talk.load(
            {
                "entry_point": self.program.entry_point,
                "result_bytes": limits.result_bytes,
                "is_reused": self.is_reused,
            }
        )
        self.load_seconds = time.monotonic() - began
        return self.talk.is_ready

    def put(self, files: Sequence[InputFile]) -> None:
        """Blocking. Files of a run that came to a chamber which waited."""
        assert self._folder is not None
        self._has_files = True
        self._place.folders.put_inputs(self._folder, files)

    async def renew(self) -> bool:
        """Whether the plugin waits as it did after its import; of the last call nothing is left."""
        talk = self.talk
        if talk is None or not self.is_reused or not talk.evidence.is_undisturbed:
            return False
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                self.log = Log(self.program.limits.log_bytes, Masker(()))
                await talk.renew(self.log, _ignore)
        except (Violation, EOFError, ConnectionError, TimeoutError) as error:
            log.info("not_renewed", plugin=self.installation.plugin, reason=str(error)[:300])
            return False
        self.run = None
        assert self._broker is not None
        self._broker.renew()
        if self._has_files:
            assert self._folder is not None
            await asyncio.to_thread(self._place.folders.remove_inputs, self._folder)
            self._has_files = False
        self.load_seconds = 0.0
        if self.group is not None:
            self.spent_before = cgroups.read_cpu_seconds(self.group) or 0.0
        return True

    @property
    def is_alive(self) -> bool:
        """Whether the runner is still there, and the plugin has not ended while it waited."""
        return self.talk is not None and self.talk.is_waiting

    async def close(self) -> None:
        """The runner ends when we hang up, and with it everything in the container."""
        for server in (self._server, self._broker, self._door):
            if server is not None:
                server.close()
        if self._writer is not None:
            self._writer.transport.abort()
        if self.container is not None:
            await asyncio.shield(self._remove(self.container))
        await asyncio.to_thread(self._place.folders.remove_run, self.name)

    async def _remove(self, container: str) -> None:
        try:
            await self._place.engine.remove(container)
        except EngineDown as error:
            # The reaper takes it by its label when the engine is back.
            log.warning("container_left", container=container[:12], reason=error.detail)

    async def _document(self) -> tuple[str, dict[str, Any]]:
        place, program, installation = self._place, self.program, self.installation
        assert self._folder is not None
        runtime = runtimes.BY_NAME[program.runtime]
        image = place.images[runtime.name]
        targets = {
            "/plugin": place.folders.code(installation.sha256),
            "/in": self._folder / "in",
            "/run/heimnetz": self._folder / "socket",
        }
        if program.dependencies is not None:
            targets["/deps"] = place.folders.dependencies(program.dependencies)
        identity = containers.Identity(
            place.stack, place.instance, self.name, installation.plugin, self._kind
        )
        # An earlier attempt's container may be there yet, left by an engine that went away.
        return f"{identity.name}-{uuid.uuid4().hex[:8]}", containers.plugin(
            identity,
            image=image,
            command=runtime.command,
            uid=installation.uid,
            limits=program.limits,
            own_processes=runtime.own_processes + self.is_reused * TEMPLATE_PROCESSES,
            folders=targets,
            image_variables=await place.engine.list_variables(image),
            oci_runtime=place.oci_runtime,
        )

    async def _await_runner(
        self,
        connected: "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]",
        stopped: asyncio.Event,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        stopping = asyncio.create_task(stopped.wait())
        deadline = time.monotonic() + self._place.start_seconds
        assert self.container is not None
        try:
            while True:
                waiting: tuple[asyncio.Future[Any], ...] = (connected, stopping)
                await asyncio.wait(waiting, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
                if connected.done():
                    return connected.result()
                if stopping.done():
                    raise Violation("stopped before the runner came")
                ending = await self._place.engine.inspect(self.container)
                if not ending.is_running:
                    raise EndedEarly(ending)
                if time.monotonic() > deadline:
                    raise EngineDown("the container did not start in time")
        finally:
            stopping.cancel()

    async def look_why(self, seconds: float) -> Ending:
        """How the container ended, when its runner hung up. Raises: EngineDown."""
        assert self.container is not None
        with contextlib.suppress(EngineDown):
            await self._place.engine.wait(self.container, seconds)
        return await self._place.engine.inspect(self.container)


def _ignore(_outcome: Outcome, _reason: str) -> None:
    """Nobody runs in it yet."""
