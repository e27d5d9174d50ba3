"""Versions and their states, installations, people and tokens, and the rules between them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from heimnetz_registry.errors import IllegalTransition, NotDecidable


class State(StrEnum):
    SUBMITTED = "submitted"
    APPROVED = "approved"
    NEEDS_REVIEW = "needs_review"
    REJECTED = "rejected"
    DEPRECATED = "deprecated"
    YANKED = "yanked"
    QUARANTINED = "quarantined"
    DELETED = "deleted"


STATES: dict[State, str] = {
    State.SUBMITTED: "Stored, and waiting for its audit.",
    State.APPROVED: "May be installed and run.",
    State.NEEDS_REVIEW: "The audit leaves the decision to a person.",
    State.REJECTED: "Was refused for good.",
    State.DEPRECATED: "Should not be chosen any more; it can still be installed and runs on.",
    State.YANKED: "Cannot be installed any more; it runs on where it is.",
    State.QUARANTINED: "Must not run: running containers are stopped, new runs refused.",
    State.DELETED: "The package is gone; the number is never used again.",
}


class By(StrEnum):
    """Who may bring a transition about."""

    AUDIT = "audit"
    PERSON = "person"


# The only table of transitions; everything else answers 409.
TRANSITIONS: dict[State, dict[State, By]] = {
    State.SUBMITTED: {
        State.APPROVED: By.AUDIT,
        State.NEEDS_REVIEW: By.AUDIT,
        State.REJECTED: By.AUDIT,
        State.DELETED: By.PERSON,
    },
    State.NEEDS_REVIEW: {
        State.APPROVED: By.PERSON,
        State.REJECTED: By.PERSON,
        State.QUARANTINED: By.PERSON,
        State.DELETED: By.PERSON,
    },
    State.APPROVED: {
        State.NEEDS_REVIEW: By.AUDIT,
        State.DEPRECATED: By.PERSON,
        State.YANKED: By.PERSON,
        State.QUARANTINED: By.PERSON,
        State.DELETED: By.PERSON,
    },
    State.DEPRECATED: {
        State.DEPRECATED: By.PERSON,
        State.YANKED: By.PERSON,
        State.QUARANTINED: By.PERSON,
        State.DELETED: By.PERSON,
    },
    State.QUARANTINED: {
        State.APPROVED: By.PERSON,
        State.YANKED: By.PERSON,
        State.DELETED: By.PERSON,
    },
    State.REJECTED: {State.DELETED: By.PERSON},
    # It runs on where it is installed, as one in review may.
    State.YANKED: {State.QUARANTINED: By.PERSON, State.DELETED: By.PERSON},
    State.DELETED: {},
}

MONITOR = "monitor's service"
# Which role may bring a version into a state; a publisher only its own plugins' versions, the
# monitor only what is installed.
DECIDERS: dict[State, tuple[str, ...]] = {
    State.APPROVED: ("owner", "auditor"),
    State.REJECTED: ("owner", "auditor"),
    State.QUARANTINED: ("owner", "auditor", MONITOR),
    State.DEPRECATED: ("owner", "publisher"),
    State.YANKED: ("owner", "publisher"),
    State.DELETED: ("owner", "publisher"),
    State.NEEDS_REVIEW: ("auditor's service",),
    State.SUBMITTED: (),
}

INSTALLABLE = frozenset({State.APPROVED, State.DEPRECATED})


def check_transition(current: State, wanted: State, by: By) -> None:
    """Raises: IllegalTransition."""
    if TRANSITIONS[current].get(wanted) != by:
        possible = [state.value for state, who in TRANSITIONS[current].items() if who is by]
        raise IllegalTransition(current.value, wanted.value, possible)


def check_decider(role: str | None, wanted: State) -> None:
    """Raises: NotDecidable."""
    if role not in DECIDERS[wanted]:
        raise NotDecidable(wanted.value, list(DECIDERS[wanted]))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something; `subject` goes into the trail, `name` owns plugins."""

    subject: str
    name: str
    role: str | None = None

    @property
    def is_owner(self) -> bool:
        return self.role == "owner"


class KeyState(StrEnum):
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


KEY_STATES: dict[KeyState, str] = {
    KeyState.ACTIVE: "Signs new versions.",
    KeyState.RETIRED: "Was rotated: signs nothing new, and what it signed stays good.",
    KeyState.REVOKED: "Is not to be believed: what it signed and is installed is quarantined, "
    "and the rest is not installed unless the owner says so.",
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public half of what a publisher signs with; `id` is the SHA-256 of `public_key`."""

    id: str
    publisher: str
    name: str
    public_key: bytes
    state: KeyState
    reason: str
    successor: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Signature:
    """By which key a version was signed, and what is thought of that key now."""

    key_id: str
    publisher: str
    state: KeyState

    @property
    def is_good(self) -> bool:
        return self.state is not KeyState.REVOKED


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was found right."""

    key: SigningKey
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Version:
    """A published package; everything but state, audit and signature never changes."""

    plugin: str
    version: str
    sha256: str
    size_bytes: int
    state: State
    reason: str
    publisher: str
    published_at: datetime
    manifest: dict[str, Any] | None
    score: int | None = None
    grade: str | None = None
    verdict: str | None = None
    audited_at: datetime | None = None
    is_review_due: bool = False
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A version about to be stored."""

    plugin: str
    twin_key: str
    version: str
    precedence: str
    sort_key: str
    sha256: str
    size_bytes: int
    publisher: str
    manifest: dict[str, Any]


class UpdatePolicy(StrEnum):
    MANUAL = "manual"
    SAFE = "safe"
    ALWAYS = "always"


UPDATE_POLICIES: dict[UpdatePolicy, str] = {
    UpdatePolicy.MANUAL: "A person puts a newer version to use.",
    UpdatePolicy.SAFE: "A newer version is put to use when it is approved, if it asks for nothing "
    "more and its grade is not worse; any other waits for a person, and the trail says why.",
    UpdatePolicy.ALWAYS: "As `safe`, and a worse grade, higher limits and new schedules or events "
    "that start it do not wait. What asks for a permission that the one before did not, does.",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """A version put to use; `configuration` shows secrets as `***`.

    Until `canary_until` a version that the registry took by itself is on trial.
    """

    plugin: str
    version: str
    sha256: str
    grants: list[str]
    configuration: dict[str, Any]
    triggers: dict[str, Any]
    limits: dict[str, Any]
    installed_at: datetime
    installed_by: str
    revision: int
    update_policy: UpdatePolicy
    canary_until: datetime | None = None
    canary_failures: int = 0
    went_back_from: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What an installation was before its version last changed; its secrets are kept beside."""

    plugin: str
    version: str
    grants: list[str]
    configuration: dict[str, Any]
    installed_at: datetime
    installed_by: str
    kept_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    role: str
    password_hash: str
    failed_logins: int
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is `session` for a log-in of a person, `token` for a program's."""

    id: str
    kind: str
    name: str
    role: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewCatalogue:
    """Where else plugins come from; `token` is sealed."""

    name: str
    url: str
    address: str | None
    ca: str | None
    token: bytes | None
    key_id: str
    added_by: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a catalogue's index was when it was read, and when to look again."""

    counter: int
    index_sha256: str
    etag: str | None
    expires_at: datetime
    pause: timedelta


@dataclass(frozen=True, slots=True)
class Catalogue(NewCatalogue):
    """With what became of its last reading; `problem` is the kind of a refusal, or empty."""

    counter: int
    index_sha256: str
    etag: str | None
    expires_at: datetime
    added_at: datetime
    read_at: datetime
    next_at: datetime
    failures: int
    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class Release:
    """A package that a catalogue has; `signature` is its publisher's envelope, if there is one."""

    plugin: str
    version: str
    sha256: str
    size_bytes: int
    publisher: str
    title: str
    signature: bytes | None
    public_key: bytes | None


@dataclass(frozen=True, slots=True)
class PackageWarning:
    """That a package must not run, as a catalogue says."""

    catalogue: str
    sha256: str
    reason: str


@dataclass(frozen=True, slots=True)
class Offered:
    """The index of our own that was given out last."""

    counter: int
    content_sha256: str
    key_id: str
    envelope: bytes
    renew_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """`next_cursor` continues it; None at the end."""

    items: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
