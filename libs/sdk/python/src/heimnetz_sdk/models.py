"""What the services answer, as frozen values.

A service may add fields at any time: what is not named here is ignored, and `document` keeps the
answer as it came.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any, Generic, TypeVar, get_type_hints

from heimnetz_sdk.errors import UnexpectedAnswer

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Model:
    document: Document = field(repr=False, compare=False)


ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True)
class Page(Generic[ModelT]):
    items: tuple[ModelT, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Me(Model):
    subject: str
    name: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Session(Model):
    token: str = field(repr=False)
    name: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Token(Model):
    id: str
    token: str = field(repr=False, default="")
    name: str = ""
    role: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PluginSummary(Model):
    plugin: str
    title: str = ""
    summary: str = ""
    latest: str = ""
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Version(Model):
    plugin: str
    version: str
    sha256: str
    size_bytes: int
    state: str
    reason: str = ""
    publisher: str = ""
    published_at: datetime | None = None
    score: int | None = None
    grade: str = ""
    verdict: str = ""
    signature: Document = field(default_factory=dict)
    manifest: Document = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class SigningKey(Model):
    id: str
    publisher: str = ""
    name: str = ""
    state: str = ""
    reason: str = ""
    successor: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CataloguePreview(Model):
    """`key_id` is of whoever signed it, which nothing vouches for."""

    key_id: str
    counter: int = 0
    releases: int = 0
    warnings: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Catalogue(Model):
    """`problem` is the kind of what was wrong at the last reading; empty when nothing was."""

    name: str
    url: str = ""
    key_id: str = ""
    counter: int = 0
    problem: str = ""
    detail: str = ""
    read_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Release(Model):
    plugin: str
    version: str
    sha256: str = ""
    size_bytes: int = 0
    publisher: str = ""
    title: str = ""
    key_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Installation(Model):
    plugin: str
    version: str
    sha256: str = ""
    grants: tuple[str, ...] = ()
    configuration: Document = field(default_factory=dict)
    revision: int = 0
    installed_at: datetime | None = None
    installed_by: str = ""
    update_policy: str = ""
    canary_until: datetime | None = None
    canary_failures: int = 0
    went_back_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Rollback(Model):
    """`refusal` says why it would be refused; empty when it would not."""

    plugin: str
    version: str
    from_version: str = ""
    revision: int = 0
    state: str = ""
    refusal: str = ""
    grants: tuple[str, ...] = ()
    configuration: Document = field(default_factory=dict)
    installed_at: datetime | None = None
    installed_by: str = ""
    kept_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Transition(Model):
    plugin: str = ""
    version: str = ""
    state: str = ""
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class TrailLink(Model):
    """`entry` is None where it was removed."""

    position: int
    id: int
    digest: str
    entry: Document | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Model):
    position: int
    digest: str
    key_id: str
    public_key: str
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Verification(Model):
    is_intact: bool
    entries: int = 0
    checkpoints: int = 0
    position: int = 0
    digest: str = ""
    problems: tuple[Document, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trial(Model):
    plugin: str
    version: str
    verdict: str = ""
    examples: tuple[Document, ...] = ()
    touched: tuple[Document, ...] = ()
    leaked: tuple[Document, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Draft(Model):
    """One run of a working copy; `reached` has what it reached for, granted or not."""

    plugin: str
    version: str
    outcome: str
    example: str | None = None
    has_grants: bool = False
    made_up_secrets: tuple[str, ...] = ()
    reason: str | None = None
    result: Any = None
    duration_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    files: tuple[Document, ...] = ()
    log: tuple[Document, ...] = ()
    reached: tuple[Document, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Behaviour(Model):
    items: tuple[Document, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line(Model):
    """Of a run's log; `number` counts from 0."""

    run_id: str
    number: int
    at: str
    stream: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Grant(Model):
    plugin: str
    version: str = ""
    grant: str = ""


@dataclass(frozen=True, kw_only=True)
class Audit(Model):
    plugin: str = ""
    version: str = ""
    score: int | None = None
    grade: str = ""
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class Advisories(Model):
    """The known vulnerabilities that audits compare with; `as_of` is the time of the latest."""

    sha256: str = ""
    as_of: datetime | None = None
    count: int = 0
    imported_by: str = ""
    imported_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RunFile(Model):
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Run(Model):
    """`outcome` is empty until `state` is "finished"."""

    id: str
    plugin: str
    version: str = ""
    trigger: str = ""
    state: str = ""
    outcome: str = ""
    reason: str = ""
    result: Any = field(default=None, repr=False)
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_seconds: float | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    exit_code: int | None = None
    trace_id: str = ""
    log_truncated: bool = False

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def is_ok(self) -> bool:
        return self.outcome == "ok"

    @property
    def files(self) -> tuple[RunFile, ...]:
        return tuple(decode(RunFile, entry) for entry in self.document.get("files") or ())


@dataclass(frozen=True, kw_only=True)
class Alert(Model):
    alert: str = ""
    status: str = ""
    severity: str = ""
    fingerprint: str = ""
    labels: Document = field(default_factory=dict)
    annotations: Document = field(default_factory=dict)
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Status(Model):
    pass


@dataclass(frozen=True, kw_only=True)
class Top(Model):
    at: datetime | None = None
    items: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leaks(Model):
    items: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Remedies(Model):
    policy: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Services(Model):
    items: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ChannelTest(Model):
    items: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ServiceLevels(Model):
    at: datetime | None = None
    period_days: int = 0
    items: tuple[Mapping[str, Any], ...] = ()
    missing: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trace(Model):
    trace_id: str
    entries: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DeadLetter(Model):
    id: int
    event_type: str = ""
    error: str = ""
    tries: int = 0
    failed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DocsPage(Model):
    plugin: str = ""
    version: str = ""
    formats: tuple[str, ...] = ()


def decode(model: type[ModelT], document: object) -> ModelT:
    """Raises: UnexpectedAnswer, if a field without a default is missing."""
    if not isinstance(document, Mapping):
        raise UnexpectedAnswer(f"expected a JSON object for {model.__name__}")
    values: dict[str, Any] = {"document": document}
    hints = get_type_hints(model)
    for item in fields(model):
        if item.name == "document":
            continue
        value = document.get(item.name)
        if value is None:
            if item.default is MISSING and item.default_factory is MISSING:
                raise UnexpectedAnswer(f"{model.__name__} without {item.name!r}")
            continue
        values[item.name] = _value(hints[item.name], value)
    return model(**values)


def decode_page(model: type[ModelT], document: object) -> Page[ModelT]:
    if not isinstance(document, Mapping) or not isinstance(document.get("items"), list):
        raise UnexpectedAnswer(f"expected a page of {model.__name__}")
    items = tuple(decode(model, entry) for entry in document["items"])
    return Page(items, document.get("next_cursor") or None)


def _value(hint: object, value: Any) -> Any:
    if hint == datetime | None:
        try:
            return datetime.fromisoformat(str(value))
        except ValueError:
            raise UnexpectedAnswer(f"{value!r} is no time") from None
    if hint == tuple[str, ...]:
        return tuple(str(entry) for entry in value)
    return value
