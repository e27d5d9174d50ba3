"""Compares a version with the one before: what it reaches, brings and says that is new."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

import yaml

from heimnetz_audit.model import Report, SourceTree
from heimnetz_audit.model.drift import Change, Drift
from heimnetz_audit.pinning import MANIFEST, MANIFEST_BYTES

#: Of one kind, new ones and gone ones each.
CHANGES_LIMIT: Final = 25
TEXT_CHARACTERS: Final = 200
#: A package that is so many times as large as before is another package.
JUMP: Final = 3
_JUMP_BYTES: Final = 64 * 1024
_WATCHED: Final = ("authors", "entry_point", "homepage", "licence", "permissions", "triggers")
#: ELF, Windows, macOS in either order of bytes, for one processor or several, WebAssembly.
_PROGRAMS: Final = (
    b"\x7fELF",
    b"MZ\x90",
    b"\xfe\xed\xfa",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
)
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compare(before: tuple[SourceTree, Report], after: tuple[SourceTree, Report]) -> Drift:
    """Each kind has room of its own, so that no flood of one hides another."""
    old, new = dict(_facts(*before)), dict(_facts(*after))
    changes: list[Change] = []
    left_out = 0
    for kind in sorted(new):
        for found, other, is_new in ((new, old, True), (old, new, False)):
            differing = sorted(found[kind] - other[kind])
            left_out += len(differing[CHANGES_LIMIT:])
            changes += [
                Change(kind=kind, what=what[:TEXT_CHARACTERS], is_new=is_new)
                for what in differing[:CHANGES_LIMIT]
            ]
    changes += _jump(before[0], after[0])
    return Drift(since=before[1].pinned.version, changes=tuple(changes), left_out=left_out)


def _facts(tree: SourceTree, report: Report) -> Iterator[tuple[str, frozenset[str]]]:
    """The same kinds for every tree."""
    for kind, found in asdict(report.inferred).items():
        yield kind, frozenset(found)
    pins = report.pinned.dependencies
    yield "dependencies", frozenset(f"{each.name}=={each.version}" for each in pins)
    yield "findings", frozenset(f"{f.rule} in {f.file}" for f in report.findings)
    yield "manifest", frozenset(_manifest(tree.files))
    yield (
        "programs",
        frozenset(name for name in tree.files if tree.files[name].startswith(_PROGRAMS)),
    )


def _jump(before: SourceTree, after: SourceTree) -> list[Change]:
    old, new = (sum(map(len, tree.files.values())) for tree in (before, after))
    if new < _JUMP_BYTES or new < JUMP * old:
        return []
    return [Change(kind="size", what=f"{old} bytes became {new}", is_new=True)]


def _manifest(files: Mapping[str, bytes]) -> Iterator[str]:
    """The entries that are watched, as `permissions.network.to: HOST`; none where it is damaged."""
    content = files.get(MANIFEST, b"")
    if len(content) > MANIFEST_BYTES:
        return
    try:
        yield from list(_entries(content))
    except (yaml.YAMLError, ValueError):
        return


def _entries(content: bytes) -> Iterator[str]:
    """Read as a stream of events: no reference or nesting costs more than its bytes."""
    #: For each open collection: its key, "" in a sequence; None while a key is waited for.
    keys: list[str | None] = []
    for event in yaml.parse(content, Loader=_LOADER):
        if isinstance(event, yaml.MappingStartEvent):
            keys.append(None)
        elif isinstance(event, yaml.SequenceStartEvent):
            keys.append("")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            keys.pop()
            _close(keys)
        elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            text = event.value if isinstance(event, yaml.ScalarEvent) else "*"
            if keys and keys[-1] is None:
                keys[-1] = text or "?"
                continue
            if keys and keys[0] in _WATCHED and keys[-1] != "reason":
                yield f"{'.'.join(key for key in keys[:8] if key)}: {text}"
            _close(keys)


def _close(keys: list[str | None]) -> None:
    """A value is through: a mapping waits for its next key."""
    if keys and keys[-1] != "":
        keys[-1] = None
