from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_manifest import Grants
from heimnetz_sandbox.errors import PluginNotInstalled
from heimnetz_sandbox.model import Health, Installation, Limits, Program


async def get_stack(connection: Connection) -> str:
    """The identity of this database, so that two stacks on one engine know their containers."""
    return str(await connection.fetchval("SELECT stack FROM identity"))


async def announce(
    connection: Connection,
    *,
    plugin: str,
    version: str,
    sha256: str,
    triggers: dict[str, Any],
    grants: Sequence[str] = (),
    at: datetime,
) -> bool:
    """Whether the announcement is news; an older one than what is known changes nothing."""
    row = await connection.fetchrow(
        """
        INSERT INTO installations (plugin, version, sha256, triggers, is_installed, announced_at,
                                   installed_at, grants)
        VALUES ($1, $2, $3, $4, true, $5, $5, $6)
            ON CONFLICT ON CONSTRAINT installations_key DO UPDATE
           SET version = excluded.version,
               sha256 = excluded.sha256,
               triggers = excluded.triggers,
               grants = excluded.grants,
               is_installed = true,
               announced_at = excluded.announced_at,
               installed_at = CASE WHEN installations.is_installed THEN installations.installed_at
                                   ELSE excluded.installed_at
                              END,
               configuration = NULL,
               failure = NULL,
               memory_bytes = NULL
         WHERE installations.announced_at <= excluded.announced_at
     RETURNING number
        """,
        plugin,
        version,
        sha256,
        triggers,
        at,
        list(grants),
    )
    return row is not None


@dataclass(frozen=True, slots=True)
class Place:
    """Of which version a plugin is, and of which one its storage was kept."""

    version: str
    kept_version: str | None


async def find_place(connection: Connection, plugin: str) -> Place | None:
    """Nobody else changes it until the transaction ends. None while it is not installed."""
    row = await connection.fetchrow(
        """
        SELECT version, kept_version
          FROM installations
         WHERE plugin = $1
           AND is_installed
           FOR UPDATE
        """,
        plugin,
    )
    return None if row is None else Place(row["version"], row["kept_version"])


async def set_kept_version(connection: Connection, plugin: str, version: str | None) -> None:
    await connection.execute(
        "UPDATE installations SET kept_version = $2 WHERE plugin = $1", plugin, version
    )


async def remove(connection: Connection, plugin: str, at: datetime) -> bool:
    """Whether that is news. Leaves the row: its number, and the user, is this plugin's for ever."""
    status = await connection.execute(
        """
        INSERT INTO installations (plugin, version, sha256, triggers, is_installed, announced_at,
                                   installed_at)
        VALUES ($1, '', repeat('0', 64), '{}', false, $2, $2)
            ON CONFLICT ON CONSTRAINT installations_key DO UPDATE
           SET is_installed = false,
               announced_at = excluded.announced_at,
               configuration = NULL
         WHERE installations.announced_at <= excluded.announced_at
        """,
        plugin,
        at,
    )
    return status != "INSERT 0 0"


async def set_blocked(
    connection: Connection,
    *,
    plugin: str,
    version: str,
    reason: str,
    at: datetime,
    is_blocked: bool,
) -> bool:
    """Whether the announcement is news."""
    status = await connection.execute(
        """
        INSERT INTO blocked_versions (plugin, version, reason, announced_at, is_blocked)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT blocked_versions_key DO UPDATE
           SET reason = excluded.reason,
               announced_at = excluded.announced_at,
               is_blocked = excluded.is_blocked
         WHERE blocked_versions.announced_at <= excluded.announced_at
        """,
        plugin,
        version,
        reason,
        at,
        is_blocked,
    )
    return status != "INSERT 0 0"


async def raise_memory(connection: Connection, plugin: str, memory_bytes: int) -> None:
    """For containers that begin from now on. Raises: PluginNotInstalled."""
    status = await connection.execute(
        "UPDATE installations SET memory_bytes = $2 WHERE plugin = $1 AND is_installed",
        plugin,
        memory_bytes,
    )
    if status == "UPDATE 0":
        raise PluginNotInstalled(plugin)


async def trace_memory(connection: Connection, plugin: str, seconds: float) -> datetime:
    """Until when containers that begin are traced. Raises: PluginNotInstalled."""
    until: datetime | None = await connection.fetchval(
        """
        UPDATE installations
           SET traced_until = clock_timestamp() + $2 * interval '1 second'
         WHERE plugin = $1
           AND is_installed
     RETURNING traced_until
        """,
        plugin,
        seconds,
    )
    if until is None:
        raise PluginNotInstalled(plugin)
    return until


async def find_block(connection: Connection, plugin: str, version: str) -> str | None:
    """Why the version must not run, or None."""
    reason = await connection.fetchval(
        """
        SELECT reason
          FROM blocked_versions
         WHERE plugin = $1
           AND version = $2
           AND is_blocked
        """,
        plugin,
        version,
    )
    return None if reason is None else str(reason)


_COLUMNS = """
    plugin, number, version, sha256, triggers, grants, is_installed, installed_at, prepared_sha256,
    program, failure, configuration, traced_until, memory_bytes
"""


async def get(connection: Connection, plugin: str) -> Installation:
    """Raises: PluginNotInstalled."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM installations WHERE plugin = $1 AND is_installed",  # noqa: S608
        plugin,
    )
    if row is None:
        raise PluginNotInstalled(plugin)
    return _installation(row)


@dataclass(frozen=True, slots=True)
class Standing:
    """An installation, and what a new run of it meets."""

    installation: Installation
    waiting: int
    own_waiting: int
    own_running: int
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class Listener:
    installation: Installation
    own_waiting: int


async def list_listening(connection: Connection, event_type: str) -> list[Listener]:
    """What is installed, may run, and wants to be started by this event."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS},
               (SELECT count(*)
                  FROM runs
                 WHERE state = 'queued'
                   AND runs.plugin = installations.plugin) AS own_waiting
          FROM installations
         WHERE is_installed
           AND triggers -> 'events' ? $1
           AND NOT EXISTS (SELECT
                             FROM blocked_versions AS blocked
                            WHERE blocked.plugin = installations.plugin
                              AND blocked.version = installations.version
                              AND blocked.is_blocked)
         ORDER BY plugin
        """,  # noqa: S608  columns of ours
        event_type,
    )
    return [Listener(_installation(row), row["own_waiting"]) for row in rows]


async def get_standing(connection: Connection, plugin: str) -> Standing:
    """Raises: PluginNotInstalled."""
    row = await connection.fetchrow(
        f"""
        SELECT {_COLUMNS}, busy.waiting, busy.own_waiting, busy.own_running,
               EXISTS (SELECT
                         FROM blocked_versions AS blocked
                        WHERE blocked.plugin = installations.plugin
                          AND blocked.version = installations.version
                          AND blocked.is_blocked) AS is_blocked
          FROM installations,
               (SELECT count(*) FILTER (WHERE state = 'queued') AS waiting,
                       count(*) FILTER (WHERE state = 'queued' AND plugin = $1) AS own_waiting,
                       count(*) FILTER (WHERE state = 'running' AND plugin = $1) AS own_running
                  FROM runs
                 WHERE state IN ('queued', 'running')) AS busy
         WHERE plugin = $1
           AND is_installed
        """,  # noqa: S608  columns of ours
        plugin,
    )
    if row is None:
        raise PluginNotInstalled(plugin)
    return Standing(
        _installation(row),
        row["waiting"],
        row["own_waiting"],
        row["own_running"],
        row["is_blocked"],
    )


async def list_installed(connection: Connection) -> list[Installation]:
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM installations WHERE is_installed ORDER BY plugin"  # noqa: S608
    )
    return [_installation(row) for row in rows]


async def list_runnable(connection: Connection, plugins: Sequence[str]) -> list[Installation]:
    """Of these: installed, not blocked, and prepared."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
          FROM installations
         WHERE is_installed
           AND plugin = ANY($1::text[])
           AND failure IS NULL
           AND configuration IS NOT NULL
           AND prepared_sha256 = sha256
           AND program ->> 'kind' IS DISTINCT FROM 'service'
           AND NOT EXISTS (SELECT
                             FROM blocked_versions AS blocked
                            WHERE blocked.plugin = installations.plugin
                              AND blocked.version = installations.version
                              AND blocked.is_blocked)
        """,  # noqa: S608  columns of ours
        list(plugins),
    )
    return [_installation(row) for row in rows]


async def list_healths(connection: Connection, plugins: Sequence[str]) -> dict[str, Health]:
    """How these services are to be asked whether they are well."""
    rows = await connection.fetch(
        """
        SELECT plugin, program -> 'health' AS health
          FROM installations
         WHERE plugin = ANY($1::text[])
           AND program -> 'health' IS NOT NULL
        """,
        list(plugins),
    )
    return {row["plugin"]: Health(**row["health"]) for row in rows}


async def list_digests(connection: Connection) -> set[str]:
    """The packages that may still be run: installed, or of a run that is not over."""
    rows = await connection.fetch(
        """
        SELECT sha256 FROM installations WHERE is_installed
         UNION
        SELECT sha256 FROM runs WHERE state <> 'finished'
        """
    )
    return {row["sha256"] for row in rows}


async def list_dependencies(connection: Connection) -> set[str]:
    """Keys of the dependencies that something installed needs."""
    rows = await connection.fetch(
        """
        SELECT program ->> 'dependencies' AS key
          FROM installations
         WHERE is_installed
           AND program ->> 'dependencies' IS NOT NULL
        """
    )
    return {row["key"] for row in rows}


async def set_prepared(connection: Connection, installation: Installation) -> None:
    """Only while the same package is still the installed one."""
    program = installation.program
    await connection.execute(
        """
        UPDATE installations
           SET prepared_sha256 = $2,
               program = $3,
               failure = $4,
               configuration = coalesce($5, configuration)
         WHERE plugin = $1
           AND sha256 = $2
        """,
        installation.plugin,
        installation.sha256,
        None if program is None else asdict(program),
        installation.failure,
        installation.configuration,
    )


def _limits(document: dict[str, Any], memory_bytes: int | None) -> Limits:
    limits = Limits(**document)
    if memory_bytes is None or memory_bytes <= limits.memory_bytes:
        return limits
    return replace(limits, memory_bytes=memory_bytes)


def _installation(row: asyncpg.Record) -> Installation:
    program = None
    if row["program"] is not None and row["prepared_sha256"] == row["sha256"]:
        document = row["program"]
        program = Program(
            runtime=document["runtime"],
            entry_point=document["entry_point"],
            limits=_limits(document["limits"], row["memory_bytes"]),
            tree_sha256=document["tree_sha256"],
            secret_pointers=tuple(document["secret_pointers"]),
            dependencies=document["dependencies"],
            fresh=document.get("fresh", "container"),
            held=tuple(document.get("held", ())),
            kind=document.get("kind", "job"),
            health=Health(**document.get("health", {})),
        )
    return Installation(
        plugin=row["plugin"],
        version=row["version"],
        sha256=row["sha256"],
        number=row["number"],
        triggers=row["triggers"],
        grants=Grants(row["grants"]),
        is_installed=row["is_installed"],
        installed_at=row["installed_at"],
        traced_until=row["traced_until"],
        program=program,
        failure=row["failure"],
        configuration=row["configuration"],
    )


async def show_life(connection: Connection, instance: str) -> None:
    await connection.execute(
        """
        INSERT INTO instances (id, seen_at)
        VALUES ($1, clock_timestamp())
            ON CONFLICT ON CONSTRAINT instances_key DO UPDATE
           SET seen_at = excluded.seen_at
        """,
        instance,
    )


async def list_silent(
    connection: Connection, instances: Sequence[str], silence: timedelta
) -> set[str]:
    """Which of these sandboxes have shown no life for so long, or never did."""
    rows = await connection.fetch(
        """
        SELECT asked.id
          FROM unnest($1::text[]) AS asked (id)
          LEFT JOIN instances ON instances.id = asked.id
         WHERE instances.seen_at IS NULL
            OR instances.seen_at < clock_timestamp() - $2::interval
        """,
        list(instances),
        silence,
    )
    return {row["id"] for row in rows}
