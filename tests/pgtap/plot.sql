-- The methods plot and minmaxlttb, and lttb with them, by a chosen value: against plain SQL over a heap table, with
-- segments that are read from their summaries and without; late rows, deletions, values that lack, NULL, NaN, ties.
-- Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_plot CASCADE;
CREATE SCHEMA pgtap_plot;
SET search_path = pgtap_plot, public;
SELECT plan(65);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- Values of full precision, so that a hundred rows fill a segment: a walk, three levels, a rising line, a constant, zeros
-- of both signs, noise.  The tag odd has rows that lack values, NULL, NaN and infinities in some places.
CREATE FUNCTION load(of_tag text, first bigint, n int, step bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE batch AS
		SELECT first + i * step AS time, of_tag AS tag, CASE
				WHEN of_tag = 'odd' AND i % 500 < 4 THEN (ARRAY['{1}', '{NULL,NaN,3}', NULL, '{-Infinity,Infinity,NaN,NULL,5}'])[1 + i % 500]::float8[]
				ELSE ARRAY[sum(random() - 0.5) OVER (ORDER BY i), floor(random() * 3), i, 7, CASE WHEN random() < 0.5 THEN 0 ELSE '-0' END,
					random(), random(), random()] END AS values
		FROM generate_series(1, n) i;
	INSERT INTO m SELECT * FROM batch;
	INSERT INTO h SELECT * FROM batch ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	DROP TABLE batch;
END $$;

CREATE FUNCTION plot(of_tag text, s bigint, e bigint, n int, k int) RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	WITH rows AS MATERIALIZED (
		SELECT p.i, h.*, h.values[k] AS v FROM h JOIN (
			SELECT i, (s + div((i - 1) * (e::numeric - s), n / 4))::bigint AS lo, (s + div(i * (e::numeric - s), n / 4))::bigint AS hi
			FROM generate_series(1, n / 4) i) p ON h.time > p.lo AND h.time <= p.hi
		WHERE tag = of_tag AND h.values[k] <> 'NaN'
	), chosen AS (
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, rows.time) UNION
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, v, rows.time) UNION
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, v DESC, rows.time) UNION
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, rows.time DESC)
	)
	SELECT rows.time, rows.values FROM rows JOIN chosen USING (i, time) ORDER BY 1
$$;

-- as published: the extremes of the halves of each bucket, then every one of them is tried
CREATE FUNCTION minmaxlttb(of_tag text, s bigint, e bigint, n int, k int) RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE plpgsql AS $$
DECLARE
	a record;
	c record;
	bucket int;
BEGIN
	CREATE TEMP TABLE point AS
		WITH rows AS MATERIALIZED (
			SELECT p.i, h.*, h.values[k] AS y FROM h JOIN (
				SELECT i, (s + div((i - 1) * (e::numeric - s), 2 * (n - 2)))::bigint AS lo, (s + div(i * (e::numeric - s), 2 * (n - 2)))::bigint AS hi
				FROM generate_series(1, 2 * (n - 2)) i) p ON h.time > p.lo AND h.time <= p.hi
			WHERE tag = of_tag AND h.values[k] NOT IN ('NaN', 'Infinity', '-Infinity')
		), ends AS (SELECT min(rows.time) AS first, max(rows.time) AS last FROM rows),
		chosen AS (
			(SELECT DISTINCT ON (i) rows.time FROM rows ORDER BY i, y, rows.time) UNION
			(SELECT DISTINCT ON (i) rows.time FROM rows ORDER BY i, y DESC, rows.time) UNION
			SELECT first FROM ends UNION SELECT last FROM ends
		)
		SELECT (i + 1) / 2 AS i, rows.time, rows.time::float8 AS x, y, rows.values, rows.time = first AS first, rows.time = last AS last
		FROM rows JOIN chosen USING (time), ends;
	SELECT * INTO a FROM point p WHERE p.first;
	RETURN QUERY SELECT p.time, p.values FROM point p WHERE p.first OR p.last;
	DELETE FROM point p WHERE p.first OR p.last;
	FOR bucket IN SELECT DISTINCT i FROM point ORDER BY i LOOP
		SELECT avg(x) AS x, avg(y) AS y INTO c FROM point WHERE i = (SELECT min(i) FROM point WHERE i > bucket);
		IF c.x IS NULL THEN
			SELECT h.time::float8 AS x, h.values[k] AS y INTO c FROM h WHERE tag = of_tag AND h.time = (SELECT max(h.time) FROM h
				WHERE tag = of_tag AND h.time > s AND h.time <= e AND h.values[k] NOT IN ('NaN', 'Infinity', '-Infinity'));
		END IF;
		SELECT * INTO a FROM point p WHERE i = bucket
			ORDER BY abs((a.x - c.x) * (p.y - a.y) - (a.x - p.x) * (c.y - a.y)) DESC, p.time LIMIT 1;
		RETURN QUERY SELECT a.time, a.values;
	END LOOP;
	DROP TABLE point;
END $$;

-- random windows, of few and of many periods; the answers are the heap's with summaries and without
CREATE FUNCTION mismatches(method text, windows int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	t text;
	w record;
BEGIN
	FOR i IN 1 .. windows LOOP
		t := (ARRAY['even', 'odd'])[1 + floor(random() * 2)];
		SELECT CASE WHEN random() < 0.3 THEN a - 1 ELSE a + ((b - a) * random())::bigint END AS s,
			CASE WHEN random() < 0.3 THEN b ELSE b + 1 - ((b - a) * random())::bigint END AS e,
			(ARRAY[4, 4, 9, 40, 301])[1 + floor(random() * 5)] AS n,
			-- triangles on a line, or of few levels, are equal but for rounding
			CASE method WHEN 'plot' THEN 1 + floor(random() * 8)::int ELSE (ARRAY[1, 4, 5, 6, 7, 8])[1 + floor(random() * 6)] END AS k
			INTO w FROM (SELECT min(time) AS a, max(time) AS b FROM h WHERE tag = t) r;
		CONTINUE WHEN w.s >= w.e;
		-- rows, but none with this value, are an error
		CONTINUE WHEN (SELECT max(cardinality(h.values)) FROM h WHERE tag = t AND h.time > w.s AND h.time <= w.e) < w.k;
		IF method = 'minmaxlttb' AND random() < 0.2 THEN
			w.n := 3;
		END IF;
		PERFORM set_config('historian.enable_summaries', (i % 4 > 0)::text, true);
		RETURN QUERY EXECUTE format($q$
			SELECT format('%%s (%%s, %%s] %%s by %%s: %%s %%s, expected %%s %%s', $1, $2, $3, $4, $5, got.time, got.values, want.time, want.values)
			FROM (SELECT * FROM historian.downsample('m', $1, $2, $3, $4, %1$L, $5)) got
			FULL JOIN %1$I($1, $2, $3, $4, $5) want USING (time)
			WHERE got.values::text IS DISTINCT FROM want.values::text$q$, method) USING t, w.s, w.e, w.n, w.k;
	END LOOP;
END $$;

CREATE FUNCTION checked(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT is((SELECT string_agg(f, E'\n') FROM mismatches(method, windows) f), NULL, method || ': ' || what) FROM (VALUES ('plot', 20), ('minmaxlttb', 10)) v (method, windows)
$$;

SELECT load('even', 0, 12000, 1000);
SELECT load('odd', 0, 9000, 1300);
SELECT checked('only pending segments');
SELECT historian.compact('m') \g /dev/null
SELECT checked('compacted');

-- how many blocks a query reads
CREATE FUNCTION blocks(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END $$;
CREATE TABLE long (time bigint, tag text, values float8[]) USING historian;
INSERT INTO long SELECT i, 't', ARRAY[sin(i), random(), random(), random(), random()] FROM generate_series(1, 60000) i;
SELECT historian.compact('long') \g /dev/null
SELECT * FROM historian.downsample('long', 't', 0, 60000, 8, 'plot', 2) \g /dev/null
SELECT blocks($$SELECT * FROM historian.downsample('long', 't', 0, 60000, 8, 'plot', 2)$$) AS with \gset
SET historian.enable_summaries = off;
SELECT blocks($$SELECT * FROM historian.downsample('long', 't', 0, 60000, 8, 'plot', 2)$$) AS without \gset
RESET historian.enable_summaries;
SELECT cmp_ok(:with, '<', :without / 3, 'segments between the ends and the extremes of periods are not read');
SELECT * FROM historian.downsample('long', 't', 0, 60000, 3, 'minmaxlttb', 2) \g /dev/null
SELECT cmp_ok(blocks($$SELECT * FROM historian.downsample('long', 't', 0, 60000, 3, 'minmaxlttb', 2)$$), '<', :without / 2, 'nor are they for minmaxlttb');

-- minmaxlttb of summaries is what it is of rows, which methods_random.sql compares with plain SQL
CREATE TABLE preselected AS SELECT k, d.* FROM generate_series(1, 8) k, historian.downsample('m', 'even', 0, 12000000, 3 + k * k * 4, 'minmaxlttb', k) d;
SET historian.enable_summaries = off;
SELECT bag_eq('TABLE preselected',
	$$SELECT k, d.* FROM generate_series(1, 8) k, historian.downsample('m', 'even', 0, 12000000, 3 + k * k * 4, 'minmaxlttb', k) d$$, 'minmaxlttb with and without summaries');
RESET historian.enable_summaries;
SELECT cmp_ok(count(*), '>', 500::bigint, 'of many rows') FROM preselected;

SELECT load('even', 12000000, 3000, 1000);
SELECT checked('rows that are not compacted at the end');
SELECT load('even', 3000500, 10, 1000);
SELECT load('even', 9000000, 100, 1000);
SELECT load('odd', 9000000, 100, 1000);
SELECT checked('late rows');
BEGIN;
DELETE FROM m WHERE time BETWEEN 2000000 AND 2000300 OR time > 5000000 AND values[2] = 2;
DELETE FROM h WHERE time BETWEEN 2000000 AND 2000300 OR time > 5000000 AND values[2] = 2;
SELECT checked('deletions, in their transaction');
COMMIT;
SELECT checked('deletions');
-- the extremes themselves go
CREATE FUNCTION delete_extremes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT p.time, t FROM (VALUES ('even'), ('odd')) v (t), plot(t, 0, 12000000, 40, 1) p LOOP
		DELETE FROM m WHERE tag = r.t AND time = r.time;
		DELETE FROM h WHERE tag = r.t AND time = r.time;
	END LOOP;
END $$;
SELECT delete_extremes();
SELECT checked('extremes deleted');
UPDATE m SET values = values[1:2] WHERE tag = 'even' AND time BETWEEN 1000000 AND 1500000;
UPDATE h SET values = values[1:2] WHERE tag = 'even' AND time BETWEEN 1000000 AND 1500000;
SELECT checked('narrower rows');
SELECT historian.compact('m') \g /dev/null
SELECT checked('compacted again');
SELECT is((SELECT string_agg(DISTINCT problem, ', ') FROM historian.check('m')), NULL, 'check()');

-- a snapshot that is older than a deletion and the compaction after it
CREATE EXTENSION dblink SCHEMA pgtap_plot;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM h \g /dev/null
SELECT dblink_exec(format('dbname=%s port=%s host=%s', current_database(), current_setting('port'),
	split_part(current_setting('unix_socket_directories'), ',', 1)),
	'SET search_path = pgtap_plot; DELETE FROM m WHERE tag = ''even'' AND values[1] > 0; DELETE FROM h WHERE tag = ''even'' AND values[1] > 0') \g /dev/null
SELECT checked('a snapshot before a deletion');
COMMIT;
SELECT checked('a snapshot after it');

-- ties: the earliest, in rows and in summaries
CREATE TABLE ties (time bigint, tag text, values float8[]) USING historian;
INSERT INTO ties SELECT i, 't', ARRAY[random(), i / 1000 % 2, random(), random(), random(), random(), random(), random()] FROM generate_series(0, 9999) i;
SELECT is((SELECT array_agg(time) FROM historian.downsample('ties', 't', 99, 9990, 4, 'plot', 2)), '{100,1000,9990}', 'ties, pending');
SELECT historian.compact('ties') \g /dev/null
SELECT is((SELECT array_agg(time) FROM historian.downsample('ties', 't', 99, 9990, 4, 'plot', 2)), '{100,1000,9990}', 'ties, compacted');

-- lttb by a value is lttb by the first one of rows in which that stands first
INSERT INTO ties SELECT time, 'swapped', ARRAY[values[5], values[1]] FROM ties WHERE tag = 't';
SELECT is((SELECT array_agg(time) FROM historian.downsample('ties', 't', 0, 9999, 50, 'lttb', 5)),
	(SELECT array_agg(time) FROM historian.downsample('ties', 'swapped', 0, 9999, 50, 'lttb')), 'lttb by value 5');

-- the argument
CREATE TABLE few (time bigint, tag text, values float8[]) USING historian;
INSERT INTO few VALUES (1, 'a', '{1,50}'), (2, 'a', '{2,10}'), (3, 'a', '{3,90}'), (4, 'a', '{9}'), (5, 'a', '{4,NULL,7}'), (6, 'a', '{5,60}'),
	(1, 'b', '{1}'), (2, 'b', '{2}'), (1, 'null', NULL), (2, 'empty', '{}');
CREATE FUNCTION times(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE 'SELECT string_agg(time::text, '' '' ORDER BY nr) FROM (SELECT time, row_number() OVER () AS nr FROM ' || query || ') d' INTO answer;
	RETURN answer;
END $$;
SELECT is(times($$historian.downsample('few', 'a', 0, 9, 4, 'plot')$$), '1 4 6', 'no value: the first');
SELECT is(times(format($$historian.downsample('few', 'a', 0, 9, 4, 'plot', %s)$$, value)), times, 'plot by value ' || value)
	FROM (VALUES ('1', '1 4 6'), ('NULL', '1 4 6'), ('2', '1 2 3 6'), ('3', '5')) v (value, times);
SELECT is(times($$historian.downsample('few', 'a', 0, 9, 3, 'lttb', 1)$$), '1 4 6', 'lttb by value 1');
SELECT is(times($$historian.downsample('few', 'a', 0, 9, 3, 'lttb', value => 2)$$), '1 2 6', 'lttb by value 2');
SELECT is(times($$historian.downsample('few', 'a', 0, 9, 3, 'minmaxlttb', 1)$$), '1 4 6', 'minmaxlttb by value 1');
SELECT is(times($$historian.downsample('few', 'a', 0, 9, 3, 'minmaxlttb', value => 2)$$), '1 2 6', 'minmaxlttb by value 2');
SELECT is(times($$historian.downsample('few', 'a', 5, 9, 3, 'minmaxlttb', 1)$$), '6', 'minmaxlttb of one row');
SELECT is(times($$historian.downsample('few', 'b', 0, 9, 3, 'minmaxlttb', 1)$$), '1 2', 'minmaxlttb of two rows');
SELECT throws_ok($$SELECT historian.downsample('few', 'a', 0, 9, 2, 'minmaxlttb')$$, '22023', 'method "minmaxlttb" needs at least 3 samples', 'too few samples');
SELECT is((SELECT count(*)::int FROM historian.downsample('few', 'a', 0, 9223372036854775807, 1000000, 'minmaxlttb')), 3, 'the most samples');
SELECT is(times(format('historian.downsample(%s)', arguments)), '1 2 3 6', 'by value 2: ' || arguments) FROM (VALUES
	($$'few', 'a', -3000, 1000, interval '1 us', 'plot', 2$$),
	($$'few', 'a', -3000, 1000, '1 us', 'plot', 2$$),
	($$'few', 'a', '0', '9', 4, 'plot', 2$$),
	($$'few', 'a', '0', '9', '4', 'plot', 2$$),
	($$'few', 'a', 0, 9, '4', method => 'plot', value => 2$$),
	($$'few', 'a', 0, 8, 'plot', 2::bigint, 2$$)) v (arguments);
SELECT is(times($$historian.downsample('few', 'a', timestamptz '1970-01-01Z' - interval '1 us', '1970-01-01 00:00:01Z', 4, 'plot', 2)$$),
	times($$(VALUES (timestamptz '1970-01-01Z'), ('1970-01-01Z'), ('1970-01-01Z'), ('1970-01-01Z')) v (time)$$), 'timestamptz');
SELECT is(times($$historian.downsample_many('few', '{a,b,null,empty,none}', 0, 9, 4, 'plot', 2)$$), '1 2 3 6', 'several tags: those with the value');
SELECT is(times($$historian.downsample_many('few', '{a,b}', 0, 8, 'plot', 2::bigint, 1)$$), '1 4 6 1 2', 'several tags, by the first value');
SELECT throws_ok($$SELECT historian.downsample('few', 'b', 0, 9, 4, 'plot', 2)$$, '22023', 'no row of tag "b" in the window has a value 2', 'no such value');
SELECT throws_ok($$SELECT historian.downsample('few', 'empty', 0, 9, 4, 'lttb', 1)$$, '22023', 'no row of tag "empty" in the window has a value 1', 'rows without values');
SELECT throws_ok($$SELECT historian.downsample('ties', 't', 0, 9000, 4, 'plot', 9)$$, '22023', 'no row of tag "t" in the window has a value 9', 'no such value in summaries');
SELECT is(times(format($$historian.downsample('few', %L, 5, 9, 4, 'plot', 3)$$, tag)), NULL, 'no rows: ' || tag) FROM unnest('{b,null,none}'::text[]) tag;
SELECT throws_ok(format($$SELECT historian.downsample('few', 'a', 0, 9, 4, 'plot', %s)$$, value), '22023',
	format('value (%s) must be from 1 to 1000', value), 'value ' || value) FROM unnest('{-1,0,1001}'::int[]) value;
SELECT throws_ok($$SELECT historian.downsample('few', 'a', 0, 9, 4, 'average', 1)$$, '22023', 'method "average" takes no value', 'a value for average');
SELECT is_empty(format('SELECT historian.downsample(%s)', arguments), 'a NULL: ' || arguments) FROM (VALUES
	($$'few', NULL, 0, 9, 4, 'plot', 2$$), ($$'few', 'a', 0, 9, NULL::interval, 'plot', 2$$), ($$'few', 'a', 0, 9, '4', NULL$$)) v (arguments);

SELECT * FROM finish();
DROP SCHEMA pgtap_plot CASCADE;
