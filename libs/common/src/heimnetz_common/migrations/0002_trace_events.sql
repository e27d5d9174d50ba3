ALTER TABLE outbox ADD COLUMN trace_id text;
CREATE INDEX outbox_trace ON outbox (trace_id) WHERE trace_id IS NOT NULL;

ALTER TABLE inbox ADD COLUMN trace_id text;
CREATE INDEX inbox_trace ON inbox (trace_id) WHERE trace_id IS NOT NULL;
