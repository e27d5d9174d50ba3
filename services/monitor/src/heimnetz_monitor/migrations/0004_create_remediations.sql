-- What the owner chose; where nothing is chosen, the defaults of the model hold.
CREATE TABLE remedy_policy (
    is_only             boolean     NOT NULL DEFAULT true CONSTRAINT remedy_policy_key PRIMARY KEY
        CONSTRAINT remedy_policy_only CHECK (is_only),
    modes               jsonb       NOT NULL,
    most_an_hour        integer     NOT NULL
        CONSTRAINT remedy_policy_most CHECK (most_an_hour BETWEEN 0 AND 100),
    is_dry_run          boolean     NOT NULL,
    most_memory_bytes   bigint      NOT NULL
);

CREATE TABLE threats (
    plugin              text        NOT NULL,
    version             text        NOT NULL,
    kind                text        NOT NULL,
    target              text        NOT NULL,
    seen_at             timestamptz NOT NULL,
    CONSTRAINT threats_key PRIMARY KEY (plugin, version, kind, target)
);
CREATE INDEX threats_by_time ON threats (seen_at);

CREATE TABLE remediations (
    id                  bigint      GENERATED ALWAYS AS IDENTITY
        CONSTRAINT remediations_key PRIMARY KEY,
    plugin              text        NOT NULL,
    version             text        NOT NULL,
    action              text        NOT NULL,
    cause               text        NOT NULL
        CONSTRAINT remediations_cause CHECK (cause IN ('leak', 'threat')),
    reason              text        NOT NULL,
    state               text        NOT NULL
        CONSTRAINT remediations_state
        CHECK (state IN ('proposed', 'dry_run', 'applying', 'applied', 'failed', 'dismissed')),
    decided_at          timestamptz NOT NULL,
    decided_by          text        NOT NULL,
    applied_at          timestamptz,
    judged_at           timestamptz,
    has_helped          boolean,
    detail              text        NOT NULL DEFAULT '',
    -- What the plugin held when it was decided.
    held_bytes          bigint,
    -- The new one, where memory is raised.
    limit_bytes         bigint,
    CONSTRAINT remediations_judgement CHECK ((judged_at IS NULL) = (has_helped IS NULL))
);
-- Never two at once, whoever decides.
CREATE UNIQUE INDEX remediations_one_at_a_time ON remediations ((true)) WHERE state = 'applying';
CREATE UNIQUE INDEX remediations_open ON remediations (plugin, action) WHERE state = 'proposed';
CREATE INDEX remediations_by_plugin ON remediations (plugin, decided_at DESC);
