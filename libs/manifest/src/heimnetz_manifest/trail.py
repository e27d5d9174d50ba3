"""The trail as a chain, and its signed checkpoints, to be verified also without a registry.

Each entry has a link: a digest of the entry and of the link before it (Haber and Stornetta, 1991).
A checkpoint is the registry's signature over one link and with it over everything before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from heimnetz_manifest.signing import PrivateKey, is_signed_by, key_id

ORIGIN = bytes(32)
#: What the registry's key signs; a type of its own, so that it is no statement about a package.
CHECKPOINT_TYPE = "application/vnd.heimnetz.trail-checkpoint"
#: Characters of one line of an export; an entry's reason has at most a thousand.
LINE_CHARACTERS = 64 * 1024
MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the trail: who did what to which version, and why."""

    id: int
    at: datetime
    actor: str
    action: str
    plugin: str | None
    version: str | None
    state_before: str | None
    state_after: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """One of the chain: the `digest` binds `entry` to everything before it."""

    position: int
    entry: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """That the chain ended with this link at a time; position 0 is the chain without entries."""

    link: Link
    at: datetime
    key_id: str
    signature: bytes

    def is_signed_by(self, public: bytes) -> bool:
        payload = _payload(self.link, self.at)
        return is_signed_by(public, CHECKPOINT_TYPE, payload, self.signature)


class InvalidExport(ValueError):
    """A line that is neither an entry nor a checkpoint."""


def digest_of(before: bytes, entry: Entry) -> bytes:
    """SHA-256 over the link before and the entry's fields, each with its length."""
    whole = hashlib.sha256(before)
    for value in (
        str(entry.id),
        str(int(entry.at.timestamp() * 1_000_000)),
        entry.actor,
        entry.action,
        entry.plugin,
        entry.version,
        entry.state_before,
        entry.state_after,
        entry.reason,
    ):
        data = None if value is None else value.encode()
        whole.update(b"-" if data is None else b"%d:" % len(data) + data)
    return whole.digest()


def link(before: Link, entries: Iterable[Entry]) -> Iterator[Link]:
    for entry in entries:
        before = Link(before.position + 1, entry.id, digest_of(before.digest, entry))
        yield before


def sign_checkpoint(key: PrivateKey, end: Link, at: datetime) -> Checkpoint:
    return Checkpoint(end, at, key.id, key.sign(CHECKPOINT_TYPE, _payload(end, at)))


def _payload(end: Link, at: datetime) -> bytes:
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{end.position} {end.entry} {end.digest.hex()} {moment}".encode()


def write_checkpoint(checkpoint: Checkpoint, public: bytes) -> dict[str, Any]:
    """As JSON; with the public key, so that a noted one is all that a verification needs."""
    return {
        "position": checkpoint.link.position,
        "entry": checkpoint.link.entry,
        "digest": checkpoint.link.digest.hex(),
        "at": checkpoint.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "key_id": checkpoint.key_id,
        "public_key": base64.b64encode(public).decode(),
        "signature": base64.b64encode(checkpoint.signature).decode(),
    }


def read_checkpoint(document: Any) -> tuple[Checkpoint, bytes]:
    """With the public key that it names, which nothing vouches for.

    Raises: InvalidExport.
    """
    try:
        public = base64.b64decode(document["public_key"], validate=True)
        checkpoint = Checkpoint(
            _link(document, document["entry"]),
            _time(document["at"]),
            key_id(public),
            base64.b64decode(document["signature"], validate=True),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidExport("no checkpoint of a trail") from error
    return checkpoint, public


def write_link(one: Link, entry: Entry | None) -> dict[str, Any]:
    """As JSON; the entry is None when it is not there any more."""
    written = None if entry is None else {**asdict(entry), "at": entry.at.isoformat()}
    document = {"position": one.position, "id": one.entry, "digest": one.digest.hex()}
    return {**document, "entry": written}


def _link(document: Any, entry: Any) -> Link:
    digest = bytes.fromhex(document["digest"])
    if len(digest) != len(ORIGIN):
        raise ValueError(document["digest"])
    return Link(_count(document["position"]), _count(entry), digest)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(value)
    return value


def _time(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(value)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(value) from error


def _entry(document: Any) -> Entry:
    entry = Entry(**{**document, "at": _time(document["at"]), "id": _count(document["id"])})
    texts = [entry.actor, entry.action, entry.reason]
    texts += [one for one in (entry.plugin, entry.version) if one is not None]
    texts += [one for one in (entry.state_before, entry.state_after) if one is not None]
    if not all(isinstance(one, str) for one in texts):
        raise ValueError(document)
    # JSON may hold half a character, which has no bytes to make a digest of.
    "".join(texts).encode()
    return entry


@dataclass(slots=True)
class Verification:
    """Of an export; `covered` is the position of the last checkpoint that is right."""

    entries: int = 0
    checkpoints: int = 0
    covered: int = 0
    covered_at: datetime | None = None
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def verify_export(lines: Iterable[str], public: bytes, noted: Checkpoint | None) -> Verification:
    """Every entry against its link, and the links against what `public` signed.

    An entry that nobody can have changed since is one that a checkpoint covers; `noted` is one
    that was kept elsewhere, and tells also what was removed from the end with its checkpoints.

    Raises: InvalidExport.
    """
    walk = _Walk(public)
    if noted is not None and not noted.is_signed_by(public):
        walk.found.add("the noted checkpoint was not signed with this key")
        noted = None
    for number, line in enumerate(lines, 1):
        document = _document(number, line)
        if "signature" in document:
            checkpoint, _ = read_checkpoint(document)
            walk.take_checkpoint(checkpoint)
            continue
        walk.take_entry(*_linked(number, document))
        if noted is not None and noted.link.position == walk.end.position:
            walk.take_checkpoint(noted)
    if noted is not None and noted.link.position > walk.end.position:
        walk.take_checkpoint(noted)
    if not walk.found.checkpoints:
        walk.found.add("no checkpoint covers these entries")
    return walk.found


class _Walk:
    def __init__(self, public: bytes) -> None:
        self._public = public
        self.found = Verification()
        self.end = Link(0, 0, ORIGIN)

    def take_entry(self, told: Link, entry: Entry | None) -> None:
        self.found.entries += 1
        expected = self.end.position + 1
        if told.position != expected:
            self.found.add(f"position {expected} is missing, or entries were put in another order")
        if entry is None:
            self.found.add(f"entry {told.entry} was removed")
        elif entry.id != told.entry or digest_of(self.end.digest, entry) != told.digest:
            self.found.add(f"entry {told.entry} was altered, or what stood before it")
        self.end = told

    def take_checkpoint(self, checkpoint: Checkpoint) -> None:
        at = checkpoint.link.position
        if not checkpoint.is_signed_by(self._public):
            self.found.add(f"the checkpoint at position {at} was not signed with this key")
        elif at > self.end.position:
            self.found.add(f"entries {self.end.position + 1} to {at} by position were removed")
        elif checkpoint.link != self.end:
            since = f"between positions {self.found.covered} and {at}"
            self.found.add(f"something {since} was altered, and linked anew")
        else:
            self.found.checkpoints += 1
            self.found.covered, self.found.covered_at = at, checkpoint.at


def _document(number: int, line: str) -> dict[str, Any]:
    try:
        if len(line) > LINE_CHARACTERS:
            raise ValueError(line[:100])
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidExport(f"line {number} is no JSON of an export") from error
    if not isinstance(document, dict):
        raise InvalidExport(f"line {number} is no JSON of an export")
    return document


def _linked(number: int, document: dict[str, Any]) -> tuple[Link, Entry | None]:
    try:
        told = _link(document, document["id"])
        written = document["entry"]
        return told, None if written is None else _entry(written)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidExport(f"line {number} is no entry of a trail") from error
