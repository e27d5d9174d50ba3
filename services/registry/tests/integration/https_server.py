"""A web server of somebody else's, with a certificate of its own authority, that may misbehave."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from heimnetz_init.issuing import issue, make_authority


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_endless: bool = False


@dataclass
class HttpsServer:
    """`files` are what it answers with by path; `asked` are the headers of each request."""

    port: int
    ca: str
    files: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str = "/index.json", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"


def tls_files(folder: Path) -> tuple[str, Path, Path]:
    """The authority's certificate, and files with a server's certificate and key."""
    ca, ca_key = make_authority()
    certificate, key = issue(ca, ca_key, "catalogue")
    paths = folder / "server.crt", folder / "server.key"
    for path, text in zip(paths, (certificate, key), strict=True):
        path.write_text(text)
    return ca, *paths


@contextmanager
def serving(folder: Path) -> Iterator[HttpsServer]:
    ca, certificate, key = tls_files(folder)
    stopped = threading.Event()
    server = HttpsServer(0, ca)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            answer = server.files.get(self.path, Answer(status=404))
            etag = answer.headers.get("etag")
            if etag is not None and self.headers.get("if-none-match") == etag:
                answer = Answer(status=304)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            size = 10**12 if answer.is_endless else len(answer.body)
            self.send_header("content-length", str(size))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.is_endless:
                self.wfile.flush()
                stopped.wait(30)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    web.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away
    web.socket = context.wrap_socket(web.socket, server_side=True)
    server.port = web.server_address[1]
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopped.set()
        web.shutdown()
        thread.join()
        web.server_close()
