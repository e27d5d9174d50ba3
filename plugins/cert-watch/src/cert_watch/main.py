"""Asks each host for its certificate, through the broker, and tells which soon end."""

import hashlib
import json
import re
import socket
import ssl
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from cert_watch import certificate
from heimnetz_sdk.plugin import Context, Input, Output

PROXY = ("127.0.0.1", 3128)
TIMEOUT_SECONDS = 10
MAX_HEAD_BYTES = 4096
EVENT = "cert-watch.certificate.expiring.v1"
STATES = ("fine", "expiring", "expired", "unreachable")


class Unreachable(Exception):
    """No certificate came."""


def run(input: Input, context: Context) -> Output:  # noqa: A002, ARG001
    now = datetime.now(UTC)
    ahead = timedelta(days=context.config["warn_days"])
    found = [look(str(host), now, ahead) for host in context.config["hosts"]]
    for one in found:
        context.log(line(one))
        if one["state"] in ("expiring", "expired"):
            tell_once(one, context)
    counts = {state: sum(one["state"] == state for one in found) for state in STATES[1:]}
    return {"hosts": found, **counts}


def look(place: str, now: datetime, ahead: timedelta) -> dict[str, Any]:
    host, port = split(place)
    try:
        der = fetch(host, port)
        seen = certificate.read(der)
    except (Unreachable, certificate.Unreadable) as error:
        return {"host": place, "state": "unreachable", "reason": str(error)[:300]}
    left = seen.ends_at - now
    state = "expired" if left <= timedelta(0) else "expiring" if left <= ahead else "fine"
    times = {"begins_at": seen.begins_at.isoformat(), "ends_at": seen.ends_at.isoformat()}
    return {
        "host": place,
        "state": state,
        "days_left": left.days,
        **asdict(seen),
        **times,
        "names": list(seen.names),
        "sha256": hashlib.sha256(der).hexdigest(),
    }


def split(place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    return (host, int(port)) if colon and port.isdecimal() else (place, 443)


def fetch(host: str, port: int) -> bytes:
    """The certificate that the host shows, whoever issued it. Raises: Unreachable."""
    # Nothing secret is sent: what is asked is what everybody is shown.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(PROXY, TIMEOUT_SECONDS) as connection:
            connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = read_head(connection)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise Unreachable(read_reason(connection, answer))
            with context.wrap_socket(connection, server_hostname=host) as secure:
                der = secure.getpeercert(binary_form=True)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    if not der:
        raise Unreachable("it shows no certificate")
    return der


def read_head(connection: socket.socket) -> bytes:
    """The broker's answer, without its body."""
    data = b""
    while not data.endswith(b"\r\n\r\n") and len(data) < MAX_HEAD_BYTES:
        # One by one: what comes after a 200 belongs to TLS.
        more = connection.recv(1)
        if not more:
            break
        data += more
    return data


def read_reason(connection: socket.socket, answer: bytes) -> str:
    """Why the broker refuses, in its own words."""
    length = re.search(rb"(?i)\r\ncontent-length: *(\d{1,4})\r\n", answer)
    data = b""
    while length is not None and len(data) < int(length[1]):
        more = connection.recv(4096)
        if not more:
            break
        data += more
    return data.decode("utf-8", "replace").strip() or "the broker does not answer"


def tell_once(one: dict[str, Any], context: Context) -> None:
    key = f"told/{hashlib.sha256(one['host'].encode()).hexdigest()[:32]}"
    known = context.storage.get(key)
    told = {"sha256": one["sha256"], "state": one["state"]}
    if known is not None and json.loads(known) == told:
        return
    context.publish(EVENT, {key: one[key] for key in ("host", "state", "ends_at", "days_left")})
    context.storage.put(key, json.dumps(told))


def line(one: dict[str, Any]) -> str:
    if one["state"] == "unreachable":
        return f"{one['host']}: unreachable, {one['reason']}"
    return f"{one['host']}: {one['state']}, ends {one['ends_at'][:10]} ({one['days_left']} days)"
