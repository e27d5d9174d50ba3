"""Both sides of a connection through the broker: the plugin's, and the server's."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import h11

from heimnetz_sandbox.broker.answering import Answer
from heimnetz_sandbox.broker.rules import Refused, Target

HEAD_SECONDS = 10.0
IDLE_SECONDS = 60.0
MAX_HEAD_BYTES = 16 * 1024
HEAD_CHUNK_BYTES = 4 * 1024
CHUNK_BYTES = 64 * 1024
VERDICT_HEADER = "heimnetz-broker"
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
_OF_FRAMING = _HOP_BY_HOP | {b"content-length"}


class Talk:
    """The plugin's side, as an HTTP server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def read_head(self) -> h11.Request:
        """Raises: Refused, EOFError, TimeoutError."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    await self._feed(HEAD_CHUNK_BYTES)
        except h11.RemoteProtocolError as error:
            raise Refused("malformed", f"no request that can be read: {error}") from error
        if isinstance(event, h11.Request):
            self._check_body(event)
            return event
        raise EOFError

    def _check_body(self, request: h11.Request) -> None:
        """Raises: Refused."""
        if request.method == b"CONNECT":
            try:
                is_bare = isinstance(self._http.next_event(), h11.EndOfMessage)
            except h11.RemoteProtocolError:
                is_bare = False
            if not is_bare:
                raise Refused("malformed", "CONNECT has no body")

    async def _feed(self, most: int = CHUNK_BYTES) -> None:
        data = await self._reader.read(most)
        if not data and self._http.their_state is h11.IDLE:
            raise EOFError
        self._http.receive_data(data)

    async def accept(self) -> None:
        answer = self._http.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
        await self._write(answer)

    async def read_more(self) -> bytes:
        """Raises: TimeoutError."""
        async with asyncio.timeout(HEAD_SECONDS):
            return await self._reader.read(CHUNK_BYTES)

    def unread(self) -> bytes:
        return bytes(self._http.trailing_data[0])

    async def read_body(self, most: int) -> bytes | None:
        """None where it is longer. Raises: Refused, TimeoutError."""
        body = bytearray()
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                while len(body) <= most:
                    event = self._http.next_event()
                    if event is h11.NEED_DATA:
                        await self._feed()
                    elif isinstance(event, h11.Data):
                        body += event.data
                    else:
                        return bytes(body)
        except h11.RemoteProtocolError as error:
            raise Refused("malformed", f"a body that cannot be read: {error}") from error
        return None

    async def refuse(self, status: int, verdict: str, text: str) -> None:
        text = f"Heimnetz refuses this connection: {text}\n"
        # So that a client tells our refusal from a server's.
        await self.answer(Answer(status, text.encode()), (VERDICT_HEADER, verdict))

    async def answer(self, answer: Answer, *more: tuple[str, str]) -> None:
        headers = [
            *more,
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(answer.body))),
            ("connection", "close"),
        ]
        with suppress(h11.LocalProtocolError):
            head = self._http.send(h11.Response(status_code=answer.status, headers=headers))
            end = self._http.send(h11.Data(data=answer.body)) if answer.body else b""
            await self._write((head or b"") + (end or b""))

    async def pass_on(
        self,
        request: h11.Request,
        target: Target,
        pipes: "Pipes",
        look: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """One request, rewritten for the server, and its answer; then the connection closes.

        `look` sees the answer without its framing, and says what of it may be passed on.

        Raises: Refused.
        """
        parts = urlsplit(request.target.decode("ascii"))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kept = [pair for pair in request.headers if pair[0] not in _HOP_BY_HOP]
        chunked = any(name == b"transfer-encoding" for name, _ in request.headers)
        if chunked:
            kept.append((b"transfer-encoding", b"chunked"))
        kept.append((b"connection", b"close"))
        server = h11.Connection(h11.CLIENT)
        await pipes.send(
            server.send(h11.Request(method=request.method, target=path, headers=kept)) or b""
        )
        answering = asyncio.create_task(
            pipes.receive_all() if look is None else self._pass_looked_at(server, pipes, look)
        )
        try:
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._feed()
                elif isinstance(event, h11.Data | h11.EndOfMessage):
                    await pipes.send(server.send(event) or b"")
                    if isinstance(event, h11.EndOfMessage):
                        break
                else:
                    return
            await answering
        except h11.RemoteProtocolError as error:
            raise Refused("malformed", f"{target}: a body that cannot be read") from error
        finally:
            answering.cancel()

    async def _pass_looked_at(
        self, server: h11.Connection, pipes: "Pipes", look: Callable[[bytes], bytes]
    ) -> None:
        """Raises: Refused."""
        while True:
            event = server.next_event()
            if event is h11.NEED_DATA:
                server.receive_data(await pipes.receive())
            elif isinstance(event, h11.Response):
                kept = [pair for pair in event.headers if pair[0] not in _OF_FRAMING]
                look(b"\n".join(name + b": " + value for name, value in event.headers) + b"\n")
                look(b"")
                made = h11.Response(status_code=event.status_code, headers=kept)
                await self._write(self._http.send(made))
            elif isinstance(event, h11.Data | h11.EndOfMessage):
                passed = look(bytes(event.data) if isinstance(event, h11.Data) else b"")
                if passed:
                    await self._write(self._http.send(h11.Data(data=passed)))
                if isinstance(event, h11.EndOfMessage):
                    await self._write(self._http.send(h11.EndOfMessage()))
                    return
            elif not isinstance(event, h11.InformationalResponse):
                return
            # What comes in the smallest pieces must not keep everybody else waiting.
            await asyncio.sleep(0)

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        async with asyncio.timeout(IDLE_SECONDS):
            await self._writer.drain()


class Pipes:
    """Bytes between the plugin and a server; `take` counts them, and ends what is too much."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        take: Callable[[int, str], None],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._server_reader, self._server_writer = server_reader, server_writer
        self._take = take
        self._last = asyncio.get_running_loop().time()

    async def send(self, data: bytes) -> None:
        """Raises: Refused."""
        self._take(len(data), "sent")
        self._server_writer.write(data)
        async with asyncio.timeout(IDLE_SECONDS):
            await self._server_writer.drain()

    async def receive(self) -> bytes:
        """What the server says next; nothing when it has said everything. Raises: Refused."""
        data = await self._read(self._server_reader)
        self._take(len(data), "received")
        return data

    async def receive_all(self) -> None:
        """Until the server has said everything. Raises: Refused."""
        while data := await self.receive():
            self._writer.write(data)
            async with asyncio.timeout(IDLE_SECONDS):
                await self._writer.drain()

    async def tunnel(self, first: bytes, is_in_order: Callable[[bytes], bool]) -> None:
        """Both ways until both have ended. Raises: Refused, TimeoutError, OSError."""
        ways = {
            asyncio.create_task(self._receive_and_close()),
            asyncio.create_task(self._send_all(first, is_in_order)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _receive_and_close(self) -> None:
        await self.receive_all()
        self._writer.write_eof()

    async def _send_all(self, first: bytes, is_in_order: Callable[[bytes], bool]) -> None:
        data = first or await self._read(self._reader)
        while data and not is_in_order(data):
            more = await self._read(self._reader)
            if not more:
                break
            data += more
        while data:
            await self.send(data)
            data = await self._read(self._reader)
        with suppress(OSError):
            self._server_writer.write_eof()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """Raises: TimeoutError, when nothing came from either side."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await reader.read(CHUNK_BYTES)
            except TimeoutError:
                if loop.time() - self._last > IDLE_SECONDS:
                    raise
            else:
                self._last = loop.time()
                return data
