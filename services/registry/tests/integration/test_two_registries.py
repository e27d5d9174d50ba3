"""One Heimnetz takes plugins from another, and hears when that one warns of them."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from httpx import AsyncClient

from heimnetz_common.testing import eventually, fresh_database_url, running
from heimnetz_manifest.catalogue import find_signer, read_index
from heimnetz_manifest.signing import PrivateKey, Subject, prove, sign
from heimnetz_registry.app import create
from heimnetz_registry.deciding import take_audit
from heimnetz_registry.events import VersionAudited
from heimnetz_registry.settings import RegistrySettings

from .https_server import tls_files

KEY = PrivateKey.generate()
VERSION = "/v1/plugins/energy-report/versions/1.0.0"


@pytest.fixture
async def there(app: Any, client: AsyncClient, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The first registry, which answers over HTTPS too: its index's address and its authority."""
    ca, certificate, key = tls_files(tmp_path)
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        log_config=None,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())

    async def is_started() -> bool:
        return server.started

    await eventually(is_started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield {"url": f"https://127.0.0.1:{port}/v1/catalogue/index.json", "ca": ca}
    server.should_exit = True
    await task


@pytest.fixture
async def here(
    settings: RegistrySettings, postgres_url: str, tmp_path: Path
) -> AsyncIterator[tuple[AsyncClient, Any]]:
    """The second registry, and its database."""
    async with fresh_database_url(postgres_url, "registry") as url:
        more = {"database_url": url, "artifacts_dir": tmp_path / "other"}
        app = create(settings.model_copy(update=more))
        async with running(app) as client:
            yield client, app.state.service.database


@pytest.fixture
async def published(client: AsyncClient, role: Any, publish: Any, package: Any, audit: Any) -> str:
    """A signed and approved version in the first registry; its digest."""
    proof = {"public_key": KEY.public, "proof": prove(KEY, "publisher")}
    body = {name: base64.b64encode(data).decode() for name, data in proof.items()}
    await client.post("/v1/keys", json={"name": "laptop", **body}, headers=role("publisher"))
    data = package()
    sha256 = hashlib.sha256(data).hexdigest()
    await publish(body=data, envelope=sign(KEY, Subject("energy-report", "1.0.0", sha256)))
    await audit("approve", sha256=sha256)
    return sha256


async def test_what_one_registry_approved_another_mirrors_and_what_it_stops_is_stopped_there_too(
    there: dict[str, str], here: Any, client: AsyncClient, role: Any, published: str
) -> None:
    other, database = here
    owner = role("owner")
    source = {**there, "token": role("viewer", "b")["authorization"].removeprefix("Bearer ")}

    shown = await other.post("/v1/catalogues/preview", json=source, headers=owner)
    body = {**source, "name": "cellar", "key_id": shown.json()["key_id"]}
    added = await other.post("/v1/catalogues", json=body, headers=owner)
    release = {"plugin": "energy-report", "version": "1.0.0"}
    mirrored = await other.post("/v1/catalogues/cellar/mirror", json=release, headers=owner)
    audited = VersionAudited(
        **release, sha256=published, score=90, grade="A", verdict="approve", reasons=[]
    )
    async with database.transaction() as connection:
        await take_audit(connection, audited, datetime.now(UTC))
    stopped = {"state": "quarantined", "reason": "it steals"}
    await client.post(f"{VERSION}/state", json=stopped, headers=role("auditor"))
    read = await other.post("/v1/catalogues/cellar/refresh", headers=owner)
    now = await other.get(VERSION, headers=owner)

    assert (shown.status_code, added.status_code) == (200, 201), added.text
    assert mirrored.status_code == 201, mirrored.text
    assert mirrored.json()["sha256"] == published
    assert mirrored.json()["publisher"] == "cellar/publisher"
    assert mirrored.json()["signature"]["is_good"]
    assert (read.status_code, now.json()["state"]) == (200, "quarantined")
    assert now.json()["reason"] == "the catalogue cellar warns of it: it steals"


async def test_an_index_stays_the_same_until_something_changes_and_counts_on_then(
    client: AsyncClient, role: Any, published: str
) -> None:
    first = await client.get("/v1/catalogue/index.json", headers=role("viewer"))
    second = await client.get("/v1/catalogue/index.json", headers=role("viewer"))
    stopped = {"state": "quarantined", "reason": "it\nsteals"}
    await client.post(f"{VERSION}/state", json=stopped, headers=role("auditor"))
    third = await client.get("/v1/catalogue/index.json", headers=role("viewer"))
    package = await client.get(f"/v1/catalogue/packages/{published}.tar.gz", headers=role("viewer"))

    assert first.content == second.content
    assert package.json()["type"].endswith("/package-not-offered")
    before, after = (
        read_index(one.content, pinned=find_signer(one.content)) for one in (first, third)
    )
    assert after.counter > before.counter
    assert [one.sha256 for one in before.releases] == [published]
    assert (after.releases, [one.reason for one in after.revoked]) == ((), ["it steals"])
