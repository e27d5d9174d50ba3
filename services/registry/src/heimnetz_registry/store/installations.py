"""Installations and their sealed secrets."""

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_registry.errors import InstallationNotFound
from heimnetz_registry.model import Installation, State, UpdatePolicy


async def next_revision(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT nextval('installation_revision')"))


async def put_installation(
    connection: Connection,
    *,
    plugin: str,
    version: str,
    sha256: str,
    grants: list[str],
    configuration: dict[str, Any],
    triggers: dict[str, Any],
    limits: dict[str, Any],
    installed_by: str,
    revision: int,
) -> Installation:
    row = await connection.fetchrow(
        """
        INSERT INTO installations (plugin, version, sha256, grants, configuration, triggers, limits,
                                   installed_by, revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT ON CONSTRAINT installations_key DO UPDATE
           SET version = excluded.version, sha256 = excluded.sha256, grants = excluded.grants,
               configuration = excluded.configuration, triggers = excluded.triggers,
               limits = excluded.limits, installed_by = excluded.installed_by,
               installed_at = now(), revision = excluded.revision,
               canary_until = NULL, canary_failures = 0
     RETURNING plugin, version, sha256, grants, configuration, triggers, limits, installed_at,
               installed_by, revision, update_policy, canary_failures, went_back_from,
               CASE WHEN canary_until > now() THEN canary_until END AS canary_until
        """,
        plugin,
        version,
        sha256,
        grants,
        configuration,
        triggers,
        limits,
        installed_by,
        revision,
    )
    assert row is not None
    return _installation(row)


async def list_grants(connection: Connection) -> list[tuple[str, str, str]]:
    """Plugin, version and grant, in order."""
    rows = await connection.fetch(
        """
        SELECT plugin, version, granted
          FROM installations,
               unnest(grants) AS granted
         ORDER BY plugin, granted
        """
    )
    return [(row["plugin"], row["version"], row["granted"]) for row in rows]


async def list_in_state(connection: Connection, states: Iterable[State]) -> list[tuple[str, str]]:
    """Plugin and state of each installation whose version is in one of them."""
    rows = await connection.fetch(
        """
        SELECT plugin, versions.state
          FROM installations
          JOIN versions USING (plugin, version)
         WHERE versions.state = ANY($1::text[])
        """,
        list(states),
    )
    return [(row["plugin"], row["state"]) for row in rows]


async def find_installation(connection: Connection, plugin: str) -> Installation | None:
    row = await connection.fetchrow(
        """
        SELECT plugin, version, sha256, grants, configuration, triggers, limits, installed_at,
               installed_by, revision, update_policy, canary_failures, went_back_from,
               CASE WHEN canary_until > now() THEN canary_until END AS canary_until
          FROM installations
         WHERE plugin = $1
        """,
        plugin,
    )
    return None if row is None else _installation(row)


async def get_installation(connection: Connection, plugin: str) -> Installation:
    """Raises: InstallationNotFound."""
    installation = await find_installation(connection, plugin)
    if installation is None:
        raise InstallationNotFound(plugin)
    return installation


async def list_installations(
    connection: Connection, *, limit: int, after: str | None
) -> list[Installation]:
    """By name."""
    rows = await connection.fetch(
        """
        SELECT plugin, version, sha256, grants, configuration, triggers, limits, installed_at,
               installed_by, revision, update_policy, canary_failures, went_back_from,
               CASE WHEN canary_until > now() THEN canary_until END AS canary_until
          FROM installations
         WHERE ($1::text IS NULL OR plugin > $1)
         ORDER BY plugin
         LIMIT $2
        """,
        after,
        limit,
    )
    return [_installation(row) for row in rows]


async def remove_installation(connection: Connection, plugin: str) -> str:
    """The version that was installed; its secrets go too.

    Raises: InstallationNotFound.
    """
    version = await connection.fetchval(
        "DELETE FROM installations WHERE plugin = $1 RETURNING version", plugin
    )
    if version is None:
        raise InstallationNotFound(plugin)
    return str(version)


async def set_update_policy(
    connection: Connection, plugin: str, policy: UpdatePolicy
) -> Installation:
    """Raises: InstallationNotFound."""
    row = await connection.fetchrow(
        """
        UPDATE installations
           SET update_policy = $2, update_policy_at = now()
         WHERE plugin = $1
     RETURNING plugin, version, sha256, grants, configuration, triggers, limits, installed_at,
               installed_by, revision, update_policy, canary_failures, went_back_from,
               CASE WHEN canary_until > now() THEN canary_until END AS canary_until
        """,
        plugin,
        policy.value,
    )
    if row is None:
        raise InstallationNotFound(plugin)
    return _installation(row)


async def begin_canary(connection: Connection, plugin: str, hours: int) -> None:
    await connection.execute(
        """
        UPDATE installations
           SET canary_until = now() + make_interval(hours => $2)
         WHERE plugin = $1
        """,
        plugin,
        hours,
    )


async def end_canary(connection: Connection, plugin: str) -> None:
    await connection.execute(
        "UPDATE installations SET canary_until = NULL WHERE plugin = $1", plugin
    )


async def is_on_trial(connection: Connection, plugin: str, version: str) -> bool:
    return bool(
        await connection.fetchval(
            """
            SELECT EXISTS (SELECT
                             FROM installations
                            WHERE plugin = $1
                              AND version = $2
                              AND canary_until > now())
            """,
            plugin,
            version,
        )
    )


async def count_failure(connection: Connection, plugin: str) -> int:
    """How many are in a row now."""
    return int(
        await connection.fetchval(
            """
            UPDATE installations
               SET canary_failures = canary_failures + 1
             WHERE plugin = $1
         RETURNING canary_failures
            """,
            plugin,
        )
    )


async def forget_failures(connection: Connection, plugin: str) -> None:
    await connection.execute(
        "UPDATE installations SET canary_failures = 0 WHERE plugin = $1 AND canary_failures > 0",
        plugin,
    )


async def set_went_back_from(connection: Connection, plugin: str, version: str | None) -> None:
    """Neither this version nor an older one is taken again by itself."""
    await connection.execute(
        "UPDATE installations SET went_back_from = $2 WHERE plugin = $1", plugin, version
    )


async def is_policy_older(connection: Connection, plugin: str, version: str) -> bool:
    """Whether the update policy had been chosen when the version took its state."""
    return bool(
        await connection.fetchval(
            """
            SELECT update_policy_at <= changed_at
              FROM installations
              JOIN versions USING (plugin)
             WHERE plugin = $1
               AND versions.version = $2
            """,
            plugin,
            version,
        )
    )


async def replace_secrets(connection: Connection, plugin: str, sealed: Mapping[str, bytes]) -> None:
    """These fields and no others."""
    await connection.execute(
        """
        WITH gone AS (
            DELETE FROM sealed_secrets
             WHERE plugin = $1
               AND field <> ALL ($2::text[])
        )
        INSERT INTO sealed_secrets (plugin, field, sealed)
        SELECT $1, new.field, new.sealed
          FROM unnest($2::text[], $3::bytea[]) AS new (field, sealed)
            ON CONFLICT ON CONSTRAINT sealed_secrets_key DO UPDATE
           SET sealed = excluded.sealed
        """,
        plugin,
        list(sealed),
        list(sealed.values()),
    )


async def list_secrets(connection: Connection, plugin: str) -> dict[str, bytes]:
    """Sealed, by field."""
    rows = await connection.fetch(
        "SELECT field, sealed FROM sealed_secrets WHERE plugin = $1", plugin
    )
    return {row["field"]: row["sealed"] for row in rows}


async def list_signed(connection: Connection, key_id: str) -> list[tuple[str, str]]:
    """Plugin and version of what is installed and was signed with this key, by name."""
    rows = await connection.fetch(
        """
        SELECT plugin, version
          FROM installations
          JOIN versions USING (plugin, version)
         WHERE key_id = $1
         ORDER BY plugin
        """,
        key_id,
    )
    return [(row["plugin"], row["version"]) for row in rows]


async def find_any_secret(connection: Connection) -> tuple[str, str, bytes] | None:
    """Plugin, field and sealed value of some secret, to try the key on."""
    row = await connection.fetchrow("SELECT plugin, field, sealed FROM sealed_secrets LIMIT 1")
    return None if row is None else (row["plugin"], row["field"], row["sealed"])


def _installation(row: asyncpg.Record) -> Installation:
    return Installation(**{**row, "update_policy": UpdatePolicy(row["update_policy"])})
