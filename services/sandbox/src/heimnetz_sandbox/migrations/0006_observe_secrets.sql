-- A secret that a plugin asked to be sent where it is not for, or that came back.
ALTER TABLE observed DROP CONSTRAINT observed_kind;
ALTER TABLE observed ADD CONSTRAINT observed_kind CHECK (
    kind IN ('read', 'write', 'process', 'code', 'native', 'connect', 'resolve', 'secret')
);
