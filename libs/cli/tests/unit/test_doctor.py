import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from heimnetz_cli import diagnosing

from .conftest import MONITOR, Heimnetz, problem

# The engine's command, as far as it is asked: what it says stands in files beside it.
DOCKER = """\
#!/bin/sh
here=$(dirname "$0")
case "$1 $2" in
  "info "*) cat "$here/info"; cat "$here/complaint" >&2; [ ! -s "$here/complaint" ] ;;
  "compose version") cat "$here/compose" ;;
  "ps "*) case "$*" in *oneoff=False*) cat "$here/ps" ;; *) cat "$here/all" ;; esac ;;
  *) exit 64 ;;
esac
"""
GOOD = "\trunning\tUp 3 hours (healthy)\n"
DONE = "migrate\texited\tExited (0) 3 hours ago\n"


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        self.info: dict[str, Any] = {
            "ServerVersion": "27.1.0",
            "MemoryLimit": True,
            "PidsLimit": True,
            "CpuCfsQuota": True,
            "SecurityOptions": ["name=seccomp,profile=default"],
            "SystemTime": datetime.now(UTC).isoformat(),
            "DockerRootDir": str(folder),
        }
        self.say("complaint", "")
        self.say("compose", "2.40.3\n")
        self.say("ps", "".join(f"{name}{GOOD}" for name in ("gateway", "registry")) + DONE)
        self.say("all", "runtime-python\tcreated\tCreated\n")  # a plugin's, by its image's labels
        self.tell()

    def say(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def tell(self, **changes: Any) -> None:
        self.info |= changes
        self.say("info", json.dumps(self.info))


class Gateway:
    """A real server with TLS; `date` is what its clock says."""

    def __init__(self, folder: Path, *, expires_in: timedelta = timedelta(days=1)) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + expires_in)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca_file = folder / "gateway.crt"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = folder / "gateway.key"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.date = datetime.now(UTC)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(302)
                self.send_header("Date", outer.date.strftime("%a, %d %b %Y %H:%M:%S GMT"))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key_file)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def machine(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "bin").mkdir()
    for name in ("HEIMNETZ_PORT", "HEIMNETZ_PLUGIN_PORT", "HEIMNETZ_BIND", "COMPOSE_PROJECT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"]))
    monkeypatch.setenv("HEIMNETZ_RUN_DIR", str(tmp_path))
    return Machine(tmp_path / "bin")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    server = Gateway(tmp_path)
    yield server
    server.close()


@pytest.fixture
def doctor(
    machine: Machine,
    gateway: Gateway,
    platform: Any,
    heimnetz: Heimnetz,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, list[dict[str, str]]]]:
    platform.on(f"GET {MONITOR}/status", {"services": [{"service": "registry", "state": "up"}]})
    platform.on(f"GET {MONITOR}/alerts", {"items": []})
    monkeypatch.setenv("HEIMNETZ_URL", f"https://127.0.0.1:{gateway.port}")
    monkeypatch.setenv("HEIMNETZ_CA_FILE", str(gateway.ca_file))
    (tmp_path / ".env").write_text(
        f"HEIMNETZ_PORT={gateway.port}\nHEIMNETZ_PLUGIN_PORT='{gateway.port}'\n# a remark\n"
    )

    def ask(*options: str, code: int = 1) -> dict[str, list[dict[str, str]]]:
        said = heimnetz("doctor", "--json", "--in", tmp_path, *options)
        document = json.loads(said.out)
        assert said.code == code, document
        assert document["is_well"] is (code == 0)
        found: dict[str, list[dict[str, str]]] = {}
        for one in document["diagnoses"]:
            found.setdefault(one["check"], []).append(one)
        return found

    return ask


def states(found: dict[str, list[dict[str, str]]]) -> set[str]:
    return {one["state"] for some in found.values() for one in some}


def test_where_all_is_well_every_check_says_so(doctor: Any) -> None:
    found = doctor(code=0)

    assert states(found) == {"ok"}
    assert set(found) == {
        *("engine", "compose", "caps", "isolation", "engine clock", "disk", "services", "ports"),
        *("gateway", "certificate", "clock", "login", "platform"),
    }


def test_without_an_engine_it_says_how_to_get_one(
    doctor: Any, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.folder / "docker").unlink()
    monkeypatch.setenv("PATH", str(machine.folder))

    (engine,) = doctor()["engine"]

    assert engine["state"] == "problem"
    assert "install Docker" in engine["advice"]


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("permission denied while trying to connect to the Docker daemon socket", "group docker"),
        ("Cannot connect to the Docker daemon", "start it"),
    ],
)
def test_an_engine_that_does_not_answer_is_told_from_one_that_may_not_be_asked(
    doctor: Any, machine: Machine, complaint: str, advice: str
) -> None:
    machine.say("info", '{"ServerErrors": ["' + complaint + '"]}')
    machine.say("complaint", "errors pretty printing info")

    found = doctor()

    assert complaint in found["engine"][0]["detail"]
    assert advice in found["engine"][0]["advice"]
    assert found["services"][0]["state"] == "unknown"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"ServerVersion": "19.03.1"}, "engine", "too old"),
        ({"MemoryLimit": False}, "caps", "memory"),
        ({"SecurityOptions": []}, "caps", "seccomp"),
        ({"SystemTime": "2020-01-01T00:00:00.123456789Z"}, "engine clock", "behind"),
    ],
)
def test_an_engine_that_cannot_hold_plugins_is_a_problem(
    doctor: Any, machine: Machine, change: dict[str, Any], check: str, words: str
) -> None:
    machine.tell(**change)

    (one,) = doctor()[check]

    assert one["state"] == "problem"
    assert words in one["detail"]
    assert one["advice"]


@pytest.mark.parametrize(
    ("wanted", "cgroups", "state", "words"),
    [
        ("", "1", "ok", "runc, the engine's default"),
        ("", "2", "ok", "crun, or in runc where crun fails"),
        ("runsc", "2", "ok", "plugins run in runsc"),
        ("kata", "2", "problem", "kata, which the engine does not know"),
    ],
)
def test_what_isolates_plugins_is_said_and_must_be_known_to_the_engine(
    doctor: Any,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    cgroups: str,
    state: str,
    words: str,
) -> None:
    known: dict[str, Any] = {"runc": {}, "runsc": {}, "crun": {}}
    machine.tell(DefaultRuntime="runc", Runtimes=known, CgroupVersion=cgroups)
    monkeypatch.setenv("HEIMNETZ_OCI_RUNTIME", wanted)

    (one,) = doctor(code=int(state == "problem"))["isolation"]

    assert (one["state"], words in one["detail"]) == (state, True)


@pytest.mark.parametrize(("version", "words"), [("2.3.0\n", "too old"), ("", "does not answer")])
def test_a_compose_that_is_missing_or_old_is_a_problem(
    doctor: Any, machine: Machine, version: str, words: str
) -> None:
    machine.say("compose", version)

    assert words in doctor()["compose"][0]["detail"]


@pytest.mark.parametrize(
    "line",
    [
        "registry\trunning\tUp 2 minutes (unhealthy)\n",
        "registry\trestarting\tRestarting (1) 3 seconds ago\n",
        "registry\texited\tExited (137) 2 minutes ago\n",
    ],
)
def test_an_unwell_service_is_named_though_another_of_its_containers_is_fine(
    doctor: Any, machine: Machine, line: str
) -> None:
    machine.say("ps", f"gateway{GOOD}registry{GOOD}{line}registry{GOOD}{DONE}")

    (one,) = doctor()["services"]

    assert one["detail"] == f"registry: {line.split(chr(9))[2].strip()}"
    assert "logs --tail 50 registry" in one["advice"]


@pytest.mark.parametrize(("room", "state"), [("LEAST", "problem"), ("FEW", "warning")])
def test_a_disk_that_is_nearly_full_is_named_with_what_takes_room(
    doctor: Any, monkeypatch: pytest.MonkeyPatch, room: str, state: str
) -> None:
    monkeypatch.setattr(diagnosing, f"{room}_FREE_BYTES", 1 << 60)

    for one in doctor(code=1 if state == "problem" else 0)["disk"]:
        assert one["state"] == state
        assert "docker system df" in one["advice"]


def test_a_service_that_is_starting_is_a_warning_only(doctor: Any, machine: Machine) -> None:
    machine.say("ps", f"gateway{GOOD}registry\trunning\tUp 2 seconds (health: starting)\n")

    assert doctor(code=0)["services"][0]["state"] == "warning"


def test_a_port_that_another_program_took_is_a_problem_where_the_stack_is_down(
    doctor: Any, machine: Machine, gateway: Gateway
) -> None:
    machine.say("ps", "")

    found = doctor()

    assert found["services"][0]["detail"] == "none is running"
    assert f"port {gateway.port} is taken" in found["ports"][0]["detail"]


@pytest.mark.parametrize("port", ["0", "70000", "x", "9" * 40])
def test_a_setting_that_is_no_port_is_named(doctor: Any, tmp_path: Path, port: str) -> None:
    with (tmp_path / ".env").open("a") as stream:
        stream.write(f"HEIMNETZ_PORT={port}\n")

    assert "HEIMNETZ_PORT is no port" in doctor()["ports"][0]["detail"]


def test_a_gateway_that_does_not_answer_is_a_problem_and_the_platform_unknown(
    doctor: Any, gateway: Gateway
) -> None:
    gateway.close()

    found = doctor("--remote")

    assert found["gateway"][0]["state"] == "problem"
    assert found["platform"][0]["state"] == "unknown"
    assert "engine" not in found


def test_a_certificate_of_another_authority_is_a_problem(
    doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEIMNETZ_CA_FILE")

    (one,) = doctor("--remote")["certificate"]

    assert "not trusted" in one["detail"]
    assert "make login" in one["advice"]


def test_an_expired_certificate_is_a_problem(
    doctor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    expired = Gateway(tmp_path / "old", expires_in=timedelta(days=-1))
    monkeypatch.setenv("HEIMNETZ_URL", f"https://127.0.0.1:{expired.port}")
    monkeypatch.setenv("HEIMNETZ_CA_FILE", str(expired.ca_file))

    (one,) = doctor("--remote")["certificate"]
    expired.close()

    assert "expired" in one["detail"]


def test_an_authority_that_cannot_be_read_is_a_problem(
    doctor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIMNETZ_CA_FILE", str(tmp_path / "nothing.crt"))

    assert "cannot be read" in doctor("--remote")["certificate"][0]["detail"]


@pytest.mark.parametrize(("minutes", "words"), [(5, "ahead"), (-5, "behind")])
def test_a_clock_that_is_wrong_is_a_problem(
    doctor: Any, gateway: Gateway, minutes: int, words: str
) -> None:
    gateway.date += timedelta(minutes=minutes)

    (one,) = doctor("--remote")["clock"]

    assert (one["state"], words in one["detail"]) == ("problem", True)


def test_what_the_platform_says_of_itself_is_passed_on(doctor: Any, platform: Any) -> None:
    platform.on(
        f"GET {MONITOR}/status",
        {"services": [{"service": "auditor", "state": "down", "reason": "no database"}]},
    )
    platform.on(f"GET {MONITOR}/alerts", {"items": [{"alert": "ServiceDown"}]})

    found = doctor("--remote")

    assert found["platform"][0]["detail"] == "auditor is down: no database"
    assert found["alerts"][0]["state"] == "warning"


def test_a_token_that_is_not_valid_is_a_problem_and_none_at_all_a_warning(
    doctor: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.on(f"GET {MONITOR}/status", problem(401, "unauthenticated", "no"))
    assert doctor("--remote")["login"][0]["state"] == "problem"

    monkeypatch.delenv("HEIMNETZ_TOKEN")
    assert doctor("--remote", code=0)["login"][0]["state"] == "warning"


def test_on_paper_each_problem_stands_with_what_to_do(
    doctor: Any, machine: Machine, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    machine.say("ps", f"gateway{GOOD}registry\texited\tExited (1) \x1b[31mago\n")

    said = heimnetz("doctor", "--in", tmp_path)

    assert said.code == 1
    assert "docker compose logs --tail 50 registry" in said.out
    assert "\x1b" not in said.out
