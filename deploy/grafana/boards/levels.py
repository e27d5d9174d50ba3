"""Service levels: what is left of the error budgets, and how fast they burn."""

from boards.layer import GREEN, ORANGE, RED, Dashboard, Lines, Query, Row, Stat, Variable

_SERVICE = 'service=~"$service"'
_BURN = "service:heimnetz_level_burn:ratio"
_PLUGIN = 'job="heimnetz"'
_BY_SERVICE = "{{service}} {{objective}}"
_BY_PLUGIN = "{{plugin}} {{objective}}"


def _left(objective: str) -> str:
    return f'1 - max({_BURN}30d{{{_SERVICE}, objective="{objective}"}})'


def _glance(title: str, description: str, objective: str) -> Stat:
    return Stat(
        title=title,
        description=f"What is left of the budget of 30 days for {description}, of the chosen "
        "service that did worst; below 0 it is overspent.",
        queries=[Query(expr=_left(objective))],
        unit="percentunit",
        width=8,
        steps=((None, RED), (0, ORANGE), (0.25, GREEN)),
    )


_GLANCE = Row(
    "Error budget left of 30 days",
    (
        _glance("Availability", "one request in a thousand that fails", "availability"),
        _glance("Latency", "one read in a hundred that takes over a second", "latency"),
        _glance("Readiness", "43 minutes in which it cannot serve", "readiness"),
    ),
)

_COURSE = Row(
    "By service",
    (
        Lines(
            title="Budget left by service",
            description="What is left of each budget over the 30 days before each moment.",
            queries=[Query(expr=f"1 - {_BURN}30d{{{_SERVICE}}}", legend=_BY_SERVICE)],
            unit="percentunit",
            width=12,
        ),
        Lines(
            title="Burn rate",
            description="How many times faster than allowed the budget goes, over an hour: at 1 it "
            "lasts just as long as it should, at 14.4 a month's is gone in two days.",
            queries=[Query(expr=f"{_BURN}1h{{{_SERVICE}}}", legend=_BY_SERVICE)],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, ORANGE), (14.4, RED)),
        ),
        Lines(
            title="Duration of 99 in 100 answers",
            description="99th percentile of the time to the end of the response, without probes.",
            queries=[
                Query(
                    expr="histogram_quantile(0.99, sum by (le, service) (rate("
                    'heimnetz_http_request_duration_seconds_bucket{job="heimnetz", '
                    f'{_SERVICE}, route!~"/healthz|/readyz|/metrics"}}[$__rate_interval])))',
                    legend="{{service}}",
                )
            ],
            unit="s",
            width=24,
        ),
    ),
)

_PLUGINS = Row(
    "Plugins that promise a service level",
    (
        Lines(
            title="Budget left by plugin",
            description="What is left of what each plugin's manifest allows to go wrong in 30 "
            "days; below 0 it is overspent.",
            queries=[
                Query(
                    expr="min by (plugin, objective) "
                    f"(heimnetz_monitor_level_budget_left_ratio{{{_PLUGIN}}})",
                    legend=_BY_PLUGIN,
                )
            ],
            unit="percentunit",
            width=12,
        ),
        Lines(
            title="Burn rate of plugins",
            description="How many times faster than allowed each plugin's budget went within an "
            "hour.",
            queries=[
                Query(
                    expr="max by (plugin, objective) "
                    f'(heimnetz_monitor_level_burn_rate{{{_PLUGIN}, window="1h"}})',
                    legend=_BY_PLUGIN,
                )
            ],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, ORANGE), (14.4, RED)),
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="heimnetz-levels",
    title="Heimnetz: Service levels",
    description="How well services and plugins keep to their objectives, and what is left of "
    "their error budgets.",
    variables=(
        Variable(
            name="service", label="Service", query='label_values(up{job="heimnetz"}, service)'
        ),
    ),
    links=(
        ("Home", "/grafana/d/heimnetz-home"),
        ("Platform", "/grafana/d/heimnetz-platform"),
    ),
    rows=(_GLANCE, _COURSE, _PLUGINS),
)
