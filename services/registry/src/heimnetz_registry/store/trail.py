"""What was done, by whom and why."""

from collections.abc import Sequence
from typing import Any

from heimnetz_common.database import Connection
from heimnetz_manifest.trail import Checkpoint, Entry, Link

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


async def add_checkpoint(connection: Connection, checkpoint: Checkpoint) -> None:
    await connection.execute(
        """
        INSERT INTO trail_checkpoints (position, entry, digest, at, key_id, signature)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        checkpoint.link.position,
        checkpoint.link.entry,
        checkpoint.link.digest,
        checkpoint.at,
        checkpoint.key_id,
        checkpoint.signature,
    )


async def find_last_checkpoint(connection: Connection, key_id: str) -> Checkpoint | None:
    row = await connection.fetchrow(
        """
        SELECT position, entry, digest, at, key_id, signature
          FROM trail_checkpoints
         WHERE key_id = $1
         ORDER BY position DESC
         LIMIT 1
        """,
        key_id,
    )
    return None if row is None else _checkpoint(row)


async def list_checkpoints(
    connection: Connection, key_id: str, *, position: int, until: int | None = None, limit: int
) -> list[Checkpoint]:
    """From `position` on, before `until`; signed with this key."""
    rows = await connection.fetch(
        """
        SELECT position, entry, digest, at, key_id, signature
          FROM trail_checkpoints
         WHERE key_id = $1
           AND position >= $2
           AND ($3::bigint IS NULL OR position < $3)
         ORDER BY position
         LIMIT $4
        """,
        key_id,
        position,
        until,
        limit,
    )
    return [_checkpoint(row) for row in rows]


def _checkpoint(row: Any) -> Checkpoint:
    return Checkpoint(
        Link(row["position"], row["entry"], row["digest"]),
        row["at"],
        row["key_id"],
        row["signature"],
    )
