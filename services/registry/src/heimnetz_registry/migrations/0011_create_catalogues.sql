-- Where else plugins come from, with what their index said when it was last read.
CREATE TABLE catalogues (
    name         text        CONSTRAINT catalogues_key PRIMARY KEY,
    url          text        NOT NULL,
    address      text,
    ca           text,
    token        bytea,
    key_id       text        NOT NULL CONSTRAINT catalogues_key_id CHECK (key_id ~ '^[0-9a-f]{64}$'),
    counter      bigint      NOT NULL CONSTRAINT catalogues_counter CHECK (counter > 0),
    index_sha256 text        NOT NULL,
    etag         text,
    expires_at   timestamptz NOT NULL,
    added_at     timestamptz NOT NULL DEFAULT now(),
    added_by     text        NOT NULL,
    read_at      timestamptz NOT NULL DEFAULT now(),
    next_at      timestamptz NOT NULL,
    failures     integer     NOT NULL DEFAULT 0,
    problem      text        NOT NULL DEFAULT '',
    detail       text        NOT NULL DEFAULT ''
);
CREATE INDEX catalogues_due ON catalogues (next_at);

CREATE TABLE catalogue_releases (
    catalogue  text   NOT NULL CONSTRAINT catalogue_releases_catalogue REFERENCES catalogues ON DELETE CASCADE,
    plugin     text   NOT NULL,
    version    text   NOT NULL,
    sha256     text   NOT NULL,
    size_bytes bigint NOT NULL,
    publisher  text   NOT NULL,
    title      text   NOT NULL,
    signature  bytea,
    public_key bytea,
    CONSTRAINT catalogue_releases_key PRIMARY KEY (catalogue, plugin, version)
);

-- A version is stopped when a warning of it is new, and not again when a person let it go on.
CREATE TABLE catalogue_revocations (
    catalogue text        NOT NULL CONSTRAINT catalogue_revocations_catalogue REFERENCES catalogues ON DELETE CASCADE,
    sha256    text        NOT NULL,
    reason    text        NOT NULL,
    read_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT catalogue_revocations_key PRIMARY KEY (catalogue, sha256)
);
CREATE INDEX catalogue_revocations_package ON catalogue_revocations (sha256);

-- The index of our own that was given out last; one row.
CREATE TABLE offered_index (
    is_last        boolean     NOT NULL DEFAULT true CONSTRAINT offered_index_key PRIMARY KEY
                               CONSTRAINT offered_index_one CHECK (is_last),
    counter        bigint      NOT NULL,
    content_sha256 text        NOT NULL,
    key_id         text        NOT NULL,
    envelope       bytea       NOT NULL,
    renew_at       timestamptz NOT NULL
);
