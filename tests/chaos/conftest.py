"""Load that remembers what was acknowledged, and the oracle that looks for all of it."""

import hashlib
import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from heimnetz_common.testing import SERVICES

from ..conftest import PROJECT, Stack, eventually, package

VICTIMS = (*SERVICES, "postgres", "nats", "engine-proxy", "gateway", "prometheus", "alertmanager")
CODE = "def run(input, context):\n    return {'n': input['n']}\n"
LISTENERS = {
    ("registry", "heimnetz.version.submitted.v1"): ("auditor",),
    ("auditor", "heimnetz.version.audited.v1"): ("registry", "docs_gen"),
    ("registry", "heimnetz.version.approved.v1"): ("sandbox", "docs_gen"),
    ("registry", "heimnetz.installation.changed.v1"): ("sandbox", "monitor"),
    ("sandbox", "heimnetz.run.started.v1"): ("monitor",),
    ("sandbox", "heimnetz.run.finished.v1"): ("monitor",),
}


@dataclass
class Load:
    """Publishes and runs until it is told to stop; remembers what was acknowledged."""

    stack: Stack
    token: str
    plugin: str
    stop: threading.Event = field(default_factory=threading.Event)
    versions: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    # How often each status came, and whether it said when to come again.
    answers: Counter[tuple[int, bool]] = field(default_factory=Counter)

    def publish(self) -> None:
        for number in range(100_000):
            name = f"chaos-{number}-{uuid.uuid4().hex[:6]}"
            data = package(name, CODE)
            answer = self._insist(
                lambda client, name=name, data=data: client.post(
                    f"/api/registry/v1/plugins/{name}/versions",
                    content=data,
                    headers={"content-type": "application/gzip"},
                ),
                {200, 201},
            )
            if answer is None:
                return
            self.versions[name] = hashlib.sha256(data).hexdigest()
            self.stop.wait(1.0)

    def call(self) -> None:
        for number in range(100_000):
            key = uuid.uuid4().hex
            answer = self._insist(
                lambda client, number=number, key=key: client.post(
                    f"/api/sandbox/v1/plugins/{self.plugin}/runs",
                    json={"input": {"n": number}},
                    headers={"idempotency-key": key},
                ),
                {200, 202},
            )
            if answer is None:
                return
            self.runs[key] = answer.json()["id"]
            self.stop.wait(0.5)

    def _insist(
        self, ask: Callable[[httpx.Client], httpx.Response], wanted: set[int]
    ) -> httpx.Response | None:
        """As a good client does: the same request again until it was acknowledged."""
        while not self.stop.is_set():
            try:
                with self.stack.http(self.token) as client:
                    answer = ask(client)
            except httpx.TransportError:
                self.stop.wait(0.3)
                continue
            self.answers[answer.status_code, "retry-after" in answer.headers] += 1
            if answer.status_code in wanted:
                return answer
            if answer.status_code not in {429, 502, 503}:
                self.surprises.append(f"{answer.status_code} {answer.text[:300]}")
            self.stop.wait(0.3)
        return None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=work) for work in (self.publish, self.call, self.call)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()


def are_healthy(stack: Stack) -> bool:
    states = stack.call(
        *("docker", "ps", "--all", "--filter", f"label=com.docker.compose.project={PROJECT}"),
        *("--format", '{{.Label "com.docker.compose.service"}} {{.Status}}'),
    ).out
    well = {line.split()[0] for line in states.splitlines() if "(healthy)" in line}
    return well >= set(VICTIMS)


class Rows:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def __call__(self, sql: str) -> Any:
        said = self._stack.call(
            *("docker", "compose", "exec", "-T", "--user", "10020", "postgres", "psql"),
            *("--username=postgres", "--dbname=heimnetz", "--tuples-only", "--no-align"),
            *("--command", f"SELECT coalesce(json_agg(found), '[]') FROM ({sql}) AS found"),
        )
        return json.loads(said.out)


def settle(stack: Stack, rows: Rows) -> None:
    """Until all are healthy, and everything that was announced has been heard and acted on."""
    eventually(lambda: are_healthy(stack), within_seconds=60, what="every container healthy")
    waiting = " UNION ALL ".join(
        f"SELECT event_id FROM {name.replace('-', '_')}.outbox WHERE sent_at IS NULL"
        for name in SERVICES
    )
    eventually(lambda: rows(waiting) == [], within_seconds=30, what="empty outboxes")
    for what, left in (
        ("every event handled", lambda: unheard(rows)),
        ("every run ended", lambda: rows("SELECT id FROM sandbox.runs WHERE state <> 'finished'")),
        (
            "every version audited",
            lambda: rows("SELECT plugin FROM registry.versions WHERE state = 'submitted'"),
        ),
    ):
        eventually(lambda left=left: not left(), within_seconds=120, what=what)


def check_all(stack: Stack, owner: str, rows: Rows, load: Load) -> None:
    """Everything that was acknowledged is there, and has had its effect once."""
    assert load.surprises == []
    assert load.versions
    assert load.runs
    check_versions(stack, owner, rows, load)
    check_runs(stack, rows, load)


def unheard(rows: Rows) -> list[Any]:
    """Events that a listener has not acted on."""
    found = []
    for (producer, event), listeners in LISTENERS.items():
        for listener in listeners:
            found += rows(
                f"SELECT event_id, '{event}' AS event, '{listener}' AS listener"
                f"  FROM {producer}.outbox AS sent WHERE event_type = '{event}' AND NOT EXISTS"
                f"  (SELECT FROM {listener}.inbox WHERE inbox.event_id = sent.event_id)"
            )
    return found


def check_versions(stack: Stack, owner: str, rows: Rows, load: Load) -> None:
    stored = {
        row["plugin"]: row for row in rows("SELECT plugin, sha256, state FROM registry.versions")
    }
    audits = rows(
        "SELECT plugin, count(*) AS n FROM auditor.audits WHERE plugin LIKE 'chaos-%' GROUP BY plugin"
    )
    with stack.http(owner) as client:
        for name, sha256 in load.versions.items():
            answer = client.get(f"/api/registry/v1/plugins/{name}/versions/1.0.0/package")
            assert hashlib.sha256(answer.content).hexdigest() == sha256, name
            assert stored[name]["sha256"] == sha256
            assert stored[name]["state"] in {"approved", "needs_review"}, name
    assert {row["plugin"] for row in audits} >= load.versions.keys()
    assert [row for row in audits if row["n"] != 1] == []


def check_runs(stack: Stack, rows: Rows, load: Load) -> None:
    runs = {
        row["idempotency_key"]: row
        for row in rows(
            "SELECT idempotency_key, id, outcome FROM sandbox.runs"
            " WHERE idempotency_key IS NOT NULL"
        )
    }
    finished = rows(
        "SELECT plugin, outcome, count(*) AS runs FROM sandbox.runs GROUP BY plugin, outcome"
    )
    counted = rows("SELECT plugin, outcome, runs FROM monitor.run_totals")
    for key, run_id in load.runs.items():
        assert runs[key]["id"] == run_id
        assert runs[key]["outcome"] in {"ok", "interrupted", "engine_error"}, runs[key]
    assert sum(row["outcome"] == "ok" for row in runs.values()) > len(load.runs) / 2
    keyed = {(row["plugin"], row["outcome"]): row["runs"] for row in counted}
    for row in finished:
        assert keyed[row["plugin"], row["outcome"]] == row["runs"], row
    # Containers that wait for a call are of no run; others on this engine are not ours.
    (identity,) = rows("SELECT stack FROM sandbox.identity")
    labels = ("heimnetz.kind=run", f"heimnetz.stack={identity['stack']}")
    filters = [part for label in labels for part in ("--filter", f"label={label}")]
    left = stack.call("docker", "ps", "--all", "--quiet", *filters).out
    assert left.split() == []
