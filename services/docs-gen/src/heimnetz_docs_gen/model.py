"""Nouns and pure rules of docs-gen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from heimnetz_docs import Entry
from heimnetz_manifest import Version

# A rejected or deleted version has no pages; one that is not decided has none yet.
SHOWN_STATES = frozenset({"approved", "needs_review", "deprecated", "yanked", "quarantined"})
# Shown as a plugin's own page before all others.
_OFFERED_STATES = frozenset({"approved", "deprecated"})
# Directories of the site that are no plugin's.
RESERVED = frozenset({"platform"})
MAX_TRIES = 5
MAX_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Due:
    """A version that was taken to be worked on; `wanted` tells if it was asked for again since."""

    plugin: str
    version: str
    wanted: int
    attempts: int
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pages of one version, in a directory below the trees."""

    entry: Entry
    tree: str
    formats: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A row of the list of all pages."""

    plugin: str
    version: str
    title: str
    state: str
    grade: str | None
    formats: tuple[str, ...]
    warnings: tuple[str, ...]
    generated_at: datetime | None
    is_due: bool
    error: str | None


def newest_first(drawn: Sequence[Drawn]) -> list[Drawn]:
    return sorted(drawn, key=lambda item: Version(item.entry.version), reverse=True)


def latest(drawn: Sequence[Drawn]) -> Drawn:
    """The newest version that is offered; where none is, the newest."""
    ordered = newest_first(drawn)
    offered = [item for item in ordered if item.entry.state in _OFFERED_STATES]
    stable = [item for item in offered if "-" not in item.entry.version.partition("+")[0]]
    return (stable or offered or ordered)[0]


def before(version: str, others: Sequence[str]) -> str | None:
    """The version that an owner of `version` most likely had before it."""
    older = [other for other in others if Version(other) < Version(version)]
    return max(older, key=Version, default=None)


def retry_seconds(attempts: int) -> int:
    return int(min(2.0 ** min(attempts, 10), MAX_RETRY_SECONDS))
