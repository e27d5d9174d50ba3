-- What the installed version's manifest promises, and since when it is judged by that.
ALTER TABLE plugins
    ADD COLUMN availability_target   double precision
        CONSTRAINT plugins_availability_target
        CHECK (availability_target > 0 AND availability_target < 1),
    ADD COLUMN latency_limit_seconds double precision
        CONSTRAINT plugins_latency_limit CHECK (latency_limit_seconds > 0),
    ADD COLUMN level_since           timestamptz;

-- Runs that count for a service level, by the minute and by the hour: short windows need fine
-- grains, long ones few rows. `slow` ones ended ok, but later than promised.
CREATE TABLE run_tallies (
    plugin              text        NOT NULL,
    grain_seconds       integer     NOT NULL
        CONSTRAINT run_tallies_grain CHECK (grain_seconds IN (60, 3600)),
    begins_at           timestamptz NOT NULL,
    good                bigint      NOT NULL,
    failed              bigint      NOT NULL,
    slow                bigint      NOT NULL,
    CONSTRAINT run_tallies_key PRIMARY KEY (plugin, grain_seconds, begins_at),
    CONSTRAINT run_tallies_slow CHECK (slow BETWEEN 0 AND good)
);
CREATE INDEX run_tallies_by_age ON run_tallies (grain_seconds, begins_at);
