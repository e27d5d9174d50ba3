"""Fixtures for tests of the sandbox as it is: own process, real engine, real proxy, real runners.

Imported by the tests' conftest modules alone. The registry is the neighbour that is stood in for,
at the wire: a local web server with the two answers that the sandbox asks it for.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest

from heimnetz_common.database import Database
from heimnetz_common.sealing import generate_key
from heimnetz_common.testing import KeyRing, eventually_sync, free_port, fresh_database_url
from heimnetz_manifest import Grants, pack, read_package
from heimnetz_sandbox import projecting

ROOT = Path(__file__).resolve().parents[4]
RUNTIME_IMAGE = "heimnetz/runtime-python:0.1.0"
NODE_IMAGE = "heimnetz/runtime-node:0.1.0"
BUILDER_IMAGE = "heimnetz/builder:0.1.0"
ENGINE = Path("/var/run/docker.sock")

MANIFEST: dict[str, Any] = {
    "manifest": 1,
    "version": "1.0.0",
    "title": "A plugin of the tests",
    "summary": "Does what a test asks for",
    "licence": "Apache-2.0",
    "authors": [{"name": "Test"}],
    "kind": "job",
    "runtime": "python",
    "entry_point": "plugin:run",
}


def package(name: str, code: str, files: dict[str, str] | None = None, **manifest: Any) -> bytes:
    """A package whose whole program is `code`, the text of plugin.py."""
    with tempfile.TemporaryDirectory() as folder:
        document = {**MANIFEST, "name": name, **manifest}
        # Every JSON document is YAML.
        contents = {"plugin.yaml": json.dumps(document, indent=1), "plugin.py": code}
        for path, text in {**contents, **(files or {})}.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return pack(Path(folder))


def ask_engine(engine: Path, *arguments: str) -> str:
    """What the docker command prints. Raises: subprocess.CalledProcessError."""
    command = ["docker", "--host", f"unix://{engine}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def _asked(data: bytes) -> list[str]:
    """Everything that the package asks for: the owner of the tests grants it."""
    return Grants.all_of(read_package(data).manifest.permissions).sorted()


class Registry:
    """Serves packages and configurations, and counts what was asked for."""

    def __init__(self) -> None:
        self.packages: dict[tuple[str, str], bytes] = {}
        self.configurations: dict[str, Any] = {}
        self.asked: list[str] = []
        # What it says so of, whether the sandbox has heard or not.
        self.installed: set[str] = set()
        self.is_down = False
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.asked.append(self.path)
                status, body = stand_in.answer(self.path)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str) -> tuple[int, bytes]:
        parts = path.split("/")
        if self.is_down:
            return 503, b"{}"
        if path.endswith("/package") and (parts[3], parts[5]) in self.packages:
            return 200, self.packages[parts[3], parts[5]]
        if path.startswith("/v1/installations/") and parts[-1] in self.installed:
            return 200, b"{}"
        if len(parts) == 6 and (parts[3], parts[5]) in self.packages:
            data = self.packages[parts[3], parts[5]]
            return 200, orjson.dumps({"sha256": hashlib.sha256(data).hexdigest()})
        if path.endswith("/configuration"):
            return 200, orjson.dumps({"configuration": self.configurations.get(parts[3], {})})
        return 404, b"{}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Process:
    """One process of ours, its log in a file."""

    module: str
    environment: dict[str, str]
    log: Path
    prelude: str = ""
    child: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = [sys.executable, "-m", self.module]
        if self.prelude:
            begin = f"import runpy; runpy.run_module({self.module!r}, run_name='__main__')"
            command = [sys.executable, "-c", f"{self.prelude}\n{begin}"]
        clean = {name: value for name, value in os.environ.items() if "HEIMNETZ" not in name}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603
                command, env={**clean, **self.environment}, stdout=log, stderr=log
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)
            self.child.wait(90)


@dataclass
class Stand:
    """A running sandbox and everything around it."""

    process: Process
    proxy: Process
    registry: Registry
    run_dir: Path
    url: str
    database_url: str
    keys: KeyRing
    engine: Path = ENGINE
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=90))
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        self.process.start()
        eventually_sync(self.is_ready, 30)

    @property
    def socket(self) -> Path:
        """The engine proxy's."""
        return self.run_dir.with_name("engine.sock")

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self.client.get(f"{self.url}/readyz").status_code == 200
        return False

    def call(self, method: str, path: str, role: str = "owner", **options: Any) -> httpx.Response:
        headers = {**self.keys.user("sandbox", role), **options.pop("headers", {})}
        return self.client.request(method, f"{self.url}{path}", headers=headers, **options)

    def install(
        self,
        name: str,
        code: str = "",
        *,
        configuration: Any = None,
        files: dict[str, str] | None = None,
        **manifest: Any,
    ) -> str:
        """The digest of the package that is now installed."""
        data = package(name, code, files, **manifest)
        return self.install_bytes(name, data, configuration, manifest.get("triggers") or {})

    def install_bytes(
        self,
        name: str,
        data: bytes,
        configuration: Any = None,
        triggers: Any = None,
        at: datetime | None = None,
    ) -> str:
        grants = _asked(data)
        self.registry.packages[name, "1.0.0"] = data
        self.registry.configurations[name] = configuration or {}
        sha256 = hashlib.sha256(data).hexdigest()
        self.in_database(
            lambda connection: projecting.change(
                connection,
                plugin=name,
                version="1.0.0",
                sha256=sha256,
                triggers=triggers or {},
                grants=grants,
                at=at or datetime.now(UTC),
            )
        )
        return sha256

    def in_database(self, work: Any) -> Any:
        async def run() -> Any:
            database = Database(self.database_url, schema="sandbox")
            await database.open()
            try:
                async with database.transaction() as connection:
                    return await work(connection)
            finally:
                await database.close()

        return asyncio.run(run())

    def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = self.in_database(lambda c: c.fetch(statement, *values))
        return found

    def ask(
        self, plugin: str, document: Any = None, wait: int = 0, **options: Any
    ) -> httpx.Response:
        headers = {"prefer": f"wait={wait}", **options.pop("headers", {})}
        return self.call(
            "POST",
            f"/v1/plugins/{plugin}/runs",
            json={"input": document or {}},
            headers=headers,
            **options,
        )

    def run(self, plugin: str, document: Any = None, wait: int = 60) -> dict[str, Any]:
        """The finished run."""
        run: dict[str, Any] = self.ask(plugin, document, wait).json()
        assert run.get("state") == "finished", run
        return run

    def get_run(self, run_id: str, wait: int = 60) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/runs/{run_id}", headers={"prefer": f"wait={wait}"})
        run: dict[str, Any] = answer.json()
        return run

    def logs(self, run_id: str) -> str:
        return self.call("GET", f"/v1/runs/{run_id}/logs").text

    def containers(self, run_id: str | None = None) -> list[str]:
        label = f"heimnetz.run={run_id}" if run_id else f"heimnetz.stack={self.stack}"
        listed = ask_engine(self.engine, "ps", "-aq", "--no-trunc", "--filter", f"label={label}")
        return listed.split()

    @cached_property
    def stack(self) -> str:
        return str(self.fetch("SELECT stack FROM identity")[0]["stack"])

    def close(self) -> None:
        self.process.end()
        for container in self.containers():
            with contextlib.suppress(subprocess.CalledProcessError):
                ask_engine(self.engine, "rm", "--force", container)
        self.proxy.end()
        self.client.close()


@pytest.fixture(scope="session")
def images() -> None:
    """The runtime and builder images, as the stack builds them."""
    if os.environ.get("HEIMNETZ_TEST_IMAGES") == "built":
        return
    with (Path(tempfile.gettempdir()) / "heimnetz-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            ["docker", "compose", "build", "--quiet", "runtime-python", "runtime-node", "builder"],  # noqa: S607
            cwd=ROOT,
            check=True,
            capture_output=True,
        )


@pytest.fixture(scope="session")
def place(images: None) -> Iterator[Path]:  # noqa: ARG001
    """Where the sandboxes of a test session have their folders."""
    # Short: a Unix socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="hn-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    if not os.environ.get("HN_KEEP"):
        shutil.rmtree(folder, ignore_errors=True)


def _proxy(home: Path, engine: Path, oci_runtime: str) -> Process:
    settings = {
        "ENGINE": str(engine),
        "OCI_RUNTIME": oci_runtime,
        "SOCKET": str(home / "engine.sock"),
        "RUN_DIR": str(home / "run"),
        "RUNTIME_IMAGES": f"{RUNTIME_IMAGE},{NODE_IMAGE},heimnetz-test/vanishing:1",
        "BUILDER_IMAGE": BUILDER_IMAGE,
        "READY_FILE": str(home / "proxy-ready"),
    }
    return Process(
        "heimnetz_engine_proxy",
        {f"HEIMNETZ_ENGINE_PROXY_{key}": value for key, value in settings.items()},
        home / "proxy.log",
    )


@contextlib.contextmanager
def standing(
    place: Path,
    postgres_url: str,
    key_ring: KeyRing,
    prelude: str = "",
    *,
    engine: Path = ENGINE,
    **settings: str,
) -> Iterator[Stand]:
    """A sandbox with a database, a run directory and an engine proxy of its own.

    `engine` is the socket of the engine that the proxy asks.
    """
    registry = Registry()
    home = place / uuid4().hex[:8]
    for folder in (home, home / "run"):
        folder.mkdir(mode=0o711)
    secrets = key_ring.secrets_dir("sandbox")
    key_file = secrets / "encryption.key"
    if not key_file.exists():
        key_file.write_text(generate_key())
    port = free_port()
    with _database(postgres_url) as database_url:
        environment = {
            "DATABASE_URL": database_url,
            # Nobody listens there: events wait in the outbox, where the tests read them.
            "NATS_URL": "nats://127.0.0.1:9",
            "SECRETS_DIR": str(secrets),
            "BIND": "127.0.0.1",
            "PORT": str(port),
            "TLS": "false",
            "READY_FILE": str(home / "ready"),
            "REGISTRY_URL": registry.url,
            "RUN_DIR": str(home / "run"),
            "ENGINE_SOCKET": str(home / "engine.sock"),
            "CGROUP_ROOT": "/sys/fs/cgroup",
            "RUNTIME_PYTHON_IMAGE": RUNTIME_IMAGE,
            "RUNTIME_NODE_IMAGE": NODE_IMAGE,
            "BUILDER_IMAGE": BUILDER_IMAGE,
            # Waiting containers have tests of their own; elsewhere they would only be in the way.
            "WARM_PER_PLUGIN": "0",
            **settings,
        }
        process = Process(
            "heimnetz_sandbox",
            {f"HEIMNETZ_SANDBOX_{key}": value for key, value in environment.items()},
            home / "sandbox.log",
            prelude,
        )
        stand = Stand(
            process,
            _proxy(home, engine, settings.get("OCI_RUNTIME", "")),
            registry,
            home / "run",
            f"http://127.0.0.1:{port}",
            database_url,
            key_ring,
            engine,
        )
        # The database is a copy, its identity too.
        stand.in_database(
            lambda connection: connection.execute("UPDATE identity SET stack = gen_random_uuid()")
        )
        try:
            stand.proxy.start()
            stand.start()
            yield stand
        finally:
            stand.close()
            registry.close()


@contextlib.contextmanager
def _database(postgres_url: str) -> Iterator[str]:
    """`fresh_database_url` for tests that have no event loop of their own."""
    loop = asyncio.new_event_loop()
    fresh = fresh_database_url(postgres_url, "sandbox")
    try:
        yield loop.run_until_complete(fresh.__aenter__())
    finally:
        loop.run_until_complete(fresh.__aexit__(None, None, None))
        loop.close()


@pytest.fixture(scope="session")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    """The sandbox that most tests share; each uses plugins of its own."""
    with standing(place, postgres_url, key_ring) as stand:
        yield stand


def waiting(stand: Stand, plugin: str) -> list[str]:
    """Containers that wait for calls of the plugin."""
    labels = {"stack": stand.stack, "kind": "warm", "plugin": plugin}
    filters = [f"--filter=label=heimnetz.{name}={value}" for name, value in labels.items()]
    return ask_engine(stand.engine, "ps", "-q", *filters).split()


def pool_size(stand: Stand, plugin: str) -> int:
    name = f'heimnetz_sandbox_pool_containers{{plugin="{plugin}"}} '
    for line in stand.client.get(f"{stand.url}/metrics").text.splitlines():
        if line.startswith(name):
            return int(float(line.removeprefix(name)))
    return 0
