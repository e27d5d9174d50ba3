import base64
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from heimnetz_common.consuming import Consumers
from heimnetz_common.testing import KeyRing, fresh_database_url, running
from heimnetz_manifest.packing import pack_files
from heimnetz_manifest.signing import PrivateKey
from heimnetz_registry.app import create
from heimnetz_registry.settings import RegistrySettings

SETUP_TOKEN = "set-up-token-of-the-tests"


def make_package(
    name: str = "energy-report", version: str = "1.0.0", *, note: str = "", more: str = ""
) -> bytes:
    """A good package; `note` makes other bytes, `more` is added to its manifest."""
    manifest = f"""\
manifest: 1
name: {name}
version: {version}
title: Energy report
summary: Sums up a year of readings
licence: Apache-2.0
authors: [{{name: Ada}}]
kind: job
runtime: python
entry_point: main:run
triggers: {{http: true, cron: [{{schedule: "0 6 * * *", time_zone: Europe/Berlin}}]}}
permissions:
  network: [{{to: "api.example.org:443", reason: Reads prices}}]
  storage: {{size: 1 MiB, reason: Remembers}}
configuration:
  type: object
  properties:
    price: {{type: number, default: 0.3}}
    password: {{type: string, secret: true}}
    mail: {{type: object, properties: {{token: {{type: string, secret: true}}}}}}
{more}"""
    return pack_files({"plugin.yaml": manifest.encode(), "main.py": f"# {note}\n".encode()})


class Publish(Protocol):
    async def __call__(
        self,
        plugin: str = ...,
        version: str = ...,
        *,
        by: str = ...,
        body: bytes | None = ...,
        note: str = ...,
        envelope: bytes | None = ...,
        **query: str,
    ) -> Response: ...


@pytest.fixture
def package() -> Callable[..., bytes]:
    return make_package


@pytest.fixture
def unsigned() -> str:
    """The owner's policy about packages without a signature."""
    return "allow"


@pytest.fixture
async def settings(
    postgres_url: str, nats_url: str, key_ring: KeyRing, tmp_path: Path, unsigned: Any
) -> AsyncIterator[RegistrySettings]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for file in key_ring.secrets_dir("registry").iterdir():
        (secrets / file.name).write_text(file.read_text())
    (secrets / "encryption.key").write_text(base64.b64encode(os.urandom(32)).decode())
    for name in ("trail.key", "catalogue.key"):
        (secrets / name).write_bytes(PrivateKey.generate().to_pem())
    (secrets / "setup-token").write_text(SETUP_TOKEN + "\n")
    async with fresh_database_url(postgres_url, "registry") as url:
        yield RegistrySettings(
            database_url=url,
            nats_url=nats_url,
            secrets_dir=secrets,
            artifacts_dir=tmp_path / "artifacts",
            tls=False,
            ready_file=tmp_path / "ready",
            unsigned=unsigned,
        )


@pytest.fixture
def app(settings: RegistrySettings) -> FastAPI:
    return create(settings)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        yield client


@pytest.fixture
def role(key_ring: KeyRing) -> Callable[..., dict[str, str]]:
    """Headers of a person with this role; its name is the role's unless given."""

    def headers(role: str, name: str | None = None) -> dict[str, str]:
        return key_ring.user("registry", role, name or role)

    return headers


@pytest.fixture
def sibling(key_ring: KeyRing) -> Callable[[str], dict[str, str]]:
    return lambda service: key_ring.service("registry", service)


@pytest.fixture
def publish(client: AsyncClient, role: Any) -> Publish:
    async def post(
        plugin: str = "energy-report",
        version: str = "1.0.0",
        *,
        by: str = "publisher",
        body: bytes | None = None,
        note: str = "",
        envelope: bytes | None = None,
        **query: str,
    ) -> Response:
        user, _, name = by.partition(":")
        signature = {}
        if envelope is not None:
            signature["heimnetz-signature"] = base64.b64encode(envelope).decode()
        return await client.post(
            f"/v1/plugins/{plugin}/versions",
            content=make_package(plugin, version, note=note) if body is None else body,
            headers={**role(user, name or None), "content-type": "application/gzip", **signature},
            params=query,
        )

    return post


@pytest.fixture
async def database(app: FastAPI, client: AsyncClient) -> Any:
    """The running registry's own pool."""
    return app.state.service.database


@pytest.fixture
def deliver(app: FastAPI, database: Any) -> Callable[..., Any]:
    """Hand the registry an event as the stream would.

    Without an `event_id`, what the registry announced is handed over as it was announced: the
    stream brings it too, sooner or later, and it counts once.
    """
    from datetime import UTC, datetime
    from uuid import uuid4

    import orjson

    async def hand_over(
        name: str, data: dict[str, Any], *, by: str, at: Any = None, event_id: str | None = None
    ) -> str:
        document = {
            "specversion": "1.0",
            "id": event_id or str(uuid4()),
            "source": f"/heimnetz/{by}",
            "type": f"heimnetz.{name}",
            "subject": "x",
            "time": (at or datetime.now(UTC)).isoformat(),
            "data": data,
        }
        if by == "registry" and event_id is None:
            async with database.connection() as connection:
                announced = await connection.fetch(
                    "SELECT document FROM outbox WHERE event_type = $1 ORDER BY id DESC",
                    document["type"],
                )
            known = (orjson.loads(row["document"]) for row in announced)
            document = next(one for one in known if data.items() <= one["data"].items())
        subscriptions = app.state.service.subscriptions
        (wanted,) = (one for one in subscriptions if one.data_type.name == name)
        consumers = Consumers(database, None, "registry", subscriptions)  # type: ignore[arg-type]
        return await consumers.deliver(wanted, orjson.dumps(document), 5)

    return hand_over


@pytest.fixture
def audit(deliver: Callable[..., Any]) -> Callable[..., Any]:
    """An audit's announcement."""

    async def announce(
        verdict: str, *, sha256: str, at: Any = None, event_id: str | None = None, **more: Any
    ) -> str:
        data = {
            "plugin": "energy-report",
            "version": "1.0.0",
            "sha256": sha256,
            "score": 90,
            "grade": "A",
            "verdict": verdict,
            "reasons": ["because"],
            **more,
        }
        outcome: str = await deliver(
            "version.audited.v1", data, by="auditor", at=at, event_id=event_id
        )
        return outcome

    return announce
