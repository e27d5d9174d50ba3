CREATE TABLE plugins (
    plugin              text        CONSTRAINT plugins_key PRIMARY KEY,
    version             text,
    memory_limit_bytes  bigint      CONSTRAINT plugins_memory_limit CHECK (memory_limit_bytes > 0),
    -- The registry's; 0 for a plugin of which only runs are known.
    revision            bigint      NOT NULL,
    removed_at          timestamptz
);

CREATE TABLE runs (
    run_id              text        CONSTRAINT runs_key PRIMARY KEY,
    plugin              text        NOT NULL,
    version             text        NOT NULL,
    trigger             text        NOT NULL,
    started_at          timestamptz,
    finished_at         timestamptz,
    outcome             text,
    duration_seconds    double precision,
    peak_memory_bytes   bigint,
    CONSTRAINT runs_finish_is_whole CHECK (
        (finished_at IS NULL) = (outcome IS NULL) AND (outcome IS NULL) = (duration_seconds IS NULL)
    )
);
CREATE INDEX runs_of_plugin ON runs (plugin, finished_at DESC) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_by_end ON runs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_in_progress ON runs (started_at) WHERE finished_at IS NULL;

-- Totals outlive the history, and the process: counters that only grow.
CREATE TABLE run_totals (
    plugin              text        NOT NULL,
    trigger             text        NOT NULL,
    outcome             text        NOT NULL,
    runs                bigint      NOT NULL CONSTRAINT run_totals_counted CHECK (runs > 0),
    duration_seconds    double precision NOT NULL,
    last_finished_at    timestamptz NOT NULL,
    CONSTRAINT run_totals_key PRIMARY KEY (plugin, trigger, outcome)
);

CREATE TABLE run_durations (
    plugin              text        NOT NULL,
    bound_seconds       double precision NOT NULL,
    runs                bigint      NOT NULL CONSTRAINT run_durations_counted CHECK (runs > 0),
    CONSTRAINT run_durations_key PRIMARY KEY (plugin, bound_seconds)
);

CREATE TABLE run_failures (
    plugin              text        NOT NULL,
    trigger             text        NOT NULL,
    failures            integer     NOT NULL CONSTRAINT run_failures_counted CHECK (failures >= 0),
    CONSTRAINT run_failures_key PRIMARY KEY (plugin, trigger)
);

CREATE TABLE alerts (
    fingerprint         text        NOT NULL,
    starts_at           timestamptz NOT NULL,
    alert               text        NOT NULL,
    severity            text        NOT NULL,
    status              text        NOT NULL
        CONSTRAINT alerts_status CHECK (status IN ('firing', 'resolved')),
    labels              jsonb       NOT NULL,
    annotations         jsonb       NOT NULL,
    ends_at             timestamptz,
    received_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alerts_key PRIMARY KEY (fingerprint, starts_at)
);
CREATE INDEX alerts_by_start ON alerts (starts_at DESC, fingerprint DESC);
CREATE INDEX alerts_firing ON alerts (starts_at) WHERE status = 'firing';

-- When a thing that repeats was last seen; the Watchdog is the first of them.
CREATE TABLE heartbeats (
    name                text        CONSTRAINT heartbeats_key PRIMARY KEY,
    seen_at             timestamptz NOT NULL
);

CREATE TABLE samples (
    kind                text        NOT NULL
        CONSTRAINT samples_kind CHECK (kind IN ('service', 'container', 'run')),
    subject             text        NOT NULL,
    taken_at            timestamptz NOT NULL,
    memory_bytes        bigint      NOT NULL,
    CONSTRAINT samples_key PRIMARY KEY (kind, subject, taken_at)
);
CREATE INDEX samples_by_age ON samples (taken_at);
