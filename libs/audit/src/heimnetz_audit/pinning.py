"""Reads what a package pins: its name in `plugin.yaml`, and the lock with hashes that it names.

Neither file is trusted. The manifest is read as a stream of events, so that no reference or
nesting in it costs more than its bytes; the lock is read in one pass.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from heimnetz_audit import bundling
from heimnetz_audit.model import SourceTree
from heimnetz_audit.model.pinned import Dependency, LockState, Pinned

MANIFEST: Final = "plugin.yaml"
#: Where a lock is looked for when no manifest names one.
USUAL_LOCK: Final = "requirements.lock"
#: What the author asks for, where tools that make locks expect it.
USUAL_WISHES: Final = "requirements.in"
PROJECT: Final = "pyproject.toml"
#: As the sandbox, which installs from it.
LOCK_BYTES: Final = 256 * 1024
MANIFEST_BYTES: Final = 256 * 1024
#: More are for nobody to read; each one is looked for in the text.
_WISHES_LIMIT: Final = 500
_TEXT_CHARACTERS: Final = 300
_WANTED: Final = {
    *(("name",), ("version",), ("licence",), ("entry_point",)),
    ("dependencies", "lock"),
}
_EXACT: Final = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[A-Za-z0-9._,-]+\])?==([A-Za-z0-9.!+_-]+)"
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA: Final = re.compile(r"#\s*(?:via\b\s*)?(.*)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]+\])?")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(tree: SourceTree) -> Pinned:
    """Without an exception, whatever the files hold."""
    has_manifest = MANIFEST in tree.files
    said = _read_manifest(tree.files[MANIFEST]) if has_manifest else {}
    lock = said.get(("dependencies", "lock"), "" if has_manifest else USUAL_LOCK)
    bundled, unread = bundling.read(tree)
    own = Pinned(
        name=said.get(("name",), ""),
        version=said.get(("version",), ""),
        licence=said.get(("licence",), ""),
        bundled=bundled,
        unread=unread,
        wanted=(*_read_wishes(tree), *_read_project(tree)) if has_manifest else (),
    )
    if not lock:
        # A manifest that cannot be read says nothing, not that there is no lock.
        return replace(own, state="none" if own.name else "missing")
    if lock not in tree.files:
        return replace(own, lock=lock, state="damaged" if has_manifest else "missing")
    content = tree.files[lock]
    if len(content) > LOCK_BYTES:
        return replace(own, lock=lock, state="damaged")
    found, loose = _read_lock(content.decode("utf-8", "replace"))
    state: LockState = "damaged" if loose else "whole"
    return replace(own, lock=lock, state=state, dependencies=tuple(found), loose=tuple(loose))


def read_entry_point(tree: SourceTree) -> str:
    """`module:function` as the manifest has it; empty where it has none or cannot be read."""
    return _read_manifest(tree.files.get(MANIFEST, b"")).get(("entry_point",), "")


def normalised(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_manifest(content: bytes) -> Mapping[tuple[str, ...], str]:
    said: dict[tuple[str, ...], str] = {}
    if len(content) > MANIFEST_BYTES:
        return said
    try:
        for path, value in _scalars(content):
            if path in _WANTED and len(value) <= _TEXT_CHARACTERS:
                said.setdefault(path, value)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return said


def _scalars(content: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Texts in mappings, with the keys that lead to them, down to the second level."""
    #: For each open collection: the key that is waiting for its value, None while there is none.
    keys: list[str | None] = []
    kinds: list[bool] = []
    for event in yaml.parse(content, Loader=_LOADER):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            keys.append(None)
            kinds.append(isinstance(event, yaml.MappingStartEvent))
            continue
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            keys.pop()
            kinds.pop()
        elif not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            continue
        elif kinds and kinds[-1] and keys[-1] is None:
            keys[-1] = event.value if isinstance(event, yaml.ScalarEvent) else ""
            continue
        elif isinstance(event, yaml.ScalarEvent) and len(keys) <= 2 and all(kinds):
            yield tuple(key or "" for key in keys), event.value
        if kinds and kinds[-1]:
            keys[-1] = None


def _read_wishes(tree: SourceTree) -> tuple[tuple[str, int, str], ...]:
    """What stands in the file of which locks are made, but for what only some systems need."""
    content = tree.files.get(USUAL_WISHES, b"")
    if len(content) > LOCK_BYTES:
        return ()
    lines = enumerate(content.decode("utf-8", "replace").splitlines(), 1)
    return tuple(
        (USUAL_WISHES, number, name)
        for number, line in lines
        if ";" not in line and (name := _named(line))
    )


def _read_project(tree: SourceTree) -> tuple[tuple[str, int, str], ...]:
    """What `project.dependencies` declares (PEP 621), but for what only some systems need."""
    content = tree.files.get(PROJECT, b"")
    if len(content) > LOCK_BYTES:
        return ()
    text = content.decode("utf-8", "replace")
    try:
        project = _table(tomllib.loads(text).get("project"))
    except (ValueError, RecursionError):
        return ()
    declared = project.get("dependencies")
    # A project may name itself, for extras of its own.
    own = normalised(str(project.get("name", "")))
    return tuple(
        (PROJECT, text.count("\n", 0, max(text.find(each), 0)) + 1, name)
        for each in (declared if isinstance(declared, list) else [])[:_WISHES_LIMIT]
        if isinstance(each, str) and ";" not in each and (name := _named(each)) not in ("", own)
    )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _named(line: str) -> str:
    """The normalised name that a line begins with; empty where it begins otherwise."""
    matched = _NAME.match(line.strip())
    return normalised(matched[0].partition("[")[0]) if matched is not None else ""


def _read_lock(text: str) -> tuple[list[Dependency], list[tuple[int, str]]]:
    """The dependencies, sorted, and the lines that are none, with their names."""
    lines: dict[tuple[str, str], int] = {}
    hashes: dict[tuple[str, str], set[str]] = defaultdict(set)
    askers: dict[tuple[str, str], set[str]] = defaultdict(set)
    current: tuple[str, str] | None = None
    loose: list[tuple[int, str]] = []
    for number, line in _statements(text):
        stripped = line.strip()
        if stripped.startswith("#"):
            if current is not None:
                askers[current].update(_askers(stripped))
        elif stripped:
            current, digests = _requirement(stripped)
            if current is None:
                loose.append((number, _named(stripped[:_TEXT_CHARACTERS])))
                continue
            lines.setdefault(current, number)
            hashes[current].update(digests)
    found = [
        Dependency(
            name=name,
            version=version,
            hashes=tuple(sorted(hashes[name, version])),
            needed_by=tuple(sorted(askers[name, version])),
            line=line,
        )
        for (name, version), line in sorted(lines.items())
    ]
    return found, loose


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines, with those that a backslash continues joined; the number is that of the first."""
    pieces: list[str] = []
    start = 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        start = start if pieces else number
        if line.endswith("\\"):
            pieces.append(line[:-1])
            continue
        yield start, " ".join([*pieces, line])
        pieces = []
    if pieces:
        yield start, " ".join(pieces)


def _requirement(line: str) -> tuple[tuple[str, str] | None, list[str]]:
    """Name and version, and the hashes; no name where the line is anything else."""
    words: list[str] = []
    for word in line.split():
        if word.startswith("#"):
            break
        words.append(word)
    digests = [match[1] for word in words if (match := _HASH.fullmatch(word))]
    rest = words[: len(words) - len(digests)]
    exact = _EXACT.fullmatch("".join(rest).partition(";")[0][: 2 * _TEXT_CHARACTERS])
    if not digests or exact is None or any(word.startswith("--") for word in rest):
        return None, []
    return (normalised(exact[1]), exact[2]), digests


def _askers(comment: str) -> Iterator[str]:
    """Tools that make locks write below each line what asked for it: `# via NAME`."""
    matched = _VIA.fullmatch(comment)
    reason = matched[1].strip() if matched is not None else ""
    if reason:
        yield normalised(reason.partition("[")[0]) if _NAME.fullmatch(reason) else ""
