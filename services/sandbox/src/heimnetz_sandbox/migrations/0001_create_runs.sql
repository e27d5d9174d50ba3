CREATE TABLE identity (
    only_row    boolean     NOT NULL DEFAULT true CONSTRAINT identity_key PRIMARY KEY
                            CONSTRAINT identity_is_one CHECK (only_row),
    stack       text        NOT NULL DEFAULT gen_random_uuid()::text
);
INSERT INTO identity DEFAULT VALUES;

CREATE TABLE installations (
    plugin          text        NOT NULL CONSTRAINT installations_key PRIMARY KEY,
    number          integer     GENERATED ALWAYS AS IDENTITY CONSTRAINT installations_number UNIQUE,
    version         text        NOT NULL,
    sha256          text        NOT NULL CONSTRAINT installations_digest CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    triggers        jsonb       NOT NULL,
    is_installed    boolean     NOT NULL,
    announced_at    timestamptz NOT NULL,
    prepared_sha256 text,
    program         jsonb,
    failure         text,
    configuration   bytea
);

CREATE TABLE blocked_versions (
    plugin          text        NOT NULL,
    version         text        NOT NULL,
    reason          text        NOT NULL,
    announced_at    timestamptz NOT NULL,
    is_blocked      boolean     NOT NULL,
    CONSTRAINT blocked_versions_key PRIMARY KEY (plugin, version)
);

CREATE TABLE runs (
    id                  text        NOT NULL CONSTRAINT runs_key PRIMARY KEY,
    plugin              text        NOT NULL,
    version             text        NOT NULL,
    sha256              text        NOT NULL,
    trigger             text        NOT NULL CONSTRAINT runs_trigger CHECK (trigger IN ('http', 'cron', 'event')),
    requested_by        text        NOT NULL,
    idempotency_key     text,
    request_sha256      text        NOT NULL,
    traceparent         text        NOT NULL,
    input               bytea,
    state               text        NOT NULL DEFAULT 'queued'
                        CONSTRAINT runs_state CHECK (state IN ('queued', 'running', 'finished')),
    queued_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_before          timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts            integer     NOT NULL DEFAULT 0,
    lease_owner         text,
    lease_expires_at    timestamptz,
    stop_outcome        text,
    started_at          timestamptz,
    finished_at         timestamptz,
    outcome             text,
    reason              text,
    result              bytea,
    duration_seconds    double precision,
    peak_memory_bytes   bigint,
    cpu_seconds         double precision,
    exit_code           integer,
    log_truncated       boolean     NOT NULL DEFAULT false,
    CONSTRAINT runs_outcome CHECK ((state = 'finished') = (outcome IS NOT NULL)),
    CONSTRAINT runs_lease CHECK ((state = 'running') = (lease_owner IS NOT NULL))
);
CREATE UNIQUE INDEX runs_idempotency ON runs (plugin, requested_by, idempotency_key);
CREATE INDEX runs_waiting ON runs (queued_at) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (lease_owner) WHERE state = 'running';
CREATE INDEX runs_newest ON runs (id DESC);
CREATE INDEX runs_of_plugin ON runs (plugin, id DESC);
CREATE INDEX runs_by_age ON runs (finished_at) WHERE state = 'finished';

CREATE TABLE run_files (
    run_id      text    NOT NULL CONSTRAINT run_files_run REFERENCES runs ON DELETE CASCADE,
    direction   text    NOT NULL CONSTRAINT run_files_direction CHECK (direction IN ('in', 'out')),
    name        text    NOT NULL,
    data        bytea   NOT NULL,
    size_bytes  bigint  NOT NULL GENERATED ALWAYS AS (octet_length(data)) STORED,
    sha256      text    NOT NULL GENERATED ALWAYS AS (encode(sha256(data), 'hex')) STORED,
    CONSTRAINT run_files_key PRIMARY KEY (run_id, direction, name)
);

CREATE TABLE log_lines (
    run_id      text        NOT NULL CONSTRAINT log_lines_run REFERENCES runs ON DELETE CASCADE,
    number      integer     NOT NULL,
    at          timestamptz NOT NULL,
    stream      text        NOT NULL,
    text        text        NOT NULL,
    CONSTRAINT log_lines_key PRIMARY KEY (run_id, number)
);

CREATE TABLE cron_slots (
    plugin      text        NOT NULL,
    schedule    text        NOT NULL,
    slot_at     timestamptz NOT NULL,
    run_id      text,
    CONSTRAINT cron_slots_once PRIMARY KEY (plugin, schedule, slot_at)
);
CREATE INDEX cron_slots_by_age ON cron_slots (slot_at);

CREATE TABLE instances (
    id          text        NOT NULL CONSTRAINT instances_key PRIMARY KEY,
    seen_at     timestamptz NOT NULL
);
