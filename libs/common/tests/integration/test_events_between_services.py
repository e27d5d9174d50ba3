"""Outbox, relay, stream and consumers, on real servers."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from nats.js.client import JetStreamContext

from heimnetz_common import consuming, operating, outbox
from heimnetz_common.bus import STREAM, Bus
from heimnetz_common.comparing import Comparison
from heimnetz_common.consuming import Consumers, Subscription
from heimnetz_common.database import Database
from heimnetz_common.errors import Conflict, Unavailable
from heimnetz_common.events import Event
from heimnetz_common.outbox import Relay
from heimnetz_common.telemetry import traced
from heimnetz_common.testing import eventually

from .conftest import Lit, Notebook, all_sent, announce, at_work, becomes, count, dead, stored


async def test_what_is_committed_arrives(database: Database, bus: Bus, lit: type[Lit]) -> None:
    notebook = Notebook(database, bus, lit)

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall", "attic")
        await eventually(lambda: becomes(notebook.notes(), 2))

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
        await eventually(lambda: becomes(stored(bus, lit), 1))


async def test_an_event_delivered_again_has_no_second_effect(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))
        message = await bus.stream.get_last_msg(STREAM, lit.type())
        for number in range(3):
            await bus.publish(lit.type(), f"again-{number}-{uuid4()}", message.data or b"")
        await announce(database, lit, "attic")
        await eventually(lambda: becomes(notebook.notes(), 2))

    assert notebook.seen == ["hall", "attic"]


async def test_a_handler_whose_helper_is_away_is_asked_again(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    notebook.failures = [Unavailable("away")]

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))

    assert notebook.seen == ["hall", "hall"]
    assert await dead(database) == []


async def test_a_refusal_goes_to_the_dead_letters_at_once_and_the_next_is_handled(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    notebook.refused = {"hall": Conflict("there is one")}

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall", "attic")
        await eventually(lambda: becomes(notebook.notes(), 1))

    assert [row["error"] for row in await dead(database)] == ["Conflict: there is one"]


async def test_a_message_that_is_no_event_goes_to_the_dead_letters(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    async with at_work(notebook.consumers):
        for number, junk in enumerate((b"", b"\xff\x00", b"{}", b'{"specversion": "1.0"}')):
            await bus.publish(lit.type(), f"junk-{number}-{uuid4()}", junk)
        await eventually(lambda: becomes(count(dead(database)), 4))

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


async def test_many_events_that_wait_have_each_its_effect_once_though_one_is_refused(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    notebook = Notebook(database, bus, lit)
    lamps = [f"lamp-{number}" for number in range(60)]

    async def refuse_one() -> None:
        if notebook.seen[-1] == "lamp-30":
            raise Conflict("there is one")

    notebook.work = refuse_one
    async with at_work(Relay(database, bus)):
        await announce(database, lit, *lamps)
        await eventually(lambda: becomes(stored(bus, lit), 60))
    async with at_work(notebook.consumers):
        await eventually(lambda: becomes(notebook.notes(), 59))

    assert len(await dead(database)) == 1
    assert set(notebook.seen) == set(lamps)


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
        await eventually(lambda: becomes(notebook.notes(), 1))
        await eventually(lambda: becomes(count(dead(database)), 0))


async def test_the_history_fills_a_stream_again(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    async with at_work(Relay(database, bus)):
        await announce(database, lit, "hall")
        await eventually(lambda: all_sent(database), 60)

        async with database.transaction() as connection:
            count = await outbox.replay(connection, datetime.now(UTC) - timedelta(days=1))
        await eventually(lambda: all_sent(database), 60)

    # The stream still knew the event's id, so that nothing was stored twice.
    assert (count, await stored(bus, lit)) == (1, 1)


async def test_two_relays_send_each_event_once(
    database: Database, bus: Bus, lit: type[Lit]
) -> None:
    async with at_work(Relay(database, bus), Relay(database, bus)):
        await announce(database, lit, *(f"lamp-{number}" for number in range(250)))
        await eventually(lambda: all_sent(database), 60)

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
        await eventually(lambda: becomes(notebook.notes(), 1))
        await eventually(lambda: all_sent(database), 60)
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
        await eventually(lambda: becomes(stored(bus, lit), 2))
        await eventually(lambda: all_sent(database), 60)
    assert await comparison.compare() == 0

    async with database.transaction() as connection:
        # As if the store had been put back to what it was before the second one.
        await connection.execute(
            "INSERT INTO outbox (event_id, event_type, document, sent_at)"
            " SELECT 'lost', event_type, document, now() FROM outbox LIMIT 1"
        )

    assert await comparison.compare() == 1


async def test_a_consumer_goes_on_when_its_client_brings_an_empty_batch(
    database: Database, bus: Bus, lit: type[Lit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does when a server that was away is there again."""
    real, empty = JetStreamContext.PullSubscription.fetch, [[], []]

    async def fetch(*arguments: Any, **options: Any) -> Any:
        return empty.pop() if empty else await real(*arguments, **options)

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", fetch)
    notebook = Notebook(database, bus, lit)

    async with at_work(Relay(database, bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))

    assert empty == []


async def test_a_consumer_ends_though_its_client_loses_the_cancellation(
    database: Database, bus: Bus, lit: type[Lit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `wait_for` does before Python 3.12 when its result comes at the same time."""
    asks, real = asyncio.Event(), JetStreamContext.PullSubscription.fetch

    async def loses(*arguments: Any, **options: Any) -> Any:
        asks.set()
        try:
            return await real(*arguments, **options)
        except asyncio.CancelledError:
            raise TimeoutError from None

    async def handle(_event: Event[Any]) -> None:
        return None

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", loses)
    consumers = Consumers(database, bus, "monitor", (Subscription(lit, handle),))
    task = asyncio.create_task(consumers.run())
    await asks.wait()

    task.cancel()

    ended, _ = await asyncio.wait([task], timeout=20)
    assert ended


@pytest.mark.parametrize("turns", range(10))
async def test_a_bus_that_finds_no_server_ends_at_whatever_moment_it_is_told(turns: int) -> None:
    task = asyncio.create_task(Bus("nats://127.0.0.1:1", user="test").run())
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()

    ended, _ = await asyncio.wait([task], timeout=5)
    assert ended
