"""Strict YAML: text in, a tree with places out; nothing is typed and nothing is expanded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn, Self

import yaml

from heimnetz_manifest.errors import InvalidManifest, Mistake, shown

MANIFEST_BYTES = 64 * 1024
DEPTH = 20
KEY_CHARACTERS = 100

# C0 and C1 controls but tab and newline, surrogates, direction marks and overrides, and the
# characters that never are characters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff]"
)

# The parser of libyaml where the wheel has it: the same events, ten times faster.
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar(str):
    """A scalar as it was written; `is_plain` tells `no` from `"no"`."""

    __slots__ = ("is_plain",)
    is_plain: bool

    def __new__(cls, text: str, *, is_plain: bool) -> Self:
        scalar = super().__new__(cls, text)
        scalar.is_plain = is_plain
        return scalar


Path = tuple[str | int, ...]
Tree = Scalar | list["Tree"] | dict[str, "Tree"]


@dataclass(frozen=True, slots=True)
class Place:
    """1-based."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """The tree and where each value and each key of it stands."""

    tree: Tree = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path, *, of_key: bool = False) -> Place | None:
        """Of the nearest thing that is there."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path)


def pointer(path: Path) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _refuse(kind: str, detail: str, mark: Place | None = None, path: Path = ()) -> NoReturn:
    place = mark or Place(1, 1)
    raise InvalidManifest([Mistake(kind, pointer(path), detail, place.line, place.column)])


def decode(data: bytes) -> str:
    """Raises: InvalidManifest. One UTF-8 byte order mark is accepted and dropped."""
    if len(data) > MANIFEST_BYTES:
        _refuse(
            "manifest-too-large", f"the file has {len(data)} bytes; at most 65,536 are accepted"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        _refuse("manifest-encoding", "the file is UTF-16 or UTF-32; save it as UTF-8")
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        _refuse(
            "manifest-encoding", "this byte is not UTF-8", Place(before.count(b"\n") + 1, column)
        )
    return text


def load(data: bytes) -> Document:
    """Raises: InvalidManifest, at the first mistake, since what follows one is guesswork."""
    text = decode(data)
    bad = _FORBIDDEN.search(text.replace("\r\n", "\n"))
    if bad:
        before = text.replace("\r\n", "\n")[: bad.start()]
        place = Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        _refuse("manifest-forbidden-character", _named(bad.group()), place)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        _refuse_syntax(error)
    except yaml.YAMLError as error:
        _refuse("manifest-syntax", shown(str(error)))
    if not isinstance(builder.document.tree, dict) or not builder.is_complete:
        _refuse("manifest-syntax", "the file is a mapping of keys to values; this is not one")
    return builder.document


def _refuse_syntax(error: yaml.MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else None
    problem = str(error.problem or "cannot be read")
    if "nesting" in problem:
        _refuse("manifest-too-deep", f"more than {DEPTH} levels are not accepted", place)
    if "invalid Unicode character" in problem:
        _refuse("manifest-forbidden-character", "the escape is not a character", place)
    if "\t" in problem or "'\\t'" in problem:
        problem = "a tab cannot indent; use spaces"
    context = f" ({error.context})" if error.context else ""
    _refuse("manifest-syntax", shown(problem + context), place)


def _named(character: str) -> str:
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    return f"the character {name} (U+{ord(character):04X}) is not accepted"


class _Builder:
    """Puts the parser's events together, without recursion."""

    def __init__(self) -> None:
        self.document = Document()
        self.is_complete = False
        self._open: list[tuple[dict[str, Tree] | list[Tree], Path]] = []
        self._key: list[str | None] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        assert mark is not None  # events of a parser always have one
        place = Place(mark.line + 1, mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1 or event.version or event.tags:
                    _refuse("manifest-directive", "one document without directives, please", place)
            case yaml.AliasEvent():
                _refuse(
                    "manifest-alias",
                    f"the alias *{shown(str(event.anchor))} is not accepted; write it out",
                    place,
                )
            case yaml.NodeEvent() if event.anchor is not None:
                _refuse(
                    "manifest-alias",
                    f"the anchor &{shown(str(event.anchor))} is not accepted; write it out",
                    place,
                )
            case yaml.ScalarEvent() | yaml.CollectionStartEvent() if event.tag is not None:
                _refuse("manifest-tag", f"the tag {shown(str(event.tag))} is not accepted", place)
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.MappingStartEvent():
                self._start({}, place)
            case yaml.SequenceStartEvent():
                self._start([], place)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
                self._key.pop()
                self.is_complete = not self._open

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        bad = _FORBIDDEN.search(event.value)
        if bad:
            _refuse("manifest-forbidden-character", _named(bad.group()), place, self._path())
        if self._open and isinstance(self._open[-1][0], dict) and self._key[-1] is None:
            self._take_key(event.value, place)
        else:
            self._place(Scalar(event.value, is_plain=not event.style), place)

    def _take_key(self, key: str, place: Place) -> None:
        container, path = self._open[-1]
        where = (*path, key)
        if len(key) > KEY_CHARACTERS:
            _refuse("manifest-unknown-key", "no key is longer than 100 characters", place, path)
        if key in container:
            first = self.document.keys[where]
            _refuse(
                "manifest-duplicate-key",
                f"{shown(key)} is given already in line {first.line}",
                place,
                where,
            )
        self.document.keys[where] = place
        self._key[-1] = key

    def _path(self) -> Path:
        if not self._open:
            return ()
        container, path = self._open[-1]
        if isinstance(container, list):
            return (*path, len(container))
        key = self._key[-1]
        return path if key is None else (*path, key)

    def _start(self, container: dict[str, Tree] | list[Tree], place: Place) -> None:
        if self._open and isinstance(self._open[-1][0], dict) and self._key[-1] is None:
            _refuse(
                "manifest-syntax",
                "a key is a text, not a list or mapping",
                place,
                self._open[-1][1],
            )
        path = self._path()
        if len(self._open) >= DEPTH:
            _refuse("manifest-too-deep", f"more than {DEPTH} levels are not accepted", place, path)
        self._place(container, place)
        self._open.append((container, path))
        self._key.append(None)

    def _place(self, value: Tree, place: Place) -> None:
        self.document.values[self._path()] = place
        if not self._open:
            self.document.tree = value
            return
        container, _ = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        else:
            key = self._key[-1]
            assert key is not None
            container[key] = value
            self._key[-1] = None


def walk(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Every node of a tree, the outer ones first."""
    yield path, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from walk(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from walk(value, (*path, index))
