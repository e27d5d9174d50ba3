"""A rollback brings back version, grants and configuration, its secrets included."""

import asyncio
import json
from typing import Any

import pytest
from httpx import AsyncClient, Response

INSTALLATION = "/v1/installations/energy-report"
ROLLBACK = f"{INSTALLATION}/rollback"
NETWORK, STORAGE = "network:api.example.org:443", "storage:1048576"


def kind(response: Any) -> str:
    return str(response.json()["type"]).rpartition("/")[2]


@pytest.fixture
def approved(publish: Any, audit: Any) -> Any:
    async def make(version: str = "1.0.0") -> None:
        sha256 = (await publish(version=version)).json()["sha256"]
        await audit("approve", sha256=sha256, version=version)

    return make


@pytest.fixture
def install(client: AsyncClient, role: Any) -> Any:
    async def put(version: str, *grants: str, **configuration: Any) -> Response:
        wish = {"version": version, "grants": list(grants), "configuration": configuration}
        answer = await client.put(INSTALLATION, json=wish, headers=role("operator"))
        assert answer.status_code in (200, 201), answer.text
        return answer

    return put


@pytest.fixture
def roll_back(client: AsyncClient, role: Any) -> Any:
    async def post(by: Any = "operator", **body: Any) -> Response:
        headers = role(by) if isinstance(by, str) else by
        return await client.post(ROLLBACK, headers=headers, **({"json": body} if body else {}))

    return post


@pytest.fixture
def decide(client: AsyncClient, role: Any) -> Any:
    async def post(version: str, state: str) -> None:
        answer = await client.post(
            f"/v1/plugins/energy-report/versions/{version}/state",
            json={"state": state, "reason": "because"},
            headers=role("owner"),
        )
        assert answer.status_code == 200, answer.text

    return post


@pytest.fixture
async def updated(approved: Any, install: Any) -> None:
    """1.0.0 with one grant and one secret, then 1.1.0 with others."""
    await approved("1.0.0")
    await approved("1.1.0")
    await install("1.0.0", NETWORK, price=0.1, password="first", mail={"token": "deep"})
    await install("1.1.0", STORAGE, price=0.2, password="second")


@pytest.fixture
def revealed(client: AsyncClient, sibling: Any) -> Any:
    """What the sandbox is given for a run."""

    async def get() -> Any:
        answer = await client.get(f"{INSTALLATION}/configuration", headers=sibling("sandbox"))
        return answer.json()["configuration"]

    return get


@pytest.mark.usefixtures("updated")
async def test_version_grants_and_configuration_come_back_and_so_do_secrets(
    roll_back: Any, revealed: Any
) -> None:
    done = await roll_back()

    assert done.status_code == 200, done.text
    found = done.json()
    assert (found["version"], found["grants"]) == ("1.0.0", [NETWORK])
    assert found["configuration"] == {"price": 0.1, "password": "***", "mail": {"token": "***"}}
    assert await revealed() == {"price": 0.1, "password": "first", "mail": {"token": "deep"}}


@pytest.mark.usefixtures("updated")
async def test_a_second_rollback_undoes_the_first_with_what_was_configured_last(
    install: Any, roll_back: Any, revealed: Any
) -> None:
    await install("1.1.0", STORAGE, price=0.3, password="third")
    first = await roll_back()

    again = await roll_back()

    assert first.json()["version"] == "1.0.0"
    assert (again.json()["version"], again.json()["grants"]) == ("1.1.0", [STORAGE])
    assert await revealed() == {"price": 0.3, "password": "third"}


@pytest.mark.usefixtures("updated")
async def test_a_rollback_is_told_to_the_trail_and_announced(
    client: AsyncClient, role: Any, database: Any, roll_back: Any
) -> None:
    done = (await roll_back()).json()

    entries = (await client.get("/v1/trail", headers=role("owner"))).json()["items"]
    async with database.connection() as connection:
        sent = await connection.fetchval(
            """
            SELECT document
              FROM outbox
             WHERE event_type = 'heimnetz.installation.changed.v1'
             ORDER BY id DESC
             LIMIT 1
            """
        )
    data = json.loads(sent)["data"]
    assert (entries[0]["action"], entries[0]["version"]) == ("installation.rolled_back", "1.0.0")
    assert entries[0]["actor"] == "user:operator"
    assert entries[0]["reason"] == f"granted: {NETWORK}; from 1.1.0"
    assert (data["version"], data["grants"]) == ("1.0.0", [NETWORK])
    assert data["revision"] == done["revision"]


@pytest.mark.usefixtures("updated")
async def test_what_a_rollback_would_bring_is_told_without_secrets(
    client: AsyncClient, role: Any
) -> None:
    told = await client.get(ROLLBACK, headers=role("viewer"))

    found = told.json()
    assert (found["from_version"], found["version"]) == ("1.1.0", "1.0.0")
    assert (found["grants"], found["state"], found["refusal"]) == ([NETWORK], "approved", None)
    assert found["configuration"]["password"] == "***"
    assert "first" not in told.text


@pytest.mark.usefixtures("updated")
async def test_a_version_that_may_not_be_installed_does_not_come_back(
    client: AsyncClient, role: Any, decide: Any, roll_back: Any
) -> None:
    for state in ("quarantined", "yanked", "deleted"):
        await decide("1.0.0", state)

        refused = await roll_back()
        told = await client.get(ROLLBACK, headers=role("viewer"))

        assert (refused.status_code, kind(refused)) == (409, "version-not-installable")
        assert f"1.0.0 is {state}" in refused.json()["detail"]
        assert told.json()["refusal"] == refused.json()["detail"]
    assert (await client.get(INSTALLATION, headers=role("viewer"))).json()["version"] == "1.1.0"


@pytest.mark.usefixtures("updated")
async def test_a_rejected_version_does_not_come_back(
    audit: Any, client: AsyncClient, role: Any, decide: Any, roll_back: Any
) -> None:
    path = "/v1/plugins/energy-report/versions/1.0.0"
    sha256 = (await client.get(path, headers=role("viewer"))).json()["sha256"]
    await audit("review", sha256=sha256)
    await decide("1.0.0", "rejected")

    refused = await roll_back()

    assert (refused.status_code, kind(refused)) == (409, "version-not-installable")
    assert "rejected" in refused.json()["detail"]


@pytest.mark.usefixtures("updated")
async def test_what_was_kept_goes_with_the_installation(
    client: AsyncClient, role: Any, install: Any, roll_back: Any, database: Any
) -> None:
    await client.delete(INSTALLATION, headers=role("operator"))
    absent = await roll_back()
    await install("1.0.0")
    await install("1.0.0", price=0.5)

    refused = await roll_back()

    async with database.connection() as connection:
        left = await connection.fetchval("SELECT count(*) FROM kept_secrets")
    assert (absent.status_code, kind(absent)) == (404, "installation-not-found")
    assert (refused.status_code, kind(refused)) == (409, "nothing-to-roll-back")
    assert left == 0


@pytest.mark.usefixtures("updated")
async def test_people_who_saw_the_same_revision_do_not_undo_each_other(
    client: AsyncClient, role: Any, roll_back: Any
) -> None:
    seen = (await client.get(ROLLBACK, headers=role("operator"))).json()["revision"]

    answers = await asyncio.gather(*(roll_back(revision=seen) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    assert {kind(one) for one in answers if one.status_code == 409} == {"installation-changed"}
    assert (await client.get(INSTALLATION, headers=role("viewer"))).json()["version"] == "1.0.0"


@pytest.mark.usefixtures("updated")
async def test_the_monitor_goes_back_from_the_version_that_it_names_and_no_other(
    client: AsyncClient, role: Any, sibling: Any, roll_back: Any
) -> None:
    monitor = sibling("monitor")

    done = await roll_back(by=monitor, version="1.1.0", reason="it leaks memory")
    late = await roll_back(by=monitor, version="1.1.0", reason="it leaks memory")
    others = [await roll_back(by=sibling(name)) for name in ("sandbox", "auditor", "docs-gen")]

    entry = (await client.get("/v1/trail", headers=role("owner"))).json()["items"][0]
    assert (done.status_code, done.json()["version"]) == (200, "1.0.0")
    assert (late.status_code, kind(late)) == (409, "another-version-installed")
    assert (entry["actor"], entry["action"]) == ("service:monitor", "installation.rolled_back")
    assert entry["reason"] == f"granted: {NETWORK}; from 1.1.0: it leaks memory"
    assert {other.status_code for other in others} == {403}


@pytest.mark.usefixtures("updated")
async def test_the_monitor_quarantines_what_is_installed_and_decides_nothing_else(
    client: AsyncClient, role: Any, sibling: Any
) -> None:
    async def decide_as_monitor(version: str, state: str) -> Response:
        return await client.post(
            f"/v1/plugins/energy-report/versions/{version}/state",
            json={"state": state, "reason": "it searches the network"},
            headers=sibling("monitor"),
        )

    states = ("approved", "rejected", "deprecated", "yanked", "needs_review", "deleted")
    refused = [await decide_as_monitor("1.1.0", state) for state in states]
    another = await decide_as_monitor("1.0.0", "quarantined")
    done = await decide_as_monitor("1.1.0", "quarantined")
    entry = (await client.get("/v1/trail", headers=role("owner"))).json()["items"][0]
    await client.delete(INSTALLATION, headers=role("operator"))
    absent = await decide_as_monitor("1.0.0", "quarantined")

    assert {(one.status_code, kind(one)) for one in refused} == {(403, "decision-not-yours")}
    assert (another.status_code, kind(another)) == (409, "another-version-installed")
    assert (done.status_code, done.json()["state"]) == (200, "quarantined")
    assert (entry["actor"], entry["action"]) == ("service:monitor", "version.quarantined")
    assert (absent.status_code, kind(absent)) == (404, "installation-not-found")
