-- Containers that begin before then remember which lines of the plugin hold memory.
ALTER TABLE installations ADD COLUMN traced_until timestamptz;
