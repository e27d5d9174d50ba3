-- The one that was imported last; what was audited with another one is audited again.
CREATE TABLE advisories (
    is_only         boolean     NOT NULL DEFAULT true
        CONSTRAINT advisories_key PRIMARY KEY CONSTRAINT advisories_only CHECK (is_only),
    sha256          text        NOT NULL
        CONSTRAINT advisories_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    as_of           timestamptz NOT NULL,
    count           integer     NOT NULL,
    -- Compressed by gzip.
    content         bytea       NOT NULL,
    imported_by     text        NOT NULL,
    imported_at     timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE advisories ALTER COLUMN content SET STORAGE EXTERNAL;
-- Empty where the audit had none.
ALTER TABLE audits ADD COLUMN advisories_sha256 text NOT NULL DEFAULT '';
