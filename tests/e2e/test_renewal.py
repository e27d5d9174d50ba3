"""Certificates and signing keys are replaced while everything goes on."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from heimnetz_common.testing import SERVICES

from ..conftest import Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

# Every server that has a certificate of the stack's authority, and how TLS begins there.
SERVERS = {
    **dict.fromkeys(SERVICES, (8000, "tls")),
    "prometheus": (9090, "tls"),
    "alertmanager": (9093, "tls"),
    "postgres": (5432, "postgres"),
    "nats": (4222, "nats"),
}
SHORT_DAYS = 60 / 86400
# Prints when each server's certificate ends. The handshake refuses one that has ended.
LOOK = """
import json, socket, ssl, sys
context = ssl.create_default_context(cafile="/run/heimnetz/secrets/ca.crt")
found = {}
for name, (port, kind) in json.loads(sys.argv[1]).items():
    raw = socket.create_connection((name, port), timeout=5)
    if kind == "postgres":
        raw.sendall(bytes.fromhex("0000000804d2162f"))
        assert raw.recv(1) == b"S"
    if kind == "nats":
        raw.recv(65536)
    with context.wrap_socket(raw, server_hostname=name) as connection:
        ends = ssl.cert_time_to_seconds(connection.getpeercert()["notAfter"])
        found[name] = [ends, connection.getpeercert()["serialNumber"]]
print(json.dumps(found))
"""


def inside(stack: Stack, code: str, *arguments: str) -> Any:
    return json.loads(
        stack.call(
            *("docker", "compose", "exec", "-T", "monitor", "python", "-c", code), *arguments
        ).out
    )


def serial_numbers(stack: Stack) -> dict[str, str]:
    found = inside(stack, LOOK, json.dumps(SERVERS))
    return {name: serial for name, (_, serial) in found.items()}


def set_lifetime(stack: Stack, days: float) -> None:
    stack.environment["HEIMNETZ_CERTIFICATE_DAYS"] = str(days)
    stack.call("docker", "compose", "up", "--detach", "--wait", "--no-deps", "certs")


@contextmanager
def served(stack: Stack, owner: str) -> Iterator[None]:
    """Every service is asked all the while, and answers every time."""
    failures: list[str] = []
    stop = threading.Event()

    def ask(client: httpx.Client, path: str) -> None:
        try:
            answer = client.get(path)
        except httpx.HTTPError as error:
            failures.append(repr(error))
        else:
            if answer.status_code != 200:
                failures.append(f"{path}: {answer.status_code} {answer.text[:200]}")

    def keep_asking() -> None:
        with stack.http(owner) as client:
            while not stop.wait(0.2):
                for path in ("registry/v1/plugins", "sandbox/v1/runs", "monitor/v1/status"):
                    ask(client, f"/api/{path}")

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert failures == []


def test_certificates_are_renewed_before_they_end_and_nothing_is_started_again(
    stack: Stack, owner: str
) -> None:
    began = stack.call("docker", "compose", "ps", "--quiet", *SERVERS).out
    before = serial_numbers(stack)

    def all_differ_from(old: dict[str, str]) -> Any:
        now = serial_numbers(stack)
        return now if all(now[name] != old[name] for name in SERVERS) else None

    try:
        with served(stack, owner):
            set_lifetime(stack, SHORT_DAYS)
            short = eventually(
                lambda: all_differ_from(before), within_seconds=60, what="short certificates"
            )
            eventually(lambda: all_differ_from(short), within_seconds=90, what="the next ones")
    finally:
        short = serial_numbers(stack)
        set_lifetime(stack, 90)
        eventually(lambda: all_differ_from(short), within_seconds=60, what="long ones again")

    assert stack.call("docker", "compose", "ps", "--quiet", *SERVERS).out == began
    restarts = stack.call(
        "docker", "inspect", "--format", "{{.State.StartedAt}} {{.RestartCount}}", *began.split()
    ).out
    assert {line.split()[1] for line in restarts.splitlines()} == {"0"}


def key_in_use(stack: Stack, owner: str) -> str:
    """With which the running registry signs for the person."""
    code = (
        "import json, ssl, sys, urllib.request\n"
        "context = ssl.create_default_context(cafile='/run/heimnetz/secrets/ca.crt')\n"
        "request = urllib.request.Request('https://registry:8000/v1/auth/sandbox',"
        " headers={'authorization': f'Bearer {sys.argv[1]}'})\n"
        "answer = urllib.request.urlopen(request, context=context)\n"
        "print(json.dumps(answer.headers['authorization'].split()[1].split('.')[0]))\n"
    )
    header = inside(stack, code, owner)
    return str(json.loads(base64.urlsafe_b64decode(header + "=="))["kid"])


def test_signing_keys_are_replaced_while_every_request_is_answered(
    stack: Stack, owner: str
) -> None:
    before = key_in_use(stack, owner)

    with served(stack, owner):
        said = stack.call(
            "docker", "compose", "exec", "-T", "certs", "python", "-m", "heimnetz_init", "rotate"
        ).out
        eventually(
            lambda: key_in_use(stack, owner) != before, within_seconds=15, what="the new key"
        )

    assert {line.rpartition(" ")[2] for line in said.splitlines()} == set(SERVICES)
