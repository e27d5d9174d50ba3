"""A service that leaks is told once, and is known again after the monitor's restart."""

import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heimnetz_common.database import Database
from heimnetz_common.testing import fresh_database
from heimnetz_monitor import metrics, store
from heimnetz_monitor.leaking import Watch
from heimnetz_monitor.model import Sample, SampleKind

MIB = 1024 * 1024
STEP = 30.0


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield database


@pytest.fixture(autouse=True)
def limits() -> None:
    metrics.LIMITS.update({"auditor": 256.0 * MIB, "registry": 256.0 * MIB})


def course(hours: float) -> list[Sample]:
    """The auditor takes 8 MiB an hour; the registry breathes."""
    began = datetime.now(UTC) - timedelta(hours=hours)
    found = []
    for number in range(int(hours * 3600 / STEP)):
        at = began + timedelta(seconds=number * STEP)
        wave = 0.3 * math.sin(number)
        for service, mib in (
            ("auditor", 50 + 8 * number * STEP / 3600 + wave),
            ("registry", 60 + 5 * wave),
        ):
            found.append(
                Sample(
                    kind=SampleKind.SERVICE,
                    subject=service,
                    taken_at=at,
                    memory_bytes=int(mib * MIB),
                )
            )
    return found


async def announced(database: Database) -> list[Any]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT document FROM outbox ORDER BY id")
    return [json.loads(row["document"]) for row in rows]


async def test_a_leak_is_announced_once_with_when_memory_will_be_out(database: Database) -> None:
    watch = Watch(database, STEP)

    await watch.observe(course(20))

    [event] = await announced(database)
    assert event["type"] == "heimnetz.leak.suspected.v1"
    assert event["data"]["service"] == "auditor"
    assert event["data"]["kind"] == "gradual"
    assert set(watch.leaking) == {"auditor"}
    expected = datetime.now(UTC) + timedelta(hours=(256 - 50) / 8 - 20)
    told = watch.leaking["auditor"].out_of_memory_at
    assert told is not None
    assert abs(told - expected) < timedelta(hours=3)


async def test_a_monitor_that_starts_again_knows_the_leak_and_does_not_tell_it_twice(
    database: Database,
) -> None:
    samples = course(20)
    async with database.transaction() as connection:
        await store.add_samples(connection, samples)
    watch = Watch(database, STEP)

    await watch.observe(samples[-2:])

    assert set(watch.leaking) == {"auditor"}
    assert await announced(database) == []


async def test_a_restarted_service_leaks_no_more(database: Database) -> None:
    watch = Watch(database, STEP)
    samples = course(20)
    await watch.observe(samples)
    after = [
        Sample(
            kind=SampleKind.SERVICE,
            subject="auditor",
            taken_at=samples[-1].taken_at + timedelta(seconds=STEP * number),
            memory_bytes=50 * MIB,
        )
        for number in range(1, 40)
    ]

    await watch.observe(after)

    assert watch.leaking == {}
    assert [event["type"] for event in await announced(database)] == [
        "heimnetz.leak.suspected.v1",
        "heimnetz.leak.ended.v1",
    ]
