-- Conditions on historian.to_timestamptz(time), and ORDER BY it, against the same view over a heap table; their plans; and
-- the queries that Grafana's macros and BI tools make. Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_timestamps CASCADE;
CREATE SCHEMA pgtap_timestamps;
SET search_path = pgtap_timestamps, public;
SET timezone = 'America/Sao_Paulo';
BEGIN;
SELECT plan(77);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

-- rows around the edges of microseconds: at both ends of int64, about 1970, about now, and some instants that conditions name
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
INSERT INTO h SELECT DISTINCT ON (tag, ns) ns, tag, ARRAY[ns / 1e9, random()] FROM (
	SELECT (least(greatest(base::numeric + d, -9223372036854775808), 9223372036854775807))::bigint AS ns, 't' || abs(d) % 4 AS tag
	FROM unnest(ARRAY[-9223372036854775808, -9223372036854775000, 9223372036854775807, 9223372036854775000, 0, 951782400000000000,
		1704067200000000000, (extract(epoch FROM now()) * 1000000)::bigint * 1000]) base,
		unnest(ARRAY[-2001, -2000, -1999, -1001, -1000, -999, -501, -1, 0, 1, 499, 999, 1000, 1001, 1999, 2000, 2001]) d
	UNION ALL
	SELECT 1704067200000000000 + (random() * 3e15)::bigint, 't' || i % 4 FROM generate_series(1, 2000) i) r;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT * FROM h ORDER BY random();
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO (1704067200000000500) USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1704067200000000500) TO (1705000000000000000) PARTITION BY HASH (tag);
CREATE TABLE p20 PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
CREATE TABLE p21 PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian;
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (1705000000000000000) TO (MAXVALUE) USING historian;
INSERT INTO p SELECT * FROM h;
CREATE VIEW hv AS SELECT historian.to_timestamptz(time) AS ts, tag, values, time FROM h;
CREATE VIEW mv AS SELECT historian.to_timestamptz(time) AS ts, tag, values, time FROM m;
CREATE VIEW pv AS SELECT historian.to_timestamptz(time) AS ts, tag, values, time FROM p;
CREATE TABLE w (tag text, since timestamptz, day date);
INSERT INTO w SELECT 't' || i % 5, historian.to_timestamptz(time), historian.to_timestamptz(time)::date
	FROM (SELECT time, row_number() OVER (ORDER BY random()) i FROM h ORDER BY random() LIMIT 12) r;
INSERT INTO w VALUES ('t1', 'infinity', '-infinity'), ('t2', '-infinity', 'infinity'), ('t3', NULL, NULL), (NULL, '2024-01-01', '2024-01-01');
ANALYZE h;
ANALYZE m;
ANALYZE p;
COMMIT;
-- half of the rows are compacted, as far as they amount to segments
SELECT count(*) FROM historian.compact('m') \g /dev/null

CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		lines := lines || line || E'\n';
	END LOOP;
	RETURN lines;
END $$;
CREATE FUNCTION rows_of(query text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	result text[];
BEGIN
	EXECUTE format('SELECT array_agg(r::text) FROM (%s) r', query) INTO result;
	RETURN result;
END $$;
CREATE FUNCTION one_of(choices text[]) RETURNS text LANGUAGE sql VOLATILE AS
	'SELECT choices[1 + floor(random() * cardinality(choices))::int]';

-- a time to compare with, as SQL
CREATE FUNCTION random_value() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	ts timestamptz := (SELECT historian.to_timestamptz(time) FROM h ORDER BY random() LIMIT 1) + floor(random() * 3 - 1)::int * interval '1 microsecond';
BEGIN
	RETURN one_of(ARRAY[
		format('%L', ts), format('%L::timestamptz', ts), format('%L', ts), format('%L::timestamp', ts), format('%L::date', ts),
		format('%L::timestamptz + interval ''%s microseconds''', ts, floor(random() * 3 - 1)),
		format('(now() - %L::interval)', now() - ts), format('(SELECT %L::timestamptz)', ts), format('(SELECT min(since) FROM w WHERE since >= %L)', ts),
		format('date_trunc(''day'', %L::timestamptz)', ts), 'now()', 'current_date', 'localtimestamp', '''infinity''', '''-infinity''',
		'''infinity''::date', '''-infinity''::timestamp', '''1600-01-01''', '''3000-01-01''', '''294276-12-31 23:59:59.999999 UTC''', '''4714-11-24 00:00 UTC BC''',
		'''5874897-12-31''::date', '''294276-12-31 23:59''::timestamp', 'NULL', 'NULL::date', '''1677-09-21 00:12:43.145224Z''', '''2262-04-11 23:47:16.854775Z''']);
END $$;
CREATE FUNCTION random_condition() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	op text := one_of('{<,<=,=,>=,>,<>}');
BEGIN
	RETURN CASE floor(random() * 8)
		WHEN 0 THEN format('%s %s v.ts', random_value(), op)
		WHEN 1 THEN format('v.ts BETWEEN %s AND %s', random_value(), random_value())
		WHEN 2 THEN format('(v.ts %s %s AND v.ts %s %s)', op, random_value(), one_of('{<,>,<=,>=}'), random_value())
		WHEN 3 THEN format('v.tag = ''t%s'' AND v.ts %s %s', floor(random() * 5), op, random_value())
		WHEN 4 THEN format('(v.ts %s %s OR %s)', op, random_value(), one_of('{v.tag = ''t1'',v.time > 0,v.values[1] > 0}'))
		WHEN 5 THEN format('NOT (v.ts %s %s)', op, random_value())
		ELSE format('v.ts %s %s', op, random_value()) END;
END $$;

-- random conditions; the result is the first query that differs
CREATE FUNCTION differing(views text[], n int, form text, OUT query text) LANGUAGE plpgsql AS $$
DECLARE
	condition text;
	expected text[];
	name text;
	zone text;
BEGIN
	FOR i IN 1..n LOOP
		zone := one_of('{UTC,Asia/Kathmandu,America/Sao_Paulo,Europe/Berlin}');
		PERFORM set_config('timezone', zone, true);
		condition := random_condition() || CASE WHEN random() < 0.2 THEN ' AND ' || random_condition() ELSE '' END;
		expected := rows_of(format(form, 'hv', condition));
		FOREACH name IN ARRAY views LOOP
			query := zone || ': ' || format(form, name, condition);
			IF rows_of(format(form, name, condition)) IS DISTINCT FROM expected THEN
				RETURN;
			END IF;
		END LOOP;
	END LOOP;
	query := NULL;
END $$;
SELECT is(differing('{mv,pv}', 600, 'SELECT * FROM %s v WHERE %s ORDER BY tag, time'), NULL, '600 random conditions');
SELECT is(differing('{mv,pv}', 100, 'SELECT ts, time FROM %s v WHERE v.tag = ''t1'' AND %s ORDER BY ts, time'), NULL, '100 in order of ts, time');
SELECT is(differing('{mv,pv}', 100, 'SELECT ts, time FROM %s v WHERE v.tag = ''t1'' AND %s ORDER BY ts DESC, time DESC LIMIT 7'), NULL, '100 from the last one');
SELECT is(differing('{mv,pv}', 100, 'SELECT ts FROM %s v WHERE v.tag = ''t2'' AND %s ORDER BY ts LIMIT 7'), NULL, '100 in order of ts');
SELECT is(differing('{mv,pv}', 100, 'SELECT tag, count(*), min(ts), max(ts), count(ts), min(time), max(values[2]) FROM %s v WHERE %s GROUP BY tag ORDER BY tag'), NULL, '100 aggregates');
SELECT is(differing('{mv,pv}', 100, 'SELECT w.*, v.ts, v.time FROM w JOIN %s v ON v.tag = w.tag AND v.ts >= w.since WHERE v.tag <> ''t9'' AND (v.tag, v.ts) IN (SELECT tag, ts FROM hv v WHERE %2$s) ORDER BY 1, 2, 3, 4, 5'), NULL, '100 joins');
SELECT is(differing('{mv,pv}', 60, 'SELECT w.*, v.ts, v.time FROM w LEFT JOIN %s v ON v.tag = w.tag AND v.ts < w.day AND %2$s ORDER BY 1, 2, 3, 4, 5'), NULL, '60 outer joins') FROM (SELECT set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)) x;
SELECT is(differing('{mv,pv}', 60, 'SELECT w.*, l.* FROM w, LATERAL (SELECT v.ts, v.time FROM %s v WHERE v.tag = w.tag AND v.ts <= w.since AND %2$s ORDER BY ts DESC, time DESC LIMIT 1) l ORDER BY 1, 2, 3, 4, 5'), NULL, '60 lateral subqueries');
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT is(differing('{mv,pv}', 60, 'SELECT * FROM (SELECT tag, ts, count(*), sum(time) FROM %s v WHERE %s GROUP BY GROUPING SETS ((tag), (ts), ()) OFFSET 0) s ORDER BY 1, 2, 3, 4'), NULL, '60 with GROUPING SETS');
SELECT is(differing('{mv,pv}', 60, 'SELECT x.tag, x.since, y.ts, y.time FROM (SELECT tag, since, 1 AS n FROM w) x LEFT JOIN (SELECT v.*, 2 AS n FROM %s v) y ON y.tag = x.tag AND y.n = 2 AND y.ts > x.since LEFT JOIN %1$s v ON v.tag = y.tag AND v.time = y.time WHERE %2$s OR v.ts IS NULL ORDER BY 1, 2, 3, 4'), NULL, '60 two outer joins');
SET historian.enable_scan = off;
SELECT is(differing('{mv,pv}', 100, 'SELECT * FROM %s v WHERE %s ORDER BY tag, time'), NULL, '100 without the scan node');
RESET historian.enable_scan;

-- what the planner hands to the scan: the range of time, exact
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts >= '2024-01-01 00:00:00Z'$$), 'Historian Cond: \("?m?"?\.?"time" >= ''1704067200000000000''', '>=');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts > '2024-01-01 00:00:00Z'$$), 'Historian Cond: [^\n]*"time" >= ''1704067200000001000''', '>');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts < '2024-01-01 00:00:00Z'$$), 'Historian Cond: [^\n]*"time" <= ''1704067199999999999''', '<');
SELECT matches(plan_of($$SELECT * FROM mv WHERE '2024-01-01 00:00:00Z' >= ts$$), 'Historian Cond: [^\n]*"time" <= ''1704067200000000999''', '<=, the other way round');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts = '2024-01-01 00:00:00Z'$$), 'Historian Cond: [^\n]*"time" >= ''1704067200000000000''[^\n]*"time" <= ''1704067200000000999''', '=');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts > 'infinity'$$), 'One-Time Filter: false', 'infinity');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts < '1600-01-01'$$), 'One-Time Filter: false', 'before all times');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts < '3000-01-01'$$), 'Historian Cond: [^\n]*"time" <= ''9223372036854775807''', 'after all times');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts > now() - interval '1 hour'$$), 'Historian Cond: [^\n]*"time" >= historian.first_ns_after\(\(now\(\) - ''01:00:00''', 'now()');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts >= current_date - 7$$), 'Historian Cond: [^\n]*"time" >= historian.first_ns\(\(CURRENT_DATE - 7\)\)', 'a date');
SELECT matches(plan_of($$SELECT * FROM mv WHERE ts >= (SELECT min(since) FROM w)$$), 'Historian Cond: [^\n]*"time" >= historian.first_ns\(', 'a subquery''s value');
SELECT unalike(plan_of($$SELECT * FROM mv WHERE ts >= now() - random() * interval '1 hour'$$), '%Historian Cond%', 'not what is volatile');
SELECT unalike(plan_of($$SELECT * FROM mv WHERE ts <> '2024-01-01'$$), '%Historian Cond%', 'not <>');
SELECT alike(plan_of($$SELECT ts FROM mv WHERE ts::date = '2024-01-01'$$), '%Filter:%', 'not a function of it');
SELECT alike(plan_of($$SELECT ts FROM hv WHERE ts > '2024-01-01'$$), '%Filter: (historian.to_timestamptz("time") >%', 'a heap keeps its condition');
SELECT unalike(plan_of($$SELECT * FROM pv WHERE ts >= '2024-02-01'$$), '%p1%', 'partitions are left out');
SELECT alike(plan_of($$SELECT * FROM pv WHERE ts > now() - interval '1 hour'$$), '%Subplans Removed: 3%', 'also when the query starts');
SELECT matches(plan_of($$SELECT * FROM w JOIN mv ON mv.tag = w.tag AND mv.ts >= w.since$$), 'Historian Cond: [^\n]*to_timestamptz\([^\n]*"time"\) >= w.since', 'the outer row of a nested loop')
	FROM (SELECT set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)) x;
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT matches(plan_of($$SELECT * FROM hv JOIN mv USING (ts)$$), '(Hash|Merge) Cond: [^\n]*to_timestamptz', 'a join by it hashes or merges');

-- estimates are those of the same condition on time
CREATE FUNCTION estimate(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
END $$;
SELECT is(estimate($$SELECT * FROM mv WHERE ts >= '2024-01-05Z' AND ts < '2024-01-06Z'$$),
	estimate('SELECT * FROM m WHERE time >= 1704412800000000000 AND time <= 1704499199999999999'), 'estimated rows of a day');
SELECT is(estimate($$SELECT * FROM mv WHERE ts >= now() - interval '1 hour'$$),
	estimate('SELECT * FROM m WHERE time >= historian.to_ns(now() - interval ''1 hour'')'), 'and of the last hour');

-- order
SELECT unalike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY ts$$), '%Sort%', 'ORDER BY');
SELECT unalike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY ts, time$$), '%Sort%', 'ORDER BY ts, time');
SELECT unalike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY time, ts$$), '%Sort%', 'ORDER BY time, ts');
SELECT alike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY ts DESC LIMIT 1$$), '%Scan Direction: Backward%', 'DESC');
SELECT unalike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY ts DESC LIMIT 1$$), '%Sort%', 'DESC does not sort');
SELECT alike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY ts, time DESC$$), '%Sort%', 'two directions do');
SELECT alike(plan_of($$SELECT * FROM mv WHERE tag = 't1' ORDER BY ts DESC NULLS LAST$$), '%Sort%', 'and another place of NULL');
SELECT alike(plan_of($$SELECT * FROM mv ORDER BY ts$$), '%Sort%', 'all tags do');
SELECT matches(plan_of($$SELECT * FROM pv WHERE tag = 't1' ORDER BY ts$$), 'Merge Append\n *Sort Key: [^\n]*\n *->  Custom Scan', 'partitions are merged');
SELECT alike(plan_of($$SELECT min(ts), max(ts), count(ts), count(*) FROM mv$$), '%HistorianAggregate%', 'min, max and count');
SELECT matches(plan_of($$SELECT max(ts) FROM mv WHERE tag = 't1'$$), 'HistorianAggregate|Backward', 'max of a tag');
SELECT alike(plan_of($$SELECT tag, max(ts) FROM mv WHERE ts < now() GROUP BY tag$$), '%HistorianAggregate%', 'max by tag');

-- parameters
PREPARE since(text, timestamptz, timestamptz) AS SELECT ts, time FROM mv WHERE tag = $1 AND ts >= $2 AND ts < $3 ORDER BY ts, time;
PREPARE at(timestamptz) AS SELECT tag, time FROM mv WHERE ts = $1;
PREPARE untyped AS SELECT ts, time FROM mv WHERE tag = $1 AND ts BETWEEN $2 AND $3 ORDER BY ts, time;
PREPARE since_date(date) AS SELECT count(*) FROM pv WHERE ts >= $1;
SET plan_cache_mode = force_generic_plan;
SELECT matches(plan_of($$EXECUTE since('t1', '2024-01-01Z', '2024-01-03Z')$$), 'Historian Cond: [^\n]*first_ns\(\$2\)[^\n]*last_ns_before\(\$3\)', 'a generic plan');
SELECT results_eq($$EXECUTE since('t1', '2024-01-01Z', '2024-01-03Z')$$, $$SELECT ts, time FROM hv WHERE tag = 't1' AND ts >= '2024-01-01Z' AND ts < '2024-01-03Z' ORDER BY ts, time$$, 'EXECUTE');
SELECT results_eq($$EXECUTE since('t1', '-infinity', 'infinity')$$, $$SELECT ts, time FROM hv WHERE tag = 't1' ORDER BY time$$, 'EXECUTE with infinities');
SELECT is_empty($$EXECUTE since('t1', 'infinity', 'infinity')$$, 'no row is at infinity');
SELECT is_empty($$EXECUTE since('t1', NULL, 'infinity')$$, 'nor at NULL');
SELECT bag_eq($$EXECUTE at('2024-01-01Z')$$, $$SELECT tag, time FROM h WHERE time BETWEEN 1704067200000000000 AND 1704067200000000999$$, '= takes a microsecond');
SELECT bag_eq($$EXECUTE at('2262-04-11 23:47:16.854775Z')$$, $$SELECT tag, time FROM h WHERE time >= 9223372036854775000$$, 'the last one');
SELECT bag_eq($$EXECUTE at('1677-09-21 00:12:43.145224Z')$$, $$SELECT tag, time FROM h WHERE time < -9223372036854775000$$, 'the first one');
SELECT results_eq($$EXECUTE untyped('t1', '2024-01-01Z', '2024-01-03Z')$$, $$SELECT ts, time FROM hv WHERE tag = 't1' AND ts BETWEEN '2024-01-01Z' AND '2024-01-03Z' ORDER BY ts, time$$, 'parameters without a type');
SELECT alike(plan_of($$EXECUTE since_date('2024-01-10')$$), '%Subplans Removed: 1%', 'a generic plan leaves out partitions');
SELECT results_eq($$EXECUTE since_date('2024-01-10')$$, $$SELECT count(*) FROM hv WHERE ts >= '2024-01-10'::date$$, 'and counts right');
RESET plan_cache_mode;

-- Grafana's macros: $__timeFilter(ts), $__timeGroup(ts, '5m'), $__unixEpochNanoFilter(time), $__unixEpochFilter(..)
SELECT matches(plan_of($$SELECT ts AS "time", values[1] FROM mv WHERE tag = 't1' AND ts BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-02T00:00:00.123Z' ORDER BY 1$$),
	'^Custom Scan \(HistorianScan\)[^\n]*\n *Historian Cond: [^\n]*"time" >= ''1704067200000000000''[^\n]*"time" <= ''1704153600123000999''[^\n]*\n *Values Decoded: 1\n$', '$__timeFilter');
SELECT matches(plan_of($$SELECT floor(extract(epoch from ts)/300)*300 AS "time", avg(values[1]) AS "value" FROM mv
	WHERE tag = 't1' AND ts BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-02T00:00:00Z' GROUP BY 1 ORDER BY 1$$),
	'Historian Cond: [^\n]*"time" >= ''1704067200000000000''[^\n]*"time" <= ''1704153600000000999''', '$__timeGroup');
SELECT matches(plan_of($$SELECT time, values[1] FROM mv WHERE tag = 't1' AND time >= 1704067200000000000 AND time <= 1704153600000000000 ORDER BY 1$$),
	'^Custom Scan \(HistorianScan\)[^\n]*\n *Historian Cond: [^\n]*"time" >= ''1704067200000000000''[^\n]*"time" <= ''1704153600000000000''', '$__unixEpochNanoFilter');
SELECT results_eq($$SELECT ts, time FROM mv WHERE tag = 't1' AND extract(epoch FROM ts) >= 1704067200 AND extract(epoch FROM ts) <= 1704153600 ORDER BY 1, 2$$,
	$$SELECT ts, time FROM hv WHERE tag = 't1' AND extract(epoch FROM ts) >= 1704067200 AND extract(epoch FROM ts) <= 1704153600 ORDER BY 1, 2$$, '$__unixEpochFilter of the seconds');
-- a BI tool groups by day
\set by_day 'SELECT date_trunc(''day'', ts) AS day, tag, count(*) AS rows, max(values[2]) AS most FROM %s WHERE ts >= ''2024-01-03'' AND ts < ''2024-01-10'' GROUP BY 1, 2 ORDER BY 1, 2'
SELECT matches(plan_of(format(:'by_day', 'mv')), 'Historian Cond: [^\n]*"time" >= ''1704250800000000000''[^\n]*"time" <= ''1704855599999999999''[^\n]*\n *Values Decoded: 2\n', 'GROUP BY day');
SELECT results_eq(format(:'by_day', 'mv'), format(:'by_day', 'hv'), 'its rows');

-- ROLLUP, for which the planner wraps what views compute
\set rollup 'SELECT tag, date_trunc(''day'', ts) AS day, count(*) AS rows, max(ts) FROM %s WHERE ts >= ''2024-01-03'' AND ts < now() GROUP BY ROLLUP (tag, 2) ORDER BY 1, 2'
SELECT matches(plan_of(format(:'rollup', 'mv')), 'Historian Cond: [^\n]*"time" >= ''1704250800000000000''[^\n]*"time" <= historian.last_ns_before\(now\(\)\)', 'ROLLUP');
SELECT results_eq(format(:'rollup', 'mv'), format(:'rollup', 'hv'), 'its rows');
-- a plan that is kept reads dates in the time zone of each execution
PREPARE from_date AS SELECT count(*) FROM mv WHERE ts >= '2024-01-10'::date;
SET plan_cache_mode = force_generic_plan;
SELECT results_eq('EXECUTE from_date', 'SELECT count(*) FROM h WHERE time >= 1704855600000000000', 'a date in Sao Paulo');
SET timezone = 'Asia/Kathmandu';
SELECT results_eq('EXECUTE from_date', 'SELECT count(*) FROM h WHERE time >= 1704824100000000000', 'and in Kathmandu, by the same plan');
SET timezone = 'America/Sao_Paulo';
RESET plan_cache_mode;

-- security barriers and policies do not keep the condition from the scan, nor let rows out
CREATE VIEW barrier WITH (security_barrier) AS SELECT historian.to_timestamptz(time) AS ts, * FROM m WHERE values[2] < 0.5;
SELECT matches(plan_of($$SELECT * FROM barrier WHERE ts >= '2024-01-03Z'$$), 'Historian Cond: [^\n]*"time" >= ''1704240000000000000''', 'through a security barrier');
SELECT bag_eq($$SELECT tag, time FROM barrier WHERE ts >= '2024-01-03Z'$$, $$SELECT tag, time FROM h WHERE values[2] < 0.5 AND time >= 1704240000000000000$$, 'its rows');

-- UPDATE and DELETE through the view
SELECT lives_ok($$UPDATE mv SET values = ARRAY[-1] WHERE ts BETWEEN '2024-01-04Z' AND '2024-01-05Z'; UPDATE hv SET values = ARRAY[-1] WHERE ts BETWEEN '2024-01-04Z' AND '2024-01-05Z'$$, 'UPDATE');
SELECT bag_eq('SELECT time, tag, values FROM m', 'SELECT * FROM h', 'the rows after it');
SELECT lives_ok($$DELETE FROM mv WHERE ts < '1970-01-01 00:00:00.000001Z' OR ts = '2262-04-11 23:47:16.854775Z'; DELETE FROM mv WHERE ts > '2024-01-20Z'; DELETE FROM mv WHERE ts = '2024-01-01Z';
	DELETE FROM hv WHERE ts < '1970-01-01 00:00:00.000001Z' OR ts = '2262-04-11 23:47:16.854775Z' OR ts > '2024-01-20Z' OR ts = '2024-01-01Z'$$, 'DELETE');
SELECT bag_eq('SELECT time, tag, values FROM m', 'SELECT * FROM h', 'the rows after it');

-- what the view of the documentation computes cannot be written, what is a column of the table can
CREATE VIEW measurement_view AS SELECT historian.to_timestamptz(time) AS time, tag, values[1] AS value, values, time AS time_ns FROM m;
SELECT throws_ok($$UPDATE measurement_view SET time = now() WHERE tag = 'new'$$, '0A000', 'cannot update column "time" of view "measurement_view"', 'UPDATE of time');
SELECT throws_ok($$UPDATE measurement_view SET value = 1 WHERE tag = 'new'$$, '0A000', 'cannot update column "value" of view "measurement_view"', 'UPDATE of value');
SELECT throws_ok($$INSERT INTO measurement_view (time, tag, values) VALUES (now(), 'new', '{1}')$$, '0A000', 'cannot insert into column "time" of view "measurement_view"', 'INSERT of time');
SELECT throws_ok($$INSERT INTO measurement_view (time_ns, tag, value) VALUES (1, 'new', 1)$$, '0A000', 'cannot insert into column "value" of view "measurement_view"', 'INSERT of value');
SELECT lives_ok($$INSERT INTO measurement_view (time_ns, tag, values) VALUES (1704067200000000000, 'new', '{1}');
	UPDATE measurement_view SET tag = 'newer', values = '{2}', time_ns = time_ns + 1 WHERE tag = 'new' AND time = '2024-01-01Z'$$, 'INSERT and UPDATE of the others');
SELECT results_eq($$SELECT time, tag, values FROM m WHERE tag LIKE 'new%'$$, $$VALUES (1704067200000000001, 'newer', '{2}'::float8[])$$, 'give this row');

SELECT * FROM finish();
SET client_min_messages = warning;
DROP SCHEMA pgtap_timestamps CASCADE;
