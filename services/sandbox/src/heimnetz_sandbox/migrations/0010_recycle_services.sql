-- Runs of a service that began before are replaced, without a moment in which nobody answers.
ALTER TABLE installations ADD COLUMN recycled_at timestamptz;
