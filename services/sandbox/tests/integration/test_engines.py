"""What only an engine of one's own lets one try: stopping it, and setting it up otherwise."""

import functools
import hashlib
import shutil
import signal
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_manifest import pack
from heimnetz_sandbox.app import BUILDER_UID
from heimnetz_sandbox.testing import (
    BUILDER_IMAGE,
    ROOT,
    RUNTIME_IMAGE,
    Stand,
    pool_size,
    standing,
    waiting,
)
from heimnetz_sandbox.testing_engines import (
    FIRST_UID,
    UIDS,
    OwnEngine,
    own_engine,
    remapped_engine,
)

# Beyond the time for one test: what is ended by force leaves its engine behind.
pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(300)]

PLUGINS = ("stopped", "killed", "long")
LONG = "import time\ndef run(input, context):\n    time.sleep(60)"
BUSY = "import time\ndef run(input, context):\n    time.sleep(0.5)\n    return {}"

# What an engine answers on a machine whose kernel cannot count processes.
WARNS = """
import docker
real = docker.APIClient.create_container_from_config
def warns(*arguments):
    return {**real(*arguments), "Warnings": ["PIDs limit discarded."]}
docker.APIClient.create_container_from_config = warns
"""
KEEPER = """
calls = []

def run(input, context):
    calls.append(1)
    count = int(context.storage.get("count") or 0) + 1
    context.storage.put("count", str(count).encode())
    open("/tmp/left", "x").close()
    open("/out/said.txt", "w").write("said")
    words = open("/in/words.txt").read()
    return {"count": count, "calls": len(calls), "words": words}
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def stand(engine: OwnEngine, place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    options = {"WARM_PER_PLUGIN": "1", "PLUGIN_CONCURRENCY": "4"}
    with standing(place, postgres_url, key_ring, engine=engine.socket, **options) as stand:
        yield stand


def states(stand: Stand, plugin: str) -> dict[str, str]:
    """Of each run its state, or its outcome."""
    page = stand.call("GET", f"/v1/runs?plugin={plugin}&limit=100").json()
    return {run["id"]: run["outcome"] or run["state"] for run in page["items"]}


def endings(stand: Stand) -> list[str]:
    """The run of each announced ending."""
    rows = stand.fetch(
        "SELECT convert_from(document, 'UTF8')::json -> 'data' ->> 'run_id' AS run FROM outbox"
        " WHERE event_type = 'heimnetz.run.finished.v1' ORDER BY run"
    )
    return [row["run"] for row in rows]


def ask_20(stand: Stand, plugin: str) -> list[str]:
    """Of a plugin for which a container waits; the first of them is under way."""
    stand.install(plugin, BUSY)
    stand.run(plugin)
    eventually_sync(lambda: pool_size(stand, plugin), 30)
    asked = [stand.ask(plugin).json()["id"] for _ in range(20)]
    eventually_sync(lambda: "running" in states(stand, plugin).values(), 30)
    return asked


def kept(stand: Stand, plugin: str) -> set[str]:
    """What waits once nothing of the plugin is under way any more."""
    eventually_sync(lambda: "running" not in states(stand, plugin).values(), 30)
    waits = {run for run, state in states(stand, plugin).items() if state == "queued"}
    assert waits
    return waits


def assert_all_is_well(stand: Stand, plugin: str, asked: list[str], queued: set[str]) -> None:
    """Outcomes, queue, pool and containers after the engine has come back."""
    eventually_sync(lambda: not {"queued", "running"} & {*states(stand, plugin).values()}, 60)
    over = states(stand, plugin)
    assert {over[run] for run in asked} <= {"ok", "engine_error"}
    assert {over[run] for run in queued} == {"ok"}
    assert stand.run(plugin)["outcome"] == "ok"
    assert [run for run in endings(stand) if run in asked] == sorted(asked)
    eventually_sync(lambda: pool_size(stand, plugin) == len(waiting(stand, plugin)) == 1, 70)
    eventually_sync(
        lambda: len(stand.containers()) == sum(pool_size(stand, one) for one in PLUGINS), 30
    )


CGROUPS_2 = """
import docker
real = docker.APIClient.info
docker.APIClient.info = lambda client: {**real(client), "CgroupVersion": "2"}
"""


@pytest.mark.parametrize(("program", "used"), [("runc", "crun"), ("false", "runc")])
def test_crun_is_preferred_where_it_runs_a_plugin(
    place: Path, postgres_url: str, key_ring: KeyRing, program: str, used: str
) -> None:
    known = {"crun": {"path": shutil.which(program)}}
    with (
        own_engine(configuration={"runtimes": known}) as engine,
        standing(
            place, postgres_url, key_ring, CGROUPS_2, engine=engine.socket, WARM_PER_PLUGIN="1"
        ) as stand,
    ):
        stand.install("quick", BUSY)
        assert stand.run("quick")["outcome"] == "ok"
        (container,) = eventually_sync(lambda: waiting(stand, "quick"), 30)

        runtime = engine.docker("inspect", "--format", "{{.HostConfig.Runtime}}", container)
        assert runtime.strip() == used


@pytest.mark.attack(row=58, what="stopping the engine during 20 runs")
def test_runs_wait_for_an_engine_that_was_stopped(engine: OwnEngine, stand: Stand) -> None:
    asked = ask_20(stand, "stopped")

    engine.stop()

    queued = kept(stand, "stopped")
    engine.start()
    assert_all_is_well(stand, "stopped", asked, queued)


@pytest.mark.attack(row=58, what="killing the engine during 20 runs, and the containers with it")
def test_a_run_whose_container_went_with_the_engine_says_so(
    engine: OwnEngine, stand: Stand
) -> None:
    stand.install("long", LONG, limits={"wall": "90 s"})
    long = stand.ask("long").json()["id"]
    eventually_sync(lambda: stand.get_run(long, 0)["started_at"], 30)
    asked = ask_20(stand, "killed")

    engine.stop(signal.SIGKILL)

    queued = kept(stand, "killed")
    # Without live-restore an engine that begins ends what it finds.
    engine.options = ["--live-restore=false"]
    engine.start()
    assert stand.get_run(long)["outcome"] == "engine_error"
    assert_all_is_well(stand, "killed", asked, queued)
    engine.options = []
    engine.stop(signal.SIGKILL)
    engine.start()


@dataclass(frozen=True)
class Index:
    """A folder with one wheel, served as PEP 503 has it."""

    url: str
    lock: str


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    root = tmp_path_factory.mktemp("index")
    wheel = root / "simple/dep/dep-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    info = "dep-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("dep.py", "VALUE = 1\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: dep\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{info}/RECORD", "")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        url = f"http://127.0.0.1:{server.server_port}/simple"
        yield Index(url, f"dep==1.0 --hash=sha256:{digest}\n")
        server.shutdown()


@pytest.fixture(scope="module")
def mapped(place: Path, postgres_url: str, key_ring: KeyRing, index: Index) -> Iterator[Stand]:
    settings = {"WARM_PER_PLUGIN": "1", "PACKAGE_INDEX_URL": index.url}
    with (
        remapped_engine(images=(RUNTIME_IMAGE, BUILDER_IMAGE)) as engine,
        standing(place, postgres_url, key_ring, engine=engine.socket, **settings) as stand,
    ):
        yield stand


@pytest.mark.attack(row=31, what="being somebody on the host, where users are mapped")
def test_where_users_are_mapped_a_plugin_is_nobody_on_the_host(mapped: Stand) -> None:
    mapped.install_bytes("probe", pack(ROOT / "tests/security/probe"))

    found = mapped.run("probe")["result"]

    assert found["uid_map"] == [[0, FIRST_UID, UIDS]]
    assert found["uid"] >= 20_000
    assert set(found["capabilities"].values()) == {"0" * 16}
    assert "possible" not in found["attempts"].values()


@pytest.mark.parametrize("fresh", ["container", "process"])
def test_where_users_are_mapped_files_storage_and_results_work(mapped: Stand, fresh: str) -> None:
    name = f"keeper-{fresh}"
    storage = {"storage": {"size": "4 KiB", "reason": "Counts"}}
    mapped.install(name, KEEPER, fresh=fresh, permissions=storage)

    results = []
    for words in ("one", "two"):
        run = mapped.call(
            "POST",
            f"/v1/plugins/{name}/runs",
            data={"input": "{}"},
            files={"file": ("words.txt", words.encode())},
            headers={"prefer": "wait=60"},
        ).json()
        assert run["outcome"] == "ok", run["reason"]
        assert mapped.call("GET", f"/v1/runs/{run['id']}/files/said.txt").text == "said"
        results.append(run["result"])
        eventually_sync(lambda: pool_size(mapped, name), 70)

    assert results == [
        {"count": 1, "calls": 1, "words": "one"},
        {"count": 2, "calls": 1, "words": "two"},
    ]


def test_where_users_are_mapped_dependencies_are_built(mapped: Stand, index: Index) -> None:
    mapped.install(
        "depends",
        "import dep\ndef run(input, context): return {'value': dep.VALUE}",
        files={"requirements.lock": index.lock},
        dependencies={"lock": "requirements.lock"},
    )

    run = mapped.run("depends", wait=60)

    assert run["result"] == {"value": 1}, run["reason"]
    owners = {path.stat().st_uid for path in (mapped.run_dir / "deps").rglob("*")}
    assert owners == {BUILDER_UID}


def test_a_run_is_refused_by_an_engine_that_discards_a_cap(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with standing(place, postgres_url, key_ring, WARNS) as stand:
        stand.install("capless", "def run(input, context):\n    print('I ran')\n    return {}")

        run = stand.run("capless")

        assert run["outcome"] == "engine_error"
        assert "PIDs limit discarded" in run["reason"]
        assert "I ran" not in stand.logs(run["id"])
        assert stand.containers() == []
