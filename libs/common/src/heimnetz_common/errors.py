"""What can go wrong, in families. Only `heimnetz_common.problems` knows their HTTP numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in what a client sent; `pointer` is a JSON Pointer (RFC 6901)."""

    detail: str
    pointer: str = ""
    line: int | None = None
    column: int | None = None


class HeimnetzError(Exception):
    """`kind` is public API: clients match on it, never on the detail."""

    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title


class Unauthenticated(HeimnetzError):
    kind = "unauthenticated"
    title = "Who is calling is not known"


class Forbidden(HeimnetzError):
    kind = "forbidden"
    title = "The caller may not do this"


class NotFound(HeimnetzError):
    kind = "not-found"
    title = "Not found"


class Conflict(HeimnetzError):
    kind = "conflict"
    title = "In conflict with what is there"


class TooLarge(HeimnetzError):
    kind = "too-large"
    title = "Too large"


class TooSlow(HeimnetzError):
    kind = "too-slow"
    title = "The request comes too slowly"


class HeaderTooLarge(HeimnetzError):
    kind = "header-too-large"
    title = "Header too large"


class NotAcceptable(HeimnetzError):
    kind = "not-acceptable"
    title = "No format that the client accepts"


class TargetTooLong(HeimnetzError):
    kind = "target-too-long"
    title = "URL too long"


class UnsupportedMedia(HeimnetzError):
    kind = "unsupported-media"
    title = "Format not supported"


class InvalidInput(HeimnetzError):
    kind = "invalid-input"
    title = "Invalid input"

    def __init__(self, detail: str = "", mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(detail)
        self.mistakes = tuple(mistakes)


class TooMany(HeimnetzError):
    kind = "too-many"
    title = "Too many requests"

    def __init__(self, detail: str = "", retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(HeimnetzError):
    """The same call may work later; lost connections included. Nothing else is retried."""

    kind = "unavailable"
    title = "Not available now"

    def __init__(self, detail: str = "", retry_after_seconds: int = 5) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Full(HeimnetzError):
    kind = "full"
    title = "No space left"
