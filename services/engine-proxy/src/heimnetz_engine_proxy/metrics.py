"""Counters and the log of refusals, in Prometheus' text format; a client library is not needed."""

import json
import sys
from collections import Counter, deque
from datetime import UTC, datetime

requests: Counter[tuple[str, int]] = Counter()
refusals: Counter[str] = Counter()
recent: deque[dict[str, object]] = deque(maxlen=100)


def log(level: str, event: str, **fields: object) -> dict[str, object]:
    line = {"timestamp": datetime.now(UTC).isoformat(), "level": level, "service": "engine-proxy"}
    entry = {**line, "event": event, **fields}
    print(json.dumps(entry), file=sys.stderr, flush=True)  # noqa: T201
    return entry


def refused(rule: str, detail: str, method: str, target: str) -> None:
    refusals[rule] += 1
    # The target is hostile text: bounded here, escaped by JSON.
    shown = target[:200]
    recent.append(log("warning", "refused", rule=rule, detail=detail, method=method, target=shown))


def answered(route: str, status: int) -> None:
    requests[route, status] += 1


def exposition() -> str:
    lines = ["# TYPE heimnetz_engine_proxy_requests_total counter"]
    lines += [
        f'heimnetz_engine_proxy_requests_total{{route="{route}",status="{status}"}} {count}'
        for (route, status), count in sorted(requests.items())
    ]
    lines.append("# TYPE heimnetz_engine_proxy_refusals_total counter")
    lines += [
        f'heimnetz_engine_proxy_refusals_total{{rule="{rule}"}} {count}'
        for rule, count in sorted(refusals.items())
    ]
    return "\n".join(lines) + "\n"
