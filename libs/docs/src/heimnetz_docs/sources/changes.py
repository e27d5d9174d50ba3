"""What changed since the version before: permissions first, since they decide about an update."""

import json
from collections.abc import Iterator
from typing import Any

from heimnetz_docs.model import (
    Block,
    Bullets,
    Cell,
    Look,
    Notice,
    Paragraph,
    Section,
    Subject,
    Tone,
)
from heimnetz_docs.sources import configuration, limits, permissions
from heimnetz_manifest import Limits, Manifest


def describe(subject: Subject) -> Section | None:
    previous = subject.known.previous
    if previous is None:
        return None
    old, new = previous.manifest, subject.manifest
    asked, was_asked = new.permissions.keys(), old.permissions.keys()
    added, dropped = sorted(asked - was_asked), sorted(was_asked - asked)
    blocks: list[Block] = [
        Paragraph((Cell("Compared with "), Cell(str(old.version), Look.CODE), Cell(":")))
    ]
    if added:
        blocks.append(
            Notice(
                Tone.WARNING, "It asks for more: " + "; ".join(map(permissions.shown, added)) + "."
            )
        )
    else:
        blocks.append(
            Notice(Tone.GOOD, "It asks for nothing that the version before did not have.")
        )
    lines: list[tuple[Cell, ...]] = [
        (Cell(f"No longer asked: {permissions.shown(key)}"),) for key in dropped
    ]
    lines += list(_limits(old, new))
    lines += list(_settings(old, new))
    lines += list(_files(previous.files, subject.files))
    blocks.append(
        Bullets(tuple(lines))
        if lines
        else Paragraph((Cell("Nothing else differs in what is declared."),))
    )
    facts = {
        "since": str(old.version),
        "permissions_added": added,
        "permissions_dropped": dropped,
        "other": ["".join(cell.text for cell in line) for line in lines],
    }
    return Section("changes", "What changed", tuple(blocks), facts)


def _limits(old: Manifest, new: Manifest) -> Iterator[tuple[Cell, ...]]:
    for name, info in Limits.model_fields.items():
        before, after = getattr(old.limits, name), getattr(new.limits, name)
        if before != after:
            change = f"{limits.shown(name, before)} → {limits.shown(name, after)}"
            yield (Cell(f"Limit “{info.description or name}”: "), Cell(change, Look.CODE))


def _settings(old: Manifest, new: Manifest) -> Iterator[tuple[Cell, ...]]:
    before = {path: schema for path, schema, _ in configuration.fields(old.configuration)}
    after = {path: schema for path, schema, _ in configuration.fields(new.configuration)}
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            yield (Cell("New setting "), Cell(path, Look.CODE))
        elif path not in after:
            yield (Cell("Setting removed: "), Cell(path, Look.CODE))
        elif before[path].get("default") != after[path].get("default"):
            change = f"{_json(before[path].get('default'))} → {_json(after[path].get('default'))}"
            yield (Cell("Another default for "), Cell(path, Look.CODE), Cell(f": {change}"))


def _files(before: Any, after: Any) -> Iterator[tuple[Cell, ...]]:
    added, removed = after.keys() - before.keys(), before.keys() - after.keys()
    changed = [path for path in after.keys() & before.keys() if after[path] != before[path]]
    counts = [
        f"{len(files)} {word}"
        for files, word in ((added, "added"), (changed, "changed"), (removed, "removed"))
        if files
    ]
    if counts:
        yield (Cell(f"Files: {', '.join(counts)}"),)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
