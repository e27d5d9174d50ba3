"""Brings the database and the stream to what the code needs: roles, schemas, tables, stream.

    python -m heimnetz_common.migrating SERVICE...

Each migration is one file and one transaction, in the order of its number; a file that was
applied never changes. Tables belong to the migrating role: a service's role may use them, and
may not alter them.
"""

import argparse
import asyncio
import hashlib
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

import asyncpg
from pydantic_settings import SettingsConfigDict

from heimnetz_common.bus import Bus, ensure_stream
from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.logs import configure_logs, get_logger
from heimnetz_common.service import client_tls
from heimnetz_common.settings import ServiceSettings, load_settings

_LOCK = 0x4845494D  # one migrating process at a time, for the whole database
_WAIT_SECONDS = 60

log = get_logger(__name__)


class SchemaMismatch(HeimnetzError):
    kind = "schema-mismatch"
    title = "The database was made by another version"


class MigrateSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_MIGRATE_")
    service: ClassVar[str] = "migrate"

    @property
    def database(self) -> str:
        return self.database_url or "postgresql://postgres@postgres:5432/heimnetz"


@dataclass(frozen=True)
class Migration:
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(service: str) -> Iterator[Migration]:
    """Those that every service has, then the service's own, each in order."""
    package = f"heimnetz_{service.replace('-', '_')}"
    for owner in ("heimnetz_common", package):
        folder = files(owner) / "migrations"
        for item in sorted(folder.iterdir(), key=lambda item: item.name):
            if item.name.endswith(".sql"):
                name = f"{owner.removeprefix('heimnetz_')}/{item.name}"
                yield Migration(name, item.read_text(encoding="utf-8"))


async def migrate(
    connection: "asyncpg.Connection[asyncpg.Record]", service: str, password: str | None = None
) -> int:
    """Bring one service's role and schema up to date; how many migrations were applied.

    Raises: SchemaMismatch.
    """
    role = service.replace("-", "_")
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await _ensure_role(connection, role, password)
        applied = {
            row["name"]: row["sha256"]
            for row in await connection.fetch(f"SELECT name, sha256 FROM {role}.migrations")  # noqa: S608 - `role` is one of our services' names, quoted by _ensure_role
        }
        wanted = list(migrations_of(service))
        _compare(service, wanted, applied)
        missing = [item for item in wanted if item.name not in applied]
        for item in missing:
            await _apply(connection, role, item)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return len(missing)


def _compare(service: str, wanted: list[Migration], applied: dict[str, str]) -> None:
    for item in wanted:
        if applied.get(item.name, item.sha256) != item.sha256:
            raise SchemaMismatch(f"{service}: {item.name} was changed after it had been applied")
    unknown = sorted(set(applied) - {item.name for item in wanted})
    if unknown:
        raise SchemaMismatch(
            f"{service}: the database is newer than this version (it has {unknown[-1]}); "
            "start the version that made it, or restore a backup from before the update"
        )


async def _apply(
    connection: "asyncpg.Connection[asyncpg.Record]", role: str, item: Migration
) -> None:
    async with connection.transaction():
        await connection.execute("SELECT set_config('search_path', $1, true)", role)
        await connection.execute("SELECT set_config('statement_timeout', '60s', true)")
        await connection.execute(item.sql)
        await connection.execute(
            "INSERT INTO migrations (name, sha256) VALUES ($1, $2)", item.name, item.sha256
        )
    log.info("migrated", migration=item.name)


async def _ensure_role(
    connection: "asyncpg.Connection[asyncpg.Record]", role: str, password: str | None
) -> None:
    """SQL has no parameters here; `role` is a service's name and the server quotes both."""
    if not role.isidentifier():
        raise ValueError(f"{role!r} is no name of a role")
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    statements = [] if exists else [f"CREATE ROLE {role} LOGIN"]
    if password is not None:
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
        statements.append(f"ALTER ROLE {role} PASSWORD {quoted}")
    statements += [
        f"CREATE SCHEMA IF NOT EXISTS {role}",
        f"GRANT USAGE ON SCHEMA {role} TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {role}"
        f" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {role} GRANT USAGE, SELECT ON SEQUENCES TO {role}",
        f"CREATE TABLE IF NOT EXISTS {role}.migrations ("
        " name text CONSTRAINT migrations_key PRIMARY KEY, sha256 text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())",
        f"REVOKE INSERT, UPDATE, DELETE ON {role}.migrations FROM {role}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    ]
    for statement in statements:
        await connection.execute(statement)


async def _connect(
    settings: MigrateSettings, tls: ssl.SSLContext | None
) -> "asyncpg.Connection[asyncpg.Record]":
    for _ in range(_WAIT_SECONDS):
        try:
            return await asyncpg.connect(
                settings.database,
                password=settings.secret("postgres-admin-password"),
                ssl=tls if tls is not None else False,
                timeout=5,
            )
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            log.info("database_waits", reason=repr(error))
            await asyncio.sleep(1)
    raise Unavailable(f"the database does not answer within {_WAIT_SECONDS} s")


async def _run(settings: MigrateSettings, services: list[str]) -> None:
    tls = client_tls(settings.secrets_dir / "ca.crt") if settings.tls else None
    connection = await _connect(settings, tls)
    try:
        for service in services:
            password = settings.secret(f"roles/{service.replace('-', '_')}")
            count = await migrate(connection, service, password)
            log.info("up_to_date", of=service, applied=count)
    finally:
        await connection.close()
    bus = Bus(
        settings.nats_url,
        user=settings.service,
        password=settings.secret("nats-password"),
        tls=tls if settings.nats_url.startswith("tls:") else None,
    )
    await bus.connect()
    try:
        await ensure_stream(bus)
    finally:
        await bus.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Bring database and stream up to date.")
    parser.add_argument("services", nargs="+", metavar="SERVICE")
    arguments = parser.parse_args()
    settings = load_settings(MigrateSettings)
    configure_logs(settings.service, settings.log_level)
    try:
        asyncio.run(_run(settings, arguments.services))
    except HeimnetzError as error:
        log.error("migration_failed", reason=error.detail)  # noqa: TRY400 - the reason is enough
        sys.exit(1)


if __name__ == "__main__":
    main()
