"""Audits that hold no more, and are done again behind everything that is new."""

import json
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heimnetz_audit import ENGINE_VERSION
from heimnetz_auditor import store
from heimnetz_auditor.auditing import MAX_CHANGES, compare
from heimnetz_auditor.examining import Examiner
from heimnetz_auditor.policy import parse_policy
from heimnetz_auditor.reauditing import Reauditing
from heimnetz_common.errors import Unavailable

from .conftest import HARMLESS, HOSTILE, House, Package, advisories

TODAY = datetime.now(UTC).date()
WAIVER = """
review_at: high
waivers:
- {{rule: "*", plugin: shell, reason: It is my own, expires_on: {day}}}
"""


def saying(*findings: int, verdict: str = "approve") -> Examiner:
    """A worker that answers at once, with findings in these lines."""
    rows = [{"rule": "x", "file": "a.py", "line": line} for line in findings]
    answer = {
        "has_no_network": True,
        "has_no_files": True,
        "score": 90,
        "grade": "B",
        "verdict": verdict,
        "reports": {"json": json.dumps({"findings": rows})},
    }
    script = f"cat >/dev/null; echo {shlex.quote(json.dumps(answer))}"
    return Examiner(60, 512 * 1024 * 1024, ("/bin/sh", "-c", script))


def reauditing(house: House) -> Reauditing:
    return Reauditing(house.database, house.registry, house.auditing.policy)


async def make_old(house: House) -> None:
    """As if an earlier engine had made every audit that is there."""
    async with house.database.transaction() as connection:
        await connection.execute("UPDATE audits SET engine_version = '0.1.0', grade = 'A'")


async def audited(house: House) -> list[str]:
    """In the order in which it was announced."""
    return [event["data"]["plugin"] for event in await house.announced()]


@pytest.fixture
async def old_house(house: House, package: Package) -> House:
    """Three versions that an earlier engine audited."""
    house.auditing = house.with_examiner(saying())
    for plugin in ("attic", "bath", "cellar"):
        await house.submit(plugin, package(plugin, HARMLESS))
        await house.auditing.work()
    await make_old(house)
    async with house.database.transaction() as connection:
        await connection.execute("DELETE FROM outbox")
    return house


async def test_a_new_engine_audits_what_is_installed_first_and_all_of_it_once(
    old_house: House,
) -> None:
    old_house.installed = ["attic", "cellar", "of another make"]

    stale = await reauditing(old_house).ask(TODAY)
    while await old_house.auditing.work():
        pass

    assert stale == 3
    order = await audited(old_house)
    assert (set(order[:2]), order[2:]) == ({"attic", "cellar"}, ["bath"])
    assert await reauditing(old_house).ask(TODAY) == 0
    assert await old_house.auditing.work() is False


async def test_the_announcement_tells_the_engine_and_what_changed(
    house: House, package: Package
) -> None:
    await house.submit("adder", package("adder", HARMLESS))
    await house.with_examiner(saying(1, 2)).work()
    await make_old(house)

    await reauditing(house).ask(TODAY)
    await house.with_examiner(saying(2, 3, verdict="review")).work()

    first, second = [event["data"] for event in await house.announced()]
    assert first["changes"] == {}
    assert second["engine_version"] == ENGINE_VERSION
    assert second["changes"] == {"new": ["x in a.py:3"], "gone": ["x in a.py:1"]}
    assert (second["verdict"], second["grade"]) == ("review", "B")


async def test_a_new_version_is_audited_before_the_old_ones(
    old_house: House, package: Package
) -> None:
    old_house.installed = ["attic"]
    await reauditing(old_house).ask(TODAY)
    await old_house.submit("roof", package("roof", HARMLESS))

    assert await old_house.waiting() == 1
    while await old_house.auditing.work():
        pass

    assert (await audited(old_house))[:2] == ["roof", "attic"]


async def test_somebody_who_asks_for_an_audit_does_not_wait_behind_the_old_ones(
    old_house: House,
) -> None:
    old_house.installed = ["attic", "bath"]
    await reauditing(old_house).ask(TODAY)

    await old_house.submit("cellar", old_house.packages["cellar"])
    while await old_house.auditing.work():
        pass

    order = await audited(old_house)
    assert (order[0], len(order)) == ("cellar", 3)


async def test_only_a_batch_is_asked_for_at_a_time(old_house: House) -> None:
    for _ in range(2):
        assert await reauditing(old_house).ask(TODAY, batch=2) == 3
    done = 0
    while await old_house.auditing.work():
        done += 1

    assert done == 2
    assert await reauditing(old_house).ask(TODAY, batch=2) == 1


async def test_after_a_crash_in_the_middle_every_version_is_audited_once(
    old_house: House,
) -> None:
    await reauditing(old_house).ask(TODAY)
    await old_house.auditing.work()
    async with old_house.database.transaction() as connection:
        # Taken by an auditor that is no more.
        assert await store.take_request(connection, lease_seconds=-1) is not None

    for _ in range(2):
        await reauditing(old_house).ask(TODAY)
        while await old_house.auditing.work():
            pass

    assert sorted(await audited(old_house)) == ["attic", "bath", "cellar"]


async def test_versions_that_are_gone_are_not_asked_for_again(old_house: House) -> None:
    old_house.packages.clear()

    await reauditing(old_house).ask(TODAY)
    while await old_house.auditing.work():
        pass

    assert await reauditing(old_house).ask(TODAY) == 0
    assert await audited(old_house) == []


async def test_nothing_is_asked_for_while_it_is_not_known_what_is_installed(
    old_house: House,
) -> None:
    old_house.status = 503

    with pytest.raises(Unavailable):
        await reauditing(old_house).ask(TODAY)

    old_house.status = 200
    assert await old_house.auditing.work() is False


async def test_another_policy_is_applied_to_what_was_audited(
    house: House, package: Package
) -> None:
    house.auditing = house.with_examiner(saying())
    await house.submit("adder", package("adder", HARMLESS))
    await house.auditing.work()
    house.auditing = replace(house.with_policy("minimum_grade: A\n"), examiner=saying())

    stale = [await reauditing(house).ask(TODAY)]
    await house.auditing.work()
    stale.append(await reauditing(house).ask(TODAY))

    assert stale == [1, 0]


async def test_the_end_of_a_waiver_is_the_end_of_the_audits_that_rest_on_it(
    house: House, package: Package
) -> None:
    policy = parse_policy(WAIVER.format(day=TODAY + timedelta(days=1)))
    house.auditing = replace(house.auditing, policy=policy)
    await house.submit("shell", package("shell", HOSTILE))
    await house.auditing.work()
    await house.submit("adder", package("adder", HARMLESS))
    await replace(house.auditing, examiner=saying()).work()

    stale = [await reauditing(house).ask(TODAY + timedelta(days=days)) for days in (0, 1, 2)]

    assert stale == [0, 0, 1]
    async with house.database.transaction() as connection:
        request = await store.take_request(connection, 15)
    assert request is not None
    assert request.plugin == "shell"


@pytest.mark.parametrize(
    "before", [None, "", "no report", "[]", '{"findings": 3}', '{"findings": [{"rule": "x"}]}']
)
def test_a_report_that_makes_no_sense_has_no_findings(before: Any) -> None:
    after = '{"findings": [{"rule": "x", "file": "a.py", "line": 1}]}'

    changes = compare(before, after)

    assert changes.get("gone", []) == []


def test_long_lists_of_changes_are_cut() -> None:
    rows = ",".join(f'{{"rule": "x", "file": "{n:0400}", "line": 1}}' for n in range(300))

    changes = compare('{"findings": []}', f'{{"findings": [{rows}]}}')

    assert [len(text) for text in changes["new"]] == [200] * MAX_CHANGES


async def test_an_audit_is_the_latest_also_when_the_clock_was_set_back(old_house: House) -> None:
    async with old_house.database.transaction() as connection:
        await connection.execute("UPDATE audits SET audited_at = now() + interval '1 year'")
    await reauditing(old_house).ask(TODAY)
    while await old_house.auditing.work():
        pass

    assert await reauditing(old_house).ask(TODAY) == 0


async def test_what_was_gone_and_is_there_again_is_audited_again(
    house: House, package: Package
) -> None:
    house.auditing = house.with_examiner(saying())
    body = package("adder", HARMLESS)
    await house.submit("adder", body)
    await house.auditing.work()
    async with house.database.transaction() as connection:
        await store.mark_gone(connection, "adder", "1.0.0")

    await house.submit("adder", body)
    await house.auditing.work()
    await make_old(house)

    assert await reauditing(house).ask(TODAY) == 1


async def test_other_advisories_audit_what_is_installed_again(
    old_house: House, package: Package
) -> None:
    await reauditing(old_house).ask(TODAY)
    while await old_house.auditing.work():
        pass

    stale = []
    for name in ("valve", "tap"):
        await old_house.auditing.advising.put(advisories(name), "user:owner")
        stale.append(await reauditing(old_house).ask(TODAY))
        while await old_house.auditing.work():
            pass
    await old_house.auditing.advising.put(advisories("tap"), "user:owner")

    assert stale == [3, 3]
    assert await reauditing(old_house).ask(TODAY) == 0
