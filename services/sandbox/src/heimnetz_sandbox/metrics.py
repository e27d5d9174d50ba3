"""Figures of the sandbox; `plugin` is bounded by the number of installations."""

from prometheus_client import Counter, Gauge, Histogram

_DURATIONS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_MEMORY = tuple(2**power * 1024 * 1024 for power in range(2, 11))

RUNS = Counter("heimnetz_sandbox_runs_total", "Runs that ended.", ["plugin", "outcome", "trigger"])
DURATION = Histogram(
    "heimnetz_sandbox_run_duration_seconds",
    "Time from a run's container to its outcome.",
    ["plugin"],
    buckets=_DURATIONS,
)
QUEUE_WAIT = Histogram(
    "heimnetz_sandbox_queue_wait_seconds",
    "Time that a run waited in the queue.",
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 5, 30, 120, 600),
)
PEAK_MEMORY = Histogram(
    "heimnetz_sandbox_run_peak_memory_bytes",
    "Most memory that a run's container held.",
    ["plugin"],
    buckets=_MEMORY,
)
START = Histogram(
    "heimnetz_sandbox_start_duration_seconds",
    "Time from creating a container to the plugin being loaded.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 20),
)
QUEUED = Gauge("heimnetz_sandbox_runs_queued", "Runs that wait now.")
RUNNING = Gauge("heimnetz_sandbox_runs_running", "Runs of this sandbox that are under way now.")
SLOTS = Gauge("heimnetz_sandbox_run_slots", "Runs that this sandbox takes at the same time.")
ENGINE_UP = Gauge("heimnetz_sandbox_engine_up", "Whether the engine answers through the proxy.")
ORPHANS = Counter("heimnetz_sandbox_orphans_removed_total", "Containers that outlived their run.")
INTERRUPTED = Counter("heimnetz_sandbox_runs_interrupted_total", "Runs whose sandbox died.")
CONTAINER_MEMORY = Gauge(
    "heimnetz_sandbox_container_memory_bytes",
    "Memory of a plugin's containers now.",
    ["plugin", "state"],
)
SERVICE_MEMORY = Gauge(
    "heimnetz_sandbox_service_memory_bytes",
    "Memory that a service holds now: its container's without pages of files.",
    ["plugin"],
)
CONTAINER_CPU = Counter(
    "heimnetz_sandbox_container_cpu_seconds_total", "Processor time of containers.", ["plugin"]
)
CONTAINER_PROCESSES = Gauge(
    "heimnetz_sandbox_container_processes", "Processes of a plugin's containers now.", ["plugin"]
)
PROXY_REFUSALS = Gauge(
    "heimnetz_sandbox_engine_refusals", "Requests that the engine proxy refused, by rule.", ["rule"]
)
POOL_SIZE = Gauge(
    "heimnetz_sandbox_pool_containers", "Containers that wait for a call now.", ["plugin"]
)
POOL_CALLS = Counter(
    "heimnetz_sandbox_pool_calls_total",
    "Runs by whether a container waited for them (warm) or was made (cold).",
    ["start"],
)
BROKER_ATTEMPTS = Counter(
    "heimnetz_sandbox_broker_attempts_total",
    "Connections that plugins, and builds as (builder), asked for, by verdict.",
    ["plugin", "verdict"],
)
BROKER_BYTES = Counter(
    "heimnetz_sandbox_broker_bytes_total",
    "Bytes that plugins, and builds as (builder), sent and received.",
    ["plugin", "direction"],
)
EVENTS_DROPPED = Counter(
    "heimnetz_sandbox_event_triggers_dropped_total",
    "Events that started no run: too many wait (full), or one led to the other (deep).",
    ["plugin", "reason"],
)
BUILDS = Counter("heimnetz_sandbox_builds_total", "Dependency builds by outcome.", ["outcome"])
DEPENDENCIES = Gauge(
    "heimnetz_sandbox_dependencies_bytes", "Disk that the dependencies of plugins take."
)
MASKED = Counter("heimnetz_sandbox_secrets_masked_total", "Secrets masked in logs.", ["plugin"])
SERVICE_UP = Gauge("heimnetz_sandbox_service_up", "Whether a service answers: 1 or 0.", ["plugin"])
SERVICE_STARTS = Counter(
    "heimnetz_sandbox_service_starts_total", "Starts of services, the first included.", ["plugin"]
)
PAGES = Counter(
    "heimnetz_sandbox_page_requests_total",
    "Requests for services' pages by class of status.",
    ["plugin", "status"],
)
