"""JSON (RFC 8259) without the surprises: no NaN, repeated key, lone surrogate or huge number."""

import json
import math
from typing import Any, NoReturn

from heimnetz_common.errors import InvalidInput

MAX_DEPTH = 64
_INT_LIMIT = 2**63  # PostgreSQL's bigint, and what other languages' parsers hold


class InvalidJson(InvalidInput):
    kind = "invalid-json"
    title = "Not valid JSON"


def loads(data: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse one JSON document in UTF-8.

    Raises: InvalidJson.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8: byte {error.start} is wrong") from error
    _check_depth(text, max_depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
        _check_value(value)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (UnicodeEncodeError, RecursionError) as error:
        raise InvalidJson(
            "a string holds half of a surrogate pair, or nesting is absurd"
        ) from error
    return value


def _check_depth(text: str, limit: int) -> None:
    """Count brackets before parsing: the parser itself recurses once for each."""
    if text.count("[") + text.count("{") <= limit:
        return
    depth = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > limit:
                raise InvalidJson(f"nested deeper than {limit}")
        elif char in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise InvalidJson(f"the key {_shown(key)} stands twice in one object")
        _check_text(key)
        result[key] = value
        _check_value(value)
    return result


def _check_value(value: Any) -> None:
    """Strings are checked where they stand: in objects by the hook, in arrays from their owner."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        for item in value:
            _check_value(item)


def _check_text(text: str) -> None:
    text.encode("utf-8")
    if "\0" in text:
        raise InvalidJson("a string holds a NUL character")


def _constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is no JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidJson(f"the number {text[:40]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or not -_INT_LIMIT <= (value := int(text)) < _INT_LIMIT:
        raise InvalidJson(f"the number {text[:40]} does not fit 64 bits")
    return value


def _shown(key: str) -> str:
    return repr(key[:80])
