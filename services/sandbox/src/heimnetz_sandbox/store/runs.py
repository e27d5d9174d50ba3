from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_common.outbox import Announcement
from heimnetz_sandbox.errors import RunNotFound
from heimnetz_sandbox.model import Evidence, Installation, Outcome, Request, Run, State

COLUMNS = """
    id, plugin, version, sha256, trigger, state, outcome, reason, queued_at, started_at,
    finished_at, duration_seconds, peak_memory_bytes, cpu_seconds, exit_code, traceparent,
    log_truncated, attempts, depth, retries_left, tries, retry_of
"""

_ADD = f"""
    INSERT INTO runs (id, plugin, version, sha256, trigger, requested_by, idempotency_key,
                      request_sha256, traceparent, input, state, lease_owner,
                      lease_expires_at, started_at, attempts, depth, retries_left, not_before)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
            CASE WHEN $11::text IS NULL THEN 'queued' ELSE 'running' END, $11,
            clock_timestamp() + $12::interval,
            CASE WHEN $11::text IS NULL THEN NULL ELSE clock_timestamp() END,
            CASE WHEN $11::text IS NULL THEN 0 ELSE 1 END, $13, $14,
            coalesce($15, clock_timestamp()))
        ON CONFLICT (plugin, requested_by, idempotency_key) DO NOTHING
 RETURNING {COLUMNS}
"""  # noqa: S608  columns of ours
_ADD_AND_TELL = f"""
    WITH added AS ({_ADD}),
         told AS (
         INSERT INTO outbox (event_id, event_type, document, trace_id)
         SELECT $16, $17, $18, $19
           FROM added)
    SELECT added.*, pg_notify('outbox_' || current_schema(), '')
      FROM added
"""  # noqa: S608  columns of ours


async def add(
    connection: Connection,
    run_id: str,
    request: Request,
    installation: Installation,
    *,
    request_sha256: str,
    traceparent: str,
    owner: str | None = None,
    lease: timedelta | None = None,
    told: Announcement | None = None,
) -> Run | None:
    """The new run, queued or already `owner`'s; None when its idempotency key was used before.

    One statement: with `told` the run is there and announced, or neither.
    """
    more = () if told is None else (told.event_id, told.event_type, told.document, told.trace_id)
    row = await connection.fetchrow(
        _ADD if told is None else _ADD_AND_TELL,
        run_id,
        request.plugin,
        installation.version,
        installation.sha256,
        str(request.trigger),
        request.requested_by,
        request.idempotency_key,
        request_sha256,
        traceparent,
        request.input,
        owner,
        lease,
        request.depth,
        request.retries,
        request.not_before,
        *more,
    )
    return None if row is None else to_run(row)


async def add_retry(connection: Connection, run: Run, new_id: str, delay: timedelta) -> None:
    """The same once more; before its input is let go of."""
    await connection.execute(
        """
        INSERT INTO runs (id, plugin, version, sha256, trigger, requested_by, request_sha256,
                          traceparent, input, depth, retries_left, tries, retry_of, not_before)
        SELECT $2, plugin, version, sha256, trigger, requested_by, request_sha256,
               traceparent, input, depth, retries_left - 1, tries + 1, id,
               clock_timestamp() + $3::interval
          FROM runs
         WHERE id = $1
        """,
        run.id,
        new_id,
        delay,
    )


async def has_unfinished(connection: Connection, plugin: str, trigger: str) -> bool:
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT
                         FROM runs
                        WHERE state <> 'finished'
                          AND plugin = $1
                          AND trigger = $2)
        """,
        plugin,
        trigger,
    )
    return found


async def add_files(
    connection: Connection, run_id: str, direction: str, files: Sequence[tuple[str, bytes]]
) -> None:
    await connection.executemany(
        "INSERT INTO run_files (run_id, direction, name, data) VALUES ($1, $2, $3, $4)",
        [(run_id, direction, name, data) for name, data in files],
    )


async def find_by_key(connection: Connection, request: Request) -> tuple[str, str] | None:
    """The run and the digest of the request that used the key first."""
    row = await connection.fetchrow(
        """
        SELECT id, request_sha256
          FROM runs
         WHERE plugin = $1
           AND requested_by = $2
           AND idempotency_key = $3
        """,
        request.plugin,
        request.requested_by,
        request.idempotency_key,
    )
    return None if row is None else (row["id"], row["request_sha256"])


async def get(connection: Connection, run_id: str) -> Run:
    """Raises: RunNotFound."""
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM runs WHERE id = $1", run_id)  # noqa: S608
    if row is None:
        raise RunNotFound(run_id)
    return to_run(row)


async def find_owned(connection: Connection, run_id: str, owner: str | None) -> Run | None:
    """The run, locked, where it is `owner`'s to end."""
    row = await connection.fetchrow(
        f"""
        SELECT {COLUMNS}
          FROM runs
         WHERE id = $1
           AND state <> 'finished'
           AND lease_owner IS NOT DISTINCT FROM $2
           FOR UPDATE
        """,  # noqa: S608  columns of ours
        run_id,
        owner,
    )
    return None if row is None else to_run(row)


async def get_result(connection: Connection, run_id: str) -> bytes | None:
    result = await connection.fetchval("SELECT result FROM runs WHERE id = $1", run_id)
    return None if result is None else bytes(result)


async def get_input(connection: Connection, run_id: str) -> bytes:
    return bytes(await connection.fetchval("SELECT input FROM runs WHERE id = $1", run_id))


async def list_runs(
    connection: Connection,
    *,
    plugin: str | None,
    outcome: str | None,
    before: str | None,
    limit: int,
) -> list[Run]:
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS}
          FROM runs
         WHERE ($1::text IS NULL OR plugin = $1)
           AND ($2::text IS NULL OR outcome = $2)
           AND ($3::text IS NULL OR id < $3)
         ORDER BY id DESC
         LIMIT $4
        """,  # noqa: S608  columns of ours
        plugin,
        outcome,
        before,
        limit,
    )
    return [to_run(row) for row in rows]


async def mark_started(
    connection: Connection, run_id: str, owner: str, told: Announcement
) -> datetime | None:
    """When it started, announced in the same statement; None where it is not `owner`'s."""
    started_at: datetime | None = await connection.fetchval(
        """
        WITH started AS (
             UPDATE runs
                SET started_at = clock_timestamp()
              WHERE id = $1
                AND state = 'running'
                AND lease_owner = $2
          RETURNING started_at),
             told AS (
             INSERT INTO outbox (event_id, event_type, document, trace_id)
             SELECT $3, $4, $5, $6
               FROM started)
        SELECT started_at, pg_notify('outbox_' || current_schema(), '')
          FROM started
        """,
        run_id,
        owner,
        told.event_id,
        told.event_type,
        told.document,
        told.trace_id,
    )
    return started_at


async def finish(
    connection: Connection,
    run_id: str,
    *,
    owner: str | None,
    outcome: Outcome,
    reason: str | None,
    evidence: Evidence,
) -> Run | None:
    """The finished run, or None where it is not `owner`'s (None: nobody's, still queued)."""
    row = await connection.fetchrow(
        f"""
        UPDATE runs
           SET state = 'finished',
               outcome = $3,
               reason = $4,
               result = $5,
               finished_at = clock_timestamp(),
               duration_seconds = extract(epoch FROM clock_timestamp() - started_at),
               peak_memory_bytes = $6,
               cpu_seconds = $7,
               exit_code = $8,
               log_truncated = $9,
               lease_owner = NULL,
               lease_expires_at = NULL,
               input = NULL
         WHERE id = $1
           AND state <> 'finished'
           AND lease_owner IS NOT DISTINCT FROM $2
     RETURNING {COLUMNS}
        """,  # noqa: S608  columns of ours
        run_id,
        owner,
        str(outcome),
        reason,
        None if evidence.result is None else evidence.result.encode(),
        evidence.peak_memory_bytes,
        evidence.cpu_seconds,
        evidence.exit_code,
        evidence.log_truncated,
    )
    return None if row is None else to_run(row)


async def finish_and_tell(
    connection: Connection, run: Run, owner: str, result: bytes | None, told: Announcement
) -> bool:
    """Whether the run was `owner`'s; it is written as it is given, with its announcement.

    One statement. Nothing is written where an installation is to be started by it.
    """
    row = await connection.fetchrow(
        """
        WITH ended AS (
             UPDATE runs
                SET state = 'finished',
                    outcome = $3,
                    result = $4,
                    finished_at = $5,
                    duration_seconds = $6,
                    peak_memory_bytes = $7,
                    cpu_seconds = $8,
                    exit_code = $9,
                    log_truncated = $10,
                    lease_owner = NULL,
                    lease_expires_at = NULL,
                    input = NULL
              WHERE id = $1
                AND state <> 'finished'
                AND lease_owner = $2
                AND NOT EXISTS (SELECT
                                  FROM installations
                                 WHERE is_installed
                                   AND triggers -> 'events' ? $12)
          RETURNING id),
             told AS (
             INSERT INTO outbox (event_id, event_type, document, trace_id)
             SELECT $11, $12, $13, $14
               FROM ended)
        SELECT pg_notify('outbox_' || current_schema(), '')
          FROM ended
        """,
        run.id,
        owner,
        str(run.outcome),
        result,
        run.finished_at,
        run.duration_seconds,
        run.peak_memory_bytes,
        run.cpu_seconds,
        run.exit_code,
        run.log_truncated,
        told.event_id,
        told.event_type,
        told.document,
        told.trace_id,
    )
    return row is not None


async def drop_inputs(connection: Connection, run_id: str) -> None:
    await connection.execute("DELETE FROM run_files WHERE run_id = $1 AND direction = 'in'", run_id)


async def stop(connection: Connection, run_id: str, outcome: Outcome) -> None:
    await connection.execute(
        "UPDATE runs SET stop_outcome = $2 WHERE id = $1 AND state = 'running'",
        run_id,
        str(outcome),
    )


async def list_unfinished(connection: Connection, plugin: str, version: str | None) -> list[Run]:
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS}
          FROM runs
         WHERE state <> 'finished'
           AND plugin = $1
           AND ($2::text IS NULL OR version = $2)
        """,  # noqa: S608  columns of ours
        plugin,
        version,
    )
    return [to_run(row) for row in rows]


async def count_queued(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM runs WHERE state = 'queued'"))


async def purge(connection: Connection, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM runs WHERE state = 'finished' AND finished_at < now() - $1::interval", age
    )
    await connection.execute("DELETE FROM cron_slots WHERE slot_at < now() - $1::interval", age)
    return int(status.split()[-1])


async def take_slot(
    connection: Connection, plugin: str, schedule: str, slot_at: datetime, run_id: str
) -> bool:
    """Whether the slot is ours; the unique key lets one sandbox have it, once."""
    taken: Any = await connection.fetchval(
        """
        INSERT INTO cron_slots (plugin, schedule, slot_at, run_id)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT ON CONSTRAINT cron_slots_once DO NOTHING
     RETURNING 1
        """,
        plugin,
        schedule,
        slot_at,
        run_id,
    )
    return taken is not None


def to_run(row: asyncpg.Record) -> Run:
    return Run(
        id=row["id"],
        plugin=row["plugin"],
        version=row["version"],
        sha256=row["sha256"],
        trigger=row["trigger"],
        state=State(row["state"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        reason=row["reason"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        duration_seconds=row["duration_seconds"],
        peak_memory_bytes=row["peak_memory_bytes"],
        cpu_seconds=row["cpu_seconds"],
        exit_code=row["exit_code"],
        traceparent=row["traceparent"],
        log_truncated=row["log_truncated"],
        attempts=row["attempts"],
        depth=row["depth"],
        retries_left=row["retries_left"],
        tries=row["tries"],
        retry_of=row["retry_of"],
    )
