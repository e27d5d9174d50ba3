"""What an installation announces of the service level that the manifest promises."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from httpx import AsyncClient


@pytest.mark.parametrize(
    ("manifest", "announced"),
    [
        ("", None),
        (
            "service_level: {availability: 0.99, latency: 2 s}\n",
            {"availability": 0.99, "latency_seconds": 2.0},
        ),
        (
            "service_level: {availability: 0.5}\n",
            {"availability": 0.5, "latency_seconds": None},
        ),
    ],
)
async def test_an_installation_announces_what_its_manifest_promises(
    client: AsyncClient,
    publish: Any,
    audit: Any,
    role: Any,
    database: Any,
    package: Callable[..., bytes],
    manifest: str,
    announced: object,
) -> None:
    published = await publish(body=package(more=manifest))
    await audit("approve", sha256=published.json()["sha256"])
    wish = {"version": "1.0.0", "grants": [], "configuration": {}}
    installed = await client.put(
        "/v1/installations/energy-report", json=wish, headers=role("operator")
    )

    async with database.connection() as connection:
        document = await connection.fetchval(
            "SELECT document FROM outbox WHERE event_type = 'heimnetz.installation.changed.v1'"
        )

    assert installed.is_success, installed.text
    assert orjson.loads(document)["data"]["service_level"] == announced
