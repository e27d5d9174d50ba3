"""Runs and installations: what is kept, and what Prometheus gets of it."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from heimnetz_common.consuming import Consumers
from heimnetz_common.database import Database
from heimnetz_common.events import encode
from heimnetz_common.testing import eventually, fresh_database
from heimnetz_monitor import keeping, measuring, store
from heimnetz_monitor.consumers import (
    SUBSCRIPTIONS,
    InstallationChanged,
    InstallationRemoved,
    Limits,
    RunFinished,
    RunStarted,
)
from heimnetz_monitor.model import Outcome

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield database


class House:
    """Delivers events as the bus would, one a second."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = START
        self.plugin = f"p-{uuid4().hex[:8]}"
        self._consumers = Consumers(database, None, "monitor", SUBSCRIPTIONS)  # type: ignore[arg-type]
        self._by_type = {item.data_type: item for item in SUBSCRIPTIONS}

    async def tell(self, data: Any, times: int = 1, at: datetime | None = None) -> str:
        self.clock += timedelta(seconds=1)
        _, document = encode(
            data, service="sandbox", subject="x", traceparent=None, at=at or self.clock
        )
        answers = [
            await self._consumers.deliver(self._by_type[type(data)], document, 1)
            for _ in range(times)
        ]
        return answers[-1]

    async def install(self, revision: int = 1) -> None:
        await self.tell(
            InstallationChanged(
                plugin=self.plugin,
                version="1.0.0",
                limits=Limits(memory_bytes=128),
                revision=revision,
            )
        )

    async def finish(
        self, outcome: str, trigger: str = "http", run_id: str | None = None, **options: Any
    ) -> str:
        return await self.tell(
            RunFinished(
                run_id=run_id or uuid4().hex,
                plugin=self.plugin,
                version="1.0.0",
                trigger=trigger,
                outcome=Outcome(outcome),
                duration_seconds=0.2,
                peak_memory_bytes=64,
            ),
            **options,
        )

    async def value(self, name: str, **labels: str) -> float | None:
        await measuring.measure(self.database, START)
        return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


async def test_a_run_is_counted_once_however_often_it_is_delivered(house: House) -> None:
    await house.finish("ok", times=3)

    labels = {"plugin": house.plugin, "trigger": "http", "outcome": "ok"}
    assert await house.value("heimnetz_monitor_runs_total", **labels) == 1


async def test_two_events_about_the_end_of_one_run_count_once(house: House) -> None:
    await house.finish("ok", run_id="r1")
    await house.finish("interrupted", run_id="r1")

    name = "heimnetz_monitor_runs_total"
    labels = {"plugin": house.plugin, "trigger": "http"}
    assert await house.value(name, outcome="ok", **labels) == 1
    assert await house.value(name, outcome="interrupted", **labels) == 0


async def test_counters_of_an_installed_plugin_begin_with_zero(house: House) -> None:
    await house.install()

    labels = {"plugin": house.plugin, "trigger": "http", "outcome": "out_of_memory"}
    assert await house.value("heimnetz_monitor_runs_total", **labels) == 0


async def test_the_time_of_the_last_run_out_of_memory_is_exported(house: House) -> None:
    await house.finish("out_of_memory")

    labels = {"plugin": house.plugin, "outcome": "out_of_memory"}
    name = "heimnetz_monitor_run_last_finished_timestamp_seconds"
    assert await house.value(name, **labels) == house.clock.timestamp()


async def test_durations_are_a_histogram_that_adds_up(house: House) -> None:
    for _ in range(3):
        await house.finish("ok")

    name = "heimnetz_monitor_run_duration_seconds"
    assert await house.value(f"{name}_bucket", plugin=house.plugin, le="0.1") == 0
    assert await house.value(f"{name}_bucket", plugin=house.plugin, le="0.25") == 3
    assert await house.value(f"{name}_bucket", plugin=house.plugin, le="+Inf") == 3
    assert await house.value(f"{name}_count", plugin=house.plugin) == 3
    assert await house.value(f"{name}_sum", plugin=house.plugin) == pytest.approx(0.6)


async def test_failures_in_a_row_are_counted_by_trigger_until_a_good_run(house: House) -> None:
    name = "heimnetz_monitor_run_consecutive_failures"
    await house.finish("error", trigger="cron")
    await house.finish("timeout", trigger="cron")
    await house.finish("cancelled", trigger="cron")
    await house.finish("ok", trigger="http")

    assert await house.value(name, plugin=house.plugin, trigger="cron") == 2
    assert await house.value(name, plugin=house.plugin, trigger="http") == 0

    await house.finish("ok", trigger="cron")
    assert await house.value(name, plugin=house.plugin, trigger="cron") == 0


async def test_another_version_begins_without_failures(house: House) -> None:
    await house.finish("error")
    await house.install()

    name = "heimnetz_monitor_run_consecutive_failures"
    assert await house.value(name, plugin=house.plugin, trigger="http") == 0


async def test_the_series_of_a_removed_plugin_end(house: House) -> None:
    await house.install()
    await house.finish("ok")
    await house.tell(InstallationRemoved(plugin=house.plugin, revision=2))

    labels = {"plugin": house.plugin, "trigger": "http", "outcome": "ok"}
    assert await house.value("heimnetz_monitor_runs_total", **labels) is None


async def test_an_installation_that_is_heard_of_after_its_removal_stays_removed(
    house: House,
) -> None:
    await house.tell(InstallationRemoved(plugin=house.plugin, revision=2))
    await house.install(revision=1)

    labels = {"plugin": house.plugin}
    assert await house.value("heimnetz_monitor_memory_limit_bytes", **labels) is None


async def test_a_plugin_that_is_installed_again_counts_on(house: House) -> None:
    await house.install(revision=1)
    await house.finish("ok")
    await house.tell(InstallationRemoved(plugin=house.plugin, revision=2))
    await house.install(revision=3)

    labels = {"plugin": house.plugin, "trigger": "http", "outcome": "ok"}
    assert await house.value("heimnetz_monitor_runs_total", **labels) == 1


async def test_a_start_that_is_heard_of_after_the_end_changes_nothing(house: House) -> None:
    await house.finish("ok", run_id="r1")
    await house.tell(RunStarted(run_id="r1", plugin=house.plugin, version="1.0.0", trigger="http"))

    async with house.database.connection() as connection:
        [plugin] = await store.list_plugins(connection)
    assert plugin.last_outcome is Outcome.OK


async def test_failures_of_the_platform_count_until_another_outcome(house: House) -> None:
    name = "heimnetz_monitor_run_platform_failures"
    house.clock = datetime.now(UTC) - timedelta(minutes=5)
    await house.finish("engine_error")
    await house.finish("image_unavailable")
    assert await house.value(name) == 2

    await house.finish("error")
    assert await house.value(name) == 0


async def test_an_outcome_that_does_not_exist_goes_to_the_dead_letters(house: House) -> None:
    class Odd(RunFinished):
        outcome: str  # type: ignore[assignment]

    odd = Odd(run_id="r", plugin=house.plugin, version="1", trigger="http", outcome="exploded")
    _, document = encode(odd, service="sandbox", subject="x", traceparent=None)

    subscription = next(item for item in SUBSCRIPTIONS if item.data_type is RunFinished)
    answer = await Consumers(house.database, None, "monitor", SUBSCRIPTIONS).deliver(  # type: ignore[arg-type]
        subscription, document, 1
    )

    assert answer == "dead"


async def test_old_history_goes_and_totals_stay(house: House) -> None:
    house.clock = datetime.now(UTC) - timedelta(days=100)
    await house.finish("ok")

    await keeping.purge(house.database, timedelta(days=90), timedelta(days=7))

    async with house.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM runs") == 0
        assert await connection.fetchval("SELECT count(*) FROM samples") == 0
    labels = {"plugin": house.plugin, "trigger": "http", "outcome": "ok"}
    assert await house.value("heimnetz_monitor_runs_total", **labels) == 1


async def test_a_run_travels_over_the_bus_into_the_history(house: House, bus: Any) -> None:
    consumers = Consumers(house.database, bus, f"monitor{uuid4().hex[:8]}", SUBSCRIPTIONS[1:2])
    event_id, document = encode(
        RunFinished(
            run_id=uuid4().hex,
            plugin=house.plugin,
            version="1.0.0",
            trigger="event",
            outcome=Outcome.OK,
            duration_seconds=1,
        ),
        service="sandbox",
        subject=house.plugin,
        traceparent=None,
    )

    async def is_kept() -> bool:
        async with house.database.connection() as connection:
            plugins = [plugin.plugin for plugin in await store.list_plugins(connection)]
        return house.plugin in plugins

    working = asyncio.create_task(consumers.run())
    try:
        await bus.publish(RunFinished.type(), event_id, document)
        await eventually(is_kept)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("seed", range(8))
async def test_events_in_any_order_and_repeated_end_as_events_in_order(
    house: House, seed: int
) -> None:
    """F29 and F30."""
    installed = [
        InstallationChanged(plugin=house.plugin, version=f"1.{n}.0", revision=n) for n in (1, 2, 4)
    ]
    story = [
        *installed,
        InstallationRemoved(plugin=house.plugin, revision=3),
        *(
            kind(run_id="r", plugin=house.plugin, version="1.0.0", trigger="http", **more)
            for kind, more in ((RunStarted, {}), (RunFinished, {"outcome": Outcome.OK}))
        ),
    ] * 2
    random.Random(seed).shuffle(story)

    for data in story:
        await house.tell(data)

    async with house.database.connection() as connection:
        plugin = await connection.fetchrow(
            "SELECT version, revision, removed_at FROM plugins WHERE plugin = $1", house.plugin
        )
    assert tuple(plugin) == ("1.4.0", 4, None)
    labels = {"plugin": house.plugin, "trigger": "http", "outcome": "ok"}
    assert await house.value("heimnetz_monitor_runs_total", **labels) == 1
