"""Makes metrics of what the database knows about plugins, runs and alerts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from heimnetz_common.database import Database
from heimnetz_monitor import metrics, store
from heimnetz_monitor.model import (
    DURATION_BOUNDS,
    WATCHDOG,
    Fault,
    Outcome,
    PluginState,
    RunTotal,
)

#: Failures of the platform that are older than this say nothing about now.
RECENT = timedelta(hours=1)
PLATFORM_OUTCOMES = tuple(outcome for outcome in Outcome if outcome.fault is Fault.PLATFORM)
#: A counter that begins with its first event has no increase: these begin with 0.
DEFAULT_TRIGGER = "http"


async def measure(database: Database, began_at: datetime) -> None:
    """Read everything in one snapshot and put it in place of what was exported before.

    `began_at` is when this process began to wait for the Watchdog.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        plugins = await store.list_plugins(connection)
        totals = await store.list_run_totals(connection)
        durations = await store.list_durations(connection)
        firing = await store.count_firing(connection)
        stuck = await store.count_last_failures(
            connection, PLATFORM_OUTCOMES, datetime.now(UTC) - RECENT
        )
        beat = await store.find_beat(connection, WATCHDOG)
    metrics.FROM_DATABASE.replace(
        [
            *_plugins(plugins),
            *_runs(plugins, totals),
            _histogram(totals, durations),
            _firing(firing),
            GaugeMetricFamily(
                "heimnetz_monitor_run_platform_failures",
                "Latest runs in a row that the engine, an image or the sandbox failed.",
                value=stuck,
            ),
        ]
    )
    metrics.WATCHDOG_SEEN.set(max(beat or began_at, began_at).timestamp())


def _plugins(plugins: Sequence[PluginState]) -> Iterator[Metric]:
    limit = GaugeMetricFamily(
        "heimnetz_monitor_memory_limit_bytes", "Memory that a run may use.", labels=["plugin"]
    )
    peak = GaugeMetricFamily(
        "heimnetz_monitor_run_last_peak_memory_bytes",
        "Highest working set of the last run.",
        labels=["plugin"],
    )
    failures = GaugeMetricFamily(
        "heimnetz_monitor_run_consecutive_failures",
        "Runs that the plugin failed since its last good one.",
        labels=["plugin", "trigger"],
    )
    for plugin in plugins:
        if plugin.memory_limit_bytes is not None:
            limit.add_metric([plugin.plugin], plugin.memory_limit_bytes)
        if plugin.last_peak_memory_bytes is not None:
            peak.add_metric([plugin.plugin], plugin.last_peak_memory_bytes)
        for trigger, count in ({DEFAULT_TRIGGER: 0} | dict(plugin.failures)).items():
            failures.add_metric([plugin.plugin, trigger], count)
    yield GaugeMetricFamily(
        "heimnetz_monitor_installations", "Installed plugins.", value=len(plugins)
    )
    yield from (limit, peak, failures)


def _runs(plugins: Sequence[PluginState], totals: Sequence[RunTotal]) -> Iterator[Metric]:
    counts: dict[tuple[str, str, Outcome], int] = {
        (plugin.plugin, trigger, outcome): 0
        for plugin in plugins
        for trigger in {DEFAULT_TRIGGER, *plugin.failures}
        for outcome in Outcome
    }
    latest: dict[tuple[str, Outcome], float] = {}
    for total in totals:
        counts[total.plugin, total.trigger, total.outcome] = total.runs
        key = (total.plugin, total.outcome)
        latest[key] = max(latest.get(key, 0), total.last_finished_at.timestamp())
    runs = CounterMetricFamily(
        "heimnetz_monitor_runs", "Finished runs.", labels=["plugin", "trigger", "outcome"]
    )
    for (plugin, trigger, outcome), count in counts.items():
        runs.add_metric([plugin, trigger, outcome], count)
    finished = GaugeMetricFamily(
        "heimnetz_monitor_run_last_finished_timestamp_seconds",
        "When a run last ended with this outcome.",
        labels=["plugin", "outcome"],
    )
    for (plugin, outcome), timestamp in latest.items():
        finished.add_metric([plugin, outcome], timestamp)
    yield from (runs, finished)


def _histogram(
    totals: Iterable[RunTotal], durations: Mapping[str, Mapping[float, int]]
) -> HistogramMetricFamily:
    sums: dict[str, float] = {}
    for total in totals:
        sums[total.plugin] = sums.get(total.plugin, 0) + total.duration_seconds
    family = HistogramMetricFamily(
        "heimnetz_monitor_run_duration_seconds",
        "Time from the start to the end of a run.",
        labels=["plugin"],
    )
    for plugin, by_bound in durations.items():
        buckets: list[tuple[str, float]] = []
        cumulated = 0
        for bound in (*DURATION_BOUNDS, float("inf")):
            cumulated += by_bound.get(bound, 0)
            buckets.append(("+Inf" if bound == float("inf") else str(bound), cumulated))
        family.add_metric([plugin], buckets, sum_value=sums.get(plugin, 0))
    return family


def _firing(firing: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(
        "heimnetz_monitor_alerts_firing", "Alerts that fire now.", labels=["severity"]
    )
    for severity in sorted({"critical", "warning"} | set(firing)):
        family.add_metric([severity], firing.get(severity, 0))
    return family
