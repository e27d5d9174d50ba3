-- Each entry of the trail is bound to all before it; see chaining.py, which adds the rows.
CREATE TABLE trail_links (
    position   bigint      CONSTRAINT trail_links_key PRIMARY KEY,
    entry      bigint      NOT NULL CONSTRAINT trail_links_entry UNIQUE,
    digest     bytea       NOT NULL CONSTRAINT trail_links_digest CHECK (octet_length(digest) = 32),
    CONSTRAINT trail_links_position CHECK (position > 0)
);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_schema()) THEN
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON trail_links FROM %I', current_schema());
    END IF;
END
$$;
