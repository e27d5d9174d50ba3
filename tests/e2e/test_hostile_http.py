"""Requests as nobody should send them, to the gateway and to each service behind it."""

import base64
import json
import socket
import ssl
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ..conftest import PORT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

SERVICES = ("registry", "auditor", "sandbox", "monitor", "docs-gen")
LETTERS, REPLAY = "/v1/dead-letters", "/v1/events/replay"
# Sends each request on a connection of its own and tells what came back: status, type, body.
SPEAK = """
import base64, json, socket, ssl, sys
def ask(host, port, data, context):
    answer = b""
    raw = socket.create_connection((host, port), 10)
    with context.wrap_socket(raw, server_hostname=host) as peer:
        peer.settimeout(45)
        try:
            peer.sendall(data)
            while piece := peer.recv(65536):
                answer += piece
        except OSError:
            pass
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    lines = head.decode("latin-1").split("\\r\\n")
    status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/") else 0
    kinds = [l.partition(":")[2].strip() for l in lines if l.lower().startswith("content-type:")]
    return [status, (kinds or [""])[0], body[:300].decode("utf-8", "replace")]
"""
INSIDE = """
from pathlib import Path
from heimnetz_common.tokens import Keys
keys = Keys("registry", Path("/run/heimnetz/secrets"))
context = ssl.create_default_context(cafile="/run/heimnetz/secrets/ca.crt")
found = []
for service in sys.argv[2:]:
    token = keys.mint(service, subject="user:test", name="test", role="owner").encode()
    for data in json.loads(sys.argv[1]):
        data = base64.b64decode(data).replace(b"TOKEN", token)
        found.append(ask(service, 8000, data, context))
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Case:
    name: str
    request: bytes
    expected: frozenset[int]
    # What the HTTP parser itself refuses has a status and a close only.
    is_parsers: bool = False


def get(target: str, *lines: str) -> bytes:
    return speak("GET", target, *lines)


def post(body: bytes, *lines: str, kind: str = "application/json") -> bytes:
    length = f"Content-Length: {len(body)}"
    return speak("POST", REPLAY, f"Content-Type: {kind}", length, *lines) + body


def speak(method: str, target: str, *lines: str) -> bytes:
    fixed = ("Host: localhost", "Authorization: Bearer TOKEN", "Connection: close")
    return "\r\n".join((f"{method} {target} HTTP/1.1", *fixed, *lines, "", "")).encode("latin-1")


CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
CASES = [
    Case("two lengths", post(b"{}", "Content-Length: 3"), frozenset({400}), is_parsers=True),
    Case(
        "a length and chunks",
        post(b"0\r\n\r\n", "Transfer-Encoding: chunked"),
        # Chunks win over the length (RFC 9112, 6.3) or the request is refused; never both.
        frozenset({400, 422}),
        is_parsers=True,
    ),
    Case(
        "a negative length",
        speak("POST", REPLAY, "Content-Length: -5"),
        frozenset({400, 413}),
        is_parsers=True,
    ),
    Case(
        "a header of 100 KB",
        get(LETTERS, "X-Padding: " + "x" * 100_000),
        frozenset({400, 431}),
        is_parsers=True,
    ),
    Case("a URL of 9 KB", get(LETTERS + "?" + "x" * 9_000), frozenset({400, 414}), is_parsers=True),
    Case(
        "endless chunks",
        speak("POST", REPLAY, "Transfer-Encoding: chunked", "Content-Type: application/json")
        + CHUNK * 20
        + b"0\r\n\r\n",
        frozenset({413, 422}),
    ),
    Case("a limit below nothing", get(LETTERS + "?limit=-1"), frozenset({422})),
    Case("a limit of 2^70", get(f"{LETTERS}?limit={2**70}"), frozenset({422})),
    Case("a limit that is no number", get(LETTERS + "?limit=ten"), frozenset({422})),
    Case(
        "an id of 2^63",
        speak("POST", f"{LETTERS}/{2**63}/retry", "Content-Length: 0"),
        frozenset({422}),
    ),
    Case("an id of 5,000 digits", get(f"/v1/traces/{'7' * 5000}"), frozenset({404, 422})),
    Case("NUL in a path", get("/v1/traces/a%00b"), frozenset({404, 422})),
    Case("NUL in a query", get(LETTERS + "?limit=%00"), frozenset({422})),
    Case("bytes that are no text", get("/v1/traces/%ff%fe"), frozenset({404, 422})),
    Case("SQL in a path", get("/v1/traces/'%20OR%201=1;--"), frozenset({404, 422})),
    Case("a way out of the path", get("/v1/..%2f..%2fmetrics"), frozenset({404})),
    Case(
        "a method that nobody knows",
        speak("BREW", LETTERS),
        frozenset({400, 405, 501}),
        is_parsers=True,
    ),
    Case("a method that does not fit", speak("DELETE", LETTERS), frozenset({405})),
    Case("another type", post(b"{}", kind="text/plain"), frozenset({415})),
    Case("an answer nobody can give", get(LETTERS, "Accept: image/png"), frozenset({406})),
    Case("no number", post(b'{"since": NaN}'), frozenset({422})),
    Case("a key twice", post(b'{"since": "2026-01-01T00:00:00Z", "since": 1}'), frozenset({422})),
    Case("an unknown key", post(b'{"until": 1}'), frozenset({422})),
    Case("a lone surrogate", post(b'{"since": "\\ud800"}'), frozenset({422})),
    Case("a byte order mark", post(b"\xef\xbb\xbf{}"), frozenset({422})),
    Case("UTF-16", post("{}".encode("utf-16")), frozenset({422})),
    Case("bytes for text", post(b'{"since": "\xff"}'), frozenset({422})),
    Case("50,000 brackets", post(b"[" * 50_000), frozenset({422})),
    Case("nothing", post(b""), frozenset({422})),
]
HARMLESS = Case(
    "a thousand ranges",
    get(LETTERS, "Range: bytes=" + ",".join(f"{n}-{n}" for n in range(1000))),
    frozenset({200}),
)


def check(where: str, case: Case, answer: list[Any]) -> str | None:
    status, kind, body = answer
    if status not in case.expected:
        return f"{where}, {case.name}: {status} {body}"
    if status >= 400 and not case.is_parsers and kind != "application/problem+json":
        return f"{where}, {case.name}: {status} as {kind}"
    return None


def test_each_service_refuses_what_is_hostile_and_goes_on(stack: Stack) -> None:
    cases = [*CASES, HARMLESS, Case("a plain one", get("/healthz"), frozenset({200}))]
    requests = json.dumps([base64.b64encode(case.request).decode() for case in cases])
    # Too long for an argument, so the script brings them along.
    code = textwrap.dedent(SPEAK + INSIDE).replace("sys.argv[1]", "REQUESTS")
    said = stack.call(
        *("docker", "compose", "exec", "-T", "registry", "python", "-c"),
        "import sys; exec(sys.stdin.read())",
        *("-", *SERVICES),
        stdin=f"REQUESTS = {requests!r}\n{code}",
    )
    answers = json.loads(said.out)
    wrong = [
        check(service, case, answers[at * len(cases) + number])
        for at, service in enumerate(SERVICES)
        for number, case in enumerate(cases)
    ]

    assert [text for text in wrong if text] == []


def test_the_gateway_refuses_what_is_hostile_and_goes_on(stack: Stack, owner: str) -> None:
    space: dict[str, Any] = {}
    exec(SPEAK, space)  # the same speaker, on this side of the door
    context = ssl.create_default_context(
        cafile=f"{stack.environment['HEIMNETZ_OUT']}/gateway-ca.crt"
    )
    wrong = []
    for case in [*CASES, HARMLESS, Case("a plain one", get("/healthz"), frozenset({200}))]:
        data = case.request.replace(b"TOKEN", owner.encode()).replace(b" /", b" /api/monitor/", 1)
        wrong.append(check("gateway", case, space["ask"]("localhost", int(PORT), data, context)))

    assert [text for text in wrong if text] == []


def test_of_many_ranges_none_is_answered_and_of_one_that(stack: Stack) -> None:
    with stack.http() as anybody:
        many = anybody.get("/docs/", headers={"range": "bytes=" + "0-0," * 1000 + "1-1"})
        one = anybody.get("/docs/", headers={"range": "bytes=0-4"})

    assert (many.status_code, one.status_code) == (200, 206)
    assert one.content == many.content[:5]


def test_slow_and_half_open_requests_are_closed_while_others_are_served(
    stack: Stack, owner: str, http: httpx.Client
) -> None:
    """Row 67: nobody but the front can close a connection that has not become a request."""
    context = ssl.create_default_context(
        cafile=f"{stack.environment['HEIMNETZ_OUT']}/gateway-ca.crt"
    )
    begin = b"GET /docs/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    slow_body = (
        f"POST /api/monitor{REPLAY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {owner}\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\n\r\n{"
    ).encode()
    ends: dict[str, bytes] = {}

    def hold(name: str, data: bytes, *, has_tls: bool) -> None:
        peer = socket.create_connection(("localhost", int(PORT)), 10)
        if has_tls:
            peer = context.wrap_socket(peer, server_hostname="localhost")
        answer = b""
        with peer:
            peer.settimeout(60)
            try:
                peer.sendall(data)
                while piece := peer.recv(4096):
                    answer += piece
            except TimeoutError:
                return
            except OSError:
                pass
        ends[name] = answer

    holders = [
        *(holder(hold, f"header {n}", begin, has_tls=True) for n in range(30)),
        *(holder(hold, f"no hello {n}", b"", has_tls=False) for n in range(30)),
        holder(hold, "body", slow_body, has_tls=True),
    ]
    for thread in holders:
        thread.start()
    served = 0
    began = time.monotonic()
    while any(thread.is_alive() for thread in holders):
        assert http.get("/api/registry/v1/me").status_code == 200
        served += 1
        for thread in holders:
            thread.join(0.02)
        assert time.monotonic() - began < 90

    assert len(ends) == len(holders)
    assert served > 10
    assert b" 408 " in ends["body"].splitlines()[0]


def holder(work: Callable[..., None], *arguments: Any, **named: Any) -> threading.Thread:
    return threading.Thread(target=work, args=arguments, kwargs=named, daemon=True)
