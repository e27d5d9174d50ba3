"""The way out, in the test's own process, for every refusal."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import pytest

from heimnetz_manifest import Destination
from heimnetz_sandbox.broker.holding import Held
from heimnetz_sandbox.broker.rules import Rules
from heimnetz_sandbox.broker.serving import Attempt, Broker, Caps

from .conftest import certified, own_address

pytestmark = pytest.mark.engine


@dataclass
class Server:
    """Answers each request with its own bytes; keeps what came."""

    address: str
    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, echo: int | None = None, is_chunked: bool = False
) -> AsyncIterator[Server]:
    """`echo`: what came goes back, in pieces of so many bytes, each a chunk of its own if wanted."""
    server = Server(own_address(), 0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            server.requests.append(head)
            framing = b"transfer-encoding: chunked" if is_chunked else b"connection: close"
            writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            body = head.partition(b"X-Key: ")[2] or head if echo else b"hello"
            size = echo or len(body)
            for start in range(0, len(body), size):
                piece = body[start : start + size]
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n" if is_chunked else b"")
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, server.address, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@dataclass
class Way:
    """A broker and what it said."""

    path: Path
    said: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def hear(self, attempt: Attempt) -> None:
        if not attempt.is_granted:
            self.refused.append(attempt.target)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))

    async def ask(self, request: bytes) -> bytes:
        """Everything that comes back until the connection is closed."""
        reader, writer = await self.open()
        writer.write(request)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
def way(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def make(
        *grants: str,
        caps: Caps | None = None,
        tls: ssl.SSLContext | None = None,
        held: Sequence[Held] = (),
    ) -> AsyncIterator[Way]:
        way = Way(tmp_path / "broker.sock")
        rules = Rules(tuple(Destination.parse(text) for text in grants))
        broker = Broker("p", rules, say=way.said.append, tell=way.hear, caps=caps, tls=tls)
        broker.held = held
        await broker.open(way.path)
        try:
            yield way
        finally:
            broker.close()

    return make


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


async def test_a_request_in_full_form_reaches_what_is_granted(way: Any) -> None:
    async with serving() as server, way(server.place) as out:
        answer = await out.ask(
            f"GET http://{server.place}/a?b=c HTTP/1.1\r\nHost: {server.place}\r\n"
            "Proxy-Authorization: x\r\n\r\n".encode()
        )

    assert answer.endswith(b"hello")
    (head,) = server.requests
    assert head.startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"proxy-authorization" not in head.lower()
    assert out.said == [f"connected to {server.place}"]


async def test_a_tunnel_carries_bytes_both_ways(way: Any) -> None:
    async with serving() as server, way(server.place) as out:
        answer = await out.ask(
            f"CONNECT {server.place} HTTP/1.1\r\nHost: {server.place}\r\n\r\n"
            "GET / HTTP/1.1\r\n\r\n".encode()
        )

    assert status(answer) == 200
    assert answer.endswith(b"hello")


@pytest.mark.parametrize(
    ("request_text", "expected", "is_told"),
    [
        ("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", 403, True),
        ("GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n", 403, True),
        ("GET http://127.0.0.1:80/ HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", 403, True),
        ("CONNECT EXAMPLE.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, False),
        ("GET http://PLACE/ HTTP/1.1\r\nHost: example.org\r\n\r\n", 403, True),
        ("GET http://u:p@PLACE/ HTTP/1.1\r\nHost: PLACE\r\n\r\n", 400, False),
        ("GET ftp://PLACE/ HTTP/1.1\r\nHost: PLACE\r\n\r\n", 400, False),
        ("GET / HTTP/1.1\r\nHost: PLACE\r\n\r\n", 400, False),
        ("GET http://PLACE/ HTTP/1.1\nHost PLACE\n\n", 400, False),
        (
            "POST http://PLACE/ HTTP/1.1\r\nHost: PLACE\r\nContent-Length: 3\r\n"
            "Content-Length: 4\r\n\r\nabc",
            400,
            False,
        ),
        ("CONNECT PLACE HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 400, False),
        ("\x16\x03\x01\x00\x05hello\r\n\r\n", 400, False),
        (f"GET http://PLACE/{'a' * 40_000} HTTP/1.1\r\nHost: PLACE\r\n\r\n", 400, False),
    ],
)
@pytest.mark.attack(row=45, what="another host, spelling or form than granted")
async def test_what_is_not_granted_or_not_plain_is_refused_and_told(
    way: Any, request_text: str, expected: int, is_told: bool
) -> None:
    async with serving() as server, way(server.place) as out:
        answer = await out.ask(request_text.replace("PLACE", server.place).encode())

    assert status(answer) == expected
    assert b"Heimnetz refuses" in answer
    assert server.requests == []
    assert len(out.said) == 1
    assert bool(out.refused) is is_told


@pytest.mark.attack(row=48, what="another host on a kept connection")
async def test_a_second_request_on_one_connection_is_not_passed_on(way: Any) -> None:
    async with serving() as server, way(server.place) as out:
        one = f"GET http://{server.place}/1 HTTP/1.1\r\nHost: {server.place}\r\n\r\n"
        other = "GET http://example.org/2 HTTP/1.1\r\nHost: example.org\r\n\r\n"
        answer = await out.ask((one + other).encode())

    assert answer.count(b"HTTP/1.1 200") == 1
    assert len(server.requests) == 1


@pytest.mark.attack(row=46, what="a granted name that leads inside")
async def test_a_name_is_resolved_once_and_the_checked_address_is_the_connected_one(
    way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def lookup(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        # First a public one, which nobody answers for here; then what an attacker would like.
        address = "192.0.2.1" if len(asked) > 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup, raising=False)
    async with way("rebinding.example.org:80") as out:
        answer = await out.ask(b"CONNECT rebinding.example.org:80 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert status(answer) == 403
    assert asked == ["rebinding.example.org"]
    assert "127.0.0.1" in out.said[0]


@pytest.mark.parametrize(
    ("name", "is_passed"), [("granted.example.org", True), ("other.example.org", False)]
)
@pytest.mark.attack(row=47, what="another TLS server name")
async def test_tls_must_ask_for_the_host_that_the_connection_is_for(
    way: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_passed: bool
) -> None:
    address = own_address()

    async def lookup(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with certified(tmp_path, address) as (server_tls, client_tls):
        async with serving(server_tls) as server:
            grant = f"granted.example.org:{server.port}"
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup, raising=False)
            # Of a machine of ours: what is asked here is the name, not the address.
            monkeypatch.setattr(Rules, "check", lambda _s, _t, _d, found: found)
            async with way(grant) as out:
                reader, writer = await out.open()
                writer.write(f"CONNECT {grant} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await reader.readuntil(b"\r\n\r\n")
                try:
                    client_tls.check_hostname = False
                    await asyncio.wait_for(writer.start_tls(client_tls, server_hostname=name), 10)
                    writer.write(b"GET / HTTP/1.1\r\n\r\n")
                    answer = await reader.read(1000)
                except (OSError, ssl.SSLError, EOFError):
                    answer = b""
                writer.close()

    assert (b"hello" in answer) is is_passed
    assert (server.requests != []) is is_passed
    assert (out.refused == []) is is_passed


KEY = "s3cr3t/key+value"


def held(to: str | None, value: str = KEY) -> Held:
    return Held("token", PLACEHOLDER, value, None if to is None else Destination.parse(to))


PLACEHOLDER = "heimnetz-secret-token-0123456789abcdef01234567"


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The names granted.example.org and other.example.org, of servers on this machine."""
    address = own_address()

    async def lookup(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(Rules, "check", lambda _s, _t, _d, found: found)
    with certified(tmp_path, address) as both:

        def begin() -> Any:
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup, raising=False)
            return both

        yield begin


def asking(host: str, *headers: str, scheme: str = "https", path: str = "/") -> bytes:
    lines = (f"GET {scheme}://{host}{path} HTTP/1.1", f"Host: {host}", *headers, "", "")
    return "\r\n".join(lines).encode()


def body_of(answer: bytes) -> bytes:
    """What came of it, without its framing."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    body = b""
    while isinstance(event := client.next_event(), h11.Response | h11.Data):
        body += event.data if isinstance(event, h11.Data) else b""
    return body


async def test_a_secret_is_put_in_where_the_broker_makes_the_connection_to_its_host(
    way: Any, trusted: Any
) -> None:
    server_tls, client_tls = trusted()
    async with serving(server_tls) as server:
        host = f"granted.example.org:{server.port}"
        async with way(host, tls=client_tls, held=(held(host),)) as out:
            basic = base64.b64encode(f"anna:{PLACEHOLDER}".encode()).decode()
            answer = await out.ask(
                asking(
                    host,
                    f"X-Key: {PLACEHOLDER}",
                    f"Authorization: Basic {basic}",
                    "Accept-Encoding: gzip",
                    path=f"/a?key={PLACEHOLDER}",
                )
            )

    assert body_of(answer) == b"hello"
    head = server.requests[0].lower()
    assert head.startswith(b"get /a?key=s3cr3t%2fkey%2bvalue http/1.1")
    assert f"x-key: {KEY}".encode() in head
    assert base64.b64encode(f"anna:{KEY}".encode()).lower() in head
    assert b"accept-encoding: identity" in head
    assert out.refused == []


@pytest.mark.parametrize(
    ("to", "scheme"),
    [("other.example.org:443", "https"), (None, "https"), ("granted.example.org", "http")],
    ids=["another host", "not granted", "without TLS"],
)
@pytest.mark.attack(row=43, what="a secret's placeholder to whom it is not for")
async def test_elsewhere_a_placeholder_is_sent_as_it_is_and_told(
    way: Any, trusted: Any, to: str | None, scheme: str
) -> None:
    server_tls, client_tls = trusted()
    async with serving(server_tls if scheme == "https" else None) as server:
        host = f"granted.example.org:{server.port}"
        mine = held(host if scheme == "http" else to)
        async with way(host, tls=client_tls, held=(mine,)) as out:
            await out.ask(asking(host, f"X-Key: {PLACEHOLDER}", scheme=scheme))

    assert PLACEHOLDER.encode() in server.requests[0]
    assert out.refused == [f"token to {host}"]
    assert KEY not in str(out.said)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.attack(row=43, what="a host that gives a secret back")
async def test_an_answer_with_the_secret_in_it_is_cut_off(
    way: Any, trusted: Any, piece: int, is_chunked: bool
) -> None:
    server_tls, client_tls = trusted()
    async with serving(server_tls, echo=piece, is_chunked=is_chunked) as server:
        host = f"granted.example.org:{server.port}"
        async with way(host, tls=client_tls, held=(held(host),)) as out:
            answer = await out.ask(asking(host, f"X-Key: {PLACEHOLDER}"))

    assert KEY.encode() in server.requests[0]
    assert KEY[:4].encode() not in body_of(answer)
    assert out.refused == [f"back from {host}"]


async def test_an_answer_without_the_secret_comes_whole(way: Any, trusted: Any) -> None:
    server_tls, client_tls = trusted()
    async with serving(server_tls, is_chunked=True) as server:
        host = f"granted.example.org:{server.port}"
        async with way(host, tls=client_tls, held=(held(host),)) as out:
            answer = await out.ask(asking(host, f"X-Key: {PLACEHOLDER}", "Range: bytes=0-1"))

    assert body_of(answer) == b"hello"
    assert b"range" not in server.requests[0].lower()


@pytest.mark.parametrize("value", ["line\r\nX-Other: 1", "nul\0"])
async def test_a_value_that_would_be_more_than_a_header_is_not_sent(
    way: Any, trusted: Any, value: str
) -> None:
    server_tls, client_tls = trusted()
    async with serving(server_tls) as server:
        host = f"granted.example.org:{server.port}"
        async with way(host, tls=client_tls, held=(held(host, value),)) as out:
            answer = await out.ask(asking(host, f"X-Key: {PLACEHOLDER}"))

    assert status(answer) == 400
    assert server.requests == []


@pytest.mark.parametrize("host", ["other.example.org", "granted.example.org"])
async def test_a_certificate_that_is_not_valid_for_the_host_ends_the_connection(
    way: Any, trusted: Any, host: str
) -> None:
    server_tls, client_tls = trusted()
    # The right name, by an authority that nobody trusts; or the other way round.
    tls = client_tls if host.startswith("other") else ssl.create_default_context()
    async with serving(server_tls) as server:
        place = f"{host}:{server.port}"
        async with way(place, tls=tls, held=(held(place),)) as out:
            answer = await out.ask(asking(place, f"X-Key: {PLACEHOLDER}"))

    assert status(answer) == 502
    assert b"certificate is not valid" in answer
    assert server.requests == []


@pytest.mark.attack(row=51, what="more connections and bytes than fit")
async def test_bytes_and_connections_are_capped(way: Any) -> None:
    async with serving() as server:
        request = f"GET http://{server.place}/ HTTP/1.1\r\nHost: {server.place}\r\n\r\n".encode()
        async with way(server.place, caps=Caps(byte_count=10)) as out:
            assert b"hello" not in await out.ask(request)
            assert "bytes" in out.said[-1]
        async with way(server.place, caps=Caps(attempts=1)) as out:
            first, second = await out.ask(request), await out.ask(request)
            assert (status(first), status(second)) == (200, 429)
        async with way(server.place, caps=Caps(connections=2)) as out:
            idle = [await out.open() for _ in range(2)]
            assert status(await out.ask(request)) == 429
            for _, writer in idle:
                writer.close()
