"""Service levels of the platform: 99.9 % of the answers are no errors."""

from boards.layer import GREEN, ORANGE, RED, Dashboard, Lines, Query, Row, Stat, Variable

#: Share of the requests that may fail.
_BUDGET = "0.001"
_SERVICE = 'job="heimnetz", service=~"$service"'
_WORK = f'{_SERVICE}, route!~"/healthz|/readyz|/metrics"'
_REQUESTS = "heimnetz_http_requests_total"
_SECONDS = "heimnetz_http_request_duration_seconds"


def _errors(window: str, by: str = "") -> str:
    """Share of the requests that failed; 0, not nothing, where none did."""
    every = f"sum{by} (increase({_REQUESTS}{{{_WORK}}}[{window}]))"
    failed = f'sum{by} (increase({_REQUESTS}{{{_WORK}, status=~"5.."}}[{window}]))'
    return f"({failed} or 0 * {every}) / {every}"


_GLANCE = Row(
    "In the last 24 hours, against 99.9 %",
    (
        Stat(
            title="Answers that are no errors",
            description="Share of the requests of the chosen services that were not answered with "
            "a status of 500 or above; probes do not count.",
            queries=[Query(expr=f"1 - {_errors('24h')}")],
            unit="percentunit",
            width=8,
            steps=((None, RED), (0.999, GREEN)),
        ),
        Stat(
            title="Error budget left",
            description="What is left of one failed request in a thousand; below 0 it is spent.",
            queries=[Query(expr=f"1 - {_errors('24h')} / {_BUDGET}")],
            unit="percentunit",
            width=8,
            steps=((None, RED), (0, ORANGE), (0.25, GREEN)),
        ),
        Stat(
            title="Time in which services were ready",
            description="Share of the probes that found the chosen services ready, of the one that "
            "did worst.",
            queries=[
                Query(expr=f"min(avg_over_time(heimnetz_monitor_service_up{{{_SERVICE}}}[24h]))")
            ],
            unit="percentunit",
            width=8,
            steps=((None, RED), (0.999, GREEN)),
        ),
    ),
)

_COURSE = Row(
    "By service",
    (
        Lines(
            title="Budget left by service",
            description="What is left of one failed request in a thousand over the 24 hours before "
            "each moment.",
            queries=[
                Query(
                    expr=f"1 - {_errors('24h', ' by (service)')} / {_BUDGET}",
                    legend="{{service}}",
                )
            ],
            unit="percentunit",
            width=12,
        ),
        Lines(
            title="Burn rate",
            description="How many times faster than allowed the budget goes: at 1 it lasts just as "
            "long as it should, at 14.4 a month's is gone in two days.",
            queries=[
                Query(
                    expr=f"{_errors('$__rate_interval', ' by (service)')} / {_BUDGET}",
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, ORANGE), (14.4, RED)),
        ),
        Lines(
            title="Ready by service",
            description="Share of the probes over the 24 hours before each moment that found the "
            "service ready.",
            queries=[
                Query(
                    expr="min by (service) (avg_over_time(heimnetz_monitor_service_up"
                    f"{{{_SERVICE}}}[24h]))",
                    legend="{{service}}",
                )
            ],
            unit="percentunit",
            width=12,
        ),
        Lines(
            title="Duration of 99 in 100 answers",
            description="99th percentile of the time to the end of the response, without probes.",
            queries=[
                Query(
                    expr="histogram_quantile(0.99, sum by (le, service) (rate("
                    f"{_SECONDS}_bucket{{{_WORK}}}[$__rate_interval])))",
                    legend="{{service}}",
                )
            ],
            unit="s",
            width=12,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="heimnetz-levels",
    title="Heimnetz: Service levels",
    description="How well the platform keeps to 99.9 %, and what is left of its error budget.",
    variables=(
        Variable(
            name="service", label="Service", query='label_values(up{job="heimnetz"}, service)'
        ),
    ),
    links=(
        ("Home", "/grafana/d/heimnetz-home"),
        ("Platform", "/grafana/d/heimnetz-platform"),
    ),
    rows=(_GLANCE, _COURSE),
)
