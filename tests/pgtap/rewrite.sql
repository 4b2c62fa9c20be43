-- What reads or rewrites whole tables: CTAS, materialized views, SET ACCESS METHOD, VACUUM, ANALYZE, TRUNCATE, sizes.
-- VACUUM cannot run in a transaction, so this file drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_rewrite CASCADE;
CREATE SCHEMA pgtap_rewrite;
SET search_path = pgtap_rewrite, public;
SELECT plan(66);

CREATE TABLE h (time bigint, tag text, values float8[]);
INSERT INTO h SELECT i, 't' || i % 50, ARRAY[i, i % 7, sin(i)] FROM generate_series(1, 50000) i;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE FUNCTION same(what text, name text DEFAULT 'm') RETURNS text LANGUAGE sql AS $$
	SELECT set_eq(format('SELECT time, tag, array_send(values) FROM %s', name), 'SELECT time, tag, array_send(values) FROM h', what)
$$;
CREATE FUNCTION directories(r regclass) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pg_index WHERE indrelid = r';
INSERT INTO m SELECT * FROM h;

-- CREATE TABLE AS, SELECT INTO, materialized views
CREATE TABLE copied USING historian AS SELECT * FROM m;
SELECT same('CREATE TABLE AS', 'copied');
SELECT is(directories('copied'), 1::bigint, 'with a directory');
CREATE TABLE to_heap AS SELECT * FROM m;
SELECT same('CREATE TABLE AS of a heap', 'to_heap');
CREATE TABLE empty USING historian AS SELECT * FROM m WITH NO DATA;
SELECT is((SELECT count(*) FROM empty), 0::bigint, 'WITH NO DATA');
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE copied_parallel USING historian AS SELECT * FROM m;
SELECT same('CREATE TABLE AS of a parallel plan', 'copied_parallel');
CREATE TABLE from_heap USING historian AS SELECT * FROM h;
SELECT same('CREATE TABLE AS from a heap read in parallel', 'from_heap');
SET default_table_access_method = historian;
SELECT time, tag, values INTO into_it FROM h;
RESET default_table_access_method;
SELECT same('SELECT INTO', 'into_it');
SELECT throws_ok('CREATE TABLE bad USING historian AS SELECT time, tag FROM m', '0A000', NULL, 'CREATE TABLE AS of other columns');
CREATE MATERIALIZED VIEW mv USING historian AS SELECT * FROM m WHERE tag < 't3';
SELECT set_eq('SELECT * FROM mv', $$SELECT * FROM h WHERE tag < 't3'$$, 'a materialized view');
INSERT INTO m VALUES (60000, 't1', '{1}'); INSERT INTO h VALUES (60000, 't1', '{1}');
SELECT lives_ok('REFRESH MATERIALIZED VIEW mv', 'REFRESH');
SELECT set_eq('SELECT * FROM mv', $$SELECT * FROM h WHERE tag < 't3'$$, 'has the new row');
SELECT results_eq($$SELECT "values" FROM historian.downsample('mv', 't1', 0, 70000, 1)$$, $$VALUES ('{1}'::float8[])$$, 'downsample of it');
SELECT throws_ok('REFRESH MATERIALIZED VIEW CONCURRENTLY mv', NULL, NULL, 'REFRESH CONCURRENTLY needs a unique index');

-- SET ACCESS METHOD
SELECT lives_ok('ALTER TABLE copied SET ACCESS METHOD heap', 'SET ACCESS METHOD heap');
INSERT INTO copied VALUES (60000, 't1', '{1}');
SELECT same('keeps the rows', 'copied');
SELECT is(directories('copied'), 0::bigint, 'and drops the directory');
SELECT lives_ok('ALTER TABLE copied SET ACCESS METHOD historian', 'SET ACCESS METHOD historian');
SELECT same('keeps the rows again', 'copied');
SELECT is(directories('copied'), 1::bigint, 'and makes a directory');
SELECT results_eq($$SELECT "values" FROM historian.downsample('copied', 't1', 0, 70000, 1)$$, $$VALUES ('{1}'::float8[])$$, 'which downsample uses');
INSERT INTO copied VALUES (60000, 't1', '{2}');
SELECT results_eq($$SELECT values FROM copied WHERE tag = 't1' AND time = 60000$$, $$VALUES ('{2}'::float8[])$$, 'the later row wins');
BEGIN;
ALTER TABLE copied SET ACCESS METHOD heap;
INSERT INTO copied VALUES (60000, 't1', '{3}');
ROLLBACK;
SELECT results_eq($$SELECT values FROM copied WHERE tag = 't1' AND time = 60000$$, $$VALUES ('{2}'::float8[])$$, 'SET ACCESS METHOD rolled back');
CREATE TABLE indexed (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
SELECT throws_ok('ALTER TABLE indexed SET ACCESS METHOD historian', '0A000', NULL, 'of a table with a primary key');
CREATE TABLE other_columns (time bigint, tag text, values float8[], note text);
SELECT throws_ok('ALTER TABLE other_columns SET ACCESS METHOD historian', '0A000', NULL, 'of a table with other columns');
CREATE TABLE nulls (time bigint, tag text, values float8[]);
INSERT INTO nulls VALUES (NULL, 'a', '{1}');
SELECT throws_ok('ALTER TABLE nulls SET ACCESS METHOD historian', '23502', NULL, 'of a table with a NULL time');

-- VACUUM, VACUUM FULL, ANALYZE, REINDEX, CLUSTER
VACUUM m;
SELECT same('VACUUM');
VACUUM (FREEZE, ANALYZE) m;
SELECT same('VACUUM FREEZE');
SELECT cmp_ok((SELECT age(relfrozenxid) FROM pg_class WHERE oid = 'm'::regclass), '<', 100, 'relfrozenxid advances');
VACUUM FULL m;
SELECT same('VACUUM FULL');
SELECT is(directories('m'), 1::bigint, 'one directory after it');
INSERT INTO m VALUES (60001, 't1', '{2}'); INSERT INTO h VALUES (60001, 't1', '{2}');
REINDEX TABLE m;
SELECT same('REINDEX');
SELECT throws_ok('REINDEX TABLE CONCURRENTLY m', NULL, NULL, 'REINDEX CONCURRENTLY (not in a function)');
RESET min_parallel_table_scan_size;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;

ANALYZE m;
ANALYZE h;
SELECT ok(abs((SELECT reltuples FROM pg_class WHERE oid = 'm'::regclass) / 50002 - 1) < 0.2, 'ANALYZE estimates the rows')
	UNION ALL SELECT diag('reltuples ' || reltuples) FROM pg_class WHERE oid = 'm'::regclass AND abs(reltuples / 50002 - 1) >= 0.2;
SELECT cmp_ok((SELECT n_distinct FROM pg_stats WHERE schemaname = 'pgtap_rewrite' AND tablename = 'm' AND attname = 'tag'), '=', 50::real, 'the tags');
SELECT cmp_ok((SELECT null_frac FROM pg_stats WHERE schemaname = 'pgtap_rewrite' AND tablename = 'm' AND attname = 'time'), '=', 0::real, 'no NULL times');
SELECT ok((SELECT histogram_bounds::text::bigint[] FROM pg_stats WHERE schemaname = 'pgtap_rewrite' AND tablename = 'm' AND attname = 'time') IS NOT NULL, 'a histogram of times');
CREATE FUNCTION estimated(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
END $$;
SELECT ok(estimated($$SELECT * FROM m WHERE tag = 't1'$$) BETWEEN 500 AND 2000, 'estimate for a tag');
SELECT ok(estimated($$SELECT * FROM m WHERE tag = 't1' AND time < 25000$$) BETWEEN 250 AND 1000, 'estimate for a tag and a window');
VACUUM m;
SELECT ok(estimated('SELECT * FROM m') BETWEEN 25000 AND 100000, 'an estimate after VACUUM');
SELECT ok(estimated($$SELECT * FROM m WHERE tag = 't1'$$) BETWEEN 500 AND 2000, 'for a tag, too');
CREATE TABLE unanalyzed USING historian AS SELECT * FROM h;
SELECT ok(estimated('SELECT * FROM unanalyzed') BETWEEN 10000 AND 250000, 'an estimate without ANALYZE');

-- deleted and compacted space is reused
SELECT pg_total_relation_size('m') AS before \gset
SELECT cmp_ok(pg_total_relation_size('m'), '>=', pg_relation_size('m') + pg_indexes_size('m'), 'pg_total_relation_size counts the directory');
CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..20 LOOP
		INSERT INTO m SELECT * FROM h WHERE time % 20 = i - 1;
		COMMIT;
	END LOOP;
END $$;
CALL churn();
SELECT historian.compact('m') \gset
VACUUM m;
CALL churn();
SELECT historian.compact('m') \gset
VACUUM m;
SELECT pg_total_relation_size('m') AS twice \gset
CALL churn();
SELECT historian.compact('m') \gset
VACUUM m;
CALL churn();
SELECT historian.compact('m') \gset
VACUUM m;
SELECT same('many loads of the same rows');
SELECT cmp_ok(pg_total_relation_size('m'), '<=', (:twice * 1.1)::bigint, 'VACUUM makes merged segments'' space free for use');
DELETE FROM m WHERE tag <> 't1';
VACUUM m;
SELECT set_eq('SELECT * FROM m', $$SELECT * FROM h WHERE tag = 't1'$$, 'DELETE and VACUUM');
DELETE FROM m;
-- other work may hold it up
SELECT clock_timestamp() + interval '60 s' AS deadline \gset
\ir ../lib/vacuum_until_empty.sql
SELECT is(pg_relation_size('m'), 0::bigint, 'VACUUM gives an emptied table back');
INSERT INTO m SELECT * FROM h;
SELECT same('and it takes rows again');
SELECT pg_relation_size('m') AS size \gset
SELECT cmp_ok(:size, '>', 0, 'a size');
TRUNCATE m;
SELECT is(pg_relation_size('m'), 0::bigint, 'TRUNCATE gives all back');

-- compaction: figures and idempotence
INSERT INTO m SELECT * FROM h WHERE time % 2 = 0;
INSERT INTO m SELECT * FROM h WHERE time % 2 = 1;
SELECT tags, segments_merged, segments_written, "rows" FROM historian.compact('m') \gset
SELECT is(:tags::bigint, 50::bigint, 'compact() counts the tags');
SELECT is(:rows::bigint, 50002::bigint, 'and the rows');
SELECT cmp_ok(:segments_merged, '>=', 50, 'the segments merged');
SELECT cmp_ok(:segments_written, '<=', :segments_merged, 'and those written');
SELECT same('the rows are the same');
SELECT results_eq($$SELECT segments_merged FROM historian.compact('m')$$, 'VALUES (0::bigint)', 'nothing is left to merge');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT throws_ok($$SELECT historian.compact('m')$$, '0A000', 'historian.compact() needs the isolation level READ COMMITTED', 'compact in REPEATABLE READ');
ROLLBACK;
BEGIN;
INSERT INTO m VALUES (70000, 't1', '{1}');
SELECT historian.compact('m') \gset
INSERT INTO m VALUES (70000, 't1', '{2}');
SELECT is((SELECT count(*) FROM m WHERE time = 70000), 1::bigint, 'compact between two commands of a transaction');
ROLLBACK;
SELECT same('rolled back');

-- what a heap table had before it became a historian table
CREATE TABLE triggered (time bigint, tag text, values float8[]);
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER each AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
SELECT throws_ok('ALTER TABLE triggered SET ACCESS METHOD historian', '0A000',
	'historian tables do not support AFTER ... FOR EACH ROW triggers or foreign keys', 'of a table with an AFTER ROW trigger');
DROP TRIGGER each ON triggered;
CREATE TABLE known (tag text PRIMARY KEY);
ALTER TABLE triggered ADD FOREIGN KEY (tag) REFERENCES known;
SELECT throws_ok('ALTER TABLE triggered SET ACCESS METHOD historian', '0A000',
	'historian tables do not support AFTER ... FOR EACH ROW triggers or foreign keys', 'of a table with a foreign key');
ALTER TABLE triggered DROP CONSTRAINT triggered_tag_fkey;
CREATE TRIGGER statement AFTER INSERT ON triggered EXECUTE FUNCTION pg_temp.nothing();
SELECT lives_ok('ALTER TABLE triggered SET ACCESS METHOD historian', 'of a table with a statement trigger');

-- LIKE takes no directory along
SELECT lives_ok('CREATE TABLE like_heap (LIKE triggered INCLUDING ALL)', 'a heap table LIKE a historian table');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'like_heap'::regclass), 0::bigint, 'has no directory');
SELECT lives_ok('CREATE TABLE like_historian (LIKE triggered INCLUDING ALL) USING historian', 'a historian table LIKE another');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'like_historian'::regclass), 1::bigint, 'has one');
CREATE TABLE partly (time bigint, tag text, values float8[]);
CREATE INDEX ON partly (tag, time) WHERE time > 0;
CREATE TABLE like_partly (LIKE partly INCLUDING ALL);
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'like_partly'::regclass), 1::bigint, 'other partial indexes are copied');

SELECT * FROM finish();
DROP SCHEMA pgtap_rewrite CASCADE;
