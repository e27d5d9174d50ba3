-- The chain's end, signed; see chaining.py. Position 0 is the chain before its first entry.
CREATE TABLE trail_checkpoints (
    key_id    text        NOT NULL,
    position  bigint      NOT NULL CONSTRAINT trail_checkpoints_position CHECK (position >= 0),
    entry     bigint      NOT NULL,
    digest    bytea       NOT NULL
              CONSTRAINT trail_checkpoints_digest CHECK (octet_length(digest) = 32),
    at        timestamptz NOT NULL,
    signature bytea       NOT NULL
              CONSTRAINT trail_checkpoints_signature CHECK (octet_length(signature) = 64),
    CONSTRAINT trail_checkpoints_key PRIMARY KEY (key_id, position)
);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_schema()) THEN
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON trail_checkpoints FROM %I', current_schema());
    END IF;
END
$$;
