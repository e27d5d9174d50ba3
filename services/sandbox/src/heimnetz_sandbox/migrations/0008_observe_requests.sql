-- What a plugin asks of the broker itself.
ALTER TABLE observed DROP CONSTRAINT observed_kind;
ALTER TABLE observed ADD CONSTRAINT observed_kind CHECK (
    kind IN ('read', 'write', 'process', 'code', 'native', 'connect', 'resolve', 'secret', 'storage',
             'publish', 'call')
);
