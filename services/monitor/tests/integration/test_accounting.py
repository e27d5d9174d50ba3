"""What plugins use, and a plugin whose runs take more and more memory."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from heimnetz_common.database import Database
from heimnetz_common.testing import KeyRing, fresh_database, fresh_database_url, running
from heimnetz_monitor import recording, store
from heimnetz_monitor.accounting import Accounts
from heimnetz_monitor.app import create
from heimnetz_monitor.model import FinishedRun, Outcome, PluginUse, Sample, SampleKind, StartedRun
from heimnetz_monitor.settings import MonitorSettings

MIB = 1024 * 1024
NOW = datetime.now(UTC)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield database


async def install(
    database: Database, plugin: str, version: str = "1.0.0", revision: int = 1
) -> None:
    async with database.transaction() as connection:
        await recording.record_installation(connection, plugin, version, 128 * MIB, revision)


def ended(plugin: str, at: datetime, peak_bytes: int, version: str = "1.0.0") -> FinishedRun:
    return FinishedRun(
        run_id=uuid4().hex,
        plugin=plugin,
        version=version,
        trigger="http",
        outcome=Outcome.OK,
        duration_seconds=0.2,
        peak_memory_bytes=peak_bytes,
        finished_at=at,
    )


async def keep_peaks(
    database: Database, plugin: str, mib_an_hour: float, version: str = "1.0.0"
) -> None:
    """A run every five minutes for 20 hours, the last two minutes ago with 80 MiB."""
    async with database.transaction() as connection:
        for number in range(20 * 12):
            at = NOW - timedelta(minutes=5 * number + 2)
            mib = 80 - mib_an_hour * number / 12 + 0.3 * (number % 3)
            await store.finish_run(connection, ended(plugin, at, int(mib * MIB), version))


async def uses(accounts: Accounts) -> dict[str, PluginUse]:
    await accounts.refresh(NOW)
    return {use.plugin: use for use in await accounts.list_uses(NOW)}


async def test_a_plugin_whose_runs_take_more_and_more_leaks_with_slope_and_forecast(
    database: Database,
) -> None:
    await install(database, "leaker")
    await keep_peaks(database, "leaker", 3)

    growth = (await uses(Accounts(database, 30)))["leaker"].growth

    assert growth is not None
    assert growth.kind == "gradual"
    assert growth.slope_bytes_per_hour == pytest.approx(3 * MIB, rel=0.15)
    assert growth.out_of_memory_at is not None
    assert abs(growth.out_of_memory_at - NOW - timedelta(hours=16)) < timedelta(hours=3)


async def test_a_plugin_whose_runs_take_the_same_does_not_leak(database: Database) -> None:
    await install(database, "steady")
    await keep_peaks(database, "steady", 0)

    assert (await uses(Accounts(database, 30)))["steady"].growth is None


async def test_a_leak_is_heard_run_by_run_as_it_is_from_the_history(database: Database) -> None:
    await install(database, "leaker")
    await keep_peaks(database, "leaker", 3)
    accounts = Accounts(database, 30)

    for hours in range(20, 0, -1):
        await accounts.refresh(NOW - timedelta(hours=hours))

    assert (await uses(accounts))["leaker"].growth is not None


async def keep_course(database: Database, plugin: str, swing_mib: float = 0) -> None:
    """A service that took 3 MiB an hour for 20 hours, up to 80 MiB; with a saw-tooth on it."""
    samples = []
    for number in range(20 * 120):
        hours = number / 120
        mib = 20 + 3 * hours + swing_mib * (hours * 3 % 1)
        at = NOW - timedelta(hours=20 - hours, minutes=1)
        samples.append(
            Sample(
                kind=SampleKind.SERVING,
                subject=plugin,
                taken_at=at,
                memory_bytes=int(mib * MIB),
            )
        )
    async with database.transaction() as connection:
        await store.add_samples(connection, samples)


async def start(database: Database, plugin: str, at: datetime) -> None:
    run = StartedRun(
        run_id=uuid4().hex, plugin=plugin, version="1.0.0", trigger="service", started_at=at
    )
    async with database.transaction() as connection:
        await recording.record_start(connection, run)


async def told(database: Database) -> list[tuple[str, Any]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT document FROM outbox ORDER BY id")
    documents = [json.loads(row["document"]) for row in rows]
    return [(document["type"], document["data"]) for document in documents]


@pytest.mark.parametrize(("swing_mib", "kind"), [(0, "gradual"), (16, "cyclic")])
async def test_a_service_plugin_that_leaks_is_told_once_with_its_evidence(
    database: Database, swing_mib: float, kind: str
) -> None:
    await install(database, "leaker")
    await keep_course(database, "leaker", swing_mib)
    accounts = Accounts(database, 30)

    for hours in range(20, -1, -1):
        await accounts.refresh(NOW - timedelta(hours=hours))

    [(name, data)] = await told(database)
    assert name == "heimnetz.leak.suspected.v1"
    assert (data["service"], data["plugin"], data["kind"]) == ("sandbox", "leaker", kind)
    growth, evidence = accounts.growths["leaker"], accounts.find_evidence("leaker")
    assert growth.slope_bytes_per_hour == pytest.approx(3 * MIB, rel=0.15)
    assert evidence is not None
    assert 5 < len(evidence.times) == len(evidence.held_kib) == len(evidence.line_kib) <= 80
    assert evidence.floor_kib < evidence.held_kib[-1]
    assert evidence.line_kib[-1] - evidence.line_kib[0] == pytest.approx(
        3 * 1024 * (evidence.times[-1] - evidence.times[0]) / 3600, rel=0.15
    )


async def test_a_service_plugin_that_starts_anew_leaks_no_more(database: Database) -> None:
    await install(database, "leaker")
    await keep_course(database, "leaker")
    accounts = Accounts(database, 30)
    await accounts.refresh(NOW)
    assert "leaker" in accounts.growths

    await start(database, "leaker", NOW + timedelta(minutes=1))
    await accounts.refresh(NOW + timedelta(minutes=3))

    assert accounts.growths == {}
    assert [name for name, _ in await told(database)] == ["heimnetz.leak.ended.v1"]


async def test_the_peak_of_a_service_at_its_end_is_no_growth_of_its_runs(
    database: Database,
) -> None:
    await install(database, "served")
    async with database.transaction() as connection:
        for number in range(20 * 12):
            at = NOW - timedelta(minutes=5 * number + 2)
            run = replace(
                ended("served", at, (80 * 12 - 3 * number) * MIB // 12), trigger="service"
            )
            await store.finish_run(connection, run)

    assert (await uses(Accounts(database, 30)))["served"].growth is None


async def test_another_version_begins_without_the_leak_of_the_old_one(database: Database) -> None:
    await install(database, "leaker")
    await keep_peaks(database, "leaker", 3)
    accounts = Accounts(database, 30)
    await uses(accounts)

    await install(database, "leaker", "1.0.1", revision=2)

    assert (await accounts.list_uses(NOW))[0].growth is None
    assert (await uses(accounts))["leaker"].growth is None


async def test_what_an_older_version_took_is_no_growth_of_the_new_one(database: Database) -> None:
    await install(database, "cured", "1.0.1")
    await keep_peaks(database, "cured", 3, version="1.0.0")

    assert (await uses(Accounts(database, 30)))["cured"].growth is None


async def test_memory_and_processor_are_shown_while_they_are_fresh(database: Database) -> None:
    await install(database, "busy")
    accounts = Accounts(database, 30)
    accounts.take_processor({"busy": 2.0}, NOW - timedelta(seconds=30))
    accounts.take_processor({"busy": 17.0}, NOW)
    accounts.take_memory(
        [Sample(kind=SampleKind.CONTAINER, subject="busy", taken_at=NOW, memory_bytes=5 * MIB)]
    )

    [now] = await accounts.list_uses(NOW)
    [later] = await accounts.list_uses(NOW + timedelta(minutes=5))

    assert (now.memory_bytes, now.cpu_cores) == (5 * MIB, 0.5)
    assert (later.memory_bytes, later.cpu_cores) == (None, None)


async def test_a_sandbox_that_started_again_has_no_negative_processor_time(
    database: Database,
) -> None:
    await install(database, "busy")
    accounts = Accounts(database, 30)
    accounts.take_processor({"busy": 20.0}, NOW - timedelta(seconds=30))
    accounts.take_processor({"busy": 1.0}, NOW)

    [use] = await accounts.list_uses(NOW)

    assert use.cpu_cores is None


async def test_top_lists_plugins_with_their_runs_for_a_viewer_only(
    postgres_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    secrets = key_ring.secrets_dir("monitor")
    (secrets / "alertmanager-webhook-token").write_text("t" * 43)
    async with fresh_database_url(postgres_url, "monitor") as url:
        settings = MonitorSettings(
            database_url=url,
            nats_url="nats://127.0.0.1:1",
            secrets_dir=secrets,
            tls=False,
            services={"registry": "http://127.0.0.1:1"},
            ready_file=tmp_path / "ready",
        )
        app = create(settings)
        async with running(app) as client:
            database = app.state.service.opened_database
            await install(database, "p")
            async with database.transaction() as connection:
                await recording.record_end(connection, ended("p", NOW, 7 * MIB))

            nobody = await client.get("/v1/top")
            answer = await client.get("/v1/top", headers=key_ring.user("monitor", "viewer"))

    assert nobody.status_code == 401
    [item] = answer.json()["items"]
    assert item == {
        "plugin": "p",
        "version": "1.0.0",
        "memory_bytes": None,
        "last_peak_memory_bytes": 7 * MIB,
        "memory_limit_bytes": 128 * MIB,
        "cpu_cores": None,
        "runs": 1,
        "leak": None,
    }
