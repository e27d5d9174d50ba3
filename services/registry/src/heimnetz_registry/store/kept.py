"""What installations were before their version last changed."""

from heimnetz_common.database import Connection
from heimnetz_registry.model import Kept


async def keep_installation(connection: Connection, plugin: str) -> None:
    """What is installed now, in place of what was kept before."""
    await connection.execute(
        """
        INSERT INTO kept_installations (plugin, version, grants, configuration, installed_at,
                                        installed_by)
        SELECT plugin, version, grants, configuration, installed_at, installed_by
          FROM installations
         WHERE plugin = $1
            ON CONFLICT ON CONSTRAINT kept_installations_key DO UPDATE
           SET version = excluded.version, grants = excluded.grants,
               configuration = excluded.configuration, installed_at = excluded.installed_at,
               installed_by = excluded.installed_by, kept_at = now()
        """,
        plugin,
    )


async def keep_secrets(connection: Connection, plugin: str) -> None:
    """Those that are in use now, and no others."""
    await connection.execute(
        """
        WITH gone AS (
            DELETE FROM kept_secrets
             WHERE plugin = $1
               AND field NOT IN (SELECT field FROM sealed_secrets WHERE plugin = $1)
        )
        INSERT INTO kept_secrets (plugin, field, sealed)
        SELECT plugin, field, sealed
          FROM sealed_secrets
         WHERE plugin = $1
            ON CONFLICT ON CONSTRAINT kept_secrets_key DO UPDATE
           SET sealed = excluded.sealed
        """,
        plugin,
    )


async def find_kept(connection: Connection, plugin: str) -> Kept | None:
    row = await connection.fetchrow(
        """
        SELECT plugin, version, grants, configuration, installed_at, installed_by, kept_at
          FROM kept_installations
         WHERE plugin = $1
        """,
        plugin,
    )
    return None if row is None else Kept(**row)


async def list_kept_secrets(connection: Connection, plugin: str) -> dict[str, bytes]:
    """Sealed, by field."""
    rows = await connection.fetch(
        "SELECT field, sealed FROM kept_secrets WHERE plugin = $1", plugin
    )
    return {row["field"]: row["sealed"] for row in rows}
