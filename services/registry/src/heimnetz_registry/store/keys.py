"""Keys that publishers sign with."""

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_registry.errors import SigningKeyNotFound
from heimnetz_registry.model import KeyState, SigningKey


async def lock_publisher(connection: Connection, publisher: str) -> None:
    """One writer of a publisher's keys until the transaction ends."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('keys:' || $1, 0))", publisher
    )


async def add_key(
    connection: Connection, *, key_id: str, publisher: str, name: str, public_key: bytes
) -> SigningKey | None:
    """None when a key with these bytes is known already, whoever's it is."""
    row = await connection.fetchrow(
        """
        INSERT INTO signing_keys (id, publisher, name, public_key)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT ON CONSTRAINT signing_keys_key DO NOTHING
     RETURNING id, publisher, name, public_key, state, reason, successor, created_at, changed_at
        """,
        key_id,
        publisher,
        name,
        public_key,
    )
    return None if row is None else _key(row)


async def find_key(connection: Connection, key_id: str) -> SigningKey | None:
    """The key, which nobody revokes until the transaction ends."""
    row = await connection.fetchrow(
        """
        SELECT id, publisher, name, public_key, state, reason, successor, created_at, changed_at
          FROM signing_keys
         WHERE id = $1
           FOR SHARE
        """,
        key_id,
    )
    return None if row is None else _key(row)


async def get_key(connection: Connection, key_id: str) -> SigningKey:
    """Raises: SigningKeyNotFound."""
    row = await connection.fetchrow(
        """
        SELECT id, publisher, name, public_key, state, reason, successor, created_at, changed_at
          FROM signing_keys
         WHERE id = $1
        """,
        key_id,
    )
    if row is None:
        raise SigningKeyNotFound(key_id)
    return _key(row)


async def lock_key(connection: Connection, key_id: str) -> SigningKey:
    """Kept from others' changes until the transaction ends.

    Raises: SigningKeyNotFound.
    """
    row = await connection.fetchrow(
        """
        SELECT id, publisher, name, public_key, state, reason, successor, created_at, changed_at
          FROM signing_keys
         WHERE id = $1
           FOR UPDATE
        """,
        key_id,
    )
    if row is None:
        raise SigningKeyNotFound(key_id)
    return _key(row)


async def set_key_state(
    connection: Connection,
    key_id: str,
    state: KeyState,
    *,
    reason: str = "",
    successor: str | None = None,
) -> SigningKey:
    """Raises: SigningKeyNotFound."""
    row = await connection.fetchrow(
        """
        UPDATE signing_keys
           SET state = $2, reason = $3, successor = coalesce($4, successor), changed_at = now()
         WHERE id = $1
     RETURNING id, publisher, name, public_key, state, reason, successor, created_at, changed_at
        """,
        key_id,
        state.value,
        reason,
        successor,
    )
    if row is None:
        raise SigningKeyNotFound(key_id)
    return _key(row)


async def list_keys(
    connection: Connection, *, publisher: str | None, limit: int, after: str | None
) -> list[SigningKey]:
    """By id."""
    rows = await connection.fetch(
        """
        SELECT id, publisher, name, public_key, state, reason, successor, created_at, changed_at
          FROM signing_keys
         WHERE ($1::text IS NULL OR publisher = $1)
           AND ($2::text IS NULL OR id > $2)
         ORDER BY id
         LIMIT $3
        """,
        publisher,
        after,
        limit,
    )
    return [_key(row) for row in rows]


async def count_keys(connection: Connection, publisher: str) -> int:
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM signing_keys WHERE publisher = $1", publisher
        )
    )


async def count_signed(connection: Connection, key_id: str) -> int:
    """How many versions the key vouches for."""
    return int(await connection.fetchval("SELECT count(*) FROM versions WHERE key_id = $1", key_id))


async def find_last_signer(connection: Connection, plugin: str) -> str | None:
    """Whose key signed the plugin's newest signed version; deleted ones count."""
    found = await connection.fetchval(
        """
        SELECT signing_keys.publisher
          FROM versions
          JOIN signing_keys ON signing_keys.id = versions.key_id
         WHERE plugin = $1
         ORDER BY published_at DESC
         LIMIT 1
        """,
        plugin,
    )
    return None if found is None else str(found)


async def find_envelope(connection: Connection, plugin: str, version: str) -> bytes | None:
    found: bytes | None = await connection.fetchval(
        "SELECT envelope FROM versions WHERE plugin = $1 AND version = $2", plugin, version
    )
    return found


async def set_signature(
    connection: Connection, plugin: str, version: str, *, key_id: str, envelope: bytes
) -> None:
    """In place of the one before, if there was one."""
    await connection.execute(
        """
        UPDATE versions
           SET key_id = $3, envelope = $4
         WHERE plugin = $1
           AND version = $2
        """,
        plugin,
        version,
        key_id,
        envelope,
    )


def _key(row: asyncpg.Record) -> SigningKey:
    return SigningKey(**{**row, "state": KeyState(row["state"])})
