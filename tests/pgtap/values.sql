-- Every value comes back bit for bit, or is refused when inserted.
BEGIN;
SELECT plan(63);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);

-- Bits of a double, so that every NaN can be made.
CREATE FUNCTION pg_temp.same(what text) RETURNS text LANGUAGE sql AS $$
	SELECT set_eq(
		'SELECT time, tag, array_send(values) FROM m', 'SELECT time, tag, array_send(values) FROM h', what)
$$;
CREATE FUNCTION pg_temp.both(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(statement, 'm');
	EXECUTE format(statement, 'h');
END $$;
CREATE FUNCTION pg_temp.next_test() RETURNS void LANGUAGE sql AS 'TRUNCATE m, h';

-- arrays
SELECT pg_temp.both($$INSERT INTO %I VALUES
	(1, 'null array', NULL), (2, 'null array', '{}'), (3, 'null array', '{NULL}'),
	(4, 'null array', '{NULL,NULL,NULL}'), (5, 'null array', '{1,NULL,3}'), (6, 'null array', NULL)$$);
SELECT pg_temp.same('NULL arrays, empty arrays, NULL elements');
SELECT is((SELECT values FROM m WHERE time = 1), NULL, 'a NULL array stays NULL');
SELECT is((SELECT array_ndims(values) FROM m WHERE time = 2), NULL, 'an empty array stays empty');
SELECT is((SELECT cardinality(values) FROM m WHERE time = 4), 3, 'NULL elements count');
SELECT pg_temp.next_test();

SELECT pg_temp.both($$INSERT INTO %I SELECT i, 'ragged',
	(SELECT array_agg(i + j / 8.0::float8) FROM generate_series(1, i %% 13) j) FROM generate_series(1, 3000) i$$);
SELECT pg_temp.same('ragged arrays');
SELECT pg_temp.both($$INSERT INTO %I SELECT i, 'ragged with NULL',
	(SELECT array_agg(CASE WHEN (i * j) %% 7 > 0 THEN i + j / 8.0::float8 END) FROM generate_series(1, i %% 5) j)
	FROM generate_series(1, 3000) i$$);
SELECT pg_temp.same('ragged arrays with NULL elements');
SELECT pg_temp.both($$INSERT INTO %I SELECT i, 'only NULL', NULL FROM generate_series(1, 5000) i$$);
SELECT pg_temp.same('a tag of NULL arrays');
SELECT pg_temp.both($$INSERT INTO %I SELECT i, 'only empty', '{}' FROM generate_series(1, 5000) i$$);
SELECT pg_temp.same('a tag of empty arrays');
SELECT pg_temp.next_test();

SELECT pg_temp.both($$INSERT INTO %I SELECT 1, 'wide', array_agg(j) FROM generate_series(1, 1000) j$$);
SELECT pg_temp.both($$INSERT INTO %I SELECT i, 'wide', array_agg(j * i) FROM generate_series(1, 999) j, generate_series(2, 40) i GROUP BY i$$);
SELECT pg_temp.same('1000 values');
SELECT throws_ok($$INSERT INTO m SELECT 1, 'wider', array_agg(j) FROM generate_series(1, 1001) j$$, '54000',
	'number of values (1001) exceeds the maximum allowed (1000)', '1001 values');
SELECT throws_ok($$INSERT INTO m SELECT 1, rpad('incompressible', 100, '.'),
	array_agg(('x' || left(md5(j::text), 13))::bit(52)::bigint * pi()) FROM generate_series(1, 1000) j$$, '54000',
	'row of tag "' || rpad('incompressible', 100, '.') || '" at time 1 is too large for historian table "m"', 'a row over a page');
SELECT pg_temp.both($$INSERT INTO %I SELECT 1, 'half a page',
	array_agg(('x' || left(md5(j::text), 13))::bit(52)::bigint * pi()) FROM generate_series(1, 500) j$$);
SELECT pg_temp.same('500 incompressible values');

SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '{{1,2},{3,4}}')$$, '2202E',
	'values must be a one-dimensional array with lower bound 1', 'two dimensions');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '{{1}}')$$, '2202E',
	'values must be a one-dimensional array with lower bound 1', 'two dimensions of one element');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '[0:1]={1,2}')$$, '2202E',
	'values must be a one-dimensional array with lower bound 1', 'lower bound 0');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '[-5:-5]={1}')$$, '2202E',
	'values must be a one-dimensional array with lower bound 1', 'lower bound -5');
SELECT pg_temp.same('nothing of the refused is stored');
SELECT pg_temp.next_test();

-- doubles, made from their bits through the binary form of COPY
CREATE TABLE bits (n int, hex text);
INSERT INTO bits VALUES
	(1, '7ff8000000000000'), (2, 'fff8000000000000'), (3, '7ff8000000000001'), (4, '7ff0000000000001'),
	(5, 'fff7ffffffffffff'), (6, '7fffffffffffffff'), (7, 'ffffffffffffffff'), (8, '8000000000000000'),
	(9, '0000000000000000'), (10, '7ff0000000000000'), (11, 'fff0000000000000'), (12, '0000000000000001'),
	(13, '8000000000000001'), (14, '000fffffffffffff'), (15, '0010000000000000'), (16, '7fefffffffffffff'),
	(17, 'ffefffffffffffff'), (18, '3ff0000000000001'), (19, '3fb999999999999a'), (20, '4340000000000001');
SELECT pg_temp.both($$INSERT INTO %I VALUES
	(1, 'special', '{NaN,-NaN,Infinity,-Infinity,0,-0,5e-324,-5e-324}'),
	(2, 'special', '{2.225073858507201e-308,2.2250738585072014e-308,1.7976931348623157e308,-1.7976931348623157e308}'),
	(3, 'special', '{-0,-0,0,0}'), (4, 'special', '{-0,NaN,0,-0}'), (5, 'special', '{NaN,NaN,NaN,NaN}'),
	(6, 'special', '{Infinity,-Infinity,NaN,NULL}')$$);
SELECT pg_temp.same('NaN, infinities, -0.0, subnormals');
SELECT is((SELECT float8send(values[6]) FROM m WHERE time = 1), '\x8000000000000000'::bytea, '-0.0 keeps its sign');
SELECT is((SELECT float8send(values[7]) FROM m WHERE time = 1), '\x0000000000000001'::bytea, 'the least subnormal');

-- NaN payloads can only enter in binary: a COPY file is put together here and read back
CREATE FUNCTION pg_temp.copy_file(nulls boolean) RETURNS bytea LANGUAGE sql AS $$
	SELECT '\x5047434f50590aff0d0a000000000000000000'::bytea
		|| string_agg('\x0003'::bytea || int4send(8) || int8send(n) || int4send(7) || 'payload'::bytea
			|| int4send(20 + 12 * 2) || int4send(1) || int4send(0) || int4send(701) || int4send(2) || int4send(1)
			|| int4send(8) || decode(hex, 'hex') || int4send(8) || decode(hex, 'hex'), ''::bytea ORDER BY n)
		|| '\xffff'::bytea
	FROM bits
$$;
SELECT encode(pg_temp.copy_file(false), 'base64') AS file \gset
\setenv COPY_FILE :file
\copy m from program 'printf %s "$COPY_FILE" | base64 -d' (format binary)
SELECT results_eq(
	$$SELECT time::int, encode(float8send(values[1]), 'hex'), encode(float8send(values[2]), 'hex')
	  FROM m WHERE tag = 'payload' ORDER BY time$$,
	'SELECT n, hex, hex FROM bits ORDER BY n', 'NaN payloads, quiet and signalling, bit for bit');
SELECT pg_temp.next_test();

-- values that compress by different rules
SELECT setseed(0.25);
CREATE TABLE source AS
SELECT i::bigint * 1000000007 AS time, k.kind AS tag,
	CASE k.kind
		WHEN 'constant' THEN array_fill(42.5::float8, ARRAY[3])
		WHEN 'steps' THEN ARRAY[i / 100, (i / 50) % 2, (i / 1000) * 0.1]
		WHEN 'walk' THEN ARRAY[round((100 * sin(i / 500.0))::numeric, 2)::float8, round((50 + i * 0.01)::numeric, 2)::float8]
		WHEN 'noise' THEN ARRAY[random(), random() * 1e300, -random() * 1e-300]
		WHEN 'integers' THEN ARRAY[i, -i, i::float8 * 9007199254740993]
		WHEN 'single precision' THEN ARRAY[sin(i)::real::float8, cos(i)::real::float8]
		WHEN 'huge and tiny' THEN ARRAY[CASE WHEN i % 2 = 0 THEN 1.7e308 ELSE 5e-324 END, power(-1, i) * power(2, i % 1000)]
		WHEN 'outliers' THEN ARRAY[CASE WHEN i % 97 = 0 THEN 'NaN' WHEN i % 89 = 0 THEN '-Infinity' WHEN i % 83 = 0 THEN '-0' ELSE i * 0.125 END]
	END::float8[] AS values
FROM generate_series(1, 5000) i, unnest(ARRAY['constant', 'steps', 'walk', 'noise', 'integers',
	'single precision', 'huge and tiny', 'outliers']) k(kind);
SELECT pg_temp.both('INSERT INTO %I SELECT * FROM source');
SELECT pg_temp.same('all kinds of numbers');
SELECT pg_temp.next_test();

-- times
SELECT pg_temp.both($$INSERT INTO %I VALUES
	(9223372036854775807, 'ends', '{1}'), (-9223372036854775808, 'ends', '{2}'), (0, 'ends', '{3}'),
	(-1, 'ends', '{4}'), (1, 'ends', '{5}'), (9223372036854775806, 'ends', '{6}'),
	(-9223372036854775807, 'ends', '{7}')$$);
SELECT pg_temp.same('the ends of int64');
SELECT results_eq($$SELECT values[1]::int FROM m WHERE tag = 'ends' AND time >= 9223372036854775807$$,
	'VALUES (1)', 'the last time alone');
SELECT results_eq($$SELECT values[1]::int FROM m WHERE tag = 'ends' AND time <= -9223372036854775808$$,
	'VALUES (2)', 'the first time alone');
SELECT is_empty($$SELECT * FROM m WHERE tag = 'ends' AND time > 9223372036854775807$$, 'nothing after the last');
SELECT is_empty($$SELECT * FROM m WHERE tag = 'ends' AND time < -9223372036854775808$$, 'nothing before the first');
SELECT is((SELECT count(*) FROM m WHERE tag = 'ends' AND time > -9223372036854775808), 6::bigint, 'all after the first');
SELECT is((SELECT count(*) FROM m WHERE tag = 'ends' AND time BETWEEN -9223372036854775808 AND 9223372036854775807),
	7::bigint, 'the whole of int64');
SELECT is_empty($$SELECT * FROM m WHERE tag = 'ends' AND time BETWEEN 1 AND -1$$, 'an empty window');
SELECT is_empty($$SELECT * FROM m WHERE tag = 'ends' AND time > 5 AND time < 6$$, 'a window between two times');
SELECT is((SELECT count(*) FROM m WHERE tag = 'ends' AND time > 1::smallint AND time < 2147483647::int), 0::bigint,
	'smallint and int bounds');
SELECT is((SELECT count(*) FROM m WHERE tag = 'ends' AND time > 0.5), 3::bigint, 'a numeric bound');
SELECT is((SELECT count(*) FROM m WHERE tag = 'ends' AND time = NULL), 0::bigint, 'time = NULL');
SELECT throws_ok($$INSERT INTO m VALUES (NULL, 'a', '{1}')$$, '23502',
	'null value in column "time" of historian table "m" is not allowed', 'a NULL time');
SELECT throws_ok($$INSERT INTO m VALUES (9223372036854775808, 'a', '{1}')$$, '22003', NULL, 'a time over int64');
SELECT pg_temp.next_test();

-- tags
SELECT pg_temp.both($$INSERT INTO %I VALUES (1, 'a', '{1}'), (1, 'A', '{2}'), (1, ' a', '{3}'), (1, 'a ', '{4}'),
	(1, 'ä', '{5}'), (1, E'a\u0308', '{6}'), (1, '漢字', '{7}'), (1, E'\t\n\\"''', '{8}'), (1, '😀', '{9}'),
	(1, '%%', '{10}'), (1, '_', '{11}'), (1, E'\x01', '{12}')$$);
INSERT INTO m VALUES (1, repeat('x', 256), '{1}'); INSERT INTO h VALUES (1, repeat('x', 256), '{1}');
INSERT INTO m VALUES (1, repeat('x', 255) || 'y', '{2}'); INSERT INTO h VALUES (1, repeat('x', 255) || 'y', '{2}');
INSERT INTO m VALUES (1, repeat('ä', 128), '{3}'); INSERT INTO h VALUES (1, repeat('ä', 128), '{3}');
SELECT pg_temp.same('tags of all kinds');
SELECT is((SELECT count(*) FROM h x WHERE (SELECT count(*) FROM m WHERE m.tag = x.tag) <> 1), 0::bigint,
	'each tag is found by its own name only');
SELECT is((SELECT count(*) FROM m WHERE tag = repeat('x', 256)), 1::bigint, 'a tag of 256 bytes is found');
SELECT is((SELECT count(*) FROM m WHERE tag = 'x'), 0::bigint, 'a prefix is not');
SELECT is((SELECT count(*) FROM m WHERE tag LIKE 'x%'), 2::bigint, 'LIKE');
SELECT throws_ok($$INSERT INTO m VALUES (1, NULL, '{1}')$$, '23502',
	'null value in column "tag" of historian table "m" is not allowed', 'a NULL tag');
SELECT throws_ok($$INSERT INTO m VALUES (1, '', '{1}')$$, '22026', 'tag length of 0 bytes is out of range', 'an empty tag');
SELECT throws_ok($$INSERT INTO m VALUES (1, repeat('x', 257), '{1}')$$, '22026', 'tag length of 257 bytes is out of range', 'a tag of 257 bytes');
SELECT throws_ok($$INSERT INTO m VALUES (1, repeat('ä', 129), '{1}')$$, '22026', 'tag length of 258 bytes is out of range', 'bytes are counted');
SELECT throws_ok($$INSERT INTO m VALUES (1, repeat('x', 100000), '{1}')$$, '22026', 'tag length of 100000 bytes is out of range', 'a toasted tag');
SELECT is((SELECT count(*) FROM m WHERE tag = ''), 0::bigint, 'tag = '''' finds nothing');
SELECT is((SELECT count(*) FROM m WHERE tag = NULL), 0::bigint, 'tag = NULL finds nothing');
SELECT is((SELECT count(*) FROM m WHERE tag = repeat('x', 100000)), 0::bigint, 'an impossible tag finds nothing');

-- one refused row takes its whole command back
SELECT throws_ok($$INSERT INTO m SELECT i, 'all or nothing', CASE WHEN i < 5000 THEN '{1}'::float8[] ELSE '{{1}}' END
	FROM generate_series(1, 5000) i$$, '2202E', NULL, 'the last row of 5000 is refused');
SELECT is((SELECT count(*) FROM m WHERE tag = 'all or nothing'), 0::bigint, 'and none is stored');

-- values whose parts are used in the query
SELECT pg_temp.next_test();
SELECT pg_temp.both($$INSERT INTO %I VALUES (1, 'a', '{1,2,3}'), (2, 'a', NULL), (3, 'a', '{4}')$$);
SELECT results_eq('SELECT values[1] FROM m ORDER BY time', 'SELECT values[1] FROM h ORDER BY time', 'values[1]');
SELECT results_eq('SELECT time + 1, tag, values FROM m ORDER BY time', 'SELECT time + 1, tag, values FROM h ORDER BY time',
	'an expression beside values');
SELECT results_eq('SELECT cardinality(values) FROM m ORDER BY time', 'SELECT cardinality(values) FROM h ORDER BY time',
	'a function of values');
SELECT results_eq('SELECT m FROM m ORDER BY time', $$SELECT row(time, tag, values)::m FROM h ORDER BY time$$, 'a whole row');
SELECT results_eq('SELECT count(values), sum(values[1]) FROM m', 'SELECT count(values), sum(values[1]) FROM h', 'aggregates');
SELECT results_eq('SELECT time FROM m WHERE values IS NULL', 'SELECT time FROM h WHERE values IS NULL', 'values IS NULL');
SELECT results_eq('SELECT time FROM m WHERE 2 = ANY (values)', 'SELECT time FROM h WHERE 2 = ANY (values)', 'a condition on values');
SELECT results_eq('SELECT v FROM m, unnest(values) v ORDER BY time, v', 'SELECT v FROM h, unnest(values) v ORDER BY time, v',
	'unnest(values)');
SELECT results_eq('SELECT json_agg(m ORDER BY time)::text FROM m', 'SELECT json_agg(h ORDER BY time)::text FROM h', 'json_agg');
SELECT results_eq('SELECT a.values FROM m a JOIN m b ON a.values = b.values ORDER BY a.time',
	'SELECT a.values FROM h a JOIN h b ON a.values = b.values ORDER BY a.time', 'a join on values');
SELECT pg_temp.both('INSERT INTO %1$I SELECT time + 1000, tag, values FROM %1$I');
SELECT pg_temp.same('INSERT .. SELECT of an expression from itself');
SELECT pg_temp.both('INSERT INTO %1$I SELECT time + 5000, tag, values || 1::float8 FROM %1$I');
SELECT pg_temp.same('INSERT .. SELECT from itself ends');

SELECT * FROM finish();
ROLLBACK;
