-- Rows of up to 8,086 bytes fit, whatever their values are: 8 bytes a value, a bit a value where any is NULL, and the tag.
SET client_min_messages = warning;
BEGIN;
SELECT plan(8);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);

-- doubles of all magnitudes, some of few digits
CREATE FUNCTION pg_temp.noise(n int, nulls bool) RETURNS float8[] LANGUAGE sql VOLATILE AS $$
	SELECT array_agg(CASE WHEN nulls AND (i = 1 OR random() < 0.01) THEN NULL WHEN random() < 0.1 THEN round(random() * 100)
		ELSE (random() + 1e-16 * random()) * ('1e' || (random() * 600 - 300)::int)::float8 * sign(random() - 0.5) END)
	FROM generate_series(1, n) i
$$;
-- the most values that fit with a tag of so many bytes
CREATE FUNCTION pg_temp.most(tag_bytes int, nulls bool) RETURNS int LANGUAGE sql AS $$
	SELECT max(n) FROM generate_series(1, 1000) n WHERE 8 * n + CASE WHEN nulls THEN ceil(n / 8.0) ELSE 0 END + tag_bytes <= 8086
$$;
SELECT is(ARRAY[pg_temp.most(1, false), pg_temp.most(86, false), pg_temp.most(256, false), pg_temp.most(256, true)],
	'{1000,1000,978,963}', 'what the docs say');

INSERT INTO h SELECT -9223372036854775807 + (random() * 1e18)::bigint, repeat('x', bytes - 3) || lpad(nr::text, 3, '0'), pg_temp.noise(pg_temp.most(bytes, nulls), nulls)
	FROM (SELECT CASE WHEN i < 20 THEN 86 WHEN i < 40 THEN 256 ELSE 3 + (random() * 253)::int END AS bytes, i % 2 = 0 AS nulls, i AS nr FROM generate_series(1, 120) i) s;
-- the same beside a narrow row, and beside a wider one that compresses
INSERT INTO h SELECT time + 1, tag, '{1}' FROM h WHERE random() < 0.3;
INSERT INTO h SELECT time - 1, tag, array_fill(1.5::float8, ARRAY[1000]) FROM h WHERE cardinality(values) > 1 AND random() < 0.3;
SELECT lives_ok('INSERT INTO m SELECT * FROM h', 'the most values that fit are stored');
SELECT results_eq('SELECT tag, time, values FROM m ORDER BY tag, time', 'SELECT tag, time, values FROM h ORDER BY tag, time', 'and come back');
SELECT lives_ok($$SELECT historian.compact('m')$$, 'they are compacted');
SELECT results_eq('SELECT tag, time, values FROM m ORDER BY tag, time', 'SELECT tag, time, values FROM h ORDER BY tag, time', 'and come back then');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'intact');
SELECT lives_ok($$INSERT INTO m SELECT 1, 'r', array_agg(random()) FROM generate_series(1, 1000)$$, '1,000 numbers from 0 to 1');
SELECT throws_like($$INSERT INTO m SELECT 1, repeat('x', 256), pg_temp.noise(1000, false)$$,
	'row of tag "x%" at time 1 is too large for historian table "m"', 'what does not fit is refused');
SELECT * FROM finish();
ROLLBACK;
