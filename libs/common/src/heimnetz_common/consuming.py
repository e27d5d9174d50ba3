"""Idempotent consumers: each event has its effect once, however often it is delivered.

A handler does its slow work first and returns the effect; the effect runs in one transaction
with the row that remembers the event, and the message is acknowledged after the commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from heimnetz_common import events
from heimnetz_common.bus import STREAM, Bus, heed_cancellation
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import HeimnetzError, NotFound, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import (
    CONSUMER_PENDING,
    DEAD_LETTERS,
    EVENT_LAG,
    EVENTS_CONSUMED,
    Trace,
    traced,
)

ACK_WAIT_SECONDS = 30
HEARTBEAT_SECONDS = 10
MAX_TRIES = 5
FETCH = 20
FETCH_SECONDS = 5
RETRY_POLL_SECONDS = 2

Effect: TypeAlias = Callable[[Connection], Awaitable[None]]
Handler: TypeAlias = Callable[[events.Event[Any]], Awaitable[Effect | None]]

log = get_logger(__name__)


@dataclass(frozen=True)
class Subscription:
    """`handle` may be called again for the same event; only one of its effects is committed."""

    data_type: type[events.EventData]
    handle: Handler
    concurrency: int = 1


class Consumers:
    """Runs the subscriptions of one service."""

    def __init__(
        self, database: Database, bus: Bus, service: str, subscriptions: Sequence[Subscription]
    ) -> None:
        self._database = database
        self._bus = bus
        self._service = service
        self._subscriptions = {item.data_type.type(): item for item in subscriptions}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for subscription in self._subscriptions.values():
                for number in range(subscription.concurrency):
                    name = f"consumer-{subscription.data_type.name}-{number}"
                    tasks.create_task(self._consume(subscription), name=name)
            tasks.create_task(self._retry_dead_letters(), name="dead-letters")

    def _durable(self, subscription: Subscription) -> str:
        return f"{self._service}-{subscription.data_type.name.replace('.', '-')}"

    async def _consume(self, subscription: Subscription) -> None:
        while True:
            heed_cancellation()
            try:
                await self._fetch_forever(subscription)
            except (HeimnetzError, NatsError, OSError, TimeoutError) as error:
                log.warning(
                    "consumer_waits",
                    event_type=subscription.data_type.name,
                    reason=repr(error)[:300],
                )
                await asyncio.sleep(1)

    async def _fetch_forever(self, subscription: Subscription) -> None:
        stream = self._bus.stream
        durable = self._durable(subscription)
        await _ensure_consumer(stream, durable, subscription.data_type.type())
        pull = await stream.pull_subscribe_bind(consumer=durable, stream=STREAM)
        waiting: list[Msg] = []
        try:
            while True:
                heed_cancellation()
                await self._look_after(subscription, pull, waiting)
        finally:
            await _give_back(pull, waiting)

    async def _look_after(
        self,
        subscription: Subscription,
        pull: JetStreamContext.PullSubscription,
        waiting: list[Msg],
    ) -> None:
        """What comes next, handled; `waiting` is what of it is not."""
        pending = CONSUMER_PENDING.labels(subscription.data_type.type())
        with suppress(TimeoutError):
            waiting += await pull.fetch(FETCH, timeout=FETCH_SECONDS)
        if not waiting:
            # Nothing came, which the client says in two ways; a vanished consumer looks the same.
            info = await pull.consumer_info()
            pending.set((info.num_pending or 0) + (info.num_ack_pending or 0))
            return
        pending.set(len(waiting) + (waiting[-1].metadata.num_pending or 0))
        heartbeat = asyncio.create_task(_keep_alive(waiting))
        try:
            if len(waiting) > 1 and await self._receive_together(subscription, list(waiting)):
                waiting.clear()
            while waiting:
                await self._receive(subscription, waiting[0])
                waiting.pop(0)
        finally:
            heartbeat.cancel()

    async def _receive_together(self, subscription: Subscription, messages: list[Msg]) -> bool:
        """All in one transaction; False where one fails, so that each must be looked at alone.

        A commit for each event costs most of the time that a backlog takes to drain.
        """
        try:
            outcomes = await self._deliver_together(subscription, [item.data for item in messages])
        except Exception as error:  # noqa: BLE001  each alone says what it was
            name = subscription.data_type.name
            log.info("events_one_by_one", event_type=name, reason=repr(error)[:300])
            return False
        for message, outcome in zip(messages, outcomes, strict=True):
            EVENTS_CONSUMED.labels(subscription.data_type.type(), outcome).inc()
            await message.ack()
        return True

    async def _deliver_together(
        self, subscription: Subscription, documents: Sequence[bytes]
    ) -> list[str]:
        batch = [events.decode(document, subscription.data_type) for document in documents]
        async with self._database.connection() as connection:
            known = await _list_handled(connection, batch)
        effects: list[Effect | None] = []
        for event in batch:
            with traced(event.traceparent):
                is_known = (event.source, event.id) in known
                effects.append(None if is_known else await subscription.handle(event))
        outcomes = []
        async with self._database.transaction() as connection:
            for event, effect in zip(batch, effects, strict=True):
                with traced(event.traceparent):
                    outcomes.append(await _take_effect(connection, event, effect))
        for event, outcome in zip(batch, outcomes, strict=True):
            if outcome == "done":
                _observe_lag(event)
        return outcomes

    async def _receive(self, subscription: Subscription, message: Msg) -> None:
        kind = subscription.data_type.type()
        tries = message.metadata.num_delivered or 1
        try:
            outcome = await self.deliver(subscription, message.data, tries)
        except Unavailable as error:
            outcome = "retried"
            log.warning("event_waits", event_type=kind, reason=error.detail, tries=tries)
        EVENTS_CONSUMED.labels(kind, outcome).inc()
        if outcome == "retried":
            # A bare nak() comes back at once and ignores the consumer's back-off.
            await message.nak(delay=min(0.5 * 2 ** min(tries, 7), 60))
        else:
            await message.ack()

    async def deliver(self, subscription: Subscription, document: bytes, tries: int) -> str:
        """Handle one delivery; what became of it: done, repeated, retried, dead.

        Raises: Unavailable, when the same delivery may work later.
        """
        try:
            event = events.decode(document, subscription.data_type)
            with traced(event.traceparent):
                return await self._handle(subscription, event)
        except Unavailable:
            raise
        except HeimnetzError as error:
            return await self._bury(subscription, document, tries, error)
        except Exception as error:
            log.exception("handler_failed", event_type=subscription.data_type.name, tries=tries)
            if tries < MAX_TRIES:
                return "retried"
            return await self._bury(subscription, document, tries, error)

    async def _handle(self, subscription: Subscription, event: events.Event[Any]) -> str:
        async with self._database.connection() as connection:
            if await _list_handled(connection, [event]):
                return "repeated"
        effect = await subscription.handle(event)
        async with self._database.transaction() as connection:
            outcome = await _take_effect(connection, event, effect)
        if outcome == "done":
            _observe_lag(event)
        return outcome

    async def _bury(
        self, subscription: Subscription, document: bytes, tries: int, error: Exception
    ) -> str:
        reason = f"{type(error).__name__}: {error}"[:2000].replace("\0", "\\0")
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO dead_letters (event_type, document, error, tries)
                VALUES ($1, $2, $3, $4)
                    ON CONFLICT ON CONSTRAINT dead_letters_once DO UPDATE
                   SET error = excluded.error, failed_at = now(), retry_at = NULL
                """,
                subscription.data_type.type(),
                document,
                reason,
                tries,
            )
        log.error("event_dead", event_type=subscription.data_type.name, error=reason)
        return "dead"

    async def _retry_dead_letters(self) -> None:
        """Handle again what somebody asked to be sent again."""
        while True:
            try:
                while await self._retry_one():
                    pass
                async with self._database.connection() as connection:
                    DEAD_LETTERS.set(await connection.fetchval("SELECT count(*) FROM dead_letters"))
            except HeimnetzError as error:
                log.info("dead_letters_wait", reason=error.detail)
            await asyncio.sleep(RETRY_POLL_SECONDS)

    async def _retry_one(self) -> bool:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                """
                UPDATE dead_letters
                   SET retry_at = NULL, tries = tries + 1
                 WHERE id = (SELECT id
                               FROM dead_letters
                              WHERE retry_at <= now()
                              ORDER BY id
                                FOR UPDATE SKIP LOCKED
                              LIMIT 1)
             RETURNING id, event_type, document, tries
                """
            )
        if row is None:
            return False
        subscription = self._subscriptions.get(row["event_type"])
        if subscription is None:
            return True
        try:
            outcome = await self.deliver(
                subscription, row["document"], max(row["tries"], MAX_TRIES)
            )
        except Unavailable:
            outcome = "retried"
        async with self._database.transaction() as connection:
            if outcome in ("done", "repeated"):
                await connection.execute("DELETE FROM dead_letters WHERE id = $1", row["id"])
            elif outcome == "retried":
                await retry(connection, row["id"], seconds=5)
        return True


async def list_dead_letters(connection: Connection, limit: int) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT id, event_type, error, tries, failed_at, retry_at
          FROM dead_letters
         ORDER BY id DESC
         LIMIT $1
        """,
        limit,
    )


async def retry(connection: Connection, letter_id: int, seconds: float = 0) -> None:
    """Ask for a dead letter to be handled again.

    Raises: NotFound.
    """
    status = await connection.execute(
        "UPDATE dead_letters SET retry_at = now() + $2 * interval '1 second' WHERE id = $1",
        letter_id,
        seconds,
    )
    if status != "UPDATE 1":
        raise NotFound(f"there is no dead letter {letter_id}")


async def _list_handled(
    connection: Connection, batch: Sequence[events.Event[Any]]
) -> set[tuple[str, str]]:
    """Source and id of those that had their effect already."""
    rows = await connection.fetch(
        """
        SELECT source, event_id
          FROM inbox
          JOIN unnest($1::text[], $2::text[]) AS asked (source, event_id)
         USING (source, event_id)
        """,
        [event.source for event in batch],
        [event.id for event in batch],
    )
    return {(row["source"], row["event_id"]) for row in rows}


async def _take_effect(
    connection: Connection, event: events.Event[Any], effect: Effect | None
) -> str:
    """In the caller's transaction: done, or repeated."""
    if not await _remember(connection, event):
        return "repeated"
    if effect is not None:
        await effect(connection)
    return "done"


def _observe_lag(event: events.Event[Any]) -> None:
    lag = (datetime.now(UTC) - event.time).total_seconds()
    EVENT_LAG.labels(event.type).observe(max(0.0, lag))


async def _remember(connection: Connection, event: events.Event[Any]) -> bool:
    """Whether this is the first delivery whose effect commits."""
    return (
        await connection.fetchval(
            """
            INSERT INTO inbox (source, event_id, event_type, trace_id)
            VALUES ($1, $2, $3, $4)
                ON CONFLICT DO NOTHING
         RETURNING 1
            """,
            event.source,
            event.id,
            event.type,
            None if event.traceparent is None else Trace.continued(event.traceparent).trace_id,
        )
        is not None
    )


async def _ensure_consumer(stream: JetStreamContext, durable: str, subject: str) -> None:
    """Create the durable consumer; add_consumer also brings an old configuration up to date."""
    await stream.add_consumer(
        STREAM,
        ConsumerConfig(
            # With a name the request's subject says what is asked for, so that the server can
            # hold a service to its own consumers and to the events that are meant for it.
            name=durable,
            durable_name=durable,
            filter_subject=subject,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_deliver=-1,
            max_ack_pending=FETCH * 10,
        ),
    )


async def _give_back(pull: JetStreamContext.PullSubscription, waiting: Sequence[Msg]) -> None:
    """What we have not handled, or have asked for, is somebody else's at once.

    A request that nobody waits for any more would still be sent events, which then come to nobody
    until `ACK_WAIT_SECONDS` are over.
    """
    with suppress(NatsError, OSError, TimeoutError):
        await pull.unsubscribe()
    for message in waiting:
        with suppress(NatsError, OSError, TimeoutError):
            await message.nak()


async def _keep_alive(waiting: list[Msg]) -> None:
    """Tell the stream that the work goes on, so that it does not give it to somebody else."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        for message in tuple(waiting):
            with suppress(NatsError, OSError, TimeoutError):
                await message.in_progress()
