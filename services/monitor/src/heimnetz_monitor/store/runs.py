"""Installations, runs, their totals, and samples of memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from heimnetz_common.database import Connection
from heimnetz_monitor.model import (
    FinishedRun,
    Outcome,
    PluginState,
    RunTotal,
    Sample,
    SampleKind,
    StartedRun,
)
from heimnetz_monitor.store.status import affected


async def put_plugin(
    connection: Connection,
    plugin: str,
    version: str,
    memory_limit_bytes: int | None,
    revision: int,
) -> bool:
    """Remember an installation, unless a later revision is known; whether it was remembered."""
    return bool(
        await connection.fetchval(
            """
            INSERT INTO plugins (plugin, version, memory_limit_bytes, revision)
            VALUES ($1, $2, $3, $4)
                ON CONFLICT ON CONSTRAINT plugins_key DO UPDATE
               SET version = excluded.version, memory_limit_bytes = excluded.memory_limit_bytes,
                   revision = excluded.revision, removed_at = NULL
             WHERE plugins.revision < excluded.revision
         RETURNING true
            """,
            plugin,
            version,
            memory_limit_bytes,
            revision,
        )
    )


async def meet_plugin(connection: Connection, plugin: str, version: str) -> None:
    """Remember a plugin of which a run was seen before its installation."""
    await connection.execute(
        """
        INSERT INTO plugins (plugin, version, revision)
        VALUES ($1, $2, 0)
            ON CONFLICT DO NOTHING
        """,
        plugin,
        version,
    )


async def remove_plugin(connection: Connection, plugin: str, revision: int, at: datetime) -> None:
    await connection.execute(
        """
        INSERT INTO plugins (plugin, revision, removed_at)
        VALUES ($1, $2, $3)
            ON CONFLICT ON CONSTRAINT plugins_key DO UPDATE
           SET revision = excluded.revision, removed_at = excluded.removed_at
         WHERE plugins.revision < excluded.revision
        """,
        plugin,
        revision,
        at,
    )


async def list_plugins(connection: Connection) -> list[PluginState]:
    """The installed plugins with their last finished run, in the order of their names."""
    rows = await connection.fetch(
        """
        SELECT plugins.plugin, plugins.version, plugins.memory_limit_bytes,
               last.run_id, last.outcome, last.finished_at, last.duration_seconds,
               last.peak_memory_bytes,
               coalesce((SELECT jsonb_object_agg(trigger, failures)
                           FROM run_failures
                          WHERE run_failures.plugin = plugins.plugin), '{}') AS failures
          FROM plugins
          LEFT JOIN LATERAL (SELECT run_id, outcome, finished_at, duration_seconds,
                                    peak_memory_bytes
                               FROM runs
                              WHERE runs.plugin = plugins.plugin
                                AND finished_at IS NOT NULL
                              ORDER BY finished_at DESC
                              LIMIT 1) AS last ON true
         WHERE plugins.removed_at IS NULL
         ORDER BY plugins.plugin
        """
    )
    return [
        PluginState(
            plugin=row["plugin"],
            version=row["version"],
            memory_limit_bytes=row["memory_limit_bytes"],
            last_run_id=row["run_id"],
            last_outcome=Outcome(row["outcome"]) if row["outcome"] else None,
            last_finished_at=row["finished_at"],
            last_duration_seconds=row["duration_seconds"],
            last_peak_memory_bytes=row["peak_memory_bytes"],
            failures=row["failures"],
        )
        for row in rows
    ]


async def start_run(connection: Connection, run: StartedRun) -> None:
    await connection.execute(
        """
        INSERT INTO runs (run_id, plugin, version, trigger, started_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT runs_key DO UPDATE
           SET started_at = excluded.started_at
        """,
        run.run_id,
        run.plugin,
        run.version,
        run.trigger,
        run.started_at,
    )


async def finish_run(connection: Connection, run: FinishedRun) -> bool:
    """Whether this is the first that is heard of the run's end."""
    return bool(
        await connection.fetchval(
            """
            INSERT INTO runs (run_id, plugin, version, trigger, finished_at, outcome,
                              duration_seconds, peak_memory_bytes)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT ON CONSTRAINT runs_key DO UPDATE
               SET finished_at = excluded.finished_at, outcome = excluded.outcome,
                   duration_seconds = excluded.duration_seconds,
                   peak_memory_bytes = excluded.peak_memory_bytes
             WHERE runs.finished_at IS NULL
         RETURNING true
            """,
            run.run_id,
            run.plugin,
            run.version,
            run.trigger,
            run.finished_at,
            run.outcome,
            run.duration_seconds,
            run.peak_memory_bytes,
        )
    )


async def count_run(connection: Connection, run: FinishedRun) -> None:
    await connection.execute(
        """
        INSERT INTO run_totals (plugin, trigger, outcome, runs, duration_seconds, last_finished_at)
        VALUES ($1, $2, $3, 1, $4, $5)
            ON CONFLICT ON CONSTRAINT run_totals_key DO UPDATE
           SET runs = run_totals.runs + 1,
               duration_seconds = run_totals.duration_seconds + excluded.duration_seconds,
               last_finished_at = greatest(run_totals.last_finished_at, excluded.last_finished_at)
        """,
        run.plugin,
        run.trigger,
        run.outcome,
        run.duration_seconds,
        run.finished_at,
    )


async def count_duration(connection: Connection, plugin: str, bound_seconds: float) -> None:
    await connection.execute(
        """
        INSERT INTO run_durations (plugin, bound_seconds, runs)
        VALUES ($1, $2, 1)
            ON CONFLICT ON CONSTRAINT run_durations_key DO UPDATE
           SET runs = run_durations.runs + 1
        """,
        plugin,
        bound_seconds,
    )


async def count_failure(connection: Connection, plugin: str, trigger: str) -> None:
    await connection.execute(
        """
        INSERT INTO run_failures (plugin, trigger, failures)
        VALUES ($1, $2, 1)
            ON CONFLICT ON CONSTRAINT run_failures_key DO UPDATE
           SET failures = run_failures.failures + 1
        """,
        plugin,
        trigger,
    )


async def clear_failures(connection: Connection, plugin: str, trigger: str | None = None) -> None:
    """Begin to count anew, for one trigger or for all."""
    await connection.execute(
        """
        UPDATE run_failures
           SET failures = 0
         WHERE plugin = $1
           AND ($2::text IS NULL OR trigger = $2)
           AND failures > 0
        """,
        plugin,
        trigger,
    )


async def list_run_totals(connection: Connection) -> list[RunTotal]:
    rows = await connection.fetch(
        """
        SELECT plugin, trigger, outcome, runs, duration_seconds, last_finished_at
          FROM run_totals
          JOIN plugins USING (plugin)
         WHERE plugins.removed_at IS NULL
        """
    )
    return [
        RunTotal(
            plugin=row["plugin"],
            trigger=row["trigger"],
            outcome=Outcome(row["outcome"]),
            runs=row["runs"],
            duration_seconds=row["duration_seconds"],
            last_finished_at=row["last_finished_at"],
        )
        for row in rows
    ]


async def list_durations(connection: Connection) -> dict[str, dict[float, int]]:
    """Runs by plugin and the upper bound of their bucket; not cumulative."""
    rows = await connection.fetch(
        """
        SELECT plugin, bound_seconds, runs
          FROM run_durations
          JOIN plugins USING (plugin)
         WHERE plugins.removed_at IS NULL
        """
    )
    durations: dict[str, dict[float, int]] = {}
    for row in rows:
        durations.setdefault(row["plugin"], {})[row["bound_seconds"]] = row["runs"]
    return durations


async def count_last_failures(
    connection: Connection, outcomes: Sequence[Outcome], since: datetime
) -> int:
    """How many of the latest runs ended with one of these outcomes, without another between."""
    return int(
        await connection.fetchval(
            """
            SELECT count(*)
              FROM runs
             WHERE finished_at >= $2
               AND outcome = ANY($1::text[])
               AND finished_at > coalesce((SELECT max(finished_at)
                                             FROM runs
                                            WHERE finished_at >= $2
                                              AND outcome <> ALL($1::text[])), '-infinity')
            """,
            list(outcomes),
            since,
        )
    )


async def purge_runs(connection: Connection, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM runs WHERE coalesce(finished_at, started_at) < now() - $1::interval", age
    )
    return affected(status)


async def list_samples(connection: Connection, kind: SampleKind, age: timedelta) -> list[Sample]:
    """Samples of one kind that are not older, oldest first."""
    rows = await connection.fetch(
        """
        SELECT subject, taken_at, memory_bytes
          FROM samples
         WHERE kind = $1
           AND taken_at > now() - $2::interval
         ORDER BY taken_at
        """,
        kind,
        age,
    )
    return [Sample(kind=kind, **dict(row)) for row in rows]


async def list_run_peaks(connection: Connection, since: datetime, until: datetime) -> list[Sample]:
    """The highest peak of each plugin's runs by the minute, oldest first.

    Of runs of the installed version that ended after `since` and not after `until`. A service is
    one run without an end, and is told of by samples of what it holds.
    """
    rows = await connection.fetch(
        """
        SELECT plugin AS subject, max(finished_at) AS taken_at,
               max(peak_memory_bytes) AS memory_bytes
          FROM runs
          JOIN plugins USING (plugin, version)
         WHERE plugins.removed_at IS NULL
           AND trigger <> 'service'
           AND peak_memory_bytes IS NOT NULL
           AND finished_at > $1
           AND finished_at <= $2
         GROUP BY plugin, date_bin('1 minute', finished_at, 'epoch')
         ORDER BY 2
        """,
        since,
        until,
    )
    return [Sample(kind=SampleKind.RUN, **dict(row)) for row in rows]


async def list_serving(connection: Connection, since: datetime, until: datetime) -> list[Sample]:
    """What installed services held after `since` and not after `until`, oldest first."""
    rows = await connection.fetch(
        """
        SELECT subject, taken_at, memory_bytes
          FROM samples
          JOIN plugins ON plugin = subject
         WHERE kind = 'serving'
           AND plugins.removed_at IS NULL
           AND taken_at > $1
           AND taken_at <= $2
         ORDER BY taken_at
        """,
        since,
        until,
    )
    return [Sample(kind=SampleKind.SERVING, **dict(row)) for row in rows]


async def list_service_starts(
    connection: Connection, since: datetime, until: datetime
) -> list[tuple[str, datetime]]:
    """Plugin and time of each start after `since` and not after `until`, oldest first."""
    rows = await connection.fetch(
        """
        SELECT plugin, started_at
          FROM runs
         WHERE trigger = 'service'
           AND started_at > $1
           AND started_at <= $2
         ORDER BY started_at
        """,
        since,
        until,
    )
    return [(row["plugin"], row["started_at"]) for row in rows]


async def add_samples(connection: Connection, samples: Sequence[Sample]) -> None:
    await connection.execute(
        """
        INSERT INTO samples (kind, subject, taken_at, memory_bytes)
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[])
            ON CONFLICT DO NOTHING
        """,
        [sample.kind for sample in samples],
        [sample.subject for sample in samples],
        [sample.taken_at for sample in samples],
        [sample.memory_bytes for sample in samples],
    )


async def purge_samples(connection: Connection, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM samples WHERE taken_at < now() - $1::interval", age
    )
    return affected(status)
