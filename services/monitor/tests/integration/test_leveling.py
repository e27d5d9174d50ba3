"""Service levels: of plugins from the runs that were recorded, of services from Prometheus."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import httpx
import pytest
from prometheus_client import REGISTRY

from heimnetz_common.database import Database
from heimnetz_common.http import ServiceClient
from heimnetz_common.testing import (
    KeyRing,
    eventually_sync,
    free_port,
    fresh_database,
    fresh_database_url,
    image_of,
    running,
)
from heimnetz_monitor import keeping, recording
from heimnetz_monitor.app import create
from heimnetz_monitor.leveling import Levels
from heimnetz_monitor.levels import Aim, Promise, Subject
from heimnetz_monitor.model import FinishedRun, Outcome
from heimnetz_monitor.settings import MonitorSettings

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=60)
PROMISE = Promise(availability=0.99, latency_seconds=2.0, since=LONG_AGO)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield database


def prometheus(key_ring: KeyRing, *answers: object, status: int = 200) -> ServiceClient:
    """A Prometheus at the wire that gives these results, one to each query."""
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        result = left.pop(0) if left else []
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return httpx.Response(status, json=body)

    return ServiceClient(
        "http://prometheus.test",
        audience="prometheus",
        keys=key_ring.keys("monitor"),
        transport=httpx.MockTransport(answer),
    )


@pytest.fixture
def levels(database: Database, key_ring: KeyRing) -> Levels:
    return Levels(database, prometheus(key_ring))


async def install(database: Database, revision: int = 1, promise: Promise | None = PROMISE) -> None:
    async with database.transaction() as connection:
        await recording.record_installation(connection, "p", "1.0.0", None, revision, promise)


async def finish(
    database: Database,
    ago: timedelta,
    outcome: Outcome = Outcome.OK,
    *,
    times: int = 1,
    seconds: float = 0.5,
) -> None:
    async with database.transaction() as connection:
        for _ in range(times):
            run = FinishedRun(
                run_id=uuid4().hex,
                plugin="p",
                version="1.0.0",
                trigger="http",
                outcome=outcome,
                duration_seconds=seconds,
                peak_memory_bytes=None,
                finished_at=NOW - ago,
            )
            await recording.record_end(connection, run)


async def burn(levels: Levels, window: str, at: datetime, aim: Aim = Aim.AVAILABILITY) -> float:
    await levels.refresh(at)
    labels = {"plugin": "p", "objective": aim.value, "window": window}
    value = REGISTRY.get_sample_value("heimnetz_monitor_level_burn_rate", labels)
    assert value is not None
    return value


async def test_a_fast_burn_shows_in_both_its_windows_within_minutes_and_ends_soon(
    database: Database, levels: Levels
) -> None:
    await install(database)
    await finish(database, timedelta(minutes=40), times=20)
    await finish(database, timedelta(minutes=3), Outcome.ERROR, times=5)

    now = [await burn(levels, window, NOW) for window in ("1h", "5m")]
    later = [await burn(levels, window, NOW + timedelta(minutes=10)) for window in ("1h", "5m")]

    assert now == [pytest.approx(20), pytest.approx(100)]
    assert later == [pytest.approx(20), 0]


async def test_a_slow_burn_shows_in_the_windows_of_days_and_not_in_those_of_hours(
    database: Database, levels: Levels
) -> None:
    await install(database)
    for hours in range(1, 24):
        await finish(database, timedelta(hours=hours), times=5)
    await finish(database, timedelta(minutes=90), Outcome.ERROR, times=5)

    assert await burn(levels, "1h", NOW) == 0
    assert await burn(levels, "2h", NOW) > 3
    assert 3 < await burn(levels, "1d", NOW) < 6


async def test_a_plugin_that_is_not_called_burns_nothing(
    database: Database, levels: Levels
) -> None:
    await install(database)

    found, _ = await levels.list_levels(NOW)

    assert await burn(levels, "1h", NOW) == 0
    assert [(level.aim, level.budget_left) for level in found] == [
        (Aim.AVAILABILITY, 1.0),
        (Aim.LATENCY, 1.0),
    ]


async def test_late_answers_burn_the_budget_for_latency_only(
    database: Database, levels: Levels
) -> None:
    await install(database)
    await finish(database, timedelta(minutes=2), times=3)
    await finish(database, timedelta(minutes=2), seconds=2.5)

    assert await burn(levels, "5m", NOW, Aim.LATENCY) == pytest.approx(25)
    assert await burn(levels, "5m", NOW) == 0


@pytest.mark.parametrize("outcome", [Outcome.ENGINE_ERROR, Outcome.CANCELLED, Outcome.KILLED])
async def test_what_is_not_the_plugins_doing_counts_neither_way(
    database: Database, levels: Levels, outcome: Outcome
) -> None:
    await install(database)
    await finish(database, timedelta(minutes=2), outcome)

    [level, _], _ = await levels.list_levels(NOW)

    assert level.achieved is None


async def test_a_run_from_before_the_promise_does_not_count(
    database: Database, levels: Levels
) -> None:
    since = NOW - timedelta(minutes=5)
    await install(database, promise=Promise(availability=0.9, latency_seconds=None, since=since))
    await finish(database, timedelta(minutes=6), Outcome.ERROR)

    [level], _ = await levels.list_levels(NOW)

    assert (level.achieved, level.since) == (None, since)


async def test_the_same_promise_keeps_the_budget_and_another_begins_anew(
    database: Database, levels: Levels
) -> None:
    await install(database)
    await finish(database, timedelta(minutes=2), Outcome.ERROR)
    await install(database, 2, Promise(availability=0.99, latency_seconds=2.0, since=NOW))
    [kept, _], _ = await levels.list_levels(NOW)

    await install(database, 3, Promise(availability=0.5, latency_seconds=None, since=NOW))
    [begun], _ = await levels.list_levels(NOW)

    assert (kept.achieved, kept.since) == (0, NOW - timedelta(days=30))
    assert (begun.achieved, begun.since) == (None, NOW)


async def test_a_plugin_that_promises_nothing_or_is_gone_has_no_level(
    database: Database, levels: Levels
) -> None:
    await install(database)
    async with database.transaction() as connection:
        await recording.record_removal(connection, "p", 2, NOW)
    gone, _ = await levels.list_levels(NOW)
    await install(database, 3, None)
    silent, _ = await levels.list_levels(NOW)

    assert (gone, silent) == ([], [])


async def test_old_tallies_go_and_those_of_the_period_stay(
    database: Database, levels: Levels
) -> None:
    await install(database)
    await finish(database, timedelta(days=40), Outcome.ERROR)
    await finish(database, timedelta(days=20), Outcome.ERROR)

    await keeping.purge(database, timedelta(days=90), timedelta(days=7))

    async with database.connection() as connection:
        rows = await connection.fetch("SELECT grain_seconds, failed FROM run_tallies")
    assert [tuple(row) for row in rows] == [(3600, 1)]
    assert (await levels.list_levels(NOW))[0][0].achieved == 0


def sample(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [NOW.timestamp(), value]}


async def test_the_levels_of_services_are_what_prometheus_recorded(
    database: Database, key_ring: KeyRing
) -> None:
    target, burning = "objective:heimnetz_level_target:ratio", "service:heimnetz_level_burn:ratio"
    about = {"service": "registry", "objective": "availability"}
    quiet = {"service": "auditor", "objective": "availability"}
    current = [
        sample("0.999", __name__=target, objective="availability"),
        sample("2", __name__=f"{burning}1h", **about),
        sample("0.25", __name__=f"{burning}30d", **about),
        sample("NaN", __name__=f"{burning}1h", **quiet),
        sample("NaN", __name__=f"{burning}30d", **quiet),
        sample("1", __name__=f"{burning}1h", service="x", objective="unheard-of"),
    ]
    since = [sample(str(LONG_AGO.timestamp()), **about)]

    found, reason = await Levels(database, prometheus(key_ring, current, since)).list_levels(NOW)

    auditor, registry = found
    assert reason == ""
    assert (registry.kind, registry.subject) == (Subject.SERVICE, "registry")
    assert registry.achieved == pytest.approx(0.99975)
    assert registry.budget_left == pytest.approx(0.75)
    assert (registry.burn_rate, registry.since) == (2, LONG_AGO)
    assert (auditor.achieved, auditor.budget_left, auditor.burn_rate) == (None, 1.0, 0.0)


@pytest.mark.engine
async def test_a_real_prometheus_is_asked_in_words_that_it_understands(
    database: Database, key_ring: KeyRing, tmp_path: Path
) -> None:
    began = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    series = {
        'objective:heimnetz_level_target:ratio{objective="latency"}': 0.99,
        'service:heimnetz_level_burn:ratio1h{objective="latency",service="registry"}': 2.0,
        'service:heimnetz_level_burn:ratio30d{objective="latency",service="registry"}': 0.5,
        'service:heimnetz_level_total:rate5m{objective="latency",service="registry"}': 1.0,
    }
    with prometheus_of(series, began, tmp_path) as url:
        client = ServiceClient(url, audience="prometheus", keys=key_ring.keys("monitor"))
        [level], reason = await Levels(database, client).list_levels()
        await client.close()

    assert reason == ""
    assert (level.aim, level.target, level.burn_rate) == (Aim.LATENCY, 0.99, 2.0)
    assert (level.achieved, level.budget_left) == (pytest.approx(0.995), 0.5)
    assert level.since is not None
    assert timedelta(0) <= level.since - began <= timedelta(minutes=10)


@contextmanager
def prometheus_of(series: dict[str, float], began: datetime, folder: Path) -> Iterator[str]:
    """A Prometheus whose past holds these values, a sample a minute since then."""
    minutes = range(int((datetime.now(UTC) - began).total_seconds() // 60) + 1)
    lines = [
        f"{name} {value} {began.timestamp() + 60 * minute}"
        for name, value in series.items()
        for minute in minutes
    ]
    (folder / "past").write_text("\n".join([*lines, "# EOF\n"]))
    (folder / "prometheus.yml").write_text("{}")
    folder.chmod(0o755)
    port = free_port()
    script = (
        "promtool tsdb create-blocks-from openmetrics --quiet /checked/past /data && "
        "exec prometheus --config.file=/checked/prometheus.yml --storage.tsdb.path=/data "
        f"--web.listen-address=127.0.0.1:{port}"
    )
    engine = docker.from_env()
    container = engine.containers.run(
        image_of("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.3"),
        entrypoint=["sh", "-c", script],
        detach=True,
        network_mode="host",
        user="65534:65534",
        tmpfs={"/data": "mode=1777"},
        volumes={str(folder): {"bind": "/checked", "mode": "ro"}},
    )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/-/ready").is_success
        return False

    try:
        eventually_sync(is_ready)
        yield url
    finally:
        container.remove(force=True, v=True)
        engine.close()


async def test_without_prometheus_the_plugins_are_listed_and_the_reason_is_told(
    database: Database, key_ring: KeyRing
) -> None:
    await install(database)

    found, reason = await Levels(database, prometheus(key_ring, status=503)).list_levels(NOW)

    assert {level.subject for level in found} == {"p"}
    assert reason


async def test_levels_are_for_everybody_who_is_known(
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
            prometheus_url="http://127.0.0.1:1",
            ready_file=tmp_path / "ready",
        )
        app = create(settings)
        async with running(app) as client:
            await install(app.state.service.opened_database)
            nobody = await client.get("/v1/service-levels")
            viewer = key_ring.user("monitor", "viewer")
            answer = await client.get("/v1/service-levels", headers=viewer)

    assert nobody.status_code == 401
    document = answer.json()
    assert document["period_days"] == 30
    assert document["missing"]
    assert [item["objective"] for item in document["items"]] == ["availability", "latency"]
