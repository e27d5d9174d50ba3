"""Plugins that run long: what should run, what does, and what became of it before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from heimnetz_common.database import Connection
from heimnetz_sandbox.model import Outcome


@dataclass(frozen=True, slots=True)
class Life:
    """One start of a service. `up_since` is when it first answered."""

    plugin: str
    run_id: str
    version: str
    state: str
    outcome: Outcome | None
    reason: str | None
    is_current: bool
    queued_at: datetime
    started_at: datetime | None
    up_since: datetime | None
    finished_at: datetime | None


_IS_WANTED = """
    installations.is_installed
    AND program ->> 'kind' = 'service'
    AND NOT EXISTS (SELECT
                      FROM blocked_versions AS blocked
                     WHERE blocked.plugin = installations.plugin
                       AND blocked.version = installations.version
                       AND blocked.is_blocked)
"""


async def list_wanted(connection: Connection) -> list[str]:
    """Installed services that may run."""
    rows = await connection.fetch(
        f"SELECT plugin FROM installations WHERE {_IS_WANTED} ORDER BY plugin"  # noqa: S608
    )
    return [row["plugin"] for row in rows]


async def list_missing(connection: Connection) -> list[str]:
    """Of those, prepared and without a run of what is installed now."""
    rows = await connection.fetch(
        f"""
        SELECT plugin
          FROM installations
         WHERE {_IS_WANTED}
           AND prepared_sha256 = sha256
           AND configuration IS NOT NULL
           AND failure IS NULL
           AND NOT EXISTS (SELECT
                             FROM runs
                            WHERE runs.plugin = installations.plugin
                              AND runs.trigger = 'service'
                              AND runs.state <> 'finished'
                              AND runs.sha256 = installations.sha256
                              AND runs.queued_at >= greatest(installations.announced_at,
                                                             installations.recycled_at))
        """  # noqa: S608
    )
    return [row["plugin"] for row in rows]


async def list_lives(connection: Connection, plugins: Sequence[str], limit: int) -> list[Life]:
    """The last `limit` of each, newest first."""
    rows = await connection.fetch(
        """
        SELECT life.*
          FROM unnest($1::text[]) AS wanted (plugin)
          JOIN installations USING (plugin)
         CROSS JOIN LATERAL (
               SELECT plugin, id AS run_id, version, state, outcome, reason, queued_at, started_at,
                      up_since, finished_at,
                      sha256 = installations.sha256
                      AND queued_at >= installations.announced_at AS is_current
                 FROM runs
                WHERE runs.plugin = wanted.plugin
                  AND trigger = 'service'
                ORDER BY id DESC
                LIMIT $2) AS life
         ORDER BY life.plugin, life.run_id DESC
        """,
        list(plugins),
        limit,
    )
    return [Life(**{**row, "outcome": row["outcome"] and Outcome(row["outcome"])}) for row in rows]


async def list_up(connection: Connection) -> dict[str, str]:
    """The run that serves, by plugin: the newest that answers."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (plugin) plugin, id
          FROM runs
         WHERE trigger = 'service'
           AND state = 'running'
           AND up_since IS NOT NULL
           AND stop_outcome IS NULL
         ORDER BY plugin, id DESC
        """
    )
    return {row["plugin"]: row["id"] for row in rows}


async def list_outdated(
    connection: Connection, drain_seconds: float, most_seconds: float
) -> list[str]:
    """Runs that another one takes the place of, since so many seconds.

    Of what is not installed so any more also when the new one had its time to answer; one that is
    recycled goes on until the new one does.
    """
    rows = await connection.fetch(
        """
        SELECT old.id
          FROM runs AS old
          JOIN installations USING (plugin)
         CROSS JOIN LATERAL (
               SELECT old.sha256 <> installations.sha256
                      OR old.queued_at < installations.announced_at AS is_other) AS what
         WHERE old.trigger = 'service'
           AND old.state = 'running'
           AND old.stop_outcome IS NULL
           AND (is_other OR old.queued_at < installations.recycled_at)
           AND ((is_other
                 AND installations.announced_at < clock_timestamp() - $2 * interval '1 second')
                OR EXISTS (SELECT
                             FROM runs AS new
                            WHERE new.plugin = old.plugin
                              AND new.trigger = 'service'
                              AND new.state = 'running'
                              AND new.id > old.id
                              AND new.up_since
                                  < clock_timestamp() - $1 * interval '1 second'))
        """,
        drain_seconds,
        most_seconds,
    )
    return [row["id"] for row in rows]


async def recycle(connection: Connection, plugin: str) -> bool:
    """Whether there is a run that serves, which another one is to take the place of."""
    status = await connection.execute(
        """
        UPDATE installations
           SET recycled_at = clock_timestamp()
         WHERE plugin = $1
           AND is_installed
           AND EXISTS (SELECT
                         FROM runs
                        WHERE runs.plugin = $1
                          AND trigger = 'service'
                          AND state = 'running'
                          AND up_since IS NOT NULL
                          AND stop_outcome IS NULL)
        """,
        plugin,
    )
    return status == "UPDATE 1"


async def list_own(connection: Connection, owner: str) -> dict[str, str]:
    """Services that run here and are not to be stopped: the plugin by run."""
    rows = await connection.fetch(
        """
        SELECT id, plugin
          FROM runs
         WHERE trigger = 'service'
           AND state = 'running'
           AND started_at IS NOT NULL
           AND stop_outcome IS NULL
           AND lease_owner = $1
        """,
        owner,
    )
    return {row["id"]: row["plugin"] for row in rows}


async def mark_up(connection: Connection, run_id: str) -> None:
    await connection.execute(
        "UPDATE runs SET up_since = coalesce(up_since, clock_timestamp()) WHERE id = $1", run_id
    )


async def trim_logs(connection: Connection, kept: int) -> None:
    """Of what still runs, the last lines."""
    await connection.execute(
        """
        DELETE FROM log_lines
         USING (SELECT id, max(number) AS last
                  FROM runs
                  JOIN log_lines ON run_id = id
                 WHERE trigger = 'service'
                   AND state = 'running'
                 GROUP BY id) AS service
         WHERE run_id = service.id
           AND number <= service.last - $1
        """,
        kept,
    )
