"""What Prometheus gets of the auditor."""

from prometheus_client import Counter, Gauge, Histogram

AUDITS = Counter("heimnetz_auditor_audits_total", "Audits by verdict.", ["verdict"])
FAILURES = Counter(
    "heimnetz_auditor_audit_failures_total", "Audits in which the engine gave no answer."
)
DURATION = Histogram(
    "heimnetz_auditor_audit_duration_seconds",
    "Time from taking a version to storing its report.",
    buckets=(0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
FINDINGS = Counter("heimnetz_auditor_findings_total", "Findings by severity.", ["severity"])
SCORE = Histogram(
    "heimnetz_auditor_score_points",
    "Scores of the audits, from 0 to 100.",
    buckets=(10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
)
WAITING = Gauge("heimnetz_auditor_requests_waiting", "Versions that wait for their audit.")
OLDEST_WAITING = Gauge(
    "heimnetz_auditor_oldest_waiting_seconds", "Age of the oldest version that waits."
)
STALE = Gauge(
    "heimnetz_auditor_stale_audits",
    "Versions whose audit is by an older engine, policy or set of advisories, or rests on a waiver"
    " that has ended.",
)
