CREATE TABLE outbox (
    id          bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_key PRIMARY KEY,
    event_id    text        NOT NULL CONSTRAINT outbox_event_once UNIQUE,
    event_type  text        NOT NULL,
    document    bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE sent_at IS NULL;
CREATE INDEX outbox_history ON outbox (created_at);

CREATE TABLE inbox (
    source      text        NOT NULL,
    event_id    text        NOT NULL,
    event_type  text        NOT NULL,
    handled_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_once PRIMARY KEY (source, event_id)
);
CREATE INDEX inbox_history ON inbox (handled_at);

CREATE TABLE dead_letters (
    id          bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT dead_letters_key PRIMARY KEY,
    event_type  text        NOT NULL,
    document    bytea       NOT NULL,
    document_sha256 bytea   NOT NULL GENERATED ALWAYS AS (sha256(document)) STORED,
    error       text        NOT NULL,
    tries       integer     NOT NULL,
    failed_at   timestamptz NOT NULL DEFAULT now(),
    retry_at    timestamptz,
    CONSTRAINT dead_letters_once UNIQUE (event_type, document_sha256)
);
