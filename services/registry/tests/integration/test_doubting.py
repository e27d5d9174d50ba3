"""Installed versions that lost their approval are told to the owner until somebody decided."""

from typing import Any

import pytest
from httpx import AsyncClient

from heimnetz_registry.doubting import Doubts
from heimnetz_registry.metrics import IN_DOUBT

VERSION = "/v1/plugins/energy-report/versions/1.0.0"
INSTALLATION = "/v1/installations/energy-report"


def told() -> set[tuple[str, ...]]:
    [family] = IN_DOUBT.collect()
    return {tuple(sample.labels.values()) for sample in family.samples if sample.value == 1}


@pytest.fixture
async def sha256(publish: Any, audit: Any) -> str:
    sha256 = str((await publish()).json()["sha256"])
    await audit("approve", sha256=sha256)
    return sha256


@pytest.mark.parametrize("decision", ["approved", "removed"])
async def test_an_installed_version_that_a_later_audit_doubts_is_told_until_somebody_decides(
    client: AsyncClient, role: Any, database: Any, audit: Any, sha256: str, decision: str
) -> None:
    doubts = Doubts(database)
    await client.put(INSTALLATION, json={"version": "1.0.0"}, headers=role("operator"))
    await doubts.tell()
    before = told()

    await audit("reject", sha256=sha256)
    await doubts.tell()
    doubted = told()
    if decision == "removed":
        done = await client.delete(INSTALLATION, headers=role("operator"))
    else:
        body = {"state": "approved", "reason": "I know it"}
        done = await client.post(f"{VERSION}/state", json=body, headers=role("auditor"))
    assert done.is_success, done.text
    await doubts.tell()

    assert before == told() == set()
    assert doubted == {("energy-report", "needs_review")}


async def test_a_version_that_nobody_installed_is_no_doubt_of_the_owners(
    database: Any, audit: Any, sha256: str
) -> None:
    await audit("review", sha256=sha256)

    await Doubts(database).tell()

    assert told() == set()
