"""The trail: nobody changes it unseen, not even who rules the database."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from httpx import AsyncClient, Response

from heimnetz_common.testing import eventually, running
from heimnetz_manifest.trail import Checkpoint, read_checkpoint, verify_export
from heimnetz_registry.app import create
from heimnetz_registry.settings import RegistrySettings
from heimnetz_registry.store import trail

pytestmark = pytest.mark.engine

COUNT = 8
Look = Callable[[], Awaitable[dict[str, Any]]]
Sign = Callable[[], Awaitable[Response]]
Get = Callable[[str], Awaitable[list[dict[str, Any]]]]


@pytest.fixture
async def superuser(settings: RegistrySettings, postgres_url: str) -> AsyncIterator[Any]:
    name = settings.database_url.rpartition("/")[2]
    connection = await asyncpg.connect(f"{postgres_url.rpartition('/')[0]}/{name}")
    await connection.execute("SET search_path TO registry")
    yield connection
    await connection.close()


@pytest.fixture
async def look(client: AsyncClient, role: Any) -> Look:
    async def ask() -> dict[str, Any]:
        answer = await client.get("/v1/trail/verification", headers=role("auditor"))
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    return ask


@pytest.fixture
def sign(client: AsyncClient, role: Any) -> Sign:
    return lambda: client.post("/v1/trail/checkpoints", headers=role("auditor"))


@pytest.fixture
def get(client: AsyncClient, role: Any) -> Get:
    """All pages of it, which are short."""

    async def ask(what: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": "3"}
        while True:
            path, headers = f"/v1/trail/{what}", role("auditor")
            document = (await client.get(path, params=query, headers=headers)).json()
            items += document["items"]
            if document["next_cursor"] is None:
                return items
            query["cursor"] = document["next_cursor"]

    return ask


def shorten(settings: RegistrySettings, links: int) -> None:
    """What the copy of the chain is after a crash, or after somebody was at it."""
    with (settings.artifacts_dir / "trail").open("rb+") as file:
        file.truncate(links * 48)


@pytest.fixture
async def written(publish: Any, look: Look, superuser: Any) -> list[int]:
    """The numbers of some entries, all linked."""
    for number in range(COUNT):
        assert (await publish(version=f"1.0.{number}")).status_code == 201
    ids = [row["id"] for row in await superuser.fetch("SELECT id FROM trail ORDER BY id")]

    async def are_linked() -> bool:
        return (await look())["entries"] == len(ids)

    await eventually(are_linked, 20)
    return ids


async def test_a_trail_that_nobody_touched_is_intact(written: list[int], look: Look) -> None:
    found = await look()

    assert found["is_intact"]
    assert found["problems"] == []
    assert found["entries"] == found["position"] == len(written)
    assert len(found["digest"]) == 64


async def test_an_entry_that_was_altered_is_named(
    written: list[int], look: Look, superuser: Any
) -> None:
    await superuser.execute("UPDATE trail SET actor = 'someone' WHERE id = $1", written[3])

    assert (await look())["problems"] == [{"entry": written[3], "what": "altered"}]


@pytest.mark.parametrize("place", [0, 4, COUNT - 1])
async def test_an_entry_that_was_removed_is_named_also_the_last(
    written: list[int], look: Look, superuser: Any, place: int
) -> None:
    await superuser.execute("DELETE FROM trail WHERE id = $1", written[place])

    assert (await look())["problems"] == [{"entry": written[place], "what": "removed"}]


async def test_entries_that_were_removed_with_their_links_are_named(
    written: list[int], look: Look, superuser: Any
) -> None:
    await superuser.execute("DELETE FROM trail WHERE id >= $1", written[-2])
    await superuser.execute("DELETE FROM trail_links WHERE entry >= $1", written[-2])

    assert (await look())["problems"] == [
        {"entry": entry, "what": "removed"} for entry in written[-2:]
    ]


async def test_entries_that_changed_places_are_named(
    written: list[int], look: Look, superuser: Any
) -> None:
    await superuser.execute(
        """
        UPDATE trail
           SET version = other.version, at = other.at
          FROM trail AS other
         WHERE (trail.id = $1 AND other.id = $2)
            OR (trail.id = $2 AND other.id = $1)
        """,
        written[2],
        written[5],
    )

    assert [one["entry"] for one in (await look())["problems"]] == [written[2], written[5]]


async def test_a_chain_that_was_made_anew_after_a_change_is_told_by_the_copy(
    written: list[int], look: Look, superuser: Any, role: Any, client: AsyncClient, publish: Any
) -> None:
    await superuser.execute("UPDATE trail SET reason = 'another' WHERE id = $1", written[4])
    await superuser.execute("DELETE FROM trail_links WHERE position > 4")

    async def is_linked_again() -> bool:
        count = await superuser.fetchval("SELECT count(*) FROM trail_links")
        return bool(count == len(written))

    await eventually(is_linked_again, 20)

    found = await look()
    assert found["problems"][0] == {"entry": written[4], "what": "altered"}
    assert {one["what"] for one in found["problems"][1:]} == {"forged"}

    async def is_told() -> bool:
        return "heimnetz_registry_trail_intact 0.0" in (await client.get("/metrics")).text

    await eventually(is_told, 20)


async def test_the_registry_itself_can_neither_change_nor_remove(
    written: list[int], settings: RegistrySettings
) -> None:
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("SET search_path TO registry")
    try:
        for statement in (
            "UPDATE trail SET reason = ''",
            "DELETE FROM trail",
            "TRUNCATE trail",
            "UPDATE trail_links SET entry = 1",
            "DELETE FROM trail_links",
            "TRUNCATE trail_links",
            "UPDATE trail_checkpoints SET position = 1",
            "DELETE FROM trail_checkpoints",
            "TRUNCATE trail_checkpoints",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
    assert written


async def test_a_checkpoint_signs_the_end_of_the_trail_once(
    written: list[int], sign: Sign, look: Look
) -> None:
    first, again = await sign(), await sign()

    checkpoint, public = read_checkpoint(first.json())
    end = await look()
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert checkpoint.is_signed_by(public)
    assert checkpoint.link.position == len(written)
    assert checkpoint.link.digest.hex() == end["digest"]
    assert end["checkpoints"] >= 1


async def test_what_is_signed_while_all_is_verified_is_no_problem(
    written: list[int],
    sign: Sign,
    look: Look,
    publish: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, made = trail.list_checkpoints, []

    async def list_late(*arguments: Any, **options: Any) -> list[Checkpoint]:
        if not made:
            made.append(await publish(version="2.0.0"))
            made.append(await sign())
        return await plain(*arguments, **options)

    monkeypatch.setattr(trail, "list_checkpoints", list_late)

    assert (await look())["problems"] == []
    assert [one.status_code for one in made] == [201, 201]
    assert made[1].json()["position"] > len(written)


async def test_checkpoints_of_many_callers_at_once_are_one(written: list[int], sign: Sign) -> None:
    answers = await asyncio.gather(*(sign() for _ in range(10)))

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.content for answer in answers}) == 1


async def test_an_export_proves_offline_what_was_decided(
    written: list[int], sign: Sign, get: Get
) -> None:
    noted, public = read_checkpoint((await sign()).json())
    lines = await get("chain") + await get("checkpoints")
    lines.sort(key=lambda line: line["position"])

    found = verify_export(map(json.dumps, lines), public, noted)

    assert found.problems == []
    assert found.entries == found.covered == len(written)


async def test_what_was_removed_with_its_links_and_their_copy_is_told_by_the_checkpoint(
    written: list[int], sign: Sign, look: Look, superuser: Any, settings: RegistrySettings
) -> None:
    await sign()
    await superuser.execute("DELETE FROM trail WHERE id >= $1", written[-2])
    await superuser.execute("DELETE FROM trail_links WHERE entry >= $1", written[-2])
    shorten(settings, len(written) - 2)

    assert (await look())["problems"] == [{"entry": written[-1], "what": "removed"}]


async def test_a_chain_and_its_copy_that_were_made_anew_get_no_signature(
    written: list[int], sign: Sign, look: Look, superuser: Any, settings: RegistrySettings
) -> None:
    await sign()
    await superuser.execute("UPDATE trail SET reason = 'another' WHERE id = $1", written[4])
    shorten(settings, 0)
    await superuser.execute("DELETE FROM trail_links")

    async def is_linked_again() -> bool:
        return bool(await superuser.fetchval("SELECT count(*) FROM trail_links") == len(written))

    await eventually(is_linked_again, 20)

    refused = await sign()
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/trail-altered")
    assert {"entry": written[-1], "what": "forged"} in (await look())["problems"]


async def test_a_checkpoint_after_a_crash_between_link_and_copy_holds(
    written: list[int], sign: Sign, look: Look, settings: RegistrySettings
) -> None:
    shorten(settings, len(written) - 3)

    answer = await sign()

    assert answer.json()["position"] == len(written)
    assert (await look())["is_intact"]


async def test_without_its_key_the_registry_works_on_but_signs_nothing(
    settings: RegistrySettings, role: Any
) -> None:
    (settings.secrets_dir / "trail.key").unlink()
    async with running(create(settings)) as client:
        refused = await client.post("/v1/trail/checkpoints", headers=role("auditor"))
        verified = await client.get("/v1/trail/verification", headers=role("auditor"))

    assert refused.status_code == 503
    assert refused.json()["type"].endswith("/trail-key-missing")
    assert verified.json()["is_intact"]


async def test_who_can_reach_an_address_is_known_from_what_was_granted(
    client: AsyncClient, publish: Any, audit: Any, role: Any
) -> None:
    answer = await publish()
    await audit("approve", sha256=answer.json()["sha256"])
    wish = {"version": "1.0.0", "grants": ["network:api.example.org:443"], "configuration": {}}
    installed = await client.put(
        "/v1/installations/energy-report", json=wish, headers=role("operator")
    )
    assert installed.status_code == 201

    async def list_grants(**query: str) -> Any:
        return await client.get("/v1/grants", params=query, headers=role("viewer"))

    whole = (await list_grants()).json()["items"]
    assert whole == [
        {"plugin": "energy-report", "version": "1.0.0", "grant": "network:api.example.org:443"}
    ]
    assert (await list_grants(reach="api.example.org:443")).json()["items"] == whole
    for elsewhere in ("api.example.org:80", "example.org:443", "192.168.1.10:443"):
        assert (await list_grants(reach=elsewhere)).json()["items"] == []
    assert (await list_grants(reach="no port")).status_code in (400, 422)


async def test_what_the_monitor_does_about_a_plugin_is_in_the_trail(
    client: AsyncClient, role: Any, deliver: Callable[..., Any]
) -> None:
    data = {
        "plugin": "leaker",
        "version": "1.0.0",
        "action": "recycle",
        "reason": "its memory grows",
        "decided_by": "policy",
    }

    await deliver("remediation.applied.v1", data, by="monitor")

    answer = await client.get("/v1/trail?plugin=leaker", headers=role("auditor"))
    [entry] = answer.json()["items"]
    assert (entry["actor"], entry["action"]) == ("service:monitor", "remedy.recycle")
    assert entry["reason"] == "its memory grows (decided by policy)"
