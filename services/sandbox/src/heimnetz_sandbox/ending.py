"""A run's outcome, written and announced together, once."""

from heimnetz_common import outbox
from heimnetz_common.database import Connection
from heimnetz_sandbox import metrics
from heimnetz_sandbox.events import RunFinished
from heimnetz_sandbox.model import Evidence, Outcome, Run
from heimnetz_sandbox.store import runs


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
    return run


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
