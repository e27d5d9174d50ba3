"""The proxy itself: HTTP on a loopback port, in a thread."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` has its names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Judge = Callable[[str, int], Answer | None]
Respond = Callable[[Request], Answer]


class Proxy:
    """`is_secure` holds the local ports of the connections that a client believes to be TLS."""

    def __init__(self, judge: Judge, respond: Respond) -> None:
        self.is_secure: set[int] = set()
        proxy = self

        class Handler(_Handler):
            def is_secure(self) -> bool:
                return self.client_address[1] in proxy.is_secure

        Handler.judge, Handler.respond = staticmethod(judge), staticmethod(respond)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", int(self._server.server_address[1]))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    judge: Judge
    respond: Respond
    tunnel: str | None = None

    def is_secure(self) -> bool:
        raise NotImplementedError

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        refusal = self.judge(host.strip("[]"), int(port))
        if refusal is not None:
            self._write(refusal)
            return
        self.tunnel = self.path
        self.send_response_only(200)
        self.end_headers()
        self.close_connection = False  # some clients say HTTP/1.0 here, and go on all the same

    def exchange(self) -> None:
        url = self.path
        if self.tunnel is not None:
            scheme, usual = ("https", ":443") if self.is_secure() else ("http", ":80")
            url = f"{scheme}://{self.tunnel.removesuffix(usual)}{self.path}"
        else:
            target = urlsplit(url)
            refusal = self.judge(target.hostname or "", target.port or 80)
            if refusal is not None:
                self._write(refusal)
                return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._write(self.respond(Request(self.command, url, headers, self._body(headers))))

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _write(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler.exchange)
