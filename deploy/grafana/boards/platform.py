"""The services of the stack: requests, events, resources, audits."""

from boards.layer import GREEN, ORANGE, RED, Dashboard, Lines, Query, Row, Variable

_SERVICE = 'job="heimnetz", service=~"$service"'
_WORK = f'{_SERVICE}, route!~"/healthz|/readyz|/metrics"'
_RATE = "[$__rate_interval]"
_SECONDS = "heimnetz_http_request_duration_seconds"
_REQUESTS = "heimnetz_http_requests_total"

_HTTP = Row(
    "HTTP",
    (
        Lines(
            title="Requests",
            description="Requests a second to each service, probes and scrapes included.",
            queries=[
                Query(
                    expr=f"sum by (service) (rate({_REQUESTS}{{{_SERVICE}}}{_RATE}))",
                    legend="{{service}}",
                )
            ],
            unit="reqps",
            width=8,
        ),
        Lines(
            title="Errors by service",
            description="Share of the answers with a status of 500 or above; probes do not count.",
            queries=[
                Query(
                    # Zero, not nothing, where no request failed.
                    expr=f'(sum by (service) (rate({_REQUESTS}{{{_WORK}, status=~"5.."}}{_RATE}))'
                    f" or 0 * sum by (service) (rate({_REQUESTS}{{{_WORK}}}{_RATE})))"
                    f" / sum by (service) (rate({_REQUESTS}{{{_WORK}}}{_RATE}))",
                    legend="{{service}}",
                )
            ],
            unit="percentunit",
            width=8,
            steps=((None, GREEN), (0.05, RED)),
        ),
        Lines(
            title="Duration of requests",
            description="95th percentile of the time to the end of the response, by service.",
            queries=[
                Query(
                    expr="histogram_quantile(0.95, sum by (le, service) (rate("
                    f"{_SECONDS}_bucket{{{_SERVICE}}}{_RATE})))",
                    legend="{{service}}",
                )
            ],
            unit="s",
            width=8,
        ),
        Lines(
            title="Slowest routes",
            description="95th percentile by route, of the five slowest.",
            queries=[
                Query(
                    expr="topk(5, histogram_quantile(0.95, sum by (le, service, route) (rate("
                    f"{_SECONDS}_bucket{{{_SERVICE}}}{_RATE}))))",
                    legend="{{service}} {{route}}",
                )
            ],
            unit="s",
            width=12,
        ),
        Lines(
            title="Requests in progress",
            description="Requests that are being answered at the moment of the scrape.",
            queries=[
                Query(
                    expr=f"sum by (service) (heimnetz_http_requests_in_progress{{{_SERVICE}}})",
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=12,
        ),
    ),
)

_EVENTS = Row(
    "Events",
    (
        Lines(
            title="Published",
            description="Events a second that the stream acknowledged, by type.",
            queries=[
                Query(
                    expr="sum by (event) (rate(heimnetz_events_published_total"
                    f"{{{_SERVICE}}}{_RATE}))",
                    legend="{{event}}",
                )
            ],
            unit="cps",
            width=8,
        ),
        Lines(
            title="Consumed",
            description="Events a second by what became of them. `repeated` is harmless, "
            "`retried` waits for something, `dead` needs a person.",
            queries=[
                Query(
                    expr="sum by (service, outcome) (rate(heimnetz_events_consumed_total"
                    f"{{{_SERVICE}}}{_RATE}))",
                    legend="{{service}} {{outcome}}",
                )
            ],
            unit="cps",
            width=8,
        ),
        Lines(
            title="Lag",
            description="95th percentile of the time from an event's commit to its effect in "
            "another service.",
            queries=[
                Query(
                    expr="histogram_quantile(0.95, sum by (le, service) (rate("
                    f"heimnetz_event_lag_seconds_bucket{{{_SERVICE}}}{_RATE})))",
                    legend="{{service}}",
                )
            ],
            unit="s",
            width=8,
        ),
        Lines(
            title="Events waiting",
            description="Events in the outbox that the stream has not acknowledged yet.",
            queries=[
                Query(
                    expr=f"max by (service) (heimnetz_outbox_waiting{{{_SERVICE}}})",
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=12,
        ),
        Lines(
            title="Oldest event waiting",
            description="How long the oldest event in the outbox has waited.",
            queries=[
                Query(
                    expr=f"max by (service) (heimnetz_outbox_oldest_waiting_seconds{{{_SERVICE}}})",
                    legend="{{service}}",
                )
            ],
            unit="s",
            width=12,
            steps=((None, GREEN), (60, RED)),
        ),
        Lines(
            title="Events ahead",
            description="Events in the stream that a service has yet to take, by type.",
            queries=[
                Query(
                    expr=f"max by (service, event) (heimnetz_consumer_pending{{{_SERVICE}}})",
                    legend="{{service}} {{event}}",
                )
            ],
            unit="short",
            width=12,
        ),
        Lines(
            title="Dead letters",
            description="Events that a service gave up on and that nobody has sent again yet.",
            queries=[
                Query(
                    expr=f"max by (service) (heimnetz_dead_letters{{{_SERVICE}}})",
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, ORANGE)),
        ),
    ),
)

_RESOURCES = Row(
    "Resources",
    (
        Lines(
            title="Memory",
            description="Resident memory of each service's process.",
            queries=[
                Query(
                    expr=f"max by (service) (process_resident_memory_bytes{{{_SERVICE}}})",
                    legend="{{service}}",
                )
            ],
            unit="bytes",
            width=8,
        ),
        Lines(
            title="CPU",
            description="Cores in use by each service.",
            queries=[
                Query(
                    expr=f"sum by (service) (rate(process_cpu_seconds_total{{{_SERVICE}}}{_RATE}))",
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=8,
        ),
        Lines(
            title="Database connections",
            description="Connections of each service's pool that are in use.",
            queries=[
                Query(
                    expr="max by (service) (heimnetz_database_connections"
                    f'{{{_SERVICE}, state="used"}})',
                    legend="{{service}}",
                )
            ],
            unit="short",
            width=8,
        ),
    ),
)

_AUDITS = Row(
    "Audits and probes",
    (
        Lines(
            title="Audits",
            description="Audits by verdict. `review` waits for a person.",
            queries=[
                Query(
                    expr='sum by (verdict) (increase(heimnetz_auditor_audits_total{job="heimnetz"}'
                    f"{_RATE}))",
                    legend="{{verdict}}",
                )
            ],
            unit="short",
            width=8,
            is_stacked=True,
            colours={"approve": GREEN, "review": ORANGE, "reject": RED},
        ),
        Lines(
            title="Waiting for audit",
            description="Age of the oldest version that waits for its audit.",
            queries=[
                Query(
                    expr='max(heimnetz_auditor_oldest_waiting_seconds{job="heimnetz"})',
                    legend="oldest",
                )
            ],
            unit="s",
            width=8,
            steps=((None, GREEN), (600, ORANGE)),
        ),
        Lines(
            title="Duration of probes",
            description="How long each service took to say whether it is ready.",
            queries=[
                Query(
                    expr="max by (service) (heimnetz_monitor_probe_duration_seconds"
                    f"{{{_SERVICE}}})",
                    legend="{{service}}",
                )
            ],
            unit="s",
            width=8,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="heimnetz-platform",
    title="Heimnetz: Platform",
    description="Requests, events, resources and audits of the services.",
    variables=(
        Variable(
            name="service", label="Service", query='label_values(up{job="heimnetz"}, service)'
        ),
    ),
    links=(
        ("Home", "/grafana/d/heimnetz-home"),
        ("Service levels", "/grafana/d/heimnetz-levels"),
    ),
    rows=(_HTTP, _EVENTS, _RESOURCES, _AUDITS),
)
