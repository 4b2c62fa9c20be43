-- The functions state_duration(), transitions(), summary(), approx_tags(), time_of_min() and time_of_max(), and the methods
-- percentile and increase with a modulus, against plain SQL over a heap with the same rows. Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_summary CASCADE;
CREATE SCHEMA pgtap_summary;
SET search_path = pgtap_summary, public;
BEGIN;
SELECT plan(161);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE p (LIKE m) PARTITION BY HASH (time);
CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 0) USING historian;
CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 1) USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES WITH (MODULUS 3, REMAINDER 2) USING historian;
-- value 1: a counter modulo 1024 with resets; value 2: a few states, NULL, NaN; value 3: a measurement, in some rows only
CREATE TABLE h USING heap AS SELECT (i * 4000 + (random() * 3999)::integer)::bigint AS time, 'c'::text AS tag,
		CASE WHEN random() < 0.02 THEN NULL WHEN random() < 0.1 THEN ARRAY[(i * 37) % 1024]
		ELSE ARRAY[CASE WHEN i % 700 < 20 THEN i % 700 ELSE (i * 37) % 1024 END,
			CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.05 THEN 'NaN' WHEN random() < 0.1 THEN '-0' ELSE floor(random() * 4) END,
			random() * 100 - 50] END::float8[] AS values
	FROM generate_series(1, 5000) i;
INSERT INTO h VALUES (5, 'few', '{5}'), (15, 'few', '{7,1}'), (25, 'few', NULL);
INSERT INTO h SELECT i * 1000 + 5000000, 'tag' || i, ARRAY[i] FROM generate_series(1, 300) i;
INSERT INTO h SELECT i * 1000 + 15000000, 'tag' || i, ARRAY[i] FROM generate_series(1, 300) i;
INSERT INTO m SELECT * FROM h;
INSERT INTO p SELECT * FROM h;
COMMIT;
SELECT historian.compact('m') \g /dev/null
BEGIN;
INSERT INTO h SELECT 30000000 + i, 'c', ARRAY[i] FROM generate_series(1, 100) i;
INSERT INTO m SELECT * FROM h WHERE time > 30000000;
INSERT INTO p SELECT * FROM h WHERE time > 30000000;
CREATE TEMP TABLE win AS SELECT (random() * 2e7)::bigint AS s, 21000000 + (random() * 1e7)::bigint AS e, (ARRAY[1, 3, 17, 50])[1 + i % 4] AS n FROM generate_series(1, 4) i;

-- state_duration and transitions
CREATE FUNCTION changes(of_tag text, s bigint, e bigint, k integer) RETURNS TABLE ("time" bigint, former float8, state float8) LANGUAGE sql AS $$
	WITH seen AS (SELECT h.time, values[k] AS v FROM h WHERE tag = of_tag AND h.time >= s AND h.time < e
		UNION ALL (SELECT s, values[k] FROM h WHERE tag = of_tag AND h.time < s AND NOT EXISTS (SELECT FROM h g WHERE g.tag = of_tag AND g.time = s AND g.values[k] <> 'NaN') ORDER BY h.time DESC LIMIT 1)),
	steps AS (SELECT time, lag(v) OVER (ORDER BY time) AS before, v FROM seen WHERE v <> 'NaN')
	SELECT * FROM steps WHERE before IS DISTINCT FROM v ORDER BY 1
$$;
CREATE FUNCTION durations(of_tag text, s bigint, e bigint, k integer) RETURNS TABLE (state float8, duration bigint, share_is_right boolean, count bigint) LANGUAGE sql AS $$
	SELECT state + 0.0, sum(until - time)::bigint, true, count(*)
	FROM (SELECT *, lead(time, 1, e) OVER (ORDER BY time) AS until FROM changes(of_tag, s, e, k)) c GROUP BY 1 ORDER BY 1
$$;
SELECT results_eq(format('SELECT state, duration, abs(share - duration / (%4$s - %3$s)::numeric) <= 1e-12, count FROM historian.state_duration(%1$L, %2$L, %3$s, %4$s, %5$s)', t.name, 'c', s, e, k),
	format('SELECT * FROM durations(%L, %s, %s, %s)', 'c', s, e, k), format('states of value %s of %s from %s to %s', k, t.name, s, e))
	FROM unnest('{m,p}'::text[]) t(name), win, generate_series(1, 2) k;
SELECT results_eq(format('SELECT time, former, state FROM historian.transitions(%L, %L, %s, %s, %s)', t.name, 'c', s, e, k),
	format('SELECT * FROM changes(%L, %s, %s, %s) WHERE former IS NOT NULL', 'c', s, e, k), format('transitions of value %s of %s from %s to %s', k, t.name, s, e))
	FROM unnest('{m,p}'::text[]) t(name), win, generate_series(1, 2) k;
SELECT results_eq($$SELECT * FROM historian.state_duration('m', 'few', 0, 50)$$, $$VALUES (5::float8, 10::bigint, 0.2::float8, 1::bigint), (7, 35, 0.7, 1)$$, 'before the first state is none');
SELECT results_eq($$SELECT * FROM historian.state_duration('m', 'few', '1970-01-01 00:00:00.00000001Z', '1970-01-01 00:00:00.00000002Z')$$, $$VALUES (5::float8, 5::bigint, 0.5::float8, 1::bigint), (7, 5, 0.5, 1)$$, 'times as text');
SELECT results_eq($$SELECT state, duration FROM historian.state_duration('m', 'few', timestamptz '1970-01-01Z', timestamptz '1970-01-01 00:01Z')$$, $$VALUES (5::float8, interval '0'), (7, '00:00:59.999999')$$, 'and as timestamptz');
SELECT results_eq($$SELECT * FROM historian.transitions('m', 'few', timestamptz '1970-01-01Z', timestamptz '1970-01-01 00:01Z')$$, $$VALUES (timestamptz '1970-01-01Z', 5::float8, 7::float8)$$, 'transitions as timestamptz');
SELECT is_empty($$SELECT * FROM historian.state_duration('m', 'no', 0, 9)$$, 'an unknown tag');
SELECT is_empty($$SELECT * FROM historian.transitions('m', 'few', 0, 9, NULL)$$, 'NULL');
SELECT throws_ok($$SELECT * FROM historian.state_duration('m', 'few', 0, 9, 0)$$, '22023', 'value (0) must be from 1 to 1000', 'value 0');
SELECT throws_ok($$SELECT * FROM historian.transitions('h', 'few', 0, 9)$$, '42809', '"h" is not a historian table', 'a heap');

-- methods with an argument
CREATE FUNCTION percentiles(of_tag text, s bigint, e bigint, n integer, percent float8) RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	WITH periods AS (SELECT i, (s + div((i - 1) * (e::numeric - s), n))::bigint AS lo, (s + div(i * (e::numeric - s), n))::bigint AS hi FROM generate_series(1, n) i)
	SELECT hi, (SELECT ARRAY(SELECT (SELECT percentile_cont(percent / 100) WITHIN GROUP (ORDER BY v.values[k]) FROM h v WHERE v.tag = of_tag AND v.time > lo AND v.time <= hi)
			FROM generate_series(1, max(cardinality(h.values))) k) FROM h WHERE tag = of_tag AND h.time > lo AND h.time <= hi AND h.values IS NOT NULL HAVING count(*) > 0)
	FROM periods ORDER BY i
$$;
SELECT results_eq(format('SELECT time, values FROM historian.downsample(%L, %L, %s, %s, %s, %L)', t.name, 'c', s, e, n, 'percentile(' || percent || ')'),
	format('SELECT * FROM percentiles(%L, %s, %s, %s, %s)', 'c', s, e, n, percent), format('percentile(%s) of %s, %s periods from %s to %s', percent, t.name, n, s, e))
	FROM unnest('{m,p}'::text[]) t(name), win CROSS JOIN unnest('{0,37.5,95,100}'::float8[]) percent WHERE n > 1;
CREATE FUNCTION grown(of_tag text, s bigint, e bigint, modulus float8) RETURNS numeric LANGUAGE sql AS $$
	SELECT sum(CASE WHEN before IS NULL THEN 0 WHEN v >= before THEN v - before WHEN modulus - before + v < modulus / 2 THEN modulus - before + v ELSE v END)::numeric
	FROM (SELECT time, v, lag(v) OVER (ORDER BY time) AS before FROM (SELECT time, values[1] AS v FROM h WHERE tag = of_tag AND h.time > s AND h.time <= e
		UNION ALL (SELECT time, values[1] FROM h WHERE tag = of_tag AND h.time <= s ORDER BY h.time DESC LIMIT 1)) x WHERE v IS NOT NULL) y WHERE time > s
$$;
SELECT is((SELECT sum(values[1])::numeric FROM historian.downsample('m', 'c', s, e, n, 'increase(1024)')), grown('c', s, e, 1024), format('increase over a modulus, %s periods', n)) FROM win;
SELECT is((SELECT values[1]::numeric FROM historian.downsample('p', 'c', s, s + 2000000000, 1, 'rate(1024)')), round(grown('c', s, s + 2000000000, 1024) / 2, 6), 'rate over a modulus') FROM win LIMIT 1;
SELECT cmp_ok((SELECT values[1] FROM historian.downsample('m', 'c', 0, 20000000, 1, 'increase(1024)')), '>', (SELECT values[1] FROM historian.downsample('m', 'c', 0, 20000000, 1, 'increase')), 'which is more than over resets alone');
SELECT throws_ok(format('SELECT * FROM historian.downsample(%L, %L, 0, 9, 1, %L)', 'm', 'c', c.method), '22023', c.message, c.method)
	FROM (VALUES ('percentile', 'method "percentile" needs a percentage in parentheses'), ('percentile(101)', 'method "percentile(101)" needs a percentage in parentheses'),
		('percentile(NaN)', 'method "percentile(NaN)" needs a percentage in parentheses'), ('percentile(5', 'method "percentile(5" needs a percentage in parentheses'),
		('increase(0)', 'method "increase(0)" needs a modulus in parentheses'), ('increase(inf)', 'method "increase(inf)" needs a modulus in parentheses'),
		('rate()', 'method "rate()" needs a modulus in parentheses'), ('max(5)', 'method "max" takes no argument'), ('percent(5)', 'unknown method "percent(5)"')) AS c(method, message);

-- time_of_min and time_of_max
SELECT results_eq(format('SELECT a.time, a.min, b.time, b.max FROM historian.time_of_min(%L, %L, %s, %s, %s) a, historian.time_of_max(%1$L, %2$L, %3$s, %4$s, %5$s) b', t.name, 'c', s, e, k),
	format('SELECT * FROM (SELECT time, values[%1$s] FROM h WHERE tag = %2$L AND time >= %3$s AND time < %4$s AND values[%1$s] <> %5$L ORDER BY values[%1$s], time LIMIT 1) a,
		(SELECT time, values[%1$s] FROM h WHERE tag = %2$L AND time >= %3$s AND time < %4$s AND values[%1$s] <> %5$L ORDER BY values[%1$s] DESC, time LIMIT 1) b', k, 'c', s, e, 'NaN'),
	format('extremes of value %s of %s from %s to %s', k, t.name, s, e)) FROM unnest('{m,p}'::text[]) t(name), (SELECT * FROM win LIMIT 2) w, generate_series(1, 3) k;
SELECT results_eq($$SELECT * FROM historian.time_of_max('m', 'few', timestamptz '1970-01-01Z', timestamptz '1970-01-02Z')$$, $$VALUES (timestamptz '1970-01-01Z', 7::float8)$$, 'as timestamptz');
SELECT results_eq($$SELECT * FROM historian.time_of_min('m', 'few', '6', '99')$$, $$VALUES (15::bigint, 7::float8)$$, 'as text');
SELECT results_eq($$SELECT * FROM historian.time_of_min('m', 'few', -9223372036854775808, 9223372036854775807)$$, $$VALUES (5::bigint, 5::float8)$$, 'over all times');
SELECT results_eq($$SELECT * FROM historian.time_of_min('m', 'few', 0, 9, 2)$$, $$VALUES (NULL::bigint, NULL::float8)$$, 'of a value that is not there');

-- approx_tags
SELECT is(historian.approx_tags(t.name::regclass, s, e), (SELECT count(DISTINCT tag) FROM h WHERE time >= s AND time < e), format('tags of %s from %s to %s', t.name, s, e))
	FROM unnest('{m,p}'::text[]) t(name), (VALUES (0::bigint, 20::bigint), (5050000, 5200000), (20, 4000000), (4000000, 40000000), (40000000, 40000001)) w(s, e);
SELECT is(historian.approx_tags('m', timestamptz '1970-01-01Z', timestamptz '1970-01-02Z'), 302::bigint, 'tags, timestamptz');

-- summary: small, where quantiles are exact
CREATE FUNCTION brute(of_tag text, s bigint, e bigint, fractions float8[]) RETURNS TABLE (value integer, count bigint, min float8, max float8, mean float8, stddev float8, quantiles float8[], approx_distinct bigint) LANGUAGE sql AS $$
	SELECT k, count(v), min(v) FILTER (WHERE v <> 'NaN'), max(v), avg(v), stddev_samp(v), percentile_cont(fractions) WITHIN GROUP (ORDER BY v), count(DISTINCT v)
	FROM (SELECT k, h.values[k] AS v FROM h, generate_series(1, (SELECT max(cardinality(h.values)) FROM h WHERE tag = of_tag AND h.time >= s AND h.time < e)) k WHERE tag = of_tag AND h.time >= s AND h.time < e) x
	GROUP BY k ORDER BY k
$$;
-- but for the last digits, of which rounding to fewer would make greater ones now and then
CREATE FUNCTION near(a float8, b float8) RETURNS boolean LANGUAGE sql AS $$ SELECT a IS NOT DISTINCT FROM b OR coalesce(abs(a - b) <= 1e-9, false) $$;
SELECT results_eq(format('SELECT value, g.count, g.min, g.max, near(g.mean, b.mean), near(g.stddev, b.stddev), g.quantiles FROM historian.summary(%1$L, %2$L, %3$s, %4$s, %5$L) g LEFT JOIN brute(%2$L, %3$s, %4$s, %5$L) b USING (value) ORDER BY 1', t.name, 'c', s, e, '{0,0.3,0.5,0.999,1}'),
	format('SELECT value, count, min, max, true, true, quantiles FROM brute(%L, %s, %s, %L)', 'c', s, e, '{0,0.3,0.5,0.999,1}'), format('summary of %s from %s to %s', t.name, s, e))
	FROM unnest('{m,p}'::text[]) t(name), (VALUES (0::bigint, 900000::bigint), (14000000, 14500000), (29990000, 30000050)) w(s, e);
SELECT results_eq(format('SELECT value, g.count, g.min, g.max, near(g.mean, b.mean), near(g.stddev, b.stddev), g.quantiles, g.approx_distinct FROM historian.summary(%1$L, %2$L, %3$s, %4$s, detail => false) g LEFT JOIN brute(%2$L, %3$s, %4$s, %5$L) b USING (value) ORDER BY 1', t.name, 'c', s, e, '{}'),
	format('SELECT value, count, min, max, true, true, NULL::float8[], NULL::bigint FROM brute(%L, %s, %s, %L)', 'c', s, e, '{}'), format('summary of %s without detail from %s to %s', t.name, s, e))
	FROM unnest('{m,p}'::text[]) t(name), (SELECT * FROM win LIMIT 2) w;
SELECT is((SELECT quantiles FROM historian.summary('m', 'few', '0', '16') WHERE value = 1), '{5.02,5.1,5.5,6,6.5,6.9,6.98}', 'the default quantiles, and times as text');
SELECT is((SELECT count FROM historian.summary('m', 'few', timestamptz '1970-01-01Z', timestamptz '1970-01-02Z', detail => false) WHERE value = 2), 1::bigint, 'and as timestamptz');
SELECT is_empty($$SELECT * FROM historian.summary('m', 'no', 0, 9)$$, 'of an unknown tag');
SELECT is((SELECT array_agg(cardinality(quantiles)) FROM historian.summary('m', 'few', 0, 16, '{}')), '{0,0}', 'no quantiles');
SELECT throws_ok($$SELECT * FROM historian.summary('m', 'few', 0, 9, '{0.5,1.01}')$$, '22003', 'fraction 2 must be between 0 and 1', 'a fraction above 1');
SELECT throws_ok($$SELECT * FROM historian.summary('m', 'few', 0, 9, '{NULL}')$$, '22003', 'fraction 1 must be between 0 and 1', 'NULL');

-- large: a distribution in each value, in several orders
CREATE TABLE wide (time bigint, tag text, values float8[]) USING historian;
CREATE TEMP TABLE drawn AS SELECT i, ARRAY[random(), -ln(1 - random()), i, -i, floor(random() * 10), 7, CASE WHEN random() < 0.5 THEN -1e300 * random() ELSE 1e300 * random() END,
		floor(1 / (random() + 1e-9)), CASE WHEN i % 2 = 0 THEN i ELSE -i END, floor(random() * 40000), floor(random() * 150000), (i * 7919) % 1000 + random() * 1e-9,
		CASE WHEN random() < 0.9 THEN NULL ELSE random() END, CASE WHEN random() < 0.01 THEN 'Infinity' ELSE random() END, sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random())]::float8[] AS values
	FROM generate_series(1, 200000) i;
INSERT INTO wide SELECT i, 'w', values FROM drawn;
CREATE TEMP TABLE told AS SELECT * FROM historian.summary('wide', 'w', 0, 200001, '{0,0.001,0.01,0.1,0.25,0.5,0.75,0.9,0.99,0.999,1}');
CREATE TEMP TABLE ranks AS WITH q AS (SELECT value, f, q FROM told, unnest('{0,0.001,0.01,0.1,0.25,0.5,0.75,0.9,0.99,0.999,1}'::float8[], quantiles) u(f, q))
	SELECT q.value, f, greatest(count(*) FILTER (WHERE v < q) - 1 - f * (count(*) - 1), f * (count(*) - 1) - count(*) FILTER (WHERE v <= q), 0) / count(*) AS error
	FROM drawn, unnest(values) WITH ORDINALITY u(v, k) JOIN q ON q.value = k WHERE v IS NOT NULL GROUP BY 1, 2;
SELECT is((SELECT count(*) FROM ranks), 165::bigint, 'quantiles of 15 distributions');
SELECT diag('greatest error of a rank: ' || max(error)) FROM ranks;
SELECT is_empty('SELECT * FROM ranks WHERE error > 0.004', 'ranks are off by at most 0.4 %');
SELECT is_empty('SELECT * FROM ranks WHERE f IN (0, 1) AND error > 0', 'the least and the greatest are exact');
CREATE TEMP TABLE counted AS SELECT k AS value, count(DISTINCT v) AS n FROM drawn, unnest(values) WITH ORDINALITY u(v, k) GROUP BY 1;
SELECT diag('greatest error of approx_distinct: ' || max(abs(approx_distinct - n) / n::float8)) FROM told JOIN counted USING (value);
SELECT is_empty('SELECT value, n, approx_distinct FROM told JOIN counted USING (value) WHERE abs(approx_distinct - n) > 0.02 * n', 'distinct values are right to 2 %');
SELECT is((SELECT approx_distinct FROM told WHERE value = 6), 1::bigint, 'of one value exactly');
INSERT INTO wide SELECT i, 'few', ARRAY[sqrt(i % 1024), sqrt(i % 1025), sqrt(i % 75), CASE i % 4 WHEN 0 THEN float8 'NaN' WHEN 1 THEN '-0' WHEN 2 THEN 0 END] FROM generate_series(1, 5000) i;
SELECT results_eq($$SELECT approx_distinct FROM historian.summary('wide', 'few', 0, 5001) WHERE value <> 2 ORDER BY value$$, 'VALUES (1024::bigint), (75), (2)', 'up to 1,024 values exactly');
SELECT is_empty($$SELECT value, approx_distinct FROM historian.summary('wide', 'few', 0, 5001) WHERE value = 2 AND abs(approx_distinct - 1025) > 20$$, 'one more to 2 %');
SELECT is_empty($$SELECT w, approx_distinct FROM generate_series(1, 40) w, historian.summary('wide', 'few', 100 * w, 100 * w + 99) WHERE value = 1 AND approx_distinct <> 99$$, 'and 99 values, of any kind');

-- annotations
INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('m', 'few', 5, 'sensor changed');
INSERT INTO historian.annotation (relid, tag, start_time, end_time, value, kind, text, author) VALUES ('m', 'few', 5, 15, 1, 'stop', 'lightning', 'ann');
SELECT results_eq($$SELECT start_time, end_time, value, kind, text, author FROM historian.annotation WHERE relid = 'm'::regclass AND tag = 'few' ORDER BY text$$,
	$$VALUES (5::bigint, 15::bigint, 1, 'stop', 'lightning', 'ann'), (5, NULL, NULL, NULL, 'sensor changed', current_user::text COLLATE "default")$$, 'annotations');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, end_time, text) VALUES ('m', 'few', 5, 5, 'x')$$, '23514', NULL, 'an empty span');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('m', '', 5, 'x')$$, '22026', NULL, 'no tag');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('m', 'few', 5, '')$$, '23514', NULL, 'no text');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, value, text) VALUES ('m', 'few', 5, 0, 'x')$$, '23514', NULL, 'value 0');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES (1, 'few', 5, 'x')$$, '42P01', NULL, 'no table');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('told', 'few', 5, 'x')$$, '0A000', NULL, 'a temporary table');
SELECT is(historian.rename('m', 'few', 'fewer'), 3::bigint, 'a rename');
SELECT is((SELECT count(*) FROM historian.annotation WHERE relid = 'm'::regclass AND tag = 'fewer'), 2::bigint, 'takes annotations along');
CREATE ROLE pgtap_reader;
GRANT USAGE ON SCHEMA pgtap_summary TO pgtap_reader;
SET LOCAL ROLE pgtap_reader;
SELECT is_empty($$SELECT FROM historian.annotation WHERE relid = 'm'::regclass$$, 'annotations need a privilege on the table');
SELECT throws_ok($$SELECT historian.summary('m', 'few', 0, 9)$$, '42501', 'permission denied for table m', 'summary needs SELECT');
SELECT throws_ok($$SELECT historian.state_duration('m', 'few', 0, 9)$$, '42501', 'permission denied for table m', 'state_duration');
SELECT throws_ok($$SELECT historian.transitions('m', 'few', 0, 9)$$, '42501', 'permission denied for table m', 'transitions');
SELECT throws_ok($$SELECT historian.approx_tags('m', 0, 9)$$, '42501', 'permission denied for table m', 'approx_tags');
SELECT throws_ok($$SELECT historian.time_of_min('m', 'few', 0, 9)$$, '42501', 'permission denied for table m', 'time_of_min');
RESET ROLE;
GRANT SELECT ON m TO pgtap_reader;
SET LOCAL ROLE pgtap_reader;
SELECT is((SELECT count(*) FROM historian.annotation WHERE relid = 'm'::regclass), 2::bigint, 'readers of the table read annotations');
SELECT throws_ok($$INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('m', 'few', 5, 'x')$$, '42501', 'permission denied for annotations of table pgtap_summary.m', 'and write none');
SELECT throws_ok($$DELETE FROM historian.annotation WHERE relid = 'm'::regclass$$, '42501', 'permission denied for annotations of table pgtap_summary.m', 'nor delete any');
RESET ROLE;
GRANT INSERT ON m TO pgtap_reader;
SET LOCAL ROLE pgtap_reader;
SELECT lives_ok($$INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('m', 'few', 5, 'x')$$, 'writers write');
SELECT is((SELECT author FROM historian.annotation WHERE text = 'x'), 'pgtap_reader'::text, 'with their name');
RESET ROLE;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE pgtap_reader;
SELECT is_empty($$SELECT historian.summary('m', 'fewer', 0, 90)$$, 'summary heeds policies');
SELECT is_empty($$SELECT historian.transitions('m', 'fewer', 0, 90)$$, 'transitions');
SELECT is_empty($$SELECT historian.state_duration('m', 'fewer', 0, 90)$$, 'state_duration');
SELECT is(historian.approx_tags('m', 0, 40000000), 0::bigint, 'approx_tags');
SELECT is((SELECT max FROM historian.time_of_max('m', 'fewer', 0, 90)), NULL::float8, 'time_of_max');
RESET ROLE;
CREATE POLICY early ON m FOR SELECT USING (tag = 'fewer' AND time < 10);
SET LOCAL ROLE pgtap_reader;
SELECT is((SELECT array_agg(count) FROM historian.summary('m', 'fewer', 0, 90)), '{1}', 'a summary of the rows of a policy');
SELECT is((SELECT array_agg(duration) FROM historian.state_duration('m', 'fewer', 0, 90)), '{85}', 'their states');
SELECT is(historian.approx_tags('m', 0, 40000000), 1::bigint, 'their tags');
SELECT is((SELECT max FROM historian.time_of_max('m', 'fewer', 0, 90)), 5::float8, 'their extremes');
SELECT is((SELECT values FROM historian.downsample('m', 'fewer', 0, 90, 1, 'percentile(100)')), '{5}', 'their percentiles');
RESET ROLE;
ALTER TABLE m DISABLE ROW LEVEL SECURITY;
CREATE TABLE gone (time bigint, tag text, values float8[]) USING historian;
INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('gone', 'a', 5, 'gone');
DROP TABLE gone;
SELECT is_empty($$SELECT FROM historian.annotation WHERE text = 'gone'$$, 'annotations go with the table');
REVOKE ALL ON m FROM pgtap_reader;
REVOKE ALL ON SCHEMA pgtap_summary FROM pgtap_reader;
DROP ROLE pgtap_reader;

SELECT * FROM finish();
COMMIT;
DROP SCHEMA pgtap_summary CASCADE;
