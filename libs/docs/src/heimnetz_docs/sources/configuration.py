"""The configuration reference, from the manifest's JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from heimnetz_docs.model import Block, Cell, Code, Look, Paragraph, Section, Subject, Table, Tone

_CONSTRAINTS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("pattern", "matches {}"),
    ("format", "format {}"),
    ("const", "always {}"),
)
_DEPTH = 8


def describe(subject: Subject) -> Section:
    schema = subject.manifest.configuration
    rows = tuple(_row(*field) for field in fields(schema))
    if not rows:
        nothing = Paragraph((Cell("There is nothing to configure."),))
        return Section("configuration", "Configuration", (nothing,), schema)
    columns = ("Setting", "Type", "Default", "Meaning")
    blocks: list[Block] = [Table("Settings, with their types and defaults", columns, rows)]
    example = next(
        (item.configuration for item in subject.manifest.examples if item.configuration), None
    )
    if example:
        code = json.dumps(example, indent=2, ensure_ascii=False)
        blocks.append(Code(code, "json", "A configuration that the author tried"))
    return Section("configuration", "Configuration", tuple(blocks), schema)


def fields(
    schema: Mapping[str, Any], path: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every setting with its path, its schema, and whether it has to be given."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth > _DEPTH:
        return
    required = schema.get("required") or ()
    for name, inner in properties.items():
        if not isinstance(inner, Mapping):
            continue
        yield f"{path}{name}", inner, name in required
        yield from fields(inner, f"{path}{name}.", depth + 1)
        items = inner.get("items")
        if isinstance(items, Mapping):
            yield from fields(items, f"{path}{name}[].", depth + 1)


def _row(path: str, schema: Mapping[str, Any], is_required: bool) -> tuple[Cell, ...]:
    marks = " (secret)" if schema.get("secret") else ""
    if is_required and "default" not in schema:
        default = Cell("must be given", Look.MARK, Tone.WARNING)
    elif "default" in schema:
        default = Cell(_json(schema["default"]), Look.CODE)
    else:
        default = Cell("none")
    meaning = [str(schema.get(key)) for key in ("title", "description") if schema.get(key)]
    meaning += [
        pattern.format(_json(schema[key])) for key, pattern in _CONSTRAINTS if key in schema
    ]
    if schema.get("secret"):
        meaning.append("stored encrypted and never shown")
    return (
        Cell(path + marks, Look.CODE),
        Cell(type_of(schema)),
        default,
        Cell("; ".join(meaning) or "-"),
    )


def type_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(_json(value) for value in list(schema["enum"])[:20])
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items")
        return f"list of {type_of(items)}" if isinstance(items, Mapping) else "list"
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
