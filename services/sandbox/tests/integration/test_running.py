"""Every outcome, on the real engine through the real proxy."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox import projecting
from heimnetz_sandbox.testing import Stand, package, standing

pytestmark = pytest.mark.engine

VICES = """
import os, subprocess, sys, time

def run(input, context):
    return globals()[input["vice"]](context)

def fails(context):
    raise ValueError("no \\x1b[31mreading\\x1b[0m here")

def sleeps(context):
    time.sleep(60)

def spins(context):
    while True:
        pass

def eats(context):
    hoard = []
    while True:
        hoard.append(bytearray(4 << 20))

def eats_at_once(context):
    return len(bytes(bytearray(b"x") * (1 << 30)))

def forks(context):
    while True:
        if os.fork() == 0:
            time.sleep(30)

def fills(context):
    with open("/tmp/big", "wb") as file:
        while True:
            file.write(b"x" * (1 << 20))

def fills_with_files(context):
    for number in range(1_000_000):
        open(f"/tmp/{number}", "w").close()

def floods(context):
    while True:
        print("x" * 1000)

def floods_without_end_of_line(context):
    while True:
        sys.stderr.write("x" * 10000)

def answers_too_much(context):
    return {"text": "x" * (2 << 20)}

def answers_nothing_to_write(context):
    return {"file": object()}

def answers_nan(context):
    return {"value": float("nan")}

def exits(context):
    os._exit(3)

def crashes(context):
    import ctypes
    ctypes.string_at(0)

def leaves_children(context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            time.sleep(60)
        os._exit(0)
    return {"left": True}
"""


LIMITS = {
    "memory": "64 MiB",
    "cpu": 0.5,
    "cpu_time": "1 s",
    "processes": 16,
    "wall": "60 s",
    "tmp": "8 MiB",
    "tmp_inodes": 100,
    "log": "16 KiB",
}


@pytest.fixture(scope="session")
def vices(stand: Stand) -> str:
    stand.install("vices", VICES, limits=LIMITS)
    return "vices"


def test_a_call_answers_with_its_result_files_and_log(stand: Stand) -> None:
    stand.install(
        "echo",
        """
import sys
def run(input, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    context.log("to the log")
    (context.out / "greeting.txt").write_text("hello " + context.config["name"])
    return {"got": input, "trace": context.trace_id, "run": context.run_id}
""",
        configuration={"name": "anna"},
    )

    run = stand.run("echo", {"a": [1, 2.5, "ü"]})

    assert run["outcome"] == "ok", (run, stand.logs(run["id"]))
    assert run["result"] == {
        "got": {"a": [1, 2.5, "ü"]},
        "trace": run["trace_id"],
        "run": run["id"],
    }
    assert [file["name"] for file in run["files"]] == ["greeting.txt"]
    file = stand.call("GET", f"/v1/runs/{run['id']}/files/greeting.txt")
    assert file.content == b"hello anna"
    lines = [line.split(" ", 1)[1] for line in stand.logs(run["id"]).splitlines()]
    assert sorted(lines) == ["log to the log", "stderr to stderr", "stdout to stdout"]
    assert 1 << 20 < run["peak_memory_bytes"] < 64 << 20
    assert 0 < run["cpu_seconds"] < 5
    assert stand.containers(run["id"]) == []


@pytest.mark.parametrize(
    ("vice", "outcome", "reason"),
    [
        ("fails", "error", "ValueError: no \\x1b[31mreading\\x1b[0m here"),
        ("spins", "cpu_limit", "more than 1 s of processor time"),
        ("eats", "out_of_memory", "more memory than its limit"),
        ("eats_at_once", "out_of_memory", "more memory than its limit"),
        ("forks", "pids_limit", "Resource temporarily unavailable"),
        ("fills", "disk_limit", "No space left on device"),
        ("fills_with_files", "disk_limit", "No space left on device"),
        ("floods", "output_limit", "more than 16384 bytes of log"),
        ("floods_without_end_of_line", "output_limit", "more than 16384 bytes of log"),
        ("answers_too_much", "output_limit", "the result is larger than its limit"),
        ("answers_nothing_to_write", "error", "not JSON serializable"),
        ("answers_nan", "error", "not JSON compliant"),
        ("exits", "error", "ended without a result (status 3)"),
        ("crashes", "error", "ended by SIGSEGV"),
    ],
)
def test_a_vice_has_its_outcome(
    stand: Stand, vices: str, vice: str, outcome: str, reason: str
) -> None:
    run = stand.run(vices, {"vice": vice})

    assert run["outcome"] == outcome, (run, stand.logs(run["id"])[-2000:])
    assert reason in run["reason"]
    assert run["result"] is None
    assert stand.containers(run["id"]) == []
    assert f"sandbox {outcome}: " in stand.logs(run["id"])


def test_a_plugin_that_takes_too_long_is_ended(stand: Stand) -> None:
    stand.install("idler", VICES, limits={"wall": "1 s"})

    run = stand.run("idler", {"vice": "sleeps"})

    assert (run["outcome"], run["reason"]) == ("timeout", "the plugin took longer than 1 s")
    assert stand.containers(run["id"]) == []


def test_memory_that_killed_is_the_peak(stand: Stand, vices: str) -> None:
    run = stand.run(vices, {"vice": "eats"})

    assert run["peak_memory_bytes"] >= 64 << 20


def test_a_log_that_is_too_long_is_kept_up_to_its_limit_with_a_mark(
    stand: Stand, vices: str
) -> None:
    run = stand.run(vices, {"vice": "floods"})

    log = stand.logs(run["id"])
    assert run["log_truncated"]
    assert 12_000 < len(log) < 20_000
    assert "sandbox log truncated: the plugin wrote more than 16384 bytes" in log


def test_children_that_a_plugin_leaves_go_with_it(stand: Stand, vices: str) -> None:
    run = stand.run(vices, {"vice": "leaves_children"})

    assert run["outcome"] == "ok"
    assert stand.containers(run["id"]) == []


def test_a_run_is_cancelled_in_the_queue_and_under_way(stand: Stand, vices: str) -> None:
    asked = [stand.ask(vices, {"vice": "sleeps"}).json()["id"] for _ in range(3)]
    eventually_sync(lambda: stand.get_run(asked[0], 0)["started_at"], 10)

    answers = [stand.call("DELETE", f"/v1/runs/{run}").status_code for run in reversed(asked)]

    ended = [stand.get_run(run, 10) for run in asked]
    assert answers == [202, 202, 202]
    assert [run["outcome"] for run in ended] == ["cancelled"] * 3
    assert stand.call("DELETE", f"/v1/runs/{asked[0]}").status_code == 409


def test_a_quarantined_version_is_stopped_and_refused(stand: Stand) -> None:
    stand.install("suspect", "import time\ndef run(input, context): time.sleep(20)")
    run_id = stand.ask("suspect").json()["id"]
    eventually_sync(lambda: stand.get_run(run_id, 0)["started_at"], 10)

    stand.in_database(
        lambda connection: projecting.block(
            connection,
            plugin="suspect",
            version="1.0.0",
            reason="the version is quarantined: a bad smell",
            at=datetime.now(UTC),
        )
    )

    assert stand.get_run(run_id, 10)["outcome"] == "killed"
    refused = stand.run("suspect")
    assert refused["outcome"] == "refused"
    assert "a bad smell" in refused["reason"]


@pytest.mark.attack(row=59, what="removing the runtime image")
def test_a_missing_image_is_named(place: Path, postgres_url: str, key_ring: KeyRing) -> None:
    with standing(
        place, postgres_url, key_ring, RUNTIME_PYTHON_IMAGE="heimnetz-test/vanishing:1"
    ) as other:
        other.install("plain", "def run(input, context): return {}")

        run = other.run("plain")

    assert run["outcome"] == "image_unavailable"
    assert "heimnetz-test/vanishing:1" in run["reason"]


def test_started_and_finished_are_announced_once(stand: Stand) -> None:
    stand.install("announced", "def run(input, context): return {}")

    run = stand.run("announced")

    rows = stand.fetch("SELECT event_type, convert_from(document, 'UTF8') AS text FROM outbox")
    mine = [row for row in rows if run["id"] in row["text"]]
    assert sorted(row["event_type"] for row in mine) == [
        "heimnetz.run.finished.v1",
        "heimnetz.run.started.v1",
    ]
    assert all(run["trace_id"] in row["text"] for row in mine)


@pytest.mark.attack(row=59, what="altering code on disk")
def test_altered_code_is_fetched_again_before_it_runs(stand: Stand) -> None:
    sha256 = stand.install("altered", "def run(input, context): return {'true': True}")
    assert stand.run("altered")["outcome"] == "ok"

    file = stand.run_dir / "code" / sha256 / "plugin.py"
    file.write_text("def run(input, context): return {'true': False}")

    assert stand.run("altered")["result"] == {"true": True}


def test_a_package_with_another_digest_is_refused(stand: Stand) -> None:
    stand.install("swapped", "def run(input, context): return {}")
    stand.registry.packages["swapped", "1.0.0"] = package(
        "swapped", "def run(input, context): return {'evil': 1}"
    )

    run = stand.run("swapped")

    assert run["outcome"] == "refused"
    assert "another digest" in run["reason"]


def test_a_run_waits_for_a_registry_that_is_down(stand: Stand) -> None:
    stand.registry.is_down = True
    try:
        stand.install("patient", "def run(input, context): return {'came': True}")
        run_id = stand.ask("patient", wait=1).json()["id"]
        assert stand.get_run(run_id, 0)["state"] != "finished"
    finally:
        stand.registry.is_down = False

    assert stand.get_run(run_id, 30)["result"] == {"came": True}


@pytest.mark.attack(row=42, what="printing a secret")
def test_given_secrets_are_masked_in_log_and_reason(stand: Stand) -> None:
    data = package(
        "talker",
        """
import base64
from urllib.parse import quote
def run(input, context):
    key = context.config["key"]
    print("plain", key)
    print("base64", base64.b64encode(b"user:" + key.encode()).decode())
    print("url", quote(key, safe=""))
    raise ValueError(key)
""",
        configuration={
            "type": "object",
            "properties": {"key": {"type": "string", "secret": True}},
        },
    )
    stand.install_bytes("talker", data, {"key": "s3cr3t/päss word"})

    run = stand.run("talker")
    log = stand.logs(run["id"])

    assert run["reason"] == "ValueError: ***"
    assert "plain ***" in log
    assert "url ***" in log
    assert "s3cr3t" not in log
    assert "czNjcjN0" not in log


def test_neighbours_run_at_the_same_time(stand: Stand) -> None:
    names = ("one", "two", "three")
    for name in names:
        stand.install(name, "import time\ndef run(input, context): time.sleep(300)")
    run_ids = [stand.ask(name).json()["id"] for name in names]

    def are_under_way() -> bool:
        runs = [stand.get_run(run_id, 0) for run_id in run_ids]
        return all(run["started_at"] and run["state"] == "running" for run in runs)

    eventually_sync(are_under_way, 60)
    for run_id in run_ids:
        stand.call("DELETE", f"/v1/runs/{run_id}")
    assert {stand.get_run(run_id)["outcome"] for run_id in run_ids} == {"cancelled"}
