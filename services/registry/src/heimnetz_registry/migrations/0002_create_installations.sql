CREATE SEQUENCE installation_revision AS bigint;

CREATE TABLE installations (
    plugin        text        CONSTRAINT installations_key PRIMARY KEY,
    version       text        NOT NULL,
    sha256        text        NOT NULL,
    grants        text[]      NOT NULL,
    configuration jsonb       NOT NULL,
    triggers      jsonb       NOT NULL,
    limits        jsonb       NOT NULL,
    installed_at  timestamptz NOT NULL DEFAULT now(),
    installed_by  text        NOT NULL,
    revision      bigint      NOT NULL,
    CONSTRAINT installations_version FOREIGN KEY (plugin, version) REFERENCES versions
);

-- A value is sealed for its plugin and field, so that moving a row makes it unreadable.
CREATE TABLE sealed_secrets (
    plugin text  NOT NULL CONSTRAINT sealed_secrets_plugin REFERENCES installations ON DELETE CASCADE,
    field  text  NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT sealed_secrets_key PRIMARY KEY (plugin, field)
);
