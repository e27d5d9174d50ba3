"""From a run that ran out of memory to an event, through a real Prometheus and Alertmanager."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import httpx
import pytest
import uvicorn
import yaml

from heimnetz_common.database import Database
from heimnetz_common.testing import (
    KeyRing,
    eventually,
    eventually_sync,
    free_port,
    fresh_database_url,
    image_of,
)
from heimnetz_monitor import alerting, recording, store
from heimnetz_monitor.app import create
from heimnetz_monitor.model import Alert, AlertStatus, FinishedRun, Outcome
from heimnetz_monitor.settings import MonitorSettings

DEPLOY = Path(__file__).parents[4] / "deploy"
TOKEN = "w" * 43
WITHIN_SECONDS = 60

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(300)]


def without_tls(configuration: Any) -> Any:
    """The stack's own configuration, for servers that speak plain HTTP on this machine."""
    if isinstance(configuration, dict):
        return {
            key: "http" if key == "scheme" else without_tls(value)
            for key, value in configuration.items()
            if key not in ("tls_config", "path_prefix")
        }
    if isinstance(configuration, list):
        return [without_tls(item) for item in configuration]
    return configuration


def write_configuration(folder: Path, monitor: int, alertmanager: int) -> None:
    prometheus = without_tls(yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text()))
    [alerting] = prometheus["alerting"]["alertmanagers"]
    alerting["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager}"]}]
    [job] = [item for item in prometheus["scrape_configs"] if item["job_name"] == "heimnetz"]
    job["static_configs"] = [
        {"targets": [f"127.0.0.1:{monitor}"], "labels": {"service": "monitor"}}
    ]
    prometheus["scrape_configs"] = [job]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus))

    routes = without_tls(yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text()))
    [receiver] = [item for item in routes["receivers"] if item["name"] == "monitor"]
    [webhook] = receiver["webhook_configs"]
    webhook["url"] = f"http://127.0.0.1:{monitor}/v1/alertmanager"
    webhook["http_config"]["authorization"]["credentials_file"] = "/checked/token"
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(routes))
    (folder / "token").write_text(TOKEN)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)


def answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/-/ready").is_success
    return False


@contextmanager
def servers(folder: Path, prometheus: int, alertmanager: int) -> Iterator[None]:
    engine = docker.from_env()
    options: dict[str, Any] = {
        "detach": True,
        "network_mode": "host",
        "user": "65534:65534",
        "tmpfs": {"/data": "mode=1777"},
        "volumes": {
            str(folder): {"bind": "/checked", "mode": "ro"},
            str(DEPLOY / "prometheus/rules"): {"bind": "/etc/prometheus/rules", "mode": "ro"},
        },
    }
    started = []
    try:
        started.append(
            engine.containers.run(
                image_of("ALERTMANAGER_IMAGE", "prom/alertmanager:v0.28.1"),
                entrypoint=["alertmanager", "--config.file=/checked/alertmanager.yml"],
                command=[
                    "--storage.path=/data",
                    "--cluster.listen-address=",
                    f"--web.listen-address=127.0.0.1:{alertmanager}",
                ],
                **options,
            )
        )
        eventually_sync(lambda: answers(alertmanager))
        started.append(
            engine.containers.run(
                image_of("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.3"),
                entrypoint=["prometheus", "--config.file=/checked/prometheus.yml"],
                command=[
                    "--storage.tsdb.path=/data",
                    # What it tells before it knows Alertmanager, it tells again only after this.
                    "--rules.alert.resend-delay=5s",
                    f"--web.listen-address=127.0.0.1:{prometheus}",
                ],
                **options,
            )
        )
        yield
    finally:
        for container in started:
            container.remove(force=True, v=True)
        engine.close()


@asynccontextmanager
async def serving(settings: MonitorSettings) -> AsyncIterator[Database]:
    app = create(settings)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=settings.port, log_config=None)
    )
    task = asyncio.create_task(server.serve())
    try:

        async def is_up() -> bool:
            return server.started

        await eventually(is_up)
        yield app.state.service.opened_database
    finally:
        server.should_exit = True
        await task


async def test_a_run_out_of_memory_is_an_event_within_a_minute(
    postgres_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    monitor, prometheus, alertmanager = free_port(), free_port(), free_port()
    write_configuration(tmp_path, monitor, alertmanager)
    secrets = key_ring.secrets_dir("monitor")
    (secrets / "alertmanager-webhook-token").write_text(TOKEN)
    plugin = f"hungry-{uuid4().hex[:6]}"

    async with fresh_database_url(postgres_url, "monitor") as url:
        settings = MonitorSettings(
            database_url=url,
            nats_url="nats://127.0.0.1:1",
            secrets_dir=secrets,
            tls=False,
            bind="127.0.0.1",
            port=monitor,
            services={},
            ready_file=tmp_path / "ready",
            alertmanager_url=f"http://127.0.0.1:{alertmanager}",
            reconcile_seconds=2,
        )
        async with serving(settings) as database:
            with servers(tmp_path, prometheus, alertmanager):

                async def heartbeat() -> Any:
                    async with database.connection() as connection:
                        return await connection.fetchval("SELECT seen_at FROM heartbeats")

                await eventually(heartbeat, seconds=90)

                async def raised() -> Any:
                    async with database.connection() as connection:
                        rows = await connection.fetch("SELECT document FROM outbox ORDER BY id")
                    events = [json.loads(row["document"]) for row in rows]
                    return [
                        event
                        for event in events
                        if event["data"]["alert"] == "PluginOutOfMemory"
                        and event["data"]["labels"]["plugin"] == plugin
                    ]

                async with database.transaction() as connection:
                    await recording.record_end(
                        connection,
                        FinishedRun(
                            run_id=uuid4().hex,
                            plugin=plugin,
                            version="1.0.0",
                            trigger="http",
                            outcome=Outcome.OUT_OF_MEMORY,
                            duration_seconds=1.0,
                            peak_memory_bytes=128 * 1024 * 1024,
                            finished_at=datetime.now(UTC),
                        ),
                    )
                [event] = await eventually(raised, seconds=WITHIN_SECONDS)

                # One that fired when everything was stopped: nobody will ever tell its end.
                forgotten = Alert(
                    fingerprint=uuid4().hex[:16],
                    starts_at=datetime.now(UTC),
                    status=AlertStatus.FIRING,
                    labels={"alertname": "Forgotten", "severity": "critical"},
                    annotations={},
                    ends_at=None,
                )
                await alerting.take(database, [forgotten])

                async def firing() -> bool:
                    async with database.connection() as connection:
                        alerts = await store.list_alerts(connection, AlertStatus.FIRING, 50, None)
                    names = {alert.name for alert in alerts}
                    # Others may fire too: nobody takes this monitor's events.
                    return "PluginOutOfMemory" in names and "Forgotten" not in names

                await eventually(firing, seconds=20)

    assert event["type"] == "heimnetz.alert.raised.v1"
    assert event["data"]["annotations"]["runbook_url"] == "docs/runbooks/PluginOutOfMemory.md"
