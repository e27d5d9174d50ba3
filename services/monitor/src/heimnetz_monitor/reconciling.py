"""Ends alerts whose end nobody told: Alertmanager was stopped meanwhile, or lost its data."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from heimnetz_common.database import Database
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_monitor import alerting, store
from heimnetz_monitor.model import WATCHDOG, AlertStatus

MOST = 1000

log = get_logger(__name__)


class Reconciler:
    """Prometheus tells Alertmanager every minute what fires, so two looks must find it absent."""

    def __init__(self, database: Database, alertmanager: ServiceClient) -> None:
        self._database = database
        self._alertmanager = alertmanager
        self._absent: set[tuple[str, datetime]] = set()

    async def reconcile(self) -> None:
        """Raises: Unavailable and what else the client raises."""
        known: list[dict[str, Any]] = await self._alertmanager.get("/api/v2/alerts")
        if not any(alert["labels"].get("alertname") == WATCHDOG for alert in known):
            return  # the way from the rules is not open, so that nothing can be concluded
        active = {alert["fingerprint"] for alert in known}
        async with self._database.connection() as connection:
            firing = await store.list_alerts(connection, AlertStatus.FIRING, MOST, None)
        absent = [alert for alert in firing if alert.fingerprint not in active]
        over = [
            replace(alert, status=AlertStatus.RESOLVED, ends_at=datetime.now(UTC))
            for alert in absent
            if (alert.fingerprint, alert.starts_at) in self._absent
        ]
        self._absent = {(alert.fingerprint, alert.starts_at) for alert in absent}
        if over:
            log.info("alerts_ended_unheard", alerts=[alert.name for alert in over])
            await alerting.take(self._database, over)
