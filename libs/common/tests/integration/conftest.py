"""A lamp that is lit, and a consumer that writes it down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from heimnetz_common import consuming, outbox
from heimnetz_common.bus import STREAM, Bus
from heimnetz_common.consuming import Consumers, Effect, Subscription
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import Unavailable
from heimnetz_common.events import Event, EventData
from heimnetz_common.testing import fresh_database


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

    def __init__(
        self, database: Database, bus: Bus, lit: type[Lit], service: str | None = None
    ) -> None:
        self.database = database
        self.seen: list[str] = []
        self.failures: list[Exception] = []
        # Lamps whose every delivery fails.
        self.refused: dict[str, Exception] = {}
        self.service = service or f"notebook{uuid4().hex[:8]}"
        self.consumers = Consumers(database, bus, self.service, [Subscription(lit, self.handle)])

    async def handle(self, event: Event[Any]) -> Effect:
        self.seen.append(event.data.lamp)
        if event.data.lamp in self.refused:
            raise self.refused[event.data.lamp]
        if self.failures:
            raise self.failures.pop(0)
        await self.work()

        async def write(connection: Connection) -> None:
            await connection.execute(
                "INSERT INTO outbox (event_id, event_type, document, sent_at)"
                " VALUES ($1, 'note', '', now())",
                f"note-{event.data.lamp}-{uuid4()}",
            )

        return write

    async def work(self) -> None:
        """Nothing, or what a test puts here."""

    async def notes(self) -> int:
        async with self.database.connection() as connection:
            return await connection.fetchval(
                "SELECT count(*) FROM outbox WHERE event_type = 'note'"
            )


async def becomes(answer: Any, expected: int) -> bool:
    return bool(await answer == expected)


async def count(answer: Any) -> int:
    return len(await answer)


async def all_sent(database: Database) -> bool:
    async with database.connection() as connection:
        return not await connection.fetchval("SELECT count(*) FROM outbox WHERE sent_at IS NULL")


async def works(database: Database) -> bool:
    try:
        await database.check()
    except Unavailable:
        return False
    return True
