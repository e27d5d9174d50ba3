"""Plugins behind gVisor's kernel: the same runs and attacks, and what is different there and why.

`scripts/gvisor.sh` installs runsc.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.containers import RUNSC_FLAGS
from heimnetz_sandbox.testing import ROOT, Stand, pool_size, standing, waiting
from heimnetz_sandbox.testing_engines import OwnEngine, own_engine

from .test_attacks import ATTEMPTS, EXCESSES, PRELUDE, SYSCALLS, attempt_all, inspect, name_of
from .test_reaching import FAR, FETCH, a_site

pytestmark = [pytest.mark.engine, pytest.mark.long]

# Attacks that are not refused under gVisor, each with its reason; docs/gvisor.md tells them.
DIFFERENT = {
    "more priority": "gVisor keeps the number and does not schedule by it; the cgroup's share holds",
    "process 1's descriptors": "gVisor lists them whatever PR_SET_DUMPABLE says; they are of this"
    " container alone, and the sandbox believes nothing that comes over them",
    "process 1's environment": "as its descriptors; it holds PATH, HOSTNAME and HOME",
}
LIMITS = {"wall": "4 s", "cpu": 1.0, "memory": "96 MiB", "processes": 16, "tmp": "4 MiB"}
# How runs end, and where it is not as under runc, why.
ENDINGS: dict[str, tuple[str, set[str]]] = {
    "an error": ("raise ValueError('no')", {"error"}),
    "sleeping": ("time.sleep(60)", {"timeout"}),
    "a gibibyte": ("bytearray(1 << 30)", {"out_of_memory"}),
    "a flood of output": (EXCESSES["a flood of output"][1], {"output_limit"}),
    "one file that fills /tmp": (EXCESSES["one file that fills /tmp"][1], {"disk_limit"}),
    # gVisor's kernel takes memory of the container for each process, and dies where it gets no
    # thread any more: a bomb may reach either end first.
    "a fork bomb": (
        EXCESSES["a fork bomb"][1],
        {"pids_limit", "out_of_memory", "error", "timeout"},
    ),
    # gVisor's tmpfs has no cap on inodes; those take memory of the container.
    "a million empty files": (
        EXCESSES["a million empty files"][1],
        {"out_of_memory", "timeout", "disk_limit"},
    ),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    runsc = shutil.which("runsc")
    assert runsc is not None, "gVisor is missing: scripts/gvisor.sh installs it on Debian"
    runtimes = {"runsc": {"path": runsc, "runtimeArgs": list(RUNSC_FLAGS)}}
    with own_engine(configuration={"runtimes": runtimes}) as engine:
        yield engine


@pytest.fixture(scope="module")
def stand(engine: OwnEngine, place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    with standing(
        place, postgres_url, key_ring, FAR, engine=engine.socket, OCI_RUNTIME="runsc"
    ) as stand:
        yield stand


def test_a_call_behind_gvisor_answers_with_its_result_files_and_log(stand: Stand) -> None:
    stand.install(
        "echo",
        """
import os
def run(input, context):
    print("to stdout")
    context.storage.put("key", "kept")
    (context.out / "greeting.txt").write_text("hello " + context.config["name"])
    return {"got": input, "stored": context.storage.get("key").decode(), "kernel": os.uname().version}
""",
        configuration={"name": "anna"},
        permissions={"storage": {"size": "4 KiB", "reason": "Counts"}},
    )

    run = stand.run("echo", {"a": [1, "ü"]})

    assert run["outcome"] == "ok", (run, stand.logs(run["id"]))
    assert run["result"]["got"] == {"a": [1, "ü"]}
    assert run["result"]["stored"] == "kept"
    # Not the host's: gVisor says so of itself in every release.
    assert run["result"]["kernel"] == "#1 SMP Sun Jan 10 15:06:54 PST 2016"
    file = stand.call("GET", f"/v1/runs/{run['id']}/files/greeting.txt")
    assert file.content == b"hello anna"
    assert "stdout to stdout" in stand.logs(run["id"])


def test_a_plugin_behind_gvisor_reaches_what_it_was_granted_and_nothing_else(stand: Stand) -> None:
    with a_site() as site:
        granted = {"network": [{"to": site, "reason": "The test's server"}]}
        stand.install("fetcher", FETCH, permissions=granted)
        urls = [f"http://{site}/", "http://example.org/"]

        run = stand.run("fetcher", {"urls": urls})

    found = run["result"]
    assert (found[urls[0]], found[f"fetch {urls[0]}"]) == ("hello", "hello")
    assert "403" in found[urls[1]]
    assert "example.org:80 is not granted" in found[f"fetch {urls[1]}"]
    # gVisor's words for what runc's kernel calls "Network is unreachable".
    assert found["raw"] == "No route to host"
    assert "sandbox refused: example.org:80 is not granted" in stand.logs(run["id"])


def test_a_container_behind_gvisor_stays_and_gives_every_call_a_new_process(
    engine: OwnEngine, place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    code = """
import os
calls = []
def run(input, context):
    calls.append(1)
    open("/tmp/left", "a").write("x")
    return {"calls": len(calls), "left": len(open("/tmp/left").read()), "pid": os.getpid()}
"""
    options = {"OCI_RUNTIME": "runsc", "WARM_PER_PLUGIN": "1"}
    with standing(place, postgres_url, key_ring, engine=engine.socket, **options) as stand:
        stand.install("staying", code, fresh="process")
        stand.run("staying")
        eventually_sync(lambda: pool_size(stand, "staying"), 60)
        before = waiting(stand, "staying")

        results = []
        for _ in range(2):
            results.append(stand.run("staying")["result"])
            eventually_sync(lambda: pool_size(stand, "staying"), 30)

        assert [(one["calls"], one["left"]) for one in results] == [(1, 1)] * 2
        assert results[0]["pid"] != results[1]["pid"]
        assert waiting(stand, "staying") == before


@pytest.mark.parametrize("what", ENDINGS)
def test_a_run_behind_gvisor_ends_as_it_should_and_leaves_nothing(stand: Stand, what: str) -> None:
    code, outcomes = ENDINGS[what]
    name = f"g{name_of(what)}"
    stand.install(name, f"{PRELUDE}    {code}\n", limits={**LIMITS, "log": "16 KiB"})

    run = stand.run(name)

    assert run["outcome"] in outcomes, run["reason"]
    assert stand.containers(run["id"]) == []


def test_what_cannot_run_behind_gvisor_says_so_and_starts_nothing(stand: Stand) -> None:
    code = "export function run() { return {}; }"
    stand.install("noded", files={"plugin.js": code}, runtime="node", entry_point="plugin.js:run")

    run = stand.run("noded")

    assert (run["outcome"], run["started_at"]) == ("engine_error", None)
    assert "behind gVisor no Node plugin runs" in run["reason"]


@pytest.fixture(scope="module")
def refusals(stand: Stand) -> dict[str, str]:
    return attempt_all(stand)


@pytest.mark.parametrize("what", [*ATTEMPTS, *SYSCALLS])
def test_gvisor_refuses_an_attempt_or_there_is_a_reason(
    refusals: dict[str, str], what: str
) -> None:
    assert refusals[what].startswith("allowed") == (what in DIFFERENT), refusals[what]


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_is_different_behind_gvisor_is_documented(what: str) -> None:
    assert f"| {what} |" in (ROOT / "docs/gvisor.md").read_text(encoding="utf-8")


def test_from_inside_gvisor_there_is_no_privilege_no_network_and_nothing_of_the_host(
    stand: Stand,
) -> None:
    inside: dict[str, Any] = inspect(stand)

    status = inside["status"]
    assert {status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert status["Seccomp"].strip() == "2"
    assert inside["setuid"] == []
    assert inside["uid"] >= 20_000
    assert inside["interfaces"] == ["lo"]
    assert inside["opened"] < 64
    assert inside["executed"] == "Permission denied"
    assert set(inside["masked"].values()) <= {"", "FileNotFoundError", "PermissionError"}
    assert inside["firmware"] == []
    assert len(inside["descriptors"]) <= 6
    assert sorted(inside["plugins"]) == ["plugin.py", "plugin.yaml"]
    assert inside["tmp"] == ["script"]


def _readiness(stand: Stand) -> httpx.Response | None:
    """As soon as it says anything of it."""
    with contextlib.suppress(httpx.HTTPError):
        return stand.client.get(f"{stand.url}/readyz")
    return None


def test_without_the_runtime_that_was_chosen_the_sandbox_is_not_ready_and_nothing_runs(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with standing(place, postgres_url, key_ring) as stand:
        stand.install("plain", "def run(input, context): return {}")
        for service, process in {"ENGINE_PROXY": stand.proxy, "SANDBOX": stand.process}.items():
            process.end()
            process.environment[f"HEIMNETZ_{service}_OCI_RUNTIME"] = "kata"
            process.start()

        ready = eventually_sync(lambda: _readiness(stand), 30)
        run = stand.run("plain")

    assert ready.status_code == 503
    assert "the engine has no runtime 'kata'" in ready.text
    assert run["outcome"] == "engine_error"
