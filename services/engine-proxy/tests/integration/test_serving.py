"""The proxy over real sockets, with an engine that writes down what reaches it."""

import asyncio
import json
import os
import stat
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heimnetz_engine_proxy import metrics
from heimnetz_engine_proxy.__main__ import run
from heimnetz_engine_proxy.serving import MAX_BODY_BYTES, Proxy
from heimnetz_engine_proxy.settings import Settings, load

RECORDED = Path(__file__).parents[1] / "unit" / "recorded"
OWN, FOREIGN = "ab" * 32, "cd" * 32
RUN = "01a21163-f926-7f6d-9072-faf26c465b62"
RUNSC = {"path": "/usr/bin/runsc", "runtimeArgs": ["--host-uds=open"]}
KNOWN = {"runc": {}, "runsc": RUNSC}


@dataclass
class Engine:
    """Answers as the engine does to the requests that may reach it."""

    reached: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.splitlines()[0].split(" ")
        self.reached.append(f"{method} {target}")
        body: object = {}
        status = 200
        if target.endswith(f"{FOREIGN}/json"):
            body = {"Config": {"Labels": {"com.docker.compose.project": "heimnetz"}}}
        elif target.endswith(f"{OWN}/json"):
            body = {"Config": {"Labels": {"heimnetz.owner": "sandbox"}}}
        elif "/create" in target:
            status, body = 201, {"Id": OWN, "Warnings": []}
        elif target.endswith("/info"):
            body = {"Runtimes": KNOWN, "CgroupVersion": "2", "HttpProxy": "http://me:secret@proxy"}
        text = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} OK\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()


@dataclass
class Stand:
    engine: Engine
    settings: Settings

    async def send(self, raw: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(str(self.settings.socket))
        writer.write(raw)
        try:
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 15)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body

    async def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self.send(head.encode() + body)


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        run_dir = folder / "run"
        for part in (f"code/{'c' * 64}", f"runs/{RUN}/in", f"runs/{RUN}/socket"):
            (run_dir / part).mkdir(parents=True)
        settings = Settings(
            socket=folder / "proxy.sock",
            engine=folder / "engine.sock",
            run_dir=run_dir,
            ready_file=folder / "ready",
        )
        engine = Engine()
        server = await asyncio.start_unix_server(engine.serve, str(settings.engine))
        umask = os.umask(0)
        running = asyncio.create_task(run(Proxy(settings)))
        while not settings.ready_file.exists():
            await asyncio.sleep(0.01)
        engine.reached.clear()
        yield Stand(engine, settings)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
        os.umask(umask)


def recorded(name: str, run_dir: Path) -> bytes:
    head, _, body = (RECORDED / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    body = body.replace(b"/var/lib/heimnetz/run", str(run_dir).encode())
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


async def test_the_socket_is_for_owner_and_group_alone(stand: Stand) -> None:
    assert stat.S_IMODE(stand.settings.socket.stat().st_mode) == 0o660


@pytest.mark.parametrize(
    "name", ["ping", "version", "create", "start", "inspect", "wait", "remove", "list", "image"]
)
async def test_the_real_clients_requests_reach_the_engine(stand: Stand, name: str) -> None:
    status, _ = await stand.send(recorded(name, stand.settings.run_dir))

    assert status in (200, 201)
    assert stand.engine.reached


async def test_of_the_engines_description_its_runtimes_alone_are_told(stand: Stand) -> None:
    status, body = await stand.ask("GET", "/v1.41/info")

    assert status == 200
    assert json.loads(body) == {"Runtimes": KNOWN, "CgroupVersion": "2", "Chosen": ""}


async def test_another_ones_container_is_not_touched(stand: Stand) -> None:
    for request in (
        f"POST /containers/{FOREIGN}/kill",
        f"POST /containers/{FOREIGN}/start",
        f"DELETE /containers/{FOREIGN}",
        f"GET /containers/{FOREIGN}/json",
    ):
        status, _ = await stand.ask(*request.split(" "))

        assert status == 403
    assert set(stand.engine.reached) == {f"GET /containers/{FOREIGN}/json"}


async def test_a_container_that_was_created_here_needs_no_second_look(stand: Stand) -> None:
    await stand.send(recorded("create", stand.settings.run_dir))
    stand.engine.reached.clear()

    await stand.ask("POST", f"/containers/{OWN}/start")

    assert stand.engine.reached == [f"POST /containers/{OWN}/start"]


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        b"POST /_ping HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
        b"GET /_ping HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET  /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /_ping\r\n\r\n",
        b"GET /_ping HTTP/2.0\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n",
        b"CONNECT engine:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=range(14),
)
@pytest.mark.attack(row=56, what="smuggling to the engine")
async def test_what_could_be_read_in_two_ways_does_not_reach_the_engine(
    stand: Stand, raw: bytes
) -> None:
    status, _ = await stand.send(raw)

    assert status in (400, 403)
    assert stand.engine.reached == []


@pytest.mark.attack(row=56, what="a huge body")
async def test_a_huge_body_is_refused_before_it_is_read(stand: Stand) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)

    status, _ = await stand.ask("POST", "/containers/create", body)

    assert status == 413
    assert stand.engine.reached == []


async def test_a_second_request_behind_the_first_is_not_served(stand: Stand) -> None:
    ping = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"

    await stand.send(ping + ping)

    assert stand.engine.reached == ["GET /_ping"]


async def test_refusals_are_counted_and_kept(stand: Stand) -> None:
    before = metrics.refusals["path"]

    status, body = await stand.ask("POST", "/build")

    _, page = await stand.ask("GET", "/refusals")
    _, figures = await stand.ask("GET", "/metrics")
    assert status == 403
    assert json.loads(body)["message"].startswith("engine proxy: ")
    assert metrics.refusals["path"] == before + 1
    assert json.loads(page)["items"][-1]["what"] == "POST /build"
    assert f'refusals_total{{rule="path"}} {before + 1}' in figures.decode()


async def test_it_lives_and_says_so_while_the_engine_is_down(stand: Stand) -> None:
    stand.settings.engine.unlink()

    assert (await stand.ask("GET", "/healthz"))[0] == 200
    assert (await stand.ask("GET", "/_ping"))[0] == 503


def test_a_wrong_setting_is_named_with_its_remedy() -> None:
    with pytest.raises(SystemExit, match=r"HEIMNETZ_ENGINE_PROXY_RUN_DIR='run'.*absolute path"):
        load({"HEIMNETZ_ENGINE_PROXY_RUN_DIR": "run"})
