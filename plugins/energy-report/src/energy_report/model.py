"""What is read, and what is said about it."""

from array import array
from dataclasses import dataclass, field

SHOWN_BAD_ROWS = 20
SHOWN_CHARACTERS = 80


class ReadingsError(ValueError):
    """The files cannot be used; the message says where and why."""


@dataclass(frozen=True)
class BadRow:
    file: str
    line: int
    reason: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}: {self.text!r}"


@dataclass
class BadRows:
    """Counts all and remembers the first."""

    count: int = 0
    first: list[BadRow] = field(default_factory=list)

    def add(self, file: str, line: int, reason: str, text: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN_BAD_ROWS:
            self.first.append(BadRow(file, line, reason, text.strip()[:SHOWN_CHARACTERS]))


@dataclass
class Readings:
    """24 bytes a reading: seconds since 1970 (UTC), the value as written, and where it stands."""

    seconds: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    places: "array[int]" = field(default_factory=lambda: array("q"))
    units: set[str] = field(default_factory=set)
    bad_rows: BadRows = field(default_factory=BadRows)
    files: list[str] = field(default_factory=list)

    def add(self, seconds: int, value: float, line: int) -> None:
        """A reading of the last of `files`."""
        self.seconds.append(seconds)
        self.values.append(value)
        self.places.append((len(self.files) - 1) << 40 | line)

    def refuse(self, position: int, reason: str) -> None:
        """Note as a bad row what was read without complaint."""
        place = self.places[position]
        file, line = self.files[place >> 40], place & (1 << 40) - 1
        self.bad_rows.add(file, line, reason, str(self.values[position]))

    def __len__(self) -> int:
        return len(self.seconds)
