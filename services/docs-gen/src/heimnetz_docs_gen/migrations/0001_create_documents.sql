-- One row a version that has, or should have, pages. `wanted` counts the reasons to make them anew,
-- `built` is the count that the pages on the disk answer; a row with wanted > built is due.
CREATE TABLE documents (
    plugin         text        NOT NULL,
    version        text        NOT NULL,
    wanted         bigint      NOT NULL DEFAULT 1,
    built          bigint      NOT NULL DEFAULT 0,
    asked_at       timestamptz NOT NULL DEFAULT now(),
    next_try_at    timestamptz NOT NULL DEFAULT now(),
    claimed_until  timestamptz NOT NULL DEFAULT '-infinity',
    attempts       integer     NOT NULL DEFAULT 0,
    traceparent    text,
    error          text,
    tree           text,
    edition        text,
    title          text        NOT NULL DEFAULT '',
    summary        text        NOT NULL DEFAULT '',
    state          text        NOT NULL DEFAULT '',
    grade          text,
    published_at   timestamptz,
    formats        text[]      NOT NULL DEFAULT '{}',
    warnings       text[]      NOT NULL DEFAULT '{}',
    generated_at   timestamptz,
    CONSTRAINT documents_key PRIMARY KEY (plugin, version),
    CONSTRAINT documents_built_at_most_wanted CHECK (built <= wanted)
);

CREATE INDEX documents_due ON documents (next_try_at) WHERE wanted > built;
