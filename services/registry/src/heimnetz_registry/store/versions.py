"""Plugins and versions."""

from datetime import datetime
from typing import Any

import asyncpg

from heimnetz_common.database import Connection, constraint_of
from heimnetz_registry.errors import NameTaken, PluginNotFound, VersionNotFound
from heimnetz_registry.model import KeyState, Signature, Signed, State, Submission, Version


async def lock_plugin(connection: Connection, plugin: str) -> None:
    """One writer a plugin until the transaction ends, whether the plugin exists or not."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('plugin:' || $1, 0))", plugin
    )


async def find_publisher(connection: Connection, plugin: str) -> str | None:
    publisher = await connection.fetchval("SELECT publisher FROM plugins WHERE plugin = $1", plugin)
    return None if publisher is None else str(publisher)


async def add_plugin(connection: Connection, plugin: str, *, twin_key: str, publisher: str) -> None:
    """Nothing happens when the plugin exists.

    Raises: NameTaken.
    """
    try:
        async with connection.transaction():
            await connection.execute(
                """
                INSERT INTO plugins (plugin, twin_key, publisher)
                VALUES ($1, $2, $3)
                    ON CONFLICT ON CONSTRAINT plugins_key DO NOTHING
                """,
                plugin,
                twin_key,
                publisher,
            )
    except asyncpg.UniqueViolationError as error:
        if constraint_of(error) != "plugins_no_twin":
            raise
        twin = await connection.fetchval("SELECT plugin FROM plugins WHERE twin_key = $1", twin_key)
        raise NameTaken(plugin, str(twin)) from error


async def find_same_precedence(
    connection: Connection, plugin: str, precedence: str
) -> Version | None:
    """The version with this number, whatever its build metadata."""
    row = await connection.fetchrow(
        """
        SELECT plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
               manifest, score, grade, verdict, audited_at, is_review_due,
               (SELECT jsonb_build_object('key_id', id, 'publisher', signing_keys.publisher,
                                          'state', signing_keys.state)
                  FROM signing_keys WHERE id = versions.key_id) AS signature
          FROM versions
         WHERE plugin = $1
           AND precedence = $2
        """,
        plugin,
        precedence,
    )
    return None if row is None else _version(row)


async def find_highest(connection: Connection, plugin: str) -> tuple[str, str] | None:
    """Version and sort key of the highest that was not refused or deleted."""
    row = await connection.fetchrow(
        """
        SELECT version, sort_key
          FROM versions
         WHERE plugin = $1
           AND state NOT IN ('rejected', 'deleted')
         ORDER BY sort_key DESC
         LIMIT 1
        """,
        plugin,
    )
    return None if row is None else (row["version"], row["sort_key"])


async def add_version(
    connection: Connection,
    submission: Submission,
    *,
    signed: Signed | None = None,
    is_review_due: bool = False,
) -> Version:
    row = await connection.fetchrow(
        """
        INSERT INTO versions (plugin, version, precedence, sort_key, sha256, size_bytes, state,
                              publisher, manifest, key_id, envelope, is_review_due)
        VALUES ($1, $2, $3, $4, $5, $6, 'submitted', $7, $8, $9, $10, $11)
     RETURNING plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
               manifest, score, grade, verdict, audited_at, is_review_due,
               (SELECT jsonb_build_object('key_id', id, 'publisher', signing_keys.publisher,
                                          'state', signing_keys.state)
                  FROM signing_keys WHERE id = versions.key_id) AS signature
        """,
        submission.plugin,
        submission.version,
        submission.precedence,
        submission.sort_key,
        submission.sha256,
        submission.size_bytes,
        submission.publisher,
        submission.manifest,
        None if signed is None else signed.key.id,
        None if signed is None else signed.envelope,
        is_review_due,
    )
    assert row is not None
    return _version(row)


async def get_version(connection: Connection, plugin: str, version: str) -> Version:
    """Raises: VersionNotFound."""
    row = await connection.fetchrow(
        """
        SELECT plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
               manifest, score, grade, verdict, audited_at, is_review_due,
               (SELECT jsonb_build_object('key_id', id, 'publisher', signing_keys.publisher,
                                          'state', signing_keys.state)
                  FROM signing_keys WHERE id = versions.key_id) AS signature
          FROM versions
         WHERE plugin = $1
           AND version = $2
        """,
        plugin,
        version,
    )
    if row is None:
        raise VersionNotFound(plugin, version)
    return _version(row)


async def lock_version(connection: Connection, plugin: str, version: str) -> Version:
    """The version, kept from others' changes until the transaction ends, and so is its key.

    Raises: VersionNotFound.
    """
    row = await connection.fetchrow(
        """
        SELECT plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
               manifest, score, grade, verdict, audited_at, is_review_due,
               (SELECT jsonb_build_object('key_id', id, 'publisher', signing_keys.publisher,
                                          'state', signing_keys.state)
                  FROM signing_keys WHERE id = versions.key_id FOR SHARE) AS signature
          FROM versions
         WHERE plugin = $1
           AND version = $2
           FOR UPDATE OF versions
        """,
        plugin,
        version,
    )
    if row is None:
        raise VersionNotFound(plugin, version)
    return _version(row)


async def set_state(
    connection: Connection, plugin: str, version: str, state: State, reason: str
) -> Version:
    """A deleted version keeps its number and digest and loses the rest."""
    row = await connection.fetchrow(
        """
        UPDATE versions
           SET state = $3, reason = $4, changed_at = now(),
               manifest = CASE WHEN $3 = 'deleted' THEN NULL ELSE manifest END
         WHERE plugin = $1
           AND version = $2
     RETURNING plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
               manifest, score, grade, verdict, audited_at, is_review_due,
               (SELECT jsonb_build_object('key_id', id, 'publisher', signing_keys.publisher,
                                          'state', signing_keys.state)
                  FROM signing_keys WHERE id = versions.key_id) AS signature
        """,
        plugin,
        version,
        state.value,
        reason,
    )
    if row is None:
        raise VersionNotFound(plugin, version)
    return _version(row)


async def set_audit(
    connection: Connection,
    plugin: str,
    version: str,
    *,
    score: int,
    grade: str,
    verdict: str,
    audited_at: datetime,
) -> None:
    await connection.execute(
        """
        UPDATE versions
           SET score = $3, grade = $4, verdict = $5, audited_at = $6
         WHERE plugin = $1
           AND version = $2
        """,
        plugin,
        version,
        score,
        grade,
        verdict,
        audited_at,
    )


async def list_versions(
    connection: Connection, plugin: str, *, limit: int, before: str | None
) -> list[dict[str, Any]]:
    """Highest first; `before` is a sort key.

    Raises: PluginNotFound.
    """
    rows = await connection.fetch(
        """
        SELECT plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
               score, grade, verdict, sort_key,
               (SELECT jsonb_build_object('key_id', id, 'publisher', signing_keys.publisher,
                                          'state', signing_keys.state)
                  FROM signing_keys WHERE id = versions.key_id) AS signature
          FROM versions
         WHERE plugin = $1
           AND ($2::text IS NULL OR sort_key < $2)
         ORDER BY sort_key DESC
         LIMIT $3
        """,
        plugin,
        before,
        limit,
    )
    if not rows and await find_publisher(connection, plugin) is None:
        raise PluginNotFound(plugin)
    return [{**row, "signature": _signature(row["signature"])} for row in rows]


async def get_plugin(connection: Connection, plugin: str) -> dict[str, Any]:
    """Raises: PluginNotFound."""
    row = await connection.fetchrow(
        """
        SELECT plugin, publisher, created_at, latest.version AS latest, latest.state, latest.score,
               latest.grade, latest.published_at, latest.manifest ->> 'title' AS title,
               latest.manifest ->> 'summary' AS summary, latest.manifest ->> 'category' AS category,
               latest.manifest -> 'keywords' AS keywords
          FROM plugins
          LEFT JOIN LATERAL (
               SELECT version, state, score, grade, published_at, manifest
                 FROM versions
                WHERE versions.plugin = plugins.plugin
                  AND state <> 'deleted'
                ORDER BY state IN ('approved', 'deprecated') DESC, sort_key DESC
                LIMIT 1
               ) AS latest ON true
         WHERE plugin = $1
        """,
        plugin,
    )
    if row is None:
        raise PluginNotFound(plugin)
    return dict(row)


async def list_established_names(connection: Connection, publisher: str) -> list[str]:
    """Plugins of other publishers that somebody installed: what a look-alike would imitate."""
    rows = await connection.fetch(
        """
        SELECT plugin
          FROM installations
          JOIN plugins USING (plugin)
         WHERE publisher <> $1
        """,
        publisher,
    )
    return [row["plugin"] for row in rows]


async def list_of_package(connection: Connection, sha256: str) -> list[tuple[str, str]]:
    """Plugin and version of all that have this digest, in the order to lock them in."""
    rows = await connection.fetch(
        "SELECT plugin, version FROM versions WHERE sha256 = $1 ORDER BY plugin, version", sha256
    )
    return [(row["plugin"], row["version"]) for row in rows]


async def is_package_used(connection: Connection, sha256: str) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM versions WHERE sha256 = $1 AND state <> 'deleted')", sha256
        )
    )


def _version(row: asyncpg.Record) -> Version:
    signature = _signature(row["signature"])
    return Version(**{**row, "state": State(row["state"]), "signature": signature})


def _signature(found: dict[str, str] | None) -> Signature | None:
    if found is None:
        return None
    return Signature(found["key_id"], found["publisher"], KeyState(found["state"]))
