-- What plugins keep between runs.
CREATE TABLE storage (
    plugin      text        NOT NULL,
    key         text        NOT NULL,
    value       bytea       NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT storage_key PRIMARY KEY (plugin, key)
);
