"""Calls of plugins: to a container that waits, and from nothing; against the engine alone."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from benchmarks.figures import Figure, median, percentile
from benchmarks.sandbox import broker

from heimnetz_common import testing as servers
from heimnetz_sandbox import cgroups, containers, testing
from heimnetz_sandbox.engine import Engine
from heimnetz_sandbox.model import Limits
from heimnetz_sandbox.testing import Stand

IMAGE = testing.RUNTIME_IMAGE
CAPS = (
    "--network=none --read-only --cap-drop=ALL --security-opt=no-new-privileges --memory=128m "
    "--memory-swap=128m --cpus=0.5 --pids-limit=64 --user=20000:20000 --log-driver=none "
    "--tmpfs=/tmp:size=32m,noexec --ipc=none"
).split()
CODE = "def run(input, context):\n    return {}\n"
CALLS = 40
CALLERS, SECONDS = 4, 8.0
SCHEDULED = 24


def measure() -> Iterator[Figure]:
    """Sandbox and proxy as processes; PostgreSQL in a container, flushing as the stack's does."""
    with postgres() as url, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        place = Path(folder)
        place.chmod(0o711)
        keys = place / "keys"
        keys.mkdir()
        ring = servers.KeyRing(keys)
        bare = median([_docker_run() for _ in range(15)])
        with testing.standing(place, url, ring, WARM_PER_PLUGIN="4") as stand:
            warm = yield from _warm(stand, bare)
            yield from _staying(stand, warm, url)
        with testing.standing(place, url, ring) as stand:
            yield from _cold(stand)
            yield from _scheduled(stand)
    yield from broker.measure()


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    port = servers.free_port()
    command = (
        "set -e; PATH=$PATH:/usr/lib/postgresql/17/bin; export PGDATA=/tmp/data; "
        "initdb --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 >/dev/null; "
        "echo 'host all all all trust' >>$PGDATA/pg_hba.conf; "
        "exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp"
    )
    image = servers.image_of("POSTGRES_IMAGE", "postgres:17-trixie")
    started = subprocess.run(
        [
            *("docker", "run", "--detach", "--user", "postgres", "--entrypoint", "sh"),
            *("--publish", f"127.0.0.1:{port}:5432", image, "-c", command),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        servers.wait_for_postgres(url)
        yield url
    finally:
        subprocess.run(["docker", "rm", "-fv", started], check=False, capture_output=True)


def _docker_run() -> float:
    began = time.perf_counter()
    subprocess.run(
        ["docker", "run", "--rm", *CAPS, IMAGE, "python3", "-c", ""],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def _call(client: httpx.Client, plugin: str) -> float:
    began = time.perf_counter()
    answer = client.post(f"/v1/plugins/{plugin}/runs", json={"input": {}}).json()
    spent = time.perf_counter() - began
    assert answer["outcome"] == "ok", answer
    return spent


def _client(stand: Stand) -> httpx.Client:
    headers = {**stand.keys.user("sandbox", "owner"), "prefer": "wait=60"}
    return httpx.Client(base_url=stand.url, headers=headers, timeout=90)


def _figure(stand: Stand, name: str) -> float:
    for line in stand.client.get(f"{stand.url}/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def _cpu(stand: Stand) -> float:
    assert stand.process.child is not None
    fields = Path(f"/proc/{stand.process.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _warm(stand: Stand, bare: float) -> Generator[Figure, None, float]:
    """Returns: the median of a call, in seconds."""
    stand.install("warm", CODE)
    size = 'heimnetz_sandbox_pool_containers{plugin="warm"}'
    calls = 'heimnetz_sandbox_pool_calls_total{start="cold"}'
    spent, cpu = [], 0.0
    with _client(stand) as client:
        _call(client, "warm")
        before = _figure(stand, calls)
        for _ in range(CALLS):
            # A call now and then: the pool is full again, and nothing else is going on.
            servers.eventually_sync(lambda: _figure(stand, size) >= 1, 30)
            time.sleep(1.0)
            began = _cpu(stand)
            spent.append(_call(client, "warm"))
            cpu += _cpu(stand) - began
        assert _figure(stand, calls) == before
    peer = "docker run --rm with the same caps"
    yield Figure(
        f"call to a container that waits, p50 of {CALLS}, HTTP to recorded result",
        median(spent) * 1000, "ms", (peer, bare * 1000), "0.02",
    )  # fmt: skip
    yield Figure("the same, p99", percentile(spent, 0.99) * 1000, "ms", (peer, bare * 1000), "0.1")
    yield Figure("the sandbox's processor time for it", cpu / CALLS * 1000, "ms", to_reach="3")
    yield Figure("memory of a container that waits", _idle_memory(stand), "MiB", to_reach="8")
    return median(spent)


def _staying(stand: Stand, warm: float, url: str) -> Iterator[Figure]:
    """`fresh: process`: one caller after the other, then as many as there are containers."""
    stand.install("staying", CODE, fresh="process")
    size = 'heimnetz_sandbox_pool_containers{plugin="staying"}'
    with _client(stand) as client:
        _call(client, "staying")
        spent = []
        for _ in range(CALLS):
            servers.eventually_sync(lambda: _figure(stand, size) >= 1, 30)
            time.sleep(0.2)
            spent.append(_call(client, "staying"))
    yield Figure(
        f"call to a container that stays (fresh: process), p50 of {CALLS}",
        median(spent) * 1000, "ms", ("call to a container that waits", warm * 1000), "2",
    )  # fmt: skip
    _sustained(stand, ["staying"])
    ours = _sustained(stand, ["staying"])
    with _bare(url) as address:
        theirs = _throughput([address], {})
    yield Figure(
        f"the same, {CALLERS} callers without a pause",
        ours, "/s", ("FastAPI and asyncpg writing one row", theirs), "0.5",
    )  # fmt: skip


@contextlib.contextmanager
def _bare(url: str) -> Iterator[str]:
    port = servers.free_port()
    peer = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bare.py")), url, str(port)]
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        servers.eventually_sync(lambda: _answers(address), 20)
        yield address
    finally:
        peer.terminate()
        peer.wait(20)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.post(address, json={"input": {}}).status_code == 200
    return False


def _sustained(stand: Stand, plugins: Sequence[str]) -> float:
    """Calls a second, of these in turn."""
    headers = {**stand.keys.user("sandbox", "owner"), "prefer": "wait=60"}
    return _throughput([f"{stand.url}/v1/plugins/{name}/runs" for name in plugins], headers)


def _throughput(addresses: Sequence[str], headers: dict[str, str]) -> float:
    """Answers a second; callers have the addresses in turn."""

    def ask(address: str) -> int:
        done = 0
        with httpx.Client(headers=headers, timeout=90) as client:
            while time.perf_counter() < end:
                client.post(address, json={"input": {}}).raise_for_status()
                done += 1
        return done

    end = time.perf_counter() + SECONDS
    with ThreadPoolExecutor(CALLERS) as callers:
        asked = (addresses[number % len(addresses)] for number in range(CALLERS))
        return sum(callers.map(ask, asked)) / SECONDS


def _idle_memory(stand: Stand) -> float:
    servers.eventually_sync(stand.containers, 30)
    groups = [cgroups.find(Path("/sys/fs/cgroup"), one) for one in stand.containers()]
    usages = [group.read() for group in groups if group is not None]
    return median([usage.memory_bytes or 0 for usage in usages if usage is not None]) / (1 << 20)


def _cold(stand: Stand) -> Iterator[Figure]:
    plugins = [f"cold-{number}" for number in range(CALLERS)]
    for plugin in plugins:
        stand.install(plugin, CODE)
    with _client(stand) as client:
        for plugin in plugins:
            _call(client, plugin)
        spent = [_call(client, plugins[0]) for _ in range(20)]
    alone, together = asyncio.run(_engine_alone())
    peer = ("create, start and end of a container, by the engine's API", alone * 1000)
    yield Figure("call from nothing, p50 of 20", median(spent) * 1000, "ms", peer, "1.15")
    yield Figure(
        f"calls from nothing, {CALLERS} callers without a pause",
        _sustained(stand, plugins), "/s",
        ("create, start, end and removal by the engine's API, as many at a time", together), "0.8",
    )  # fmt: skip


async def _engine_alone() -> tuple[float, float]:
    """Seconds until a container's end, the median of one after the other; containers a second."""
    engine = Engine(testing.ENGINE)
    spent = []

    async def cycle() -> None:
        name = uuid.uuid4().hex
        document = containers.plugin(
            containers.Identity("bench", "bench", name, "bench", "bench"),
            image=IMAGE,
            command=["python3", "-c", ""],
            uid=20000,
            limits=Limits(),
            own_processes=2,
            folders={},
            image_variables=(),
        )
        began = time.perf_counter()
        container = await engine.create(f"heimnetz-bench-{name}", document)
        await engine.start(container)
        await engine.wait(container, 30)
        spent.append(time.perf_counter() - began)
        await engine.remove(container)

    async def cycles(end: float) -> None:
        while time.perf_counter() < end:
            await cycle()

    for _ in range(20):
        await cycle()
    alone, count = median(spent), len(spent)
    end = time.perf_counter() + SECONDS
    await asyncio.gather(*(cycles(end) for _ in range(CALLERS)))
    engine.close()
    return alone, (len(spent) - count) / SECONDS


def _scheduled(stand: Stand) -> Iterator[Figure]:
    """As many plugins as there are hours in a day, all due in the same second."""
    for number in range(SCHEDULED):
        triggers = {"cron": [{"schedule": "* * * * *"}]}
        stand.install(f"due-{number}", CODE, triggers=triggers)
    ended = """
        SELECT extract(epoch FROM max(finished_at) - min(queued_at)) AS seconds
          FROM runs
         WHERE trigger = 'cron'
           AND outcome = 'ok'
         GROUP BY date_trunc('minute', queued_at)
        HAVING count(*) >= $1
    """
    (row, *_) = servers.eventually_sync(lambda: stand.fetch(ended, SCHEDULED), 180)
    yield Figure(
        f"{SCHEDULED} plugins due in the same second: until the last has ended",
        float(row["seconds"]), "s", to_reach="under 10",
    )  # fmt: skip
