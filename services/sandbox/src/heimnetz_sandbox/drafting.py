"""A working copy, run once as it would run: with its caps, and the grants that its author can give.

It is not published, installed or recorded. Its connections are real where they are granted; events
and calls lead nowhere, since what is tried on every save must not set off other plugins.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from heimnetz_common import strictjson
from heimnetz_common.errors import Mistake
from heimnetz_manifest import Grants, InvalidConfiguration, ManifestError, Package, read_package
from heimnetz_manifest.model import Example
from heimnetz_sandbox.broker import announcing, calling
from heimnetz_sandbox.broker.answering import Answer, Answering
from heimnetz_sandbox.broker.holding import give
from heimnetz_sandbox.chambers import Chamber, EndedEarly, Place, new_name
from heimnetz_sandbox.conversing import Violation
from heimnetz_sandbox.errors import (
    CannotPrepare,
    EngineDown,
    ImageMissing,
    InvalidDraft,
    QueueFull,
)
from heimnetz_sandbox.model import (
    Evidence,
    InputFile,
    Installation,
    LogLine,
    Outcome,
    Touch,
    judge,
)
from heimnetz_sandbox.observing import MAX_TARGET_CHARACTERS
from heimnetz_sandbox.preparing import Preparer
from heimnetz_sandbox.recording import Log
from heimnetz_sandbox.running import Execution, Task
from heimnetz_sandbox.trialing import MAX_TOUCHES, STORAGE_BYTES, Memory, Nowhere, make_run

MAX_WALL_SECONDS = 300.0


class Reach:
    """Hears what a draft reaches for; what is granted of the network is reached."""

    sink = None

    def __init__(self, grants: Grants) -> None:
        self.touches: dict[Touch, None] = {}
        room = grants.storage_bytes
        self.own: Mapping[str, Answering] = {
            "storage": _Granted(Memory(min(room, STORAGE_BYTES), is_granted=room > 0)),
            "events": _Granted(Nowhere(_forget, partial(announcing.touch, allowed=grants.publish))),
            "plugins": _Granted(Nowhere(_forget, partial(calling.touch, allowed=grants.call))),
        }

    def saw(self, touch: Touch) -> None:
        if len(self.touches) < MAX_TOUCHES:
            self.touches[replace(touch, target=touch.target[:MAX_TARGET_CHARACTERS])] = None


class _Granted:
    """Without a grant it is refused, as in a run."""

    def __init__(self, inner: Answering) -> None:
        self._inner = inner

    def touch(self, method: str, target: str) -> Touch:
        return self._inner.touch(method, target)

    async def answer(self, method: str, target: str, body: bytes) -> Answer:
        touch = self.touch(method, target)
        if not touch.is_granted:
            return Answer(403, f"{touch.kind} {touch.target[:160]!a} is not granted".encode())
        return await self._inner.answer(method, target, body)


def _forget(_where: str, _text: str) -> None:
    """Its author may know what it sends."""


@dataclass(frozen=True, slots=True)
class Tried:
    outcome: Outcome
    reason: str | None
    evidence: Evidence = field(default_factory=Evidence)
    log: tuple[LogLine, ...] = ()
    duration_seconds: float = 0.0


class Drafts:
    """One at a time, as trials are."""

    def __init__(self, preparer: Preparer, place: Place) -> None:
        self._preparer = preparer
        self._place = place
        self._lock = asyncio.Lock()

    async def run(
        self,
        data: bytes,
        *,
        example: str | None,
        given: dict[str, Any] | None,
        configuration: dict[str, Any],
        is_granted: bool,
    ) -> dict[str, Any]:
        """The report. `example` is a name in the manifest; `given` takes the place of its input.

        Raises: InvalidDraft, QueueFull.
        """
        if self._lock.locked():
            raise QueueFull("another draft is under way", retry_after_seconds=2)
        async with self._lock:
            package = await _read(data)
            manifest = package.manifest
            chosen = _choose(package, example)
            if given is not None:
                chosen = chosen.model_copy(update={"input": given})
            grants = Grants.all_of(manifest.permissions) if is_granted else Grants()
            reach = Reach(grants)
            values, made_up_secrets = _configure(package, {**chosen.configuration, **configuration})
            tried = await self._try(package, grants, chosen, values, reach)
        result = tried.evidence.result if tried.outcome is Outcome.OK else None
        return {
            "plugin": str(manifest.name),
            "version": str(manifest.version),
            "example": example,
            "has_grants": is_granted,
            "made_up_secrets": made_up_secrets,
            "outcome": str(tried.outcome),
            "reason": tried.reason,
            "result": None if result is None else strictjson.loads(result),
            "duration_seconds": round(tried.duration_seconds, 3),
            "peak_memory_bytes": tried.evidence.peak_memory_bytes,
            "cpu_seconds": tried.evidence.cpu_seconds,
            "files": [
                {"name": one.name, "size_bytes": len(one.data)} for one in tried.evidence.files
            ],
            "log": [asdict(line) for line in tried.log],
            "reached": [asdict(touch) for touch in reach.touches],
        }

    async def _try(
        self,
        package: Package,
        grants: Grants,
        example: Example,
        values: dict[str, Any],
        reach: Reach,
    ) -> Tried:
        try:
            completed = package.manifest.configuration_schema.complete(values)
            installation = await self._preparer.prepare_draft(package, grants)
        except InvalidConfiguration as error:
            return Tried(Outcome.REFUSED, f"the configuration does not fit: {error.detail}")
        except CannotPrepare as error:
            return Tried(Outcome.REFUSED, error.detail)
        except EngineDown as error:
            return Tried(Outcome.ENGINE_ERROR, error.detail)
        try:
            return await self._execute(_task(installation, package, example, completed), reach)
        except ImageMissing as error:
            return Tried(Outcome.IMAGE_UNAVAILABLE, error.detail)
        except EngineDown as error:
            return Tried(Outcome.ENGINE_ERROR, error.detail)
        finally:
            await self._preparer.forget_draft(installation)

    async def _execute(self, task: Task, reach: Reach) -> Tried:
        name = new_name(self._place.instance)
        chamber = Chamber(self._place, name, "draft", task.installation, reach)
        execution = Execution(self._place, task)
        began = time.monotonic()

        async def begin() -> None:
            nonlocal began
            began = time.monotonic()

        try:
            await chamber.open(task.files)
            evidence = await execution.run(begin, _keep, chamber)
        except (EndedEarly, Violation) as error:
            evidence = Evidence(violation=str(error))
        finally:
            took = time.monotonic() - began
            await chamber.close()
        return Tried(*judge(evidence), evidence, tuple(execution.log.pending), took)


async def _read(data: bytes) -> Package:
    """Raises: InvalidDraft."""
    try:
        package = await asyncio.to_thread(read_package, data)
    except ManifestError as error:
        mistakes = [
            Mistake(one.detail, one.pointer, one.line, one.column)
            for one in getattr(error, "mistakes", ())
        ]
        raise InvalidDraft(f"the package is not accepted: {error.detail}", mistakes) from error
    if package.manifest.kind == "service":
        raise InvalidDraft("a service has no calls that it could be tried with")
    return package


def _choose(package: Package, name: str | None) -> Example:
    """Raises: InvalidDraft."""
    if name is None:
        return Example(name="none")
    for one in package.manifest.examples:
        if one.name == name:
            return one
    raise InvalidDraft(f"the manifest has no example {name!a}")


def _configure(package: Package, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values, and the secrets that nobody gave and that have made-up ones."""
    schema = package.manifest.configuration_schema
    _, given = schema.split(values)
    missing = {
        pointer: f"draft-{secrets.token_hex(8)}"
        for pointer in schema.secrets
        if pointer not in given
    }
    return schema.join(values, missing), sorted(missing)


def _task(
    installation: Installation, package: Package, example: Example, values: dict[str, Any]
) -> Task:
    assert installation.program is not None
    limits = installation.program.limits
    wall = min(limits.wall_seconds, MAX_WALL_SECONDS)
    program = replace(installation.program, limits=replace(limits, wall_seconds=wall))
    return Task(
        run=make_run(installation, "draft"),
        installation=installation,
        program=program,
        given=give(program, values, installation.grants),
        input=example.input,
        files=[InputFile(name.rpartition("/")[2], package.files[name]) for name in example.files],
    )


async def _keep(_log: Log) -> None:
    """Its log is told in the end, and not kept."""
