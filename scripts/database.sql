-- What historiand needs in its database; of what is there it only updates the extension.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS historian;
ALTER EXTENSION historian UPDATE;
-- Compaction leaves a dead row behind for each: at 5% of the table VACUUM makes their space free.
CREATE TABLE IF NOT EXISTS measurement (time bigint, tag text, values float8[]) USING historian
    WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

-- The table with times as people read them. Whoever may read the table may read the view. Where the table has other
-- columns, or something else has the view's name, there is no view.
DO $$
BEGIN
    IF to_regclass('measurement_view') IS NULL AND 3 = (
        SELECT count(*) FROM pg_attribute WHERE attrelid = 'measurement'::regclass
            AND (attname, atttypid) IN (('time', 'bigint'::regtype), ('tag', 'text'::regtype), ('values', 'float8[]'::regtype)))
    THEN
        CREATE VIEW measurement_view WITH (security_invoker = true) AS
            SELECT historian.to_timestamptz(time) AS time, tag, values[1] AS value, values, time AS time_ns FROM measurement;
        COMMENT ON VIEW measurement_view IS 'The table measurement with times as timestamptz. Conditions on time are as quick as on the table.';
        COMMENT ON COLUMN measurement_view.time IS 'the time, rounded down to microseconds';
        COMMENT ON COLUMN measurement_view.value IS 'the first of the values';
        COMMENT ON COLUMN measurement_view.time_ns IS 'the time, in nanoseconds since 1970-01-01 UTC';
        GRANT SELECT ON measurement_view TO PUBLIC;
    END IF;
END $$;
