"""The Python code as its docstrings explain it. It is read, never imported."""

import logging
from collections.abc import Iterator
from typing import Any

import griffe

from heimnetz_docs import text
from heimnetz_docs.model import (
    Block,
    Care,
    Cell,
    Code,
    Group,
    Look,
    Notice,
    Paragraph,
    Prose,
    Section,
    Subject,
    Table,
    Tone,
)

MAX_MODULES = 60
MAX_MEMBERS = 300
MAX_MODULE_BYTES = 512 * 1024
_NOT_THE_PLUGIN = {"tests", "test", "examples", "docs", "scripts"}
_DOCSTRINGS = "heimnetz_docs.docstrings"


def describe(subject: Subject) -> Section | None:
    if subject.manifest.runtime != "python" or subject.care is Care.PLAIN:
        return None
    groups: list[Group] = []
    warnings: list[str] = []
    facts: list[dict[str, Any]] = []
    room = MAX_MEMBERS
    for name, path, source in list(_modules(subject))[:MAX_MODULES]:
        try:
            module = _read(name, source)
            members = list(_public(module))
            group = _module(module, path, members[:room])
        except (SyntaxError, ValueError, RecursionError, MemoryError, griffe.GriffeError) as error:
            warnings.append(f"{path} cannot be read as Python: {text.line(str(error), 120)}")
            continue
        if group is None:
            continue
        room -= len(members[:room])
        groups.append(group)
        facts.append(_facts(module, path, members))
    if not groups:
        return _without_code(warnings)
    blocks: tuple[Block, ...] = tuple(groups)
    if room == 0:
        blocks += (Notice(Tone.NOTE, f"Only the first {MAX_MEMBERS} names are shown."),)
    return Section("code", "Code", blocks, facts, tuple(warnings))


def _without_code(warnings: list[str]) -> Section | None:
    if not warnings:
        return None
    notice = Notice(Tone.WARNING, "The code could not be read.")
    return Section("code", "Code", (notice,), warnings=tuple(warnings))


def _modules(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """Dotted name, path and source of the plugin's own modules, the entry point's first."""
    entry = subject.manifest.entry_point.partition(":")[0]
    found = []
    for path, data in subject.files.items():
        inner = path.removeprefix("src/")
        parts = inner.removesuffix(".py").split("/")
        if not path.endswith(".py") or parts[0] in _NOT_THE_PLUGIN or len(data) > MAX_MODULE_BYTES:
            continue
        if parts[-1] == "__init__":
            parts.pop()
        if parts and all(part.isidentifier() and not part.startswith("_") for part in parts):
            found.append((".".join(parts), path, text.decode(data)[0]))
    return iter(sorted(found, key=lambda item: (item[0] != entry, item[0])))


def _read(name: str, source: str) -> griffe.Module:
    return griffe.visit(name.replace(".", "_"), filepath=None, code=source)  # type: ignore[arg-type]


def _public(module: griffe.Module) -> Iterator[griffe.Object]:
    for member in module.members.values():
        if member.is_alias or member.name.startswith("_") or not isinstance(member, griffe.Object):
            continue
        if member.is_function or member.is_class or member.docstring is not None:
            yield member


def _module(module: griffe.Module, path: str, members: list[griffe.Object]) -> Group | None:
    if not members and module.docstring is None:
        return None
    anchor = f"code-{text.slug(path.removeprefix('src/').removesuffix('.py'))}"
    blocks: list[Block] = [*_docstring(module, anchor, 4)]
    blocks += [_member(member, anchor) for member in members]
    return Group(anchor, Cell(path, Look.CODE), tuple(blocks))


def _member(member: griffe.Object, parent: str) -> Group:
    anchor = f"{parent}-{text.slug(member.name)}"
    blocks: list[Block] = [Code(_signature(member), "python"), *_docstring(member, anchor, 5)]
    if member.is_class:
        for inner in member.members.values():
            if (
                not inner.is_alias
                and not inner.name.startswith("_")
                and isinstance(inner, griffe.Object)
            ):
                blocks.append(Code(_signature(inner), "python"))
                blocks += _docstring(inner, f"{anchor}-{text.slug(inner.name)}", 5)
    return Group(anchor, Cell(member.name, Look.CODE), tuple(blocks))


def _signature(member: griffe.Object) -> str:
    if isinstance(member, griffe.Function):
        prefix = "async def " if "async" in member.labels else "def "
        return text.visible(prefix + member.signature())
    if isinstance(member, griffe.Class):
        bases = ", ".join(str(base) for base in member.bases)
        return f"class {member.name}({bases})" if bases else f"class {member.name}"
    if isinstance(member, griffe.Attribute):
        annotation = f": {member.annotation}" if member.annotation is not None else ""
        value = "" if member.value is None or "property" in member.labels else f" = {member.value}"
        return text.line(f"{member.name}{annotation}{value}")
    return member.name


def _docstring(member: griffe.Object, anchor: str, level: int) -> Iterator[Block]:
    if member.docstring is None:
        return
    for part in _parsed(member.docstring):
        kind = part.kind.value
        if kind == "text":
            yield Prose(str(part.value), f"{anchor}-text", level)
        elif kind in {
            "parameters",
            "other parameters",
            "attributes",
            "returns",
            "yields",
            "raises",
        }:
            yield _parts_table(kind, part.value)
        elif kind == "admonition":
            yield Paragraph((Cell(text.line(f"{part.title}: {part.value.description}", 2000)),))


def _parsed(docstring: griffe.Docstring) -> list[Any]:
    try:
        return list(docstring.parse("google", warnings=False))
    except Exception:  # noqa: BLE001 - a docstring is a stranger's text; as plain text it is still shown
        logging.getLogger(_DOCSTRINGS).debug("docstring not parsed")
        return [griffe.DocstringSectionText(docstring.value)]


def _parts_table(kind: str, parts: Any) -> Table:
    rows = []
    for part in parts:
        name = getattr(part, "name", "") or ""
        annotation = str(part.annotation) if getattr(part, "annotation", None) is not None else ""
        label = f"{name}: {annotation}" if name and annotation else name or annotation or "-"
        rows.append(
            (Cell(text.line(label, 120), Look.CODE), Cell(text.line(part.description, 2000)))
        )
    return Table(kind.capitalize(), ("Name", "Meaning"), tuple(rows))


def _facts(module: griffe.Module, path: str, members: list[griffe.Object]) -> dict[str, Any]:
    return {
        "path": path,
        "docstring": module.docstring.value if module.docstring else None,
        "members": [
            {
                "name": member.name,
                "signature": _signature(member),
                "docstring": member.docstring.value if member.docstring else None,
            }
            for member in members
        ],
    }
