from dataclasses import dataclass
from datetime import datetime

from heimnetz_common.database import Connection
from heimnetz_sandbox.events import BehaviourObserved


@dataclass(frozen=True, slots=True)
class Seen:
    kind: str
    target: str
    is_granted: bool
    version: str
    seen_at: datetime


async def add(connection: Connection, event: BehaviourObserved, *, most: int) -> bool:
    """Whether it is new, and not one too many."""
    added = await connection.fetchval(
        """
        INSERT INTO observed (plugin, kind, target, is_granted, version)
        SELECT $1, $2, $3, $4, $5
         WHERE (SELECT count(*) FROM observed WHERE plugin = $1) < $6
            ON CONFLICT ON CONSTRAINT observed_once DO NOTHING
     RETURNING 1
        """,
        event.plugin,
        event.kind,
        event.target,
        event.is_granted,
        event.version,
        most,
    )
    return added is not None


async def list_of(connection: Connection, plugin: str) -> list[Seen]:
    """Newest first."""
    rows = await connection.fetch(
        """
        SELECT kind, target, is_granted, version, seen_at
          FROM observed
         WHERE plugin = $1
         ORDER BY seen_at DESC, target
        """,
        plugin,
    )
    return [Seen(**row) for row in rows]
