-- What a plugin kept when its version last changed, for a rollback; `version` is the one that left.
CREATE TABLE kept_storage (
    plugin      text        NOT NULL,
    version     text        NOT NULL,
    key         text        NOT NULL,
    value       bytea       NOT NULL,
    changed_at  timestamptz NOT NULL,
    CONSTRAINT kept_storage_key PRIMARY KEY (plugin, version, key)
);
-- Of which version there is a copy, be it empty.
ALTER TABLE installations ADD COLUMN kept_version text;
