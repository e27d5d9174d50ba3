-- Services are runs without an end, which somebody keeps going.
ALTER TABLE runs DROP CONSTRAINT runs_trigger;
ALTER TABLE runs ADD CONSTRAINT runs_trigger
    CHECK (trigger IN ('http', 'cron', 'event', 'plugin', 'service'));
ALTER TABLE runs ADD COLUMN up_since timestamptz;
CREATE INDEX runs_of_services ON runs (plugin, id DESC) WHERE trigger = 'service';
