from typing import Any

from heimnetz_common.database import Connection


async def put(
    connection: Connection, *, plugin: str, version: str, sha256: str, report: dict[str, Any]
) -> None:
    await connection.execute(
        """
        INSERT INTO trials (plugin, version, sha256, report)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT ON CONSTRAINT trials_key DO UPDATE
           SET sha256 = excluded.sha256, report = excluded.report, held_at = clock_timestamp()
        """,
        plugin,
        version,
        sha256,
        report,
    )


async def find(connection: Connection, plugin: str, version: str) -> dict[str, Any] | None:
    """The report of the last one."""
    report: dict[str, Any] | None = await connection.fetchval(
        "SELECT report FROM trials WHERE plugin = $1 AND version = $2", plugin, version
    )
    return report
