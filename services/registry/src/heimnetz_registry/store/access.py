"""People and tokens."""

from datetime import datetime

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_registry.errors import TokenNotFound
from heimnetz_registry.model import Person, Token


async def claim_setup(connection: Connection) -> bool:
    """Whether this transaction is the one that sets Heimnetz up; another one waits for it."""
    return (
        await connection.fetchval(
            "INSERT INTO setups (only_one) VALUES (true) ON CONFLICT DO NOTHING RETURNING true"
        )
        is not None
    )


async def is_set_up(connection: Connection) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM setups)"))


async def add_person(connection: Connection, name: str, *, role: str, password_hash: str) -> None:
    await connection.execute(
        "INSERT INTO people (name, role, password_hash) VALUES ($1, $2, $3)",
        name,
        role,
        password_hash,
    )


async def find_person(connection: Connection, name: str) -> Person | None:
    row = await connection.fetchrow(
        """
        SELECT name, role, password_hash, failed_logins, locked_until
          FROM people
         WHERE name = $1
        """,
        name,
    )
    return None if row is None else Person(**row)


async def count_failed_login(connection: Connection, name: str, *, free: int) -> None:
    """After `free` failures each further one locks the account twice as long, at most an hour."""
    await connection.execute(
        """
        UPDATE people
           SET failed_logins = failed_logins + 1,
               locked_until = CASE WHEN failed_logins + 1 < $2 THEN NULL
                                   ELSE now() + least(interval '1 hour',
                                        interval '5 s' * 2 ^ least(failed_logins + 1 - $2, 12))
                               END
         WHERE name = $1
        """,
        name,
        free,
    )


async def forget_failed_logins(connection: Connection, name: str) -> None:
    await connection.execute(
        "UPDATE people SET failed_logins = 0, locked_until = NULL WHERE name = $1", name
    )


async def set_password(connection: Connection, name: str, password_hash: str) -> None:
    await connection.execute(
        "UPDATE people SET password_hash = $2 WHERE name = $1", name, password_hash
    )


async def add_token(
    connection: Connection,
    *,
    token_id: str,
    digest: bytes,
    kind: str,
    name: str,
    role: str,
    created_by: str,
    expires_at: datetime | None,
) -> None:
    await connection.execute(
        """
        INSERT INTO tokens (id, digest, kind, name, role, created_by, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        token_id,
        digest,
        kind,
        name,
        role,
        created_by,
        expires_at,
    )


async def find_valid_token(connection: Connection, digest: bytes) -> Token | None:
    row = await connection.fetchrow(
        """
        SELECT id, kind, name, role, created_at, created_by, expires_at
          FROM tokens
         WHERE digest = $1
           AND (expires_at IS NULL OR expires_at > now())
        """,
        digest,
    )
    return None if row is None else _token(row)


async def list_tokens(connection: Connection, *, limit: int, after: str | None) -> list[Token]:
    """Those that are valid; oldest first, since their ids begin with the time."""
    rows = await connection.fetch(
        """
        SELECT id, kind, name, role, created_at, created_by, expires_at
          FROM tokens
         WHERE (expires_at IS NULL OR expires_at > now())
           AND ($1::text IS NULL OR id > $1)
         ORDER BY id
         LIMIT $2
        """,
        after,
        limit,
    )
    return [_token(row) for row in rows]


async def revoke_token(connection: Connection, token_id: str) -> str:
    """The token's name.

    Raises: TokenNotFound.
    """
    name = await connection.fetchval("DELETE FROM tokens WHERE id = $1 RETURNING name", token_id)
    if name is None:
        raise TokenNotFound(token_id)
    return str(name)


async def purge_tokens(connection: Connection) -> None:
    await connection.execute("DELETE FROM tokens WHERE expires_at < now() - interval '7 days'")


def _token(row: asyncpg.Record) -> Token:
    return Token(**row)
