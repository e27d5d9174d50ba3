"""Events that start runs: what plugins announce, and what the platform does.

A run is queued in the transaction that knows of the event, so that each event starts it once.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson

from heimnetz_common.database import Connection
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import Trace, current_trace
from heimnetz_sandbox import metrics
from heimnetz_sandbox.model import Request, Trigger, new_run_id
from heimnetz_sandbox.store import installations, runs

# A run that an event started, whose event started another, and so on: here the chain ends.
MAX_DEPTH = 8
MAX_WAITING = 100

log = get_logger(__name__)


async def react(
    connection: Connection, event_type: str, data: dict[str, Any], *, depth: int = 0
) -> int:
    """How many runs were queued; `depth` is of the run that the event came from."""
    count = 0
    for listener in await installations.list_listening(connection, event_type):
        if depth >= MAX_DEPTH:
            reason = "deep"
        elif listener.own_waiting >= MAX_WAITING:
            reason = "full"
        else:
            reason = ""
        if reason:
            metrics.EVENTS_DROPPED.labels(listener.installation.plugin, reason).inc()
            log.warning(
                "event_starts_nothing",
                plugin=listener.installation.plugin,
                event_type=event_type,
                reason=reason,
            )
            continue
        document = orjson.dumps({"event": event_type, "data": data})
        installation = listener.installation
        request = Request(
            plugin=installation.plugin,
            trigger=Trigger.EVENT,
            input=document,
            requested_by=event_type,
            depth=depth + 1,
            retries=installation.triggers.get("retries", 0),
        )
        trace = current_trace() or Trace.new()
        await runs.add(
            connection,
            new_run_id(datetime.now(UTC)),
            request,
            installation,
            request_sha256=hashlib.sha256(document).hexdigest(),
            traceparent=trace.traceparent,
        )
        count += 1
    return count
