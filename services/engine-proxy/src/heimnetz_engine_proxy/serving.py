"""One request a connection: read strictly, judge, ask the engine, answer."""

import asyncio
import json
from typing import Any

import h11

from heimnetz_engine_proxy import metrics, policy, routes
from heimnetz_engine_proxy.routes import Refused
from heimnetz_engine_proxy.settings import Settings

READ_TIMEOUT_SECONDS = 10
ENGINE_TIMEOUT_SECONDS = 3700  # `wait` answers when the container ends: at most an hour
MAX_BODY_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 8 << 20
MAX_CONNECTIONS = 64
MAX_OWNED = 10_000

Answer = tuple[int, str, bytes]
JSON = "application/json"
_HEADERS_REFUSED = {b"transfer-encoding", b"upgrade", b"expect", b"content-encoding", b"trailer"}


class Proxy:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Containers that we created, so that most requests need no look at the engine.
        self.owned: dict[str, None] = {}
        self.slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.slots:
            try:
                writer.write(_encode(await self._answer(reader)))
                await writer.drain()
            except (OSError, TimeoutError) as error:
                metrics.log("info", "connection ended", error=type(error).__name__)
            finally:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        method, target, route = "-", "-", "unknown"
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                head, body = await _read(reader)
            method, target = head.method.decode("ascii"), head.target.decode("ascii", "replace")
            answer = own_page(method, target)
            if answer is None:
                request = routes.match(method, target)
                route = request.name
                answer = await self._forward(request, body)
        except Refused as refusal:
            metrics.refused(refusal.rule, refusal.detail, method, target)
            answer = _problem(refusal.status, refusal.detail)
        except h11.RemoteProtocolError as error:
            metrics.refused("protocol", str(error), method, target)
            answer = _problem(400, "this is not HTTP/1.1 as it is read here")
        except (OSError, TimeoutError) as error:
            metrics.log("error", "engine unreachable", route=route, error=type(error).__name__)
            answer = _problem(503, "the engine does not answer")
        except Exception as error:  # noqa: BLE001  the edge: what was not foreseen is refused
            metrics.log("error", "failed", route=route, error=repr(error)[:300])
            answer = _problem(500, "this was not foreseen, and is refused")
        metrics.requests[route, answer[0]] += 1
        return answer

    async def _forward(self, request: routes.Request, body: bytes) -> Answer:
        payload = b""
        if request.image is not None and request.image not in self.settings.images:
            raise Refused("image", "the image is none of the runtime images")
        if request.container is not None:
            await self._check_owner(request.container)
        if request.name == "create":
            payload = json.dumps(policy.judge(policy.parse(body), self.settings)).encode()
        elif body.strip() not in (b"", b"{}", b"null"):
            raise Refused("body", "this request has no body")
        answer = await self.ask(request.method, request.target, payload)
        if request.name == "create" and answer[0] == 201:
            self._remember(json.loads(answer[2])["Id"])
        if request.name == "info" and answer[0] == 200:  # the rest tells of the host
            told = {key: json.loads(answer[2]).get(key) for key in ("Runtimes", "CgroupVersion")}
            return 200, JSON, json.dumps(told | {"Chosen": self.settings.oci_runtime}).encode()
        return answer

    async def _check_owner(self, container: str) -> None:
        if container in self.owned:
            return
        status, _, body = await self.ask("GET", f"/containers/{container}/json", b"")
        if status != 200:
            return  # the engine's own "no such container" reaches the client as such
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
                headers = [("Host", "engine"), ("Connection", "close"), ("Content-Type", JSON)]
                headers.append(("Content-Length", str(len(payload))))
                request = h11.Request(method=method, target=target, headers=headers)
                writer.write((connection.send(request) or b"") + payload)
                connection.send(h11.Data(data=payload))
                connection.send(h11.EndOfMessage())
                await writer.drain()
                return await _read_answer(connection, reader)
            except h11.RemoteProtocolError as error:
                raise OSError("the engine ended the answer early") from error
            finally:
                writer.close()


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(8192))
    return event


async def _read(reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)
    head = await _next(connection, reader)
    if not isinstance(head, h11.Request) or head.http_version != b"1.1":
        raise h11.RemoteProtocolError("no request of HTTP/1.1 came")
    if {name.lower() for name, _ in head.headers} & _HEADERS_REFUSED:
        raise Refused("protocol", "no transfer encoding, upgrade or expectation is served")
    body = bytearray()
    while isinstance(event := await _next(connection, reader), h11.Data):
        body += event.data
        if len(body) > MAX_BODY_BYTES:
            raise Refused("body", "the body is too large", 413)
    return head, bytes(body)


async def _read_answer(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    while isinstance(head := await _next(connection, reader), h11.InformationalResponse):
        pass
    if not isinstance(head, h11.Response):
        raise OSError("the engine closed the connection")
    kind = dict(head.headers).get(b"content-type", JSON.encode()).decode("latin-1")
    body = bytearray()
    while isinstance(event := await _next(connection, reader), h11.Data):
        body += event.data
        if len(body) > MAX_ANSWER_BYTES:
            raise OSError("the engine's answer is too large")
    return head.status_code, kind, bytes(body)


def own_page(method: str, target: str) -> Answer | None:
    if method != "GET":
        return None
    if target == "/metrics":
        return 200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition().encode()
    if target == "/refusals":
        return 200, JSON, json.dumps({"items": list(metrics.recent)}).encode()
    return (200, JSON, b'{"status": "alive"}') if target == "/healthz" else None


def _problem(status: int, detail: str) -> Answer:
    # The engine's own form, which its clients show.
    return status, JSON, json.dumps({"message": f"engine proxy: {detail}"}).encode()


def _encode(answer: Answer) -> bytes:
    status, kind, body = answer
    has_body = status not in (204, 304)
    length = f"Content-Length: {len(body)}\r\n" if has_body else ""
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\n{length}Connection: close\r\n\r\n"
    return head.encode("latin-1") + (body if has_body else b"")
