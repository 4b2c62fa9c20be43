-- Summaries of whole segments: whatever happens to the rows, downsample() gives with summaries what
-- it gives without them (which methods_random.sql compares with plain SQL), and the reductions what
-- a heap twin gives; historian.check() compares every summary with its segments.
-- Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_summaries CASCADE;
CREATE SCHEMA pgtap_summaries;
SET search_path = pgtap_summaries, public;
SELECT plan(79);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- full-precision values, so that a hundred rows fill a segment
CREATE FUNCTION load(of_tag text, first bigint, n int, step bigint, kind text DEFAULT 'plain')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE batch AS
		SELECT first + i * step AS time, of_tag AS tag,
			CASE WHEN kind = 'odd' AND i % 700 = 3 THEN ARRAY[1.5, NULL, 'NaN']
				WHEN kind = 'odd' AND i % 1100 < 3 THEN ARRAY[random()]
				WHEN kind = 'odd' AND i % 900 = 3 THEN NULL
				WHEN kind = 'magnitudes' THEN ARRAY[0.1, 1e15 + i % 3, 1e9 + random(), i / 700, 1e-120 * random(), 1e130 * random(),
					0, -1e14 + random() * 0.1, CASE WHEN i = 1 THEN 1e6 ELSE 7 END, 1e-100]
				WHEN kind = 'extremes' THEN ARRAY[1e-200, 1e200 * random(), 1e-300 * random()]
				ELSE ARRAY[random(), random() - 0.5, random() * 1e6, -random(), i, random(),
					random(), random(), random(), random()] END AS values
		FROM generate_series(1, n) i;
	INSERT INTO m SELECT * FROM batch;
	INSERT INTO h SELECT * FROM batch ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	DROP TABLE batch;
END $$;

CREATE FUNCTION samples(of_tag text, s bigint, e bigint, n int, use boolean)
RETURNS TABLE (method text, "time" bigint, "values" float8[]) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('historian.enable_summaries', use::text, true);
	RETURN QUERY SELECT x, d.time, d.values
		FROM unnest('{average,min,max,sum,count,range,delta,time_average,stddev,last}'::text[]) x,
			historian.downsample('m', of_tag, s, e, n, x) d;
END $$;

CREATE FUNCTION nearly_equal(a float8[], b float8[]) RETURNS boolean LANGUAGE sql AS $$
	SELECT cardinality(a) IS NOT DISTINCT FROM cardinality(b) AND
		coalesce(bool_and(x IS NOT DISTINCT FROM y OR
			abs(x - y) <= 1e-12 * greatest(abs(x), abs(y), 1e-3)), true)
	FROM unnest(a, b) u (x, y)
$$;

-- where summaries change something; windows over all, over a part, of few and of many periods, each
-- of some time, so that no two samples have the same
CREATE FUNCTION wrong_samples(of_tag text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM
		(SELECT (SELECT min(time) FROM h WHERE tag = of_tag) a, (SELECT max(time) FROM h WHERE tag = of_tag) b) r,
		LATERAL (SELECT * FROM (VALUES (a - 1, b, 1), (a - 1, b, 7), (a + (b - a) / 3, b - (b - a) / 5, 40),
			(a, b + (b - a), 300), (a + ((b - a) * random())::bigint, b + 1, 13)) v (s, e, n) WHERE e::numeric - s >= n) w,
		LATERAL (SELECT * FROM samples(of_tag, s, e, n, true)) x
		FULL JOIN LATERAL (SELECT * FROM samples(of_tag, s, e, n, false)) y USING (method, time)
	WHERE NOT nearly_equal(x.values, y.values)
$$;

-- the reductions of one window against the heap
CREATE FUNCTION wrong_reductions(of_tag text) RETURNS bigint LANGUAGE sql AS $$
	WITH r AS (SELECT min(time) - 1 AS a, max(time) AS b FROM h WHERE tag = of_tag),
	expected AS (
		SELECT k, count(v) AS count, sum(v::numeric)::float8 AS sum, min(v) AS min, max(v) AS max
		FROM r, h, unnest(h.values) WITH ORDINALITY u (v, k)
		WHERE tag = of_tag AND time > a AND time <= b GROUP BY k)
	SELECT count(*) FROM expected e, r,
		LATERAL (SELECT d.values FROM historian.downsample('m', of_tag, a, b, 1, 'count') d) c (x),
		LATERAL (SELECT d.values FROM historian.downsample('m', of_tag, a, b, 1, 'sum') d) s (x),
		LATERAL (SELECT d.values FROM historian.downsample('m', of_tag, a, b, 1, 'min') d) l (x),
		LATERAL (SELECT d.values FROM historian.downsample('m', of_tag, a, b, 1, 'max') d) g (x)
	WHERE c.x[k] <> count OR l.x[k] <> min OR g.x[k] <> max OR abs(s.x[k] - sum) > 1e-12 * abs(sum) + 1e-9
$$;

-- how a tag is stored, by summaries and by looking at each segment
CREATE FUNCTION stored(of_tag text, s bigint, e bigint, use boolean)
RETURNS TABLE (first_time bigint, last_time bigint, samples bigint, segments bigint, bytes bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('historian.enable_summaries', use::text, true);
	RETURN QUERY SELECT g.* FROM historian.segments('m', of_tag, s, e) g
		UNION ALL SELECT -1, i.last_time, i.samples, i.segments, i.bytes FROM historian.tag_info('m', of_tag) i
		UNION ALL SELECT -2, max(h.time), count(*), NULL, NULL FROM h WHERE tag = of_tag HAVING use
		UNION ALL SELECT -2, i.last_time, i.samples, NULL, NULL FROM historian.tag_info('m', of_tag) i WHERE NOT use;
END $$;
CREATE FUNCTION wrong_segments(of_tag text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM
		(SELECT (SELECT min(time) FROM h WHERE tag = of_tag) a, (SELECT max(time) FROM h WHERE tag = of_tag) b) r,
		LATERAL (VALUES (a, b + 1), (a + (b - a) / 3, b - (b - a) / 5), (a + ((b - a) * random())::bigint, b + 1)) w (s, e),
		LATERAL ((SELECT * FROM stored(of_tag, s, e, true) EXCEPT SELECT * FROM stored(of_tag, s, e, false))
			UNION ALL (SELECT * FROM stored(of_tag, s, e, false) EXCEPT SELECT * FROM stored(of_tag, s, e, true))) d
$$;

CREATE FUNCTION checked(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT is((SELECT string_agg(DISTINCT problem, ', ') FROM historian.check('m')), NULL, 'check: ' || what)
	UNION ALL SELECT is((SELECT sum(wrong_segments(tag)) FROM (SELECT DISTINCT tag FROM h) t), 0::numeric, 'segments: ' || what)
	UNION ALL SELECT is((SELECT sum(wrong_samples(tag)) FROM (SELECT DISTINCT tag FROM h) t), 0::numeric, 'samples: ' || what)
$$;

-- in order
SELECT load('a', 0, 12000, 1000);
SELECT load('b', 500, 9000, 1000000, 'odd');
SELECT historian.compact('m') \g /dev/null
SELECT checked('in order');
CREATE EXTENSION pageinspect SCHEMA pgtap_summaries;
SELECT cmp_ok(count(*)::int, '>', 3, 'summaries are stored')
	FROM generate_series(0, pg_relation_size('m') / current_setting('block_size')::int - 1) block,
		heap_page_items(get_raw_page('m', block::int)) WHERE get_byte(t_data, 3) = 66;
SELECT is(wrong_reductions('a'), 0::bigint, 'reductions equal the heap''s');
SELECT is(wrong_reductions('a'), 0::bigint, 'with summaries off too')
	FROM set_config('historian.enable_summaries', 'off', false);
RESET historian.enable_summaries;

SELECT load('a', 12000000, 5000, 1000);
SELECT checked('and rows not compacted');
SELECT historian.compact('m') \g /dev/null
SELECT checked('appended');

-- late rows, between and over others, compacted or not
SELECT load('a', 3000500, 10, 1000);
SELECT load('a', 9000000, 100, 1000);
SELECT checked('late rows, pending');
SELECT historian.compact('m') \g /dev/null
SELECT checked('late rows, merged');
SELECT is(wrong_reductions('a'), 0::bigint, 'late rows, reductions');
SELECT load('a', -50000000, 6000, 1000);
SELECT historian.compact('m') \g /dev/null
SELECT load('a', -90000000, 6000, 1000);
SELECT historian.compact('m') \g /dev/null
SELECT checked('older rows before the first');
SELECT load('b', -9000000000000000000, 50, 100000000000000000);
SELECT historian.compact('m') \g /dev/null
SELECT checked('times far apart');

-- deviations at any magnitude: of constants, of numbers that are far from 0 and close together, of tiny and of huge ones
SELECT load('d', 0, 12000, 1000, 'magnitudes');
SELECT load('e', 0, 30000, 1000, 'extremes');
SELECT historian.compact('m') \g /dev/null
SELECT checked('magnitudes');
CREATE FUNCTION deviations(n int, use boolean, of_tag text DEFAULT 'd') RETURNS SETOF float8[] LANGUAGE sql AS $$
	SELECT values FROM samples(of_tag, 999, 12000000, n, use) WHERE method = 'stddev' ORDER BY time
$$;
SELECT is((SELECT bool_and(abs(x - y) <= 1e-12 * abs(y)) FROM (SELECT row_number() OVER () AS i, a FROM deviations(n, true, of_tag) a) a
	JOIN (SELECT row_number() OVER () AS i, b FROM deviations(n, false, of_tag) b) b USING (i), unnest(a, b) u (x, y)), true, format('deviations of %s, %s periods', of_tag, n))
	FROM unnest('{1,3}'::int[]) n, unnest('{d,e}'::text[]) of_tag;
SELECT is((SELECT a[1:1] || a[7] || a[10] FROM deviations(1, true) a), '{0,0,0}', 'the deviation of constants is 0');
SELECT is((SELECT bool_and(abs(a[k] - e.d) <= 1e-12 * e.d) FROM deviations(1, true) a,
	(SELECT k, stddev_samp((values[k] - CASE k WHEN 2 THEN 1e15 ELSE 0 END)::numeric)::float8 AS d FROM h, unnest('{2,4,9}'::int[]) k WHERE tag = 'd' GROUP BY k) e), true, 'others are those of numeric');
SELECT is((SELECT bool_and(abs(a[k] - e.d) <= 1e-9 * e.d) FROM deviations(1, true) a,
	(SELECT k, stddev_samp(values[k] - CASE k WHEN 3 THEN 1e9 ELSE -1e14 END) AS d FROM h, unnest('{3,8}'::int[]) k WHERE tag = 'd' GROUP BY k) e), true, 'and of float8 near 0');

-- deletions: of a few rows, of whole segments, rolled back, in a savepoint
DELETE FROM m WHERE tag = 'a' AND time BETWEEN 2000000 AND 2000300;
DELETE FROM h WHERE tag = 'a' AND time BETWEEN 2000000 AND 2000300;
SELECT checked('a few deleted');
BEGIN;
DELETE FROM m WHERE tag = 'a' AND time > 4000000 AND (values[1] < 0.5 OR time < 8000000);
SAVEPOINT s;
SELECT historian.delete('m', 'a', 0, 2000000) \g /dev/null
ROLLBACK TO s;
DELETE FROM h WHERE tag = 'a' AND time > 4000000 AND (values[1] < 0.5 OR time < 8000000);
SELECT checked('many deleted, in the transaction');
COMMIT;
SELECT checked('many deleted');
SELECT is(wrong_reductions('a'), 0::bigint, 'many deleted, reductions');
BEGIN;
DELETE FROM m WHERE tag = 'a';
ROLLBACK;
SELECT checked('a deletion rolled back');
UPDATE m SET values = values || values WHERE tag = 'a' AND time BETWEEN 1000000 AND 1500000;
UPDATE h SET values = values || values WHERE tag = 'a' AND time BETWEEN 1000000 AND 1500000;
SELECT checked('updated to another width');
SELECT historian.compact('m') \g /dev/null
SELECT checked('updated and merged');
SELECT historian.drop_before('m', -40000000) \g /dev/null
DELETE FROM h WHERE time < -40000000;
SELECT checked('the oldest dropped');

-- what rewrites the file or the directory keeps them
VACUUM FULL m;
SELECT checked('VACUUM FULL');
REINDEX TABLE m;
SELECT checked('REINDEX');
VACUUM (FREEZE) m;
ANALYZE m;
SELECT checked('VACUUM');
SELECT ok(abs(reltuples - (SELECT count(*) FROM h)) < (SELECT count(*) FROM h) * 0.2,
	'summaries do not count as rows') FROM pg_class WHERE oid = 'm'::regclass;

-- of the summaries that lie between those of two late rows, none is read
CREATE TABLE wide (time bigint, tag text, values float8[]) USING historian;
INSERT INTO wide SELECT i * 1000, 'w', array_fill(random(), ARRAY[64]) FROM generate_series(1, 32000) i;
SELECT historian.compact('wide') \g /dev/null
CREATE FUNCTION blocks_to_merge(a bigint, b bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	INSERT INTO wide VALUES (a, 'w', '{1}'), (b, 'w', '{2}');
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT historian.compact(''wide'')' INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END $$;
SELECT blocks_to_merge(5000500, 6000500) AS warm, blocks_to_merge(2000500, 3000500) AS near,
	blocks_to_merge(700500, 31000500) AS far \gset
SELECT cmp_ok(:far - :near, '<', 25, format('late rows far apart: %s blocks, near: %s', :far, :near));
SELECT is((SELECT count(*) FROM historian.check('wide')), 0::bigint, 'and the summaries are true');

-- everything at random
CREATE PROCEDURE something(n int) LANGUAGE plpgsql AS $$
DECLARE
	t text := (ARRAY['a', 'b', 'c'])[1 + floor(random() * 3)];
	lo bigint := (SELECT min(time) FROM h WHERE tag = t);
	hi bigint := (SELECT max(time) FROM h WHERE tag = t);
	s bigint := coalesce(lo + ((hi::float8 - lo) * random())::bigint, 0);
	e bigint := s + (20000 * random() * random() * 100)::bigint;
BEGIN
	CASE floor(random() * 6)
		WHEN 0 THEN PERFORM load(t, coalesce(hi, 0), (random() * 4000)::int + 1, 900, CASE WHEN random() < 0.3 THEN 'odd' END);
		WHEN 1 THEN PERFORM load(t, s, (random() * random() * 1000)::int + 1, 13);
		WHEN 2 THEN DELETE FROM m WHERE tag = t AND time BETWEEN s AND e; DELETE FROM h WHERE tag = t AND time BETWEEN s AND e;
		WHEN 3 THEN DELETE FROM m WHERE tag = t AND time % 1000 = 0 AND time BETWEEN s AND e;
			DELETE FROM h WHERE tag = t AND time % 1000 = 0 AND time BETWEEN s AND e;
		ELSE PERFORM historian.compact('m');
	END CASE;
	IF random() < 0.7 THEN COMMIT; END IF;
END $$;
CALL something(1);
CALL something(2);
CALL something(3);
CALL something(4);
SELECT checked('at random, 4 steps');
CALL something(5);
CALL something(6);
CALL something(7);
CALL something(8);
SELECT checked('at random, 8 steps');
CALL something(9);
CALL something(10);
CALL something(11);
CALL something(12);
SELECT checked('at random, 12 steps');
SELECT results_eq('SELECT * FROM m ORDER BY tag, time', 'SELECT * FROM h ORDER BY tag, time', 'the rows are the heap''s');

SELECT * FROM finish();
DROP SCHEMA pgtap_summaries CASCADE;
