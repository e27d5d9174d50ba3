"""A version tried out before anybody approves it: on its own examples, with canaries for secrets.

Every host is a sink that listens and passes nothing on; storage is empty and forgotten afterwards;
events and calls lead nowhere. What the version touches is the result: evidence, since a version may
notice, wait, or do something else next time. Without examples nothing is known.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from heimnetz_common.database import Database
from heimnetz_common.errors import NotFound
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import Trace
from heimnetz_manifest import Grants, InvalidConfiguration, Package
from heimnetz_manifest.model import Example
from heimnetz_sandbox.broker import announcing, calling, storing
from heimnetz_sandbox.broker.answering import Answer, Answering
from heimnetz_sandbox.broker.holding import give
from heimnetz_sandbox.chambers import Chamber, EndedEarly, Place, new_name
from heimnetz_sandbox.conversing import Violation
from heimnetz_sandbox.errors import QueueFull, VersionUnknown
from heimnetz_sandbox.model import (
    Evidence,
    InputFile,
    Installation,
    Outcome,
    Run,
    State,
    Touch,
    judge,
    new_run_id,
)
from heimnetz_sandbox.observing import MAX_TARGET_CHARACTERS
from heimnetz_sandbox.preparing import Preparer
from heimnetz_sandbox.recording import Log, Masker, visible
from heimnetz_sandbox.running import Execution, Task
from heimnetz_sandbox.store import trials

MAX_EXAMPLES = 16
MAX_SECONDS = 180.0
MAX_TOUCHES = 300
MAX_RESULT_CHARACTERS = 16 * 1024
MAX_WALL_SECONDS = 60.0
STORAGE_KEYS, STORAGE_BYTES = 1000, 4 << 20

log = get_logger(__name__)


class Ears:
    """Hears everything of one trial.

    `canaries` are its secrets by their name, `declared` is what the manifest asks for.
    """

    def __init__(self, canaries: Mapping[str, str], declared: Grants) -> None:
        self.touches: dict[Touch, None] = {}
        self.leaks: dict[tuple[str, str], None] = {}
        self._maskers = {name: Masker([value]) for name, value in canaries.items()}
        self._whole = Masker(canaries.values())
        self.own: Mapping[str, Answering] = {
            "storage": Memory(STORAGE_BYTES, is_granted=declared.storage_bytes > 0),
            "events": Nowhere(self.search, partial(announcing.touch, allowed=declared.publish)),
            "plugins": Nowhere(self.search, partial(calling.touch, allowed=declared.call)),
        }

    def saw(self, touch: Touch) -> None:
        self.search(touch.kind, touch.target)
        if len(self.touches) < MAX_TOUCHES:
            target = visible(self._whole.mask(touch.target))[:MAX_TARGET_CHARACTERS]
            self.touches[replace(touch, target=target)] = None

    @property
    def sink(self) -> Callable[[str, bytes], None]:
        return self.heard

    def heard(self, target: str, data: bytes) -> None:
        self.search(f"sent to {target}", data.decode("latin-1"))

    def search(self, where: str, text: str) -> None:
        """Whether a canary is in it, plain or encoded."""
        for name, masker in self._maskers.items():
            if masker.mask(text) != text and len(self.leaks) < MAX_TOUCHES:
                self.leaks[name, visible(self._whole.mask(where))] = None


class Memory:
    """A storage that ends with the trial."""

    def __init__(self, quota_bytes: int, *, is_granted: bool) -> None:
        self._quota = quota_bytes
        self._values: dict[str, bytes] = {}
        self._is_granted = is_granted

    def touch(self, method: str, target: str) -> Touch:  # noqa: ARG002
        return storing.touch(method, is_granted=self._is_granted)

    async def answer(self, method: str, target: str, body: bytes) -> Answer:
        key = target.removeprefix("/storage")
        match method:
            case "GET" if key[:1] != "/":
                names = [name[1:] for name in self._values]
                return Answer(200, json.dumps(names).encode())
            case "GET":
                value = self._values.get(key)
                return Answer(404) if value is None else Answer(200, value)
            case "PUT" if self._has_room(body):
                self._values[key] = body
                return Answer(204)
            case "DELETE":
                self._values.pop(key, None)
                return Answer(204)
        return Answer(507, b"a trial has little room")

    def _has_room(self, body: bytes) -> bool:
        taken = sum(len(value) for value in self._values.values())
        return len(self._values) < STORAGE_KEYS and taken + len(body) <= self._quota


class Nowhere:
    """Events and calls of other plugins: `search` is told of them, and nobody else."""

    def __init__(self, search: Callable[[str, str], None], look: Callable[[str], Touch]) -> None:
        self._search = search
        self._look = look

    def touch(self, method: str, target: str) -> Touch:  # noqa: ARG002
        return self._look(target)

    async def answer(self, method: str, target: str, body: bytes) -> Answer:
        touch = self.touch(method, target)
        self._search(f"{touch.kind} {touch.target}", body.decode("latin-1"))
        return Answer(503, b"nobody is called here") if touch.kind == "call" else Answer(204)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One example."""

    example: str
    outcome: str
    reason: str | None
    duration_seconds: float
    result: str | None = field(default=None, repr=False)


class Trials:
    """One at a time: it is nobody's daily bread, and runs must not wait for it."""

    def __init__(
        self, database: Database, registry: ServiceClient, preparer: Preparer, place: Place
    ) -> None:
        self._database = database
        self._registry = registry
        self._preparer = preparer
        self._place = place
        self._lock = asyncio.Lock()

    async def hold(self, plugin: str, version: str) -> dict[str, Any]:
        """The report, which is kept too.

        Raises: VersionUnknown, QueueFull, CannotPrepare, EngineDown, Unavailable.
        """
        if self._lock.locked():
            raise QueueFull("another trial is under way", retry_after_seconds=30)
        async with self._lock:
            report = await self._hold(plugin, version)
            async with self._database.transaction() as connection:
                await trials.put(
                    connection,
                    plugin=plugin,
                    version=version,
                    sha256=report["sha256"],
                    report=report,
                )
        log.info("trial_held", plugin=plugin, version=version, verdict=report["verdict"])
        return report

    async def _hold(self, plugin: str, version: str) -> dict[str, Any]:
        try:
            facts = await self._registry.get(f"/v1/plugins/{plugin}/versions/{version}")
        except NotFound as error:
            raise VersionUnknown(plugin, version) from error
        installation, package = await self._preparer.prepare_version(
            plugin, version, facts["sha256"]
        )
        schema = package.manifest.configuration_schema
        canaries = {pointer: f"hnc{uuid.uuid4().hex}" for pointer in schema.secrets}
        ears = Ears(canaries, installation.grants)
        attempts: list[Attempt] = []
        until = time.monotonic() + MAX_SECONDS
        for example in package.manifest.examples[:MAX_EXAMPLES]:
            if time.monotonic() > until:
                attempts.append(Attempt(example.name, "not_tried", "there was no time left", 0.0))
                continue
            if installation.program is not None and installation.program.is_service:
                attempts.append(Attempt(example.name, "not_tried", "a service has no calls", 0.0))
                continue
            attempts.append(await self._try(installation, package, example, canaries, ears))
        is_known = any(one.outcome not in ("not_tried", "refused") for one in attempts)
        return {
            "plugin": plugin,
            "version": version,
            "sha256": installation.sha256,
            "held_at": datetime.now(UTC).isoformat(),
            "verdict": "observed" if is_known else "unknown",
            "examples": [asdict(one) for one in attempts],
            "touched": [
                {"kind": one.kind, "target": one.target, "is_declared": one.is_granted}
                for one in ears.touches
            ],
            "leaked": [{"secret": name, "where": where} for name, where in ears.leaks],
        }

    async def _try(
        self,
        installation: Installation,
        package: Package,
        example: Example,
        canaries: Mapping[str, str],
        ears: Ears,
    ) -> Attempt:
        schema = package.manifest.configuration_schema
        try:
            configuration = schema.complete(schema.join(example.configuration, dict(canaries)))
        except InvalidConfiguration as error:
            return Attempt(example.name, "refused", error.detail, 0.0)
        assert installation.program is not None
        limits = installation.program.limits
        wall = min(limits.wall_seconds, MAX_WALL_SECONDS)
        program = replace(installation.program, limits=replace(limits, wall_seconds=wall))
        files = [InputFile(name.rpartition("/")[2], package.files[name]) for name in example.files]
        task = Task(
            run=make_run(installation, "trial"),
            installation=installation,
            program=program,
            given=give(program, configuration, installation.grants),
            input=example.input,
            files=files,
        )
        began = time.monotonic()
        evidence, run_log = await self._execute(task, ears)
        outcome, reason = judge(evidence)
        for line in run_log.pending:
            if "***" in line.text:
                ears.leaks[", ".join(canaries), "its log"] = None
                break
        for place, text in (("its result", evidence.result), *_texts(evidence)):
            ears.search(place, text or "")
        masked = Masker(canaries.values()).mask(evidence.result or "")
        is_shown = outcome is Outcome.OK and len(masked) <= MAX_RESULT_CHARACTERS
        return Attempt(
            example=example.name,
            outcome=str(outcome),
            reason=reason,
            duration_seconds=round(time.monotonic() - began, 3),
            result=masked if is_shown else None,
        )

    async def _execute(self, task: Task, ears: Ears) -> tuple[Evidence, Log]:
        name = new_name(self._place.instance)
        chamber = Chamber(self._place, name, "trial", task.installation, ears)
        execution = Execution(self._place, task)
        try:
            await chamber.open()
            evidence = await execution.run(_nothing, _keep, chamber)
        except (EndedEarly, Violation) as error:
            evidence = Evidence(violation=str(error))
        finally:
            await chamber.close()
        return evidence, execution.log


def _texts(evidence: Evidence) -> list[tuple[str, str]]:
    return [(f"file {one.name}", one.data.decode("latin-1")) for one in evidence.files]


def make_run(installation: Installation, trigger: str) -> Run:
    """One that is under way and kept nowhere."""
    now = datetime.now(UTC)
    return Run(
        id=new_run_id(now),
        plugin=installation.plugin,
        version=installation.version,
        sha256=installation.sha256,
        trigger=trigger,
        state=State.RUNNING,
        outcome=None,
        reason=None,
        queued_at=now,
        started_at=now,
        finished_at=None,
        duration_seconds=None,
        peak_memory_bytes=None,
        cpu_seconds=None,
        exit_code=None,
        traceparent=Trace.new().traceparent,
        log_truncated=False,
        attempts=1,
    )


async def _nothing() -> None:
    """Nobody waits to hear that a trial has begun."""


async def _keep(_log: Log) -> None:
    """Its log is looked at in the end, and not kept."""
