"""Catalogues, what they have and what they warn of."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_registry.catalogue_errors import CatalogueExists, CatalogueNotFound, ReleaseNotFound
from heimnetz_registry.model import (
    Catalogue,
    NewCatalogue,
    Offered,
    PackageWarning,
    Reading,
    Release,
)


async def lock_catalogues(connection: Connection) -> None:
    """One who adds until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('catalogues', 0))")


async def count_catalogues(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM catalogues"))


async def add_catalogue(connection: Connection, new: NewCatalogue, reading: Reading) -> None:
    """Raises: CatalogueExists."""
    done = await connection.fetchval(
        """
        INSERT INTO catalogues (name, url, address, ca, token, key_id, counter, index_sha256, etag,
                                expires_at, added_by, next_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12)
            ON CONFLICT ON CONSTRAINT catalogues_key DO NOTHING
     RETURNING name
        """,
        new.name,
        new.url,
        new.address,
        new.ca,
        new.token,
        new.key_id,
        reading.counter,
        reading.index_sha256,
        reading.etag,
        reading.expires_at,
        new.added_by,
        reading.pause,
    )
    if done is None:
        raise CatalogueExists(new.name)


async def list_catalogues(connection: Connection) -> list[Catalogue]:
    """By name."""
    rows = await connection.fetch(
        """
        SELECT name, url, address, ca, token, key_id, counter, index_sha256, etag, expires_at,
               added_at, added_by, read_at, next_at, failures, problem, detail
          FROM catalogues
         ORDER BY name
        """
    )
    return [Catalogue(**row) for row in rows]


async def get_catalogue(connection: Connection, name: str) -> Catalogue:
    """Raises: CatalogueNotFound."""
    row = await connection.fetchrow(
        """
        SELECT name, url, address, ca, token, key_id, counter, index_sha256, etag, expires_at,
               added_at, added_by, read_at, next_at, failures, problem, detail
          FROM catalogues
         WHERE name = $1
        """,
        name,
    )
    return _catalogue(row, name)


async def lock_catalogue(connection: Connection, name: str) -> Catalogue:
    """Kept from others' changes until the transaction ends. Raises: CatalogueNotFound."""
    row = await connection.fetchrow(
        """
        SELECT name, url, address, ca, token, key_id, counter, index_sha256, etag, expires_at,
               added_at, added_by, read_at, next_at, failures, problem, detail
          FROM catalogues
         WHERE name = $1
           FOR UPDATE
        """,
        name,
    )
    return _catalogue(row, name)


async def claim_due(connection: Connection, lease: timedelta) -> Catalogue | None:
    """One that is to be read, which nobody else reads until the lease has ended."""
    # SKIP LOCKED lets a second registry take another one instead of waiting for ours.
    row = await connection.fetchrow(
        """
        UPDATE catalogues
           SET next_at = now() + $1
         WHERE name = (SELECT name
                         FROM catalogues
                        WHERE next_at <= now()
                        ORDER BY next_at
                        LIMIT 1
                          FOR UPDATE SKIP LOCKED)
     RETURNING name, url, address, ca, token, key_id, counter, index_sha256, etag, expires_at,
               added_at, added_by, read_at, next_at, failures, problem, detail
        """,
        lease,
    )
    return None if row is None else Catalogue(**row)


async def set_reading(connection: Connection, name: str, reading: Reading) -> None:
    await connection.execute(
        """
        UPDATE catalogues
           SET counter = $2, index_sha256 = $3, etag = $4, expires_at = $5, next_at = now() + $6,
               read_at = now(), failures = 0, problem = '', detail = ''
         WHERE name = $1
        """,
        name,
        reading.counter,
        reading.index_sha256,
        reading.etag,
        reading.expires_at,
        reading.pause,
    )


async def set_failure(
    connection: Connection, name: str, *, problem: str, detail: str, pause: timedelta
) -> None:
    await connection.execute(
        """
        UPDATE catalogues
           SET failures = failures + 1, problem = $2, detail = $3, next_at = now() + $4
         WHERE name = $1
        """,
        name,
        problem,
        detail,
        pause,
    )


async def remove_catalogue(connection: Connection, name: str) -> None:
    """Raises: CatalogueNotFound."""
    done = await connection.fetchval("DELETE FROM catalogues WHERE name = $1 RETURNING name", name)
    if done is None:
        raise CatalogueNotFound(name)


async def clear_releases(connection: Connection, name: str) -> None:
    await connection.execute("DELETE FROM catalogue_releases WHERE catalogue = $1", name)


async def add_releases(connection: Connection, name: str, releases: Iterable[Release]) -> None:
    await connection.executemany(
        """
        INSERT INTO catalogue_releases (catalogue, plugin, version, sha256, size_bytes, publisher,
                                        title, signature, public_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [
            (
                name,
                *(one.plugin, one.version, one.sha256, one.size_bytes, one.publisher),
                *(one.title, one.signature, one.public_key),
            )
            for one in releases
        ],
    )


async def list_releases(
    connection: Connection, name: str, *, limit: int, after: tuple[str, str] | None
) -> list[Release]:
    """By plugin and text of the version; of all catalogues there is one page each."""
    plugin, version = after or ("", "")
    rows = await connection.fetch(
        """
        SELECT plugin, version, sha256, size_bytes, publisher, title, signature, public_key
          FROM catalogue_releases
         WHERE catalogue = $1
           AND (plugin, version) > ($2, $3)
         ORDER BY plugin, version
         LIMIT $4
        """,
        name,
        plugin,
        version,
        limit,
    )
    return [Release(**row) for row in rows]


async def get_release(connection: Connection, name: str, plugin: str, version: str) -> Release:
    """Raises: ReleaseNotFound."""
    row = await connection.fetchrow(
        """
        SELECT plugin, version, sha256, size_bytes, publisher, title, signature, public_key
          FROM catalogue_releases
         WHERE catalogue = $1
           AND plugin = $2
           AND version = $3
        """,
        name,
        plugin,
        version,
    )
    if row is None:
        raise ReleaseNotFound(name, plugin, version)
    return Release(**row)


async def drop_warnings(connection: Connection, name: str, kept: Sequence[str]) -> None:
    """Those of digests that the catalogue does not warn of any more."""
    await connection.execute(
        "DELETE FROM catalogue_revocations WHERE catalogue = $1 AND sha256 <> ALL ($2::text[])",
        name,
        list(kept),
    )


async def add_warning(connection: Connection, name: str, sha256: str, reason: str) -> bool:
    """Whether it is new."""
    done = await connection.fetchval(
        """
        INSERT INTO catalogue_revocations (catalogue, sha256, reason)
        VALUES ($1, $2, $3)
            ON CONFLICT ON CONSTRAINT catalogue_revocations_key DO NOTHING
     RETURNING sha256
        """,
        name,
        sha256,
        reason,
    )
    return done is not None


async def find_warning(connection: Connection, sha256: str) -> PackageWarning | None:
    row = await connection.fetchrow(
        """
        SELECT catalogue, sha256, reason
          FROM catalogue_revocations
         WHERE sha256 = $1
         ORDER BY catalogue
         LIMIT 1
        """,
        sha256,
    )
    return None if row is None else PackageWarning(**row)


async def list_offered_releases(connection: Connection, limit: int) -> list[Release]:
    """What our own index has, by plugin and version."""
    rows = await connection.fetch(
        """
        SELECT plugin, version, sha256, size_bytes, versions.publisher,
               coalesce(manifest ->> 'title', '') AS title,
               CASE WHEN signing_keys.state <> 'revoked' THEN envelope END AS signature,
               CASE WHEN signing_keys.state <> 'revoked' THEN public_key END AS public_key
          FROM versions
          LEFT JOIN signing_keys ON signing_keys.id = versions.key_id
         WHERE versions.state IN ('approved', 'deprecated')
         ORDER BY plugin, sort_key DESC
         LIMIT $1
        """,
        limit,
    )
    return [Release(**row) for row in rows]


async def list_offered_warnings(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """What our own index warns of: what is quarantined here, by plugin and version."""
    rows = await connection.fetch(
        """
        SELECT plugin, version, sha256, reason
          FROM versions
         WHERE state = 'quarantined'
         ORDER BY plugin, sort_key DESC
         LIMIT $1
        """,
        limit,
    )
    return [dict(row) for row in rows]


async def is_offered(connection: Connection, sha256: str) -> bool:
    return bool(
        await connection.fetchval(
            """
            SELECT EXISTS (SELECT
                             FROM versions
                            WHERE sha256 = $1
                              AND state IN ('approved', 'deprecated'))
            """,
            sha256,
        )
    )


async def lock_offered(connection: Connection) -> Offered | None:
    """The index that was given out last; one maker until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('offered_index', 0))")
    row = await connection.fetchrow(
        "SELECT counter, content_sha256, key_id, envelope, renew_at FROM offered_index"
    )
    return None if row is None else Offered(**row)


async def set_offered(connection: Connection, offered: Offered) -> None:
    await connection.execute(
        """
        INSERT INTO offered_index (counter, content_sha256, key_id, envelope, renew_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT offered_index_key DO UPDATE
           SET counter = $1, content_sha256 = $2, key_id = $3, envelope = $4, renew_at = $5
        """,
        offered.counter,
        offered.content_sha256,
        offered.key_id,
        offered.envelope,
        offered.renew_at,
    )


def _catalogue(row: asyncpg.Record | None, name: str) -> Catalogue:
    """Raises: CatalogueNotFound."""
    if row is None:
        raise CatalogueNotFound(name)
    return Catalogue(**row)
