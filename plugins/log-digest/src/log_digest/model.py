"""What a line says, and counting that stays small whatever the log holds."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SHOWN_CHARACTERS = 300
LEVELS = ("debug", "info", "notice", "warning", "error", "critical")
BAD_LEVELS = frozenset({"error", "critical"})

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


class LogError(ValueError):
    """The files cannot be used; the message says why."""


@dataclass(slots=True)
class Entry:
    """One line; what it does not say stays empty."""

    message: str
    at: datetime | None = None
    level: str = ""
    source: str = ""
    client: str = ""
    method: str = ""
    path: str = ""
    status: int = 0
    size_bytes: int = 0
    agent: str = ""

    @property
    def is_error(self) -> bool:
        return self.level in BAD_LEVELS or self.status >= 500


@dataclass(slots=True)
class Place:
    file: str
    line: int


@dataclass
class Pattern:
    """Lines that differ in numbers, names and addresses only."""

    count: int
    first: Place
    example: str
    level: str
    is_error: bool


@dataclass
class Tally:
    """Counts of the most frequent, exact until `capacity` different things were seen."""

    capacity: int = 20_000
    counts: Counter[str] = field(default_factory=Counter)
    is_exact: bool = True

    def add(self, name: str, amount: int = 1) -> None:
        self.counts[name] += amount
        if len(self.counts) > self.capacity:
            # The rare half goes: what is frequent in the whole log stays far above it.
            self.counts = Counter(dict(self.counts.most_common(self.capacity // 2)))
            self.is_exact = False

    def top(self, limit: int) -> list[tuple[str, int]]:
        """Most frequent first, equal counts by name."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:limit]


def shown(text: str) -> str:
    """Fit for a report: control characters as escapes, at most 300 characters."""
    clean = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return clean if len(clean) <= SHOWN_CHARACTERS else clean[: SHOWN_CHARACTERS - 1] + "…"


Report = dict[str, Any]
