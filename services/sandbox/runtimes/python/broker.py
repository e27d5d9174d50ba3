"""What a plugin asks of the platform, over the broker's socket. Standard library only."""

from __future__ import annotations

import errno
import json
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BROKER = "/run/heimnetz/broker.sock"
UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
MAX_VALUE_BYTES = 1 << 20
MAX_ANSWER_BYTES = 16 << 20


def quote(text: str) -> str:
    """As a part of a path (RFC 3986, 2.1)."""
    data = text.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in data)


def ask(method: str, path: str, body: bytes = b"") -> bytes | None:
    """Raises: PermissionError, ValueError, OSError with ENOSPC, ConnectionError."""
    head = f"{method} {path} HTTP/1.1\r\nHost: broker\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as broker:
        broker.connect(BROKER)
        broker.sendall(head.encode() + body)
        data = b"".join(iter(lambda: broker.recv(64 * 1024), b""))
    top, _, rest = data.partition(b"\r\n\r\n")
    status, text = int(top.split()[1]), rest.decode("utf-8", "replace")
    if status == 403:
        raise PermissionError(errno.EACCES, text)
    if status in (400, 405, 413, 422):
        raise ValueError(text)
    if status == 507:
        raise OSError(errno.ENOSPC, text)
    if status >= 500 or status == 429:
        raise ConnectionError(text)
    return None if status == 404 else rest


class Response:
    """Of `fetch`. `headers` has its names in lower case."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | str | None = None,
    timeout: float = 30.0,
) -> Response:
    """See `Context.fetch`."""
    import http.client

    data = body.encode() if isinstance(body, str) else body
    connection = http.client.HTTPConnection("broker")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(timeout)
        connection.sock.connect(BROKER)
        connection.request(method, url, data, headers or {})
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        response = Response(answer.status, named, answer.read(MAX_ANSWER_BYTES + 1))
    verdict = named.get("heimnetz-broker")
    if verdict == "malformed":
        raise ValueError(response.text)
    if verdict in ("unreachable", "capped"):
        raise ConnectionError(response.text)
    if verdict:
        raise PermissionError(errno.EACCES, response.text)
    if len(response.body) > MAX_ANSWER_BYTES:
        raise ValueError(f"the answer has more than {MAX_ANSWER_BYTES:,} bytes")
    return response


class Storage:
    def get(self, key: str) -> bytes | None:
        return ask("GET", f"/storage/{quote(key)}")

    def put(self, key: str, value: bytes | str) -> None:
        data = value.encode() if isinstance(value, str) else value
        if len(data) > MAX_VALUE_BYTES:
            raise ValueError(f"a value has at most {MAX_VALUE_BYTES:,} bytes")
        ask("PUT", f"/storage/{quote(key)}", data)

    def delete(self, key: str) -> None:
        ask("DELETE", f"/storage/{quote(key)}")

    def keys(self, prefix: str = "") -> list[str]:
        found = json.loads(ask("GET", f"/storage?prefix={quote(prefix)}") or b"[]")
        return [str(key) for key in found]


def publish(event: str, data: dict[str, Any]) -> None:
    ask("POST", f"/events/{quote(event)}", json.dumps(data).encode())


class CallFailed(Exception):
    """`outcome` is how the other plugin's run ended."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(f"{outcome}: {reason}")
        self.outcome = outcome


def call(plugin: str, input: dict[str, Any] | None = None) -> Any:  # noqa: A002
    """The other plugin's result. Raises: CallFailed, PermissionError, ConnectionError."""
    body = json.dumps(input or {}).encode()
    run = json.loads(ask("POST", f"/plugins/{quote(plugin)}/runs", body) or b"{}")
    if run["outcome"] != "ok":
        raise CallFailed(run["outcome"], run["reason"])
    return run["result"]
