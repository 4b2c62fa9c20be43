-- What historiand needs in its database; of what is there it only updates the extension.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS historian;
ALTER EXTENSION historian UPDATE;
-- Compaction leaves a dead row behind for each: at 5% of the table VACUUM makes their space free.
CREATE TABLE IF NOT EXISTS measurement (time bigint, tag text, values float8[]) USING historian
    WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
