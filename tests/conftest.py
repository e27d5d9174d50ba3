"""A stack of its own for these tests, started as a user does, beside one that may be in use.

`HEIMNETZ_TEST_KEEP=1` keeps it after the tests, and uses the one that was kept. Two at a time have
another `HEIMNETZ_TEST_STACK` and `HEIMNETZ_TEST_PORT` (the plugins' is the next one).
"""

import json
import os
import subprocess
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_manifest.packing import pack_files

ROOT = Path(__file__).resolve().parents[1]
YEAR = ROOT / "plugins" / "energy-report" / "examples" / "year.csv"
NAME = os.environ.get("HEIMNETZ_TEST_STACK", "test")
PROJECT = f"heimnetz-{NAME}"
PORT = int(os.environ.get("HEIMNETZ_TEST_PORT", "18443"))


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Stack:
    """What a user has: make, docker and heimnetz on the command line, and HTTP."""

    def __init__(self, home: Path) -> None:
        self.url = f"https://localhost:{PORT}"
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("MAKE", "MFLAGS", "HEIMNETZ_"))
        } | {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "HEIMNETZ_BIND": "127.0.0.1",
            "HEIMNETZ_PORT": str(PORT),
            "HEIMNETZ_PLUGIN_PORT": str(PORT + 1),
            "HEIMNETZ_RUN_DIR": f"/var/lib/heimnetz/{NAME}-run",
            "HEIMNETZ_OUT": str(home / "out"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        }

    def call(
        self, *command: str, check: bool = True, timeout: float = 900, stdin: str = ""
    ) -> Said:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            input=stdin,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def heimnetz(self, *arguments: object, check: bool = True) -> Said:
        return self.call("heimnetz", *(str(argument) for argument in arguments), check=check)

    def http(self, token: str | None = None) -> httpx.Client:
        import ssl

        trust = ssl.create_default_context(
            cafile=str(Path(self.environment["HEIMNETZ_OUT"]) / "gateway-ca.crt")
        )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.url, headers=headers, verify=trust, timeout=90, trust_env=False
        )

    def logs(self, service: str) -> list[dict[str, Any]]:
        text = self.call("docker", "compose", "logs", "--no-log-prefix", service).out
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def eventually(find: Callable[[], Any], *, within_seconds: float, what: str) -> Any:
    """Polls until there is an answer that is not empty."""
    deadline = time.monotonic() + within_seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {within_seconds:.0f} s: {what}"
        time.sleep(0.5)
    return found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    is_kept = os.environ.get("HEIMNETZ_TEST_KEEP") == "1"
    stack = Stack(tmp_path_factory.mktemp("home"))
    if not is_kept:
        stack.call("make", "clean", "YES=1", check=False)
    stack.call("make", "up")
    stack.call("scripts/login.sh")
    yield stack
    if not is_kept:
        stack.call("make", "clean", "YES=1")


@pytest.fixture(scope="session")
def owner(stack: Stack) -> str:
    return stack.heimnetz("token", f"e2e-{uuid.uuid4().hex[:8]}", "--role", "owner").out.strip()


@pytest.fixture
def http(stack: Stack, owner: str) -> Iterator[httpx.Client]:
    with stack.http(owner) as client:
        yield client


def package(name: str, code: str, version: str = "1.0.0", **manifest: object) -> bytes:
    """A small plugin; the values of `manifest` are YAML flow."""
    document = {
        "manifest": 1,
        "name": name,
        "version": version,
        "title": name,
        "summary": "Made by a test.",
        "licence": "Apache-2.0",
        "authors": "[{name: Tests}]",
        "kind": "job",
        "runtime": "python",
        "entry_point": "made:run",
        **manifest,
    }
    text = "".join(f"{key}: {value}\n" for key, value in document.items())
    return pack_files({"plugin.yaml": text.encode(), "src/made.py": textwrap.dedent(code).encode()})


@pytest.fixture(scope="session")
def put_to_use(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Publishes and installs a plugin made of one function; its name is new each time.

    A version that the auditor leaves to a person is approved by one.
    """

    def put(stem: str, code: str, **manifest: object) -> str:
        name = f"{stem}-{uuid.uuid4().hex[:8]}"
        file = tmp_path_factory.mktemp("packages") / f"{name}.tar.gz"
        file.write_bytes(package(name, code, **manifest))
        state = stack.heimnetz("publish", file, "--wait", "--json", check=False).json()["state"]
        if state == "needs_review":
            stack.heimnetz("decide", f"{name}@1.0.0", "approved", "--reason", "made by a test")
        stack.heimnetz("install", f"{name}@1.0.0", "--yes")
        return name

    return put
