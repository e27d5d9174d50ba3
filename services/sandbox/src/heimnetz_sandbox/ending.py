"""A run's outcome, written and announced together, once."""

import random
from datetime import UTC, datetime, timedelta

from heimnetz_common import outbox
from heimnetz_common.database import Connection
from heimnetz_sandbox import metrics, reacting
from heimnetz_sandbox.events import RunFinished
from heimnetz_sandbox.model import Evidence, Outcome, Run, new_run_id
from heimnetz_sandbox.store import runs

# What may go better the next time. What a person or the owner's policy ended is not tried again.
RETRIED = {
    Outcome.ERROR,
    Outcome.TIMEOUT,
    Outcome.INTERRUPTED,
    Outcome.ENGINE_ERROR,
    Outcome.IMAGE_UNAVAILABLE,
}
RETRY_SECONDS, MAX_RETRY_SECONDS = 10.0, 600.0


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
    event = RunFinished(
        run_id=run.id,
        plugin=run.plugin,
        version=run.version,
        trigger=run.trigger,
        outcome=outcome,
        duration_seconds=run.duration_seconds or 0.0,
        peak_memory_bytes=run.peak_memory_bytes,
    )
    await outbox.append(connection, event, service="sandbox", subject=f"{run.plugin}/{run.id}")
    await reacting.react(connection, event.type(), event.model_dump(mode="json"), depth=run.depth)
    return run


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
