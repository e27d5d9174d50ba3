"""F1: the registry dies at each step of an upload; the client asks again."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from heimnetz_common.testing import KeyRing, eventually_sync, free_port
from heimnetz_registry.settings import RegistrySettings

PATH = "/v1/plugins/energy-report/versions"
# What is after the crash: whether the version exists.
STEPS = {
    "written": False,
    "synced": False,
    "renamed": False,
    "inserted": False,
    "committed": True,
}
DIES = """
import os, runpy
from heimnetz_registry.publishing import Publisher

def reached(step):
    if step == os.environ["DIES_AT"]:
        os._exit(9)

Publisher.__init__.__defaults__ = (reached,)
runpy.run_module("heimnetz_registry", run_name="__main__")
"""


@contextmanager
def registry(settings: RegistrySettings, dies_at: str = "") -> Iterator[httpx.Client]:
    """A process of its own, as in its container."""
    port = free_port()
    environment = {
        "DATABASE_URL": settings.database_url,
        "NATS_URL": "nats://127.0.0.1:9",
        "SECRETS_DIR": settings.secrets_dir,
        "ARTIFACTS_DIR": settings.artifacts_dir,
        "READY_FILE": settings.ready_file,
        "BIND": "127.0.0.1",
        "PORT": port,
        "TLS": "false",
    }
    variables = {f"HEIMNETZ_REGISTRY_{name}": str(value) for name, value in environment.items()}
    process = subprocess.Popen(
        [sys.executable, "-c", DIES],
        env={**os.environ, **variables, "DIES_AT": dies_at},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            eventually_sync(lambda: _is_ready(client), 20)
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        status = process.wait(20)
    assert status == (9 if dies_at else -signal.SIGTERM)


def _is_ready(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return client.get("/readyz").status_code == 200
    return False


@pytest.mark.parametrize("step", STEPS)
async def test_an_upload_that_the_registry_did_not_survive_is_whole_or_absent(
    settings: RegistrySettings, key_ring: KeyRing, package: Any, step: str
) -> None:
    body = package()
    headers = {**key_ring.user("registry", "publisher"), "content-type": "application/gzip"}

    def publish(client: httpx.Client) -> httpx.Response:
        return client.post(PATH, content=body, headers=headers)

    with registry(settings, dies_at=step) as client, pytest.raises(httpx.TransportError):
        publish(client)
    with registry(settings) as client:
        found = client.get(f"{PATH}/1.0.0", headers=headers).status_code
        again = publish(client).status_code
        once_more = publish(client).status_code
        served = client.get(f"{PATH}/1.0.0/package", headers=headers).content

    assert found == (200 if STEPS[step] else 404)
    assert (again, once_more) == (200 if STEPS[step] else 201, 200)
    assert served == body
    assert await announced(settings) == 1
    assert len(list(Path(settings.artifacts_dir, "sha256").glob("*/*"))) == 1


async def announced(settings: RegistrySettings) -> int:
    connection = await asyncpg.connect(str(settings.database_url))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM registry.outbox"))
    finally:
        await connection.close()
