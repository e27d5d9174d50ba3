"""What follows from audits, which come late, twice and out of order: F29 and F30."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient

NOW = datetime(2026, 11, 25, tzinfo=UTC)
VERSION = "/v1/plugins/energy-report/versions/1.0.0"


@pytest.fixture
async def sha256(publish: Any) -> str:
    return str((await publish()).json()["sha256"])


@pytest.fixture
def version(client: AsyncClient, role: Any) -> Any:
    async def get() -> dict[str, Any]:
        found: dict[str, Any] = (await client.get(VERSION, headers=role("viewer"))).json()
        return found

    return get


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("approve", "approved"), ("review", "needs_review"), ("reject", "rejected")],
)
async def test_a_verdict_decides_a_submission(
    audit: Any, version: Any, sha256: str, verdict: str, state: str
) -> None:
    assert await audit(verdict, sha256=sha256) == "done"

    found = await version()
    assert (found["state"], found["verdict"], found["score"]) == (state, verdict, 90)


async def test_an_audit_of_other_bytes_is_a_dead_letter_and_changes_nothing(
    audit: Any, version: Any, sha256: str
) -> None:
    assert await audit("approve", sha256="0" * 64) == "dead"

    assert (await version())["state"] == "submitted"


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1, 2))))
async def test_of_several_audits_the_newest_stands_in_whatever_order_they_come(
    audit: Any, version: Any, sha256: str, order: tuple[int, ...]
) -> None:
    scores = (50, 70, 95)

    for number in order * 2:
        at = NOW + timedelta(minutes=number)
        await audit(
            "approve", sha256=sha256, at=at, score=scores[number], event_id=f"audit-{number}"
        )

    found = await version()
    assert (found["score"], found["state"]) == (95, "approved")


async def test_a_version_that_falls_behind_is_given_to_a_person_and_comes_back_by_one_alone(
    audit: Any, version: Any, client: AsyncClient, role: Any, sha256: str
) -> None:
    await audit("approve", sha256=sha256, at=NOW)
    await audit("reject", sha256=sha256, at=NOW + timedelta(days=1))
    fallen = (await version())["state"]
    await audit("approve", sha256=sha256, at=NOW + timedelta(days=2))
    still = (await version())["state"]

    decided = await client.post(
        f"{VERSION}/state",
        json={"state": "approved", "reason": "looked at it"},
        headers=role("auditor"),
    )

    assert (fallen, still) == ("needs_review", "needs_review")
    assert decided.json()["state"] == "approved"


async def test_a_person_who_approved_in_spite_of_an_audit_is_asked_again_by_a_worse_one_alone(
    audit: Any, version: Any, client: AsyncClient, role: Any, sha256: str
) -> None:
    await audit("review", sha256=sha256, at=NOW, grade="C")
    decision = {"state": "approved", "reason": "it is my own"}
    await client.post(f"{VERSION}/state", json=decision, headers=role("auditor"))

    seen = []
    for day, grade in enumerate(("C", "B", "D"), 1):
        await audit("review", sha256=sha256, at=NOW + timedelta(days=day), grade=grade)
        found = await version()
        seen.append((found["state"], found["grade"]))

    assert seen == [("approved", "C"), ("approved", "B"), ("needs_review", "D")]
