"""Problem documents (RFC 9457) as exceptions: match on the class or `problem`, not on `detail`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in what was sent."""

    detail: str
    pointer: str = ""
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None


class HeimnetzError(Exception):
    """The platform refused, or could not be reached."""

    kind: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str,
        *,
        title: str = "",
        problem: str = "",
        status: int | None = None,
        instance: str = "",
        mistakes: tuple[Mistake, ...] = (),
        retry_after_seconds: float | None = None,
        trace_id: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.title = title
        self.problem = problem or self.kind
        """The last part of the problem's `type`, which may be finer than the class."""
        self.status = status
        self.instance = instance
        self.mistakes = mistakes
        self.retry_after_seconds = retry_after_seconds
        self.trace_id = trace_id


class InvalidRequest(HeimnetzError):
    """400: the request is not HTTP as the service understands it."""

    kind = "bad-request"


class Unauthenticated(HeimnetzError):
    kind = "unauthenticated"


class Forbidden(HeimnetzError):
    kind = "forbidden"


class NotFound(HeimnetzError):
    kind = "not-found"


class Conflict(HeimnetzError):
    kind = "conflict"


class VersionExists(Conflict):
    """The version is published with other bytes."""

    kind = "version-exists"


class AlreadySetUp(Conflict):
    """The owner account exists."""

    kind = "already-set-up"


class IllegalTransition(Conflict):
    """No such step leads from the version's state."""

    kind = "illegal-transition"


class TooLarge(HeimnetzError):
    kind = "too-large"


class UnsupportedMedia(HeimnetzError):
    kind = "unsupported-media"


class InvalidInput(HeimnetzError):
    kind = "invalid-input"


class TooMany(HeimnetzError):
    kind = "too-many"


class Unavailable(HeimnetzError):
    """The same call may work later; a lost connection counts."""

    kind = "unavailable"


class Full(HeimnetzError):
    kind = "full"


class ServerError(HeimnetzError):
    """The service failed without saying how; its log has the traceback under the trace id."""

    kind = "internal"


class UnexpectedAnswer(HeimnetzError):
    """What came back is not what this client knows; the URL may point at something else."""

    kind = "unexpected-answer"


_BY_STATUS: Mapping[int, type[HeimnetzError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: InvalidRequest,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMedia,
    422: InvalidInput,
    429: TooMany,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: Full,
}
_FINER: tuple[type[HeimnetzError], ...] = (VersionExists, AlreadySetUp, IllegalTransition)
_BY_KIND: Mapping[str, type[HeimnetzError]] = {
    error.kind: error for error in (*_BY_STATUS.values(), *_FINER)
}


def error_from(
    status: int,
    problem: Mapping[str, Any] | None,
    *,
    retry_after_seconds: float | None = None,
    trace_id: str = "",
) -> HeimnetzError:
    """The exception of an answer that is no success; `problem` is None if the body was none."""
    document = problem or {}
    kind = str(document.get("type", "")).rstrip("/").rpartition("/")[2]
    fallback = ServerError if status >= 500 else UnexpectedAnswer
    error = _BY_KIND.get(kind) or _BY_STATUS.get(status, fallback)
    title = str(document.get("title") or "")
    return error(
        str(document.get("detail") or title or f"the server answered {status}"),
        title=title,
        problem=kind,
        status=status,
        instance=str(document.get("instance") or ""),
        mistakes=tuple(_mistakes(document.get("errors"))),
        retry_after_seconds=retry_after_seconds,
        trace_id=trace_id,
    )


def _mistakes(errors: object) -> list[Mistake]:
    if not isinstance(errors, list):
        return []
    return [
        Mistake(
            detail=str(entry.get("detail", "")),
            pointer=str(entry.get("pointer", "")),
            line=entry.get("line") if isinstance(entry.get("line"), int) else None,
            column=entry.get("column") if isinstance(entry.get("column"), int) else None,
            suggestion=str(entry["suggestion"]) if entry.get("suggestion") else None,
        )
        for entry in errors
        if isinstance(entry, dict)
    ]
