from dataclasses import dataclass

from heimnetz_common.database import Connection


@dataclass(frozen=True, slots=True)
class Used:
    byte_count: int
    keys: int


async def lock(connection: Connection, plugin: str) -> None:
    """Until the transaction ends, nobody else writes for this plugin."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", plugin)


async def measure(connection: Connection, plugin: str, *, without: str) -> Used:
    """Keys and values of the plugin, but for one key."""
    row = await connection.fetchrow(
        """
        SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) AS byte_count,
               count(*) AS keys
          FROM storage
         WHERE plugin = $1
           AND key <> $2
        """,
        plugin,
        without,
    )
    assert row is not None
    return Used(int(row["byte_count"]), row["keys"])


async def put(connection: Connection, plugin: str, key: str, value: bytes) -> None:
    await connection.execute(
        """
        INSERT INTO storage (plugin, key, value)
        VALUES ($1, $2, $3)
            ON CONFLICT ON CONSTRAINT storage_key DO UPDATE
           SET value = excluded.value, changed_at = clock_timestamp()
        """,
        plugin,
        key,
        value,
    )


async def get(connection: Connection, plugin: str, key: str) -> bytes | None:
    value = await connection.fetchval(
        "SELECT value FROM storage WHERE plugin = $1 AND key = $2", plugin, key
    )
    return None if value is None else bytes(value)


async def delete(connection: Connection, plugin: str, key: str) -> None:
    await connection.execute("DELETE FROM storage WHERE plugin = $1 AND key = $2", plugin, key)


async def list_keys(connection: Connection, plugin: str, prefix: str) -> list[str]:
    """In the order of their code points."""
    rows = await connection.fetch(
        """
        SELECT key
          FROM storage
         WHERE plugin = $1
           AND starts_with(key, $2)
         ORDER BY key COLLATE "C"
        """,
        plugin,
        prefix,
    )
    return [row["key"] for row in rows]


async def keep(connection: Connection, plugin: str, version: str) -> None:
    """A copy of all there is, as that version leaves it."""
    await connection.execute(
        """
        INSERT INTO kept_storage (plugin, version, key, value, changed_at)
        SELECT plugin, $2, key, value, changed_at
          FROM storage
         WHERE plugin = $1
        """,
        plugin,
        version,
    )


async def bring_back(connection: Connection, plugin: str, version: str) -> None:
    """What that version left, in place of what there is."""
    await connection.execute("DELETE FROM storage WHERE plugin = $1", plugin)
    await connection.execute(
        """
        INSERT INTO storage (plugin, key, value, changed_at)
        SELECT plugin, key, value, changed_at
          FROM kept_storage
         WHERE plugin = $1
           AND version = $2
        """,
        plugin,
        version,
    )


async def forget_kept(connection: Connection, plugin: str, *, but: str | None = None) -> None:
    """The copies of all versions, or of all but one."""
    await connection.execute(
        """
        DELETE FROM kept_storage
         WHERE plugin = $1
           AND version IS DISTINCT FROM $2
        """,
        plugin,
        but,
    )
