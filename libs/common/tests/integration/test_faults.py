"""What may break between a service, its database and the bus, one fault at a time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import docker
import pytest
from nats.errors import Error as NatsError

from heimnetz_common import consuming
from heimnetz_common.bus import STREAM, Bus, ensure_stream
from heimnetz_common.database import Database
from heimnetz_common.errors import Unavailable
from heimnetz_common.outbox import Relay
from heimnetz_common.testing import eventually, fresh_database_url, start_nats

from .conftest import Lit, Notebook, all_sent, announce, at_work, becomes, stored, works


class Proxy:
    """Between a client and a server. When cut it swallows what comes, as a cable does: no RST."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0

    def cut(self) -> None:
        self._flowing.clear()

    def heal(self) -> None:
        self._flowing.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, back), (there, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
        except ConnectionError:
            pass
        finally:
            sink.close()


@pytest.fixture(scope="module")
def own_nats_url() -> Iterator[str]:
    """A server of these tests alone, since they do to its stream what others would not bear."""
    engine, run = docker.from_env(), uuid4().hex[:12]
    try:
        yield start_nats(engine, run)
    finally:
        for container in engine.containers.list(filters={"label": f"heimnetz.test-run={run}"}):
            container.remove(force=True, v=True)
        engine.close()


@pytest.fixture
async def own_bus(own_nats_url: str) -> AsyncIterator[Bus]:
    bus = Bus(own_nats_url, user=f"test-{uuid4().hex[:8]}")
    await bus.connect()
    try:
        with suppress(Exception):
            await bus.stream.delete_stream(STREAM)
        await ensure_stream(bus)
        yield bus
    finally:
        await bus.close()


class DyingRelay(Relay):
    """Its database connection dies once, after everything was published and nothing marked."""

    def __init__(self, database: Database, bus: Bus, postgres_url: str) -> None:
        super().__init__(database, _TellingBus(bus, self._die))
        self._admin_url = postgres_url
        self.has_died = False

    async def _die(self) -> None:
        if self.has_died:
            return
        self.has_died = True
        admin = await asyncpg.connect(self._admin_url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'monitor' AND state = 'idle in transaction'"
        )
        await admin.close()


class _TellingBus:
    def __init__(self, bus: Bus, published: Any) -> None:
        self._bus, self._published = bus, published

    async def publish(self, subject: str, event_id: str, document: bytes) -> None:
        await self._bus.publish(subject, event_id, document)
        await self._published()


async def test_a_relay_that_dies_between_publishing_and_marking_publishes_once(
    database: Database, own_bus: Bus, lit: type[Lit], postgres_url: str
) -> None:
    """F2."""
    notebook, relay = Notebook(database, own_bus, lit), DyingRelay(database, own_bus, postgres_url)

    async with at_work(relay, notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))
        await eventually(lambda: all_sent(database))

    assert relay.has_died
    assert await stored(own_bus, lit) == 1
    assert await notebook.notes() == 1


async def test_a_relay_away_longer_than_the_stream_remembers_has_no_second_effect(
    database: Database, own_bus: Bus, lit: type[Lit]
) -> None:
    """F3."""
    config = (await own_bus.stream.stream_info(STREAM)).config
    await own_bus.stream.update_stream(config, duplicate_window=0.1)
    notebook = Notebook(database, own_bus, lit)

    async def is_stored_again() -> bool:
        async with database.transaction() as connection:
            await connection.execute("UPDATE outbox SET sent_at = NULL WHERE event_type <> 'note'")
        return await stored(own_bus, lit) > 1

    async with at_work(Relay(database, own_bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))
        await eventually(is_stored_again)
        await announce(database, lit, "attic")
        await eventually(lambda: becomes(notebook.notes(), 2))

    assert notebook.seen == ["hall", "attic"]


async def test_a_database_behind_a_cut_cable_is_unavailable_until_it_is_healed(
    postgres_url: str,
) -> None:
    """F19. The driver gives a statement 15 s."""
    async with fresh_database_url(postgres_url, "monitor") as url:
        host, _, port = url.rpartition("/")[0].rpartition("@")[2].partition(":")
        async with Proxy(host, int(port)).open() as proxy:
            database = Database(url.replace(f":{port}/", f":{proxy.port}/"), schema="monitor")
            await database.open()
            await database.check()

            proxy.cut()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(database.check(), 25)
            proxy.heal()

            await eventually(lambda: works(database))
            await database.close()


async def test_a_subject_that_is_not_utf_8_stalls_nothing(
    database: Database, own_bus: Bus, lit: type[Lit], own_nats_url: str
) -> None:
    """F28. No service may publish it; this server asks for no credentials."""
    host, _, port = own_nats_url.removeprefix("nats://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(b'CONNECT {"verbose":false}\r\nPUB heimnetz.\xff\xfe 2\r\n{}\r\nPING\r\n')
    while not (await reader.readline()).startswith(b"PONG"):
        pass
    writer.close()
    notebook = Notebook(database, own_bus, lit)

    async with at_work(Relay(database, own_bus), notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))

    assert await stored(own_bus, lit) == 1


async def test_a_handler_that_takes_longer_than_the_stream_waits_keeps_its_event(
    database: Database, own_bus: Bus, lit: type[Lit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F31."""
    monkeypatch.setattr(consuming, "ACK_WAIT_SECONDS", 1)
    monkeypatch.setattr(consuming, "HEARTBEAT_SECONDS", 0.2)
    notebook = Notebook(database, own_bus, lit)
    notebook.work = lambda: asyncio.sleep(3)

    async with at_work(Relay(database, own_bus), notebook.consumers, notebook.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(notebook.notes(), 1))

    assert notebook.seen == ["hall"]


async def test_of_two_handlers_of_one_event_the_later_has_no_effect(
    database: Database, own_bus: Bus, lit: type[Lit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F31, when the stream has not heard from the first and gives the event to a second."""
    monkeypatch.setattr(consuming, "ACK_WAIT_SECONDS", 1)
    monkeypatch.setattr(consuming, "HEARTBEAT_SECONDS", 1000)
    first = Notebook(database, own_bus, lit)
    second = Notebook(database, own_bus, lit, first.service)
    has_second = asyncio.Event()

    async def until_both_have_it() -> None:
        if len(first.seen) + len(second.seen) == 2:
            has_second.set()
        await has_second.wait()

    first.work = second.work = until_both_have_it
    async with at_work(Relay(database, own_bus), first.consumers, second.consumers):
        await announce(database, lit, "hall")
        await eventually(lambda: becomes(first.notes(), 1))
        await eventually(lambda: is_idle(own_bus, first, lit))

    assert await first.notes() == 1


@pytest.mark.parametrize("is_busy", [False, True], ids=["waits", "handles one"])
async def test_what_a_consumer_that_ends_leaves_is_another_s_at_once(
    database: Database, own_bus: Bus, lit: type[Lit], is_busy: bool
) -> None:
    first = Notebook(database, own_bus, lit)
    second = Notebook(database, own_bus, lit, first.service)
    if is_busy:
        first.work = asyncio.Event().wait
    async with at_work(Relay(database, own_bus)):
        async with at_work(first.consumers):
            if is_busy:
                await announce(database, lit, "hall")
                await eventually(lambda: becomes(count_of(first.seen), 1))
            else:
                await eventually(lambda: waits(own_bus, first, lit))
        async with at_work(second.consumers):
            if not is_busy:
                await announce(database, lit, "hall")
            await eventually(lambda: becomes(second.notes(), 1))

    assert second.seen == ["hall"]


async def waits(bus: Bus, notebook: Notebook, lit: type[Lit]) -> bool:
    """Whether the stream holds a request for the next events."""
    durable = f"{notebook.service}-{lit.name.replace('.', '-')}"
    with suppress(NatsError):
        return bool((await bus.stream.consumer_info(STREAM, durable)).num_waiting)
    return False


async def count_of(items: list[str]) -> int:
    return len(items)


async def is_idle(bus: Bus, notebook: Notebook, lit: type[Lit]) -> bool:
    durable = f"{notebook.service}-{lit.name.replace('.', '-')}"
    info = await bus.stream.consumer_info(STREAM, durable)
    return info.num_ack_pending == 0
