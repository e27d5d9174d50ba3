"""Submitted versions on their way through the auditor, with the registry's wire replaced."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from heimnetz_audit import SourceTree, audit, reporters
from heimnetz_auditor import store
from heimnetz_auditor.api import audits
from heimnetz_auditor.consumers import SUBSCRIPTIONS, VersionSubmitted
from heimnetz_auditor.examining import Examiner
from heimnetz_common.consuming import Consumers
from heimnetz_common.events import encode
from heimnetz_common.outbox import Relay
from heimnetz_common.service import Service
from heimnetz_common.testing import KeyRing, eventually, running
from heimnetz_common.web import create_app
from heimnetz_manifest import read_package

from .conftest import HARMLESS, HOSTILE, House, Package


async def test_a_harmless_version_is_approved_and_announced(house: House, package: Package) -> None:
    body = package("adder", HARMLESS)
    await house.submit("adder", body)

    assert await house.auditing.work() is True

    [event] = await house.announced()
    assert event["type"] == "heimnetz.version.audited.v1"
    assert event["subject"] == "adder/1.0.0"
    assert event["data"]["verdict"] == "approve"
    assert event["data"]["grade"] in "AB"
    assert event["data"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert await house.waiting() == 0


async def test_a_reverse_shell_is_not_approved(house: House, package: Package) -> None:
    await house.submit("shell", package("shell", HOSTILE))

    await house.auditing.work()

    [event] = await house.announced()
    assert event["data"]["verdict"] in ("reject", "review")
    assert event["data"]["counts"]["high"] + event["data"]["counts"]["critical"] > 0


async def test_the_same_submission_twice_is_audited_once(house: House, package: Package) -> None:
    body = package("adder", HARMLESS)
    await house.submit("adder", body)
    await house.submit("adder", body)

    assert await house.auditing.work() is True
    assert await house.auditing.work() is False
    assert len(await house.announced()) == 1


async def test_a_second_audit_by_the_same_engine_replaces_the_first(
    house: House, package: Package
) -> None:
    body = package("adder", HARMLESS)
    for _ in range(2):
        await house.submit("adder", body)
        await house.auditing.work()

    async with house.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audits") == 1
        assert await connection.fetchval("SELECT count(*) FROM reports") == len(reporters.ALL)
    assert len(await house.announced()) == 2


async def test_bytes_that_were_not_submitted_are_for_a_person(
    house: House, package: Package
) -> None:
    await house.submit("adder", package("adder", HARMLESS), sha256="0" * 64)

    await house.auditing.work()

    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
    assert event["data"]["grade"] == "unknown"
    assert "not those that were submitted" in event["data"]["reasons"][0]


async def test_a_package_that_cannot_be_read_is_for_a_person(house: House) -> None:
    await house.submit("broken", b"\x1f\x8b not a package")

    await house.auditing.work()

    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
    assert "cannot be read" in event["data"]["reasons"][0]


@pytest.mark.parametrize(
    "script",
    ["import time; time.sleep(60)", "import os; os.abort()", "print('approve')"],
)
async def test_an_engine_that_fails_is_for_a_person_and_the_report_says_why(
    house: House, package: Package, script: str
) -> None:
    await house.submit("adder", package("adder", HARMLESS))
    examiner = Examiner(1, 512 * 1024 * 1024, (sys.executable, "-c", script))

    await house.with_examiner(examiner).work()

    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
    async with house.database.connection() as connection:
        report = json.loads(await store.get_report(connection, "adder", "1.0.0", "json"))
        parts = json.loads(await store.get_report(connection, "adder", "1.0.0", "cyclonedx"))
    assert report["unknowns"][0]["check"] == "audit"
    assert parts["compositions"][0]["aggregate"] == "unknown"


async def test_a_registry_that_is_away_only_delays_the_audit(
    house: House, package: Package
) -> None:
    await house.submit("adder", package("adder", HARMLESS))
    house.status = 503

    for _ in range(5):
        await house.auditing.work()
        async with house.database.transaction() as connection:
            await connection.execute("UPDATE requests SET due_at = now()")
    assert await house.announced() == []

    house.status = 200
    await house.auditing.work()
    assert len(await house.announced()) == 1


async def test_a_version_that_is_gone_needs_no_audit(house: House, package: Package) -> None:
    await house.submit("adder", package("adder", HARMLESS))
    house.packages.clear()

    await house.auditing.work()

    assert await house.waiting() == 0
    assert await house.announced() == []


async def test_a_version_that_kills_its_auditor_is_given_to_a_person(
    house: House, package: Package
) -> None:
    await house.submit("killer", package("killer", HARMLESS))
    for _ in range(3):
        async with house.database.transaction() as connection:
            assert await store.take_request(connection, lease_seconds=-1) is not None

    await house.auditing.work()

    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
    assert "did not survive" in event["data"]["reasons"][0]


async def test_two_auditors_do_not_take_the_same_version(house: House, package: Package) -> None:
    await house.submit("adder", package("adder", HARMLESS))

    await asyncio.gather(house.auditing.work(), house.auditing.work())

    assert len(await house.announced()) == 1


async def test_a_submission_travels_over_the_bus_and_its_verdict_back(
    house: House, package: Package, bus: Any
) -> None:
    plugin = f"adder-{uuid4().hex[:8]}"
    body = package(plugin, HARMLESS)
    house.packages[plugin] = body
    data = VersionSubmitted(
        plugin=plugin,
        version="1.0.0",
        sha256=hashlib.sha256(body).hexdigest(),
    )
    traceparent = f"00-{uuid4().hex}-{'1' * 16}-01"
    event_id, document = encode(data, service="registry", subject=plugin, traceparent=traceparent)
    consumers = Consumers(house.database, bus, f"auditor{uuid4().hex[:8]}", SUBSCRIPTIONS)
    relay = Relay(house.database, bus)
    works = [asyncio.create_task(work.run()) for work in (consumers, relay, house.auditing)]

    async def is_announced() -> Any:
        found = [event for event in await house.announced() if event["data"]["plugin"] == plugin]
        async with house.database.connection() as connection:
            unsent = await connection.fetchval("SELECT count(*) FROM outbox WHERE sent_at IS NULL")
        return found and not unsent and found[0]

    try:
        await bus.publish(VersionSubmitted.type(), event_id, document)
        event = await eventually(is_announced, seconds=60)
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    assert event["traceparent"].split("-")[1] == traceparent.split("-")[1]


@pytest.fixture
async def client(house: House, key_ring: KeyRing) -> AsyncIterator[httpx.AsyncClient]:
    service = Service("auditor", keys=key_ring.keys("auditor"))
    app = create_app(service, [audits.routes(house.database, house.registry)], title="auditor")
    async with running(app) as client:
        yield client


@pytest.mark.parametrize(
    ("form", "media_type", "beginning"),
    [
        ("json", "application/json", "{"),
        ("sarif", "application/sarif+json", "{"),
        ("markdown", "text/markdown; charset=utf-8", "#"),
        ("text", "text/plain; charset=utf-8", ""),
        ("cyclonedx", "application/vnd.cyclonedx+json; version=1.6", '{\n  "$schema"'),
    ],
)
async def test_a_report_is_served_in_each_format(
    house: House,
    client: httpx.AsyncClient,
    package: Package,
    key_ring: KeyRing,
    form: str,
    media_type: str,
    beginning: str,
) -> None:
    await house.submit("adder", package("adder", HARMLESS))
    await house.auditing.work()

    response = await client.get(
        "/v1/audits/adder/1.0.0",
        params={"format": form},
        headers=key_ring.user("auditor", "viewer"),
    )

    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.text.startswith(beginning)


async def test_a_version_without_an_audit_is_not_found(
    client: httpx.AsyncClient, key_ring: KeyRing
) -> None:
    response = await client.get(
        "/v1/audits/adder/1.0.0", headers=key_ring.user("auditor", "viewer")
    )

    assert response.status_code == 404
    assert response.json()["type"].endswith("/audit-not-found")


async def test_a_format_that_an_earlier_engine_did_not_write_is_named(
    house: House, client: httpx.AsyncClient, package: Package, key_ring: KeyRing
) -> None:
    await house.submit("adder", package("adder", HARMLESS))
    await house.auditing.work()
    async with house.database.transaction() as connection:
        await connection.execute("DELETE FROM reports WHERE format = 'cyclonedx'")

    response = await client.get(
        "/v1/audits/adder/1.0.0?format=cyclonedx", headers=key_ring.user("auditor", "viewer")
    )

    assert response.status_code == 404
    assert response.json()["type"].endswith("/format-not-kept")


WAIVER = """
review_at: high
waivers:
- {{rule: "*", plugin: {plugin}, reason: It is my own, expires_on: {day}}}
"""


async def test_waived_findings_do_not_count_and_the_static_report_is_as_without_them(
    house: House, client: httpx.AsyncClient, package: Package, key_ring: KeyRing
) -> None:
    body = package("shell", HOSTILE)
    await house.submit("shell", body)
    await house.with_policy(WAIVER.format(plugin="shell", day="9999-12-31")).work()
    route, headers = "/v1/audits/shell/1.0.0", key_ring.user("auditor", "viewer")

    whole = (await client.get(route, headers=headers)).json()
    static = await client.get(route, params={"static": "true"}, headers=headers)
    parts = await client.get(route, params={"format": "cyclonedx"}, headers=headers)

    offline = audit(SourceTree.from_files(read_package(body).files))
    assert parts.text == reporters.cyclonedx.render(offline)
    assert static.text == reporters.json.render(offline)
    assert whole["score"] == 100 > whole["score_without_waivers"] == offline.score
    assert {finding["waived"]["reason"] for finding in whole["findings"]} == {"It is my own"}
    [event] = await house.announced()
    assert event["data"]["score"] == 100
    assert sum(event["data"]["counts"].values()) == 0


@pytest.mark.parametrize(("plugin", "day"), [("shell", "2020-01-01"), ("other", "9999-12-31")])
async def test_a_waiver_that_has_ended_or_is_for_another_plugin_changes_nothing(
    house: House, package: Package, plugin: str, day: str
) -> None:
    await house.submit("shell", package("shell", HOSTILE))

    await house.with_policy(WAIVER.format(plugin=plugin, day=day)).work()

    [event] = await house.announced()
    assert event["data"]["verdict"] in ("reject", "review")
    assert event["data"]["score"] < 100


async def test_an_audit_without_waivers_forgets_those_of_the_one_before(
    house: House, package: Package
) -> None:
    body = package("shell", HOSTILE)
    for policy in (WAIVER.format(plugin="shell", day="2020-01-01"), "review_at: high\n"):
        await house.submit("shell", body)
        await house.with_policy(policy).work()

    async with house.database.connection() as connection:
        report = await store.get_report(connection, "shell", "1.0.0", "json", is_static=False)

    assert "expired_waivers" not in json.loads(report)


async def test_pages_of_audits_follow_each_other(
    house: House, client: httpx.AsyncClient, package: Package, key_ring: KeyRing
) -> None:
    body = package("adder", HARMLESS)
    house.auditing = house.with_examiner(
        Examiner(20, 512 * 1024 * 1024, (sys.executable, "-c", "print(1)"))
    )
    for number in range(5):
        await house.submit(f"p{number}", body)
        await house.auditing.work()

    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        response = await client.get(
            "/v1/audits", params=params, headers=key_ring.user("auditor", "viewer")
        )
        page = response.json()
        seen += [entry["plugin"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert seen == ["p4", "p3", "p2", "p1", "p0"]


async def test_an_auditor_may_ask_for_another_audit_and_a_viewer_may_not(
    house: House, client: httpx.AsyncClient, package: Package, key_ring: KeyRing
) -> None:
    house.packages["adder"] = package("adder", HARMLESS)
    wish = {"plugin": "adder", "version": "1.0.0"}

    refused = await client.post("/v1/audits", json=wish, headers=key_ring.user("auditor", "viewer"))
    accepted = await client.post(
        "/v1/audits", json=wish, headers=key_ring.user("auditor", "auditor")
    )

    assert refused.status_code == 403
    assert accepted.status_code == 202
    assert await house.waiting() == 1


async def test_an_audit_of_an_unknown_version_is_not_found(
    client: httpx.AsyncClient, key_ring: KeyRing
) -> None:
    response = await client.post(
        "/v1/audits",
        json={"plugin": "nobody", "version": "1.0.0"},
        headers=key_ring.user("auditor", "owner"),
    )

    assert response.status_code == 404


@pytest.mark.parametrize(
    "wish",
    [
        {"plugin": "../registry", "version": "1.0.0"},
        {"plugin": "a", "version": "1.0.0/../../setup"},
        {"plugin": "a", "version": "1.0.0", "extra": 1},
        {"plugin": "a"},
        [],
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, key_ring: KeyRing, wish: Any
) -> None:
    response = await client.post("/v1/audits", json=wish, headers=key_ring.user("auditor", "owner"))

    assert response.status_code == 422


@pytest.mark.parametrize(
    ("signature", "verdict"),
    [(None, "reject"), ({"is_good": False}, "reject"), ({"is_good": True}, "approve")],
    ids=["none", "by a revoked key", "good"],
)
async def test_a_policy_that_wants_signatures_looks_at_the_key_as_it_is_now(
    house: House, package: Package, signature: dict[str, Any] | None, verdict: str
) -> None:
    house.signature = signature
    await house.submit("adder", package("adder", HARMLESS))

    await house.with_policy("require_signature: true").work()

    (event,) = await house.announced()
    assert event["data"]["verdict"] == verdict


async def test_a_version_is_compared_with_the_one_before_that_was_let_in(
    house: House, client: httpx.AsyncClient, package: Package, key_ring: KeyRing
) -> None:
    starts = HARMLESS + 'import subprocess\nsubprocess.run(["ls", "/"])\n'
    house.older["0.9.1"] = ("rejected", package("adder", starts))
    house.older["0.9.0"] = ("deprecated", package("adder", HARMLESS))
    body = package("adder", starts)
    await house.submit("adder", body)
    await house.auditing.work()
    route, headers = "/v1/audits/adder/1.0.0", key_ring.user("auditor", "viewer")

    whole = (await client.get(route, headers=headers)).json()
    static = await client.get(route, params={"static": "true"}, headers=headers)

    assert {"kind": "processes", "what": "ls", "is_new": True} in whole["drift"]["changes"]
    assert "version-drift" in {finding["rule"] for finding in whole["findings"]}
    offline = audit(SourceTree.from_files(read_package(body).files))
    assert static.text == reporters.json.render(offline)
    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
    assert event["data"]["score"] == whole["score"] < offline.score


async def test_a_version_before_that_is_damaged_leaves_the_audit_to_a_person(
    house: House, package: Package
) -> None:
    house.older["0.9.0"] = ("approved", b"no package")
    await house.submit("adder", package("adder", HARMLESS))

    await house.auditing.work()

    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
