-- raw(), latest(), tags(), moving_average() and downsample_many().
BEGIN;
SELECT plan(49);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m VALUES (1, 'b', '{1}'), (2, 'b', '{2,20}'), (3, 'b', NULL), (4, 'b', '{NULL,40}'), (9, 'b', '{9}'),
	(5, 'a', '{5}'), (-9223372036854775808, 'Z', '{-1}'), (9223372036854775807, 'Z', '{1}'), (7, E'\u00e4', '{}');

-- raw
SELECT results_eq($$SELECT * FROM historian.raw('m', 'b', 2, 9)$$,
	$$VALUES (2::bigint, '{2,20}'::float8[]), (3, NULL), (4, '{NULL,40}')$$, 'raw: start is inside, end is outside');
SELECT is_empty($$SELECT * FROM historian.raw('m', 'c', 0, 9)$$, 'raw of an unknown tag');
SELECT is_empty($$SELECT * FROM historian.raw('m', 'b', 5, 9)$$, 'raw of a gap');
SELECT results_eq($$SELECT time FROM historian.raw('m', 'Z', -9223372036854775808, 9223372036854775807)$$,
	$$VALUES (-9223372036854775808)$$, 'raw from the first of times');
SELECT throws_ok($$SELECT historian.raw('m', 'b', 9, 9)$$, '22023', 'start (9) must be less than end (9)', 'raw of an empty window');

-- latest
SELECT results_eq($$SELECT * FROM historian.latest('m')$$,
	$$VALUES ('Z', 9223372036854775807, '{1}'::float8[]), ('a', 5, '{5}'), ('b', 9, '{9}'), (E'\u00e4', 7, '{}')$$, 'latest, in byte order');
SELECT results_eq($$SELECT tag, time FROM historian.latest('m', '{b, no, a, NULL, b}')$$,
	$$VALUES ('a', 5::bigint), ('b', 9)$$, 'latest of some tags, each once');
SELECT is_empty($$SELECT * FROM historian.latest('m', '{}')$$, 'latest of none');
SELECT is_empty($$SELECT * FROM historian.latest('m', NULL)$$, 'latest of NULL');
INSERT INTO m VALUES (10, 'b', NULL);
SELECT results_eq($$SELECT * FROM historian.latest('m', '{b}')$$, $$VALUES ('b', 10::bigint, NULL::float8[])$$, 'latest is a row, even if NULL');

-- tags
SELECT results_eq($$SELECT * FROM historian.tags('m')$$,
	$$VALUES ('Z', -9223372036854775808, 9223372036854775807, 2::bigint), ('a', 5, 5, 1), ('b', 1, 10, 6), (E'\u00e4', 7, 7, 1)$$, 'tags');
INSERT INTO m VALUES (2, 'b', '{1}'), (5, 'b', '{1}'), (5, 'a', '{6}');
SELECT results_eq($$SELECT tag, samples FROM historian.tags('m')$$,
	$$VALUES ('Z', 2::bigint), ('a', 1), ('b', 7), (E'\u00e4', 1)$$, 'tags: rows that were replaced do not count');
DELETE FROM m WHERE tag = 'a' OR time = 1;
SELECT results_eq($$SELECT tag, first_time, samples FROM historian.tags('m') WHERE tag <> 'Z'$$,
	$$VALUES ('b', 2::bigint, 6::bigint), (E'\u00e4', 7, 1)$$, 'nor deleted ones');
SELECT is_empty($$SELECT * FROM historian.latest('m', '{a}')$$, 'latest of a tag whose rows are deleted');
SAVEPOINT s;
TRUNCATE m;
SELECT is_empty($$SELECT * FROM historian.tags('m')$$, 'tags of an empty table');
SELECT is_empty($$SELECT * FROM historian.latest('m')$$, 'latest of an empty table');
ROLLBACK TO s;

-- moving_average
INSERT INTO m VALUES (10, 'v', '{1, NULL}'), (20, 'v', '{3, 4}'), (30, 'v', '{8}'), (40, 'v', NULL), (50, 'v', '{Infinity}'), (60, 'v', '{1}'), (70, 'v', '{NaN}'), (80, 'v', '{1}');
SELECT results_eq($$SELECT * FROM historian.moving_average('m', 'v', 0, 90, 9, 20)$$,
	$$VALUES (10::bigint, '{1,NULL}'::float8[]), (20, '{2,4}'), (30, '{5.5,4}'), (40, '{8}'), (50, '{Infinity}'), (60, '{Infinity}'), (70, '{NaN}'), (80, '{NaN}'), (90, '{1}')$$,
	'moving_average: infinity and NaN leave with their rows');
SELECT results_eq($$SELECT * FROM historian.moving_average('m', 'v', 30, 50, 2, 10)$$,
	$$VALUES (40::bigint, NULL::float8[]), (50, '{Infinity}')$$, 'moving_average without an array');
SELECT results_eq($$SELECT * FROM historian.moving_average('m', 'v', 20, 40, 1, 9223372036854775807)$$,
	$$VALUES (40::bigint, '{4,4}'::float8[])$$, 'a window that begins before the window of samples');
SELECT results_eq($$SELECT * FROM historian.moving_average('m', 'Z', -9223372036854775808, 0, 2, 9223372036854775807)$$,
	$$VALUES (-4611686018427387904, '{-1}'::float8[]), (0, NULL)$$, 'and before all times');
INSERT INTO m SELECT i, 'spike', ARRAY[CASE i WHEN 500 THEN 1e300 ELSE 0.1 END] FROM generate_series(1, 1000) i;
SELECT is((SELECT count(*) FROM historian.moving_average('m', 'spike', 0, 1000, 1000, 100) WHERE abs(values[1] - 0.1) < 1e-16), 900::bigint, 'a spike leaves nothing behind');
-- with so little memory most rows of a window are read twice
CREATE TABLE wide (time bigint, tag text, values float8[]) USING historian;
INSERT INTO wide SELECT i, 't', CASE WHEN i % 997 = 0 THEN NULL WHEN i % 10 = 0 THEN ARRAY[i * 7919 % 1000]::float8[] ELSE ARRAY[i * 7919 % 1000, i, NULLIF(i % 3, 0), CASE i WHEN 1500 THEN 'Infinity'::float8 ELSE i % 4 END] END
	FROM generate_series(1, 2500) i ORDER BY i * 7919 % 2501;
SET LOCAL work_mem = '64kB';
SELECT results_eq(format($$SELECT * FROM historian.moving_average('wide', 't', 0, 3000, 3000, %s)$$, span),
	format($$SELECT i::bigint, CASE WHEN max(cardinality(values)) OVER w > 1 THEN ARRAY[avg(values[1]) OVER w, avg(values[2]) OVER w, avg(values[3]) OVER w, CASE WHEN max(values[4]) OVER w < 'Infinity' THEN avg(values[4]) OVER w WHEN max(values[4]) OVER w IS NOT NULL THEN 'Infinity' END]
		WHEN count(values) OVER w > 0 THEN ARRAY[avg(values[1]) OVER w] END
		FROM generate_series(1, 3000) i LEFT JOIN wide ON time = i WINDOW w AS (ORDER BY i ROWS BETWEEN %s PRECEDING AND CURRENT ROW) ORDER BY i$$, span - 1),
	'moving_average over ' || span || ' of 2,500 rows')
	FROM unnest(ARRAY[1, 2, 113, 300, 600, 100000]) span;
RESET work_mem;
SELECT is((SELECT count(*) FROM historian.moving_average('m', 'no', 0, 90, 9, 20)), 0::bigint, 'moving_average of an unknown tag');
SELECT throws_ok($$SELECT historian.moving_average('m', 'v', 0, 90, 9, 0)$$, '22023', 'window (0) must be greater than zero', 'moving_average over nothing');

-- downsample_many
SELECT results_eq($$SELECT * FROM historian.downsample_many('m', '{v, b, no, v, NULL}', 0, 80, 2, 'max')$$,
	$$VALUES ('b', 40::bigint, '{9,40}'::float8[]), ('b', 80, NULL), ('v', 40, '{8,4}'), ('v', 80, '{NaN}')$$, 'downsample_many');
SELECT results_eq($$SELECT tag, time, values FROM historian.downsample_many('m', '{v, b}', 0, 80, 2)$$,
	$$SELECT t, d.* FROM unnest('{b, v}'::text[]) t, historian.downsample('m', t, 0, 80, 2) d$$, 'as downsample of each tag');
SELECT results_eq(format($$SELECT tag, time, values FROM historian.downsample_many('m', '{v, b, spike}', 0, 80, 7, %L)$$, method),
	format($$SELECT t, d.* FROM unnest('{b, spike, v}'::text[]) t, historian.downsample('m', t, 0, 80, 7, %L) d$$, method), 'by ' || method)
FROM unnest('{count, plot, interpolated}'::text[]) method;

-- privileges
CREATE ROLE pgtap_functions_reader;
CREATE FUNCTION calls() RETURNS TABLE (name text, query text) LANGUAGE sql AS $$
	VALUES ('downsample', 'SELECT historian.downsample(''m'', ''v'', 0, 9)'),
		('downsample_many', 'SELECT historian.downsample_many(''m'', ''{v}'', 0, 9)'),
		('moving_average', 'SELECT historian.moving_average(''m'', ''v'', 0, 9, 1, 1)'),
		('raw', 'SELECT historian.raw(''m'', ''v'', 0, 9)'),
		('latest', 'SELECT historian.latest(''m'')'), ('tags', 'SELECT historian.tags(''m'')')
$$;
GRANT USAGE ON SCHEMA historian TO pgtap_functions_reader;
SET ROLE pgtap_functions_reader;
SELECT throws_ok(query, '42501', 'permission denied for table m', name || ' needs SELECT') FROM calls();
RESET ROLE;
GRANT SELECT ON m TO pgtap_functions_reader;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
SET ROLE pgtap_functions_reader;
SELECT is_empty(query, name || ' without a policy for the role') FROM calls();
RESET ROLE;
ALTER TABLE m DISABLE ROW LEVEL SECURITY;
SET ROLE pgtap_functions_reader;
SELECT lives_ok('DO $$BEGIN PERFORM 1 FROM (' || string_agg(query, ') a UNION ALL SELECT 1 FROM (') || ') a; END$$', 'with SELECT all work')
FROM calls();
RESET ROLE;

-- declarations
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'historian'::regnamespace
	AND proname IN (SELECT name FROM calls()) AND NOT (provolatile = 's' AND proparallel = 'r'
		AND (proisstrict OR 'value' = ANY (proargnames)))$$, 'all are stable, parallel restricted (the table may be temporary) and strict but for the argument value');
CREATE TABLE heap (a int);
SELECT throws_ok($$SELECT historian.tags('heap')$$, '42809', NULL, 'of another table');

SELECT * FROM finish();
ROLLBACK;
