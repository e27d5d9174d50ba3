"""What is known of vulnerable versions: sorted lines, searched where they lie.

A line is `ECOSYSTEM NAME [advisory, ...]`, in the order of its bytes; an advisory is a list of its
id, the CVE, the severity as a number or null, a summary, ranges, and single versions. A range is a
list of events: `i` (introduced), `f` (fixed), `l` (last affected) or `x` (limit) before a version,
as in OSV. A quarter of a million of them take some 18 MB, and looking a name up reads 20 lines.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from heimnetz_audit.model.findings import Severity

ECOSYSTEMS: Final = ("PyPI", "npm")
#: Of all lines together.
CONTENT_BYTES: Final = 96 * 1024 * 1024
#: tensorflow, with the most, had 0.3 MB in 2026.
LINE_BYTES: Final = 4 * 1024 * 1024
SUMMARY_CHARACTERS: Final = 160
VERSION_CHARACTERS: Final = 128
_MAGIC: Final = b"heimnetz-advisories 1 "
_HEADER: Final = re.compile(rb"heimnetz-advisories 1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\d{1,9})")
_LINE: Final = re.compile(rb"(?:PyPI|npm) [!-~]{1,214} \[\[.*\]\]")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


class InvalidAdvisories(ValueError):
    """The data is not what it should be; the text says where."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """One known vulnerability of one package; `ranges` hold events as the lines have them."""

    id: str
    cve: str
    severity: Severity | None
    summary: str
    ranges: tuple[tuple[str, ...], ...]
    versions: tuple[str, ...]

    @property
    def is_malicious(self) -> bool:
        """OpenSSF's list of packages that were made to do harm."""
        return self.id.startswith("MAL-")


class Advisories:
    """Raises: InvalidAdvisories, where the first line is no header; `parse` looks at every line."""

    def __init__(self, content: bytes) -> None:
        matched = _HEADER.fullmatch(content[:100].partition(b"\n")[0])
        if matched is None:
            raise InvalidAdvisories("the first line is no header of advisories")
        self.content: Final = content
        #: When the latest of them was changed, RFC 3339 in UTC.
        self.as_of: Final = matched[1].decode()
        self.count: Final = int(matched[2])

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def parse(cls, content: bytes) -> "Advisories":
        """Raises: InvalidAdvisories."""
        if len(content) > CONTENT_BYTES:
            raise InvalidAdvisories(f"more than {CONTENT_BYTES} bytes")
        made = cls(content)
        try:
            datetime.fromisoformat(made.as_of)
        except ValueError as error:
            raise InvalidAdvisories("the day of the advisories is none") from error
        if not content.endswith(b"\n"):
            raise InvalidAdvisories("the end is missing")
        count, before = 0, b""
        for number, line in enumerate(content.split(b"\n")[1:-1], 2):
            key = b" ".join(line[:300].split(b" ", 2)[:2])
            if len(line) > LINE_BYTES or key <= before or _LINE.fullmatch(line) is None:
                raise InvalidAdvisories(f"line {number} is not one of advisories in their order")
            count, before = count + len(_decode(line, number)), key
        if count != made.count:
            raise InvalidAdvisories(f"{count} advisories, where {made.count} are announced")
        return made

    @classmethod
    def build(cls, as_of: str, by_package: dict[tuple[str, str], list[Advisory]]) -> "Advisories":
        """Raises: InvalidAdvisories, where they are too many."""
        lines = sorted(
            f"{ecosystem} {name} {_encode(sorted(found, key=lambda each: each.id))}".encode()
            for (ecosystem, name), found in by_package.items()
        )
        lines.sort(key=lambda line: line.split(b" ", 2)[:2])
        count = sum(map(len, by_package.values()))
        header = _MAGIC + f"{as_of} {count}".encode()
        return cls.parse(b"\n".join([header, *lines, b""]))

    def about(self, ecosystem: str, name: str) -> tuple[Advisory, ...]:
        """Those about a package, by its exact name."""
        wanted = f"{ecosystem} {name} ".encode()
        low, high = self.content.index(b"\n") + 1, len(self.content)
        while low < high:
            middle = self.content.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self.content.index(b"\n", middle)
            line = self.content[middle : min(end, middle + 300)]
            key = b" ".join(line.split(b" ", 2)[:2]) + b" "
            if key == wanted:
                return _decode(self.content[middle:end], 0)
            if key[:-1] < wanted[:-1]:
                low = end + 1
            else:
                high = middle
        return ()


def is_compact(start: bytes) -> bool:
    """Whether a file that begins so holds lines as they are here."""
    return start.startswith(_MAGIC)


def _encode(found: Iterable[Advisory]) -> str:
    rows = [
        [each.id, each.cve, each.severity, each.summary, each.ranges, each.versions]
        for each in found
    ]
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=True)


def _decode(line: bytes, number: int) -> tuple[Advisory, ...]:
    try:
        return tuple(_advisory(row) for row in json.loads(line.split(b" ", 2)[2]))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InvalidAdvisories(f"line {number} holds no advisories") from error


def _advisory(row: Any) -> Advisory:
    """Raises: ValueError, TypeError, LookupError."""
    name, cve, severity, summary, ranges, versions = row
    texts = [(name, 100), (cve, 100), (summary, SUMMARY_CHARACTERS)]
    texts += [(version, VERSION_CHARACTERS) for version in versions]
    texts += [(event[1:], VERSION_CHARACTERS) for events in ranges for event in events]
    if any(not isinstance(text, str) or len(text) > limit for text, limit in texts):
        raise ValueError("a text is none, or too long")
    if any(event[:1] not in ("i", "f", "l", "x") for events in ranges for event in events):
        raise ValueError("an event of no known kind")
    if _ID.fullmatch(name) is None or (cve and _ID.fullmatch(cve) is None):
        raise ValueError("an id that is none")
    return Advisory(
        id=name,
        cve=cve,
        severity=None if severity is None else Severity(severity),
        summary=summary,
        ranges=tuple(map(tuple, ranges)),
        versions=tuple(versions),
    )
