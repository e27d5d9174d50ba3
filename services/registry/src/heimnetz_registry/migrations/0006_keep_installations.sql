-- What an installation was before its version last changed; a rollback changes the two places.
CREATE TABLE kept_installations (
    plugin        text        CONSTRAINT kept_installations_key PRIMARY KEY
                              CONSTRAINT kept_installations_plugin REFERENCES installations
                              ON DELETE CASCADE,
    version       text        NOT NULL,
    grants        text[]      NOT NULL,
    configuration jsonb       NOT NULL,
    installed_at  timestamptz NOT NULL,
    installed_by  text        NOT NULL,
    kept_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kept_installations_version FOREIGN KEY (plugin, version) REFERENCES versions
);

-- Sealed for plugin and field, as those in use are, and moved between the two as they are.
CREATE TABLE kept_secrets (
    plugin text  NOT NULL CONSTRAINT kept_secrets_plugin REFERENCES kept_installations
                 ON DELETE CASCADE,
    field  text  NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT kept_secrets_key PRIMARY KEY (plugin, field)
);
