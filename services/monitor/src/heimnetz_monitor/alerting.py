"""Takes the alerts that Alertmanager brings: history, events, heartbeat."""

from collections.abc import Iterable

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_monitor import metrics, store
from heimnetz_monitor.events import AlertRaised, AlertResolved
from heimnetz_monitor.model import WATCHDOG, Alert, AlertStatus

SERVICE = "monitor"


async def take(database: Database, alerts: Iterable[Alert]) -> None:
    """Keep what is new and announce it; Alertmanager may bring the same any number of times."""
    changed: list[tuple[str, AlertStatus]] = []
    async with database.transaction() as connection:
        # One order for everybody: two notifications at once must not wait for each other.
        for alert in sorted(alerts, key=lambda alert: (alert.fingerprint, alert.starts_at)):
            if alert.name == WATCHDOG:
                if alert.status is AlertStatus.FIRING:
                    await store.beat(connection, WATCHDOG)
            elif await _keep(connection, alert):
                changed.append((alert.name, alert.status))
    for name, status in changed:
        metrics.ALERTS.labels(name, status).inc()


async def _keep(connection: Connection, alert: Alert) -> bool:
    if alert.status is AlertStatus.FIRING:
        if not await store.raise_alert(connection, alert):
            return False
        event: AlertRaised | AlertResolved = AlertRaised(
            alert=alert.name,
            fingerprint=alert.fingerprint,
            severity=alert.severity,
            labels=dict(alert.labels),
            annotations=dict(alert.annotations),
            starts_at=alert.starts_at,
        )
    else:
        if not await store.resolve_alert(connection, alert):
            return False
        event = AlertResolved(
            alert=alert.name,
            fingerprint=alert.fingerprint,
            severity=alert.severity,
            labels=dict(alert.labels),
            annotations=dict(alert.annotations),
            starts_at=alert.starts_at,
            ends_at=alert.ends_at,
        )
    await outbox.append(connection, event, service=SERVICE, subject=alert.fingerprint)
    return True
