"""What a plugin's container is like, seen from inside."""

import errno
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECCOMP = {"0": "off", "1": "strict", "2": "filter"}
PSEUDO = {"proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts"}


def run(input: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: A002
    status = read_fields("/proc/self/status")
    return {
        "interfaces": interfaces(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        # First here, first on the host, how many; all of them at 0 where nobody is mapped.
        "uid_map": [
            [int(number) for number in line.split()]
            for line in Path("/proc/self/uid_map").read_text().splitlines()
        ],
        "groups": os.getgroups(),
        "capabilities": {
            name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        },
        "no_new_privileges": status["NoNewPrivs"] == "1",
        "seccomp": SECCOMP[status["Seccomp"]],
        "root": "read-only" if "ro" in mounts()["/"]["options"] else "writable",
        "writable": sorted(
            place
            for place, mount in mounts().items()
            if mount["type"] not in PSEUDO and Path(place).is_dir() and os.access(place, os.W_OK)
        ),
        "devices": sorted(entry.name for entry in Path("/dev").iterdir()),
        "processes": sorted(
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()
        ),
        "environment": sorted(os.environ),
        "limits": {
            name: resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[0]
            for name in ("nofile", "fsize", "core", "msgqueue")
        },
        "attempts": {name: attempt(work) for name, work in ATTEMPTS.items()},
    }


def interfaces() -> list[str]:
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sorted(line.partition(":")[0].strip() for line in lines)


def read_fields(path: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in Path(path).read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


def mounts() -> dict[str, dict[str, Any]]:
    rows = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return {row[1]: {"type": row[2], "options": row[3].split(",")} for row in rows}


def attempt(work: Callable[[], object]) -> str:
    """`possible`, or the name of the error."""
    try:
        work()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "possible"


def connect(address: str, port: int) -> None:
    with socket.create_connection((address, port), timeout=3):
        pass


ATTEMPTS: dict[str, Callable[[], object]] = {
    "connect to the internet": lambda: connect("192.0.2.1", 443),
    "connect to the home": lambda: connect("192.168.1.1", 80),
    "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "become root": lambda: os.setuid(0),
    "write beside the plugin": lambda: Path("/plugin/left").write_text("x"),
    "write to the system": lambda: Path("/etc/left").write_text("x"),
    "make a namespace": lambda: os.unshare(os.CLONE_NEWUSER),
    "reach the engine": lambda: Path("/var/run/docker.sock").stat(),
    "set the host's parameters": lambda: Path("/proc/sys/kernel/hostname").write_text("x"),
}
