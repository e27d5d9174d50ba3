"""What is in the store after the first start, and that people's decisions about it stay."""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from httpx import AsyncClient

from heimnetz_common.testing import running
from heimnetz_manifest import pack, read_package
from heimnetz_manifest.signing import PrivateKey
from heimnetz_registry.app import create
from heimnetz_registry.settings import RegistrySettings

KEY = PrivateKey.generate()
VERSION = "/v1/plugins/energy-report/versions/1.0.0"


@pytest.fixture
def settings_with_plugin(
    settings: RegistrySettings, package: Callable[..., bytes]
) -> RegistrySettings:
    """Of a registry whose image holds a first-party plugin."""
    plugins = settings.artifacts_dir.parent / "plugins"
    (plugins / "energy-report").mkdir(parents=True)
    for path, content in read_package(package()).files.items():
        (plugins / "energy-report" / path).write_bytes(content)
    (settings.secrets_dir / "publisher.key").write_bytes(KEY.to_pem())
    return settings.model_copy(update={"plugins_dir": plugins})


@pytest.fixture
def app(settings_with_plugin: RegistrySettings) -> Any:
    return create(settings_with_plugin)


@pytest.fixture
async def client(app: Any) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        await provide(app)
        yield client


async def provide(app: Any) -> None:
    """As at a start, whether that one has done it yet or not."""
    (work,) = (one for one in app.state.service.background if "Provisioner" in one.__qualname__)
    await work()


async def actions(client: AsyncClient, headers: dict[str, str]) -> list[str]:
    entries = (await client.get("/v1/trail", headers=headers)).json()["items"]
    return [entry["action"] for entry in entries]


async def test_a_first_party_plugin_is_there_signed_and_waits_for_its_audit_like_any_other(
    client: AsyncClient, role: Any, settings_with_plugin: RegistrySettings
) -> None:
    version = (await client.get(VERSION, headers=role("viewer"))).json()

    packed = pack(settings_with_plugin.plugins_dir / "energy-report")
    assert version["sha256"] == hashlib.sha256(packed).hexdigest()
    assert (version["state"], version["publisher"]) == ("submitted", "heimnetz")
    assert (version["signature"]["key_id"], version["signature"]["is_good"]) == (KEY.id, True)


async def test_another_start_and_an_owner_who_publishes_the_same_change_nothing(
    client: AsyncClient, app: Any, publish: Any, package: Any, role: Any
) -> None:
    before = await actions(client, role("auditor"))

    await provide(app)
    again = await publish(body=package(), by="owner")

    assert (again.status_code, again.json()["signature"]["key_id"]) == (200, KEY.id)
    assert await actions(client, role("auditor")) == before
    assert sorted(before) == ["key.registered", "version.submitted"]


async def test_what_the_owner_deleted_does_not_come_back(
    client: AsyncClient, app: Any, role: Any
) -> None:
    await client.delete(VERSION, headers=role("owner"))

    await provide(app)

    version = (await client.get(VERSION, headers=role("viewer"))).json()
    assert version["state"] == "deleted"


async def test_without_a_key_that_is_believed_nothing_is_published_in_its_name(
    client: AsyncClient, app: Any, role: Any
) -> None:
    await client.delete(VERSION, headers=role("owner"))
    revoked = f"/v1/keys/{KEY.id}/revocation"
    await client.post(revoked, json={"reason": "stolen"}, headers=role("owner"))
    before = await actions(client, role("auditor"))

    await provide(app)

    assert await actions(client, role("auditor")) == before
