"""What operators ask every service about its events: where they are, and to send them again."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from pydantic import AwareDatetime, BaseModel, Field

from heimnetz_common import consuming, outbox
from heimnetz_common.auth import Rule, require
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import NotFound
from heimnetz_common.routing import StrictBody, router

READ: Rule = require("operator", "viewer")
RESEND: Rule = require("operator")
REPLAY: Rule = require("owner")


class DeadLetter(BaseModel):
    id: int
    event_type: str
    error: str
    tries: int
    failed_at: datetime


class DeadLetters(BaseModel):
    items: list[DeadLetter]


class Retried(BaseModel):
    id: int


class TraceEntry(BaseModel):
    """One thing that happened to an event in this service."""

    at: datetime
    service: str
    what: Literal["announced", "sent", "handled"]
    event: str
    event_id: str


class TraceShown(BaseModel):
    trace_id: str
    entries: list[TraceEntry]


class TraceNotFound(NotFound):
    kind = "trace-not-found"
    title = "No such trace or event"


class ReplayBody(StrictBody):
    since: Annotated[AwareDatetime, Field(strict=False, description="RFC 3339")]


class Replayed(BaseModel):
    events: int


def routes(database: Database, service: str) -> APIRouter:
    api = router(prefix="/v1", tags=["events"])

    @api.get("/dead-letters", dependencies=[Depends(READ)])
    async def list_dead_letters(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DeadLetters:
        """Events that a consumer gave up."""
        async with database.connection() as connection:
            rows = await consuming.list_dead_letters(connection, limit)
        return DeadLetters(items=[DeadLetter.model_validate(dict(row)) for row in rows])

    @api.post("/dead-letters/{letter_id}/retry", status_code=202, dependencies=[Depends(RESEND)])
    async def retry(letter_id: Annotated[int, PathParameter(ge=1, le=2**63 - 1)]) -> Retried:
        """Handle a dead letter again."""
        async with database.transaction() as connection:
            await consuming.retry(connection, letter_id)
        return Retried(id=letter_id)

    @api.get("/traces/{key}", dependencies=[Depends(READ)])
    async def get_trace(
        key: Annotated[str, PathParameter(pattern=r"^[0-9a-f-]{32,36}$")],
    ) -> TraceShown:
        """What this service announced and handled under a trace, or under an event's trace."""
        async with database.connection() as connection:
            trace_id = await _find_trace(connection, key)
            entries = await _list_entries(connection, trace_id, service)
        if not entries:
            raise TraceNotFound(f"{service} knows nothing of {key}")
        return TraceShown(trace_id=trace_id, entries=entries)

    @api.post("/events/replay", dependencies=[Depends(REPLAY)])
    async def replay(body: ReplayBody) -> Replayed:
        """Send events again that this service announced, into a stream that lost them."""
        async with database.transaction() as connection:
            return Replayed(events=await outbox.replay(connection, body.since))

    return api


async def _find_trace(connection: Connection, key: str) -> str:
    """The key itself, unless it is the id of an event."""
    found = await connection.fetchval(
        """
        SELECT trace_id
          FROM outbox
         WHERE event_id = $1
         UNION ALL
        SELECT trace_id
          FROM inbox
         WHERE event_id = $1
         LIMIT 1
        """,
        key,
    )
    return str(found or key)


async def _list_entries(connection: Connection, trace_id: str, service: str) -> list[TraceEntry]:
    rows = await connection.fetch(
        """
        SELECT created_at AS at, 'announced' AS what, event_type AS event, event_id
          FROM outbox
         WHERE trace_id = $1
         UNION ALL
        SELECT sent_at, 'sent', event_type, event_id
          FROM outbox
         WHERE trace_id = $1 AND sent_at IS NOT NULL
         UNION ALL
        SELECT handled_at, 'handled', event_type, event_id
          FROM inbox
         WHERE trace_id = $1
         ORDER BY at
         LIMIT 1000
        """,
        trace_id,
    )
    return [TraceEntry(service=service, **dict(row)) for row in rows]
