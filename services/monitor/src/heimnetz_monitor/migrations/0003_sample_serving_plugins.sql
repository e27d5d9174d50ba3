ALTER TABLE samples
    DROP CONSTRAINT samples_kind,
    ADD CONSTRAINT samples_kind CHECK (kind IN ('service', 'container', 'run', 'serving'));
