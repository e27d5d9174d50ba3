"""One plugin, or a few side by side: its runs, what it uses, where it goes."""

from boards.layer import (
    GREEN,
    ORANGE,
    OUTCOME_COLOURS,
    RED,
    Dashboard,
    Lines,
    Query,
    Row,
    Stat,
    Variable,
)

_PLUGIN = 'job="heimnetz", plugin=~"$plugin"'
_FAILED = (
    'outcome=~"error|timeout|cpu_limit|out_of_memory|pids_limit|disk_limit|output_limit'
    '|engine_error|image_unavailable"'
)
_RATE = "[$__rate_interval]"
_RUNS = "heimnetz_monitor_runs_total"
_SECONDS = "heimnetz_monitor_run_duration_seconds_bucket"
_PEAK = "heimnetz_monitor_run_last_peak_memory_bytes"
_LIMIT = "heimnetz_monitor_memory_limit_bytes"

_GLANCE = Row(
    "At a glance",
    (
        Stat(
            title="Runs in 24 hours",
            description="Runs of the chosen plugins that finished in the last 24 hours.",
            queries=[Query(expr=f"sum(increase({_RUNS}{{{_PLUGIN}}}[24h])) or vector(0)")],
            unit="short",
            width=6,
            is_background=False,
        ),
        Stat(
            title="Failed in 24 hours",
            description="Runs that ended badly; cancelled and refused runs are not failures.",
            queries=[
                Query(expr=f"sum(increase({_RUNS}{{{_PLUGIN}, {_FAILED}}}[24h])) or vector(0)")
            ],
            unit="short",
            width=6,
            steps=((None, GREEN), (0.5, ORANGE)),
        ),
        Stat(
            title="Peak of its limit",
            description="The highest memory of the last run as a share of what it may use, of the "
            "chosen plugin that is closest to its limit.",
            queries=[
                Query(
                    expr=f"max(max by (plugin) ({_PEAK}{{{_PLUGIN}}})"
                    f" / max by (plugin) ({_LIMIT}{{{_PLUGIN}}}))"
                )
            ],
            unit="percentunit",
            width=6,
            steps=((None, GREEN), (0.8, ORANGE), (0.95, RED)),
        ),
        Stat(
            title="Last run ended",
            description="How long ago the last run of the chosen plugins ended.",
            queries=[
                Query(
                    expr="time() - max(heimnetz_monitor_run_last_finished_timestamp_seconds"
                    f"{{{_PLUGIN}}})"
                )
            ],
            unit="s",
            width=6,
            is_background=False,
        ),
    ),
)

_COURSE = Row(
    "Runs",
    (
        Lines(
            title="Runs by outcome",
            description="Finished runs by how they ended.",
            queries=[
                Query(
                    expr=f"sum by (outcome) (increase({_RUNS}{{{_PLUGIN}}}{_RATE})) > 0",
                    legend="{{outcome}}",
                )
            ],
            unit="short",
            width=8,
            is_stacked=True,
            colours=OUTCOME_COLOURS,
        ),
        Lines(
            title="Duration of runs",
            description="Median and 95th percentile of the time from start to end of a run.",
            queries=[
                Query(
                    expr=f"histogram_quantile({share}, sum by (le, plugin) (rate("
                    f"{_SECONDS}{{{_PLUGIN}}}{_RATE})))",
                    legend=f"{{{{plugin}}}} {name}",
                )
                for share, name in ((0.5, "median"), (0.95, "95 %"))
            ],
            unit="s",
            width=8,
        ),
        Lines(
            title="Failures in a row",
            description="Runs that ended badly since the last good one, by what started them.",
            queries=[
                Query(
                    expr="max by (plugin, trigger) (heimnetz_monitor_run_consecutive_failures"
                    f"{{{_PLUGIN}}})",
                    legend="{{plugin}} by {{trigger}}",
                )
            ],
            unit="short",
            width=8,
            steps=((None, GREEN), (1, ORANGE), (3, RED)),
        ),
    ),
)

_USE = Row(
    "What it uses",
    (
        Lines(
            title="Peak memory of the last run",
            description="A line that climbs from run to run may be a leak: `heimnetz top` says "
            "whether it is, of which kind, and when memory will be out.",
            queries=[
                Query(expr=f"max by (plugin) ({_PEAK}{{{_PLUGIN}}})", legend="{{plugin}}"),
                Query(expr=f"max by (plugin) ({_LIMIT}{{{_PLUGIN}}})", legend="{{plugin}} limit"),
            ],
            unit="bytes",
            width=12,
        ),
        Lines(
            title="Memory of its containers",
            description="What the container of a run holds now, file pages included; 0 between "
            "runs.",
            queries=[
                Query(
                    expr="max by (plugin, state) (heimnetz_sandbox_container_memory_bytes"
                    f"{{{_PLUGIN}}})",
                    legend="{{plugin}} {{state}}",
                )
            ],
            unit="bytes",
            width=12,
        ),
        Lines(
            title="Processor",
            description="Cores that the plugin's containers use.",
            queries=[
                Query(
                    expr="sum by (plugin) (rate(heimnetz_sandbox_container_cpu_seconds_total"
                    f"{{{_PLUGIN}}}{_RATE}))",
                    legend="{{plugin}}",
                )
            ],
            unit="short",
            width=8,
        ),
        Lines(
            title="Processes",
            description="Processes in the container of the run that is under way.",
            queries=[
                Query(
                    expr=f"max by (plugin) (heimnetz_sandbox_container_processes{{{_PLUGIN}}})",
                    legend="{{plugin}}",
                )
            ],
            unit="short",
            width=8,
        ),
        Lines(
            title="Containers that wait",
            description="Containers that are warm and wait for a call.",
            queries=[
                Query(
                    expr=f"max by (plugin) (heimnetz_sandbox_pool_containers{{{_PLUGIN}}})",
                    legend="{{plugin}}",
                )
            ],
            unit="short",
            width=8,
        ),
    ),
)

_EGRESS = Row(
    "Where it goes",
    (
        Lines(
            title="Connections by verdict",
            description="Connections that the plugin asked its broker for; what was refused is in "
            "the log of the run.",
            queries=[
                Query(
                    expr="sum by (plugin, verdict) (rate(heimnetz_sandbox_broker_attempts_total"
                    f"{{{_PLUGIN}}}{_RATE}))",
                    legend="{{plugin}} {{verdict}}",
                )
            ],
            unit="cps",
            width=12,
        ),
        Lines(
            title="Bytes over the broker",
            description="Bytes a second that went out and came in over granted connections.",
            queries=[
                Query(
                    expr="sum by (plugin, direction) (rate(heimnetz_sandbox_broker_bytes_total"
                    f"{{{_PLUGIN}}}{_RATE}))",
                    legend="{{plugin}} {{direction}}",
                )
            ],
            unit="Bps",
            width=12,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="heimnetz-plugin",
    title="Heimnetz: One plugin",
    description="Runs, memory, processor and connections of the plugins that are chosen above.",
    variables=(
        Variable(
            name="plugin",
            label="Plugin",
            query='label_values(heimnetz_monitor_memory_limit_bytes{job="heimnetz"}, plugin)',
        ),
    ),
    links=(
        ("Home", "/grafana/d/heimnetz-home"),
        ("Security", "/grafana/d/heimnetz-security"),
    ),
    rows=(_GLANCE, _COURSE, _USE, _EGRESS),
)
