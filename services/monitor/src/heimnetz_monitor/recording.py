"""Keeps the history of runs and installations."""

from datetime import datetime

from heimnetz_common.database import Connection
from heimnetz_monitor import store
from heimnetz_monitor.levels import Promise
from heimnetz_monitor.model import Fault, FinishedRun, Sample, SampleKind, StartedRun, bound_of


async def record_start(connection: Connection, run: StartedRun) -> None:
    await store.meet_plugin(connection, run.plugin, run.version)
    await store.start_run(connection, run)


async def record_end(connection: Connection, run: FinishedRun) -> None:
    """Count the run once, whatever is heard of it later."""
    await store.meet_plugin(connection, run.plugin, run.version)
    if not await store.finish_run(connection, run):
        return
    await store.count_run(connection, run)
    await store.tally_run(connection, run)
    await store.count_duration(connection, run.plugin, bound_of(run.duration_seconds))
    if run.outcome.fault is Fault.PLUGIN:
        await store.count_failure(connection, run.plugin, run.trigger)
    elif run.outcome.fault is Fault.NONE:
        await store.clear_failures(connection, run.plugin, run.trigger)
    if run.peak_memory_bytes is not None:
        sample = Sample(
            kind=SampleKind.RUN,
            subject=run.plugin,
            taken_at=run.finished_at,
            memory_bytes=run.peak_memory_bytes,
        )
        await store.add_samples(connection, [sample])


async def record_installation(
    connection: Connection,
    plugin: str,
    version: str,
    memory_limit_bytes: int | None,
    revision: int,
    promise: Promise | None = None,
) -> None:
    """Another version or configuration gets a fresh start: its failures are counted anew.

    The error budget is not: only one who promises something else begins with a whole one.
    """
    if await store.put_plugin(connection, plugin, version, memory_limit_bytes, revision):
        await store.clear_failures(connection, plugin)
        if await store.put_promise(connection, plugin, promise):
            await store.clear_tallies(connection, plugin)


async def record_removal(connection: Connection, plugin: str, revision: int, at: datetime) -> None:
    await store.remove_plugin(connection, plugin, revision, at)
