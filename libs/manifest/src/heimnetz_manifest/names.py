"""Names of plugins and versions: values that cannot hold anything dangerous."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from heimnetz_manifest.errors import InvalidName, InvalidVersion, shown

_NAME = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
_NAME_PATTERN = re.compile(_NAME[:-1] + r"\Z")
_VERSION = (
    r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$"
)
_VERSION_PATTERN = re.compile(_VERSION[:-1] + r"\Z")

VERSION_CHARACTERS = 64

RESERVED_NAMES = frozenset(
    {
        *("admin", "administrator", "root", "owner", "system", "internal", "localhost"),
        *("api", "docs", "ui", "console", "www", "static", "assets", "login", "setup", "health"),
        *("registry", "auditor", "sandbox", "monitor", "docs-gen", "engine-proxy", "gateway"),
        *("postgres", "nats", "prometheus", "alertmanager", "grafana", "migrate", "init", "certs"),
        *("heimnetz", "plugin", "plugins", "latest", "new", "all", "none", "null"),
        *("con", "prn", "aux", "nul"),
    }
)


def is_reserved(name: str) -> bool:
    return name in RESERVED_NAMES or name.startswith(("heimnetz-", "xn--"))


class _Text(str):
    """A text that is checked when it is made; pydantic reads and writes it as a string."""

    __slots__ = ()
    error_kind = ""
    pattern = ""
    longest = 0

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def check(value: str) -> _Text:
            try:
                return cls(value)
            except ValueError as error:
                raise PydanticCustomError(
                    _literal(cls.error_kind), "{reason}", {"reason": str(error)}
                ) from error

        return core_schema.no_info_after_validator_function(
            check,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.pattern, "maxLength": cls.longest}


def _literal(text: str) -> Any:
    # PydanticCustomError asks for a LiteralString; ours come from class constants.
    return text


class PluginName(_Text):
    """A DNS label: lower-case letters, digits and inner hyphens, 1 to 63 characters.

    Raises: InvalidName.
    """

    __slots__ = ()
    error_kind = "manifest-invalid-name"
    pattern = _NAME
    longest = 63

    def __new__(cls, text: str) -> Self:
        if not 1 <= len(text) <= 63 or not _NAME_PATTERN.match(text):
            raise InvalidName(
                f"{shown(text)!r} is not a name: 1 to 63 lower-case letters, digits and hyphens, "
                "beginning and ending with a letter or digit"
            )
        if text.isdigit():
            raise InvalidName(f"{text!r} is not a name: it needs at least one letter")
        return super().__new__(cls, text)

    @property
    def twin_key(self) -> str:
        """Two names with the same key are too easily taken for each other."""
        return self.replace("-", "")


class Version(_Text):
    """SemVer 2.0; ordered by precedence, equal precedence by text.

    Raises: InvalidVersion.
    """

    __slots__ = ()
    error_kind = "manifest-invalid-version"
    pattern = _VERSION
    longest = VERSION_CHARACTERS

    def __new__(cls, text: str) -> Self:
        match = _VERSION_PATTERN.match(text) if 0 < len(text) <= VERSION_CHARACTERS else None
        if match is None:
            raise InvalidVersion(f"{shown(text)!r} is not a version like 1.2.3 or 1.2.3-rc.1")
        for part in (match[4] or "").split("."):
            if part.isdigit() and (len(part) > 9 or (part[0] == "0" and part != "0")):
                raise InvalidVersion(
                    f"{shown(text)!r}: {shown(part)!r} has a leading zero or too many digits"
                )
        return super().__new__(cls, text)

    @property
    def precedence(self) -> str:
        """The version without build metadata."""
        return self.partition("+")[0]

    @property
    def is_prerelease(self) -> bool:
        return "-" in self.precedence

    @property
    def sort_key(self) -> str:
        """Orders as SemVer does when compared byte by byte."""
        core, _, pre = self.precedence.partition("-")
        numbers = ".".join(part.zfill(9) for part in core.split("."))
        if not pre:
            return f"{numbers}~"
        # "!" sorts before every character of an identifier, digits ("0") before texts ("1").
        parts = ("0" + part.zfill(9) if part.isdigit() else "1" + part for part in pre.split("."))
        return f"{numbers}-" + "!".join(parts)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: str) -> bool:
        mine, theirs = self.sort_key, Version(other).sort_key
        return (mine, str(self)) < (theirs, str(other))

    def __le__(self, other: str) -> bool:
        return self == other or self < other

    def __gt__(self, other: str) -> bool:
        return not self <= other

    def __ge__(self, other: str) -> bool:
        return not self < other

    def __hash__(self) -> int:
        return str.__hash__(self)


def edit_distance_at_most_one(left: str, right: str) -> bool:
    """Whether one typing error (insert, drop, change, swap) leads from one to the other."""
    if abs(len(left) - len(right)) > 1:
        return False
    if len(left) > len(right):
        left, right = right, left
    start = next((i for i, letter in enumerate(left) if letter != right[i]), len(left))
    if len(left) < len(right):
        return left[start:] == right[start + 1 :]
    swapped = left[start + 1 : start + 2] + left[start : start + 1]
    return left[start + 1 :] == right[start + 1 :] or (
        swapped == right[start : start + 2] and left[start + 2 :] == right[start + 2 :]
    )
