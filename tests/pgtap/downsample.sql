-- historian.downsample() against a brute force over a heap table: hundreds of random windows.
-- The seed is printed; PGOPTIONS='-c historian_test.seed=0.42' sets it.
BEGIN;
SELECT plan(32);
SELECT coalesce(nullif(current_setting('historian_test.seed', true), ''), (round(random()::numeric, 6))::text) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \gset

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- The definition, word for word: in numeric, one sample after the other.
CREATE FUNCTION pg_temp.expected(of_tag text, start bigint, "end" bigint, n int) RETURNS TABLE (at bigint, v bytea) LANGUAGE sql AS $$
	SELECT t.at, array_send(last.values)
	FROM (SELECT i, (start::numeric + div(i * ("end"::numeric - start::numeric), n::numeric))::bigint AS at
		FROM generate_series(1, n) i) t
	LEFT JOIN LATERAL (
		SELECT h.values FROM h WHERE h.tag = of_tag AND h.time <= t.at ORDER BY h.time DESC LIMIT 1) last ON true
	WHERE EXISTS (SELECT FROM h WHERE h.tag = of_tag)
	ORDER BY t.i
$$;
CREATE FUNCTION pg_temp.got(of_tag text, start bigint, "end" bigint, n int) RETURNS TABLE (at bigint, v bytea) LANGUAGE sql AS $$
	SELECT d."time", array_send(d."values") FROM historian.downsample('m', of_tag, start, "end", n) d
$$;
-- Compares one window, order included; returns what is wrong.
CREATE FUNCTION pg_temp.wrong(of_tag text, start bigint, "end" bigint, n int) RETURNS text LANGUAGE sql AS $$
	SELECT min(format('sample %s of %s, tag %s, [%s, %s]: have %s %s, want %s %s', coalesce(g.i, e.i), n, of_tag, start, "end",
		g.at, g.v, e.at, e.v))
	FROM (SELECT row_number() OVER () AS i, * FROM pg_temp.got(of_tag, start, "end", n)) g
	FULL JOIN (SELECT row_number() OVER () AS i, * FROM pg_temp.expected(of_tag, start, "end", n)) e ON e.i = g.i
	WHERE (g.i, g.at, g.v) IS DISTINCT FROM (e.i, e.at, e.v)
$$;

-- Loads: some in order, some late, some the same times again, of tags with very different rates.
CREATE FUNCTION pg_temp.load(loads int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	base bigint := (SELECT coalesce(max(time), 0) FROM h WHERE abs(time) < 1e15);
BEGIN
	FOR l IN 1..loads LOOP
		CREATE TEMP TABLE batch ON COMMIT DROP AS
		SELECT DISTINCT ON (tag, time) *
		FROM (SELECT CASE WHEN random() < 0.1 THEN (random() * base)::bigint ELSE base + (random() * 1000)::bigint END AS time,
				't' || floor(10 * power(random(), 3)) AS tag,
				CASE WHEN random() < 0.02 THEN NULL WHEN random() < 0.02 THEN '{}'
					ELSE ARRAY[l, round(random()::numeric, 3), CASE WHEN random() < 0.1 THEN 'NaN' ELSE random() END] END::float8[] AS values
			FROM generate_series(1, (random() * 300)::int)) r
		ORDER BY tag, time;
		INSERT INTO m SELECT * FROM batch ORDER BY random();
		INSERT INTO h SELECT * FROM batch ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
		DROP TABLE batch;
		base := base + 500;
	END LOOP;
END $$;

-- Random windows over the data, before it, after it, inside one gap; all counts of samples.
CREATE FUNCTION pg_temp.windows(n int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	top bigint := (SELECT max(time) FROM h WHERE abs(time) < 1e15);
	start bigint;
	length bigint;
	samples int;
	problem text;
BEGIN
	FOR i IN 1..n LOOP
		start := (random() * top * 1.4 - top * 0.2)::bigint;
		length := 1 + (power(random(), 4) * top * 1.5)::bigint;
		samples := CASE i % 10 WHEN 0 THEN 1 WHEN 1 THEN 1000 WHEN 2 THEN 1 + (random() * 3000)::int ELSE 1 + (random() * 60)::int END;
		problem := pg_temp.wrong('t' || (random() * 10)::int, start, start + length, samples);
		IF problem IS NOT NULL THEN
			RETURN NEXT problem;
		END IF;
	END LOOP;
END $$;

SELECT pg_temp.load(40);
SELECT is_empty('SELECT pg_temp.windows(200)', '200 windows over 40 loads');
SELECT historian.compact('m') \gset
SELECT is_empty('SELECT pg_temp.windows(100)', '100 windows after compaction');
SELECT pg_temp.load(20);
SELECT is_empty('SELECT pg_temp.windows(150)', '150 windows over compacted and pending segments');
DELETE FROM m WHERE tag IN ('t0', 't3') AND time % 5 = 0;
DELETE FROM h WHERE tag IN ('t0', 't3') AND time % 5 = 0;
SELECT is_empty('SELECT pg_temp.windows(100)', '100 windows after DELETE');
SELECT historian.compact('m') \gset
SELECT is_empty('SELECT pg_temp.windows(100)', '100 windows after compaction again');

-- windows at the ends of int64
INSERT INTO h SELECT t, 'ends', ARRAY[i] FROM unnest(ARRAY[-9223372036854775808, -9223372036854775807, -4611686018427387904, -1, 0, 1,
	4611686018427387904, 9223372036854775806, 9223372036854775807]) WITH ORDINALITY x(t, i);
INSERT INTO m SELECT * FROM h WHERE tag = 'ends';
CREATE FUNCTION pg_temp.extreme(tags text[]) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT pg_temp.wrong(tag, a, b, n)
	FROM unnest(ARRAY[-9223372036854775808, -9223372036854775807, -4611686018427387904, -1, 0, 1, 9223372036854775806, 9223372036854775807]) a,
		unnest(ARRAY[-9223372036854775808, -9223372036854775807, -4611686018427387904, -1, 0, 1, 9223372036854775806, 9223372036854775807]) b,
		unnest(ARRAY[1, 2, 3, 7, 1000]) n, unnest(tags) tag
	WHERE a < b AND pg_temp.wrong(tag, a, b, n) IS NOT NULL
$$;
SELECT is_empty($$SELECT pg_temp.extreme('{ends,t0,nobody}')$$, 'all pairs of extreme times');
SELECT historian.compact('m') \gset
SELECT is_empty($$SELECT pg_temp.extreme('{ends}')$$, 'and after compaction');

-- the counts of samples
SELECT is_empty($$SELECT w FROM unnest(ARRAY[1, 2, 9999, 10000]) n, pg_temp.wrong('t0', -100, 20000, n) w WHERE w IS NOT NULL$$, '1, 2, 9,999 and 10,000 samples');
SELECT is((SELECT count(*) FROM historian.downsample('m', 't0', 0, 5)), 1000::bigint, 'a thousand by default');
SELECT is_empty($$SELECT w FROM pg_temp.wrong('t0', 500, 505, 1000) w WHERE w IS NOT NULL$$, 'more samples than nanoseconds');
SELECT is_empty($$SELECT w FROM pg_temp.wrong('t0', 500, 501, 10) w WHERE w IS NOT NULL$$, 'a window of one nanosecond');
SELECT throws_ok($$SELECT * FROM historian.downsample('m', 't0', 0, 10, 0)$$, '22023', NULL, '0 samples');
SELECT throws_ok($$SELECT * FROM historian.downsample('m', 't0', 0, 10, -1)$$, '22023', NULL, '-1 samples');
SELECT throws_ok($$SELECT * FROM historian.downsample('m', 't0', 0, 10, 2147483647)$$, '22023', NULL, '2,147,483,647 samples');
SELECT throws_ok($$SELECT * FROM historian.downsample('m', 't0', 10, 10)$$, '22023', 'start (10) must be less than end (10)', 'start = end');
SELECT throws_ok($$SELECT * FROM historian.downsample('m', 't0', 11, 10)$$, '22023', 'start (11) must be less than end (10)', 'start > end');
SELECT throws_ok($$SELECT * FROM historian.downsample('m', 't0', 0, 10, 5, 'no such')$$, '22023', NULL, 'an unknown method');
SELECT is_empty($$SELECT * FROM historian.downsample('m', 'nobody', 0, 10)$$, 'an unknown tag');
SELECT is_empty($$SELECT * FROM historian.downsample('m', '', 0, 10)$$, 'an empty tag');
SELECT is_empty($$SELECT * FROM historian.downsample('m', repeat('x', 100000), 0, 10)$$, 'an impossible tag');
SELECT is_empty($$SELECT * FROM historian.downsample('m', NULL, 0, 10)$$, 'a NULL tag');
SELECT is_empty($$SELECT * FROM historian.downsample('m', 't0', NULL, 10)$$, 'a NULL start');

-- before the first value, exactly at it, and long after
INSERT INTO m VALUES (100, 'one', '{1}'); INSERT INTO h VALUES (100, 'one', '{1}');
SELECT results_eq($$SELECT * FROM historian.downsample('m', 'one', 90, 110, 4)$$,
	$$VALUES (95::bigint, NULL::float8[]), (100, '{1}'), (105, '{1}'), (110, '{1}')$$, 'inclusive, and NULL before');
SELECT results_eq($$SELECT * FROM historian.downsample('m', 'one', 0, 10, 2)$$, $$VALUES (5::bigint, NULL::float8[]), (10, NULL)$$, 'only before');
SELECT results_eq($$SELECT * FROM historian.downsample('m', 'one', 9223372036854775806, 9223372036854775807, 1)$$,
	$$VALUES (9223372036854775807, '{1}'::float8[])$$, 'carried in over centuries');

-- as part of a query
SELECT is((SELECT count(*) FROM (VALUES ('t0'), ('t1'), ('nobody')) x(tag), historian.downsample('m', x.tag, 0, 1000, 10)), 20::bigint, 'LATERAL');
SELECT is((SELECT count(*) FROM (SELECT * FROM historian.downsample('m', 't0', 0, 1000, 10) LIMIT 3) s), 3::bigint, 'LIMIT');
SELECT is((SELECT count(*) FROM (SELECT historian.downsample('m', 't0', 0, 1000, 10)) s), 10::bigint, 'in the select list');
PREPARE d(text, int) AS SELECT count(*) FROM historian.downsample('m', $1, 0, 1000, $2);
SELECT results_eq($$EXECUTE d('t0', 7)$$, 'VALUES (7::bigint)', 'prepared');

-- Twenty loads, each over nearly all of the time, so that many segments are open at each sample.
TRUNCATE m, h;
DO $$
BEGIN
	FOR l IN 0..19 LOOP
		INSERT INTO m SELECT n * 1000 + l * 37 % 200, 'a', ARRAY[n + l / 100.0] FROM generate_series(l, 300 - l) n;
		INSERT INTO h SELECT n * 1000 + l * 37 % 200, 'a', ARRAY[n + l / 100.0] FROM generate_series(l, 300 - l) n
			ON CONFLICT (tag, time) DO UPDATE SET values = EXCLUDED.values;
	END LOOP;
END $$;
SELECT is(pg_temp.wrong('a', 0, 310000, 1550), NULL, 'segments that overlap');
-- Three that are open all the time.
TRUNCATE m, h;
INSERT INTO m SELECT n * 1000 + 1, 'a', ARRAY[n] FROM generate_series(0, 300) n;
INSERT INTO m SELECT n * 1000 + 2, 'a', ARRAY[n] FROM generate_series(0, 300) n;
INSERT INTO m SELECT n * 1000 + 3, 'a', ARRAY[n] FROM generate_series(0, 300) n;
CREATE FUNCTION pg_temp.buffers(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END $$;
SELECT cmp_ok(pg_temp.buffers($$SELECT * FROM historian.downsample('m', 'a', 0, 300000, 1000)$$), '<', 300::bigint,
	'they are looked up once, not for each sample');

TRUNCATE m;
SELECT is_empty($$SELECT * FROM historian.downsample('m', 't0', 0, 10)$$, 'after TRUNCATE');

SELECT * FROM finish();
ROLLBACK;
