"""Runs, installations, limits, outcomes, and the rule that tells outcomes apart."""

import re
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from heimnetz_manifest import Grants
from heimnetz_sandbox.errors import InvalidFile

FIRST_PLUGIN_UID = 20_000
PLUGIN_UIDS = 40_000
MAX_INPUT_BYTES = 1024 * 1024
MAX_PACKAGE_BYTES = 20 * 1024 * 1024
MAX_FILES_BYTES = 20 * 1024 * 1024
MAX_FILES = 32

_FILE_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,200}")


class Outcome(StrEnum):
    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CPU_LIMIT = "cpu_limit"
    OUT_OF_MEMORY = "out_of_memory"
    PIDS_LIMIT = "pids_limit"
    DISK_LIMIT = "disk_limit"
    OUTPUT_LIMIT = "output_limit"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    IMAGE_UNAVAILABLE = "image_unavailable"
    ENGINE_ERROR = "engine_error"
    KILLED = "killed"


OUTCOMES: dict[Outcome, str] = {
    Outcome.OK: "The plugin returned a result.",
    Outcome.ERROR: "The plugin raised an error, left its protocol or ended by itself.",
    Outcome.TIMEOUT: "It took longer than its wall time.",
    Outcome.CPU_LIMIT: "It used more processor time than it may.",
    Outcome.OUT_OF_MEMORY: "It needed more memory than it may use.",
    Outcome.PIDS_LIMIT: "It started more processes than it may.",
    Outcome.DISK_LIMIT: "It wrote more to /tmp or /out than fits.",
    Outcome.OUTPUT_LIMIT: "Its result, files or log were larger than they may be.",
    Outcome.CANCELLED: "Somebody cancelled the run.",
    Outcome.REFUSED: "The run was never started: the version, its configuration or its "
    "dependencies do not allow it.",
    Outcome.INTERRUPTED: "The sandbox was stopped or fell silent while it ran.",
    Outcome.IMAGE_UNAVAILABLE: "The runtime's image is not there.",
    Outcome.ENGINE_ERROR: "The container engine failed, or discarded a cap.",
    Outcome.KILLED: "The version was quarantined or deleted while it ran.",
}


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


class Trigger(StrEnum):
    HTTP = "http"
    CRON = "cron"
    EVENT = "event"
    PLUGIN = "plugin"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one run; the defaults are the architecture page's."""

    memory_bytes: int = 128 << 20
    cpus: float = 0.5
    cpu_seconds: float | None = None
    processes: int = 64
    open_files: int = 64
    wall_seconds: float = 30.0
    tmp_bytes: int = 32 << 20
    tmp_inodes: int = 1024
    result_bytes: int = 1 << 20
    log_bytes: int = 256 << 10
    output_bytes: int = 32 << 20
    output_inodes: int = 256


@dataclass(frozen=True, slots=True)
class Health:
    """How a service is asked whether it is well; one that declares nothing only has to answer."""

    path: str = "/"
    interval_seconds: float = 30.0
    is_declared: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """What of a package the sandbox needs to run it. Known once the package was prepared."""

    runtime: str
    entry_point: str
    limits: Limits
    tree_sha256: str
    secret_pointers: tuple[str, ...] = ()
    dependencies: str | None = None
    fresh: str = "container"
    # Secrets that the plugin gets a placeholder for.
    held: tuple[str, ...] = ()
    kind: str = "job"
    health: Health = field(default_factory=Health)

    @property
    def is_service(self) -> bool:
        return self.kind == "service"


@dataclass(frozen=True, slots=True)
class Installation:
    """`number` is the installation's own for ever, so that its user is nobody else's."""

    plugin: str
    version: str
    sha256: str
    number: int
    triggers: Mapping[str, Any]
    grants: Grants = field(default_factory=Grants)
    is_installed: bool = True
    installed_at: datetime | None = None
    traced_until: datetime | None = None
    program: Program | None = None
    failure: str | None = None
    configuration: bytes | None = field(default=None, repr=False)

    def traces_memory(self, now: datetime) -> bool:
        return self.traced_until is not None and now < self.traced_until

    def owes(self, slot: datetime) -> bool:
        """A slot before it was installed is nobody's."""
        return self.installed_at is None or slot >= self.installed_at

    @property
    def uid(self) -> int:
        return FIRST_PLUGIN_UID + self.number % PLUGIN_UIDS


@dataclass(frozen=True, slots=True)
class Touch:
    """Something outside that a plugin reached for."""

    kind: str
    target: str
    is_granted: bool


@dataclass(frozen=True, slots=True)
class InputFile:
    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutputFile:
    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogLine:
    """`stream` is stdout, stderr, log (the plugin's own) or sandbox (ours)."""

    at: datetime
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A run that somebody asks for; `input` is JSON text in UTF-8."""

    plugin: str
    trigger: Trigger
    input: bytes
    files: tuple[InputFile, ...] = ()
    requested_by: str = ""
    idempotency_key: str | None = None
    traceparent: str | None = None
    depth: int = 0
    retries: int = 0
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    plugin: str
    version: str
    sha256: str
    trigger: str
    state: State
    outcome: Outcome | None
    reason: str | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    peak_memory_bytes: int | None
    cpu_seconds: float | None
    exit_code: int | None
    traceparent: str
    log_truncated: bool
    attempts: int
    depth: int = 0
    retries_left: int = 0
    tries: int = 1
    retry_of: str | None = None

    @property
    def trace_id(self) -> str:
        return self.traceparent.split("-")[1]


@dataclass(slots=True)
class Evidence:
    """What was seen of a run, from inside (which may lie) and from outside."""

    result: str | None = None
    cause: str | None = None
    reason: str | None = None
    violation: str | None = None
    has_ended: bool = False
    exit_code: int | None = None
    exit_signal: int = 0
    is_oom_killed: bool = False
    has_hit_pids: bool = False
    stopped_by: Outcome | None = None
    stopped_because: str = ""
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    log_truncated: bool = False
    files: list[OutputFile] = field(default_factory=list)

    @property
    def is_undisturbed(self) -> bool:
        """It came to its end by itself, and hit no cap of the whole container."""
        is_whole = self.has_ended and self.violation is None and self.stopped_by is None
        return is_whole and not (self.is_oom_killed or self.has_hit_pids)


def judge(evidence: Evidence) -> tuple[Outcome, str | None]:
    """The outcome, and in words why; what we did to the run outweighs what the run says."""
    if evidence.stopped_by is not None:
        return evidence.stopped_by, evidence.stopped_because
    if evidence.violation is not None:
        return Outcome.ERROR, evidence.violation
    if evidence.result is not None and evidence.has_ended:
        return Outcome.OK, None
    if evidence.is_oom_killed or evidence.cause == "out_of_memory":
        return Outcome.OUT_OF_MEMORY, "the plugin needed more memory than its limit"
    return _failure(evidence), evidence.reason or _ending(evidence)


def _failure(evidence: Evidence) -> Outcome:
    if evidence.cause == "output_limit":
        return Outcome.OUTPUT_LIMIT
    if evidence.cause == "disk_limit" or evidence.exit_signal == signal.SIGXFSZ:
        return Outcome.DISK_LIMIT
    return Outcome.PIDS_LIMIT if evidence.has_hit_pids else Outcome.ERROR


def _ending(evidence: Evidence) -> str:
    if evidence.exit_signal:
        try:
            name = signal.Signals(evidence.exit_signal).name
        except ValueError:
            name = f"signal {evidence.exit_signal}"
        return f"the plugin was ended by {name}"
    code = "" if evidence.exit_code is None else f" (status {evidence.exit_code})"
    return f"the plugin ended without a result{code}"


def new_run_id(now: datetime) -> str:
    """A UUID of version 7 (RFC 9562): sorts by time."""
    random = uuid.uuid4().int
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    low = random & (1 << 62) - 1 | 0b10 << 62
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | (random >> 64 & 0xFFF) << 64 | low))


def check_file_names(names: list[str]) -> None:
    """Raises: InvalidFile."""
    if len(names) > MAX_FILES:
        raise InvalidFile(f"a run takes at most {MAX_FILES} files")
    for name in names:
        if not _FILE_NAME.fullmatch(name) or name in (".", "..") or len(name.encode()) > 255:
            raise InvalidFile(f"{name[:100]!r} is not a plain file name")
    if len({name.casefold() for name in names}) != len(names):
        raise InvalidFile("two files have the same name")
