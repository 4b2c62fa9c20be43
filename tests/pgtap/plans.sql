-- What the planner hands to the scan, and that the answers do not depend on it.
BEGIN;
SELECT plan(81);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
INSERT INTO h SELECT i, 't' || i % 20, ARRAY[i, i * 0.5] FROM generate_series(1, 20000) i;
INSERT INTO m SELECT * FROM h;
ANALYZE m;
ANALYZE h;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		lines := lines || line || E'\n';
	END LOOP;
	RETURN lines;
END $$;
-- since 18 rows are averages, with two decimals
CREATE FUNCTION pg_temp.analyzed(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		lines := lines || regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1') || E'\n';
	END LOOP;
	RETURN lines;
END $$;
-- %s stands for the table
CREATE FUNCTION pg_temp.rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(r::text, E''\n'' ORDER BY r::text) FROM (%s) r', query) INTO result;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.twin(query text) RETURNS text LANGUAGE sql AS $$
	SELECT ok(pg_temp.rows_of(format(query, 'm')) IS NOT DISTINCT FROM pg_temp.rows_of(format(query, 'h')),
		left(format(query, 'm'), 120))
$$;

-- pushed down
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE tag = 't1'$$), 'HistorianScan.*Historian Cond: \(tag = ''t1''::text\)', 'tag =');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE tag = 't1' AND time BETWEEN 5 AND 9$$), 'Historian Cond: [^\n]*time[^\n]*>= 5[^\n]*time[^\n]*<= 9[^\n]*tag', 'tag and time');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE time > 5$$), 'Historian Cond: [^\n]*> 5', 'time alone');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE tag IN ('t1', 't2')$$), 'Historian Cond: \(tag = ANY', 'tag IN');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE 5 < time AND 't1' = tag$$), 'Historian Cond: [^\n]*> 5[^\n]*t1', 'the other way round');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE time = historian.to_ns('2020-01-01 UTC') AND tag = 't1'$$), 'Historian Cond: [^\n]*1577836800000000000', 'a stable expression');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE time > historian.to_ns(now()) AND tag = 't1'$$), 'Historian Cond: [^\n]*to_ns', 'now()');
SELECT unalike(pg_temp.plan_of($$SELECT * FROM m WHERE values[1] > 5$$), '%Historian Cond%', 'values are not');
SELECT unalike(pg_temp.plan_of($$SELECT * FROM m WHERE time > random() * 100$$), '%Historian Cond%', 'nor volatile bounds');
SELECT alike(pg_temp.plan_of($$SELECT * FROM m WHERE tag = 't1' AND values[1] > 5$$), '%Filter%values%', 'the rest is a filter');

-- segments read
SELECT matches(pg_temp.analyzed($$SELECT * FROM m WHERE tag = 't1' AND time BETWEEN 100 AND 200 AND values[1] > 150$$), 'actual rows=2 .*Rows Removed by Filter: 3.*Tags Read: 1\n.*Segments Decoded: 1\n', 'EXPLAIN ANALYZE counts');
SELECT matches(pg_temp.analyzed($$SELECT * FROM m WHERE tag = 'nobody'$$), 'Segments Decoded: 0', 'an unknown tag reads nothing');
SELECT matches(pg_temp.analyzed($$SELECT * FROM m WHERE tag = 't1' AND time > 30000$$), 'Segments Decoded: 0', 'nor does a later time');
SELECT ok((pg_temp.analyzed($$SELECT * FROM m$$) ~ 'Tags Read: 20'), 'all tags');

-- generic plans
PREPARE one(text, bigint, bigint) AS SELECT * FROM m WHERE tag = $1 AND time >= $2 AND time < $3 ORDER BY time;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT matches(pg_temp.plan_of($$EXECUTE one('t1', 1, 100)$$), 'Historian Cond: [^\n]*\$2[^\n]*\$3[^\n]*\$1', 'a generic plan');
SELECT matches(pg_temp.analyzed($$EXECUTE one('t1', 1, 100)$$), 'Tags Read: 1', 'reads one tag');
SELECT results_eq($$EXECUTE one('t1', 1, 100)$$, $$SELECT * FROM h WHERE tag = 't1' AND time >= 1 AND time < 100 ORDER BY time$$, 'EXECUTE');
SELECT results_eq($$EXECUTE one('t2', 500, 600)$$, $$SELECT * FROM h WHERE tag = 't2' AND time >= 500 AND time < 600 ORDER BY time$$, 'EXECUTE with others');
SELECT is_empty($$EXECUTE one(NULL, 500, 600)$$, 'a NULL tag');
SELECT is_empty($$EXECUTE one('t2', NULL, 600)$$, 'a NULL bound');
PREPARE several(text[]) AS SELECT * FROM m WHERE tag = ANY ($1);
SELECT bag_eq($$EXECUTE several('{t3,t3,nobody,NULL,t4}')$$, $$SELECT * FROM h WHERE tag IN ('t3', 't4')$$, 'an array with repeats and NULL');
SELECT is_empty($$EXECUTE several('{}')$$, 'an empty array');
SELECT is_empty($$EXECUTE several(NULL)$$, 'a NULL array');
SELECT bag_eq($$EXECUTE several('{{t3,t4},{t5,t6}}')$$, $$SELECT * FROM h WHERE tag IN ('t3', 't4', 't5', 't6')$$, 'an array of two dimensions');
SET LOCAL plan_cache_mode = auto;

-- joins
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
CREATE TABLE wanted (tag text, since bigint);
INSERT INTO wanted VALUES ('t3', 19900), ('t5', 19950), ('nobody', 0), (NULL, 0), ('t3', 19990), ('t7', NULL);
SELECT matches(pg_temp.plan_of('SELECT * FROM wanted w JOIN m ON m.tag = w.tag AND m.time >= w.since'),
	'Nested Loop.*Historian Cond: [^\n]*w\.', 'a nested loop pushes the outer row down');
SELECT pg_temp.twin('SELECT * FROM wanted w JOIN %s x ON x.tag = w.tag AND x.time >= w.since');
SELECT pg_temp.twin('SELECT * FROM wanted w LEFT JOIN %s x ON x.tag = w.tag AND x.time >= w.since');
SELECT pg_temp.twin('SELECT w.*, y.* FROM wanted w LEFT JOIN LATERAL (SELECT * FROM %s x WHERE x.tag = w.tag AND time <= w.since ORDER BY time DESC LIMIT 1) y ON true');
SELECT pg_temp.twin('SELECT (SELECT count(*) FROM %s x WHERE x.tag = w.tag) FROM wanted w');
SELECT pg_temp.twin('SELECT * FROM wanted w WHERE EXISTS (SELECT FROM %s x WHERE x.tag = w.tag AND x.time > w.since)');
SELECT pg_temp.twin('SELECT a.time, b.time FROM %1$s a JOIN %1$s b ON a.tag = b.tag AND b.time = a.time + 20 WHERE a.tag = ''t9'' AND a.time < 1000');
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT pg_temp.twin('SELECT * FROM wanted w JOIN %s x ON x.tag = w.tag AND x.time >= w.since');
SELECT pg_temp.twin('SELECT a.time, b.tag FROM %1$s a JOIN %1$s b USING (time) WHERE a.tag = ''t9''');

-- shapes of queries
SELECT pg_temp.twin('SELECT tag, count(*), min(time), max(time), sum(values[1]) FROM %s GROUP BY tag');
SELECT pg_temp.twin('SELECT DISTINCT tag FROM %s');
SELECT pg_temp.twin('SELECT count(*) FROM %s');
SELECT pg_temp.twin('SELECT 1 FROM %s WHERE tag = ''t1''');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''t1'' OR time = 7');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag > ''t18''');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag <> ''t18'' AND time < 100');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''t1'' AND tag = ''t2''');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''t1'' AND tag IN (''t1'', ''t2'') AND time IN (1, 21, 22)');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag IS NULL');
SELECT pg_temp.twin('SELECT * FROM %s WHERE time IS NOT NULL AND time < 30');
SELECT pg_temp.twin('SELECT * FROM %s WHERE time > 5 AND time > 10 AND time <= 30 AND time < 40');
SELECT pg_temp.twin('SELECT * FROM %s WHERE (tag, time) = (''t1'', 21)');
SELECT pg_temp.twin('SELECT * FROM %s WHERE (tag, time) > (''t9'', 19900)');
SELECT pg_temp.twin('SELECT * FROM %s WHERE time <> 5 AND time < 10');
SELECT pg_temp.twin('SELECT * FROM %s WHERE time = 5::smallint');
SELECT pg_temp.twin('SELECT * FROM %s WHERE time = 5.5');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''t1''::varchar AND time < 99');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''t1''::name AND time < 99');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag COLLATE "C" = ''t1'' AND time < 99');
SELECT pg_temp.twin('SELECT *, row_number() OVER (PARTITION BY tag ORDER BY time) FROM %s WHERE time < 99');
SELECT pg_temp.twin('(SELECT * FROM %1$s WHERE tag = ''t1'' EXCEPT SELECT * FROM %1$s WHERE time > 100) UNION ALL SELECT * FROM %1$s WHERE time = 1');
SELECT pg_temp.twin('SELECT * FROM (SELECT tag, max(time) AS time FROM %1$s GROUP BY tag) l JOIN %1$s USING (tag, time)');
SELECT results_eq($$SELECT * FROM m WHERE tag = 't1' ORDER BY time LIMIT 5 OFFSET 3$$, $$SELECT * FROM h WHERE tag = 't1' ORDER BY time LIMIT 5 OFFSET 3$$, 'ORDER BY time');
SELECT results_eq($$SELECT * FROM m WHERE tag = 't1' ORDER BY time DESC LIMIT 5$$, $$SELECT * FROM h WHERE tag = 't1' ORDER BY time DESC LIMIT 5$$, 'ORDER BY time DESC');
SELECT results_eq($$SELECT * FROM m ORDER BY time LIMIT 50$$, $$SELECT * FROM h ORDER BY time LIMIT 50$$, 'ORDER BY time of all tags');
SELECT results_eq($$SELECT * FROM m WHERE tag IN ('t9', 't10') ORDER BY time LIMIT 50$$, $$SELECT * FROM h WHERE tag IN ('t9', 't10') ORDER BY time LIMIT 50$$, 'ORDER BY time of two tags');
SELECT results_eq($$SELECT * FROM m ORDER BY tag, time LIMIT 50$$, $$SELECT * FROM h ORDER BY tag, time LIMIT 50$$, 'ORDER BY tag, time');
SELECT matches(pg_temp.analyzed($$SELECT * FROM m WHERE tag = 't1' ORDER BY time LIMIT 1$$), 'HistorianScan[^\n]*actual rows=1 ', 'ORDER BY time LIMIT 1 reads one row');
SELECT matches(pg_temp.analyzed($$SELECT * FROM m WHERE tag = 't1' ORDER BY time DESC LIMIT 1$$), 'HistorianScan[^\n]*actual rows=1 ', 'ORDER BY time DESC LIMIT 1 reads one row');

-- a case-insensitive collation cannot be looked up by bytes
SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i' AND collencoding = -1) AS has_icu \gset
\if :has_icu
CREATE COLLATION pg_temp.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''T1'' COLLATE pg_temp.anycase AND time < 99');
CREATE TABLE mc (time bigint, tag text COLLATE pg_temp.anycase, values float8[]) USING historian;
INSERT INTO mc VALUES (1, 'Pump', '{1}'), (2, 'pump', '{2}'), (3, 'valve', '{3}');
SELECT results_eq($$SELECT time::int FROM mc WHERE tag = 'PUMP' ORDER BY time$$, 'VALUES (1), (2)', 'a column of such a collation');
SELECT results_eq($$SELECT time::int FROM mc WHERE tag IN ('PUMP', 'x') ORDER BY time$$, 'VALUES (1), (2)', 'IN under such a collation');
\else
SELECT skip('no ICU', 3);
\endif

-- parallel
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
SET LOCAL historian.enable_aggregate = off;
SELECT matches(pg_temp.plan_of('SELECT count(*), sum(values[1]) FROM m'), 'Gather.*Parallel', 'a parallel plan');
SELECT pg_temp.twin('SELECT count(*), sum(values[1]), min(time) FROM %s');
SELECT pg_temp.twin('SELECT tag, count(*) FROM %s GROUP BY tag');
SELECT pg_temp.twin('SELECT * FROM %s WHERE time BETWEEN 100 AND 5000');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag IN (''t1'', ''t2'', ''t3'') AND values[2] > 100');
SELECT pg_temp.twin('SELECT a.tag, count(*) FROM %1$s a JOIN %1$s b USING (tag, time) GROUP BY 1');
INSERT INTO m VALUES (50000, 't1', '{1}'), (5, 't5', '{0}');
INSERT INTO h VALUES (50000, 't1', '{1}');
DELETE FROM h WHERE tag = 't5' AND time = 5;
INSERT INTO h VALUES (5, 't5', '{0}');
SELECT pg_temp.twin('SELECT count(*), sum(values[1]), max(time) FROM %s');
-- renamed in 16
SELECT set_config(name, 'on', true) FROM pg_settings
	WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset unused_
SELECT pg_temp.twin('SELECT count(*), sum(values[1]), max(time) FROM %s WHERE tag = ''t5''');
SELECT is((SELECT count(*) FROM historian.downsample('m', 't1', 0, 1000, 10)), 10::bigint, 'downsample in a parallel worker');
SELECT set_config(name, 'off', true) FROM pg_settings
	WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset unused_

-- without the scan node
SET LOCAL historian.enable_scan = off;
SELECT unalike(pg_temp.plan_of($$SELECT * FROM m WHERE tag = 't1'$$), '%HistorianScan%', 'historian.enable_scan = off');
SELECT pg_temp.twin('SELECT * FROM %s WHERE tag = ''t1'' AND time BETWEEN 100 AND 5000');
SELECT pg_temp.twin('SELECT count(*), sum(values[1]), max(time) FROM %s');
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT pg_temp.twin('SELECT * FROM %s WHERE values[1] < 500');
-- the directory is no index to take rows from, though its predicate follows from a contradiction
SELECT pg_temp.twin('SELECT count(*) FROM %s WHERE tag = ''t1'' AND tag = ''t2''');
SELECT pg_temp.twin('SELECT max(time) FROM (SELECT * FROM %1$s WHERE tag = ''t1'' UNION ALL SELECT * FROM %1$s WHERE tag = ''t2'') u WHERE tag = ''t1''');

SELECT * FROM finish();
ROLLBACK;
