"""Whose a run is, and until when: taken by one sandbox, renewed, let go of, and expired."""

from collections.abc import Sequence
from datetime import timedelta

from heimnetz_common.database import Connection
from heimnetz_sandbox.model import Outcome, Run
from heimnetz_sandbox.store.runs import COLUMNS, to_run


async def claim(
    connection: Connection, *, owner: str, lease: timedelta, plugin_concurrency: int
) -> Run | None:
    """The next that may begin; None where there is none.

    One that another run waits for is not held up by its plugin's cap: it may have to end first.
    """
    row = await connection.fetchrow(
        f"""
        UPDATE runs
           SET state = 'running',
               lease_owner = $1,
               lease_expires_at = clock_timestamp() + $2::interval,
               attempts = attempts + 1
         WHERE id = (
               SELECT id
                 FROM runs AS waiting
                WHERE state = 'queued'
                  AND not_before <= clock_timestamp()
                  AND (trigger = 'plugin'
                       OR (SELECT count(*)
                             FROM runs AS busy
                            WHERE busy.state = 'running'
                              AND busy.plugin = waiting.plugin) < $3)
                ORDER BY queued_at
                  FOR UPDATE SKIP LOCKED
                LIMIT 1)
     RETURNING {COLUMNS}
        """,  # noqa: S608  columns of ours
        owner,
        lease,
        plugin_concurrency,
    )
    return None if row is None else to_run(row)


async def release(connection: Connection, run_id: str, owner: str, delay: timedelta) -> None:
    """Back into the queue, for what cannot be done now but may be later."""
    await connection.execute(
        """
        UPDATE runs
           SET state = 'queued',
               lease_owner = NULL,
               lease_expires_at = NULL,
               not_before = clock_timestamp() + $3::interval
         WHERE id = $1
           AND state = 'running'
           AND lease_owner = $2
        """,
        run_id,
        owner,
        delay,
    )


async def renew(
    connection: Connection, owner: str, run_ids: Sequence[str], lease: timedelta
) -> dict[str, Outcome | None]:
    """Which of these are ours, and with what outcome somebody wants them stopped.

    A run that is ours by the database alone, since a commit's answer was lost, is let expire.
    """
    rows = await connection.fetch(
        """
        UPDATE runs
           SET lease_expires_at = clock_timestamp() + $2::interval
         WHERE state = 'running'
           AND lease_owner = $1
           AND id = ANY($3::text[])
     RETURNING id, stop_outcome
        """,
        owner,
        lease,
        list(run_ids),
    )
    return {
        row["id"]: Outcome(row["stop_outcome"]) if row["stop_outcome"] else None for row in rows
    }


async def list_expired(connection: Connection) -> list[tuple[Run, str]]:
    """Runs whose sandbox fell silent, with that sandbox."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS}, lease_owner
          FROM runs
         WHERE state = 'running'
           AND lease_expires_at < clock_timestamp()
        """  # noqa: S608  columns of ours
    )
    return [(to_run(row), row["lease_owner"]) for row in rows]


async def list_live(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """Which of these are running under a lease that holds."""
    rows = await connection.fetch(
        """
        SELECT id
          FROM runs
         WHERE id = ANY($1::text[])
           AND state = 'running'
           AND lease_expires_at >= clock_timestamp()
        """,
        list(run_ids),
    )
    return {row["id"] for row in rows}
