"""JSON Schemas of strangers: what examples have in common, and which schemas can be passed on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from heimnetz_manifest import ConfigurationSchema, SchemaMistake

_DEPTH = 8
# A default is looked at with all that is below it: nested ones would take time by their square.
_DEFAULTS_BYTES = 256 * 1024
_NAMES = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))


def shape(values: Sequence[Any], depth: int = 0) -> dict[str, Any]:
    """A schema that all values fit. It requires nothing: examples show, they do not limit."""
    kinds = dict.fromkeys(_kind(value) for value in values)
    if "number" in kinds:
        kinds.pop("integer", None)
    if not kinds or depth > _DEPTH:
        return {}
    found: dict[str, Any] = {"type": next(iter(kinds)) if len(kinds) == 1 else sorted(kinds)}
    objects = [value for value in values if isinstance(value, Mapping)]
    names = dict.fromkeys(name for value in objects for name in value)
    if names:
        found["properties"] = {
            name: shape([value[name] for value in objects if name in value], depth + 1)
            for name in names
        }
    items = [item for value in values if isinstance(value, list) for item in value]
    if items:
        found["items"] = shape(items, depth + 1)
    return found


def mistake(schema: Mapping[str, Any]) -> str | None:
    """Why an author's schema cannot be passed on, if so.

    One with a reference could send whoever reads it to another host; one that is no schema would
    make the whole document invalid.
    """
    try:
        _checked(schema)
    except SchemaMistake as error:
        return error.detail
    room = _DEFAULTS_BYTES
    stack: list[Any] = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            if "default" in part:
                room -= len(json.dumps(part))
                if room < 0:
                    return "it nests too many defaults"
                if _misfits(part):
                    return "a default does not fit its own schema"
            stack += part.values()
        elif isinstance(part, list):
            stack += part
    return None


def _checked(schema: Mapping[str, Any]) -> ConfigurationSchema:
    return ConfigurationSchema({"type": "object", "properties": {"value": dict(schema)}})


def _misfits(schema: Mapping[str, Any]) -> bool:
    try:
        around = _checked(schema)
    except SchemaMistake:
        # A property that is called `default`, not the keyword.
        return False
    return next(around.mistakes({"value": schema["default"]}), None) is not None


def _kind(value: Any) -> str:
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    if value is None:
        return "null"
    return "object" if isinstance(value, Mapping) else "array"
