"""A run's outcome, written and announced together, once."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_sandbox import metrics, reacting
from heimnetz_sandbox.events import RunFinished
from heimnetz_sandbox.model import Evidence, Outcome, Run, State, Trigger, new_run_id
from heimnetz_sandbox.recording import Log
from heimnetz_sandbox.store import outputs, runs

# What may go better the next time. What a person or the owner's policy ended is not tried again.
RETRIED = {
    Outcome.ERROR,
    Outcome.TIMEOUT,
    Outcome.INTERRUPTED,
    Outcome.ENGINE_ERROR,
    Outcome.IMAGE_UNAVAILABLE,
}
RETRY_SECONDS, MAX_RETRY_SECONDS = 10.0, 600.0


class LogWriter:
    """Writes what waits in a log; a line is let go of when the database has it."""

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self._run_id = run_id
        self._written = 0
        self._lock = asyncio.Lock()

    async def flush(self, run_log: Log) -> None:
        async with self._lock:
            lines = list(run_log.pending)
            if not lines:
                return
            async with self._database.transaction() as connection:
                await outputs.add_lines(connection, self._run_id, self._written, lines)
            del run_log.pending[: len(lines)]
            self._written += len(lines)


async def end(
    connection: Connection,
    run_id: str,
    *,
    owner: str | None,
    outcome: Outcome,
    reason: str | None,
    evidence: Evidence | None = None,
    has_inputs: bool = True,
) -> Run | None:
    """The finished run; None where the run is not `owner`'s to end (any more)."""
    seen = evidence or Evidence()
    kept = seen if outcome is Outcome.OK else _without_result(seen)
    if outcome in RETRIED:
        await _retry(connection, run_id, owner)
    run = await runs.finish(
        connection, run_id, owner=owner, outcome=outcome, reason=reason, evidence=kept
    )
    if run is None:
        return None
    if has_inputs:
        await runs.drop_inputs(connection, run_id)
    if kept.files:
        await runs.add_files(
            connection, run_id, "out", [(file.name, file.data) for file in kept.files]
        )
    event = _event(run)
    await outbox.append(connection, event, service="sandbox", subject=f"{run.plugin}/{run.id}")
    await reacting.react(connection, event.type(), event.model_dump(mode="json"), depth=run.depth)
    return run


async def end_well(
    connection: Connection, run: Run, owner: str, seconds: float, evidence: Evidence
) -> Run | None:
    """As `end`, in one statement; None where that does not do.

    `seconds` is how long the run took.
    """
    if evidence.files or evidence.result is None or run.started_at is None:
        return None
    ended = replace(
        run,
        state=State.FINISHED,
        outcome=Outcome.OK,
        finished_at=run.started_at + timedelta(seconds=seconds),
        duration_seconds=seconds,
        peak_memory_bytes=evidence.peak_memory_bytes,
        cpu_seconds=evidence.cpu_seconds,
        exit_code=evidence.exit_code,
        log_truncated=evidence.log_truncated,
    )
    told = outbox.announcement(_event(ended), service="sandbox", subject=f"{run.plugin}/{run.id}")
    is_ours = await runs.finish_and_tell(connection, ended, owner, evidence.result.encode(), told)
    return ended if is_ours else None


def _event(run: Run) -> RunFinished:
    assert run.outcome is not None
    return RunFinished(
        run_id=run.id,
        plugin=run.plugin,
        version=run.version,
        trigger=Trigger(run.trigger),
        outcome=run.outcome,
        duration_seconds=run.duration_seconds or 0.0,
        peak_memory_bytes=run.peak_memory_bytes,
    )


async def _retry(connection: Connection, run_id: str, owner: str | None) -> None:
    """The same once more, later, where its trigger says so."""
    run = await runs.find_owned(connection, run_id, owner)
    if run is None or not run.retries_left:
        return
    delay = min(RETRY_SECONDS * 2 ** (run.tries - 1), MAX_RETRY_SECONDS)
    delay *= random.uniform(0.8, 1.2)  # noqa: S311  no secret: it only spreads them
    await runs.add_retry(connection, run, new_run_id(datetime.now(UTC)), timedelta(seconds=delay))


def count(run: Run) -> None:
    """After the commit."""
    metrics.RUNS.labels(run.plugin, str(run.outcome), run.trigger).inc()
    if run.duration_seconds is not None:
        metrics.DURATION.labels(run.plugin).observe(run.duration_seconds)
    if run.peak_memory_bytes is not None:
        metrics.PEAK_MEMORY.labels(run.plugin).observe(run.peak_memory_bytes)


def _without_result(evidence: Evidence) -> Evidence:
    return Evidence(
        exit_code=evidence.exit_code,
        peak_memory_bytes=evidence.peak_memory_bytes,
        cpu_seconds=evidence.cpu_seconds,
        log_truncated=evidence.log_truncated,
        files=evidence.files,
    )
