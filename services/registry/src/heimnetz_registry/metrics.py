"""What the registry counts."""

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter(
    "heimnetz_registry_publications_total",
    "Uploads by outcome: created, repeated, refused, failed.",
    ["outcome"],
)
PUBLISH_SECONDS = Histogram(
    "heimnetz_registry_publish_duration_seconds",
    "Time from the first byte of an upload to its answer.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
TRANSITIONS = Counter(
    "heimnetz_registry_transitions_total", "Versions that took a state.", ["state"]
)
DAMAGED = Counter(
    "heimnetz_registry_damaged_packages_total",
    "Downloads refused because the stored package is missing or altered.",
)
IN_DOUBT = Gauge(
    "heimnetz_registry_installed_in_doubt",
    "1 for an installed version that needs a review, is rejected or quarantined.",
    ["plugin", "state"],
)
SWEPT = Counter("heimnetz_registry_swept_files_total", "Left-over files removed.", ["kind"])
TRAIL_INTACT = Gauge(
    "heimnetz_registry_trail_intact",
    "Whether the trail was as it was written when it was last looked at.",
)
TRAIL_LENGTH = Gauge("heimnetz_registry_trail_entries", "Entries of the trail that are linked.")
UPDATES = Counter(
    "heimnetz_registry_updates_total",
    "Newer versions of plugins that update by themselves, by outcome: taken, waits.",
    ["outcome"],
)
CATALOGUES_READ = Counter(
    "heimnetz_registry_catalogue_readings_total",
    "Readings of catalogues by outcome: changed, unchanged, refused.",
    ["outcome"],
)
ROLLBACKS = Counter(
    "heimnetz_registry_rollbacks_total",
    "Installations that went back to the version before, by whom: person, monitor, registry.",
    ["by"],
)
LOGINS = Counter(
    "heimnetz_registry_logins_total", "Log-ins by outcome: ok, refused, limited.", ["outcome"]
)
SECRETS_UNREADABLE = Counter(
    "heimnetz_registry_unreadable_secrets_total",
    "Secrets that could not be opened with the key that is here.",
)
