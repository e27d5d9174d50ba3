CREATE TABLE plugins (
    plugin     text        CONSTRAINT plugins_key PRIMARY KEY,
    twin_key   text        NOT NULL CONSTRAINT plugins_no_twin UNIQUE,
    publisher  text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT plugins_name CHECK (plugin ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
);

CREATE TABLE versions (
    plugin       text        NOT NULL CONSTRAINT versions_plugin REFERENCES plugins,
    version      text        NOT NULL,
    precedence   text        NOT NULL,
    sort_key     text        COLLATE "C" NOT NULL,
    sha256       text        NOT NULL CONSTRAINT versions_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes   bigint      NOT NULL CONSTRAINT versions_size CHECK (size_bytes > 0),
    state        text        NOT NULL,
    reason       text        NOT NULL DEFAULT '',
    publisher    text        NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    manifest     jsonb,
    score        integer,
    grade        text,
    verdict      text,
    audited_at   timestamptz,
    CONSTRAINT versions_key PRIMARY KEY (plugin, version),
    -- Build metadata does not make another version.
    CONSTRAINT versions_precedence UNIQUE (plugin, precedence),
    CONSTRAINT versions_state CHECK (state IN ('submitted', 'approved', 'needs_review', 'rejected',
                                               'deprecated', 'yanked', 'quarantined', 'deleted')),
    CONSTRAINT versions_manifest CHECK ((manifest IS NULL) = (state = 'deleted'))
);
CREATE INDEX versions_order ON versions (plugin, sort_key DESC);
CREATE INDEX versions_package ON versions (sha256);

CREATE TABLE trail (
    id           bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT trail_key PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text        NOT NULL,
    action       text        NOT NULL,
    plugin       text,
    version      text,
    state_before text,
    state_after  text,
    reason       text        NOT NULL DEFAULT ''
);
CREATE INDEX trail_plugin ON trail (plugin, id DESC);

DO $$
BEGIN
    -- What was done stays written down; the service adds to it and reads it.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_schema()) THEN
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON trail FROM %I', current_schema());
    END IF;
END
$$;
