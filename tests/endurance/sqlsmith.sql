-- The database that tests/endurance/sqlsmith is let loose on: historian tables in every state, and a catalog in which
-- sqlsmith finds only such types, operators and functions as random statements mostly run with.
SET client_min_messages = warning;
CREATE EXTENSION historian;
CREATE ROLE smith LOGIN;
GRANT CREATE ON SCHEMA public TO smith;
SET ROLE smith;

CREATE TABLE loaded (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE compacted (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE late (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE changing (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE partitioned (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE partition_1 PARTITION OF partitioned FOR VALUES FROM (0) TO (10000) USING historian;
CREATE TABLE partition_2 PARTITION OF partitioned FOR VALUES FROM (10000) TO (20000) USING historian;
CREATE TABLE partition_3 PARTITION OF partitioned DEFAULT;
CREATE TABLE heap (time bigint, tag text, values float8[], note text);
CREATE MATERIALIZED VIEW written USING historian AS
	SELECT i::bigint AS time, 't' || i % 5 AS tag, ARRAY[i]::float8[] AS values FROM generate_series(1, 500) i;

INSERT INTO loaded SELECT i, 't' || i % 5, ARRAY[i, i / 7.0, NULL] FROM generate_series(1, 1000) i;
INSERT INTO loaded SELECT i, 't' || i % 3, NULL FROM generate_series(500, 1500, 7) i;
INSERT INTO compacted SELECT i, 't' || i % 5, ARRAY[i, i % 10] FROM generate_series(1, 10000) i;
SELECT historian.compact('compacted') \gset
INSERT INTO late SELECT i, 't' || i % 5, ARRAY[i, i % 10] FROM generate_series(1, 5000) i;
SELECT historian.compact('late') \gset
INSERT INTO late SELECT i, 't' || i % 5, ARRAY[-i] FROM generate_series(1, 4000, 97) i;
INSERT INTO partitioned SELECT i, 't' || i % 5, ARRAY[i] FROM generate_series(1, 30000, 31) i;
SELECT historian.compact('partition_1') \gset
INSERT INTO heap SELECT i, 't' || i % 7, ARRAY[i], md5(i::text) FROM generate_series(1, 500) i;
ANALYZE loaded, compacted, late, partitioned, heap, written;

-- what returns rows is met as views, and inlined functions as they are
CREATE VIEW samples AS SELECT d.* FROM historian.downsample('late', 't1', 0, 6000, 20) d;
CREATE VIEW averages AS SELECT d.* FROM historian.downsample('compacted', 't2', 0, 12000, 20, method => 'time_average') d;
CREATE VIEW moving AS SELECT d.* FROM historian.moving_average('loaded', 't1', 0, 1000, 10, 100) d;
CREATE VIEW rows_of_tag AS SELECT d.* FROM historian.raw('late', 't0', 0, 3000) d;
CREATE VIEW latest_rows AS SELECT d.* FROM historian.latest('changing') d;
CREATE VIEW known_tags AS SELECT d.* FROM historian.tags('late') d;
CREATE VIEW by_tag AS SELECT tag, count(*) AS n, min(time) AS first, max(time) AS last, avg(values[1]) AS mean FROM late GROUP BY tag;
RESET ROLE;

-- The types that columns, operators and functions may have.
CREATE SCHEMA hidden;
CREATE TABLE hidden.type AS SELECT t::regtype::oid AS oid FROM unnest('{boolean,smallint,integer,bigint,real,double precision,
	numeric,text,timestamp with time zone,interval,double precision[]}'::text[]) t;
GRANT USAGE ON SCHEMA hidden TO smith;
GRANT SELECT ON hidden.type TO smith;

-- sqlsmith names some relations of the catalog with their schema, others without; what it names without it finds here.
CREATE TABLE hidden.pg_proc AS SELECT * FROM pg_catalog.pg_proc
	WHERE prorettype IN (SELECT oid FROM hidden.type) AND proargtypes::oid[] <@ (SELECT array_agg(oid) FROM hidden.type)
		AND provariadic = 0 AND has_function_privilege('smith', oid, 'EXECUTE')
		-- these mean the session or the server, not the data
		AND proname !~ '^(pg_|lo_|txid_|lastval|set_config|current_setting|query_to|database_to|inet_|binary_upgrade|json|ts_|getdatabaseencoding|convert)'
		-- these are steps of aggregates, and want what the step before made
		AND proname !~ '^(float[48]|int[248]|numeric|interval|array|bool)_' AND proname <> 'interval'
		-- a few bytes of arguments make a gigabyte or take hours
		AND proname NOT IN ('repeat', 'lpad', 'rpad', 'factorial', 'power', 'pow', 'exp', 'numeric_power', 'dpow', 'numeric_exp', 'dexp');
GRANT SELECT ON hidden.pg_proc TO smith;

SET allow_system_table_mods = on;
-- Names and OIDs stay comparable: sqlsmith compares some itself.
CREATE TABLE hidden.operand AS SELECT oid FROM hidden.type UNION SELECT unnest('{oid,name,"char"}'::regtype[]::oid[]);
INSERT INTO hidden.operand VALUES ('anyarray'::regtype);
DELETE FROM pg_catalog.pg_operator WHERE (oprleft <> 0 AND oprleft NOT IN (SELECT oid FROM hidden.operand))
	OR oprright NOT IN (SELECT oid FROM hidden.operand) OR oprresult NOT IN (SELECT oid FROM hidden.operand);
-- It takes samples of each base table, and changes it. Samples of historian tables are refused, so in runs that do not
-- write these pass as views.
CREATE TABLE hidden.run AS SELECT true AS writing;
GRANT SELECT ON hidden.run TO smith;
CREATE OR REPLACE VIEW information_schema.tables AS
	SELECT current_database()::information_schema.sql_identifier AS table_catalog,
		'public'::information_schema.sql_identifier AS table_schema, relname::information_schema.sql_identifier AS table_name,
		(CASE WHEN relkind IN ('r', 'p') AND (relname ~ '^heap' OR (SELECT writing FROM hidden.run)) THEN 'BASE TABLE' ELSE 'VIEW' END)::information_schema.character_data AS table_type,
		NULL::information_schema.sql_identifier AS self_referencing_column_name,
		NULL::information_schema.character_data AS reference_generation,
		NULL::information_schema.sql_identifier AS user_defined_type_catalog,
		NULL::information_schema.sql_identifier AS user_defined_type_schema,
		NULL::information_schema.sql_identifier AS user_defined_type_name,
		(CASE WHEN relkind IN ('r', 'p') THEN 'YES' ELSE 'NO' END)::information_schema.yes_or_no AS is_insertable_into,
		'NO'::information_schema.yes_or_no AS is_typed, NULL::information_schema.character_data AS commit_action
	FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm');
