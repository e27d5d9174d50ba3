"""Alertmanager's webhook, the history of alerts, and the events about them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient, Response

from heimnetz_common.testing import KeyRing, eventually, fresh_database_url, running
from heimnetz_monitor.app import create
from heimnetz_monitor.settings import MonitorSettings

TOKEN = "t" * 43
PROBLEMS = "https://heimnetz.example/problems/"


class Monitor:
    """The whole service over ASGI, and what only Alertmanager may send it."""

    def __init__(self, client: AsyncClient, database: Any, key_ring: KeyRing) -> None:
        self.client = client
        self.database = database
        self.anna = key_ring.user("monitor", "viewer")

    async def notify(self, *alerts: dict[str, Any], token: str = TOKEN, **extra: Any) -> Response:
        message = {
            "version": "4",
            "groupKey": '{}:{alertname="x"}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "monitor",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "https://localhost:8443/alertmanager",
            "alerts": list(alerts),
        } | extra
        return await self.client.post(
            "/v1/alertmanager",
            content=json.dumps(message),
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
        )

    async def alerts(self, **params: Any) -> dict[str, Any]:
        response = await self.client.get("/v1/alerts", params=params, headers=self.anna)
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        return page

    async def announced(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT event_type, document FROM outbox ORDER BY id")
        return [(row["event_type"], json.loads(row["document"])) for row in rows]


@pytest.fixture
async def monitor(postgres_url: str, key_ring: KeyRing, tmp_path: Path) -> AsyncIterator[Monitor]:
    secrets = key_ring.secrets_dir("monitor")
    (secrets / "alertmanager-webhook-token").write_text(TOKEN + "\n")
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
            yield Monitor(client, app.state.service.opened_database, key_ring)


def alert(
    name: str = "PluginOutOfMemory", status: str = "firing", minute: int = 0, **labels: str
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "warning"} | labels,
        "annotations": {"summary": f"{name} happened"},
        "startsAt": f"2026-03-01T12:{minute:02}:00.123456789Z",
        "endsAt": "2026-03-01T12:30:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "https://localhost:8443/prometheus/graph",
        "fingerprint": f"{abs(hash((name, *labels.items()))):016x}"[:16],
    }


async def test_a_firing_alert_becomes_an_event_and_history(monitor: Monitor) -> None:
    response = await monitor.notify(alert(plugin="hungry"))

    assert response.status_code == 204
    [(kind, event)] = await monitor.announced()
    assert kind == "heimnetz.alert.raised.v1"
    assert event["data"]["alert"] == "PluginOutOfMemory"
    assert event["data"]["labels"]["plugin"] == "hungry"
    [entry] = (await monitor.alerts())["items"]
    assert entry["status"] == "firing"
    assert entry["ends_at"] is None


async def test_the_same_notification_twice_is_announced_once(monitor: Monitor) -> None:
    await monitor.notify(alert())
    await monitor.notify(alert())

    assert len(await monitor.announced()) == 1
    assert len((await monitor.alerts())["items"]) == 1


async def test_an_alert_that_ends_is_announced_once_and_kept(monitor: Monitor) -> None:
    await monitor.notify(alert())
    for _ in range(2):
        await monitor.notify(alert(status="resolved"))

    kinds = [kind for kind, _ in await monitor.announced()]
    assert kinds == ["heimnetz.alert.raised.v1", "heimnetz.alert.resolved.v1"]
    assert (await monitor.alerts(state="firing"))["items"] == []
    [entry] = (await monitor.alerts(state="resolved"))["items"]
    assert entry["ends_at"] == "2026-03-01T12:30:00Z"


async def test_a_late_firing_does_not_raise_what_is_over(monitor: Monitor) -> None:
    await monitor.notify(alert(status="resolved"))
    await monitor.notify(alert())

    assert [kind for kind, _ in await monitor.announced()] == ["heimnetz.alert.resolved.v1"]
    assert (await monitor.alerts(state="firing"))["items"] == []


async def test_the_same_alert_on_another_day_is_another_alert(monitor: Monitor) -> None:
    await monitor.notify(alert(status="resolved"))
    await monitor.notify(alert(minute=31))

    assert len((await monitor.alerts())["items"]) == 2


async def test_the_watchdog_is_a_heartbeat_and_no_alert(monitor: Monitor) -> None:
    await monitor.notify(alert("Watchdog"))

    status = (await monitor.client.get("/v1/status", headers=monitor.anna)).json()
    assert status["alerting"]["heartbeat_at"] is not None
    assert status["alerting"]["firing"] == {}
    assert await monitor.announced() == []


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "t", "t\xe4t"])
async def test_without_the_token_nothing_is_taken(monitor: Monitor, token: str) -> None:
    response = await monitor.client.post(
        "/v1/alertmanager",
        content=b"{}",
        headers={"authorization": f"Bearer {token}".encode("latin-1")},
    )

    assert response.status_code == 401
    assert response.json()["type"] == f"{PROBLEMS}not-alertmanager"


async def test_a_token_of_a_person_is_not_the_webhooks_token(monitor: Monitor) -> None:
    token = monitor.anna["authorization"].removeprefix("Bearer ")

    assert (await monitor.notify(alert(), token=token)).status_code == 401


async def test_a_body_over_the_cap_is_refused(monitor: Monitor) -> None:
    response = await monitor.notify(*[alert(plugin="x" * 4000) for _ in range(400)])

    assert response.status_code == 413
    assert (await monitor.alerts())["items"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "odd"},
        {"fingerprint": "../../etc"},
        {"startsAt": "yesterday"},
        {"startsAt": "2026-03-01T12:00:00"},
        {"labels": {"alertname": "a\0b"}},
        {"labels": {f"l{number}": "" for number in range(65)}},
        {"annotations": {"summary": 5}},
    ],
)
async def test_a_malformed_alert_is_refused_and_nothing_is_kept(
    monitor: Monitor, change: dict[str, Any]
) -> None:
    response = await monitor.notify(alert(), alert("Other") | change)

    assert response.status_code == 422
    assert (await monitor.alerts())["items"] == []


async def test_another_version_of_the_webhook_is_refused(monitor: Monitor) -> None:
    response = await monitor.notify(alert(), version="5")

    assert response.json()["type"] == f"{PROBLEMS}unsupported-webhook"


async def test_pages_of_alerts_follow_each_other_without_gap_or_repeat(monitor: Monitor) -> None:
    await monitor.notify(*[alert(minute=minute, plugin=f"p{minute}") for minute in range(5)])

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await monitor.alerts(limit=2, **cursor)
        seen += [entry["labels"]["plugin"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == ["p4", "p3", "p2", "p1", "p0"]


@pytest.mark.parametrize("cursor", ["x", "%%%", "bm8gdGltZQ==", "MjAyNi0wMy0wMSBhYg=="])
async def test_a_cursor_that_no_page_gave_is_refused(monitor: Monitor, cursor: str) -> None:
    response = await monitor.client.get(
        "/v1/alerts", params={"cursor": cursor}, headers=monitor.anna
    )

    assert response.status_code == 422


async def test_alerts_and_status_are_not_for_strangers(monitor: Monitor) -> None:
    for path in ("/v1/alerts", "/v1/status"):
        assert (await monitor.client.get(path)).status_code == 401


async def test_the_status_names_what_is_down_and_why(monitor: Monitor) -> None:
    async def seen() -> Any:
        status = (await monitor.client.get("/v1/status", headers=monitor.anna)).json()
        return status if status["services"][0]["state"] != "unknown" else None

    status = await eventually(seen)

    assert status["state"] == "degraded"
    [registry] = status["services"]
    assert registry["state"] == "down"
    assert registry["reason"] == "registry does not answer"


async def test_the_service_is_ready_without_the_bus(monitor: Monitor) -> None:
    response = await monitor.client.get("/readyz")

    assert response.status_code == 200, response.text
