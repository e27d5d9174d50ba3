-- The public half of what publishers sign with; what a key signed refers to it for ever.
CREATE TABLE signing_keys (
    id         text        CONSTRAINT signing_keys_key PRIMARY KEY,
    publisher  text        NOT NULL,
    name       text        NOT NULL,
    public_key bytea       NOT NULL,
    state      text        NOT NULL DEFAULT 'active',
    reason     text        NOT NULL DEFAULT '',
    successor  text        CONSTRAINT signing_keys_successor REFERENCES signing_keys,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signing_keys_id CHECK (id = encode(sha256(public_key), 'hex')),
    CONSTRAINT signing_keys_length CHECK (octet_length(public_key) = 32),
    CONSTRAINT signing_keys_state CHECK (state IN ('active', 'retired', 'revoked'))
);
CREATE INDEX signing_keys_publisher ON signing_keys (publisher, id);

ALTER TABLE versions
    ADD COLUMN key_id text CONSTRAINT versions_signing_key REFERENCES signing_keys,
    ADD COLUMN envelope bytea,
    -- Set when it came unsigned and the owner's policy was that a person looks at such.
    ADD COLUMN is_review_due boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT versions_signature CHECK ((key_id IS NULL) = (envelope IS NULL));
CREATE INDEX versions_signer ON versions (key_id) WHERE key_id IS NOT NULL;
