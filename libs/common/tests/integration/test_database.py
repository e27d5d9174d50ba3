import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from heimnetz_common.database import Database
from heimnetz_common.errors import Unavailable
from heimnetz_common.migrating import SchemaMismatch, migrate
from heimnetz_common.testing import eventually, fresh_database, fresh_database_url

from .conftest import works


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield database


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A superuser on a migrated database of the test's own."""
    async with fresh_database_url(postgres_url, "monitor") as url:
        connection = await asyncpg.connect(url.replace("monitor@", "postgres@"))
        try:
            yield connection
        finally:
            await connection.close()


async def test_migrating_twice_changes_nothing(
    admin: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    assert await migrate(admin, "monitor") == 0


async def test_a_migration_that_was_changed_is_refused(
    admin: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await admin.execute("UPDATE monitor.migrations SET sha256 = 'another'")

    with pytest.raises(SchemaMismatch, match="was changed"):
        await migrate(admin, "monitor")


async def test_a_database_of_a_newer_version_is_refused_with_what_to_do(
    admin: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await admin.execute("INSERT INTO monitor.migrations VALUES ('monitor/9999_future.sql', '')")

    with pytest.raises(SchemaMismatch, match="restore a backup"):
        await migrate(admin, "monitor")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM migrations",
        "DROP TABLE outbox",
        "ALTER TABLE outbox ADD COLUMN more text",
        "CREATE TABLE mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE ROLE friend",
    ],
)
async def test_a_services_role_uses_its_tables_and_cannot_alter_them(
    database: Database, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction() as connection:
            await connection.execute(statement)


async def test_a_server_that_goes_away_is_unavailable_and_the_pool_recovers(
    database: Database, postgres_url: str
) -> None:
    admin = await asyncpg.connect(postgres_url)
    try:
        with pytest.raises(Unavailable):
            async with database.transaction() as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
                await admin.execute("SELECT pg_terminate_backend($1)", pid)
                await connection.fetchval("SELECT 1")
    finally:
        await admin.close()

    await database.check()


async def test_a_connection_that_is_lost_after_the_work_does_not_undo_it(
    database: Database,
) -> None:
    for _ in range(20):
        async with database.connection() as connection, database.connection() as other:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await other.execute("SELECT pg_terminate_backend($1)", pid)
        await eventually(lambda: works(database))


async def test_no_server_is_unavailable() -> None:
    database = Database("postgresql://monitor@127.0.0.1:1/none", schema="monitor")
    await database.open()

    with pytest.raises(Unavailable):
        await database.check()
    await database.close()


async def test_a_lock_that_is_held_is_unavailable_instead_of_a_hang(database: Database) -> None:
    async with database.transaction() as holder:
        await holder.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(Unavailable):
            async with database.transaction() as connection:
                await connection.execute("SET LOCAL lock_timeout = '100ms'")
                await connection.fetchval("SELECT count(*) FROM inbox")


async def test_used_up_connections_are_unavailable_instead_of_a_hang(postgres_url: str) -> None:
    async with fresh_database_url(postgres_url, "monitor") as url:
        database = Database(url, schema="monitor", max_connections=1)
        await database.open()
        async with database.connection():
            with pytest.raises(Unavailable):
                await asyncio.wait_for(database.check(), 10)
        await database.close()
