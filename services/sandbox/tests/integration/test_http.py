"""The HTTP edge: who may, what is refused, and what a client gets back."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.testing import Stand, package, standing

pytestmark = pytest.mark.engine

READER = """
def run(input, context):
    return {name: path.read_bytes().decode() for name, path in context.files.items()}
"""


@pytest.fixture(scope="session")
def reader(stand: Stand) -> str:
    stand.install("reader", READER)
    return "reader"


def kind_of(answer: Any) -> str:
    return str(answer.json()["type"].rsplit("/", 1)[1])


def test_files_are_given_by_their_names(stand: Stand, reader: str) -> None:
    answer = stand.call(
        "POST",
        f"/v1/plugins/{reader}/runs",
        files=[("file", ("a b.csv", b"1;2")), ("file", ("ü.txt", b"x"))],
        data={"input": json.dumps({"any": 1})},
        headers={"prefer": "wait=30"},
    )

    assert answer.status_code == 200
    assert answer.json()["result"] == {"a b.csv": "1;2", "ü.txt": "x"}


def test_without_a_wish_to_wait_the_answer_says_where_the_run_is(stand: Stand, reader: str) -> None:
    answer = stand.ask(reader)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
    assert stand.get_run(answer.json()["id"])["outcome"] == "ok"


def test_one_key_is_one_run(stand: Stand, reader: str) -> None:
    key = {"idempotency-key": "only-once"}

    first = stand.ask(reader, {"a": 1}, 30, headers=key)
    again = stand.ask(reader, {"a": 1}, 30, headers=key)
    other = stand.ask(reader, {"a": 2}, headers=key)

    assert first.json()["id"] == again.json()["id"]
    assert (first.status_code, again.status_code) == (200, 200)
    assert other.status_code == 422
    assert kind_of(other) == "idempotency-key-reused"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422),
        ({"json": {"input": []}}, 422),
        ({"json": {"inptu": {}}}, 422),
        ({"json": []}, 422),
        (
            {"content": b'{"input": {"a": NaN}}', "headers": {"content-type": "application/json"}},
            422,
        ),
        (
            {
                "content": b'{"input": {"a": "\\u0000"}}',
                "headers": {"content-type": "application/json"},
            },
            422,
        ),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
        ({"json": {"input": {"a": "x" * (1 << 20)}}}, 413),
        ({"files": [("file", ("a", b"x" * (21 << 20)))]}, 413),
        ({"files": [("file", ("../a", b"x"))]}, 422),
        ({"files": [("file", ("a/b", b"x"))]}, 422),
        ({"files": [("file", ("a", b"x")), ("file", ("A", b"x"))]}, 422),
        ({"files": [("file", ("a", b"x"))], "data": {"other": "x"}}, 422),
        ({"files": [("file", ("a", b"x"))], "data": {"input": "[]"}}, 422),
        ({"files": [("file", (f"{n}", b"x")) for n in range(40)]}, 422),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=y"}}, 422),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data"}}, 422),
        ({"json": {}, "headers": {"idempotency-key": "x" * 200}}, 422),
    ],
    ids=range(18),
)
def test_a_wrong_request_is_refused_in_words(
    stand: Stand, reader: str, options: dict[str, Any], status: int
) -> None:
    answer = stand.call("POST", f"/v1/plugins/{reader}/runs", **options)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_not_there_is_404(stand: Stand) -> None:
    unknown = "01a21163-f926-7f6d-9072-faf26c465b62"

    assert kind_of(stand.ask("nobody")) == "plugin-not-installed"
    for path in ("", "/logs", "/files/a.txt"):
        answer = stand.call("GET", f"/v1/runs/{unknown}{path}")
        assert (answer.status_code, kind_of(answer)) == (404, "run-not-found")
    assert stand.call("DELETE", f"/v1/runs/{unknown}").status_code == 404


@pytest.mark.parametrize(
    ("role", "status"),
    [("owner", 202), ("operator", 202), ("publisher", 403), ("auditor", 403), ("viewer", 403)],
)
def test_who_may_run(stand: Stand, reader: str, role: str, status: int) -> None:
    assert stand.ask(reader, role=role).status_code == status


def test_every_role_may_read_and_nobody_without_a_token(stand: Stand, reader: str) -> None:
    run = stand.run(reader)

    for role in ("operator", "publisher", "auditor", "viewer"):
        assert stand.call("GET", f"/v1/runs/{run['id']}", role).status_code == 200
    assert stand.client.get(f"{stand.url}/v1/runs/{run['id']}").status_code == 401


def test_runs_are_listed_newest_first_in_pages(stand: Stand) -> None:
    stand.install("listed", "def run(input, context): return {}")
    ids = [stand.run("listed")["id"] for _ in range(3)]

    first = stand.call("GET", "/v1/runs?plugin=listed&limit=2").json()
    second = stand.call(
        "GET", f"/v1/runs?plugin=listed&limit=2&cursor={first['next_cursor']}"
    ).json()

    assert [run["id"] for run in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
    assert stand.call("GET", "/v1/runs?plugin=listed&outcome=error").json()["items"] == []


def test_lines_of_all_runs_of_a_plugin_are_searched(stand: Stand) -> None:
    code = """
import sys
def run(input, context):
    for line in input["lines"]:
        print(line)
    print("100% wrong", file=sys.stderr)
"""
    for name in ("searched", "another"):
        stand.install(name, code)
    first = stand.run("searched", {"lines": ["Cannot read a_b", "cannot read aXb"]})["id"]
    stand.run("another", {"lines": ["cannot read anything"]})
    second = stand.run("searched", {"lines": ["CANNOT READ a_b again"]})["id"]

    def find(**query: Any) -> tuple[list[tuple[str, str]], str | None]:
        page = stand.call("GET", "/v1/plugins/searched/logs", "viewer", params=query).json()
        return [(one["run_id"], one["text"]) for one in page["items"]], page["next_cursor"]

    assert find(contains="read a_b") == (
        [(second, "CANNOT READ a_b again"), (first, "Cannot read a_b")],
        None,
    )
    newest, cursor = find(contains="cannot", limit=2)
    rest, end = find(contains="cannot", limit=2, cursor=cursor)
    assert [text for _, text in newest + rest] == [
        "CANNOT READ a_b again",
        "cannot read aXb",
        "Cannot read a_b",
    ]
    assert end is None
    assert len(find(contains="0% w", stream="stderr")[0]) == 2
    assert find(contains="0% w", stream="stdout")[0] == []
    for query in ({"contains": "\0"}, {"contains": "x" * 201}, {"cursor": "x.1"}, {"stream": "x"}):
        answer = stand.call("GET", "/v1/plugins/searched/logs", params=query)
        assert answer.status_code == 422


def test_a_log_is_followed_until_the_end(stand: Stand) -> None:
    stand.install(
        "teller",
        "import time\ndef run(input, context):\n for n in range(3):\n  print('line', n, flush=True)\n  time.sleep(.4)",
    )
    run_id = stand.ask("teller").json()["id"]
    headers = {**stand.keys.user("sandbox", "viewer"), "accept": "text/event-stream"}

    with stand.client.stream(
        "GET", f"{stand.url}/v1/runs/{run_id}/logs", headers=headers
    ) as stream:
        text = "".join(stream.iter_text())

    lines = [line for line in text.splitlines() if line.startswith("data:")]
    assert [line.rsplit(" ", 2)[1:] for line in lines[:3]] == [["line", str(n)] for n in range(3)]
    assert text.replace("\r", "").rstrip().endswith('data: {"outcome": "ok"}')


def test_a_full_queue_says_when_to_come_again(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    settings = {"QUEUE_LIMIT": "5", "PLUGIN_QUEUE_LIMIT": "3", "CONCURRENCY": "1"}
    with standing(place, postgres_url, key_ring, **settings) as stand:
        for name in ("slow", "other"):
            stand.install(name, "import time\ndef run(input, context): time.sleep(20)")
        first = stand.ask("slow").json()["id"]
        eventually_sync(lambda: stand.get_run(first, 0)["started_at"], 15)

        answers = [stand.ask("slow") for _ in range(5)] + [stand.ask("other") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [202] * 3 + [429] * 2 + [202] * 2 + [
        429
    ] * 2
    assert kind_of(answers[3]) == "queue-full"
    assert int(answers[3].headers["retry-after"]) > 0


def test_figures_of_runs_and_containers_are_exported(stand: Stand) -> None:
    stand.install("measured", "def run(input, context): return {}")
    stand.run("measured")

    page = stand.client.get(f"{stand.url}/metrics").text

    assert 'heimnetz_sandbox_runs_total{outcome="ok",plugin="measured",trigger="http"} 1.0' in page
    assert 'heimnetz_sandbox_run_duration_seconds_count{plugin="measured"} 1.0' in page
    assert 'heimnetz_sandbox_run_peak_memory_bytes_count{plugin="measured"} 1.0' in page
    assert 'heimnetz_sandbox_container_cpu_seconds_total{plugin="measured"}' in page
    assert "heimnetz_sandbox_engine_up 1.0" in page


def test_a_schedule_runs_each_slot_once(stand: Stand) -> None:
    data = package(
        "ticker",
        "def run(input, context): return input",
        triggers={"cron": [{"schedule": "* * * * *", "input": {"by": "cron"}}]},
    )
    stand.install_bytes(
        "ticker",
        data,
        triggers={"http": True, "cron": [{"schedule": "* * * * *", "input": {"by": "cron"}}]},
        at=datetime.now(UTC) - timedelta(minutes=2),
    )

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stand.call("GET", "/v1/runs?plugin=ticker").json()["items"]
        return [run for run in found if run["state"] == "finished"]

    run = eventually_sync(runs, 20)[0]

    assert (run["trigger"], run["outcome"]) == ("cron", "ok")
    assert stand.get_run(run["id"])["result"] == {"by": "cron"}
    slots = stand.fetch("SELECT slot_at FROM cron_slots WHERE plugin = 'ticker'")
    assert len(runs()) <= len(slots)


def test_a_plugin_whose_installation_is_on_its_way_is_waited_for(stand: Stand) -> None:
    stand.registry.installed.add("late")
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(stand.ask, "late", wait=30)
        eventually_sync(lambda: "/v1/installations/late" in stand.registry.asked)
        stand.install("late", "def run(input, context): return 1")

    assert asked.result().json()["outcome"] == "ok"
