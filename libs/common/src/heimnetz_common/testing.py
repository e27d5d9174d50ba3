"""Fixtures on real servers: PostgreSQL and NATS in containers, a fresh database for each test.

A pytest plugin. The servers are those named by HEIMNETZ_TEST_POSTGRES_URL and
HEIMNETZ_TEST_NATS_URL, or containers that the first test that needs one starts for the whole
run, all workers included.
"""

import asyncio
import fcntl
import functools
import hashlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import docker
import pytest
from dotenv import dotenv_values
from httpx import ASGITransport, AsyncClient

from heimnetz_common.bus import Bus, ensure_stream
from heimnetz_common.database import Database
from heimnetz_common.errors import Unavailable
from heimnetz_common.migrating import migrate, migrations_of
from heimnetz_common.tokens import Keys, generate_private_key, public_jwk

LABEL = "heimnetz.test-run"
DEADLINE_SECONDS = 60
SERVICES = ("registry", "auditor", "sandbox", "monitor", "docs-gen")

_POSTGRES = (
    "set -e; PATH=$PATH:/usr/lib/postgresql/17/bin; export PGDATA=/tmp/data; "
    "initdb --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 >/dev/null; "
    "echo 'host all all all trust' >>$PGDATA/pg_hba.conf; "
    # The tests ask for rules, not for durability: that has tests of its own.
    "exec postgres -c listen_addresses='*' -c fsync=off -c synchronous_commit=off "
    "-c full_page_writes=off -c max_connections=300 -c unix_socket_directories=/tmp"
)


def eventually_sync(claim: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of `claim`; fails when the deadline has passed."""
    deadline = time.monotonic() + seconds
    while True:
        value = claim()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"did not come true within {seconds} s: {claim}")
        time.sleep(0.05)


async def eventually(claim: Callable[[], Any], seconds: float = 15) -> Any:
    """As `eventually_sync`, for an async claim."""
    deadline = time.monotonic() + seconds
    while True:
        value = await claim()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"did not come true within {seconds} s: {claim}")
        await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@functools.cache
def image_of(variable: str, default: str) -> str:
    """The base image that the stack itself is built from; .env names stand-ins."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "docker-compose.yml").exists() or (folder / ".env").exists():
            value = dotenv_values(folder / ".env").get(variable)
            if value:
                return os.environ.get(variable, value)
    return os.environ.get(variable, default)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the run's servers, in the process that is the last to end."""
    if hasattr(session.config, "workerinput"):
        return
    state = getattr(session.config, "_heimnetz_state", None)
    folder = Path(state) if state else None
    if folder is None or not (folder / "servers.json").exists():
        return
    engine = docker.from_env()
    for container in engine.containers.list(all=True, filters={"label": f"{LABEL}={folder.name}"}):
        container.remove(force=True, v=True)
    engine.close()


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config._heimnetz_state = worker["heimnetz_state"]  # type: ignore[attr-defined]  # noqa: SLF001
        return
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"heimnetz-tests-{uuid4().hex[:12]}"  # noqa: S108
    config._heimnetz_state = str(folder)  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each worker of pytest-xdist where the run's servers are written down."""
    node.workerinput["heimnetz_state"] = node.config._heimnetz_state  # noqa: SLF001


@contextmanager
def _locked_state(config: pytest.Config) -> Iterator[tuple[str, dict[str, str], Path]]:
    folder = Path(config._heimnetz_state)  # type: ignore[attr-defined]  # noqa: SLF001
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "servers.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(file.read_text()) if file.exists() else {}
        yield folder.name, state, file
        file.write_text(json.dumps(state))


def _server(
    config: pytest.Config, name: str, start: Callable[[docker.DockerClient, str], str]
) -> str:
    with _locked_state(config) as (run, state, file):
        if name not in state:
            file.write_text(json.dumps(state))
            engine = docker.from_env()
            try:
                state[name] = start(engine, run)
            finally:
                engine.close()
        return state[name]


def _start_postgres(engine: docker.DockerClient, run: str) -> str:
    port = free_port()
    engine.containers.run(
        image_of("POSTGRES_IMAGE", "postgres:17-trixie"),
        entrypoint=["sh", "-c", _POSTGRES],
        user="postgres",
        detach=True,
        labels={LABEL: run},
        ports={"5432/tcp": ("127.0.0.1", port)},
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108
    )
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    wait_for_postgres(url)
    return url


def wait_for_postgres(url: str) -> None:
    eventually_sync(lambda: asyncio.run(_answers(url)))


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


def start_nats(engine: docker.DockerClient, run: str) -> str:
    port = free_port()
    engine.containers.run(
        image_of("NATS_IMAGE", "nats:2.12-alpine"),
        entrypoint=["nats-server", "-js", "-sd", "/tmp/js"],  # noqa: S108
        detach=True,
        labels={LABEL: run},
        ports={"4222/tcp": ("127.0.0.1", port)},
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108
    )
    eventually_sync(lambda: _greets(port))
    return f"nats://127.0.0.1:{port}"


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"INFO"
    except OSError:
        return False


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """URL of a superuser on a real PostgreSQL server."""
    given = os.environ.get("HEIMNETZ_TEST_POSTGRES_URL")
    return given or _server(pytestconfig, "postgres", _start_postgres)


@pytest.fixture(scope="session")
def nats_url(pytestconfig: pytest.Config) -> str:
    """URL of a real NATS server with JetStream. Its stream is shared: see `bus`."""
    given = os.environ.get("HEIMNETZ_TEST_NATS_URL")
    return given or _server(pytestconfig, "nats", start_nats)


async def _template(url: str, service: str) -> str:
    """The name of a migrated database; made once a server and version of the migrations."""
    texts = "".join(item.sha256 for item in migrations_of(service))
    digest = hashlib.sha256(texts.encode()).hexdigest()[:16]
    name = f"template_{service.replace('-', '_')}_{digest}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock(4711)")
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return name
        scratch = f"{name}_new"
        await connection.execute(f"DROP DATABASE IF EXISTS {scratch}")
        await connection.execute(f"CREATE DATABASE {scratch}")
        inner = await asyncpg.connect(_with_database(url, scratch))
        try:
            await migrate(inner, service)
        finally:
            await inner.close()
        await connection.execute(f"ALTER DATABASE {scratch} RENAME TO {name}")
        return name
    finally:
        await connection.close()


def _with_database(url: str, database: str, role: str | None = None) -> str:
    head, _, _ = url.rpartition("/")
    if role is not None:
        head = f"postgresql://{role}@{head.rpartition('@')[2]}"
    return f"{head}/{database}"


@asynccontextmanager
async def fresh_database_url(postgres_url: str, service: str) -> AsyncIterator[str]:
    """URL, in the service's own role, of a migrated database that goes away with the block."""
    template = await _template(postgres_url, service)
    name = f"t_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield _with_database(postgres_url, name, service.replace("-", "_"))
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@asynccontextmanager
async def fresh_database(postgres_url: str, service: str) -> AsyncIterator[Database]:
    """An open pool, in the service's own role, on a fresh migrated database."""
    async with fresh_database_url(postgres_url, service) as url:
        database = Database(url, schema=service.replace("-", "_"))
        await database.open()
        try:
            yield database
        finally:
            await database.close()


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """A connected bus with the platform's stream. Tests share it: use ids of your own."""
    bus = Bus(nats_url, user=f"test-{uuid4().hex[:8]}")
    await bus.connect()
    try:
        await _stream(bus)
        yield bus
    finally:
        await bus.close()


async def _stream(bus: Bus) -> None:
    for attempt in range(3):
        try:
            return await ensure_stream(bus)
        except Unavailable:
            if attempt == 2:
                raise
    return None


class KeyRing:
    """Signing keys of all services in a directory, laid out as init lays them out."""

    def __init__(self, folder: Path) -> None:
        self._private = {service: generate_private_key() for service in SERVICES}
        jwks = [public_jwk(pem, f"{service}-1") for service, pem in self._private.items()]
        self._public_file = folder / "service-keys.json"
        self._public_file.write_text(json.dumps({"keys": jwks}))
        self.folder = folder

    def keys(self, service: str) -> Keys:
        return Keys(service, self.secrets_dir(service))

    def secrets_dir(self, service: str) -> Path:
        """A directory with the service's own signing key and everybody's public ones."""
        folder = self.folder / service
        if not folder.exists():
            folder.mkdir()
            (folder / "signing.key").write_text(self._private[service])
            (folder / "service-keys.json").write_text(self._public_file.read_text())
        return folder

    def user(self, audience: str, role: str, name: str = "anna") -> dict[str, str]:
        """Headers of a person, as the gateway passes them on."""
        token = self.keys("registry").mint(audience, subject=f"user:{name}", name=name, role=role)
        return {"authorization": f"Bearer {token}"}

    def service(self, audience: str, caller: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys(caller).mint(audience)}"}


@pytest.fixture(scope="session")
def key_ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[AsyncClient]:
    """A client of the application, inside its lifespan, over ASGI."""
    async with (
        app.router.lifespan_context(app),
        AsyncClient(
            transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test"
        ) as client,
    ):
        yield client
