"""What plugins promise, and how many runs kept to it."""

from datetime import datetime, timedelta

from heimnetz_common.database import Connection
from heimnetz_monitor.levels import HOUR, MINUTE, WINDOWS, PluginTallies, Promise, Tally
from heimnetz_monitor.model import Fault, FinishedRun
from heimnetz_monitor.store.status import affected


async def put_promise(connection: Connection, plugin: str, promise: Promise | None) -> bool:
    """Whether it is another one than before."""
    return bool(
        await connection.fetchval(
            """
            UPDATE plugins
               SET availability_target = $2, latency_limit_seconds = $3, level_since = $4
             WHERE plugin = $1
               AND (availability_target, latency_limit_seconds) IS DISTINCT FROM ($2, $3)
         RETURNING true
            """,
            plugin,
            promise.availability if promise else None,
            promise.latency_seconds if promise else None,
            promise.since if promise else None,
        )
    )


async def clear_tallies(connection: Connection, plugin: str) -> None:
    await connection.execute("DELETE FROM run_tallies WHERE plugin = $1", plugin)


async def tally_run(connection: Connection, run: FinishedRun) -> None:
    """Nothing happens where nothing is promised, or was not yet when the run ended."""
    await connection.execute(
        """
        INSERT INTO run_tallies (plugin, grain_seconds, begins_at, good, failed, slow)
        SELECT plugin, grain, date_bin(make_interval(secs => grain), $2::timestamptz, 'epoch'),
               $3::bigint, $4::bigint,
               CASE WHEN $5::double precision > latency_limit_seconds THEN $3::bigint ELSE 0 END
          FROM plugins, unnest($6::integer[]) AS grain
         WHERE plugin = $1
           AND level_since <= $2
           AND $3::bigint + $4::bigint > 0
            ON CONFLICT ON CONSTRAINT run_tallies_key DO UPDATE
           SET good = run_tallies.good + excluded.good,
               failed = run_tallies.failed + excluded.failed,
               slow = run_tallies.slow + excluded.slow
        """,
        run.plugin,
        run.finished_at,
        int(run.outcome.fault is Fault.NONE),
        int(run.outcome.fault is Fault.PLUGIN),
        run.duration_seconds,
        [MINUTE, HOUR],
    )


async def list_tallies(connection: Connection, now: datetime) -> list[PluginTallies]:
    """Of every installed plugin that promises something, in the order of the names.

    A tally that a window touches counts as a whole.
    """
    rows = await connection.fetch(
        """
        SELECT plugins.plugin, availability_target, latency_limit_seconds, level_since, name,
               coalesce(sum(good), 0)::bigint AS good, coalesce(sum(failed), 0)::bigint AS failed,
               coalesce(sum(slow), 0)::bigint AS slow
          FROM plugins
         CROSS JOIN unnest($2::text[], $3::integer[], $4::integer[]) AS windows (name, span, grain)
          LEFT JOIN run_tallies
            ON run_tallies.plugin = plugins.plugin
           AND grain_seconds = grain
           AND begins_at > $1::timestamptz - make_interval(secs => span + grain)
           AND begins_at <= $1
         WHERE removed_at IS NULL
           AND level_since IS NOT NULL
         GROUP BY plugins.plugin, name
         ORDER BY plugins.plugin
        """,
        now,
        list(WINDOWS),
        [span for span, _ in WINDOWS.values()],
        [grain for _, grain in WINDOWS.values()],
    )
    promises: dict[str, Promise] = {}
    found: dict[str, dict[str, Tally]] = {}
    for row in rows:
        promises[row["plugin"]] = Promise(
            availability=row["availability_target"],
            latency_seconds=row["latency_limit_seconds"],
            since=row["level_since"],
        )
        tally = Tally(row["good"], row["failed"], row["slow"])
        found.setdefault(row["plugin"], {})[row["name"]] = tally
    return [
        PluginTallies(plugin=plugin, promise=promises[plugin], by_window=by_window)
        for plugin, by_window in found.items()
    ]


async def purge_tallies(connection: Connection, grain_seconds: int, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM run_tallies WHERE grain_seconds = $1 AND begins_at < now() - $2::interval",
        grain_seconds,
        age,
    )
    return affected(status)
