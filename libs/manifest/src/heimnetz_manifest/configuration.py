"""Configuration of a plugin: the schema from its author, and the values from its owner.

Both are hostile: a schema could loop, fetch or hang, so a closed vocabulary without references is
read, and patterns run on an engine that is linear in its input.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from heimnetz_manifest.errors import InvalidConfiguration, Mistake, shown
from heimnetz_manifest.loading import pointer

SECRET = "secret"  # noqa: S105 -- the keyword of the vocabulary
HIDDEN = "***"

_SUBSCHEMA = frozenset(
    {"items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"}
)
_SUBSCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED_SUBSCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_PLAIN = frozenset(
    [
        "$schema",
        "$comment",
        "type",
        "title",
        "description",
        "default",
        "examples",
        "enum",
        "const",
        "deprecated",
        "readOnly",
        "writeOnly",
        "secret",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minContains",
        "maxContains",
        "required",
        "minProperties",
        "maxProperties",
        "dependentRequired",
    ]
)
KEYWORDS = _PLAIN | _SUBSCHEMA | _SUBSCHEMAS | _NAMED_SUBSCHEMAS

_CONFIGURATION_BYTES = 64 * 1024
_PATTERN_BYTES = 256 * 1024

Where = tuple[str | int, ...]


class SchemaMistake(ValueError):
    """`where` is a path inside the schema."""

    def __init__(
        self, where: Where, detail: str, suggestion: str | None = None, *, of_key: bool = False
    ) -> None:
        super().__init__(detail)
        self.where = where
        self.detail = detail
        self.suggestion = suggestion
        self.of_key = of_key


class ConfigurationSchema:
    """A checked schema.

    Raises: SchemaMistake.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.document = schema
        _check_vocabulary(schema)
        if schema.get("type", "object") != "object":
            raise SchemaMistake(("type",), "configuration is an object")
        self.secrets: tuple[str, ...] = tuple(pointer(path) for path in _secret_paths(schema))
        closed = {"type": "object", "additionalProperties": False, **schema}
        if "patternProperties" in schema and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                closed,
                pattern_options=jsonschema_rs.RegexOptions(
                    size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
                ),
                validate_formats=True,
                retriever=_refuse_to_fetch,
                # Messages would quote values otherwise, those of secrets among them.
                mask="the value",
            )
        except jsonschema_rs.ValidationError as error:
            raise SchemaMistake(tuple(error.instance_path), _short(error)) from error
        except ValueError as error:
            raise SchemaMistake((), shown(str(error))) from error

    def mistakes(self, values: Any) -> Iterator[Mistake]:
        if len(json.dumps(values)) > _CONFIGURATION_BYTES:
            yield Mistake("configuration-too-large", "", "more than 64 KiB of configuration")
            return
        for count, error in enumerate(self._validator.iter_errors(values)):
            if count >= 50:
                return
            where = pointer(tuple(error.instance_path))
            yield Mistake(
                "configuration-invalid", where, _short(error), suggestion=self._nearest(error)
            )

    def _nearest(self, error: jsonschema_rs.ValidationError) -> str | None:
        unexpected = getattr(error.kind, "unexpected", None)
        if not unexpected or error.instance_path:
            return None
        known = list(self.document.get("properties", {}))
        near = difflib.get_close_matches(str(unexpected[0])[:100], known, n=1)
        return near[0] if near else None

    def complete(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with the schema's defaults for what is absent.

        Raises: InvalidConfiguration.
        """
        whole = _with_defaults(self.document, copy.deepcopy(values))
        mistakes = list(self.mistakes(whole))
        if mistakes:
            raise InvalidConfiguration(mistakes)
        return dict(whole)

    def defaults(self) -> dict[str, Any]:
        return dict(_with_defaults(self.document, {}))

    def split(self, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values with every secret hidden, and the secrets by JSON Pointer."""
        shown_values = copy.deepcopy(values)
        secrets: dict[str, Any] = {}
        for path in _secret_paths(self.document):
            parent = _reach(shown_values, path[:-1])
            if isinstance(parent, dict) and path[-1] in parent:
                secrets[pointer(path)] = parent[path[-1]]
                parent[path[-1]] = HIDDEN
        return shown_values, secrets

    def join(self, values: dict[str, Any], secrets: dict[str, Any]) -> dict[str, Any]:
        """The inverse of `split`."""
        whole = copy.deepcopy(values)
        for path in _secret_paths(self.document):
            parent = _reach(whole, path[:-1])
            if isinstance(parent, dict) and pointer(path) in secrets:
                parent[str(path[-1])] = secrets[pointer(path)]
        return whole


def _refuse_to_fetch(_uri: str) -> Any:
    raise ValueError("references are not followed")


def _short(error: jsonschema_rs.ValidationError) -> str:
    return shown(error.message.splitlines()[0] if error.message else "does not fit")


def _check_vocabulary(schema: Any, where: Where = ()) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise SchemaMistake(where, "a schema is a mapping, or true or false")
    for key, value in schema.items():
        inner = (*where, key)
        if key not in KEYWORDS:
            near = difflib.get_close_matches(key, sorted(KEYWORDS), n=1)
            hint = (
                "write it out"
                if key in {"$ref", "$dynamicRef", "$defs"}
                else "it is not in the vocabulary"
            )
            raise SchemaMistake(
                inner, f"the keyword {shown(key)} is not accepted: {hint}", *near, of_key=True
            )
        if key in _SUBSCHEMA:
            _check_vocabulary(value, inner)
        elif key in _SUBSCHEMAS:
            _check_list(value, inner)
        elif key in _NAMED_SUBSCHEMAS:
            _check_named(value, inner)
        elif key == SECRET and not isinstance(value, bool):
            raise SchemaMistake(inner, "secret is true or false")


def _check_list(value: Any, where: Where) -> None:
    if not isinstance(value, list):
        raise SchemaMistake(where, "this is a list of schemas")
    for index, item in enumerate(value):
        _check_vocabulary(item, (*where, index))


def _check_named(value: Any, where: Where) -> None:
    if not isinstance(value, dict):
        raise SchemaMistake(where, "this is a mapping of names to schemas")
    for name, item in value.items():
        _check_vocabulary(item, (*where, name))


def _secret_paths(schema: dict[str, Any]) -> list[tuple[str, ...]]:
    """Secrets stand below `properties` alone, so that each has one fixed place to be bound to.

    Raises: SchemaMistake.
    """
    found: list[tuple[str, ...]] = []

    def search(node: Any, where: Where, path: tuple[str, ...] | None) -> None:
        if isinstance(node, list):
            for index, item in enumerate(node):
                search(item, (*where, index), None)
            return
        if not isinstance(node, dict):
            return
        if node.get(SECRET) is True:
            if not path or node.get("type", "string") != "string":
                raise SchemaMistake(
                    (*where, SECRET),
                    "a secret is a property of type string, outside lists and alternatives",
                )
            if "default" in node or "examples" in node or "enum" in node or "const" in node:
                raise SchemaMistake(
                    (*where, SECRET), "a secret has no default, example or list of values"
                )
            found.append(path)
        for key in _SUBSCHEMA | _SUBSCHEMAS:
            search(node.get(key), (*where, key), None)
        for key in _NAMED_SUBSCHEMAS:
            for name, item in (node.get(key) or {}).items():
                below = (*path, name) if key == "properties" and path is not None else None
                search(item, (*where, key, name), below)

    search(schema, (), ())
    return found


def _with_defaults(schema: Any, values: Any) -> Any:
    if not isinstance(schema, dict) or not isinstance(values, dict):
        return values
    for name, inner in schema.get("properties", {}).items():
        if not isinstance(inner, dict):
            continue
        if name not in values and "default" in inner:
            values[name] = copy.deepcopy(inner["default"])
        elif name not in values and inner.get("type") == "object":
            below = _with_defaults(inner, {})
            if below:
                values[name] = below
        if name in values:
            values[name] = _with_defaults(inner, values[name])
    return values


def _reach(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values
