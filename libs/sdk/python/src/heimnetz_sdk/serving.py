"""HTTP for a plugin of kind `service`: its handler is called for each request.

    from heimnetz_sdk.serving import Request, Response

    def run(input, context):
        context.serve(lambda request: {"hello": request.path})

Standard library only, part of the Python runtime. A plugin that brings a server of its own gives it
`context.listener`, a listening Unix socket.
"""

import array
import contextlib
import json
import socket
import traceback
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs, urlsplit

HATCH = "/run/heimnetz/service.sock"
MAX_BODY_BYTES = 8 << 20
#: Where the sandbox, and nobody else, asks for caches to be dropped.
DROP_CACHES = "/.well-known/heimnetz/drop-caches"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def take_listener() -> socket.socket:
    """The socket that the sandbox listens at for us; there is one, for who asks first."""
    with socket.socket(socket.AF_UNIX) as hatch:
        hatch.connect(HATCH)
        size = array.array("i").itemsize
        _, ancillary, _, _ = hatch.recvmsg(16, socket.CMSG_SPACE(size))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % size])
    return socket.socket(fileno=descriptors[0])


class Request:
    """`headers` has its names in lower case; `query` the values of each name in order."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.method, self.path = method, parts.path
        self.query = parse_qs(parts.query, keep_blank_values=True)
        self.headers, self.body = headers, body

    def json(self) -> Any:
        return json.loads(self.body)


class Response:
    """`body` is bytes, text, or anything else as JSON."""

    def __init__(
        self, body: Any = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        kind, self.body = "application/octet-stream", body
        if isinstance(body, str):
            kind, self.body = "text/html; charset=utf-8", body.encode()
        elif not isinstance(body, bytes):
            kind, self.body = "application/json", json.dumps(body, allow_nan=False).encode()
        self.headers.setdefault("content-type", kind)


Handle = Callable[[Request], Any]
_DROPPERS: list[Callable[[], Any]] = []


def on_drop_caches(drop: Callable[[], Any]) -> Callable[[], Any]:
    """Register what gives back memory that is not needed; called when memory grows scarce."""
    _DROPPERS.append(drop)
    return drop


class Handler(BaseHTTPRequestHandler):
    """Answers what `handle_request` returns: a Response, or its body."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "plugin", ""
    timeout = 60
    handle_request: Handle

    def serve(self) -> None:
        response = self.answer()
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        has_body = response.status >= 200 and response.status not in (204, 304)
        if has_body:
            self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(response.body)

    def answer(self) -> Response:
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            body = self.read_chunks()
        else:
            body = self.rfile.read(int(length)) if int(length) <= MAX_BODY_BYTES else None
        if body is None:
            self.close_connection = True
            return Response(f"there is room for {MAX_BODY_BYTES:,} bytes\n", 413)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            asked = Request(self.command, self.path, headers, body)
            return answer(type(self).handle_request, asked)
        except Exception:  # noqa: BLE001  the edge of the plugin: one request fails, not the service
            traceback.print_exc()
            return Response("the plugin failed; its log says how\n", 500)

    def read_chunks(self) -> bytes | None:
        """RFC 9112, section 7.1; None where it is too much or nothing that can be read."""
        body = bytearray()
        with contextlib.suppress(ValueError):
            while size := int(self.rfile.readline(64).split(b";")[0], 16):
                if len(body) + size > MAX_BODY_BYTES:
                    return None
                body += self.rfile.read(size)
                self.rfile.readline(8)
            while self.rfile.readline(8192).strip():
                pass
            return bytes(body)
        return None

    def address_string(self) -> str:
        return "gateway"

    def log_message(self, *_: Any) -> None:
        """The gateway has a log; what the plugin wants to say it says itself."""


for name in METHODS:
    setattr(Handler, f"do_{name}", Handler.serve)


def answer(handle: Handle, request: Request) -> Response:
    # What comes through the pages has the prefix, and is the plugin's own.
    if request.path == DROP_CACHES and "x-forwarded-prefix" not in request.headers:
        for drop in _DROPPERS:
            drop()
        return Response(status=204 if _DROPPERS else 404)
    found = handle(request)
    return found if isinstance(found, Response) else Response(found)


class Server(ThreadingMixIn, HTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True
    request_queue_size = 128

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, _ = self.socket.accept()
        return connection, ("gateway", 0)


def serve(listener: socket.socket, handle: Handle) -> None:
    """Until the container ends."""
    made = type("Handler", (Handler,), {"handle_request": staticmethod(handle)})
    server = Server(("", 0), made, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()
