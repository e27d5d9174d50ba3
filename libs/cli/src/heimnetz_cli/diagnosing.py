"""What is wrong with an installation of the stack, and what to do about it."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

OLDEST_ENGINE, OLDEST_COMPOSE = (20, 10), (2, 20)
COMMAND_SECONDS, CONNECT_SECONDS = 20, 5
GIB = 1 << 30
LEAST_FREE_BYTES, FEW_FREE_BYTES = GIB, 5 * GIB
MAX_SKEW_SECONDS = 30
_START = "start it: make up, in the directory of the compose file"
_SERVICE = "com.docker.compose.service"


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"  # could not be looked at, because of something else that is said


@dataclass(frozen=True, slots=True)
class Diagnosis:
    check: str
    state: State
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of the compose file, and the settings that hold there."""

    folder: Path
    settings: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> "Place":
        """What stands in `.env`, under the environment, as Compose reads it."""
        found: dict[str, str] = {}
        try:
            text = (folder / ".env").read_text(errors="replace")
        except OSError:
            text = ""
        for line in text.splitlines():
            match = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", line)
            if match:
                found[match[1]] = match[2].strip().strip("'\"")
        return cls(folder, {**found, **os.environ})

    def get(self, name: str, default: str) -> str:
        return self.settings.get(name) or default

    @property
    def project(self) -> str:
        return self.get("COMPOSE_PROJECT_NAME", "heimnetz")

    @property
    def address(self) -> str:
        """Where the gateway listens, as this machine reaches it."""
        bound = self.get("HEIMNETZ_BIND", "0.0.0.0")  # noqa: S104 - the compose file's default
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, bound)  # noqa: S104 - as above

    def ports(self) -> Iterator[tuple[str, int]]:
        for name, default in (("HEIMNETZ_PORT", "8443"), ("HEIMNETZ_PLUGIN_PORT", "8444")):
            text = self.get(name, default)
            yield name, int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0


def look_at_machine(place: Place) -> Iterator[Diagnosis]:
    """Engine, Compose, disk, containers and ports of this machine."""
    docker = shutil.which("docker")
    if docker is None:
        yield Diagnosis(
            "engine",
            State.PROBLEM,
            "the command docker is not there",
            "install Docker; make up does it on Debian and Ubuntu",
        )
        yield Diagnosis("services", State.UNKNOWN, "the engine cannot be asked")
        yield from _disk(place, {})
        return
    info, engine = _engine(docker)
    yield engine
    yield _compose(docker)
    if not info:
        yield Diagnosis("services", State.UNKNOWN, "the engine cannot be asked")
        yield from _disk(place, {})
        return
    yield _caps(info)
    yield _isolation(place, info)
    yield _engine_clock(info)
    yield from _disk(place, info)
    containers = _containers(docker, place.project)
    yield from _services(containers)
    yield from _ports(place, is_running=containers.get("gateway", ("",))[0] == "running")


def look_at_gateway(url: str, ca_file: Path | None) -> Iterator[Diagnosis]:
    """Whether it answers, with a certificate that is trusted, and what time it has."""
    parts = urlsplit(url)
    host = parts.hostname
    if host is None or parts.scheme not in {"http", "https"}:
        yield Diagnosis("gateway", State.PROBLEM, f"{url} is no address", "heimnetz login --url …")
        return
    connection = _connection(parts.scheme, host, parts.port, ca_file)
    if isinstance(connection, Diagnosis):
        yield connection
        return
    try:
        connection.request("GET", "/", headers={"User-Agent": "heimnetz-doctor"})
        answered_at = datetime.now(UTC)
        peer = connection.sock.getpeercert() if isinstance(connection.sock, ssl.SSLSocket) else None
        date = connection.getresponse().getheader("Date")
    except ssl.SSLCertVerificationError as error:
        yield Diagnosis(
            "certificate",
            State.PROBLEM,
            f"the certificate of {url} is not trusted: {error.verify_message}",
            "make login on the stack's machine fetches its authority; elsewhere: "
            "heimnetz login --ca-file root.crt",
        )
        return
    except (OSError, HTTPException) as error:
        yield Diagnosis("gateway", State.PROBLEM, f"{url} does not answer: {error}", _START)
        return
    finally:
        connection.close()
    yield Diagnosis("gateway", State.OK, f"{url} answers")
    if peer:
        yield Diagnosis("certificate", State.OK, f"trusted, until {peer.get('notAfter')}")
    yield _skew("clock", _moment(date), answered_at, "the gateway's")


def _connection(
    scheme: str, host: str, port: int | None, ca_file: Path | None
) -> HTTPConnection | Diagnosis:
    if scheme == "http":
        return HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        return Diagnosis(
            "certificate",
            State.PROBLEM,
            f"the authority in {ca_file} cannot be read: {error}",
            "log in again: make login",
        )
    return HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=context)


def _engine(docker: str) -> tuple[dict[str, Any], Diagnosis]:
    said, complaint = _ask(docker, "info", "--format", "{{json .}}")
    try:
        info = json.loads(said)
    except ValueError:
        info = None
    if not isinstance(info, dict) or not info.get("ServerVersion"):
        errors = info.get("ServerErrors") if isinstance(info, dict) else None
        why = str(errors[0]) if isinstance(errors, list) and errors else complaint
        is_forbidden = "permission denied" in why.lower()
        advice = (
            "become a member of the group docker and log in again, or be root"
            if is_forbidden
            else "start it: systemctl start docker, or make up"
        )
        return {}, Diagnosis("engine", State.PROBLEM, f"it does not answer: {why}", advice)
    version = str(info["ServerVersion"])
    if _numbers(version) < OLDEST_ENGINE:
        return info, Diagnosis(
            "engine", State.PROBLEM, f"version {version} is too old", "20.10 or newer is needed"
        )
    return info, Diagnosis("engine", State.OK, f"version {version} answers")


def _compose(docker: str) -> Diagnosis:
    said, complaint = _ask(docker, "compose", "version", "--short")
    version = said.strip()
    if not version:
        return Diagnosis(
            "compose",
            State.PROBLEM,
            f"docker compose does not answer: {complaint}",
            "install the plugin docker-compose-v2; make up does it on Debian and Ubuntu",
        )
    if _numbers(version) < OLDEST_COMPOSE:
        return Diagnosis(
            "compose", State.PROBLEM, f"version {version} is too old", "2.20 or newer is needed"
        )
    return Diagnosis("compose", State.OK, f"version {version}")


def _caps(info: Mapping[str, Any]) -> Diagnosis:
    """Without these a plugin could take the machine."""
    missing = [
        words
        for key, words in (
            ("MemoryLimit", "memory"),
            ("PidsLimit", "processes"),
            ("CpuCfsQuota", "processor time"),
        )
        if info.get(key) is False
    ]
    if not any("seccomp" in str(option) for option in info.get("SecurityOptions") or ()):
        missing.append("system calls (seccomp)")
    if missing:
        return Diagnosis(
            "caps",
            State.PROBLEM,
            f"the engine cannot cap {', '.join(missing)}",
            "switch the control groups and seccomp on in the kernel (on a Raspberry Pi: "
            "cgroup_enable=memory in cmdline.txt), then restart",
        )
    return Diagnosis("caps", State.OK, "memory, processes, processor and system calls")


def _isolation(place: Place, info: Mapping[str, Any]) -> Diagnosis:
    """Which OCI runtime stands between plugins and the kernel."""
    wanted, default = place.get("HEIMNETZ_OCI_RUNTIME", ""), info.get("DefaultRuntime") or "runc"
    has_crun = "crun" in (info.get("Runtimes") or {}) and info.get("CgroupVersion") == "2"
    if not wanted and has_crun:
        told = f"plugins run in crun, or in {default} where crun fails at the sandbox's start"
        return Diagnosis("isolation", State.OK, told)
    if not wanted:
        return Diagnosis("isolation", State.OK, f"plugins run in {default}, the engine's default")
    if wanted in (info.get("Runtimes") or {}):
        return Diagnosis("isolation", State.OK, f"plugins run in {wanted}")
    return Diagnosis(
        "isolation",
        State.PROBLEM,
        f"plugins are to run in {wanted}, which the engine does not know",
        "register it in the engine's daemon.json (docs/gvisor.md), or empty HEIMNETZ_OCI_RUNTIME "
        "in .env; until then no plugin runs",
    )


def _engine_clock(info: Mapping[str, Any]) -> Diagnosis:
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(info.get("SystemTime"))))
    except ValueError:
        at = None
    return _skew("engine clock", at, datetime.now(UTC), "the engine's")


def _skew(check: str, theirs: datetime | None, ours: datetime, whose: str) -> Diagnosis:
    if theirs is None or theirs.tzinfo is None:
        return Diagnosis(check, State.UNKNOWN, f"{whose} time is not known")
    seconds = round((theirs - ours).total_seconds())
    if abs(seconds) > MAX_SKEW_SECONDS:
        return Diagnosis(
            check,
            State.PROBLEM,
            f"{whose} clock is {abs(seconds)} s {'ahead' if seconds > 0 else 'behind'}",
            "set both by network time (timedatectl set-ntp true): tokens and certificates "
            "depend on it",
        )
    return Diagnosis(check, State.OK, f"as {whose}")


def _disk(place: Place, info: Mapping[str, Any]) -> Iterator[Diagnosis]:
    wanted = {
        "the engine's data": Path(str(info.get("DockerRootDir") or "/var/lib/docker")),
        "runs": Path(place.get("HEIMNETZ_RUN_DIR", "/var/lib/heimnetz/run")),
    }
    for name, path in wanted.items():
        try:
            there = next(p for p in (path, *path.parents) if p.exists())
            free = shutil.disk_usage(there).free
        except (OSError, StopIteration):
            yield Diagnosis("disk", State.UNKNOWN, f"{path} cannot be looked at")
            continue
        detail = f"{free / GIB:.1f} GiB free for {name} ({path})"
        advice = "make room: docker system df says what takes it, docker image prune helps"
        if free < LEAST_FREE_BYTES:
            yield Diagnosis("disk", State.PROBLEM, detail, advice)
        elif free < FEW_FREE_BYTES:
            yield Diagnosis("disk", State.WARNING, detail, advice)
        else:
            yield Diagnosis("disk", State.OK, detail)


def _containers(docker: str, project: str) -> dict[str, tuple[str, str]]:
    """State and status of each service; the worst of several containers."""
    said, _ = _ask(
        docker,
        *("ps", "--all", "--filter", f"label=com.docker.compose.project={project}"),
        # Images that Compose built hand their labels on to plugins' containers; this one they lack.
        *("--filter", "label=com.docker.compose.oneoff=False"),
        *("--format", f'{{{{.Label "{_SERVICE}"}}}}\t{{{{.State}}}}\t{{{{.Status}}}}'),
    )
    found: dict[str, tuple[str, str]] = {}
    for line in said.splitlines():
        service, _, rest = line.partition("\t")
        state, _, status = rest.partition("\t")
        if service and (service not in found or not _is_bad(*found[service])):
            found[service] = (state, status)
    return found


def _is_bad(state: str, status: str) -> bool:
    is_done = state == "exited" and status.startswith("Exited (0)")
    return not (is_done or (state == "running" and "(unhealthy)" not in status))


def _services(containers: Mapping[str, tuple[str, str]]) -> Iterator[Diagnosis]:
    if not any(state == "running" for state, _ in containers.values()):
        yield Diagnosis("services", State.PROBLEM, "none is running", _START)
        return
    bad = {name: found for name, found in sorted(containers.items()) if _is_bad(*found)}
    for name, (_, status) in bad.items():
        yield Diagnosis(
            "services",
            State.PROBLEM,
            f"{name}: {status}",
            f"docker compose logs --tail 50 {name} says why; make up starts what is missing",
        )
    starting = [name for name, (_, status) in containers.items() if "(health: starting)" in status]
    if starting:
        detail = f"{', '.join(sorted(starting))} still starting"
        yield Diagnosis("services", State.WARNING, detail, "look again in a minute")
    running = sum(state == "running" for state, _ in containers.values())
    if not bad and not starting:
        yield Diagnosis("services", State.OK, f"{running} run, and none is unwell")


def _ports(place: Place, *, is_running: bool) -> Iterator[Diagnosis]:
    for setting, port in place.ports():
        if not 0 < port < 65_536:
            detail = f"{setting} is no port: {place.get(setting, '')[:40]}"
            yield Diagnosis("ports", State.PROBLEM, detail, "correct it in .env")
        elif _listens(place.address, port) is not is_running:
            yield (
                Diagnosis(
                    "ports",
                    State.PROBLEM,
                    f"the gateway runs, and nothing listens on port {port}",
                    f"{setting} was changed since it was started, or is blocked: make up",
                )
                if is_running
                else Diagnosis(
                    "ports",
                    State.PROBLEM,
                    f"port {port} is taken by another program",
                    f"end it (ss -ltnp says which), or choose another with {setting} in .env",
                )
            )
        else:
            detail = f"{port} is {'served' if is_running else 'free'}"
            yield Diagnosis("ports", State.OK, detail)


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _ask(*command: str) -> tuple[str, str]:
    """What it says, and what it complains about."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and words of ours
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {COMMAND_SECONDS} s"
    except OSError as error:
        return "", str(error)
    lines = done.stderr.strip().splitlines()
    return done.stdout, lines[-1] if lines else f"exit code {done.returncode}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _moment(date: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(date) if date else None
    except ValueError:
        return None
