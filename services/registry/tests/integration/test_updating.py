"""An approved version is put to use by itself, where that was wished for and is safe."""

import json
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from prometheus_client import REGISTRY

INSTALLATION = "/v1/installations/energy-report"
POLICY = f"{INSTALLATION}/update-policy"
ROLLBACKS = "heimnetz_registry_rollbacks_total"
NETWORK = "network:api.example.org:443"
REQUIRED = "    region: {type: string}\n  required: [region]\n"


@pytest.fixture
def approved(publish: Any, audit: Any, deliver: Any, package: Any) -> Any:
    """Publish and audit a version, and hand the registry what it announced of it."""

    async def make(version: str, *, more: str = "", grade: str = "A") -> None:
        body = package("energy-report", version, more=more)
        made = await publish("energy-report", version, body=body, allow_lower="true")
        assert made.status_code == 201, made.text
        await audit("approve", sha256=made.json()["sha256"], version=version, grade=grade)
        data = {"plugin": "energy-report", "version": version}
        assert await deliver("version.approved.v1", data, by="registry") in {"done", "repeated"}

    return make


@pytest.fixture
def approved_again(deliver: Any) -> Any:
    """The same news of a version, as another event."""

    async def announce(version: str) -> None:
        data = {"plugin": "energy-report", "version": version}
        event_id = str(uuid4())
        said = await deliver("version.approved.v1", data, by="registry", event_id=event_id)
        assert said == "done"

    return announce


@pytest.fixture
def choose(client: AsyncClient, role: Any) -> Any:
    async def put(policy: str, by: str = "operator") -> Response:
        return await client.put(POLICY, json={"update_policy": policy}, headers=role(by))

    return put


@pytest.fixture
def ended(deliver: Any) -> Any:
    """A run's end, as the sandbox announces it."""

    async def announce(version: str, outcome: str) -> None:
        data = {"plugin": "energy-report", "version": version, "outcome": outcome}
        assert await deliver("run.finished.v1", data, by="sandbox") == "done"

    return announce


@pytest.fixture
async def installed(client: AsyncClient, role: Any, approved: Any) -> None:
    await approved("1.0.0")
    wish = {
        "version": "1.0.0",
        "grants": [NETWORK],
        "configuration": {"price": 0.1, "password": "sesame"},
    }
    answer = await client.put(INSTALLATION, json=wish, headers=role("operator"))
    assert answer.status_code == 201, answer.text


@pytest.fixture
def found(client: AsyncClient, role: Any) -> Any:
    async def get() -> Any:
        return (await client.get(INSTALLATION, headers=role("viewer"))).json()

    return get


@pytest.fixture
def trail(client: AsyncClient, role: Any) -> Any:
    """The newest entry."""

    async def get() -> Any:
        return (await client.get("/v1/trail", headers=role("owner"))).json()["items"][0]

    return get


@pytest.mark.usefixtures("installed")
async def test_a_safe_version_is_taken_with_what_the_one_before_had(
    client: AsyncClient, sibling: Any, approved: Any, choose: Any, found: Any, trail: Any
) -> None:
    await choose("safe")

    await approved("1.1.0")

    now, entry = await found(), await trail()
    revealed = await client.get(f"{INSTALLATION}/configuration", headers=sibling("sandbox"))
    assert (now["version"], now["grants"], now["update_policy"]) == ("1.1.0", [NETWORK], "safe")
    assert revealed.json()["configuration"]["password"] == "sesame"
    assert (entry["actor"], entry["action"]) == ("service:registry", "installation.changed")
    assert entry["reason"] == (
        f"granted: {NETWORK}; by itself, since it asks for nothing more than 1.0.0; "
        "on trial for 24 h"
    )


@pytest.mark.usefixtures("installed")
async def test_a_version_that_is_not_safe_waits_and_the_trail_says_why(
    approved: Any, choose: Any, found: Any, trail: Any
) -> None:
    await choose("safe")

    for version, how, reason in (
        ("1.1.0", {"grade": "B"}, "its grade is B, that of 1.0.0 is A"),
        ("1.2.0", {"more": "limits: {memory: 256 MiB}\n"}, "its limits are higher: memory_bytes"),
        ("1.3.0", {"more": REQUIRED}, "the configuration does not fit it: "),
    ):
        await approved(version, **how)

        entry = await trail()
        assert (entry["action"], entry["version"]) == ("update.waits", version)
        assert entry["reason"].startswith(f"1.0.0 stays: {reason}"), entry["reason"]
        assert "sesame" not in entry["reason"]
    assert (await found())["version"] == "1.0.0"


@pytest.mark.usefixtures("installed")
async def test_nothing_is_taken_unless_a_person_chose_that(
    approved: Any, choose: Any, found: Any, trail: Any
) -> None:
    await approved("1.1.0")
    by_default = (await found())["version"]
    await choose("safe")
    await approved("0.9.0")
    older = (await found())["version"]
    await choose("manual")

    await approved("1.2.0")

    assert (by_default, older, (await found())["version"]) == ("1.0.0", "1.0.0", "1.0.0")
    assert (await trail())["action"] == "version.approved"


@pytest.mark.usefixtures("installed")
async def test_a_version_from_before_the_choice_is_not_taken_however_late_its_news_comes(
    approved: Any, approved_again: Any, choose: Any, found: Any
) -> None:
    await approved("1.1.0")
    await choose("safe")

    await approved_again("1.1.0")

    assert (await found())["version"] == "1.0.0"


@pytest.mark.usefixtures("installed")
async def test_a_version_that_somebody_went_back_from_is_not_taken_again(
    client: AsyncClient,
    role: Any,
    approved: Any,
    choose: Any,
    found: Any,
    trail: Any,
    approved_again: Any,
) -> None:
    await choose("safe")
    await approved("1.1.0")
    await client.post(f"{INSTALLATION}/rollback", headers=role("operator"))

    await approved_again("1.1.0")
    waiting = await trail()
    back = (await found())["version"]
    await approved("1.2.0")

    assert (back, (await found())["version"]) == ("1.0.0", "1.2.0")
    assert waiting["reason"] == "1.0.0 stays: somebody went back from it"


@pytest.mark.usefixtures("installed")
async def test_with_always_a_worse_grade_and_higher_limits_do_not_wait(
    approved: Any, choose: Any, found: Any, trail: Any
) -> None:
    await choose("always")
    more = "limits: {memory: 256 MiB}\n"

    await approved("1.1.0", grade="B", more=more)
    taken = (await found())["version"]
    await approved("1.2.0-rc.1", grade="B", more=more)

    assert (taken, (await found())["version"]) == ("1.1.0", "1.1.0")
    assert (await trail())["reason"] == "1.1.0 stays: it is a pre-release"


@pytest.mark.usefixtures("installed")
async def test_an_update_taken_by_itself_is_on_trial_until_a_person_takes_it_over(
    client: AsyncClient, role: Any, approved: Any, choose: Any, found: Any
) -> None:
    await choose("safe")
    before = await found()
    await approved("1.1.0")
    on_trial = await found()

    wish = {"version": "1.1.0", "grants": [NETWORK], "configuration": {"price": 0.2}}
    taken_over = await client.put(INSTALLATION, json=wish, headers=role("operator"))

    assert (before["canary_until"], taken_over.json()["canary_until"]) == (None, None)
    assert on_trial["canary_until"] > on_trial["installed_at"]


@pytest.mark.usefixtures("installed")
async def test_failing_runs_in_a_row_bring_the_version_before_back_for_good(
    approved: Any, approved_again: Any, choose: Any, found: Any, trail: Any, ended: Any
) -> None:
    await choose("safe")
    await approved("1.1.0")
    for outcome in ("error", "timeout", "ok", "error", "killed", "refused", "out_of_memory"):
        await ended("1.1.0", outcome)
    await ended("1.0.0", "error")
    still = await found()
    counted = REGISTRY.get_sample_value(ROLLBACKS, {"by": "registry"}) or 0

    await ended("1.1.0", "timeout")

    now, entry = await found(), await trail()
    await approved_again("1.1.0")
    assert (still["version"], still["canary_failures"]) == ("1.1.0", 2)
    assert (now["version"], now["canary_until"], now["went_back_from"]) == ("1.0.0", None, "1.1.0")
    assert (entry["actor"], entry["action"]) == ("service:registry", "installation.rolled_back")
    assert entry["reason"] == f"granted: {NETWORK}; from 1.1.0: 3 runs in a row: timeout"
    assert REGISTRY.get_sample_value(ROLLBACKS, {"by": "registry"}) == counted + 1
    assert (await trail())["reason"] == "1.0.0 stays: somebody went back from it"
    assert (await found())["version"] == "1.0.0"


@pytest.mark.usefixtures("installed")
async def test_a_version_older_than_one_that_was_left_is_not_taken_either(
    client: AsyncClient, role: Any, approved: Any, choose: Any, found: Any, trail: Any
) -> None:
    await choose("safe")
    await approved("1.2.0")
    await client.post(f"{INSTALLATION}/rollback", headers=role("operator"))

    await approved("1.1.0")
    waiting = await trail()
    await approved("1.3.0")

    assert waiting["reason"] == "1.0.0 stays: somebody went back from 1.2.0"
    assert (await found())["version"] == "1.3.0"


@pytest.mark.usefixtures("installed")
async def test_without_a_trial_or_after_it_failing_runs_change_nothing(
    database: Any, approved: Any, choose: Any, found: Any, ended: Any
) -> None:
    for _ in range(3):
        await ended("1.0.0", "error")
    await choose("safe")
    await approved("1.1.0")
    async with database.transaction() as connection:
        await connection.execute("UPDATE installations SET canary_until = now()")
    for _ in range(3):
        await ended("1.1.0", "error")

    now = await found()
    assert (now["version"], now["canary_until"], now["canary_failures"]) == ("1.1.0", None, 0)


@pytest.mark.usefixtures("installed")
async def test_a_trial_that_fails_without_a_way_back_says_so_once(
    client: AsyncClient, role: Any, approved: Any, choose: Any, found: Any, trail: Any, ended: Any
) -> None:
    await choose("safe")
    await approved("1.1.0")
    await client.post(
        "/v1/plugins/energy-report/versions/1.0.0/state",
        json={"state": "yanked", "reason": "because"},
        headers=role("owner"),
    )

    for _ in range(6):
        await ended("1.1.0", "error")

    now, entry = await found(), await trail()
    entries = (await client.get("/v1/trail", headers=role("owner"))).json()["items"]
    assert (now["version"], now["canary_until"]) == ("1.1.0", None)
    assert entry["action"] == "update.stays"
    assert "3 runs in a row: error; no way back: energy-report 1.0.0 is yanked" in entry["reason"]
    assert [one["action"] for one in entries].count("update.stays") == 1


@pytest.mark.usefixtures("installed")
async def test_a_choice_is_told_to_the_trail_and_announced_once(
    database: Any, choose: Any, trail: Any
) -> None:
    refused = await choose("safe", by="viewer")
    chosen, again = await choose("safe"), await choose("safe")

    entry = await trail()
    async with database.connection() as connection:
        sent = await connection.fetch(
            "SELECT document FROM outbox WHERE event_type = $1",
            "heimnetz.installation.policy_changed.v1",
        )
    assert (refused.status_code, chosen.status_code, again.status_code) == (403, 200, 200)
    assert chosen.json()["update_policy"] == again.json()["update_policy"] == "safe"
    assert (entry["actor"], entry["action"]) == ("user:operator", "installation.policy_changed")
    assert entry["reason"] == "updates: safe"
    assert [json.loads(row["document"])["data"] for row in sent] == [
        {"plugin": "energy-report", "update_policy": "safe"}
    ]
