-- HistorianAggregate: what it answers equals what PostgreSQL computes from the rows, and from a heap
-- twin; what it does not know is left to PostgreSQL.
BEGIN;
SELECT plan(54);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null
SET max_parallel_workers_per_gather = 0;

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- whole and half numbers, whose sums are exact in any order; full segments of tag t0 have summaries
CREATE FUNCTION load(n int, tags int, width int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE batch AS
		SELECT DISTINCT ON (tag, time) (random() * 4e6)::bigint AS time, 't' || (i % tags) AS tag,
			CASE WHEN tags > 1 AND i % 17 = 0 THEN NULL WHEN tags > 1 AND i % 13 = 0 THEN ARRAY[NULL, i]
				WHEN tags > 1 AND i % 211 = 0 THEN ARRAY['NaN', 2.5]
				ELSE ARRAY[i, i % 5 / 2.0, -i % 7, i / 4.0] || (SELECT array_agg(floor(random() * 1e15)) FROM generate_series(1, width + i * 0)) END AS values
		FROM generate_series(1, n) i ORDER BY tag, time;
	INSERT INTO m SELECT * FROM batch;
	INSERT INTO h SELECT * FROM batch ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	DROP TABLE batch;
END $$;

CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		lines := lines || line;
	END LOOP;
	RETURN lines;
END $$;

CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT string_agg(x::text, chr(10) ORDER BY x::text) FROM (' || query || ') x' INTO result;
	RETURN result;
END $$;

-- by the node, by the executor and from the heap
CREATE FUNCTION same(query text, by_node boolean DEFAULT true) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	expected text := answer(replace(query, ' m ', ' h '));
BEGIN
	RETURN NEXT is(plan_of(query) LIKE '%HistorianAggregate%', by_node, 'planned: ' || query);
	RETURN NEXT is(answer(query), expected, query);
END $$;

SELECT load(8000, 1, 8);
SELECT load(6000, 30, 1);
SELECT historian.compact('m') \g /dev/null
SELECT load(3000, 31, 2);
DELETE FROM m WHERE tag = 't0' AND time BETWEEN 100000 AND 200000;
DELETE FROM h WHERE tag = 't0' AND time BETWEEN 100000 AND 200000;

SELECT same('SELECT count(*) FROM m WHERE true');
SELECT same('SELECT count(*), min(time), max(time), avg(values[1]), sum(values[2]), max(values[3]) FROM m WHERE tag = ''t0''');
SELECT same('SELECT count(*), sum(values[1]) FROM m WHERE tag = ''t0'' AND time BETWEEN 300000 AND 3000000');
SELECT same('SELECT tag, count(*), count(values[1]), max(time), min(values[2]) FROM m GROUP BY tag');
SELECT same('SELECT tag, count(*) + 1, max(time) - min(time) AS span FROM m WHERE time >= 2000000 GROUP BY tag ORDER BY span');
SELECT same('SELECT max(values[1]), min(values[1]) FROM m WHERE tag IN (''t1'', ''t2'', ''none'')');
SELECT same('SELECT count(*), count(values[1]), min(time), sum(values[1]) FROM m WHERE tag = ''none''');
SELECT same('SELECT count(time), count(tag) FROM m WHERE tag = ''t0'' AND 5 < time');
SELECT same('SELECT x, (SELECT count(*) FROM m WHERE tag = x AND time > 70000) FROM (VALUES (''t0''), (''t5''), (''none'')) v (x)');
SELECT same('SELECT tag, count(*), sum(count(*)) OVER () FROM m GROUP BY tag');
SELECT same('SELECT count(*) FROM m WHERE tag = ''t0'' AND time > 10 AND time < 5');
SELECT same('SELECT count(*) FROM m WHERE tag = (SELECT ''t1'' LIMIT 1)');
SELECT same('SELECT count(*) FROM m WHERE time > CASE WHEN 5 IN (SELECT g FROM generate_series(1, 9) g) THEN 300000 ELSE 4 END');
SELECT alike(plan_of('SELECT count(*) FROM m WHERE tag = ANY (''{t1,t2}'') AND 5 < time'), '%' || condition || '%', 'EXPLAIN tells ' || condition)
	FROM unnest(ARRAY['("time" > 5)', '(tag = ANY (''{t1,t2}''::text[]))']) condition;

-- not known to it
SELECT same('SELECT count(*) FROM m WHERE values[1] > 5', false);
SELECT same('SELECT count(DISTINCT tag) FROM m WHERE true', false);
SELECT same('SELECT count(*) FILTER (WHERE time > 5) FROM m WHERE true', false);
SELECT same('SELECT tag, count(*) FROM m GROUP BY tag HAVING count(*) > 200', false);
SELECT same('SELECT lower(tag), count(*) FROM m GROUP BY lower(tag)', false);
SELECT same('SELECT count(values), count(values[time]) FROM m WHERE tag = ''t1''', false);
SELECT same('SELECT count(*) FROM m , (VALUES (1), (2)) v', false);
SELECT same('SELECT sum(time) FROM m WHERE tag = ''t1''', false);

-- sums of any numbers, but for rounding
SELECT ok(abs(a - b) <= 1e-12 * abs(b), 'avg of large numbers')
	FROM (SELECT avg(values[5]) a FROM m WHERE tag = 't0') x, (SELECT avg(values[5]::numeric)::float8 b FROM h WHERE tag = 't0') y;

-- numbers that are finite, but not their sum, in rows and in summaries; and those that are not
INSERT INTO m SELECT i, 'large', ARRAY[1e305] || (SELECT array_agg(random()) FROM generate_series(1, 10 + i * 0))
	FROM generate_series(1, 6000) i;
SELECT throws_ok('SELECT sum(values[1]) FROM m WHERE tag = ''large''', '22003', NULL, 'a sum out of range');
SELECT historian.compact('m') \g /dev/null
SELECT throws_ok('SELECT avg(values[1]) FROM m WHERE tag = ''large''', '22003', NULL, 'a sum of sums out of range');
INSERT INTO m VALUES (1, 'infinite', '{1,Infinity}'), (2, 'infinite', '{Infinity,-Infinity}');
INSERT INTO h VALUES (1, 'infinite', '{1,Infinity}'), (2, 'infinite', '{Infinity,-Infinity}');
SELECT same('SELECT sum(values[1]), avg(values[2]) FROM m WHERE tag = ''infinite''');
DELETE FROM m WHERE tag IN ('large', 'infinite');

SET historian.enable_aggregate = off;
SELECT unalike(plan_of('SELECT count(*) FROM m'), '%HistorianAggregate%', 'can be switched off');
RESET historian.enable_aggregate;
INSERT INTO m VALUES (1, 'own', ARRAY[1]);
SELECT is(count(*), 1::bigint, 'own rows count') FROM m WHERE tag = 'own';
PREPARE of_tag (text) AS SELECT count(*), max(time) FROM m WHERE tag = $1;
SET plan_cache_mode = force_generic_plan;
SELECT alike(plan_of('EXECUTE of_tag(''t1'')'), '%HistorianAggregate%Historian Cond: (tag = $1)%', 'with parameters');
SELECT results_eq('EXECUTE of_tag(''t1'')', 'SELECT count(*), max(time) FROM h WHERE tag = ''t1''', 'a generic plan');
CREATE ROLE nobody_here;
SET ROLE nobody_here;
SELECT throws_ok('SELECT count(*) FROM m', '42501', NULL, 'privileges are asked for');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
