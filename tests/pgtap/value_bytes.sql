-- historian.value_bytes(): the bytes of values are those of float8send() one after the other, and a bitmap where one is NULL.
BEGIN;
SELECT plan(11);
SET LOCAL client_min_messages = warning;

-- The same in SQL: bytes of each column, and a bit for each if one is NULL, the first one in the lowest bit.
CREATE FUNCTION pg_temp.expected(v float8[], columns integer) RETURNS bytea LANGUAGE sql AS $$
	WITH c AS (SELECT i, v[array_lower(v, 1) + i] AS x FROM generate_series(0, columns - 1) i)
	SELECT coalesce((SELECT string_agg(coalesce(float8send(x), '\x0000000000000000'), '' ORDER BY i) FROM c), '') ||
		CASE WHEN EXISTS (SELECT FROM c WHERE x IS NULL) THEN
			(SELECT string_agg(set_byte('\x00', 0, b::integer), '' ORDER BY octet) FROM
				(SELECT i / 8 AS octet, sum(CASE WHEN x IS NULL THEN 0 ELSE 1 << (i % 8) END) AS b FROM c GROUP BY 1) o)
		ELSE '' END $$;

SELECT setseed(0.52);
CREATE TEMP TABLE r AS
	SELECT n, columns, (SELECT coalesce(array_agg(CASE WHEN random() < holes THEN NULL ELSE (random() - 0.5) * 10 ^ (random() * 600 - 300) END ORDER BY i), '{}')
		FROM generate_series(1, width) i) AS v
	FROM (SELECT n, columns, n % 2 * 0.3 * random() AS holes, CASE WHEN n % 3 = 0 THEN columns ELSE floor(random() * (columns + 1))::integer END AS width
		FROM (SELECT n, floor(random() * 40)::integer AS columns FROM generate_series(1, 600) n) a) b;
SELECT is((SELECT count(*) FROM r WHERE historian.value_bytes(v, columns) IS DISTINCT FROM pg_temp.expected(v, columns)), 0::bigint,
	'random arrays, with and without NULL, too short and not');
SELECT is((SELECT count(DISTINCT length(historian.value_bytes(v, columns)) - 8 * columns) > 3 FROM r), true, 'of which some have bitmaps and some have none');
SELECT is(historian.value_bytes('{NaN,-0,Infinity}', 3), '\x7ff800000000000080000000000000007ff0000000000000', 'bits are kept');
SELECT is(historian.value_bytes('{1,NULL}', 3), '\x3ff00000000000000000000000000000000000000000000001', 'NULL and missing values are zeros, without bits');
SELECT is(historian.value_bytes('[5:6]={1,2}', 2), historian.value_bytes('{1,2}', 2), 'another lower bound');
SELECT is(historian.value_bytes(('{1,NULL}'::float8[])[1:1], 1), '\x3ff0000000000000', 'a part without the NULL of the whole');
SELECT is(historian.value_bytes('{}', 0), '\x', 'nothing');
SELECT is(historian.value_bytes(NULL, 3), NULL, 'NULL');
SELECT throws_ok($$SELECT historian.value_bytes('{1,2,3}', 2)$$, '2202E', 'a row has 3 values, more values than the 2 columns', 'too many values');
SELECT throws_ok($$SELECT historian.value_bytes('{{1,2},{3,4}}', 4)$$, '2202E', 'values must have one dimension, not 2', 'two dimensions');
SELECT throws_ok($$SELECT historian.value_bytes('{}', -1)$$, '22023', 'number of columns must be between 0 and 16777216', 'a negative number');
SELECT * FROM finish();
ROLLBACK;
