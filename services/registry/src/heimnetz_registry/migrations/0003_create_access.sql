-- One row at most: whoever inserts it is the one who set Heimnetz up.
CREATE TABLE setups (
    only_one boolean     NOT NULL DEFAULT true CONSTRAINT setups_key PRIMARY KEY,
    done_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT setups_only_one CHECK (only_one)
);

CREATE TABLE people (
    name          text        CONSTRAINT people_key PRIMARY KEY,
    role          text        NOT NULL,
    password_hash text        NOT NULL,
    failed_logins integer     NOT NULL DEFAULT 0,
    locked_until  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT people_role CHECK (role IN ('owner', 'operator', 'publisher', 'auditor', 'viewer'))
);

CREATE TABLE tokens (
    id         text        CONSTRAINT tokens_key PRIMARY KEY,
    digest     bytea       NOT NULL CONSTRAINT tokens_digest UNIQUE,
    kind       text        NOT NULL,
    name       text        NOT NULL,
    role       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL,
    expires_at timestamptz,
    CONSTRAINT tokens_kind CHECK (kind IN ('session', 'token')),
    CONSTRAINT tokens_role CHECK (role IN ('owner', 'operator', 'publisher', 'auditor', 'viewer')),
    CONSTRAINT tokens_sessions_end CHECK (kind <> 'session' OR expires_at IS NOT NULL)
);
