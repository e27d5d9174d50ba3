"""What Prometheus gets of the monitor.

What is counted in the database is exported from there: those counters survive a restart, and
count each event once. Until the database has answered, these series are absent, not zero.
"""

from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

SERVICE_UP = Gauge(
    "heimnetz_monitor_service_up",
    "Whether the service says that it is ready; damped over several probes.",
    ["service"],
)
PROBE_DURATION = Gauge(
    "heimnetz_monitor_probe_duration_seconds",
    "How long the service took to answer its last probe.",
    ["service"],
)
ALERTS = Counter(
    "heimnetz_monitor_alerts_total",
    "Alerts that Alertmanager brought: raised and resolved.",
    ["alert", "status"],
)
WATCHDOG_SEEN = Gauge(
    "heimnetz_monitor_watchdog_timestamp_seconds",
    "When the Watchdog alert last came through Alertmanager, or when the monitor began to wait.",
)
SAMPLES = Counter("heimnetz_monitor_samples_total", "Samples of memory that were kept.", ["kind"])
SAMPLING_FAILURES = Counter(
    "heimnetz_monitor_sampling_failures_total",
    "Services whose memory could not be sampled, by service.",
    ["service"],
)


class Published(Collector):
    """Families that were computed elsewhere and are replaced as a whole."""

    def __init__(self) -> None:
        self._families: tuple[Metric, ...] = ()

    def replace(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


FROM_DATABASE = Published()
REGISTRY.register(FROM_DATABASE)
#: Service levels of plugins.
LEVELS = Published()
REGISTRY.register(LEVELS)

LEAKING = Gauge(
    "heimnetz_monitor_leak",
    "Whether the memory of a service grows and is not given back, by kind of growth.",
    ["service", "kind"],
)
LEAK_OUT_OF_MEMORY = Gauge(
    "heimnetz_monitor_leak_out_of_memory_timestamp_seconds",
    "When a leaking service is expected to reach its limit.",
    ["service"],
)
PLUGIN_LEAKING = Gauge(
    "heimnetz_monitor_plugin_leak",
    "Whether the memory of a plugin grows and is not given back, by kind of growth.",
    ["plugin", "kind"],
)
PLUGIN_LEAK_OUT_OF_MEMORY = Gauge(
    "heimnetz_monitor_plugin_leak_out_of_memory_timestamp_seconds",
    "When a leaking plugin is expected to reach its limit.",
    ["plugin"],
)
REMEDIATIONS = Counter(
    "heimnetz_monitor_remediations_total",
    "What was done about plugins, or proposed, by what became of it.",
    ["action", "outcome"],
)
THREAT = Gauge(
    "heimnetz_monitor_threat_timestamp_seconds",
    "When a plugin last did without a grant, for the first time, what is taken for a threat.",
    ["plugin", "kind"],
)
#: Bytes that each service said it may use; not exported, each service exports its own.
LIMITS: dict[str, float] = {}
