"""What was done, by whom and why."""

from collections.abc import Sequence
from typing import Any

from heimnetz_common.database import Connection
from heimnetz_registry.model import Entry, Link

_COLUMNS = "id, at, actor, action, plugin, version, state_before, state_after, reason"


async def add_entry(
    connection: Connection,
    *,
    actor: str,
    action: str,
    plugin: str | None = None,
    version: str | None = None,
    state_before: str | None = None,
    state_after: str | None = None,
    reason: str = "",
) -> None:
    await connection.execute(
        """
        INSERT INTO trail (actor, action, plugin, version, state_before, state_after, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        actor,
        action,
        plugin,
        version,
        state_before,
        state_after,
        reason,
    )


async def list_entries(
    connection: Connection, *, plugin: str | None, limit: int, before: int | None
) -> list[Entry]:
    """Newest first."""
    rows: list[Any] = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
          FROM trail
         WHERE ($1::text IS NULL OR plugin = $1)
           AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC
         LIMIT $3
        """,  # noqa: S608  columns of ours
        plugin,
        before,
        limit,
    )
    return [Entry(**row) for row in rows]


async def lock_links(connection: Connection) -> None:
    """Until the transaction ends nobody else adds a link."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('trail_links'))")


async def get_last_link(connection: Connection) -> Link | None:
    row = await connection.fetchrow(
        "SELECT position, entry, digest FROM trail_links ORDER BY position DESC LIMIT 1"
    )
    return None if row is None else Link(**row)


async def list_links(connection: Connection, position: int, limit: int) -> list[Link]:
    """From `position` on."""
    rows = await connection.fetch(
        """
        SELECT position, entry, digest
          FROM trail_links
         WHERE position >= $1
           AND position < $1 + $2
         ORDER BY position
        """,
        position,
        limit,
    )
    return [Link(**row) for row in rows]


async def list_unlinked(connection: Connection, after: int, limit: int) -> list[Entry]:
    """An entry may commit after one with a higher number; it is linked when it is seen."""
    rows: list[Any] = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
          FROM trail
         WHERE id > $1
           AND NOT EXISTS (SELECT FROM trail_links WHERE trail_links.entry = trail.id)
         ORDER BY id
         LIMIT $2
        """,  # noqa: S608  columns of ours
        after,
        limit,
    )
    return [Entry(**row) for row in rows]


async def map_entries(connection: Connection, ids: Sequence[int]) -> dict[int, Entry]:
    rows: list[Any] = await connection.fetch(
        f"SELECT {_COLUMNS} FROM trail WHERE id = ANY($1::bigint[])",  # noqa: S608  columns of ours
        ids,
    )
    return {row["id"]: Entry(**row) for row in rows}


async def add_links(connection: Connection, links: Sequence[Link]) -> None:
    await connection.executemany(
        "INSERT INTO trail_links (position, entry, digest) VALUES ($1, $2, $3)",
        [(one.position, one.entry, one.digest) for one in links],
    )
