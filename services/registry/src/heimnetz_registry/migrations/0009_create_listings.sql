CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- What a search looks at: of each plugin its highest usable version, or its highest when none is.
CREATE TABLE listings (
    plugin      text     CONSTRAINT listings_key PRIMARY KEY
                         CONSTRAINT listings_plugin REFERENCES plugins ON DELETE CASCADE,
    version     text     NOT NULL,
    category    text     NOT NULL,
    permissions text[]   NOT NULL,
    score       integer,
    words       tsvector NOT NULL
);
CREATE INDEX listings_words ON listings USING gin (words);

-- The words of names, titles and keywords, one of which a mistyped word is taken for.
CREATE TABLE listing_terms (term text CONSTRAINT listing_terms_key PRIMARY KEY);
CREATE INDEX listing_terms_like ON listing_terms USING gin (term gin_trgm_ops);

CREATE FUNCTION list_plugin(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- One writer of a listing, which sees what the one before it committed.
    PERFORM FROM plugins WHERE plugin = name FOR NO KEY UPDATE;
    DELETE FROM listings
     WHERE plugin = name
       AND NOT EXISTS (SELECT FROM versions WHERE versions.plugin = name AND state <> 'deleted');
    INSERT INTO listings (plugin, version, category, permissions, score, words)
    SELECT plugin, version, coalesce(manifest ->> 'category', 'other'),
           ARRAY(SELECT key
                   FROM jsonb_each(coalesce(manifest -> 'permissions', '{}'))
                  WHERE value NOT IN ('null', '[]', '{}')
                  ORDER BY key),
           score,
           setweight(to_tsvector('english', concat_ws(' ', replace(plugin, '-', ' '),
                                                      manifest ->> 'title')), 'A')
           || setweight(to_tsvector('english', coalesce(manifest ->> 'keywords', '')), 'B')
           || setweight(to_tsvector('english', coalesce(manifest ->> 'summary', '')), 'C')
      FROM versions
     WHERE plugin = name
       AND state <> 'deleted'
     ORDER BY state IN ('approved', 'deprecated') DESC, sort_key DESC
     LIMIT 1
        ON CONFLICT ON CONSTRAINT listings_key DO UPDATE
       SET version = excluded.version, category = excluded.category,
           permissions = excluded.permissions, score = excluded.score, words = excluded.words;
    INSERT INTO listing_terms (term)
    SELECT DISTINCT term
      FROM listings
      JOIN versions USING (plugin, version),
           regexp_split_to_table(lower(concat_ws(' ', plugin, manifest ->> 'title',
                                                 manifest ->> 'keywords')), '[^[:alnum:]]+') AS term
     WHERE plugin = name
       AND length(term) BETWEEN 3 AND 40
     ORDER BY term
        ON CONFLICT ON CONSTRAINT listing_terms_key DO NOTHING;
END
$$;

CREATE FUNCTION list_changed_plugin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM list_plugin(NEW.plugin);
    RETURN NULL;
END
$$;
CREATE TRIGGER versions_listed AFTER INSERT OR UPDATE OF state, score, manifest ON versions
    FOR EACH ROW EXECUTE FUNCTION list_changed_plugin();

DO $$
BEGIN
    PERFORM list_plugin(plugin) FROM plugins;
END
$$;
