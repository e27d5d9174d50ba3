"""F39: the key of secrets is lost, broken or another one; the rest works on and says what to do."""

import base64
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient, Response

from heimnetz_common.testing import running
from heimnetz_registry.app import create
from heimnetz_registry.settings import RegistrySettings

INSTALLATION = "/v1/installations/energy-report"


def lose(key: Path) -> None:
    key.unlink()


def spoil(key: Path) -> None:
    key.write_text("no key at all")


def replace(key: Path) -> None:
    key.write_text(base64.b64encode(b"another key of thirty-two bytes!").decode())


@pytest.fixture
async def installed(client: AsyncClient, publish: Any, audit: Any, role: Any) -> None:
    made = await publish()
    await audit("approve", sha256=made.json()["sha256"])
    wish = {"version": "1.0.0", "configuration": {"price": 0.1, "password": "sesame"}}
    answer = await client.put(INSTALLATION, json=wish, headers=role("operator"))
    assert answer.status_code == 201, answer.text


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lose, "encryption-key-missing"),
        (spoil, "encryption-key-missing"),
        (replace, "cannot-open-sealed-value"),
    ],
)
async def test_what_needs_no_secret_works_on_without_the_key(
    settings: RegistrySettings, role: Any, sibling: Any, change: Any, kind: str
) -> None:
    change(settings.secrets_dir / "encryption.key")

    async with running(create(settings)) as registry:

        async def configure(**configuration: Any) -> Response:
            wish = {"version": "1.0.0", "configuration": configuration}
            return await registry.put(INSTALLATION, json=wish, headers=role("operator"))

        shown = await registry.get(INSTALLATION, headers=role("viewer"))
        hidden = await registry.get(f"{INSTALLATION}/configuration", headers=sibling("sandbox"))
        kept = await configure(price=0.2, password="***")
        without = await configure(price=0.2)

    assert (shown.status_code, shown.json()["configuration"]["password"]) == (200, "***")
    for refused in (hidden, kept):
        assert refused.status_code == 503
        assert refused.json()["type"].endswith(f"/{kind}")
        assert "sesame" not in refused.text
    assert (without.status_code, without.json()["configuration"]) == (200, {"price": 0.2})
