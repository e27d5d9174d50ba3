-- 0 was asked for from outside, 1 is an installed version, 2 any other that is audited again.
ALTER TABLE requests ADD COLUMN priority smallint NOT NULL DEFAULT 0;
-- Asked of the registry when the audit begins.
ALTER TABLE requests DROP COLUMN publisher;
DROP INDEX requests_due;
CREATE INDEX requests_due ON requests (priority, due_at, id);

-- The last day of the first waiver to end that has a part in the verdict.
ALTER TABLE audits ADD COLUMN holds_until date;
-- The registry has the version no more: nothing is left to audit again.
ALTER TABLE audits ADD COLUMN is_gone boolean NOT NULL DEFAULT false;
