"""The way out of a plugin under test: the broker's proxy, with answers that the test gives.

A real HTTP proxy on this machine, where the platform has the broker's. Everything else that the
plugin would reach is refused, as in its container. TLS is left out behind the proxy: what a client
wraps stays readable, so that requests can be looked at and answered.
"""

import base64
import errno
import ipaddress
import json as json_module
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self
from unittest import mock
from urllib.parse import quote, urlsplit

from heimnetz_manifest import Destination
from heimnetz_sdk.testing.proxy import Answer, Proxy, Request

__all__ = ["Network", "Request"]

PROXY = ("127.0.0.1", 3128)
VARIABLES = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), f"http://{PROXY[0]}:{PROXY[1]}"
)


@dataclass(frozen=True, slots=True)
class Grant:
    key: str
    destination: Destination

    def covers(self, host: str, port: int) -> bool:
        """As the broker decides; see docs/permissions.md."""
        if self.destination.port != port:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return self.destination.is_lan or self.destination.names(host)
        network = self.destination.network
        if network is None:
            return self.destination.is_lan and address.is_private
        return network.version == address.version and address in network


@dataclass(frozen=True, slots=True)
class Response:
    """As `Context.fetch` answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json_module.loads(self.body)


@dataclass(frozen=True, slots=True)
class Held:
    """A secret that the plugin has a placeholder for, and the grant that says where it may go."""

    placeholder: str
    value: str
    key: str
    to: Destination | None


class Network:
    """What was asked is in `requests`, in order; what answers is said with `answer` and `fail`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.used: set[str] = set()
        self.refused: list[str] = []
        self.unanswered: list[str] = []
        self._grants: tuple[Grant, ...] = ()
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._unreachable: set[str] = set()
        self.held: tuple[Held, ...] = ()
        self._lock = threading.Lock()
        self._proxy: Proxy | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._proxy is not None:
            self._proxy.close()

    def answer(
        self,
        method: str,
        url: str,
        *,
        status: int = 200,
        json: Any = None,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Further answers for the same request come one after the other; the last one stays."""
        kinds = {} if json is None else {"Content-Type": "application/json"}
        data = body.encode() if isinstance(body, str) else body
        if json is not None:
            data = json_module.dumps(json).encode()
        made = Answer(status, data, {**kinds, **(headers or {})})
        self._answers.setdefault((method.upper(), url), []).append(made)

    def fail(self, target: str) -> None:
        """From now on nobody answers at `host:port`."""
        self._unreachable.add(target)

    def allow(self, destinations: Iterable[str]) -> None:
        """A new run, with what it was granted."""
        grants = [Grant(f"network:{to}", Destination.parse(to)) for to in destinations]
        # `lan` covers what no other grant names.
        self._grants = tuple(sorted(grants, key=lambda grant: grant.destination.is_lan))
        self.used, self.refused, self.unanswered = set(), [], []

    def judge(self, host: str, port: int) -> Answer | None:
        """None where the way is free."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with self._lock:
            for grant in self._grants:
                if grant.covers(host, port):
                    self.used.add(grant.key)
                    if target in self._unreachable:
                        return Answer(502, f"{target} cannot be reached".encode())
                    return None
            self.refused.append(f"network:{target}")
        return Answer(403, f"{target} is not granted".encode())

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        timeout: float = 30.0,  # noqa: ARG002  a test's answer comes at once
    ) -> Response:
        """As `Context.fetch`; the request is kept as the host would get it, secrets in place."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url[:100]!r} is no http(s)://host/…")
        is_secure = parts.scheme == "https"
        host, port = parts.hostname, parts.port or (443 if is_secure else 80)
        refusal = self.judge(host, port)
        if refusal is not None:
            kind = PermissionError if refusal.status == 403 else ConnectionError
            raise kind(refusal.body.decode())
        lowered = {name.lower(): text for name, text in (headers or {}).items()}
        for held in self.held:
            if is_secure and held.to is not None and (held.to.host, held.to.port) == (host, port):
                url, lowered = self._put_in(held, url, lowered)
        data = body.encode() if isinstance(body, str) else body or b""
        answer = self.respond(Request(method.upper(), url, lowered, data))
        named = {name.lower(): text for name, text in answer.headers.items()}
        return Response(answer.status, named, answer.body)

    def _put_in(
        self, held: Held, url: str, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        filled = {
            name: _filled(name, text, held.placeholder, held.value)
            for name, text in headers.items()
        }
        whole = url.replace(held.placeholder, quote(held.value, safe=""))
        if whole != url or filled != headers:
            self.used.add(held.key)
        return whole, filled

    def respond(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            found = self._answers.get((request.method, request.url))
            if not found:
                self.unanswered.append(f"{request.method} {request.url}")
                return Answer(502, b"the test gives no answer to this")
            return found.pop(0) if len(found) > 1 else found[0]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While the plugin runs: its environment, its sockets, its TLS."""
        if self._proxy is None:
            self._proxy = Proxy(self.judge, self.respond)
        kept = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108  as in the container
        with ExitStack() as stack:
            for patch in (
                mock.patch.dict(os.environ, kept | VARIABLES, clear=True),
                *self._patches(self._proxy),
            ):
                stack.enter_context(patch)
            yield

    def _patches(self, proxy: Proxy) -> Iterator[Any]:
        for name in ("connect", "connect_ex"):
            real = getattr(socket.socket, name)
            yield mock.patch.object(socket.socket, name, self._connecting(real, proxy))
        resolve = socket.getaddrinfo

        def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
            if host in {PROXY[0], None, ""}:
                return resolve(host, *arguments, **options)
            self._refuse_direct(str(host))
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        yield mock.patch.object(socket, "getaddrinfo", look_up)

        def wrap(_context: Any, sock: socket.socket, *_: Any, **options: Any) -> socket.socket:
            proxy.is_secure.add(sock.getsockname()[1])
            return Unwrapped(sock, options.get("server_hostname"))

        yield mock.patch.object(ssl.SSLContext, "wrap_socket", wrap)

    def _connecting(self, real: Callable[..., Any], proxy: Proxy) -> Callable[..., Any]:
        def connect(sock: socket.socket, address: Any) -> Any:
            if sock.family == getattr(socket, "AF_UNIX", None):
                return real(sock, address)
            if tuple(address[:2]) == PROXY:
                return real(sock, proxy.address)
            self._refuse_direct(f"{address[0]}:{address[1]}")
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        return connect

    def _refuse_direct(self, target: str) -> None:
        with self._lock:
            self.refused.append(f"network:{target} (not through the proxy)")


class Unwrapped(socket.socket):
    """Answers what HTTP clients ask a TLS socket, and leaves the bytes as they are."""

    def __init__(self, inner: socket.socket, server_hostname: str | None) -> None:
        timeout = inner.gettimeout()
        super().__init__(inner.family, inner.type, inner.proto, inner.detach())
        self.settimeout(timeout)
        self.server_hostname = server_hostname

    def version(self) -> str:
        return "TLSv1.3"

    def selected_alpn_protocol(self) -> None:
        return None

    def getpeercert(self, binary_form: bool = False) -> bytes | dict[str, Any]:
        return b"" if binary_form else {}


def _filled(name: str, text: str, placeholder: str, value: str) -> str:
    if name == "authorization" and text[:6].lower() == "basic ":
        opened = base64.b64decode(text[6:]).decode("utf-8", "replace")
        if placeholder in opened:
            return text[:6] + base64.b64encode(opened.replace(placeholder, value).encode()).decode()
    return text.replace(placeholder, value)
