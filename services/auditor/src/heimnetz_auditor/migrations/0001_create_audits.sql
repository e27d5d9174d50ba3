CREATE TABLE audits (
    id              bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT audits_key PRIMARY KEY,
    plugin          text        NOT NULL,
    version         text        NOT NULL,
    sha256          text        NOT NULL
        CONSTRAINT audits_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    engine_version  text        NOT NULL,
    policy_sha256   text        NOT NULL,
    score           integer     NOT NULL CONSTRAINT audits_score CHECK (score BETWEEN 0 AND 100),
    grade           text        NOT NULL,
    verdict         text        NOT NULL
        CONSTRAINT audits_verdict CHECK (verdict IN ('approve', 'review', 'reject')),
    reasons         text[]      NOT NULL,
    counts          jsonb       NOT NULL,
    audited_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audits_once UNIQUE (plugin, version, sha256, engine_version)
);
CREATE INDEX audits_by_age ON audits (audited_at DESC, id DESC);
CREATE INDEX audits_of_version ON audits (plugin, version, audited_at DESC);

CREATE TABLE reports (
    audit_id        bigint      NOT NULL
        CONSTRAINT reports_audit REFERENCES audits ON DELETE CASCADE,
    format          text        NOT NULL,
    body            text        NOT NULL,
    CONSTRAINT reports_key PRIMARY KEY (audit_id, format)
);

CREATE TABLE requests (
    id              bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT requests_key PRIMARY KEY,
    plugin          text        NOT NULL,
    version         text        NOT NULL,
    sha256          text        NOT NULL
        CONSTRAINT requests_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    publisher       text        NOT NULL,
    requested_by    text        NOT NULL,
    traceparent     text,
    tries           integer     NOT NULL DEFAULT 0,
    requested_at    timestamptz NOT NULL DEFAULT now(),
    due_at          timestamptz NOT NULL DEFAULT now(),
    leased_until    timestamptz
);
CREATE INDEX requests_due ON requests (due_at, id);
