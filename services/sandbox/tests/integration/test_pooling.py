"""Containers that wait for calls: who gets one, what is never shared, and when they go."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.testing import Stand, package, pool_size, standing, waiting

pytestmark = [pytest.mark.engine, pytest.mark.long]

STATEFUL = """
import os
calls = []
print("imported")

def run(input, context):
    calls.append(1)
    here = sorted(path.name for path in context.files.values())
    open("/tmp/left", "a").write("x")
    return {"calls": len(calls), "left": len(open("/tmp/left").read()), "pid": os.getpid(),
            "configuration": dict(context.config), "files": here}
"""


@pytest.fixture(scope="module")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    with standing(
        place, postgres_url, key_ring, WARM_PER_PLUGIN="2", WARM_MEMORY_BYTES=str(1 << 28)
    ) as stand:
        yield stand


def warm_calls(stand: Stand) -> float:
    for line in stand.client.get(f"{stand.url}/metrics").text.splitlines():
        if line.startswith('heimnetz_sandbox_pool_calls_total{start="warm"}'):
            return float(line.rpartition(" ")[2])
    return 0.0


def warmed(stand: Stand, name: str, code: str = STATEFUL, **options: Any) -> Stand:
    """The plugin, called once, so that another container waits for it."""
    stand.install(name, code, **options)
    assert stand.run(name)["outcome"] in ("ok", "error")
    eventually_sync(lambda: pool_size(stand, name), 20)
    return stand


def test_a_call_after_the_first_meets_a_container_that_waited(stand: Stand) -> None:
    warmed(stand, "waited", configuration={"unit": "kWh"})
    before = warm_calls(stand)

    run = stand.run("waited")

    assert warm_calls(stand) == before + 1
    assert run["result"]["configuration"] == {"unit": "kWh"}
    assert "imported" in stand.logs(run["id"])


@pytest.mark.attack(row=41, what="finding what the last call left")
def test_what_one_call_left_the_next_does_not_find(stand: Stand) -> None:
    warmed(stand, "forgetful")

    for _ in range(3):
        eventually_sync(lambda: pool_size(stand, "forgetful"), 20)
        result = stand.run("forgetful")["result"]
        assert (result["calls"], result["left"]) == (1, 1)


def test_files_reach_a_container_that_waited(stand: Stand) -> None:
    warmed(stand, "reader")

    answer = stand.call(
        "POST",
        "/v1/plugins/reader/runs",
        headers={"prefer": "wait=30"},
        data={"input": "{}"},
        files=[("file", ("a.csv", b"1,2"))],
    )

    assert answer.json()["result"]["files"] == ["a.csv"]


def test_a_version_or_configuration_that_changed_is_not_served_by_what_waited(
    stand: Stand,
) -> None:
    warmed(stand, "changing", configuration={"n": 1})

    stand.install("changing", STATEFUL, configuration={"n": 2})

    assert stand.run("changing")["result"]["configuration"] == {"n": 2}


def test_a_secret_is_masked_in_what_waited(stand: Stand) -> None:
    code = """
def run(input, context):
    print("it is", input["key"], context.config["key"])
    return {}
"""
    schema = {"type": "object", "properties": {"key": {"type": "string", "secret": True}}}
    data = package("telling", code, None, configuration=schema)
    stand.install_bytes("telling", data, {"key": "correct-horse"})
    stand.run("telling", {"key": "first"})
    eventually_sync(lambda: pool_size(stand, "telling"), 20)

    run = stand.run("telling", {"key": "second"})

    assert "it is second ***" in stand.logs(run["id"])


def test_a_plugin_that_does_not_load_is_not_warmed_and_its_run_says_why(stand: Stand) -> None:
    stand.install("broken", "raise RuntimeError('not today')")

    first, second = stand.run("broken"), stand.run("broken")

    assert (first["outcome"], second["outcome"]) == ("error", "error")
    assert "not today" in second["reason"]
    assert waiting(stand, "broken") == []


def test_a_container_that_dies_while_it_waits_is_not_called(stand: Stand) -> None:
    warmed(stand, "mortal")
    for container in waiting(stand, "mortal"):
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)

    assert stand.run("mortal")["outcome"] == "ok"


def test_a_plugin_that_ends_while_it_waits_is_not_called(stand: Stand) -> None:
    code = """
import os, threading
threading.Timer(3.0, os._exit, (3,)).start()

def run(input, context): return {}
"""
    stand.install("leaver", code)
    stand.run("leaver")
    first = set(eventually_sync(lambda: waiting(stand, "leaver"), 20))
    eventually_sync(lambda: not first & set(waiting(stand, "leaver")), 30)

    assert stand.run("leaver")["outcome"] == "ok"


@pytest.mark.attack(row=12, what="spinning while it waits")
def test_a_plugin_that_works_while_it_waits_does_not_wait_long(stand: Stand) -> None:
    code = """
import threading

def spin():
    while True:
        pass

threading.Thread(target=spin, daemon=True).start()

def run(input, context): return {}
"""
    stand.install("restless", code)
    stand.run("restless")
    began = set(eventually_sync(lambda: waiting(stand, "restless"), 20))

    eventually_sync(lambda: not began & set(waiting(stand, "restless")), 30)


def test_calls_beyond_what_waits_are_served_and_counted(stand: Stand) -> None:
    warmed(stand, "popular")

    ids = [stand.ask("popular").json()["id"] for _ in range(6)]

    assert {stand.get_run(run_id)["outcome"] for run_id in ids} == {"ok"}
    assert len({stand.get_run(run_id)["id"] for run_id in ids}) == 6


def test_a_call_repeated_with_its_key_is_one_run_though_a_container_waits(stand: Stand) -> None:
    warmed(stand, "once")
    headers = {"idempotency-key": "k1"}

    first = stand.ask("once", wait=20, headers=headers).json()
    again = stand.ask("once", wait=20, headers=headers).json()

    assert first["id"] == again["id"]
    assert first["outcome"] == "ok"


def test_a_killed_sandbox_leaves_no_container_that_waits(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with standing(place, postgres_url, key_ring, WARM_PER_PLUGIN="2", LEASE_SECONDS="3") as stand:
        warmed(stand, "orphaned")
        left = waiting(stand, "orphaned")

        stand.process.end(signal.SIGKILL)
        stand.start()

        eventually_sync(lambda: not set(left) & set(waiting(stand, "orphaned")), 30)
        eventually_sync(
            lambda: (
                len(list((stand.run_dir / "runs").iterdir())) == len(waiting(stand, "orphaned"))
            ),
            30,
        )


def test_a_stopped_sandbox_leaves_no_container_that_waits(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with standing(place, postgres_url, key_ring, WARM_PER_PLUGIN="2") as stand:
        warmed(stand, "dismissed")

        stand.process.end()

        assert waiting(stand, "dismissed") == []
        assert list((stand.run_dir / "runs").iterdir()) == []


def test_a_run_in_a_container_that_waited_is_interrupted_and_leaves_nothing(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with standing(place, postgres_url, key_ring, WARM_PER_PLUGIN="2") as stand:
        code = "import time\ndef run(input, context): time.sleep(input.get('sleep', 0)); return {}"
        warmed(stand, "long", code)
        run_id = stand.ask("long", {"sleep": 25}).json()["id"]
        eventually_sync(lambda: stand.get_run(run_id, 0)["started_at"], 15)

        stand.process.end()

        assert stand.containers() == []
        stand.start()
        assert stand.get_run(run_id, 0)["outcome"] == "interrupted"
