"""Every public operation through the gateway, each at a steady rate, one after the other."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from benchmarks.figures import Figure, percentile

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts" / "openapi"
PER_SECOND, SECONDS = 20, 3
# What needs a rate of its own: a run takes a third of a second of both cores, an audit more.
RATES = {
    ("sandbox", "POST", "/v1/plugins/{plugin}/runs"): 2,
    ("registry", "POST", "/v1/plugins/{plugin}/versions"): 2,
    ("registry", "DELETE", "/v1/plugins/{plugin}/versions/{version}"): 2,
    ("auditor", "POST", "/v1/audits"): 2,
    # A password's hash is slow on purpose.
    ("registry", "POST", "/v1/sessions"): 1,
    ("sandbox", "DELETE", "/v1/runs/{run_id}"): 2,
    ("docs-gen", "POST", "/v1/docs/{plugin}/{version}"): 2,
}
# Between services, or once in the life of a stack.
NOT_PUBLIC = {
    ("monitor", "POST", "/v1/alertmanager"),
    ("registry", "GET", "/v1/installations/{plugin}/configuration"),
    ("registry", "GET", "/v1/auth/{audience}"),
    ("registry", "POST", "/v1/setup"),
    # Of letters and tokens that are not there, so that it says 404.
    *((name, "POST", "/v1/dead-letters/{letter_id}/retry")
      for name in ("auditor", "docs-gen", "monitor", "registry", "sandbox")),
}  # fmt: skip
Operation = tuple[str, str, str]
# A run's trace, of which not every service knows.
UNKNOWN = {
    (name, "GET", "/v1/traces/{key}")
    for name in ("auditor", "docs-gen", "monitor", "registry", "sandbox")
}


@dataclass
class Subject:
    """What the operations are asked about."""

    client: httpx.Client
    plugin: str
    run_id: str
    trace: str
    file: str
    pack: Callable[[str], bytes]
    password: str

    def request(self, operation: Operation) -> dict[str, Any]:
        """Ready to be sent; what it needs is made here, outside the measurement."""
        service, method, path = operation
        values = {
            "plugin": self.plugin,
            "version": "1.0.0",
            "run_id": self.run_id,
            "name": self.file,
            "key": self.trace,
        }
        options = self._options(operation, values)
        return {"method": method, "url": f"/api/{service}{path.format_map(values)}", **options}

    def _options(self, operation: Operation, values: dict[str, str]) -> dict[str, Any]:
        match operation:
            case (_, "POST", "/v1/events/replay"):
                return {"json": {"since": datetime.now(UTC).isoformat()}}
            case (_, "POST", "/v1/audits"):
                return {"json": {"plugin": self.plugin, "version": "1.0.0"}}
            case (_, "POST", "/v1/sessions"):
                return {"json": {"name": "bench", "password": self.password}}
            case (_, "POST", "/v1/tokens"):
                return {"json": self._token()}
            case (_, "DELETE", "/v1/tokens/{token_id}"):
                made = self.client.post("/api/registry/v1/tokens", json=self._token())
                values["token_id"] = made.json()["id"]
            case (_, "POST", "/v1/plugins/{plugin}/versions"):
                values["plugin"], options = self._upload()
                return options
            case (_, "DELETE", "/v1/plugins/{plugin}/versions/{version}"):
                values["plugin"], options = self._upload()
                url = f"/api/registry/v1/plugins/{values['plugin']}/versions"
                self.client.post(url, **options).raise_for_status()
            case (_, "POST", "/v1/plugins/{plugin}/versions/{version}/state"):
                return {"json": {"state": "deprecated", "reason": "measured"}}
            case (_, "PUT", "/v1/installations/{plugin}"):
                return {"json": {"version": "1.0.0", "grants": [], "configuration": {}}}
            case (_, "POST", "/v1/plugins/{plugin}/runs"):
                return {"json": {"input": {}}}
            case (_, "DELETE", "/v1/runs/{run_id}"):
                url = f"/api/sandbox/v1/plugins/{self.plugin}/runs"
                values["run_id"] = self.client.post(url, json={"input": {"sleep": 25}}).json()["id"]
        return {}

    def _token(self) -> dict[str, Any]:
        return {"name": f"bench-{uuid.uuid4().hex[:8]}", "role": "viewer"}

    def _upload(self) -> tuple[str, dict[str, Any]]:
        name = f"bench-{uuid.uuid4().hex[:8]}"
        return name, {"content": self.pack(name), "headers": {"content-type": "application/gzip"}}


@dataclass
class Measured:
    operation: Operation
    seconds: list[float]
    failed: int

    @property
    def p95(self) -> float:
        return percentile(self.seconds, 0.95)


def list_operations() -> list[Operation]:
    found = []
    for file in sorted(CONTRACTS.glob("*.json")):
        for path, methods in json.loads(file.read_text())["paths"].items():
            found += [(file.stem, method.upper(), path) for method in methods]
    public = [operation for operation in found if operation not in NOT_PUBLIC]
    # What takes the plugin away comes last.
    return sorted(public, key=lambda operation: (_takes_away(operation), operation))


def _takes_away(operation: Operation) -> int:
    if operation[1:] == ("DELETE", "/v1/installations/{plugin}"):
        return 2
    return int(operation[1] == "DELETE")


def load(subject: Subject, operation: Operation) -> Measured:
    rate = RATES.get(operation, PER_SECOND)
    requests = [subject.request(operation) for _ in range(max(rate * SECONDS, 10))]
    if _takes_away(operation) == 2:
        # Once installed, it can be taken away once.
        requests = requests[:1]
    began = time.perf_counter()

    def send(number: int) -> tuple[float, bool]:
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        started = time.perf_counter()
        answer = subject.client.request(**requests[number])
        is_fine = answer.status_code < 400 or (answer.status_code == 404 and operation in UNKNOWN)
        return time.perf_counter() - started, is_fine

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(len(requests))))
    return Measured(operation, [spent for spent, _ in answers], sum(not ok for _, ok in answers))


def measure(subject: Subject) -> Iterator[Figure]:
    found = [load(subject, operation) for operation in list_operations()]
    count = sum(len(one.seconds) for one in found)
    failed = sum(one.failed for one in found)
    slow = [one for one in found if one.p95 > 0.1]
    yield Figure(
        f"p95 of each of {len(found)} public operations at {PER_SECOND}/s: over 100 ms",
        len(slow),
        "of them",
        to_reach="0",
    )
    yield Figure(f"failed of {count:,} requests", failed / count * 100, "%", to_reach="under 0.1")
    worst = sorted(found, key=lambda one: (one.failed == 0, -one.p95))
    for one in worst[: max(5, len(slow), sum(one.failed > 0 for one in found))]:
        service, method, path = one.operation
        note = f", {one.failed} failed" if one.failed else ""
        yield Figure(f"p95 of {method} {path} of {service}{note}", one.p95 * 1000, "ms")
