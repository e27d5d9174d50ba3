"""One pool of PostgreSQL connections a service, and one translation of what can go wrong."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from heimnetz_common.errors import Full, Unavailable
from heimnetz_common.telemetry import DATABASE_CONNECTIONS

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

ACQUIRE_SECONDS = 2.0
_SERVER_SETTINGS = {
    "statement_timeout": "10s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "timezone": "UTC",
}
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
    OSError,
)


class Database:
    """The service's pool. It connects at first use, so that a service starts without a server."""

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 8,
    ) -> None:
        self._url = url
        self._schema = schema
        self._options: dict[str, Any] = {
            "password": password,
            "ssl": tls,
            "min_size": 0,
            "max_size": max_connections,
            "timeout": 5,
            "command_timeout": 15,
            "max_inactive_connection_lifetime": 300,
        }
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._url,
            init=_prepare,
            # A transaction left open is rolled back all the same; nothing here changes anything
            # else of a session, and asking the server to reset it costs a round trip each time.
            reset=_leave,
            server_settings={
                **_SERVER_SETTINGS,
                "search_path": self._schema,
                "application_name": f"heimnetz-{self._schema}",
            },
            **{name: value for name, value in self._options.items() if value is not None},
        )

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    @property
    def schema(self) -> str:
        return self._schema

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reading, and for what is one statement.

        Raises: Unavailable, Full.
        """
        # Closing does not wait for who has a connection.
        pool = self._pool
        if pool is None:
            raise Unavailable("the database pool is closed")
        with _translated():
            connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
        try:
            with _translated():
                yield connection
        finally:
            # The work is done, or has failed by itself; the pool lets a lost connection go.
            with suppress(*_LOST):
                await pool.release(connection)
            self._count()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, which commits when the block ends well.

        Raises: Unavailable, Full.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def check(self) -> None:
        """Raises: Unavailable."""
        async with self.connection() as connection:
            await connection.fetchval("SELECT 1")

    def _count(self) -> None:
        if self._pool is not None:
            size, idle = self._pool.get_size(), self._pool.get_idle_size()
            DATABASE_CONNECTIONS.labels("idle").set(idle)
            DATABASE_CONNECTIONS.labels("used").set(size - idle)


class _translated:  # noqa: N801 - reads as a clause: `with _translated():`
    """What the driver and the sockets raise, in the words of this house."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, asyncpg.DiskFullError):
            raise Full("the database has no space left") from error
        if isinstance(error, _LOST):
            raise Unavailable("the database does not answer") from error


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _leave(_: object) -> None:
    return None


def constraint_of(error: asyncpg.IntegrityConstraintViolationError) -> str:
    """The name of the constraint that an insert or update violated."""
    fields: Mapping[str, Any] = error.as_dict()
    return str(fields.get("constraint_name") or "")
