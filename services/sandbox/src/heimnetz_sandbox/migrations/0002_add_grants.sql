-- What the owner granted, as the registry announces it; none for what was installed before.
ALTER TABLE installations ADD COLUMN grants text[] NOT NULL DEFAULT '{}';

-- What plugins did or tried, each once.
CREATE TABLE observed (
    plugin      text        NOT NULL,
    kind        text        NOT NULL CONSTRAINT observed_kind CHECK (kind IN ('connect')),
    target      text        NOT NULL,
    is_granted  boolean     NOT NULL,
    version     text        NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT observed_once PRIMARY KEY (plugin, kind, target, is_granted)
);
