"""A service's own routes, from its manifest, as paths of an OpenAPI document."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from heimnetz_docs import shapes, text

_PARAMETER = re.compile(r"{([A-Za-z0-9_]+)}")
_BODILESS = frozenset({"GET", "DELETE"})
_UNKNOWN = "The author's schema is left out: {}"

Problem = Callable[[str], dict[str, Any]]


def paths(endpoints: Iterable[Any], problem: Problem) -> dict[str, Any]:
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for endpoint in endpoints:
        name = base = f"{endpoint.method.lower()}-{text.slug(endpoint.path)}"
        number = 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        operation = {"operationId": name, **_operation(endpoint, problem)}
        found.setdefault(_template(endpoint.path), {}).setdefault(
            endpoint.method.lower(), operation
        )
    return found


def schema_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, or one that says why it is not there."""
    reason = shapes.mistake(schema)
    return dict(schema) if reason is None else {"description": _UNKNOWN.format(reason)}


def _operation(endpoint: Any, problem: Problem) -> dict[str, Any]:
    names = list(dict.fromkeys(_PARAMETER.findall(endpoint.path)))
    answer: dict[str, Any] = {"description": "The answer"}
    if endpoint.output:
        answer["content"] = _json(endpoint.output)
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "parameters": [_parameter(name, "path", {"type": "string"}) for name in names],
        "responses": {"200": answer, "default": problem("Refused or failed")},
    }
    if not endpoint.input:
        return operation
    if endpoint.method in _BODILESS:
        operation["parameters"] += _query(endpoint.input)
    else:
        operation["requestBody"] = {"required": True, "content": _json(endpoint.input)}
    return operation


def _query(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What has no body is asked by its query: a parameter for each member of the input."""
    checked = schema_of(schema)
    required = checked.get("required", [])
    return [
        _parameter(name, "query", inner if isinstance(inner, dict) else {}, name in required)
        for name, inner in checked.get("properties", {}).items()
        if name
    ]


def _parameter(
    name: str, place: str, schema: Mapping[str, Any], is_required: bool = True
) -> dict[str, Any]:
    return {"name": name, "in": place, "required": is_required, "schema": dict(schema)}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema_of(schema)}}


def _template(path: str) -> str:
    """The path with braces only around parameters; others are meant as characters."""
    parts = re.split(r"({[A-Za-z0-9_]+})", path)
    return "".join(
        part if _PARAMETER.fullmatch(part) else part.replace("{", "%7B").replace("}", "%7D")
        for part in parts
    )
