"""One request a connection: read strictly, judge, ask the engine, answer."""

import asyncio
import json
from typing import Any

import h11

from heimnetz_engine_proxy import metrics, policy, routes
from heimnetz_engine_proxy.errors import Refused
from heimnetz_engine_proxy.settings import Settings

READ_TIMEOUT_SECONDS = 10
# `wait` answers when the container ends; the longest run is an hour.
ENGINE_TIMEOUT_SECONDS = 3700
MAX_ANSWER_BYTES = 8 << 20
MAX_CONNECTIONS = 64
MAX_OWNED = 10_000

Answer = tuple[int, str, bytes]
JSON = "application/json"


class Proxy:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Containers that we created, so that most requests need no look at the engine.
        self.owned: dict[str, None] = {}
        self.slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.slots:
            try:
                await self._exchange(reader, writer)
            except (OSError, TimeoutError, h11.ProtocolError, asyncio.IncompleteReadError) as error:
                metrics.log("warning", "connection ended", error=type(error).__name__)
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)
        method, target, route = "-", "-", "unknown"
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                head, body = await _read(connection, reader)
            method, target = head.method.decode("ascii"), head.target.decode("ascii", "replace")
            if method == "GET" and target in _OWN_PAGES:
                route = target.removeprefix("/")
                answer = _own_page(target)
            else:
                request = routes.match(method, target)
                route = request.route.name
                answer = await self._forward(request, body)
        except Refused as refusal:
            metrics.refused(refusal.rule, refusal.detail, method, target)
            text = {"message": f"engine proxy: {refusal.detail}", "rule": refusal.rule}
            answer = (refusal.status, JSON, json.dumps(text).encode())
        except h11.RemoteProtocolError as error:
            metrics.refused("protocol", str(error), method, target)
            answer = (400, JSON, b'{"message":"engine proxy: this is not HTTP/1.1 as we read it"}')
        except (OSError, TimeoutError, h11.LocalProtocolError) as error:
            metrics.log("error", "engine unreachable", route=route, error=type(error).__name__)
            answer = (503, JSON, b'{"message":"engine proxy: the engine does not answer"}')
        except Exception as error:  # noqa: BLE001  the edge: what was not foreseen is refused
            metrics.log("error", "failed", route=route, error=repr(error)[:300])
            answer = (500, JSON, b'{"message":"engine proxy: this was not foreseen; refused"}')
        metrics.answered(route, answer[0])
        writer.write(_encode(answer, head_only=method == "HEAD"))
        await writer.drain()

    async def _forward(self, request: routes.Request, body: bytes) -> Answer:
        payload = b""
        if request.image is not None and request.image not in self._images():
            raise Refused("image", "the image is none of the runtime images")
        if request.container is not None:
            await self._check_owner(request.container)
        if request.route.has_body:
            payload = json.dumps(policy.judge(policy.parse(body), self.settings)).encode()
        elif body.strip() not in (b"", b"{}", b"null"):
            raise Refused("body", "this request has no body")
        answer = await self.ask(request.route.method, request.target, payload)
        if request.route.name == "create" and answer[0] == 201:
            self._remember(json.loads(answer[2])["Id"])
        return answer

    def _images(self) -> set[str]:
        return {*self.settings.runtime_images, self.settings.builder_image}

    async def _check_owner(self, container: str) -> None:
        if container in self.owned:
            return
        status, _, body = await self.ask("GET", f"/containers/{container}/json", b"")
        if status != 200:
            # The engine's own "no such container" must reach the client as such.
            return
        labels = (json.loads(body).get("Config") or {}).get("Labels") or {}
        if labels.get(routes.OWNER) != routes.OWNER_VALUE:
            raise Refused("foreign-container", "the container is not the sandbox's")
        self._remember(container)

    def _remember(self, container: str) -> None:
        self.owned[container] = None
        while len(self.owned) > MAX_OWNED:
            del self.owned[next(iter(self.owned))]

    async def ask(self, method: str, target: str, payload: bytes) -> Answer:
        async with asyncio.timeout(ENGINE_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(self.settings.engine))
            try:
                connection = h11.Connection(h11.CLIENT)
                headers = [("Host", "engine"), ("Connection", "close")]
                if method == "POST":
                    headers += [("Content-Type", JSON), ("Content-Length", str(len(payload)))]
                request = h11.Request(method=method, target=target, headers=headers)
                writer.write(connection.send(request) or b"")
                if payload:
                    writer.write(connection.send(h11.Data(data=payload)) or b"")
                connection.send(h11.EndOfMessage())
                await writer.drain()
                return await _read_answer(connection, reader)
            except h11.RemoteProtocolError as error:
                raise OSError("the engine ended the answer early") from error
            finally:
                writer.close()


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        connection.receive_data(await reader.read(65536))


async def _read(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request, bytes]:
    head = await _next(connection, reader)
    if not isinstance(head, h11.Request):
        raise h11.RemoteProtocolError("no request came")
    names = {name.lower() for name, _ in head.headers}
    if names & {b"transfer-encoding", b"upgrade", b"expect", b"content-encoding", b"trailer"}:
        raise Refused("protocol", "no transfer encoding, upgrade or expectation is served")
    body = bytearray()
    while not isinstance(event := await _next(connection, reader), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            raise h11.RemoteProtocolError("the request ended early")
        body += event.data
        if len(body) > policy.MAX_BODY_BYTES:
            raise Refused("body", "the body is too large", 413)
    return head, bytes(body)


async def _read_answer(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    head = await _next(connection, reader)
    while isinstance(head, h11.InformationalResponse):
        head = await _next(connection, reader)
    if not isinstance(head, h11.Response):
        raise OSError("the engine closed the connection")
    kinds = [value.decode("latin-1") for name, value in head.headers if name == b"content-type"]
    body = bytearray()
    while isinstance(event := await _next(connection, reader), h11.Data):
        body += event.data
        if len(body) > MAX_ANSWER_BYTES:
            raise OSError("the engine's answer is too large")
    return head.status_code, (kinds or [JSON])[0], bytes(body)


_OWN_PAGES = ("/healthz", "/metrics", "/refusals")


def _own_page(target: str) -> Answer:
    if target == "/metrics":
        return 200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition().encode()
    if target == "/refusals":
        return 200, JSON, json.dumps({"items": list(metrics.recent)}).encode()
    return 200, JSON, b'{"status":"ok"}'


def _encode(answer: Answer, *, head_only: bool) -> bytes:
    status, kind, body = answer
    head = f"HTTP/1.1 {status} {'OK' if status < 400 else 'Refused'}\r\nContent-Type: {kind}\r\n"
    if status not in (204, 304):
        head += f"Content-Length: {len(body)}\r\n"
    head += "Connection: close\r\n\r\n"
    return head.encode("latin-1") + (b"" if head_only or status in (204, 304) else body)
