"""What goes over the wire."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from heimnetz_common import strictjson
from heimnetz_common.routing import StrictBody
from heimnetz_sandbox.store.observed import Seen
from heimnetz_sandbox.watching import Look

PLUGIN_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"


class RunRequest(StrictBody):
    input: dict[str, Any] = Field(default_factory=dict)


class RunFile(BaseModel):
    name: str
    size_bytes: int
    sha256: str


class RunView(BaseModel):
    """A run; `outcome` is null until its state is finished."""

    id: str
    plugin: str
    version: str
    trigger: str
    state: str
    outcome: str | None
    reason: str | None
    result: Any = None
    files: list[RunFile] = Field(default_factory=list)
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    peak_memory_bytes: int | None
    cpu_seconds: float | None
    exit_code: int | None
    trace_id: str
    log_truncated: bool
    retry_of: str | None

    @classmethod
    def of(cls, look: Look) -> Self:
        run = look.run
        return cls(
            id=run.id,
            plugin=run.plugin,
            version=run.version,
            trigger=run.trigger,
            state=str(run.state),
            outcome=None if run.outcome is None else str(run.outcome),
            reason=run.reason,
            result=None if look.result is None else strictjson.loads(look.result),
            files=[
                RunFile(name=file.name, size_bytes=file.size_bytes, sha256=file.sha256)
                for file in look.files
            ],
            queued_at=run.queued_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            duration_seconds=run.duration_seconds,
            peak_memory_bytes=run.peak_memory_bytes,
            cpu_seconds=run.cpu_seconds,
            exit_code=run.exit_code,
            trace_id=run.trace_id,
            log_truncated=run.log_truncated,
            retry_of=run.retry_of,
        )


class RunPage(BaseModel):
    items: list[RunView]
    next_cursor: str | None


class FoundLine(BaseModel):
    """`number` counts the lines of its run from 0."""

    run_id: str
    number: int
    at: datetime
    stream: str
    text: str


class LogPage(BaseModel):
    items: list[FoundLine]
    next_cursor: str | None


class Observed(BaseModel):
    kind: str
    target: str
    is_granted: bool
    version: str
    seen_at: datetime


class Behaviour(BaseModel):
    items: list[Observed]

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> Self:
        return cls(items=[Observed(**asdict(one)) for one in seen])


class TrialRequest(StrictBody):
    plugin: str = Field(pattern=PLUGIN_PATTERN)
    version: str = Field(min_length=1, max_length=255, pattern=r"^[0-9A-Za-z.+-]+$")


class ExampleTried(BaseModel):
    """`result` is JSON text, when it is short; secrets are masked in it."""

    example: str
    outcome: str
    reason: str | None
    duration_seconds: float
    result: str | None


class Touched(BaseModel):
    kind: str
    target: str
    is_declared: bool


class Leaked(BaseModel):
    """A secret of the configuration that was seen outside it."""

    secret: str
    where: str


class TrialView(BaseModel):
    """`verdict` is `observed`, or `unknown` where no example could be tried; it is never clean."""

    plugin: str
    version: str
    sha256: str
    held_at: datetime
    verdict: str
    examples: list[ExampleTried]
    touched: list[Touched]
    leaked: list[Leaked]


class DraftRequest(StrictBody):
    """One of the manifest's examples, with another input or more configuration if given."""

    example: str | None = Field(default=None, max_length=63)
    input: dict[str, Any] | None = None
    configuration: dict[str, Any] = Field(default_factory=dict)


class Reached(BaseModel):
    kind: str
    target: str
    is_granted: bool


class DraftFile(BaseModel):
    name: str
    size_bytes: int


class DraftLine(BaseModel):
    """`stream` is stdout, stderr, log (the plugin's own) or sandbox."""

    at: datetime
    stream: str
    text: str


class DraftView(BaseModel):
    """`made_up_secrets`: those that nobody gave, by JSON Pointer, and that were made up."""

    plugin: str
    version: str
    example: str | None
    has_grants: bool
    made_up_secrets: list[str]
    outcome: str
    reason: str | None
    result: Any = None
    duration_seconds: float
    peak_memory_bytes: int | None
    cpu_seconds: float | None
    files: list[DraftFile]
    log: list[DraftLine]
    reached: list[Reached]
