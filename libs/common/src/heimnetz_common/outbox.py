"""A change and its announcement commit together; the relay tells the others afterwards.

Nothing else publishes to NATS: `publish` may return without the message having arrived
(20,000 calls returned and 80 messages arrived during one kill of the server, 2026-11).
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from heimnetz_common import events
from heimnetz_common.bus import Bus
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import (
    EVENTS_PUBLISHED,
    OUTBOX_AGE,
    OUTBOX_WAITING,
    current_trace,
)

BATCH = 100
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.005
HISTORY = timedelta(days=30)
_PURGE_EVERY_ROUNDS = 3600

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A row of the outbox, for who writes it together with something else.

    The relay is to be woken with `pg_notify('outbox_' || current_schema(), '')`.
    """

    event_id: str
    event_type: str
    document: bytes
    trace_id: str | None


def announcement(data: events.EventData, *, service: str, subject: str) -> Announcement:
    trace = current_trace()
    event_id, document = events.encode(
        data,
        service=service,
        subject=subject,
        traceparent=trace.traceparent if trace else None,
    )
    return Announcement(event_id, data.type(), document, trace.trace_id if trace else None)


async def append(
    connection: Connection, data: events.EventData, *, service: str, subject: str
) -> str:
    """Announce a fact when the caller's transaction commits; the event's id."""
    told = announcement(data, service=service, subject=subject)
    await connection.execute(
        """
        WITH added AS (
             INSERT INTO outbox (event_id, event_type, document, trace_id)
             VALUES ($1, $2, $3, $4)
          RETURNING 1)
        SELECT pg_notify('outbox_' || current_schema(), '') FROM added
        """,
        told.event_id,
        told.event_type,
        told.document,
        told.trace_id,
    )
    return told.event_id


async def replay(connection: Connection, since: datetime) -> int:
    """Send the history since `since` again, into a stream that lost it; how many events."""
    status = await connection.execute(
        """
        UPDATE outbox
           SET sent_at = NULL
         WHERE created_at >= $1
           AND sent_at IS NOT NULL
        """,
        since,
    )
    return int(status.split()[-1])


class Relay:
    """Sends what waits in one service's outbox, in order, until the stream has acknowledged it."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._wake = asyncio.Event()

    async def run(self) -> None:
        listener = asyncio.create_task(self._listen(), name="outbox-listener")
        rounds, measured_at = 0, float("-inf")
        try:
            while True:
                if rounds % _PURGE_EVERY_ROUNDS == 0:
                    await self._quietly(self._purge())
                rounds += 1
                sent = await self._quietly(self._send_batch())
                if sent < BATCH:
                    # Each commit wakes us; so often nobody looks.
                    if time.monotonic() - measured_at >= POLL_SECONDS:
                        measured_at = time.monotonic()
                        await self._measure()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await self._wake.wait()
                        # Who committed has an answer to give first, and there may be more to send.
                        await asyncio.sleep(GATHER_SECONDS)
                self._wake.clear()
        finally:
            # Waited for: its connection goes back before the pool closes.
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _quietly(self, work: Coroutine[None, None, int]) -> int:
        try:
            return await work
        except HeimnetzError as error:
            log.warning("outbox_waits", reason=error.detail)
            return 0

    async def _send_batch(self) -> int:
        async with self._database.transaction() as connection:
            # SKIP LOCKED lets a second relay work on other rows instead of waiting for ours.
            rows = await connection.fetch(
                """
                SELECT id, event_id, event_type, document
                  FROM outbox
                 WHERE sent_at IS NULL
                 ORDER BY id
                   FOR UPDATE SKIP LOCKED
                 LIMIT $1
                """,
                BATCH,
            )
            sent: list[int] = []
            try:
                for row in rows:
                    await self._bus.publish(row["event_type"], row["event_id"], row["document"])
                    EVENTS_PUBLISHED.labels(row["event_type"]).inc()
                    sent.append(row["id"])
            except HeimnetzError as error:
                log.warning("outbox_waits", reason=error.detail)
            await connection.execute(
                "UPDATE outbox SET sent_at = now() WHERE id = ANY($1::bigint[])", sent
            )
        return len(sent)

    async def _purge(self) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(
                "DELETE FROM outbox WHERE sent_at < now() - $1::interval", HISTORY
            )
            await connection.execute(
                "DELETE FROM inbox WHERE handled_at < now() - $1::interval", HISTORY
            )
        return 0

    async def _measure(self) -> None:
        try:
            async with self._database.connection() as connection:
                row = await connection.fetchrow(
                    """
                    SELECT count(*) AS waiting,
                           coalesce(extract(epoch FROM now() - min(created_at)), 0) AS age
                      FROM outbox
                     WHERE sent_at IS NULL
                    """
                )
        except HeimnetzError:
            return
        if row is not None:
            OUTBOX_WAITING.set(row["waiting"])
            OUTBOX_AGE.set(float(row["age"]))

    async def _listen(self) -> None:
        """Wake the relay at each commit; polling covers what is missed while not listening."""
        channel = f"outbox_{self._database.schema}"

        def wake(*_: object) -> None:
            self._wake.set()

        while True:
            try:
                async with self._database.connection() as connection:
                    await connection.add_listener(channel, wake)
                    try:
                        while not connection.is_closed():
                            await asyncio.sleep(POLL_SECONDS)
                    finally:
                        await connection.remove_listener(channel, wake)
            except HeimnetzError as error:
                log.info("outbox_polls_only", reason=error.detail)
            await asyncio.sleep(POLL_SECONDS)
