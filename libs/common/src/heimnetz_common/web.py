"""One way to make a service's HTTP edge, and to serve it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from heimnetz_common import operating, problems
from heimnetz_common.auth import PUBLIC
from heimnetz_common.errors import (
    HeaderTooLarge,
    HeimnetzError,
    InvalidInput,
    NotFound,
    TargetTooLong,
    TooLarge,
    TooSlow,
)
from heimnetz_common.logs import configure_logs
from heimnetz_common.routing import MAX_JSON_BYTES, StrictRoute, router
from heimnetz_common.service import NotReady, Service
from heimnetz_common.settings import ServiceSettings
from heimnetz_common.telemetry import Telemetry

CERTIFICATE_POLL_SECONDS = 10
MAX_HEADER_BYTES = 32 * 1024  # what the gateway takes
# A sender that is slower than this on average only holds a connection.
SLOWEST_BYTES_PER_SECOND = 1024
PATIENCE_SECONDS = 30.0
_MAX_TARGET_BYTES = 8 * 1024  # what most servers take; longer is 414 at the gateway

PROBLEM: dict[str, Any] = {
    "description": "Refused or failed; the problem's type says why",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class Guard:
    """ASGI middleware: refuses targets that are no text, and requests too large or too slow."""

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._app = app
        self._max = max_body_bytes
        self._patience = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = (
            _bad_target(request)
            or _header_too_large(request)
            or _announced_too_large(request, self._max)
        )
        if refusal is not None:
            await problems.answer(request, refusal)(scope, receive, send)
            return
        received = 0
        is_whole = False
        began = asyncio.get_running_loop().time()

        async def receive_bounded() -> Message:
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            try:
                deadline = began + self._patience + received / SLOWEST_BYTES_PER_SECOND
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise TooSlow("less than 1 KiB a second came") from error
            received += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if received > self._max:
                raise TooLarge(f"the body is larger than {self._max} bytes")
            return message

        await self._app(scope, receive_bounded, send)


def _header_too_large(request: Request) -> HeimnetzError | None:
    if sum(len(name) + len(value) for name, value in request.scope["headers"]) <= MAX_HEADER_BYTES:
        return None
    return HeaderTooLarge(f"the header is larger than {MAX_HEADER_BYTES} bytes")


def _bad_target(request: Request) -> HeimnetzError | None:
    raw: bytes = request.scope.get("raw_path", b"") + request.scope.get("query_string", b"")
    if len(raw) > _MAX_TARGET_BYTES:
        return TargetTooLong(f"the URL is longer than {_MAX_TARGET_BYTES} bytes")
    path = str(request.scope["path"])
    if "\ufffd" in path or any(ord(char) < 32 or ord(char) == 127 for char in path):
        return NotFound("no such path")
    if b"%00" in request.scope.get("query_string", b""):
        return InvalidInput("the query holds a NUL character")
    return None


def _announced_too_large(request: Request, limit: int) -> HeimnetzError | None:
    announced = request.headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) <= limit:
        return None
    return TooLarge(f"the body may have at most {limit} bytes")


def create_app(
    service: Service,
    routers: Sequence[APIRouter],
    *,
    title: str,
    version: str = "0.1.0",
    max_body_bytes: int = MAX_JSON_BYTES,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The service's application.

    `lifespan` is around the service's own start and stop: background work still has it at the end.
    """

    @asynccontextmanager
    async def run(_: FastAPI) -> AsyncIterator[None]:
        async with lifespan() if lifespan else nullcontext(), service.running():
            yield

    app = FastAPI(
        title=title,
        version=version,
        lifespan=run,
        docs_url=None,
        redoc_url=None,
        responses={"default": PROBLEM},
    )
    app.router.route_class = StrictRoute
    app.state.keys = service.keys
    app.state.service = service
    app.include_router(_health(service))
    if service.database is not None:
        app.include_router(operating.routes(service.opened_database, service.name))
    for item in routers:
        app.include_router(item)
    problems.install(app)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        problems.describe(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_middleware(Guard, max_body_bytes=max_body_bytes)
    app.add_middleware(Telemetry)
    return app


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Serve until the process is told to stop. Certificates are read again when they change."""
    configure_logs(settings.service, settings.log_level)
    certificate, key = settings.secrets_dir / "tls.crt", settings.secrets_dir / "tls.key"
    config = uvicorn.Config(
        app,
        host=settings.bind,
        port=settings.port,
        ssl_certfile=certificate if settings.tls else None,
        ssl_keyfile=key if settings.tls else None,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    config.load()
    uvloop.run(_serve(_Server(config), config.ssl, certificate, key))


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Idle TLS connections of other services' pools would never answer a polite close."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


async def _serve(
    server: uvicorn.Server, tls: ssl.SSLContext | None, certificate: Path, key: Path
) -> None:
    renewing = asyncio.create_task(keep_renewed(tls, certificate, key)) if tls is not None else None
    try:
        await server.serve()
    finally:
        if renewing is not None:
            renewing.cancel()


async def keep_renewed(tls: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """A context that is in use takes a new certificate for the connections that come after."""
    loaded = certificate.stat().st_mtime
    while True:
        await asyncio.sleep(CERTIFICATE_POLL_SECONDS)
        with suppress(OSError):
            changed = certificate.stat().st_mtime
            if changed != loaded:
                tls.load_cert_chain(certificate, key)
                loaded = changed


class Readiness(BaseModel):
    """`degraded`: it serves, and what is announced waits. A check says `ok` or what is amiss."""

    ready: bool
    degraded: bool
    checks: dict[str, str]


def _health(service: Service) -> APIRouter:
    routes = router(tags=["health"])

    @routes.get("/healthz", dependencies=[Depends(PUBLIC)])
    async def healthz() -> dict[str, str]:
        return {"service": service.name, "status": "alive"}

    @routes.get("/readyz", dependencies=[Depends(PUBLIC)])
    async def readyz() -> Readiness:
        answers = await service.check()
        if any(answers.values()):
            raise NotReady(answers)
        spare = await service.check_spare()
        checks = {name: why or "ok" for name, why in (answers | spare).items()}
        return Readiness(ready=True, degraded=any(spare.values()), checks=checks)

    @routes.get("/metrics", dependencies=[Depends(PUBLIC)], include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
