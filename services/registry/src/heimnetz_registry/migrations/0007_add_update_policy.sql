-- Who puts a newer version to use: a person, or the registry where nothing more is asked for.
ALTER TABLE installations
    ADD COLUMN update_policy text NOT NULL DEFAULT 'manual'
    CONSTRAINT installations_update_policy CHECK (update_policy IN ('manual', 'safe'));
