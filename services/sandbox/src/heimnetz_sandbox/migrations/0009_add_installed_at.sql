-- Since when it has been installed without a break: no slot before it is owed.
ALTER TABLE installations ADD COLUMN installed_at timestamptz;
UPDATE installations SET installed_at = announced_at;
ALTER TABLE installations ALTER COLUMN installed_at SET NOT NULL;
