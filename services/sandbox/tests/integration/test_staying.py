"""Containers that stay, for plugins that want a new process for every call and no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.testing import Stand, pool_size, standing, waiting

pytestmark = pytest.mark.engine

STATEFUL = """
import os
calls = []

def run(input, context):
    calls.append(1)
    open("/tmp/left", "a").write("x")
    return {"calls": len(calls), "left": len(open("/tmp/left").read()), "pid": os.getpid()}
"""
PARENT = """
import subprocess, sys
calls = []
started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

def run(input, context):
    calls.append(1)
    if input.get("leave"):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    here = []
    import os
    for name in os.listdir("/proc"):
        if name.isdecimal():
            here.append(open(f"/proc/{name}/cmdline").read().replace(chr(0), " "))
    return {"calls": len(calls), "sleepers": sum("sleep(600)" in line for line in here)}
"""


@pytest.fixture(scope="module")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    with standing(
        place, postgres_url, key_ring, WARM_PER_PLUGIN="1", WARM_MEMORY_BYTES=str(1 << 30)
    ) as stand:
        yield stand


def staying(stand: Stand, name: str, code: str = STATEFUL, **options: object) -> str:
    """The container that waits for the plugin's calls."""
    stand.install(name, code, fresh="process", **options)
    assert stand.run(name, {"word": ""})["outcome"] in ("ok", "error")
    (container,) = eventually_sync(lambda: pool_size(stand, name) and waiting(stand, name), 20)
    return str(container)


@pytest.mark.attack(row=41, what="finding what the last call left, in the same container")
def test_a_container_that_stays_gives_every_call_a_new_process(stand: Stand) -> None:
    container = staying(stand, "staying")

    results = []
    for _ in range(4):
        results.append(stand.run("staying")["result"])
        eventually_sync(lambda: pool_size(stand, "staying"), 20)

    assert [(one["calls"], one["left"]) for one in results] == [(1, 1)] * 4
    assert len({one["pid"] for one in results}) == 4
    assert container in waiting(stand, "staying")


def test_what_a_call_started_is_gone_before_the_next(stand: Stand) -> None:
    container = staying(stand, "starter", PARENT, limits={"processes": 16})
    stand.run("starter", {"leave": True})
    eventually_sync(lambda: pool_size(stand, "starter"), 20)

    result = stand.run("starter")["result"]

    assert result == {"calls": 1, "sleepers": 0}
    assert container in waiting(stand, "starter")


def test_files_and_folders_of_a_call_are_gone_before_the_next(stand: Stand) -> None:
    code = """
import os
def run(input, context):
    seen = [os.listdir("/tmp"), os.listdir("/out"), os.listdir("/in")]
    os.makedirs("/tmp/a/b")
    open("/tmp/a/b/c", "w").write("x")
    os.symlink("/plugin", "/tmp/link")
    os.chmod("/tmp/a/b", 0)
    open("/out/file", "w").write("x")
    os.mkdir("/out/folder")
    return seen
"""
    staying(stand, "tidy", code)
    for _ in range(2):
        answer = stand.call(
            "POST",
            "/v1/plugins/tidy/runs",
            headers={"prefer": "wait=30"},
            data={"input": "{}"},
            files=[("file", ("a.csv", b"1,2"))],
        )
        assert answer.json()["result"] == [[], [], ["a.csv"]]
        assert [file["name"] for file in answer.json()["files"]] == ["file"]
        eventually_sync(lambda: pool_size(stand, "tidy"), 20)

    assert stand.run("tidy")["result"] == [[], [], []]


def test_each_run_of_a_container_that_stays_has_its_own_log_and_error(stand: Stand) -> None:
    code = """
def run(input, context):
    print("saw", input["word"])
    if input["word"] == "bad":
        raise ValueError("no such word")
    return input["word"]
"""
    staying(stand, "speaker", code)
    runs = []
    for word in ("one", "bad", "two"):
        runs.append(stand.run("speaker", {"word": word}))
        eventually_sync(lambda: pool_size(stand, "speaker"), 20)

    assert [run["outcome"] for run in runs] == ["ok", "error", "ok"]
    assert [stand.logs(run["id"]).count("saw") for run in runs] == [1, 1, 1]
    assert "ValueError: no such word" in runs[1]["reason"]
    assert runs[2]["result"] == "two"


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("b'x' * (200 << 20)", "out_of_memory"),
        ("time.sleep(60)", "timeout"),
        ("os.kill(os.getpid(), 9)", "error"),
        (
            "[os.kill(int(n), 9) for n in os.listdir('/proc') if n.isdecimal() and n != '1']",
            "error",
        ),
    ],
)
def test_a_call_that_hits_a_cap_of_a_container_that_stays_does_not_hurt_the_next(
    stand: Stand, what: str, outcome: str
) -> None:
    code = f"""
import os, time
def run(input, context):
    if input.get("now"):
        {what}
    return "fine"
"""
    name = f"capped-{outcome.replace('_', '-')}-{len(what)}"
    staying(stand, name, code, limits={"wall": "3s", "memory": "128MiB"})

    assert stand.run(name, {"now": True})["outcome"] == outcome
    assert stand.run(name)["result"] == "fine"


def test_processor_time_of_a_container_that_stays_is_each_call_s_own(stand: Stand) -> None:
    code = """
import time
def run(input, context):
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass
    return "fine"
"""
    staying(stand, "thinker", code, limits={"cpu_time": "1200ms"})
    for _ in range(4):
        assert stand.run("thinker")["outcome"] == "ok"
        eventually_sync(lambda: pool_size(stand, "thinker"), 20)


def test_a_template_that_does_not_load_is_told_by_the_run(stand: Stand) -> None:
    stand.install("broken-template", "raise RuntimeError('not today')", fresh="process")

    run = stand.run("broken-template")

    assert run["outcome"] == "error"
    assert "not today" in run["reason"]
