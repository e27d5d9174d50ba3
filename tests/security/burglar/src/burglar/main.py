"""One attempt a call; the answer says what stopped it."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEIGHBOURS = [("172.17.0.1", 2375), ("172.18.0.2", 5432), ("192.168.1.20", 22), ("10.0.0.2", 445)]
SECRETS = [
    "/run/heimnetz/secrets",
    "/var/lib/heimnetz",
    "/root/.ssh/id_rsa",
    "/proc/1/environ",
    "/proc/1/mem",
]
ENGINE = ["/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/heimnetz/engine.sock"]
PLACES = ["/etc/cron.d/stay", "/plugin/stay.py", "/usr/lib/stay", "/proc/sys/kernel/core_pattern"]


def run(input: dict[str, Any], context: Any) -> str:  # noqa: A002
    return ATTEMPTS[input["try"]](context)


def each(tries: list[tuple[str, Callable[[], object]]]) -> str:
    """How each ended, in words; raises where one was possible."""
    ends = {}
    for name, attempt in tries:
        try:
            attempt()
        except OSError as error:
            ends[name] = errno.errorcode.get(error.errno or 0, str(error))
        else:
            raise RuntimeError(f"{name} was possible")
    reasons = sorted(set(ends.values()))
    return f"{len(ends)} tried, none possible: {', '.join(reasons)}"


def connect(address: str, port: int) -> None:
    with socket.create_connection((address, port), timeout=2):
        pass


def connects(places: list[tuple[str, int]]) -> str:
    return each([(f"{host}:{port}", lambda h=host, p=port: connect(h, p)) for host, port in places])


def reads(paths: list[str]) -> str:
    return each([(path, lambda p=path: read(p)) for path in paths])


def read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(1)


def speak(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(path)


def forks(_: Any) -> str:
    while True:
        if os.fork() == 0:
            while True:
                pass


def memory(_: Any) -> str:
    kept = []
    while True:
        kept.append(os.urandom(1 << 20))


def disk(_: Any) -> str:
    with Path("/tmp/bomb").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def log(_: Any) -> str:
    while True:
        print("x" * 1000)  # noqa: T201


ATTEMPTS: dict[str, Callable[[Any], str]] = {
    "router": lambda _: connects([("192.168.1.1", 80), ("192.168.0.1", 443)]),
    "neighbours": lambda _: connects(NEIGHBOURS),
    "internet": lambda _: connects([("192.0.2.1", 443), ("198.51.100.1", 53)]),
    "secrets": lambda _: reads(SECRETS),
    "engine": lambda _: each([(path, lambda p=path: speak(p)) for path in ENGINE]),
    "stay": lambda _: each([(path, lambda p=path: Path(p).write_text("x")) for path in PLACES]),
    "forks": forks,
    "memory": memory,
    "disk": disk,
    "log": log,
}
