-- A version that was approved before somebody chose is not taken, however late its news comes.
ALTER TABLE installations ADD COLUMN update_policy_at timestamptz NOT NULL DEFAULT now();
