"""One part is away under load, in one way: F4, F10, F11, F15 and F20; outages are shortened."""

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from ..conftest import PROJECT, Stack, eventually, package
from .conftest import CODE, Load, Rows, check_all, settle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

NATS, POSTGRES = f"{PROJECT}-nats-1", f"{PROJECT}-postgres-1"
CORE = f"{PROJECT}_core"


@pytest.fixture(scope="module")
def plugin(put_to_use: Callable[..., str]) -> str:
    return put_to_use("outage", CODE)


@pytest.fixture
def rows(stack: Stack) -> Rows:
    return Rows(stack)


@pytest.fixture
def load(stack: Stack, owner: str, plugin: str) -> Iterator[Load]:
    load = Load(stack, owner, plugin)
    yield load
    load.stop.set()


def readiness(stack: Stack) -> str:
    """Of the registry: `ready`, `degraded` or `not ready`."""
    with stack.http() as client:
        answer = client.get("/api/registry/readyz")
    if answer.status_code != 200:
        return "not ready"
    return "degraded" if answer.json()["degraded"] else "ready"


def have_grown(load: Load, versions: int, runs: int) -> Callable[[], bool]:
    """Whether at least so many more writes have been acknowledged since now."""
    wanted = len(load.versions) + versions, len(load.runs) + runs
    return lambda: len(load.versions) >= wanted[0] and len(load.runs) >= wanted[1]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        pytest.param(("stop", NATS), ("start", NATS), id="stopped"),
        pytest.param(("pause", NATS), ("unpause", NATS), id="hung"),
        pytest.param(
            ("network", "disconnect", CORE, NATS),
            ("network", "connect", "--alias", "nats", CORE, NATS),
            id="cut off",
        ),
    ],
)
def test_while_the_bus_is_away_everything_else_goes_on(
    stack: Stack,
    owner: str,
    rows: Rows,
    load: Load,
    begin: tuple[str, ...],
    end: tuple[str, ...],
) -> None:
    with load.going_on():
        eventually(have_grown(load, 1, 1), within_seconds=60, what="load")
        stack.call("docker", *begin)
        try:
            eventually(
                lambda: readiness(stack) == "degraded",
                within_seconds=30,
                what="the registry says that the bus is away",
            )
            eventually(have_grown(load, 5, 10), within_seconds=60, what="acknowledged writes")
            with stack.http(owner) as client:
                assert client.get("/api/registry/v1/plugins").status_code == 200
        finally:
            stack.call("docker", *end)
        eventually(have_grown(load, 1, 1), within_seconds=60, what="load")

    settle(stack, rows)
    check_all(stack, owner, rows, load)
    assert {status for status, _ in load.answers} <= {200, 201, 202, 429}


def test_a_database_that_dies_is_503_and_when_to_come_again(
    stack: Stack, owner: str, rows: Rows, load: Load
) -> None:
    with load.going_on():
        for _ in range(2):
            eventually(have_grown(load, 2, 4), within_seconds=60, what="load")
            # Killed so, it stays dead until somebody starts it.
            stack.call("docker", "kill", POSTGRES)
            eventually(lambda: readiness(stack) == "not ready", within_seconds=30, what="noticed")
            stack.call("docker", "start", POSTGRES)
            eventually(lambda: readiness(stack) == "ready", within_seconds=60, what="healed")

    settle(stack, rows)
    check_all(stack, owner, rows, load)
    assert {answer for answer in load.answers if answer[0] >= 400} <= {(503, True), (429, True)}


def test_an_auditor_that_dies_at_work_gives_one_verdict_for_each_version(
    stack: Stack, owner: str, rows: Rows
) -> None:
    names = [f"chaos-audited-{os.urandom(4).hex()}" for _ in range(6)]
    listed = ", ".join(f"'{name}'" for name in names)
    with stack.http(owner) as client:
        for name in names:
            client.post(
                f"/api/registry/v1/plugins/{name}/versions",
                content=package(name, CODE),
                headers={"content-type": "application/gzip"},
            ).raise_for_status()
    eventually(
        lambda: rows(f"SELECT plugin FROM auditor.audits WHERE plugin IN ({listed})"),
        within_seconds=60,
        what="the first verdict",
    )

    kill(stack, f"{PROJECT}-auditor-1")

    settle(stack, rows)
    audits = rows(f"SELECT plugin FROM auditor.audits WHERE plugin IN ({listed})")
    assert sorted(audit["plugin"] for audit in audits) == sorted(names)


def kill(stack: Stack, container: str) -> None:
    """`kill -9` from outside; the engine starts it again."""
    pid = json.loads(stack.call("docker", "inspect", container).out)[0]["State"]["Pid"]
    os.kill(pid, signal.SIGKILL)
