"""The broker beside the straight way: one process is the broker, another the server."""

import asyncio
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.figures import Figure, median

from heimnetz_manifest import Destination
from heimnetz_sandbox.broker.rules import Rules
from heimnetz_sandbox.broker.serving import Broker, Caps

MIB = 1 << 20
SIZE = 100 * MIB
REQUESTS = 200
Connect = Callable[[], socket.socket]


def own_address() -> str:
    """One of this machine that a plugin could be granted; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def serve(address: str, port: "multiprocessing.Queue[int]") -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = SIZE if b"GET /large" in head else 0
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        piece = bytes(MIB)
        for _ in range(size // MIB):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, address, 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def broke(path: str, place: str, ready: "multiprocessing.Queue[int]") -> None:
    async def run() -> None:
        rules = Rules((Destination.parse(place),))
        # More than all of the measurements take together.
        caps = Caps(attempts=1 << 20, byte_count=1 << 40)
        broker = Broker("bench", rules, say=lambda _: None, tell=lambda _: None, caps=caps)
        await broker.open(Path(path))
        ready.put(0)
        await asyncio.Event().wait()

    asyncio.run(run())


def ask(connect: Connect, target: str, host: str) -> tuple[float, int]:
    """Seconds, and bytes that came."""
    began, count = time.perf_counter(), 0
    with closing(connect()) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while data := connection.recv(MIB):
            count += len(data)
    return time.perf_counter() - began, count


def measure() -> Iterator[Figure]:
    address = own_address()
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(address, ports), daemon=True)
    server.start()
    port = ports.get(timeout=20)
    place = f"{address}:{port}"
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "broker.sock")
        broker = multiprocessing.Process(target=broke, args=(path, place, ports), daemon=True)
        broker.start()
        ports.get(timeout=20)

        def straight() -> socket.socket:
            return socket.create_connection((address, port))

        def around() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection

        def rate(connect: Connect, target: str) -> float:
            spent, count = ask(connect, target, place)
            assert count >= SIZE
            return SIZE / MIB / spent

        direct, through = [], []
        for _ in range(5):
            direct.append(rate(straight, "/large"))
            through.append(rate(around, f"http://{place}/large"))
        yield Figure(
            "download of 100 MiB through the broker, median of 5",
            median(through), "MiB/s", ("straight from the server", median(direct)), "0.5",
        )  # fmt: skip
        plain = median([ask(straight, "/", place)[0] for _ in range(REQUESTS)])
        brokered = median([ask(around, f"http://{place}/", place)[0] for _ in range(REQUESTS)])
        yield Figure(
            f"what the broker adds to a request, p50 of {REQUESTS}",
            (brokered - plain) * 1000, "ms", to_reach="under 2",
        )  # fmt: skip
        for process in (broker, server):
            process.terminate()
            process.join()
