"""What the stack as a whole costs and does."""

import json
import os
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from benchmarks.figures import Figure, median, percentile
from benchmarks.ground import operations

from heimnetz_cli import session
from heimnetz_manifest.packing import pack_files
from heimnetz_sdk.client import Client

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
MANIFEST = """\
manifest: 1
name: {name}
version: 1.0.0
title: Bench
summary: Returns at once.
licence: Apache-2.0
authors: [{{name: Bench}}]
kind: job
runtime: python
entry_point: bench:run
"""
CODE = """
import time

def run(input, context):
    (context.out / "out.txt").write_text("x")
    time.sleep(input.get("sleep", 0))
    return {}
"""
PASSWORD = "measured-and-thrown-away"
IMAGE = "heimnetz/runtime-python:0.1.0"
CAPS = (
    "--network=none --read-only --cap-drop=ALL --security-opt=no-new-privileges --memory=128m "
    "--memory-swap=128m --cpus=0.5 --pids-limit=64 --user=20000:20000 --log-driver=none "
    "--tmpfs=/tmp:size=32m,noexec --ipc=none"
).split()


def measure() -> Iterator[Figure]:
    """On a stack of its own, beside one that may be in use."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "COMPOSE_PROJECT_NAME": "heimnetz-bench",
            "HEIMNETZ_BIND": "127.0.0.1",
            "HEIMNETZ_PORT": "28443",
            "HEIMNETZ_PLUGIN_PORT": "28444",
            "HEIMNETZ_RUN_DIR": "/var/lib/heimnetz/bench-run",
            "HEIMNETZ_OUT": home,
            "XDG_CONFIG_HOME": home,
        }
        command("make", "up")
        try:
            command("scripts/login.sh")
            yield from _all()
        finally:
            command("make", "clean", "YES=1")


def _all() -> Iterator[Figure]:
    stored = session.load()
    yield from _memory()
    with Client(stored.url, token=stored.token, ca_file=stored.ca_file) as client:
        yield from _publishing(client)
        name, _ = _publish(client)
        yield from _running(client, name)
    yield from _delivery()
    yield from _backlog()
    yield from _reading(name)
    yield from _operations(stored, name)


def command(*words: str, stdin: str = "") -> str:
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True, input=stdin)
    return done.stdout


def execute(sql: str) -> str:
    return command(
        *("docker", "compose", "exec", "-T", "--user", "10020", "postgres", "psql", "--quiet"),
        *("--username=postgres", "--dbname=heimnetz", "--tuples-only", "--no-align"),
        *("--command", sql),
    )


def rows(sql: str) -> Any:
    return json.loads(execute(f"SELECT coalesce(json_agg(found), '[]') FROM ({sql}) AS found"))


def _pack(name: str) -> bytes:
    return pack_files(
        {"plugin.yaml": MANIFEST.format(name=name).encode(), "src/bench.py": CODE.encode()}
    )


def _publish(client: Client) -> tuple[str, float]:
    """A plugin of its own, and the seconds until it is approved."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    data = _pack(name)
    began = time.perf_counter()
    client.registry.publish(name, data)
    while client.registry.get_version(name, "1.0.0").state != "approved":
        time.sleep(0.01)
    return name, time.perf_counter() - began


def _publishing(client: Client) -> Iterator[Figure]:
    yield Figure(
        "publish to approved, median of 7",
        median([_publish(client)[1] for _ in range(7)]) * 1000,
        "ms",
    )


def _running(client: Client, name: str) -> Iterator[Figure]:
    client.registry.install(name, "1.0.0", grants=[], configuration={})
    path = f"/api/sandbox/v1/plugins/{name}/runs"
    while not rows(f"SELECT 1 FROM sandbox.installations WHERE plugin = '{name}'"):
        time.sleep(0.1)
    ours, theirs = [], []
    for number in range(26):
        began = time.perf_counter()
        answer = client.transport.request(
            "POST", path, document={"input": {}}, headers={"Prefer": "wait=30"}
        ).json()
        assert answer["outcome"] == "ok", answer
        if number:
            ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        command(
            "docker", "run", "--rm", *CAPS, "heimnetz/runtime-python:0.1.0", "python3", "-c", ""
        )
        if number:
            theirs.append(time.perf_counter() - began)
    bare = ("docker run --rm with the same caps", median(theirs) * 1000)
    yield Figure(
        "a run through gateway and API, median of 25 one after the other",
        median(ours) * 1000,
        "ms",
        bare,
    )


def _delivery() -> Iterator[Figure]:
    seconds = [
        row["seconds"]
        for row in rows(
            "SELECT extract(epoch FROM handled_at - created_at)::float AS seconds"
            "  FROM sandbox.outbox JOIN monitor.inbox USING (event_id)"
            " ORDER BY outbox.id DESC LIMIT 50"
        )
    ]
    for share in (0.5, 0.99):
        yield Figure(
            f"commit to consumer's commit, p{share * 100:.0f} of {len(seconds)} events",
            percentile(seconds, share) * 1000,
            "ms",
        )


def _backlog() -> Iterator[Figure]:
    """Events that waited for the monitor, from its start to the last one's effect."""
    count = 2000
    command("docker", "compose", "stop", "monitor")
    # Copies of one event under ids of their own, as if they had been announced now.
    execute(
        "INSERT INTO sandbox.outbox (event_id, event_type, document)"
        " SELECT id, event_type, convert_to(replace(convert_from(document, 'UTF8'), event_id, id),"
        " 'UTF8') FROM (SELECT last.*, gen_random_uuid()::text AS id"
        " FROM (SELECT event_id, event_type, document FROM sandbox.outbox"
        " WHERE event_type = 'heimnetz.run.finished.v1' ORDER BY id DESC LIMIT 1) AS last,"
        f" generate_series(1, {count})) AS copies"
    )
    while rows("SELECT 1 FROM sandbox.outbox WHERE sent_at IS NULL LIMIT 1"):
        time.sleep(0.2)
    handled = (
        "SELECT count(*) AS n, extract(epoch FROM max(handled_at) - min(handled_at))::float AS s"
        "  FROM monitor.inbox WHERE handled_at > '{}'"
    )
    (now,) = rows("SELECT now() AS at")
    command("docker", "compose", "start", "monitor")
    while (found := rows(handled.format(now["at"]))[0])["n"] < count:
        time.sleep(0.5)
    yield Figure(
        f"backlog of {count:,} events drained by the monitor",
        found["n"] / found["s"],
        "events/s",
        to_reach="500",
    )


def _reading(name: str) -> Iterator[Figure]:
    """One worker each, in the same container; the same rows by the same statement."""
    token = command(
        *("docker", "compose", "exec", "-T", "registry", "python", "-c"),
        "from pathlib import Path; from heimnetz_common.tokens import Keys;"
        "print(Keys('registry', Path('/run/heimnetz/secrets'))"
        ".mint('registry', subject='user:bench', name='bench', role='owner'))",
    ).strip()
    bare = subprocess.Popen(
        [
            "docker",
            "compose",
            "exec",
            "-T",
            "registry",
            "python",
            "-c",
            (HERE / "bare.py").read_text(),
        ],
        cwd=ROOT,
    )
    try:
        said = command(
            *("docker", "compose", "exec", "-T", "auditor", "python", "-", token, name),
            stdin=(HERE / "load.py").read_text(),
        )
    finally:
        command(
            "docker", "compose", "exec", "-T", "registry", "sh", "-c", "kill $(cat /tmp/bare.pid)"
        )
        bare.wait(20)
    ours, theirs = json.loads(said)
    peer = ("FastAPI and asyncpg, nothing else", theirs["per_second"])
    yield Figure("reads of one version", ours["per_second"], "/s", peer, "0.8")
    yield Figure("p95 of it with 8 clients", ours["p95"] * 1000, "ms", to_reach="under 100")
    yield Figure("failed reads", ours["failed"] * 100, "%", to_reach="under 0.1")


def _operations(stored: session.Session, name: str) -> Iterator[Figure]:
    setup = command(
        *("docker", "compose", "exec", "-T", "registry"),
        *("cat", "/run/heimnetz/secrets/setup-token"),
    ).strip()
    (run,) = rows(
        "SELECT id, split_part(traceparent, '-', 2) AS trace FROM sandbox.runs"
        " WHERE outcome = 'ok' ORDER BY id DESC LIMIT 1"
    )
    with httpx.Client(
        base_url=stored.url,
        headers={"authorization": f"Bearer {stored.token}"},
        verify=ssl.create_default_context(cafile=str(stored.ca_file)),
        timeout=30,
    ) as client:
        owner = {"setup_token": setup, "name": "bench", "password": PASSWORD}
        client.post("/api/registry/v1/setup", json=owner).raise_for_status()
        subject = operations.Subject(
            client, name, run["id"], run["trace"], "out.txt", _pack, PASSWORD
        )
        yield from operations.measure(subject)


def _memory() -> Iterator[Figure]:
    said = command("docker", "compose", "stats", "--no-stream", "--format", "json")
    total = 0.0
    for line in said.splitlines():
        one = json.loads(line)
        number = _mebibytes(one["MemUsage"].split("/")[0].strip())
        total += number
        yield Figure(f"idle memory, {one['Name'].removeprefix('heimnetz-bench-')}", number, "MiB")
    yield Figure("idle memory of the stack without Grafana", total, "MiB", to_reach="under 1,024")


def _mebibytes(text: str) -> float:
    units = {"GiB": 1024, "MiB": 1, "KiB": 1 / 1024, "B": 1 / 1024**2}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]
