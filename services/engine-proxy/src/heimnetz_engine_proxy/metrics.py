"""Counters and the log of refusals, in Prometheus' text format without a library for it."""

import json
import sys
from collections import Counter, deque
from datetime import UTC, datetime

requests: Counter[tuple[str, int]] = Counter()
refusals: Counter[str] = Counter()
recent: deque[dict[str, object]] = deque(maxlen=100)


def log(level: str, event: str, **fields: object) -> dict[str, object]:
    moment = datetime.now(UTC).isoformat()
    entry = {"timestamp": moment, "level": level, "service": "engine-proxy", "event": event}
    print(json.dumps(entry | fields), file=sys.stderr, flush=True)  # noqa: T201
    return entry | fields


def refused(rule: str, detail: str, method: str, target: str) -> None:
    refusals[rule] += 1
    # The target is hostile text: bounded here, escaped by JSON.
    recent.append(
        log("warning", "refused", rule=rule, detail=detail, what=f"{method} {target:.200}")
    )


def exposition() -> str:
    lines = ["# TYPE heimnetz_engine_proxy_requests_total counter"]
    for (route, status), count in sorted(requests.items()):
        labels = f'route="{route}",status="{status}"'
        lines.append(f"heimnetz_engine_proxy_requests_total{{{labels}}} {count}")
    lines.append("# TYPE heimnetz_engine_proxy_refusals_total counter")
    for rule, count in sorted(refusals.items()):
        lines.append(f'heimnetz_engine_proxy_refusals_total{{rule="{rule}"}} {count}')
    return "\n".join(lines) + "\n"
