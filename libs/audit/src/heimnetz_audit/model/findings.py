"""What an audit says about a place in the source."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How much harm the place does; the order is the meaning."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> "Severity":
        """Raises: ValueError, when the word is no severity."""
        try:
            return cls[text.upper()]
        except KeyError as error:
            raise ValueError(f"no such severity: {text!r}") from error


class Confidence(StrEnum):
    """How sure the engine is that the place is what the rule describes."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One station of a flow, 1-based line, the text of that line without indentation."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer of one check; lines are 1-based and inclusive.

    `remedy` is empty where that of the check says enough.
    """

    file: str
    line: int
    end_line: int
    rule: str
    cwe: int | None
    severity: Severity
    confidence: Confidence
    message: str
    flow: tuple[Step, ...] = ()
    remedy: str = ""

    @property
    def page(self) -> str:
        """Where a platform serves what explains the rule; the same for ever."""
        return f"/docs/platform/checks/{self.rule}.html"

    @property
    def order(self) -> tuple[str, int, str, int, str]:
        return (self.file, self.line, self.rule, -int(self.severity), self.message)


@dataclass(frozen=True, slots=True, order=True)
class Unknown:
    """Something that could not be looked at, and why; `check` may be a step of the engine."""

    file: str
    check: str
    why: str
