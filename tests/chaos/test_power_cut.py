"""F12: the power fails under load, and nothing that was acknowledged is lost.

A file system on a loop device is shut down without flushing its log, which loses what only the
page cache had; the servers are killed, the file system is mounted again, the servers start on what
is left. Both run with the settings that the stack gives them, but for TLS and accounts. The
control shows that the method tells a server that flushes from one that does not.

Needs root and a loop device. `HEIMNETZ_CHAOS_CUTS` makes it longer.
"""

import asyncio
import fcntl
import os
import re
import struct
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import docker
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from heimnetz_common.bus import STREAM, Bus, ensure_stream
from heimnetz_common.errors import Unavailable
from heimnetz_common.testing import eventually, eventually_sync, image_of

from ..conftest import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(3600)]

CUTS = int(os.environ.get("HEIMNETZ_CHAOS_CUTS", "20"))
ROOM_BYTES = 1 << 30
ACKNOWLEDGED = 150
# linux/fs/ext4/ext4.h; the flag is EXT4_GOING_FLAGS_NOLOGFLUSH.
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
_POSTGRES = (
    "set -e; PATH=$PATH:/usr/lib/postgresql/17/bin; export PGDATA=/data/postgres; "
    "[ -e $PGDATA ] || { initdb --auth=trust --username=postgres --locale=C.UTF-8 >/dev/null; "
    "echo 'host all all all trust' >>$PGDATA/pg_hba.conf; sync; }; "
    "exec postgres -c config_file=/etc/postgresql.conf -c ssl=off -c hba_file=$PGDATA/pg_hba.conf "
    "-c unix_socket_directories=/tmp"
)


class Disk:
    """A file system whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self._image, self._room = folder / "disk", folder / "room"
        self.mount = self._room / "mount"
        self.mount.mkdir(parents=True)
        # Shared, so that what is unmounted here is in a copy of the mount namespace too.
        run("mount", "--bind", str(self._room), str(self._room))
        run("mount", "--make-shared", str(self._room))
        with self._image.open("wb") as file:
            file.truncate(ROOM_BYTES)
        run("mkfs.ext4", "-q", str(self._image))

    def plug_in(self) -> None:
        run("mount", "-o", "loop", str(self._image), str(self.mount))
        self.mount.chmod(0o777)

    def cut_power(self) -> None:
        handle = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def remove(self) -> None:
        run("umount", str(self._room))

    def unplug(self) -> bool:
        """Whether nothing holds it any more: a mount namespace that was copied meanwhile, as each
        start of a container does, would keep the shut-down file system alive for the next mount."""
        if self.mount.is_mount():
            subprocess.run(["umount", self.mount], check=False, capture_output=True)
        return not run("losetup", "--associated", str(self._image))


@dataclass
class Servers:
    """PostgreSQL and NATS on one disk."""

    disk: Disk
    nats_config: Path
    ports: list[int] = field(default_factory=list)
    label: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self) -> None:
        engine = docker.from_env()
        self.ports.clear()
        data = {str(self.disk.mount): {"bind": "/data"}}
        postgres_config = ROOT / "deploy" / "postgres" / "postgresql.conf"
        for image, command, port, config, inside, user in (
            (
                image_of("POSTGRES_IMAGE", "postgres:17-trixie"),
                ["sh", "-c", _POSTGRES],
                "5432/tcp",
                postgres_config,
                "/etc/postgresql.conf",
                "postgres",
            ),
            (
                image_of("NATS_IMAGE", "nats:2.12-alpine"),
                ["nats-server", "--config", "/etc/nats.conf"],
                "4222/tcp",
                self.nats_config,
                "/etc/nats.conf",
                "root",
            ),
        ):
            container = engine.containers.run(
                image,
                entrypoint=command,
                user=user,
                detach=True,
                labels={"heimnetz.test-run": self.label},
                ports={port: ("127.0.0.1", None)},
                volumes={**data, str(config): {"bind": inside, "mode": "ro"}},
            )
            container.reload()
            self.ports.append(int(container.ports[port][0]["HostPort"]))
        engine.close()

    def kill(self) -> None:
        engine = docker.from_env()
        label = f"heimnetz.test-run={self.label}"
        for container in engine.containers.list(all=True, filters={"label": label}):
            container.remove(force=True, v=True)
        engine.close()

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple["asyncpg.Connection[asyncpg.Record]", Bus]]:
        connection = await eventually(self._connect, 90)
        bus = Bus(f"nats://127.0.0.1:{self.ports[1]}", user="test")
        await eventually(lambda: _succeeds(bus.connect()), 90)
        await eventually(lambda: _succeeds(ensure_stream(bus)), 90)
        try:
            yield connection, bus
        finally:
            connection.terminate()
            await bus.close()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record] | None":
        with suppress(OSError, TimeoutError, asyncpg.PostgresError):
            return await asyncpg.connect(
                f"postgresql://postgres@127.0.0.1:{self.ports[0]}/postgres", timeout=2
            )
        return None


@dataclass
class Acknowledged:
    rows: list[int] = field(default_factory=list)
    messages: list[tuple[int, bytes]] = field(default_factory=list)


async def _succeeds(work: Awaitable[None]) -> bool:
    try:
        await work
    except Unavailable:
        return False
    return True


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    disk.plug_in()
    yield disk
    eventually_sync(disk.unplug, 60)
    disk.remove()


def nats_config(folder: Path, *, is_flushed: bool) -> Path:
    """The stack's own, without what needs certificates and accounts."""
    text = (ROOT / "deploy" / "nats" / "nats.conf").read_text()
    text = re.sub(r"^(tls|authorization) \{.*?^\}", "", text, flags=re.DOTALL | re.MULTILINE)
    text = text.replace('"/data"', '"/data/nats"')
    assert "sync_interval: always" in text
    if not is_flushed:
        text = text.replace("sync_interval: always", "")
    file = folder / "nats.conf"
    file.write_text(text)
    return file


async def write_until_dark(
    connection: "asyncpg.Connection[asyncpg.Record]", bus: Bus, disk: Disk
) -> Acknowledged:
    """Writes to both, cuts the power in the middle; what had been acknowledged before."""
    done, is_dark = Acknowledged(), asyncio.Event()
    await connection.execute("CREATE TABLE IF NOT EXISTS writes (id bigserial PRIMARY KEY)")

    async def write_rows() -> None:
        while not is_dark.is_set():
            row = await connection.fetchval("INSERT INTO writes DEFAULT VALUES RETURNING id")
            if not is_dark.is_set():
                done.rows.append(row)

    async def write_messages() -> None:
        while not is_dark.is_set():
            text = uuid.uuid4().hex.encode()
            sent = await bus.stream.publish("heimnetz.test.v1", text, stream=STREAM)
            if not is_dark.is_set():
                done.messages.append((sent.seq, text))

    async def cut() -> None:
        while min(len(done.rows), len(done.messages)) < ACKNOWLEDGED:
            await asyncio.sleep(0.01)
        # Nothing runs between these two: what is in the lists was acknowledged in light.
        is_dark.set()
        disk.cut_power()

    await asyncio.wait_for(
        asyncio.gather(write_rows(), write_messages(), cut(), return_exceptions=True), 120
    )
    return done


async def lost(
    connection: "asyncpg.Connection[asyncpg.Record]", bus: Bus, done: Acknowledged
) -> tuple[list[int], list[int]]:
    """What of it is there no more: rows, messages."""
    present = {
        row["id"]
        for row in await connection.fetch(
            "SELECT id FROM writes WHERE id = ANY($1::bigint[])", done.rows
        )
    }
    missing = []
    for seq, text in done.messages:
        try:
            message = await bus.stream.get_msg(STREAM, seq)
        except (NotFoundError, NatsError):
            missing.append(seq)
        else:
            if message.data != text:
                missing.append(seq)
    return [row for row in done.rows if row not in present], missing


async def cut_and_look(servers: Servers, times: int) -> list[tuple[list[int], list[int]]]:
    """What each cut lost of what had been acknowledged since the one before."""
    found, done = [], Acknowledged()
    servers.start()
    try:
        for _ in range(times):
            async with servers.clients() as (connection, bus):
                done = await write_until_dark(connection, bus, servers.disk)
            servers.kill()
            await eventually(lambda: asyncio.to_thread(servers.disk.unplug), 60)
            servers.disk.plug_in()
            servers.start()
            async with servers.clients() as (connection, bus):
                found.append(await lost(connection, bus, done))
    finally:
        servers.kill()
    return found


async def test_a_power_cut_loses_nothing_that_was_acknowledged(disk: Disk, tmp_path: Path) -> None:
    servers = Servers(disk, nats_config(tmp_path, is_flushed=True))

    found = await cut_and_look(servers, CUTS)

    assert found == [([], [])] * CUTS


async def test_a_bus_that_flushes_by_its_default_loses_what_it_acknowledged(
    disk: Disk, tmp_path: Path
) -> None:
    """The control."""
    servers = Servers(disk, nats_config(tmp_path, is_flushed=False))

    [(rows, messages)] = await cut_and_look(servers, 1)

    assert rows == []
    assert messages != []
