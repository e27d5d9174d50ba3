"""What Prometheus gets of docs-gen."""

from prometheus_client import Counter, Gauge, Histogram

GENERATIONS = Counter(
    "heimnetz_docs_gen_generations_total",
    "Versions worked on, by what became of them: done, plain, removed, retried, failed.",
    ["outcome"],
)
GENERATION_DURATION = Histogram(
    "heimnetz_docs_gen_generation_duration_seconds",
    "Time from taking a version to its pages being served.",
    buckets=(0.25, 0.5, 1, 2, 4, 8, 15, 30, 60),
)
DUE = Gauge("heimnetz_docs_gen_due", "Versions whose pages are to be made.")
PAGES = Gauge("heimnetz_docs_gen_versions", "Versions that have pages.")
