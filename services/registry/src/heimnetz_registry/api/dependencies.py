"""What routes share: names in paths, pages, answers with an ETag, and who is calling."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Path as PathParameter
from fastapi import Query, Request, Response

from heimnetz_common.database import Database
from heimnetz_common.errors import InvalidInput, Mistake
from heimnetz_common.tokens import Principal
from heimnetz_manifest import PluginName, Version
from heimnetz_registry.admitting import Doorkeeper
from heimnetz_registry.artifacts import Artifacts
from heimnetz_registry.cataloguing import Cataloguer
from heimnetz_registry.chaining import Chain
from heimnetz_registry.deciding import Decider
from heimnetz_registry.enrolling import Enroller
from heimnetz_registry.installing import Installer
from heimnetz_registry.mirroring import Mirrorer
from heimnetz_registry.model import Actor
from heimnetz_registry.offering import Offerer
from heimnetz_registry.publishing import Publisher
from heimnetz_registry.reverting import Reverter
from heimnetz_registry.searching import Searcher
from heimnetz_registry.transferring import Transferrer
from heimnetz_registry.updating import Updater

Plugin = Annotated[PluginName, PathParameter(description="Name of a plugin")]
VersionNumber = Annotated[Version, PathParameter(description="SemVer 2.0")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of a page")]
Cursor = Annotated[
    str | None, Query(max_length=400, description="`next_cursor` of the page before")
]

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes call; made once in app.py."""

    database: Database
    artifacts: Artifacts
    publisher: Publisher
    decider: Decider
    installer: Installer
    reverter: Reverter
    updater: Updater
    transferrer: Transferrer
    doorkeeper: Doorkeeper
    chain: Chain
    enroller: Enroller
    searcher: Searcher
    cataloguer: Cataloguer
    mirrorer: Mirrorer
    offerer: Offerer
    services: tuple[str, ...]


def actor_of(principal: Principal) -> Actor:
    service = principal.service
    role = principal.role if service is None else f"{service}'s service"
    return Actor(principal.subject, principal.name, role)


def address_of(request: Request) -> str:
    """Of the client: the gateway appends it, and nobody else reaches this service."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    client = request.client.host if request.client is not None else "unknown"
    return (forwarded or client)[:64]


def write_cursor(key: str | int) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode("ascii").rstrip("=")


def read_cursor(cursor: str | None, check: Callable[[str], P]) -> P | None:
    """Raises: InvalidInput."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        if not text.isprintable():
            raise ValueError(text)
        return check(text)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput(
            "the cursor is not one of ours", [Mistake("use next_cursor as it is", "/query/cursor")]
        ) from error


def positive(text: str) -> int:
    """A row id that fits PostgreSQL's bigint."""
    number = int(text) if len(text) <= 19 else 0
    if not 0 < number < 2**63:
        raise ValueError(text)
    return number


def answer(
    request: Request,
    document: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """JSON with an ETag; 304 when the client has it already."""
    return answer_bytes(request, orjson.dumps(document), status=status, headers=headers)


def answer_bytes(
    request: Request, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """As `answer`, for JSON that is written already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = {"etag": etag, "cache-control": "private, no-cache", **(headers or {})}
    if status == 200 and has_etag(request, etag):
        return Response(status_code=304, headers=known)
    return Response(body, status_code=status, media_type="application/json", headers=known)


def has_etag(request: Request, etag: str) -> bool:
    """RFC 9110, section 13.1.2, weak comparison."""
    given = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")[:50]}
    return request.method in {"GET", "HEAD"} and (etag in tags or "*" in tags)


def page(items: list[Any], limit: int, key: Callable[[Any], str | int]) -> dict[str, Any]:
    """One more than `limit` was asked for; that there is one means there is a next page."""
    more = len(items) > limit
    shown = items[:limit]
    return {"items": shown, "next_cursor": write_cursor(key(shown[-1])) if more else None}
