"""Traces (W3C Trace Context) and the metrics that every service has."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)

HTTP_DURATION = Histogram(
    "heimnetz_http_request_duration_seconds",
    "Time from the request's head to the end of the response.",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
HTTP_REQUESTS = Counter(
    "heimnetz_http_requests_total", "Requests answered.", ["method", "route", "status"]
)
HTTP_IN_PROGRESS = Gauge("heimnetz_http_requests_in_progress", "Requests being answered now.")
EVENTS_PUBLISHED = Counter(
    "heimnetz_events_published_total", "Events that the stream acknowledged.", ["event"]
)
EVENTS_CONSUMED = Counter(
    "heimnetz_events_consumed_total",
    "Events by what became of them: done, repeated, retried, dead.",
    ["event", "outcome"],
)
EVENT_LAG = Histogram(
    "heimnetz_event_lag_seconds",
    "Time from an event's commit at its producer to its effect here.",
    ["event"],
    buckets=(0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 3600),
)
CONSUMER_PENDING = Gauge(
    "heimnetz_consumer_pending",
    "Events of the stream that this service has yet to take.",
    ["event"],
)
OUTBOX_WAITING = Gauge("heimnetz_outbox_waiting", "Events that wait for the stream.")
OUTBOX_AGE = Gauge(
    "heimnetz_outbox_oldest_waiting_seconds", "Age of the oldest event that waits for the stream."
)
STREAM_MISSING = Gauge(
    "heimnetz_stream_missing_events", "Events that were sent and that the stream does not hold."
)
_NO_LIMIT_BYTES = 1 << 60
MEMORY_LIMIT = Gauge(
    "heimnetz_memory_limit_bytes", "Memory that the container may use; 0 where nothing limits it."
)
DEAD_LETTERS = Gauge("heimnetz_dead_letters", "Messages whose last try failed.")
DATABASE_CONNECTIONS = Gauge(
    "heimnetz_database_connections", "Connections of the pool by state.", ["state"]
)


@dataclass(frozen=True, slots=True)
class Trace:
    """`trace_id` is 32 hexadecimal digits, `span_id` 16."""

    trace_id: str
    span_id: str

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def continued(cls, traceparent: str | None) -> Self:
        """A new span of the trace in the header, or a new trace where it holds none."""
        match = _TRACEPARENT.fullmatch(traceparent or "")
        if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
            return cls.new()
        return cls(match[1], secrets.token_hex(8))

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


_current: ContextVar[Trace | None] = ContextVar("heimnetz_trace", default=None)


def current_trace() -> Trace | None:
    return _current.get()


@contextmanager
def traced(traceparent: str | None) -> Iterator[Trace]:
    """Continue the trace that `traceparent` names, or begin one, for the time of the block."""
    trace = Trace.continued(traceparent)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


class Telemetry:
    """ASGI middleware: the trace of each request, and its rate, errors and duration."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_with_trace(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"traceparent", trace.traceparent.encode()),
                ]
            await send(message)

        started = time.perf_counter()
        header = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        with traced(header) as trace, HTTP_IN_PROGRESS.track_inprogress():
            try:
                await self._app(scope, receive, send_with_trace)
            finally:
                # Only a known route is a label: an attacker's paths must not make new series.
                route = getattr(scope.get("route"), "path", "unmatched")
                method = _method(scope)
                HTTP_REQUESTS.labels(method, route, str(status)).inc()
                HTTP_DURATION.labels(method, route).observe(time.perf_counter() - started)


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    known = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
    return method if method in known else "other"


def read_memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that this process's cgroup may use, version 2 or 1; 0 where nothing limits it."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (root / name).read_text("ascii").strip()
        except OSError:
            continue
        # Version 1 writes "no limit" as the largest multiple of a page.
        return int(text) if text.isdecimal() and int(text) < _NO_LIMIT_BYTES else 0
    return 0


MEMORY_LIMIT.set(read_memory_limit())
