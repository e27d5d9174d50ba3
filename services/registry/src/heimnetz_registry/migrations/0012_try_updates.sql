-- An update that the registry took by itself is on trial until then; failures are those in a row.
ALTER TABLE installations
    ADD COLUMN canary_until timestamptz,
    ADD COLUMN canary_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN went_back_from text;

ALTER TABLE installations
    DROP CONSTRAINT installations_update_policy,
    ADD CONSTRAINT installations_update_policy CHECK (update_policy IN ('manual', 'safe', 'always'));

-- What somebody went back from before was known by what is kept alone.
UPDATE installations
   SET went_back_from = kept.version
  FROM kept_installations AS kept,
       versions AS left_one,
       versions AS installed
 WHERE kept.plugin = installations.plugin
   AND left_one.plugin = kept.plugin
   AND left_one.version = kept.version
   AND installed.plugin = installations.plugin
   AND installed.version = installations.version
   AND left_one.sort_key > installed.sort_key;
