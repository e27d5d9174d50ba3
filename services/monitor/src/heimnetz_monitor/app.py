"""Wiring of the monitor: settings in, application out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from fastapi import FastAPI

from heimnetz_common.errors import HeimnetzError
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_common.service import Background, Service
from heimnetz_common.web import create_app
from heimnetz_monitor import (
    accounting,
    keeping,
    leaking,
    leveling,
    measuring,
    metrics,
    notifying,
    probing,
    reconciling,
    remediating,
    remedies,
    sampling,
)
from heimnetz_monitor.api import alerts, channels, levels, status
from heimnetz_monitor.api import remedies as remedies_api
from heimnetz_monitor.consumers import SUBSCRIPTIONS
from heimnetz_monitor.model import Sample
from heimnetz_monitor.settings import MonitorSettings

MEASURE_SECONDS = 2.0
LEVELS_SECONDS = 10.0
REMEDY_SECONDS = 5.0
PURGE_SECONDS = 3600.0
#: Alertmanager's own bound is 1 MiB of labels and annotations in a hundred alerts.
MAX_BODY_BYTES = 1024 * 1024

log = get_logger(__name__)


def create(settings: MonitorSettings) -> FastAPI:
    """Raises: SystemExit, when the webhook's token is missing."""
    token = settings.secret("alertmanager-webhook-token")
    if not token:
        raise SystemExit(
            f"{settings.secrets_dir}/alertmanager-webhook-token is missing or empty: "
            "run the init container again, it makes what is missing"
        )
    service = Service.from_settings(settings)
    database = service.opened_database
    clients = {name: service.client(name, url) for name, url in settings.services.items()}
    prober = probing.Prober(clients, settings.probe_deadline_seconds)
    alertmanager = service.client("alertmanager", settings.alertmanager_url)
    reconciler = reconciling.Reconciler(database, alertmanager)
    watch = leaking.Watch(database, settings.sample_seconds)
    prometheus = service.client("prometheus", settings.prometheus_url)
    service_levels = leveling.Levels(database, prometheus)
    accounts = accounting.Accounts(database, settings.sample_seconds)

    def neighbour(name: str) -> ServiceClient:
        return clients.get(name) or service.client(name, f"https://{name}:8000")

    remediator = remediating.Remediator(
        database,
        accounts,
        remedies.Neighbours(
            registry=neighbour("registry"),
            sandbox=neighbour("sandbox"),
        ),
    )

    async def observe(samples: Sequence[Sample]) -> None:
        accounts.take_memory(samples)
        await watch.observe(samples)

    began_at = datetime.now(UTC)
    metrics.WATCHDOG_SEEN.set(began_at.timestamp())
    service.subscribe(*SUBSCRIPTIONS)
    service.background += [
        _every(settings.probe_seconds, prober.probe),
        _every(MEASURE_SECONDS, lambda: measuring.measure(database, began_at)),
        _every(
            settings.sample_seconds,
            lambda: sampling.sample(
                database,
                # A service that is away would be waited for in vain.
                {name: client for name, client in clients.items() if prober.health[name].is_up},
                settings.probe_deadline_seconds,
                observe,
                accounts.take_processor,
            ),
        ),
        _every(settings.sample_seconds, accounts.refresh),
        _every(REMEDY_SECONDS, remediator.refresh),
        _every(LEVELS_SECONDS, service_levels.refresh),
        _every(settings.reconcile_seconds, reconciler.reconcile),
        _every(
            PURGE_SECONDS,
            lambda: keeping.purge(database, settings.keep_history, settings.keep_samples),
        ),
    ]
    return create_app(
        service,
        [
            alerts.routes(database, token),
            status.routes(database, prober, watch, accounts),
            levels.routes(service_levels),
            remedies_api.routes(database, remediator),
            channels.routes(notifying.Notifier(alertmanager, settings.channel_test_seconds)),
        ],
        title="Heimnetz monitor",
        max_body_bytes=MAX_BODY_BYTES,
    )


def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> Background:
    async def repeat() -> None:
        while True:
            try:
                await work()
            except HeimnetzError as error:
                log.warning("work_waits", reason=error.detail)
            await asyncio.sleep(seconds)

    return repeat
