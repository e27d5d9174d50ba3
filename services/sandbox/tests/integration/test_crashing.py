"""Faults F5, F6, F36: the sandbox dies at each step, the engine goes away; nothing is left over."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.testing import standing

pytestmark = [pytest.mark.engine, pytest.mark.long]

SLEEPER = "import time\ndef run(input, context):\n    time.sleep(3)\n    return {}"

# Ends the process, as a kill -9 would, before or after one call of the named method.
CRASH = """
import os, signal
from heimnetz_sandbox import dispatching, engine
owner, name, is_after = {point!r}
owner = {{"engine": engine.Engine, "dispatcher": dispatching.Dispatcher}}[owner]
real = getattr(owner, name)
async def dies(*arguments, **options):
    if not os.path.exists({once!r}):
        if is_after:
            await real(*arguments, **options)
        open({once!r}, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return await real(*arguments, **options)
setattr(owner, name, dies)
"""


@pytest.mark.parametrize(
    "point",
    [
        ("engine", "create", True),
        ("engine", "start", True),
        ("dispatcher", "_announce", True),
        ("dispatcher", "_end", False),
    ],
    ids=["after create", "after start", "after announcing", "before the result's commit"],
)
@pytest.mark.attack(row=57, what="killing the sandbox at each step")
def test_a_dead_sandbox_leaves_no_container_and_no_run_without_an_outcome(
    place: Path, postgres_url: str, key_ring: KeyRing, point: tuple[str, str, bool]
) -> None:
    once = str(place / f"crashed-{'-'.join(map(str, point))}")
    prelude = CRASH.format(point=point, once=once)
    with standing(place, postgres_url, key_ring, prelude, LEASE_SECONDS="3") as stand:
        stand.install("victim", SLEEPER)
        run_id = stand.ask("victim").json()["id"]
        assert stand.process.child is not None
        assert stand.process.child.wait(30) == -signal.SIGKILL
        assert len(stand.containers(run_id)) == (point[1] != "_end")

        stand.start()

        run = stand.get_run(run_id, 30)
        assert run["outcome"] == "interrupted"
        eventually_sync(lambda: not stand.containers(run_id), 20)
        eventually_sync(lambda: not (stand.run_dir / "runs" / run_id).exists(), 20)
        assert stand.run("victim")["outcome"] == "ok"
    Path(once).unlink()


def test_a_neighbours_containers_are_left_alone(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with (
        standing(place, postgres_url, key_ring) as one,
        standing(place, postgres_url, key_ring) as other,
    ):
        one.install("mine", SLEEPER)
        run_id = one.ask("mine").json()["id"]
        eventually_sync(lambda: one.get_run(run_id, 0)["started_at"], 15)

        # Another stack on the same engine reaps what is its own.
        other.process.end()
        other.start()

        assert one.get_run(run_id, 20)["outcome"] == "ok"


def test_runs_under_way_are_interrupted_when_the_sandbox_is_stopped(
    place: Path, postgres_url: str, key_ring: KeyRing
) -> None:
    with standing(place, postgres_url, key_ring) as stand:
        stand.install("long", "import time\ndef run(input, context): time.sleep(25)")
        run_id = stand.ask("long").json()["id"]
        eventually_sync(lambda: stand.get_run(run_id, 0)["started_at"], 15)

        stand.process.end()

        assert stand.containers(run_id) == []
        stand.start()
        assert stand.get_run(run_id, 0)["outcome"] == "interrupted"


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "while another run is under way"])
def test_the_queue_is_kept_while_the_engine_is_away(
    place: Path, postgres_url: str, key_ring: KeyRing, is_busy: bool
) -> None:
    with standing(place, postgres_url, key_ring) as stand:
        stand.install("waiter", "def run(input, context): return {}")
        stand.install("busy", "import time\ndef run(input, context): time.sleep(60)")
        stand.run("waiter")
        if is_busy:
            busy = stand.ask("busy").json()["id"]
            eventually_sync(lambda: stand.get_run(busy, 0)["started_at"], 15)
        away = stand.socket.rename(stand.socket.with_name("away.sock"))
        eventually_sync(lambda: not stand.is_ready(), 15)

        run_id = stand.ask("waiter", wait=2).json()["id"]
        assert stand.get_run(run_id, 0)["state"] == "queued"
        away.rename(stand.socket)

        assert stand.get_run(run_id, 20)["outcome"] == "ok"


@contextmanager
def instead_of_the_engine(path: Path, answer: bytes) -> Iterator[None]:
    """Whoever connects is answered so, or, where that is nothing, never."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o666)
    server.listen(32)
    kept: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                if not answer:
                    kept.append(client)
                    continue
                with client:
                    client.recv(65536)
                    client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        # shutdown() wakes the one that waits in accept().
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for client in kept:
            client.close()
        path.unlink()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    ],
    ids=["hangs", "answers 500"],
)
def test_the_queue_is_kept_while_the_engine_does_not_work(
    place: Path, postgres_url: str, key_ring: KeyRing, answer: bytes
) -> None:
    """F36."""
    hasty = "from heimnetz_sandbox import engine; engine.TIMEOUT_SECONDS = 1"
    with standing(place, postgres_url, key_ring, hasty) as stand:
        stand.install("waiter", "def run(input, context): return {}")
        stand.run("waiter")
        away = stand.socket.rename(stand.socket.with_name("away.sock"))
        with instead_of_the_engine(stand.socket, answer):
            eventually_sync(lambda: not stand.is_ready(), 30)
            run_id = stand.ask("waiter", wait=3).json()["id"]
            assert stand.get_run(run_id, 0)["state"] == "queued"
        away.rename(stand.socket)

        assert stand.get_run(run_id, 30)["outcome"] == "ok"
        eventually_sync(stand.is_ready, 30)
