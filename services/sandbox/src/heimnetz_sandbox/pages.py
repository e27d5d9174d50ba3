"""Pages and APIs of services, on a port of their own: `/PLUGIN/…` is the plugin's `/…`.

Behind the gateway, which ends TLS of the home. What belongs to the platform is taken out of every
request; what would reach beyond the plugin's own path is taken out of every answer.
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import h11

from heimnetz_common.logs import get_logger
from heimnetz_common.tokens import USER_TOKEN_PREFIX
from heimnetz_sandbox import metrics

HEAD_SECONDS = 10.0
IDLE_SECONDS = 300.0
MAX_HEAD_BYTES = 32 * 1024
CHUNK_BYTES = 64 * 1024
CONNECTIONS, OF_ONE_PLUGIN = 256, 64
# Of answers before the answer (RFC 9110, section 15.2).
MAX_INFORMATIONAL = 10

_PLACE = re.compile(r"/([a-z0-9-]{1,63})(/[\x21-\x7e]*)?")
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
# Of an answer: they are about the whole origin, which plugins share.
_ORIGIN_WIDE = frozenset(
    b"service-worker-allowed clear-site-data strict-transport-security alt-svc "
    b"origin-agent-cluster access-control-allow-credentials reporting-endpoints report-to "
    b"nel".split()
)
_COOKIE_PATH = re.compile(rb";\s*(?:path|domain)\s*=[^;]*", re.IGNORECASE)

Headers = list[tuple[bytes, bytes]]

log = get_logger(__name__)


class Broken(Exception):
    """The service's answer cannot be read."""


class Pages:
    """`find` knows the socket where a plugin serves now; `in_use` is told who is asked there."""

    def __init__(
        self,
        find: Callable[[str], Path | None],
        in_use: Counter[Path],
        *,
        bind: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._find, self._in_use = find, in_use
        self._bind, self._port, self._tls = bind, port, tls
        self._open = 0
        self._open_of: Counter[str] = Counter()

    async def run(self) -> None:
        server = await asyncio.start_server(
            self._accept, self._bind, self._port, ssl=self._tls, limit=CHUNK_BYTES
        )
        async with server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        client = Side(reader, writer, h11.Connection(h11.SERVER, MAX_HEAD_BYTES))
        try:
            if self._open > CONNECTIONS:
                await client.refuse(503, "too many requests at once")
            else:
                await self._serve(client)
        except (OSError, EOFError, TimeoutError, h11.ProtocolError):
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _serve(self, client: "Side") -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await client.next()
        except h11.RemoteProtocolError as error:
            await client.refuse(error.error_status_hint, "a request that cannot be read")
            return
        if not isinstance(request, h11.Request):
            return
        place = _PLACE.fullmatch(request.target.decode("ascii", "replace"))
        if place is None:
            await client.refuse(404, "plugins' pages are at /PLUGIN/")
            return
        plugin, path = place[1], place[2]
        if path is None:
            await client.send(h11.Response(status_code=308, headers=_moved(f"/{plugin}/")))
            await client.send(h11.EndOfMessage())
            return
        socket = self._find(plugin)
        if socket is None:
            await client.refuse(503, f"{plugin} is no service that runs now")
            return
        if self._open_of[plugin] >= OF_ONE_PLUGIN:
            await client.refuse(503, f"too many requests at once for {plugin}")
            return
        self._open_of[plugin] += 1
        self._in_use[socket] += 1
        try:
            async with _connected(socket) as service:
                status = await _pass(client, service, request, plugin, path)
        except Broken as error:
            metrics.PAGES.labels(plugin, "5xx").inc()
            await client.refuse(502, str(error))
        else:
            metrics.PAGES.labels(plugin, f"{status // 100}xx").inc()
        finally:
            self._open_of[plugin] -= 1
            self._in_use[socket] -= 1
            self._in_use += Counter()  # drops what is at 0


class Side:
    """One end of a connection, as HTTP."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, http: h11.Connection
    ) -> None:
        self.reader, self.writer, self.http = reader, writer, http

    async def next(self) -> h11.Event | type[h11.PAUSED]:
        """Raises: h11.RemoteProtocolError, TimeoutError, OSError."""
        # What comes in the smallest pieces must not keep everybody else waiting.
        await asyncio.sleep(0)
        while (event := self.http.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(IDLE_SECONDS):
                self.http.receive_data(await self.reader.read(CHUNK_BYTES))
        assert event is not h11.NEED_DATA
        return event  # type: ignore[return-value]

    async def send(self, event: h11.Event) -> None:
        await self.write(self.http.send(event) or b"")

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(IDLE_SECONDS):
            await self.writer.drain()

    async def refuse(self, status: int, text: str) -> None:
        if self.http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = f"{text}\n".encode()
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
            ("connection", "close"),
        ]
        if status == 503:
            headers.append(("retry-after", "2"))
        await self.send(h11.Response(status_code=status, headers=headers))
        await self.send(h11.Data(data=body))
        await self.send(h11.EndOfMessage())


@asynccontextmanager
async def _connected(socket: Path) -> AsyncIterator[Side]:
    """Raises: Broken."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=CHUNK_BYTES)
    except OSError as error:
        raise Broken("the service is not there") from error
    try:
        yield Side(reader, writer, h11.Connection(h11.CLIENT, MAX_HEAD_BYTES))
    finally:
        writer.transport.abort()


async def _pass(client: Side, service: Side, request: h11.Request, plugin: str, path: str) -> int:
    """One request and its answer; the status. Raises: Broken, EOFError when the client has gone."""
    is_upgrade = any(name == b"upgrade" for name, _ in request.headers)
    headers = _inward(request.headers, plugin, is_upgrade=is_upgrade)
    await service.send(h11.Request(method=request.method, target=path, headers=headers))
    sending = asyncio.create_task(_send_body(client, service))
    answering = asyncio.create_task(_answer(client, service, sending, f"/{plugin}/"))
    tasks: set[asyncio.Task[Any]] = {answering}
    if not is_upgrade:
        tasks.add(asyncio.create_task(_has_gone(client, sending)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise EOFError
        return answering.result()
    finally:
        for task in (*tasks, sending):
            task.cancel()
        await asyncio.gather(*tasks, sending, return_exceptions=True)


async def _answer(client: Side, service: Side, sending: "asyncio.Task[None]", prefix: str) -> int:
    answer = await _first_answer(service)
    headers = _outward(answer.headers, prefix, status=answer.status_code)
    if isinstance(answer, h11.InformationalResponse):
        await sending
        await client.send(h11.InformationalResponse(status_code=101, headers=headers))
        await _splice(client, service)
        return 101
    await client.send(h11.Response(status_code=answer.status_code, headers=headers))
    while True:
        event = await _heard(service)
        if isinstance(event, h11.Data | h11.EndOfMessage):
            await client.send(event)
        if not isinstance(event, h11.Data):
            return int(answer.status_code)


async def _has_gone(client: Side, sending: "asyncio.Task[None]") -> None:
    """Until nobody waits for the answer any more; whoever has asked says nothing further."""
    await asyncio.wait({sending})
    await client.reader.read(1)


async def _send_body(client: Side, service: Side) -> None:
    while True:
        event = await client.next()
        if not isinstance(event, h11.Data | h11.EndOfMessage):
            return
        await service.send(event)
        if isinstance(event, h11.EndOfMessage):
            return


async def _first_answer(service: Side) -> h11.Response | h11.InformationalResponse:
    for _ in range(MAX_INFORMATIONAL):
        event = await _heard(service)
        if isinstance(event, h11.Response):
            return event
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                return event
            continue
        raise Broken("the service ended without an answer")
    raise Broken("the service has more to say before its answer than anybody needs")


async def _heard(service: Side) -> object:
    try:
        return await service.next()
    except (h11.RemoteProtocolError, OSError) as error:
        raise Broken("the service's answer cannot be read") from error
    except TimeoutError as error:
        raise Broken(f"the service said nothing for {IDLE_SECONDS:g} s") from error


async def _splice(client: Side, service: Side) -> None:
    """Bytes both ways, from where HTTP ended."""

    async def carry(source: Side, sink: Side) -> None:
        data = bytes(source.http.trailing_data[0])
        while True:
            if data:
                await sink.write(data)
            async with asyncio.timeout(IDLE_SECONDS):
                data = await source.reader.read(CHUNK_BYTES)
            if not data:
                return

    ways = {
        asyncio.create_task(carry(client, service)),
        asyncio.create_task(carry(service, client)),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


def _inward(headers: Iterable[tuple[bytes, bytes]], plugin: str, *, is_upgrade: bool) -> Headers:
    """What the plugin gets of a request's headers."""
    kept: Headers = []
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"upgrade" and is_upgrade):
            kept.append((name, value))
        elif name in _HOP_BY_HOP or name == b"x-forwarded-prefix" or _is_token(name, value):
            continue
        elif name == b"cookie":
            own = b"; ".join(part for part in re.split(rb";\s*", value) if not _is_ours(part))
            if own:
                kept.append((name, own))
        else:
            kept.append((name, value))
    kept.append((b"x-forwarded-prefix", f"/{plugin}".encode()))
    kept.append((b"connection", b"upgrade" if is_upgrade else b"close"))
    return kept


def _is_token(name: bytes, value: bytes) -> bool:
    """Whether a header has a token of the platform, in plain or as a password (RFC 7617)."""
    if name != b"authorization":
        return False
    scheme, _, text = value.partition(b" ")
    if scheme.lower() == b"basic":
        with suppress(binascii.Error, ValueError):
            text = base64.b64decode(text)
    return USER_TOKEN_PREFIX.encode() in text


def _is_ours(cookie: bytes) -> bool:
    plain = cookie.lower().removeprefix(b"__host-").removeprefix(b"__secure-")
    return plain.startswith(b"heimnetz")


def _outward(headers: Iterable[tuple[bytes, bytes]], prefix: str, *, status: int) -> Headers:
    """What a browser gets of an answer's headers: nothing that reaches beyond the plugin's path."""
    kept: Headers = []
    passed = b"upgrade" if status == 101 else b"transfer-encoding"
    for name, value in headers:
        if name in _ORIGIN_WIDE or (name in _HOP_BY_HOP and name != passed):
            continue
        if name == b"set-cookie":
            kept.append((name, _COOKIE_PATH.sub(b"", value) + f"; Path={prefix}".encode()))
        elif name == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
            kept.append((name, prefix.encode() + value[1:]))
        else:
            kept.append((name, value))
    kept.append((b"connection", b"upgrade" if status == 101 else b"close"))
    return kept


def _moved(to: str) -> list[tuple[str, str]]:
    return [("location", to), ("content-length", "0"), ("connection", "close")]
