"""How well plugins and services keep to what is promised.

Plugins come and go, so the monitor judges them by the runs that it recorded; services are judged
by Prometheus, whose rules are in `deploy/prometheus/rules/levels.yml`.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_monitor import levels, metrics, store
from heimnetz_monitor.levels import Aim, Level, PluginTallies, Subject

TARGET = "objective:heimnetz_level_target:ratio"
BURN_NOW = f"service:heimnetz_level_burn:ratio{levels.NOW}"
BURN_PERIOD = f"service:heimnetz_level_burn:ratio{levels.PERIOD}"
_CURRENT = f'{{__name__=~"{TARGET}|{BURN_NOW}|{BURN_PERIOD}"}}'
_SINCE = f"min_over_time(timestamp(service:heimnetz_level_total:rate5m)[{levels.PERIOD}:10m])"
#: Windows by which alerts ask whether more than one run went wrong.
_LONG = ("1h", "6h", "1d", "3d")

log = get_logger(__name__)


class Levels:
    def __init__(self, database: Database, prometheus: ServiceClient) -> None:
        self._database = database
        self._prometheus = prometheus

    async def refresh(self, now: datetime | None = None) -> None:
        """Put the plugins' levels in place of what was exported before."""
        metrics.LEVELS.replace(_families(await self._tallies(now or datetime.now(UTC))))

    async def list_levels(self, now: datetime | None = None) -> tuple[list[Level], str]:
        """Services, then plugins; and why the services' are missing, or nothing."""
        now = now or datetime.now(UTC)
        plugins = [
            level for entry in await self._tallies(now) for level in levels.levels_of(entry, now)
        ]
        try:
            services, reason = await self._services(), ""
        except HeimnetzError as error:
            log.warning("levels_of_services_missing", reason=error.detail)
            services, reason = [], "Prometheus does not say how the services do"
        return [*services, *plugins], reason

    async def _tallies(self, now: datetime) -> list[PluginTallies]:
        async with self._database.connection() as connection:
            return await store.list_tallies(connection, now)

    async def _services(self) -> list[Level]:
        """Raises: Unavailable and what else the client raises."""
        current, since = await self._ask(_CURRENT), await self._ask(_SINCE)
        values = {
            (labels.get("__name__"), labels.get("service"), labels.get("objective")): value
            for labels, value in current
        }
        began = {(labels.get("service"), labels.get("objective")): at for labels, at in since}
        found = sorted(
            (service, objective)
            for name, service, objective in values
            if name == BURN_NOW and service and objective in set(Aim)
        )
        return [
            _service(
                service,
                Aim(objective),
                target,
                values[BURN_NOW, service, objective],
                values.get((BURN_PERIOD, service, objective), math.nan),
                began.get((service, objective)),
            )
            for service, objective in found
            if 0 < (target := values.get((TARGET, None, objective), math.nan)) < 1
        ]

    async def _ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        answer: dict[str, Any] = await self._prometheus.get("/api/v1/query", query=query)
        return [
            (item["metric"], float(item["value"][1]))
            for item in answer.get("data", {}).get("result", ())
        ]


def _service(
    service: str, aim: Aim, target: float, burn_now: float, burn: float, since: float | None
) -> Level:
    # Without a request the rules divide 0 by 0.
    is_known = math.isfinite(burn)
    return Level(
        kind=Subject.SERVICE,
        subject=service,
        aim=aim,
        target=target,
        limit_seconds=levels.PLATFORM_LATENCY_SECONDS if aim is Aim.LATENCY else None,
        achieved=1 - burn * (1 - target) if is_known else None,
        budget_left=1 - burn if is_known else 1.0,
        burn_rate=burn_now if math.isfinite(burn_now) else 0.0,
        since=datetime.fromtimestamp(since, UTC) if since is not None else None,
    )


def _families(found: Sequence[PluginTallies]) -> Iterator[Metric]:
    target = GaugeMetricFamily(
        "heimnetz_monitor_level_target_ratio",
        "Share of runs, or of answers in time, that the plugin's manifest promises.",
        labels=["plugin", "objective"],
    )
    left = GaugeMetricFamily(
        "heimnetz_monitor_level_budget_left_ratio",
        "What is left of the plugin's error budget of 30 days; below 0 it is overspent.",
        labels=["plugin", "objective"],
    )
    burn = GaugeMetricFamily(
        "heimnetz_monitor_level_burn_rate",
        "How many times faster than allowed the plugin's error budget went within the window.",
        labels=["plugin", "objective", "window"],
    )
    bad = GaugeMetricFamily(
        "heimnetz_monitor_level_bad_runs",
        "Runs within the window that did not keep to the plugin's objective.",
        labels=["plugin", "objective", "window"],
    )
    for entry in found:
        for aim, share in levels.targets(entry.promise):
            names = [entry.plugin, aim.value]
            target.add_metric(names, share)
            for window, tally in entry.by_window.items():
                count, every = levels.bad_and_all(aim, tally)
                rate = levels.burn_rate(count, every, share)
                if window == levels.PERIOD:
                    left.add_metric(names, 1 - rate)
                else:
                    burn.add_metric([*names, window], rate)
                if window in _LONG:
                    bad.add_metric([*names, window], count)
    yield from (target, left, burn, bad)
