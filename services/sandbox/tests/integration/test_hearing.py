"""Events of the registry in any order and more than once: F29 and F30."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heimnetz_common.consuming import Consumers
from heimnetz_common.database import Database
from heimnetz_common.events import EventData, encode
from heimnetz_common.testing import fresh_database
from heimnetz_sandbox import consumers, projecting
from heimnetz_sandbox.asking import Queue
from heimnetz_sandbox.broker.storing import Storage
from heimnetz_sandbox.consumers import (
    InstallationChanged,
    InstallationRemoved,
    VersionApproved,
    VersionQuarantined,
)
from heimnetz_sandbox.model import Request, Trigger
from heimnetz_sandbox.scheduling import Scheduler

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SUBSCRIPTIONS = consumers.subscriptions(lambda: None)


def changed(version: str) -> InstallationChanged:
    return InstallationChanged(plugin="p", version=version, sha256="ab" * 32)


async def nobody_is(_plugin: str) -> bool:
    return False


STORY = (
    changed("1.0.0"),
    changed("1.1.0"),
    VersionQuarantined(plugin="p", version="1.1.0", reason="bad"),
    InstallationRemoved(plugin="p"),
    VersionApproved(plugin="p", version="1.1.0"),
    changed("1.2.0"),
    VersionQuarantined(plugin="p", version="1.2.0", reason="worse"),
)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "sandbox") as database:
        yield database


async def tell(database: Database, data: EventData, minute: int) -> None:
    """The event of that minute, as the bus delivers it."""
    _, document = encode(
        data,
        service="registry",
        subject="p",
        traceparent=None,
        at=NOW + timedelta(minutes=minute),
    )
    listening = Consumers(database, None, "sandbox", SUBSCRIPTIONS)
    by_type = {item.data_type: item for item in SUBSCRIPTIONS}
    await listening.deliver(by_type[type(data)], document, 1)


async def state(database: Database) -> dict[str, Any]:
    async with database.connection() as connection:
        return {
            "installed": await connection.fetch(
                "SELECT plugin, version, is_installed, announced_at FROM installations"
            ),
            "blocked": await connection.fetch(
                "SELECT version, is_blocked, reason, announced_at FROM blocked_versions"
                " ORDER BY version"
            ),
        }


@pytest.mark.parametrize("seed", range(12))
async def test_events_in_any_order_and_repeated_end_as_events_in_order(
    database: Database, postgres_url: str, seed: int
) -> None:
    dice = random.Random(seed)
    story = list(enumerate(STORY)) * 2
    dice.shuffle(story)

    for minute, data in story:
        await tell(database, data, minute)
    async with fresh_database(postgres_url, "sandbox") as in_order:
        for minute, data in enumerate(STORY):
            await tell(in_order, data, minute)

        assert await state(database) == await state(in_order)


@pytest.mark.parametrize(
    "late",
    [InstallationRemoved(plugin="p"), VersionQuarantined(plugin="p", version="1.0.0", reason="x")],
)
async def test_what_was_undone_before_it_arrives_stops_no_run(
    database: Database, late: EventData
) -> None:
    await tell(database, changed("1.0.0"), 5)
    await tell(database, VersionApproved(plugin="p", version="1.0.0"), 5)
    queue = Queue(database, limit=10, plugin_limit=10, wake=lambda: None, is_installed=nobody_is)
    asked = await queue.ask(Request(plugin="p", trigger=Trigger.HTTP, input=b"{}"))

    await tell(database, late, 1)

    async with database.connection() as connection:
        run = await connection.fetchval("SELECT state FROM runs WHERE id = $1", asked.run_id)
    assert run == "queued"


async def test_no_slot_from_before_the_installation_is_made_up_for(database: Database) -> None:
    queue = Queue(database, limit=10, plugin_limit=10, wake=lambda: None, is_installed=nobody_is)
    scheduler = Scheduler(database, queue)
    hourly = {"cron": [{"schedule": "0 * * * *"}]}

    async def install(version: str, minute: int) -> None:
        data = changed(version).model_copy(update={"triggers": hourly})
        await tell(database, data, minute)

    async def queued(minute: int) -> int:
        return await scheduler.ask_due(NOW + timedelta(minutes=minute))

    await install("1.0.0", 3)
    assert await queued(4) == 0
    await install("1.1.0", 61)
    assert await queued(62) == 1
    await tell(database, InstallationRemoved(plugin="p"), 90)
    await install("1.1.0", 121)
    assert await queued(122) == 0


@pytest.fixture
def kept(database: Database) -> Any:
    """The storage of the plugin, as its broker serves it."""
    return Storage(database, "p", 1024 * 1024)


async def remember(kept: Storage, **values: str) -> None:
    for key, value in values.items():
        assert (await kept.answer("PUT", f"/storage/{key}", value.encode())).status == 204


async def memory(kept: Storage) -> dict[str, str]:
    keys = json.loads((await kept.answer("GET", "/storage", b"")).body)
    return {key: (await kept.answer("GET", f"/storage/{key}", b"")).body.decode() for key in keys}


async def copies(database: Database) -> list[tuple[str, str]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT version, key FROM kept_storage ORDER BY version, key")
    return [(row["version"], row["key"]) for row in rows]


def rolled_back(version: str) -> InstallationChanged:
    return changed(version).model_copy(update={"is_rollback": True})


async def test_a_rollback_brings_back_what_the_version_before_kept_and_a_second_one_undoes_it(
    database: Database, kept: Any
) -> None:
    await tell(database, changed("1.0.0"), 1)
    await remember(kept, total="7", old="x")
    await tell(database, changed("1.1.0"), 2)
    await kept.answer("DELETE", "/storage/old", b"")
    await remember(kept, total="8", new="y")

    await tell(database, rolled_back("1.0.0"), 3)
    back = await memory(kept)
    await remember(kept, total="9")
    await tell(database, rolled_back("1.0.0"), 3)
    repeated = await memory(kept)
    await tell(database, rolled_back("1.1.0"), 4)

    assert back == {"total": "7", "old": "x"}
    assert repeated == {"total": "9", "old": "x"}
    assert await memory(kept) == {"total": "8", "new": "y"}
    assert await copies(database) == [("1.0.0", "old"), ("1.0.0", "total")]


async def test_one_copy_is_kept_and_it_goes_with_the_plugin(database: Database, kept: Any) -> None:
    await tell(database, changed("1.0.0"), 1)
    await remember(kept, a="1")
    await tell(database, changed("1.1.0"), 2)
    await tell(database, changed("1.1.0"), 3)
    first = await copies(database)
    await remember(kept, b="2")
    await tell(database, changed("1.2.0"), 4)
    second = await copies(database)
    await tell(database, InstallationRemoved(plugin="p"), 5)

    assert first == [("1.0.0", "a")]
    assert second == [("1.1.0", "a"), ("1.1.0", "b")]
    assert await copies(database) == []


async def test_a_version_that_kept_nothing_comes_back_with_nothing(
    database: Database, kept: Any
) -> None:
    await tell(database, changed("1.0.0"), 1)
    await tell(database, changed("1.1.0"), 2)
    await remember(kept, bad="1")

    await tell(database, rolled_back("1.0.0"), 3)

    assert await memory(kept) == {}


async def test_a_rollback_to_a_version_of_which_no_copy_is_there_takes_nothing_away(
    database: Database, kept: Any
) -> None:
    await tell(database, changed("1.0.0"), 1)
    await tell(database, changed("1.1.0"), 2)
    await remember(kept, a="1")

    await tell(database, rolled_back("0.9.0"), 3)

    assert await memory(kept) == {"a": "1"}


async def test_what_ends_in_between_leaves_version_and_storage_as_they_were(
    database: Database, kept: Any
) -> None:
    await tell(database, changed("1.0.0"), 1)
    await remember(kept, a="1")
    await tell(database, changed("1.1.0"), 2)
    await remember(kept, a="2")
    before = await state(database)

    with pytest.raises(asyncio.CancelledError):
        async with database.transaction() as connection:
            await projecting.change(
                connection,
                plugin="p",
                version="1.0.0",
                sha256="ab" * 32,
                triggers={},
                at=NOW + timedelta(minutes=3),
                is_rollback=True,
            )
            raise asyncio.CancelledError
    after = (await state(database), await memory(kept))
    await tell(database, rolled_back("1.0.0"), 3)

    assert after == (before, {"a": "2"})
    assert await memory(kept) == {"a": "1"}


async def test_more_than_fits_a_copy_is_left_as_it_is(
    database: Database, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(database, changed("1.0.0"), 1)
    await remember(kept, a="1")
    await tell(database, changed("1.1.0"), 2)
    monkeypatch.setattr(projecting, "KEPT_BYTES", 10)
    await remember(kept, large="x" * 10)

    await tell(database, changed("1.2.0"), 3)
    left = await copies(database)
    await tell(database, rolled_back("1.1.0"), 4)

    assert left == []
    assert await memory(kept) == {"a": "1", "large": "x" * 10}
