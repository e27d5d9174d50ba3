"""What becomes of installations whose version was signed with a key that is revoked."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest
from httpx import AsyncClient, Response

from heimnetz_manifest.signing import PrivateKey, Subject, prove, sign
from heimnetz_registry.store import versions

KEYS = "/v1/keys"
VERSION = "/v1/plugins/energy-report/versions/{}"
KEY, SECOND = PrivateKey.generate(), PrivateKey.generate()


@pytest.fixture
def register(client: AsyncClient, role: Any) -> Any:
    async def post(key: PrivateKey) -> Response:
        proof = prove(key, "publisher")
        texts = {"public_key": key.public, "proof": proof}
        body = {name: base64.b64encode(data).decode() for name, data in texts.items()}
        return await client.post(KEYS, json={"name": "laptop", **body}, headers=role("publisher"))

    return post


@pytest.fixture
def revoke(client: AsyncClient, role: Any) -> Any:
    async def post(key: PrivateKey) -> Response:
        path = f"{KEYS}/{key.id}/revocation"
        return await client.post(path, json={"reason": "stolen"}, headers=role("publisher"))

    return post


@pytest.fixture
def approved(publish: Any, package: Any, audit: Any) -> Any:
    """Publish a version with the key's signature, and audit it."""

    async def make(version: str) -> None:
        data = package("energy-report", version)
        about = Subject("energy-report", version, hashlib.sha256(data).hexdigest())
        made = await publish(version=version, body=data, envelope=sign(KEY, about))
        assert made.status_code == 201, made.text
        await audit("approve", sha256=about.sha256, version=version)

    return make


@pytest.fixture
def install(client: AsyncClient, role: Any) -> Any:
    async def put(version: str) -> Response:
        path = "/v1/installations/energy-report"
        return await client.put(path, json={"version": version}, headers=role("operator"))

    return put


@pytest.fixture
async def installed(register: Any, approved: Any, install: Any) -> None:
    await register(KEY)
    await approved("1.0.0")
    assert (await install("1.0.0")).status_code == 201


@pytest.fixture
def hear(deliver: Any) -> Any:
    """The registry's own announcement of a revocation, as the stream brings it."""

    async def deliver_it(key: PrivateKey = KEY) -> str:
        data = {"key_id": key.id, "reason": "stolen"}
        said: str = await deliver("key.revoked.v1", data, by="registry")
        return said

    return deliver_it


async def test_what_is_installed_is_stopped_when_the_key_that_signed_it_is_revoked(
    client: AsyncClient, role: Any, installed: None, revoke: Any, hear: Any, database: Any
) -> None:
    await revoke(KEY)
    await hear()

    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    entries = await client.get("/v1/trail?plugin=energy-report", headers=role("auditor"))
    async with database.connection() as connection:
        sent = await connection.fetchval(
            "SELECT count(*) FROM outbox WHERE event_type = 'heimnetz.version.quarantined.v1'"
        )
    assert (shown.json()["state"], sent) == ("quarantined", 1)
    assert shown.json()["reason"] == "its signing key was revoked: stolen"
    assert entries.json()["items"][0]["actor"] == "service:registry"


async def test_what_was_stopped_runs_again_by_a_persons_word_and_is_stopped_no_second_time(
    client: AsyncClient, role: Any, installed: None, revoke: Any, hear: Any
) -> None:
    path = f"{VERSION.format('1.0.0')}/state"
    await revoke(KEY)
    await hear()

    meant = await client.post(
        path, json={"state": "approved", "reason": "read it"}, headers=role("auditor")
    )
    again = await hear()

    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    assert (meant.status_code, again) == (200, "repeated")
    assert shown.json()["state"] == "approved"


async def test_a_version_that_was_yanked_is_stopped_too(
    client: AsyncClient, role: Any, installed: None, revoke: Any, hear: Any
) -> None:
    path = f"{VERSION.format('1.0.0')}/state"
    wish = {"state": "yanked", "reason": "old"}
    yanked = await client.post(path, json=wish, headers=role("publisher"))
    await revoke(KEY)

    await hear()

    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    assert (yanked.status_code, shown.json()["state"]) == (200, "quarantined")


async def test_what_another_key_signed_runs_on(
    client: AsyncClient, role: Any, installed: None, register: Any, revoke: Any, hear: Any
) -> None:
    await register(SECOND)
    await revoke(SECOND)

    await hear(SECOND)

    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    assert shown.json()["state"] == "approved"


async def test_nothing_is_put_to_use_while_its_key_is_being_revoked(
    installed: None, approved: Any, install: Any, revoke: Any, database: Any
) -> None:
    await approved("1.1.0")
    async with database.transaction() as connection:
        await versions.lock_version(connection, "energy-report", "1.1.0")
        revoking = asyncio.create_task(revoke(KEY))
        _, waiting = await asyncio.wait([revoking], timeout=0.3)
    revoked = await revoking

    assert waiting
    assert revoked.status_code == 200
    assert (await install("1.1.0")).json()["type"].endswith("/signature-revoked")
