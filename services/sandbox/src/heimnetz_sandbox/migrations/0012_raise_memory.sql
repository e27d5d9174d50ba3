-- More than the manifest asks for, until the installation changes; the bound is every plugin's.
ALTER TABLE installations ADD COLUMN memory_bytes bigint
    CONSTRAINT installations_memory CHECK (memory_bytes BETWEEN 1 AND 1073741824);
