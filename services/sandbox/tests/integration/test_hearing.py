"""Events of the registry in any order and more than once: F29 and F30."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heimnetz_common.consuming import Consumers
from heimnetz_common.database import Database
from heimnetz_common.events import EventData, encode
from heimnetz_common.testing import fresh_database
from heimnetz_sandbox import consumers
from heimnetz_sandbox.asking import Queue
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
