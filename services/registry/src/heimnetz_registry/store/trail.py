"""What was done, by whom and why."""

from typing import Any

from heimnetz_common.database import Connection
from heimnetz_registry.model import Entry


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
        """
        SELECT id, at, actor, action, plugin, version, state_before, state_after, reason
          FROM trail
         WHERE ($1::text IS NULL OR plugin = $1)
           AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC
         LIMIT $3
        """,
        plugin,
        before,
        limit,
    )
    return [Entry(**row) for row in rows]
