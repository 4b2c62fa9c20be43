-- The methods increase and rate, at() and intervals(), against plain SQL over a heap with the same rows. Commits, so it
-- drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_intervals CASCADE;
CREATE SCHEMA pgtap_intervals;
SET search_path = pgtap_intervals, public;
BEGIN;
SELECT plan(40);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE p (LIKE m) PARTITION BY HASH (time);
CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 0) USING historian;
CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 1) USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 2) USING historian;
-- a counter with resets, of multiples of 1/1024, so that sums are exact; NULL, NaN, ragged
CREATE TABLE h USING heap AS SELECT i * 4000 + (random() * 3999)::integer AS time, 'c'::text AS tag,
		CASE WHEN random() < 0.02 THEN NULL WHEN random() < 0.1 THEN ARRAY[(i % 700) * 7 / 1024.0]
		ELSE ARRAY[(i % 700) * 7 / 1024.0, CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.05 THEN 'NaN' ELSE round(random() * 100) END] END::float8[] AS values
	FROM generate_series(1, 5000) i;
INSERT INTO h VALUES (5, 'few', '{5}'), (15, 'few', '{7,1}'), (25, 'few', NULL);
INSERT INTO m SELECT * FROM h;
INSERT INTO p SELECT * FROM h;
COMMIT;
SELECT historian.compact('m') \g /dev/null
BEGIN;
INSERT INTO h SELECT 30000000 + i, 'c', ARRAY[i] FROM generate_series(1, 100) i;
INSERT INTO m SELECT * FROM h WHERE time > 30000000;
INSERT INTO p SELECT * FROM h WHERE time > 30000000;

CREATE FUNCTION increase(of_tag text, s bigint, e bigint, n integer, by_time boolean) RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	WITH periods AS (SELECT i, (s + div((i - 1) * (e::numeric - s), n))::bigint AS lo, (s + div(i * (e::numeric - s), n))::bigint AS hi FROM generate_series(1, n) i),
	seen AS (SELECT * FROM h WHERE tag = of_tag AND h.time > s AND h.time <= e
		UNION ALL (SELECT * FROM h WHERE tag = of_tag AND h.time <= s ORDER BY h.time DESC LIMIT 1)),
	steps AS (SELECT seen.time, k, v, lag(v) OVER (PARTITION BY k ORDER BY seen.time) AS before
		FROM seen, unnest(seen.values) WITH ORDINALITY u(v, k) WHERE v <> 'NaN')
	SELECT hi, (SELECT CASE WHEN max(cardinality(seen.values)) = 0 THEN '{}' WHEN max(cardinality(seen.values)) > 0 THEN
			ARRAY(SELECT (SELECT sum(CASE WHEN before IS NULL THEN 0 WHEN v >= before THEN v - before ELSE v END) / CASE WHEN by_time THEN (hi - lo) / 1e9 ELSE 1 END
				FROM steps WHERE steps.k = e.k AND steps.time > lo AND steps.time <= hi)
			FROM generate_series(1, max(cardinality(seen.values))) AS e(k) ORDER BY e.k) END
		FROM seen WHERE seen.time > lo AND seen.time <= hi)
	FROM periods WHERE EXISTS (SELECT FROM h WHERE tag = of_tag) ORDER BY i
$$;
SELECT results_eq(format('SELECT * FROM historian.downsample(%L, %L, %s, %s, %s, %L)', t.name, 'c', w.s, w.e, w.n, 'increase'),
	format('SELECT * FROM increase(%L, %s, %s, %s, false)', 'c', w.s, w.e, w.n), format('increase of %s over %s periods from %s to %s', t.name, w.n, w.s, w.e))
	FROM unnest('{m,p}'::text[]) t(name),
		(SELECT (random() * 2e7)::bigint AS s, 21000000 + (random() * 1e7)::bigint AS e, (ARRAY[1, 3, 17, 50])[1 + i % 4] AS n FROM generate_series(1, 4) i) w;
SELECT results_eq($$SELECT d.time, CASE WHEN d.values IS NOT NULL THEN ARRAY(SELECT round(v::numeric, 6) FROM unnest(d.values) v) END FROM historian.downsample('m', 'c', 777, 20000777, 13, 'rate') d$$,
	$$SELECT d.time, CASE WHEN d.values IS NOT NULL THEN ARRAY(SELECT round(v::numeric, 6) FROM unnest(d.values) v) END FROM increase('c', 777, 20000777, 13, true) d$$, 'rate');
SELECT results_eq($$SELECT * FROM historian.downsample('m', 'few', 0, 30, 3, 'increase')$$, $$VALUES (10::bigint, '{0}'::float8[]), (20, '{2,0}'), (30, NULL)$$, 'the first value adds nothing');
SELECT is((SELECT sum(values[1]) FROM historian.downsample('m', 'c', 5000000, 9000000, 100, 'increase')), (SELECT values[1] FROM historian.downsample('m', 'c', 5000000, 9000000, 1, 'increase')), 'periods add up');

-- at
CREATE FUNCTION rows_at(tags text[], times bigint[]) RETURNS TABLE (tag text, "time" bigint, "values" bytea, sample_time bigint) LANGUAGE sql AS $$
	SELECT g, t, array_send(v.values), v.time FROM (SELECT DISTINCT g FROM unnest(tags) g WHERE EXISTS (SELECT FROM h WHERE h.tag = g)) g
		CROSS JOIN (SELECT DISTINCT t FROM unnest(times) t WHERE t IS NOT NULL) t
		LEFT JOIN LATERAL (SELECT * FROM h WHERE h.tag = g AND h.time <= t ORDER BY h.time DESC LIMIT 1) v ON true ORDER BY g COLLATE "C", t
$$;
SELECT results_eq(format('SELECT tag, time, array_send(values), sample_time FROM historian.at(%L, %L, %L::bigint[])', t.name, '{few,c,no,c,NULL}', w.times),
	format('SELECT * FROM rows_at(%L, %L)', '{few,c,no}', w.times), 'at of ' || t.name || ', for random times')
	FROM unnest('{m,p}'::text[]) t(name), (SELECT array_agg(time + (random() * 3)::integer - 1 ORDER BY random()) || ARRAY[NULL, -5, 0, 9223372036854775807]::bigint[] AS times FROM (SELECT time FROM h ORDER BY random() LIMIT 200) x) w;
SELECT is_empty($$SELECT * FROM historian.at('m', '{c}', '{}'::bigint[])$$, 'at no time');
SELECT is_empty($$SELECT * FROM historian.at('m', '{}', ARRAY[1])$$, 'at of no tag');
SELECT results_eq($$SELECT time, values, sample_time FROM historian.at('m', '{few}', '{1970-01-01 00:00:00.000000016Z,6}')$$, $$VALUES (6::bigint, '{5}'::float8[], 5::bigint), (16, '{7,1}', 15)$$, 'times as text');
SELECT results_eq($$SELECT time, values FROM historian.at('m', '{few}', ARRAY[timestamptz '1970-01-01 00:00:01Z'])$$, $$VALUES (timestamptz '1970-01-01 00:00:01Z', NULL::float8[])$$, 'times as timestamptz');

-- intervals
CREATE FUNCTION spans(of_tag text, s bigint, e bigint, k integer, op text, threshold float8, release float8, min_length bigint) RETURNS TABLE (start_time bigint, end_time bigint, ended boolean) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH seen AS (SELECT time, values[%1$s] AS v FROM h WHERE tag = $1 AND time >= $2 AND time < $3
			UNION ALL (SELECT $2, values[%1$s] FROM h WHERE tag = $1 AND time < $2 ORDER BY time DESC LIMIT 1)),
		telling AS (SELECT DISTINCT time, v %2$s $4 AS begins FROM seen WHERE v <> 'NaN' AND (v %2$s $4 OR NOT v %2$s $5)),
		changes AS (SELECT time, begins FROM (SELECT time, begins, lag(begins) OVER (ORDER BY time) AS before FROM telling) x WHERE begins IS DISTINCT FROM coalesce(before, false)),
		spans AS (SELECT time AS start_time, coalesce(lead(time) OVER (ORDER BY time), $3) AS end_time, lead(time) OVER (ORDER BY time) IS NOT NULL AS ended, begins FROM changes)
		SELECT start_time, end_time, ended FROM spans WHERE begins AND end_time - start_time >= $6 ORDER BY 1$q$, k, op)
		USING of_tag, s, e, threshold, coalesce(release, threshold), coalesce(min_length, 0);
END $$;
SELECT results_eq(format('SELECT * FROM historian.intervals(%L, %L, %s, %s, %s, %L, %s, %L::float8, %L::bigint)', c.name, 'c', w.s, w.e, c.k, c.op, c.threshold, c.release, c.min_length),
	format('SELECT * FROM spans(%L, %s, %s, %s, %L, %s, %L, %L)', 'c', w.s, w.e, c.k, c.op, c.threshold, c.release, c.min_length), format('intervals of %s: value %s %s %s, %s, %s', c.name, c.k, c.op, c.threshold, c.release, c.min_length))
	FROM (SELECT (random() * 1e6)::bigint AS s, 21000000 + (random() * 1e7)::bigint AS e) w,
		(VALUES ('m', 2, '>', 80, NULL::float8, NULL::bigint), ('m', 2, '>=', 80, 20, NULL), ('p', 2, '>', 80, 20, 5000), ('m', 2, '<', 10, NULL, 3000), ('m', 2, '<=', 10, 50.5, 4000),
			('m', 2, '=', 50, NULL, NULL), ('m', 2, '<>', 50, NULL, 100000), ('m', 1, '>', 2, 1, NULL), ('p', 1, '<', 1, NULL, NULL), ('m', 3, '>', 0, NULL, NULL), ('m', 2, '>', 1000, NULL, NULL)) AS c(name, k, op, threshold, release, min_length);
SELECT results_eq($$SELECT * FROM historian.intervals('m', 'few', '1970-01-01', '1970-01-01 00:00:01Z', 1, '>', 6, min_length => interval '1 millisecond')$$, $$VALUES (15::bigint, 1000000000::bigint, false)$$, 'times as text');
SELECT results_eq($$SELECT * FROM historian.intervals('m', 'c', timestamptz '1970-01-01 00:00:00.03Z', timestamptz '1970-01-01 00:00:00.04Z', 1, '>', 99)$$, $$VALUES (timestamptz '1970-01-01 00:00:00.0300Z', timestamptz '1970-01-01 00:00:00.04Z', false)$$, 'and as timestamptz, rounded down');
SELECT is_empty($$SELECT * FROM historian.intervals('m', 'no', 0, 9, 1, '>', 0)$$, 'an unknown tag');
SELECT is_empty($$SELECT * FROM historian.intervals('m', 'few', 0, 9, NULL, '>', 0)$$, 'NULL');
SELECT throws_ok($$SELECT historian.intervals('m', 'few', 0, 9, 1, '!', 0)$$, '22023', 'operator "!" is unknown', 'an unknown operator');
SELECT throws_ok($$SELECT historian.intervals('m', 'few', 0, 9, 0, '>', 0)$$, '22023', 'value (0) must be from 1 to 1000', 'value 0');
SELECT throws_ok($$SELECT historian.intervals('m', 'few', 0, 9, 1, '>', 5, 6)$$, '22023', 'release (6) does not fit operator ">" and threshold (5)', 'a release on the wrong side');
SELECT throws_ok($$SELECT historian.intervals('m', 'few', 0, 9, 1, '=', 5, 6)$$, '22023', NULL, 'or where there is none');
SELECT throws_ok($$SELECT historian.intervals('m', 'few', 0, 9, 1, '>', 'NaN')$$, '22023', 'threshold and release must be numbers', 'NaN');
SELECT throws_ok($$SELECT historian.intervals('h', 'few', 0, 9, 1, '>', 5)$$, '42809', '"h" is not a historian table', 'a heap');
CREATE ROLE pgtap_reader;
GRANT USAGE ON SCHEMA pgtap_intervals TO pgtap_reader;
GRANT INSERT ON m TO pgtap_reader;
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok($$SELECT historian.intervals('m', 'few', 0, 9, 1, '>', 5)$$, '42501', 'permission denied for table m', 'intervals needs SELECT');
SELECT throws_ok($$SELECT historian.at('m', '{few}', ARRAY[1])$$, '42501', 'permission denied for table m', 'so does at');
RESET ROLE;
REVOKE ALL ON m FROM pgtap_reader;
REVOKE ALL ON SCHEMA pgtap_intervals FROM pgtap_reader;
DROP ROLE pgtap_reader;

SELECT * FROM finish();
COMMIT;
DROP SCHEMA pgtap_intervals CASCADE;
