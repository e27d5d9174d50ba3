"""Outbox, relay, stream and consumers, on real servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from heimnetz_common import consuming, operating, outbox
from heimnetz_common.bus import STREAM, Bus
from heimnetz_common.comparing import Comparison
from heimnetz_common.consuming import Consumers, Effect, Subscription
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import Conflict, Unavailable
from heimnetz_common.events import Event, EventData
from heimnetz_common.outbox import Relay
from heimnetz_common.telemetry import traced
from heimnetz_common.testing import eventually, fresh_database


class Lit(EventData):
    name: ClassVar[str]

    lamp: str


@pytest.fixture
def lit() -> type[Lit]:
    """An event type of the test's own, since tests share the stream."""
    name = f"lamp.lit{uuid4().hex}.v1"
    return type("Lit", (Lit,), {"name": name, "__annotations__": {"name": ClassVar[str]}})


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield database


@asynccontextmanager
async def at_work(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work.run()) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def announce(database: Database, lit: type[Lit], *lamps: str) -> None:
    async with database.transaction() as connection:
        for lamp in lamps:
            await outbox.append(connection, lit(lamp=lamp), service="lights", subject=lamp)


async def stored(bus: Bus, lit: type[Lit]) -> int:
    info = await bus.stream.stream_info(STREAM, subjects_filter=lit.type())
    return int((info.state.subjects or {}).get(lit.type(), 0))


async def dead(database: Database) -> list[Any]:
    async with database.connection() as connection:
        return await consuming.list_dead_letters(connection, 10)


class Notebook:
    """A consumer whose effect is a row, so that a second effect would show."""

    def __init__(self, database: Database, bus: Bus, lit: type[Lit]) -> None:
        self.database = database
        self.seen: list[str] = []
        self.failures: list[Exception] = []
        service = f"notebook{uuid4().hex[:8]}"
        self.consumers = Consumers(database, bus, service, [Subscription(lit, self.handle)])

    async def handle(self, event: Event[Any]) -> Effect:
        self.seen.append(event.data.lamp)
        if self.failures:
            raise self.failures.pop(0)

        async def write(connection: Connection) -> None:
            await connection.execute(
                "INSERT INTO outbox (event_id, event_type, document, sent_at)"
                " VALUES ($1, 'note', '', now())",
                f"note-{event.data.lamp}-{uuid4()}",
            )

        return write

    async def notes(self) -> int:
        async with self.database.connection() as connection:
            return await connection.fetchval(
                "SELECT count(*) FROM outbox WHERE event_type = 'note'"
            )


async def test_what_is_committed_arrives(database: Database, bus: Bus, lit: type[Lit]) -> None:
    notebook = Notebook(database, bus, lit)

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall", "attic")
        await eventually(lambda: _is(notebook.notes(), 2))

    assert notebook.seen == ["hall", "attic"]


async def test_what_is_rolled_back_is_not_announced(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    with pytest.raises(Conflict):
        async with database.transaction() as connection:
            await outbox.append(connection, lit(lamp="hall"), service="lights", subject="hall")
            raise Conflict
    async with at_work(Relay(database, bus)):
        await announce(database, lit, "attic")
        await eventually(lambda: _is(stored(bus, lit), 1))


async def test_an_event_delivered_again_has_no_second_effect(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: _is(notebook.notes(), 1))
        message = await bus.stream.get_last_msg(STREAM, lit.type())
        for number in range(3):
            await bus.publish(lit.type(), f"again-{number}-{uuid4()}", message.data or b"")
        await announce(database, lit, "attic")
        await eventually(lambda: _is(notebook.notes(), 2))

    assert notebook.seen == ["hall", "attic"]


async def test_a_handler_whose_helper_is_away_is_asked_again(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    notebook.failures = [Unavailable("away")]

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: _is(notebook.notes(), 1))

    assert notebook.seen == ["hall", "hall"]
    assert await dead(database) == []


async def test_a_refusal_goes_to_the_dead_letters_at_once_and_the_next_is_handled(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    notebook.failures = [Conflict("there is one")]

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall", "attic")
        await eventually(lambda: _is(notebook.notes(), 1))

    assert [row["error"] for row in await dead(database)] == ["Conflict: there is one"]


async def test_a_message_that_is_no_event_goes_to_the_dead_letters(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    async with at_work(notebook.consumers):
        for number, junk in enumerate((b"", b"\xff\x00", b"{}", b'{"specversion": "1.0"}')):
            await bus.publish(lit.type(), f"junk-{number}-{uuid4()}", junk)
        await eventually(lambda: _is(_count(dead(database)), 4))

    assert notebook.seen == []


async def test_a_bug_is_tried_five_times_before_it_is_a_dead_letter(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    subscription = Subscription(lit, notebook.handle)
    await announce(database, lit, "hall")
    async with database.connection() as connection:
        document = await connection.fetchval("SELECT document FROM outbox")
    notebook.failures = [ValueError("a bug")] * 5

    outcomes = [await notebook.consumers.deliver(subscription, document, n) for n in range(1, 6)]

    assert outcomes == ["retried"] * 4 + ["dead"]


async def test_a_dead_letter_that_is_sent_again_has_its_effect(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    notebook.failures = [Conflict("there is one")]
    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall")
        (letter,) = await eventually(lambda: dead(database))

        async with database.transaction() as connection:
            await consuming.retry(connection, letter["id"])
        await eventually(lambda: _is(notebook.notes(), 1))
        await eventually(lambda: _is(_count(dead(database)), 0))


async def test_the_history_fills_a_stream_again(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    async with at_work(Relay(database, bus)):
        await announce(database, lit, "hall")
        await eventually(lambda: _all_sent(database))

        async with database.transaction() as connection:
            count = await outbox.replay(connection, datetime.now(UTC) - timedelta(days=1))
        await eventually(lambda: _all_sent(database))

    # The stream still knew the event's id, so that nothing was stored twice.
    assert (count, await stored(bus, lit)) == (1, 1)


async def test_two_relays_send_each_event_once(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    async with at_work(Relay(database, bus), Relay(database, bus)):
        await announce(database, lit, *(f"lamp-{number}" for number in range(250)))
        await eventually(lambda: _all_sent(database))

    assert await stored(bus, lit) == 250


async def test_the_trace_of_the_writer_is_the_trace_of_the_event(
    database: Database, lit: type[Lit]
) -> None:
    with traced(None) as trace:
        await announce(database, lit, "hall")

    async with database.connection() as connection:
        document = json.loads(await connection.fetchval("SELECT document FROM outbox"))
    assert document["traceparent"] == trace.traceparent


async def test_a_trace_tells_what_was_announced_sent_and_handled(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    app = FastAPI()
    app.include_router(operating.routes(database, "notebook"))
    app.dependency_overrides[operating.READ] = lambda: None
    async with at_work(Relay(database, bus), notebook.consumers):
        with traced(None) as trace:
            await announce(database, lit, "hall")
        await eventually(lambda: _is(notebook.notes(), 1))
        await eventually(lambda: _all_sent(database))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        shown = (await client.get(f"/v1/traces/{trace.trace_id}")).json()
        by_event = (await client.get(f"/v1/traces/{shown['entries'][0]['event_id']}")).json()

    assert shown["entries"][0]["what"] == "announced"
    assert sorted(one["what"] for one in shown["entries"]) == ["announced", "handled", "sent"]
    assert by_event == shown


async def test_a_stream_that_lost_events_is_found_out(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    comparison = Comparison(database, bus)
    async with at_work(Relay(database, bus)):
        await announce(database, lit, "hall", "attic")
        await eventually(lambda: _is(stored(bus, lit), 2))
        await eventually(lambda: _all_sent(database))
    assert await comparison.compare() == 0

    async with database.transaction() as connection:
        # As if the store had been put back to what it was before the second one.
        await connection.execute(
            "INSERT INTO outbox (event_id, event_type, document, sent_at)"
            " SELECT 'lost', event_type, document, now() FROM outbox LIMIT 1"
        )

    assert await comparison.compare() == 1


async def _is(answer: Any, expected: int) -> bool:
    return bool(await answer == expected)


async def _count(answer: Any) -> int:
    return len(await answer)


async def _all_sent(database: Database) -> bool:
    async with database.connection() as connection:
        return not await connection.fetchval("SELECT count(*) FROM outbox WHERE sent_at IS NULL")
