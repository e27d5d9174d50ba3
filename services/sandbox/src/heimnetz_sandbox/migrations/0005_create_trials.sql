-- More is seen of a plugin than where it connects.
ALTER TABLE observed DROP CONSTRAINT observed_kind;
ALTER TABLE observed ADD CONSTRAINT observed_kind
    CHECK (kind IN ('read', 'write', 'process', 'code', 'native', 'connect', 'resolve'));

-- What a version did when it was tried out; the last time counts.
CREATE TABLE trials (
    plugin      text        NOT NULL,
    version     text        NOT NULL,
    sha256      text        NOT NULL,
    held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    report      jsonb       NOT NULL,
    CONSTRAINT trials_key PRIMARY KEY (plugin, version)
);
