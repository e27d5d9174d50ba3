"""What was tried, what was refused, and whether the trail still says what happened."""

from boards.layer import GREEN, ORANGE, RED, Dashboard, Lines, Query, Row, Stat

_JOB = 'job="heimnetz"'
_RATE = "[$__rate_interval]"


def _in_a_day(metric: str) -> str:
    return f"sum(increase({metric}{{{_JOB}}}[24h])) or vector(0)"


def _by(label: str, metric: str, more: str = "") -> str:
    return f"sum by ({label}) (rate({metric}{{{_JOB}{more}}}{_RATE}))"


_GLANCE = Row(
    "At a glance",
    (
        Stat(
            title="Trail intact",
            description="1 while every entry of the trail fits the one before; 0 when one was "
            "changed or taken out.",
            queries=[Query(expr=f"min(heimnetz_registry_trail_intact{{{_JOB}}})")],
            unit="short",
            width=6,
            steps=((None, RED), (1, GREEN)),
        ),
        Stat(
            title="Entries of the trail",
            description="Entries that are linked to the one before them; it only grows.",
            queries=[Query(expr=f"max(heimnetz_registry_trail_entries{{{_JOB}}})")],
            unit="short",
            width=6,
            is_background=False,
        ),
        Stat(
            title="Damaged packages in 24 hours",
            description="Packages whose bytes no longer have the digest that they are kept by.",
            queries=[Query(expr=_in_a_day("heimnetz_registry_damaged_packages_total"))],
            unit="short",
            width=6,
            steps=((None, GREEN), (0.5, RED)),
        ),
        Stat(
            title="Unreadable secrets in 24 hours",
            description="Kept secrets that could not be opened: another key, or altered.",
            queries=[Query(expr=_in_a_day("heimnetz_registry_unreadable_secrets_total"))],
            unit="short",
            width=6,
            steps=((None, GREEN), (0.5, ORANGE)),
        ),
    ),
)

_AUDITS = Row(
    "Audits",
    (
        Lines(
            title="Audits by verdict",
            description="Audits of published versions a second, by what they came to.",
            queries=[
                Query(expr=_by("verdict", "heimnetz_auditor_audits_total"), legend="{{verdict}}")
            ],
            unit="ops",
            width=6,
        ),
        Lines(
            title="Findings by severity",
            description="Findings of the audits a second.",
            queries=[
                Query(
                    expr=_by("severity", "heimnetz_auditor_findings_total"), legend="{{severity}}"
                )
            ],
            unit="ops",
            width=6,
        ),
        Lines(
            title="Score",
            description="Median score of the audits of the last 24 hours; 100 is the best.",
            queries=[
                Query(
                    expr="histogram_quantile(0.5, sum by (le) (increase("
                    f"heimnetz_auditor_score_points_bucket{{{_JOB}}}[24h])))",
                    legend="median",
                )
            ],
            unit="short",
            width=6,
        ),
        Lines(
            title="Audits to be done again",
            description="Versions whose audit is by an older engine, policy or set of advisories, "
            "or rests on a waiver that has ended.",
            queries=[
                Query(expr=f"max(heimnetz_auditor_stale_audits{{{_JOB}}})", legend="versions")
            ],
            unit="short",
            width=6,
        ),
    ),
)

_REFUSALS = Row(
    "Refusals",
    (
        Lines(
            title="Installed and no longer approved",
            description="Versions in use that need a review, were rejected or are quarantined.",
            queries=[
                Query(
                    expr=f"max by (plugin, state) (heimnetz_registry_installed_in_doubt{{{_JOB}}})",
                    legend="{{plugin}} {{state}}",
                )
            ],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, RED)),
        ),
        Lines(
            title="Requests that the engine proxy refused",
            description="Requests to the container engine, by the rule that refused them. One that "
            "rises means that somebody got into the sandbox.",
            queries=[
                Query(
                    expr=f"max by (rule) (heimnetz_sandbox_engine_refusals{{{_JOB}}})",
                    legend="{{rule}}",
                )
            ],
            unit="short",
            width=12,
            steps=((None, GREEN), (1, RED)),
        ),
        Lines(
            title="Connections of plugins by verdict",
            description="What plugins asked their brokers for, and what came of it.",
            queries=[
                Query(
                    expr=_by("verdict", "heimnetz_sandbox_broker_attempts_total"),
                    legend="{{verdict}}",
                )
            ],
            unit="cps",
            width=12,
            link="/grafana/d/heimnetz-plugin?${__url_time_range}",
        ),
        Lines(
            title="Requests without the right",
            description="Requests a second that were answered 401 or 403, by service.",
            queries=[
                Query(
                    expr=_by(
                        "service, status", "heimnetz_http_requests_total", ', status=~"401|403"'
                    ),
                    legend="{{service}} {{status}}",
                )
            ],
            unit="reqps",
            width=6,
        ),
        Lines(
            title="Log-ins by outcome",
            description="Log-ins a second; many refused ones are somebody who guesses.",
            queries=[
                Query(expr=_by("outcome", "heimnetz_registry_logins_total"), legend="{{outcome}}")
            ],
            unit="ops",
            width=6,
        ),
        Lines(
            title="Secrets masked in logs",
            description="Secrets that a plugin wrote into its log, and that were masked there.",
            queries=[
                Query(
                    expr=_by("plugin", "heimnetz_sandbox_secrets_masked_total"), legend="{{plugin}}"
                )
            ],
            unit="ops",
            width=6,
            steps=((None, GREEN), (0.001, ORANGE)),
        ),
        Lines(
            title="Readings of catalogues by outcome",
            description="Readings a second of other people's indexes; heimnetz catalogue list says "
            "why one was refused.",
            queries=[
                Query(
                    expr=_by("outcome", "heimnetz_registry_catalogue_readings_total"),
                    legend="{{outcome}}",
                )
            ],
            unit="ops",
            width=6,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="heimnetz-security",
    title="Heimnetz: Security",
    description="Audits, refusals, log-ins and the state of the trail.",
    variables=(),
    links=(
        ("Home", "/grafana/d/heimnetz-home"),
        ("One plugin", "/grafana/d/heimnetz-plugin"),
    ),
    rows=(_GLANCE, _AUDITS, _REFUSALS),
)
