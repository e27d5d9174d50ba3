"""Types of single values: from the text of the manifest, or from JSON that came from here."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from heimnetz_manifest.errors import shown
from heimnetz_manifest.loading import Scalar

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_SIZE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,3}))? ?(B|KiB|MiB|GiB|kB|MB|GB)\Z")
_UNITS = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_DURATION = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))? ?(ms|s|min|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_PATH_PART = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]{1,100}\Z")

JSON_INTEGER_BITS = 63


def refuse(kind: str, reason: str, **context: Any) -> PydanticCustomError:
    literal: Any = kind
    return PydanticCustomError(literal, "{reason}", {"reason": reason, **context})


def _integer(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        return value
    if not _INTEGER.match(value) or not getattr(value, "is_plain", True):
        raise refuse("manifest-invalid-value", f"{shown(value)!r} is not a whole number")
    if len(value) > 19 or not -(2**JSON_INTEGER_BITS) <= int(value) < 2**JSON_INTEGER_BITS:
        raise refuse("manifest-number-range", "the number does not fit into 64 bits")
    return int(value)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        return value
    if value.lower().lstrip("+-") in {"nan", ".nan", "inf", ".inf", "infinity"}:
        raise refuse("manifest-number-not-finite", f"{shown(value)!r} is not a finite number")
    if not _NUMBER.match(value) or not getattr(value, "is_plain", True):
        raise refuse("manifest-invalid-value", f"{shown(value)!r} is not a number")
    return _finite(value)


def _finite(text: str) -> float:
    number = float(text) if len(text) <= 40 else math.inf
    if not math.isfinite(number):
        raise refuse("manifest-number-not-finite", "the number is too large")
    return number


def _boolean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value in {"true", "false"} and getattr(value, "is_plain", True):
        return value == "true"
    raise refuse("manifest-invalid-value", f"{shown(value)!r} is neither true nor false")


def _size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str):
        return value
    match = _SIZE.match(value)
    if match is None:
        raise refuse(
            "manifest-invalid-size",
            f"{shown(value)!r} is not a size like 64 MiB (B, KiB, MiB, GiB, kB, MB, GB)",
        )
    return round(float(f"{match[1]}.{match[2] or 0}") * _UNITS[match[3]])


def _duration(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value)
    if not isinstance(value, str):
        return value
    match = _DURATION.match(value)
    if match is None:
        raise refuse(
            "manifest-invalid-duration",
            f"{shown(value)!r} is not a duration like 30 s (ms, s, min, h, d)",
        )
    return float(f"{match[1]}.{match[2] or 0}") * _SECONDS[match[3]]


def _plain_json(text: str) -> Any:
    """What JSON would read; everything else stays the text that was written."""
    if text in {"", "null"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if text.lower().lstrip("+-") in {".nan", ".inf"}:
        raise refuse("manifest-number-not-finite", f"{shown(text)!r} is not a finite number")
    if _INTEGER.match(text):
        return _integer(text)
    return _finite(text) if _NUMBER.match(text) else str(text)


def to_json(value: Any) -> Any:
    """The JSON value of a part of the manifest that we do not type ourselves."""
    try:
        return _to_json(value)
    except _Misfit as misfit:
        error = misfit.error
        raise PydanticCustomError(
            misfit.literal, "{reason}", {**(error.context or {}), "below": misfit.below}
        ) from error


class _Misfit(Exception):
    def __init__(self, error: PydanticCustomError, below: tuple[str | int, ...]) -> None:
        super().__init__()
        self.error = error
        self.below = below
        self.literal: Any = error.type


def _to_json(value: Any, below: tuple[str | int, ...] = ()) -> Any:
    if isinstance(value, dict):
        return {str(key): _to_json(inner, (*below, str(key))) for key, inner in value.items()}
    if isinstance(value, list):
        return [_to_json(inner, (*below, index)) for index, inner in enumerate(value)]
    if isinstance(value, Scalar):
        try:
            return _plain_json(value) if value.is_plain else str(value)
        except PydanticCustomError as error:
            raise _Misfit(error, below) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise _Misfit(refuse("manifest-number-not-finite", "the number is not finite"), below)
    return value


def _single_line(value: str) -> str:
    if "\n" in value or "\t" in value:
        raise refuse(
            "manifest-invalid-value", "this is one line; line breaks and tabs are not accepted"
        )
    if value != value.strip():
        raise refuse("manifest-invalid-value", "spaces at the beginning or end are not accepted")
    return value


def _https(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise refuse("manifest-invalid-url", "this is not an address") from error
    host = parts.hostname or ""
    if parts.scheme != "https" or not value.startswith("https://"):
        raise refuse("manifest-invalid-url", "only https:// addresses are accepted")
    if "@" in parts.netloc or port == 0 or "\\" in value or not value.isascii() or " " in value:
        raise refuse(
            "manifest-invalid-url",
            "user names, spaces, backslashes and non-ASCII letters are not accepted",
        )
    if not is_public_host(host) or "." not in host:
        raise refuse("manifest-invalid-url", "the host is a plain public name, no IP address")
    return value


def is_public_host(host: str) -> bool:
    """Whether it is a DNS name in ASCII (not an address in any notation, not punycode)."""
    labels = host.split(".")
    if len(host) > 253 or not all(_DNS_LABEL.match(label) for label in labels):
        return False
    if (
        any(label.startswith("xn--") for label in labels)
        or labels[-1].isdigit()
        or labels[-1].startswith("0x")
    ):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _inner_path(value: str) -> str:
    parts = value.split("/")
    if len(value.encode()) > 255 or not all(
        _PATH_PART.match(part) and part not in {".", ".."} for part in parts
    ):
        raise refuse("manifest-invalid-path", f"{shown(value)!r} is not a path inside the package")
    return value


def _small_json(value: Any) -> Any:
    if len(json.dumps(value)) > 64 * KIB:
        raise refuse("manifest-invalid-value", "more than 64 KiB of JSON")
    return value


_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,3})? ?(B|KiB|MiB|GiB|kB|MB|GB)$"},
        {"type": "integer", "minimum": 0},
    ]
}
_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})? ?(ms|s|min|h|d)$"},
        {"type": "number", "minimum": 0},
    ]
}

Integer = Annotated[int, BeforeValidator(_integer), WithJsonSchema({"type": "integer"})]
Number = Annotated[float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Boolean = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema({"type": "boolean"})]
SizeBytes = Annotated[int, BeforeValidator(_size), WithJsonSchema(_SIZE_SCHEMA)]
Seconds = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
Json = Annotated[Any, BeforeValidator(to_json), AfterValidator(_small_json)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(to_json), AfterValidator(_small_json)]
Name120 = Annotated[
    str, StringConstraints(min_length=1, max_length=120), AfterValidator(_single_line)
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_single_line)]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
HttpsUrl = Annotated[str, StringConstraints(max_length=500), AfterValidator(_https)]
InnerPath = Annotated[
    str, StringConstraints(min_length=1, max_length=255), AfterValidator(_inner_path)
]
