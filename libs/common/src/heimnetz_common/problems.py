"""Every error response is a problem document (RFC 9457). The only module that knows the numbers."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from heimnetz_common.errors import (
    Conflict,
    Forbidden,
    Full,
    HeaderTooLarge,
    HeimnetzError,
    InvalidInput,
    Mistake,
    NotAcceptable,
    NotFound,
    TargetTooLong,
    TooLarge,
    TooMany,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from heimnetz_common.logs import get_logger

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://heimnetz.example/problems/"
MAX_MISTAKES = 50

STATUS: Mapping[type[HeimnetzError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    NotAcceptable: 406,
    TooSlow: 408,
    Conflict: 409,
    TooLarge: 413,
    TargetTooLong: 414,
    UnsupportedMedia: 415,
    InvalidInput: 422,
    TooMany: 429,
    HeaderTooLarge: 431,
    Unavailable: 503,
    Full: 507,
}
FRAMEWORK_KINDS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
}

log = get_logger(__name__)


def status_of(error: type[HeimnetzError]) -> int:
    return next((number for family, number in STATUS.items() if issubclass(error, family)), 500)


def problem(
    request: Request,
    *,
    status: int,
    kind: str,
    title: str,
    detail: str,
    mistakes: tuple[Mistake, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    document: dict[str, Any] = {
        "type": f"{TYPE_BASE}{kind}",
        "title": title,
        "status": status,
        "detail": _visible(detail),
        "instance": _visible(request.url.path),
    }
    if mistakes:
        document["errors"] = [_entry(mistake) for mistake in mistakes[:MAX_MISTAKES]]
    return Response(
        orjson.dumps(document), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


class Entry(BaseModel):
    """One mistake; `pointer` is a JSON Pointer (RFC 6901) into what was sent."""

    detail: str
    pointer: str
    line: int | None = None
    column: int | None = None


class Problem(BaseModel):
    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Entry] | None = Field(default=None, max_length=MAX_MISTAKES)


def describe(document: dict[str, Any]) -> None:
    """Add the schema that the routes' error answers refer to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {**schema.pop("$defs"), "Problem": schema}


def install(app: FastAPI) -> None:
    """Make every error of the application, the framework's own included, a problem document."""
    app.add_exception_handler(HeimnetzError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unknown)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeimnetzError)
    return answer(request, error)


def answer(request: Request, error: HeimnetzError) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, TooMany | Unavailable):
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    status = status_of(type(error))
    if status == 500:
        log.error("unknown_family", error=repr(error))
    return problem(
        request,
        status=status,
        kind=error.kind,
        title=error.title,
        detail=error.detail,
        mistakes=getattr(error, "mistakes", ()),
        headers=headers,
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    mistakes = tuple(
        Mistake(detail=str(item["msg"]), pointer=_pointer(item["loc"])) for item in error.errors()
    )
    return problem(
        request,
        status=422,
        kind=InvalidInput.kind,
        title=InvalidInput.title,
        detail=mistakes[0].detail if len(mistakes) == 1 else f"{len(mistakes)} mistakes",
        mistakes=mistakes,
    )


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, HeimnetzError):
        # FastAPI hides what our reading of the body refused behind a 400 of its own.
        return answer(request, error.__cause__)
    return problem(
        request,
        status=error.status_code,
        kind=FRAMEWORK_KINDS.get(error.status_code, "bad-request"),
        title=str(error.detail),
        detail=str(error.detail),
        headers=error.headers,
    )


async def _unknown(request: Request, error: Exception) -> Response:
    log.error("unexpected_error", path=request.url.path, exc_info=error)
    return problem(
        request,
        status=500,
        kind="internal",
        title="Internal error",
        detail="The mistake is ours; the service's log has the details.",
    )


def _pointer(location: tuple[int | str, ...]) -> str:
    """A JSON Pointer; the first part is where the value came from (body, path, query)."""
    return "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1")[:200] for part in location[:20]
    )


def _entry(mistake: Mistake) -> dict[str, Any]:
    entry: dict[str, Any] = {"detail": _visible(mistake.detail), "pointer": mistake.pointer}
    if mistake.line is not None:
        entry |= {"line": mistake.line, "column": mistake.column}
    return entry


def _visible(text: str) -> str:
    """At most 1,000 characters, and none that a terminal or a log would act on."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:1000])
