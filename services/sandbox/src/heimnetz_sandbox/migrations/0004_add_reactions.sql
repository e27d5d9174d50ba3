-- How many runs led to this one by events; how often it is tried again; which run it repeats.
ALTER TABLE runs
    ADD COLUMN depth        smallint    NOT NULL DEFAULT 0,
    ADD COLUMN retries_left smallint    NOT NULL DEFAULT 0,
    ADD COLUMN tries        smallint    NOT NULL DEFAULT 1,
    ADD COLUMN retry_of     text;

-- Plugins call each other.
ALTER TABLE runs DROP CONSTRAINT runs_trigger;
ALTER TABLE runs ADD CONSTRAINT runs_trigger CHECK (trigger IN ('http', 'cron', 'event', 'plugin'));
