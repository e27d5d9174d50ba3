"""The first thing that the owner sees: is everything well, and what do the plugins do?"""

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
    States,
    Table,
    Variable,
)

_JOB = 'job="heimnetz"'
_PLUGIN = f'{_JOB}, plugin=~"$plugin"'
_FAILED = (
    'outcome=~"error|timeout|cpu_limit|out_of_memory|pids_limit|disk_limit|output_limit'
    '|engine_error|image_unavailable"'
)
_PLATFORM = "/grafana/d/heimnetz-platform?${__url_time_range}"

_GLANCE = Row(
    "At a glance",
    (
        Stat(
            title="Services down",
            description="Services that are not ready now; a service has to miss several "
            "probes before it counts.",
            queries=[Query(expr=f"count(heimnetz_monitor_service_up{{{_JOB}}} == 0) or vector(0)")],
            unit="short",
            width=4,
            steps=((None, GREEN), (1, RED)),
            link=_PLATFORM,
        ),
        Stat(
            title="Alerts firing",
            description="Alerts that fire now; the Watchdog, which always does, is left out.",
            queries=[
                Query(expr='count(ALERTS{alertstate="firing", severity!="info"}) or vector(0)')
            ],
            unit="short",
            width=4,
            steps=((None, GREEN), (1, ORANGE)),
        ),
        Stat(
            title="Runs in 24 hours",
            description="Runs of all plugins that finished in the last 24 hours.",
            queries=[
                Query(
                    expr=f"sum(increase(heimnetz_monitor_runs_total{{{_JOB}}}[24h])) or vector(0)"
                )
            ],
            unit="short",
            width=4,
            is_background=False,
        ),
        Stat(
            title="Failed in 24 hours",
            description="Runs of the last 24 hours that ended badly; cancelled and refused "
            "runs are not failures.",
            queries=[
                Query(
                    expr="sum(increase(heimnetz_monitor_runs_total"
                    f"{{{_JOB}, {_FAILED}}}[24h])) or vector(0)"
                )
            ],
            unit="short",
            width=4,
            steps=((None, GREEN), (0.5, ORANGE)),
        ),
        Stat(
            title="Plugins installed",
            description="Installations that the monitor knows of.",
            queries=[Query(expr=f"max(heimnetz_monitor_installations{{{_JOB}}})")],
            unit="short",
            width=4,
            is_background=False,
        ),
        Stat(
            title="Last heartbeat of alerting",
            description="Age of the last Watchdog alert that came through Alertmanager. "
            "When it grows old, other alerts do not arrive either.",
            queries=[
                Query(
                    expr=f"time() - max(heimnetz_monitor_watchdog_timestamp_seconds{{{_JOB}}} > 0)"
                )
            ],
            unit="s",
            width=4,
            steps=((None, GREEN), (150, ORANGE), (300, RED)),
        ),
    ),
)

_HEALTH = Row(
    "Health",
    (
        States(
            title="Services",
            description="Whether each service answered its probes that it is ready.",
            queries=[
                Query(
                    expr=f"min by (service) (heimnetz_monitor_service_up{{{_JOB}}})",
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=12,
            steps=((None, RED), (1, GREEN)),
            link=_PLATFORM,
        ),
        Table(
            title="Alerts",
            description="What fires now. The runbook of the same name says what to do.",
            queries=[Query(expr='ALERTS{alertstate="firing", severity!="info"}')],
            unit="short",
            width=12,
            columns={
                "alertname": "Alert",
                "severity": "Severity",
                "service": "Service",
                "plugin": "Plugin",
            },
        ),
    ),
)

_RUNS = Row(
    "Runs",
    (
        Lines(
            title="Runs by outcome",
            description="Finished runs of the chosen plugins, by how they ended.",
            queries=[
                Query(
                    expr="sum by (outcome) (increase(heimnetz_monitor_runs_total"
                    f"{{{_PLUGIN}}}[$__rate_interval])) > 0",
                    legend="{{outcome}}",
                )
            ],
            unit="short",
            width=12,
            is_stacked=True,
            colours=OUTCOME_COLOURS,
        ),
        Lines(
            title="Duration of runs",
            description="Median and 95th percentile of the time from start to end of a run.",
            queries=[
                Query(
                    expr="histogram_quantile(0.5, sum by (le, plugin) (rate("
                    "heimnetz_monitor_run_duration_seconds_bucket"
                    f"{{{_PLUGIN}}}[$__rate_interval])))",
                    legend="{{plugin}} median",
                ),
                Query(
                    expr="histogram_quantile(0.95, sum by (le, plugin) (rate("
                    "heimnetz_monitor_run_duration_seconds_bucket"
                    f"{{{_PLUGIN}}}[$__rate_interval])))",
                    legend="{{plugin}} 95 %",
                ),
            ],
            unit="s",
            width=12,
        ),
        Lines(
            title="Peak memory of the last run",
            description="Highest working set of each plugin's last run, and what it may use. "
            "A line that climbs from run to run may be a leak.",
            queries=[
                Query(
                    expr="max by (plugin) (heimnetz_monitor_run_last_peak_memory_bytes"
                    f"{{{_PLUGIN}}})",
                    legend="{{plugin}}",
                ),
                Query(
                    expr=f"max by (plugin) (heimnetz_monitor_memory_limit_bytes{{{_PLUGIN}}})",
                    legend="{{plugin}} limit",
                ),
            ],
            unit="bytes",
            width=12,
        ),
        Lines(
            title="Failures in a row",
            description="Runs of a plugin that ended badly since its last good one, by trigger.",
            queries=[
                Query(
                    expr="max by (plugin, trigger) (heimnetz_monitor_run_consecutive_failures"
                    f"{{{_PLUGIN}}})",
                    legend="{{plugin}} by {{trigger}}",
                )
            ],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, ORANGE), (3, RED)),
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="heimnetz-home",
    title="Heimnetz: Home",
    description="Health of the house at a glance, and what its plugins do.",
    variables=(
        Variable(
            name="plugin",
            label="Plugin",
            query=f"label_values(heimnetz_monitor_runs_total{{{_JOB}}}, plugin)",
        ),
    ),
    links=(
        ("One plugin", "/grafana/d/heimnetz-plugin"),
        ("Security", "/grafana/d/heimnetz-security"),
        ("Platform", "/grafana/d/heimnetz-platform"),
        ("Service levels", "/grafana/d/heimnetz-levels"),
    ),
    rows=(_GLANCE, _HEALTH, _RUNS),
)
