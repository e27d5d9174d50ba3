"""The nouns: what is known about a version, and the pages that explain it.

A page is made of sections, a section of blocks. Every renderer draws the same blocks, so that the
HTML, the Markdown and the JSON of a version cannot tell different stories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from heimnetz_manifest import Manifest, Package


class Tone(StrEnum):
    """What a mark or a notice wants to say; drawn as an icon with a word, never as colour alone."""

    NEUTRAL = "neutral"
    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    DANGER = "danger"


class Look(StrEnum):
    TEXT = "text"
    CODE = "code"
    MARK = "mark"


class Care(StrEnum):
    """How much of an author's text is interpreted.

    `PLAIN` shows README, changelog and docstrings as they are written. A caller that limits time
    and memory falls back to it when `FULL` did not end in time.
    """

    FULL = "full"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of plain text. It is never read as markup, whoever wrote it."""

    text: str
    look: Look = Look.TEXT
    tone: Tone = Tone.NEUTRAL
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Prose:
    """Markdown that an author wrote: hostile. Renderers sanitise it.

    `prefix` begins every anchor inside, so that no text can take the anchor of a section.
    `images` and `links` say where paths inside the package are found beside and on the page;
    other pictures and relative links lead nowhere.
    """

    markdown: str
    prefix: str
    level: int = 3
    images: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Code:
    text: str
    language: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows have as many cells as there are columns; the first cell names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    pairs: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    lines: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks under a heading of their own inside a section."""

    anchor: str
    title: Cell
    blocks: tuple["Block", ...]


Block = Paragraph | Prose | Code | Table | Facts | Notice | Bullets | Group


@dataclass(frozen=True, slots=True)
class Section:
    """Anchors never change: they are in other people's links.

    `facts` is the section as JSON, `warnings` what the author should repair, `images` the pictures
    that the section shows, by the path beside the page.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    facts: Any = None
    warnings: tuple[str, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grade:
    """The auditor's judgement as a page shows it."""

    letter: str
    score: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One answer of the overview: a question, a short answer, and the section that says more."""

    question: str
    answer: str
    tone: Tone
    anchor: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that is shown about one version of a plugin."""

    plugin: str
    version: str
    title: str
    summary: str
    state: str
    marks: tuple[Cell, ...]
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    grade: Grade | None
    warnings: tuple[str, ...]
    sha256: str
    size_bytes: int
    images: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """`page` is the address of the page that explains the rule."""

    rule: str
    severity: str
    title: str
    path: str = ""
    line: int | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """One thing a plugin may touch, by the three views. `None` means that nobody looked."""

    kind: str
    target: str
    declared: bool | None
    inferred: bool | None
    observed: bool | None


@dataclass(frozen=True, slots=True)
class Audit:
    score: float
    grade: str
    verdict: str
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    reaches: Sequence[Reach] = ()
    limitations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A version as lists show it."""

    plugin: str
    version: str
    title: str
    summary: str
    state: str
    grade: str | None = None
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about a version besides its bytes.

    `previous` is the package of the version before it.
    """

    state: str
    publisher: str | None = None
    published_at: datetime | None = None
    audit: Audit | None = None
    previous: Package | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a page is about, as the sources see it."""

    package: Package
    known: Known
    care: Care = Care.FULL

    @property
    def manifest(self) -> Manifest:
        return self.package.manifest

    @property
    def files(self) -> Mapping[str, bytes]:
        return self.package.files
