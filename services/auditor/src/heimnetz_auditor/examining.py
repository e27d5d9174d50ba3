"""Runs the engine over one package in a process of its own, with caps on everything."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heimnetz_audit import ENGINE_VERSION
from heimnetz_audit.model import Severity
from heimnetz_auditor.errors import AuditFailed
from heimnetz_auditor.model import Answer, Request, Verdict
from heimnetz_auditor.policy import OwnersPolicy
from heimnetz_common import strictjson
from heimnetz_common.errors import InvalidInput
from heimnetz_common.logs import get_logger

#: Reports of the largest packages took 3 MiB in five formats; more is an attack on us.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_REASONS = 20
_MAX_COMPLAINT_BYTES = 8 * 1024

log = get_logger(__name__)

_Text = Annotated[str, Field(max_length=MAX_ANSWER_BYTES)]
_Severity = Annotated[str, Field(pattern=rf"^({'|'.join(one.label for one in Severity)})$")]


class _Said(BaseModel):
    """The worker's answer. It may be forged: it is read as strictly as a stranger's."""

    model_config = ConfigDict(strict=True, extra="forbid")

    has_no_network: bool
    has_no_files: bool
    failure: Annotated[str, Field(max_length=4000)] | None = None
    score: Annotated[int, Field(ge=0, le=100)] = 0
    grade: Annotated[str, Field(pattern=r"^[A-F]$")] = "F"
    verdict: Annotated[str, Field(pattern=r"^(approve|review|reject)$")] = "review"
    reasons: list[_Text] = []
    counts: dict[_Severity, Annotated[int, Field(ge=0, le=MAX_ANSWER_BYTES)]] = {}
    undeclared: list[_Text] = []
    unused: list[_Text] = []
    reports: dict[str, _Text] = {}
    holds_until: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None


@dataclass(frozen=True, slots=True)
class Examiner:
    """`seconds` is wall time; the same bounds the processor time."""

    seconds: float
    memory_bytes: int
    command: tuple[str, ...] = (sys.executable, "-I", "-m", "heimnetz_auditor.worker")

    async def examine(
        self,
        package: bytes,
        policy: OwnersPolicy,
        request: Request,
        today: date,
        *,
        before: bytes = b"",
        advisories: bytes = b"",
    ) -> Answer:
        """`before` is the package of the version before; `advisories` are compressed by gzip.

        Raises: AuditFailed.
        """
        header = {
            "package_bytes": len(package),
            "before_bytes": len(before),
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": max(1, int(self.seconds)),
            "policy": dict(policy.document),
            "plugin": request.plugin,
            "version": request.version,
            "publisher": request.publisher,
            "is_signed": request.is_signed,
            "today": today.isoformat(),
        }
        output = await self._run(orjson.dumps(header) + b"\n" + package + before + advisories)
        said = _read(output)
        holds_until = _day(said.holds_until, today)
        if not said.has_no_network:
            log.warning("audit_had_network", remedy="the kernel or the engine refuses seccomp")
        if said.failure is not None:
            raise AuditFailed(said.failure)
        return Answer(
            engine_version=ENGINE_VERSION,
            score=said.score,
            grade=said.grade,
            verdict=Verdict(said.verdict),
            reasons=tuple(reason[:500] for reason in said.reasons[:MAX_REASONS]),
            counts=said.counts,
            undeclared=tuple(said.undeclared),
            unused=tuple(said.unused),
            reports=said.reports,
            holds_until=holds_until,
        )

    async def _run(self, document: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(os.environ),
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(self.seconds):
                _, output, complaint, status = await asyncio.gather(
                    _feed(process.stdin, document),
                    _take(process.stdout, MAX_ANSWER_BYTES),
                    _take(process.stderr, _MAX_COMPLAINT_BYTES),
                    process.wait(),
                )
        except TimeoutError as error:
            raise AuditFailed(f"the audit took longer than {self.seconds:g} s") from error
        finally:
            # Its group, so that what it started ends as well; also when we are cancelled.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if status != 0:
            log.warning(
                "audit_crashed", status=status, complaint=complaint.decode("utf-8", "replace")
            )
            raise AuditFailed(_ending(status))
        if len(output) > MAX_ANSWER_BYTES:
            raise AuditFailed(f"the report is larger than {MAX_ANSWER_BYTES} bytes")
        return output


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the service's own settings."""
    return {name: ours[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in ours} | {
        "LANG": "C.UTF-8"
    }


async def _feed(pipe: asyncio.StreamWriter, document: bytes) -> None:
    # A worker that died before it read everything is judged by its status.
    with suppress(ConnectionError):
        pipe.write(document)
        await pipe.drain()
    with suppress(ConnectionError):
        pipe.close()
        await pipe.wait_closed()


async def _take(pipe: asyncio.StreamReader, limit: int) -> bytes:
    """What comes, up to one byte more than the limit; the rest is read and dropped."""
    taken = bytearray()
    while chunk := await pipe.read(65536):
        taken += chunk[: limit + 1 - len(taken)]
    return bytes(taken)


def _ending(status: int) -> str:
    if status == -signal.SIGXCPU:
        return "the audit used up its processor time"
    if status == -signal.SIGKILL:
        return "the audit was killed, most likely for its memory"
    if status < 0:
        return f"the engine crashed ({signal.Signals(-status).name})"
    return f"the engine failed with status {status}"


def _read(output: bytes) -> _Said:
    try:
        return _Said.model_validate(strictjson.loads(output))
    except (ValidationError, InvalidInput) as error:
        raise AuditFailed("the engine's answer makes no sense") from error


def _day(text: str | None, today: date) -> date | None:
    """A day that is over would have the package audited again and again."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise AuditFailed("the engine's answer makes no sense") from error
    if day < today:
        raise AuditFailed("the engine's answer makes no sense")
    return day
