-- Merges of sorted runs: of rows with one tag and time the one that came last stays, whether its tag has rows in all runs or in some,
-- and has segments of its own or not.  A heap has the same rows.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT plan(47);
SELECT coalesce(nullif(current_setting('historian_test.seed', true), ''), (round(random()::numeric, 6))::text) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null
DROP SCHEMA IF EXISTS pgtap_merges CASCADE;
CREATE SCHEMA pgtap_merges;
SET search_path = pgtap_merges, public;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[], PRIMARY KEY (tag, time));
CREATE TABLE new (time bigint, tag text COLLATE "C", values float8[]);
CREATE SEQUENCE loads;

-- loads the rows of `new`, as a run or in segments of their tags' own
CREATE FUNCTION load(shared boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('historian.min_shared_tags', CASE WHEN shared THEN '2' ELSE '1000000' END, false);
	INSERT INTO m TABLE new;
	INSERT INTO h SELECT DISTINCT ON (tag, time) * FROM new ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	TRUNCATE new;
END $$;
CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) AS d$$;
-- looks the tags up one by one
CREATE FUNCTION differ_by_tag() RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM (SELECT tag, count(*), sum(time), sum(values[1]) FROM h GROUP BY tag) t (tag, rows, times, sums)
	WHERE (rows, times, sums) IS DISTINCT FROM (SELECT (count(*), sum(time), sum(values[1])) FROM m WHERE m.tag = t.tag)$$;
CREATE FUNCTION level_0() RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM historian.stat_runs WHERE relid = 'm'::regclass AND level = 0$$;

-- Of three tags one is the beginning of the next two, of which the second sorts right after the zero bytes by which the directory
-- keys what belongs to the first.
CREATE FUNCTION tag(i int) RETURNS text LANGUAGE sql IMMUTABLE AS
$$SELECT 'area-' || lpad((i / 30)::text, 3, '0') || '/sensor-' || lpad((i / 3)::text, 4, '0') || (ARRAY['', chr(1), '-x'])[1 + i % 3]$$;
-- Puts rows of a part of the tags first .. last into `new`.  There are so few different times that many of them come again in
-- later loads.  Each value tells its load.
CREATE FUNCTION make(part float8, first int, last int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n float8 := nextval('loads');
BEGIN
	INSERT INTO new SELECT DISTINCT ON (t.tag, t.time) t.time, t.tag, CASE WHEN random() < 0.9 THEN ARRAY[n] WHEN random() < 0.3 THEN NULL
			WHEN random() < 0.5 THEN ARRAY[NULL, n] ELSE array_fill(n, ARRAY[(random() * 4)::int]) END
		FROM (SELECT (random() * 25)::bigint * CASE WHEN random() < 0.01 THEN -1000 ELSE 1 END AS time, tag(i) AS tag
			FROM generate_series(first, last) i, generate_series(1, 1 + (random() * 2)::int) r WHERE random() < part) t;
END $$;

-- density: which part of the tags gets segments of its own between two loads of runs
CREATE FUNCTION rounds(density float8) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	tags int := 1500;
	shown text := format('%s of the tags have segments of their own', density);
	runs bigint;
BEGIN
	TRUNCATE m, h;
	FOR round IN 1 .. 4 LOOP
		FOR n IN 1 .. 4 + (random() * 4)::int LOOP
			-- all tags, some, the first ones, the last ones
			PERFORM make(CASE WHEN random() < 0.3 THEN 1 ELSE random() END, CASE WHEN random() < 0.2 THEN 1000 ELSE 0 END,
				CASE WHEN random() < 0.2 THEN 1200 ELSE tags END);
			PERFORM load(true);
			IF random() < 0.7 THEN
				PERFORM make(density, (random() * 300)::int, tags + 60);
				PERFORM load(false);
			END IF;
		END LOOP;
		IF random() < 0.5 THEN
			DELETE FROM m WHERE time % 7 = round OR tag LIKE '%' || round || '/%9';
			DELETE FROM h WHERE time % 7 = round OR tag LIKE '%' || round || '/%9';
		END IF;
		PERFORM historian.compact_due('m');
		RETURN NEXT is(level_0(), 0::bigint, format('%s: round %s merges the loads', shown, round));
		RETURN NEXT is(differ(), 0::bigint, 'the last rows stay');
	END LOOP;
	RETURN NEXT is(differ_by_tag(), 0::bigint, 'looked up by tag, too');
	PERFORM make(1, 0, tags);
	PERFORM load(true);
	PERFORM historian.compact('m');
	RETURN NEXT is(differ(), 0::bigint, 'after historian.compact(), too');
END $$;
SELECT rounds(0);
SELECT rounds(0.004);
SELECT rounds(0.4);
SELECT rounds(0.95);
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');

-- Tags with more rows in the runs of one merge than it has in memory at once, and one with just as many.  A load shares segments
-- among tags of few rows only.  So two merges make runs with many rows, and a third one takes both.
TRUNCATE m, h;
CREATE FUNCTION load_many(first int, last int, value float8, shift bigint, others int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
	-- in no order of time
	FOR n IN SELECT i FROM generate_series(first, last) i ORDER BY random() LOOP
		INSERT INTO new SELECT shift + n * 32 + r, 'many', ARRAY[value] FROM generate_series(1, 32) r;
		INSERT INTO new SELECT shift / 2 + r * 120 + n % 120, 'many/spread', ARRAY[value] FROM generate_series(1, 32) r;
		INSERT INTO new SELECT n * 32 + r, 'just', ARRAY[value] FROM generate_series(1, 32) r WHERE n <= 256;
		INSERT INTO new SELECT n, 'other-' || i, ARRAY[n] FROM generate_series(1, others) i;
		PERFORM load(true);
	END LOOP;
END $$;
SELECT load_many(1, 120, 1, 0, 60) \g /dev/null
SELECT historian.compact_due('m') \g /dev/null
SELECT load_many(121, 240, 2, -2000, 1) \g /dev/null
SELECT historian.compact_due('m') \g /dev/null
SELECT results_eq($$SELECT rows FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY rows DESC$$, ARRAY[120 * (96 + 60), 120 * (96 + 1)]::bigint[],
	'two runs with 3,840 rows of a tag');
SELECT load_many(241, 300, 3, -3000, 1) \g /dev/null
SELECT historian.compact_due('m') \g /dev/null
SELECT is(level_0(), 0::bigint, 'a merge of 9,600 rows of a tag');
SELECT is(differ(), 0::bigint, 'the last rows stay');
SELECT cmp_ok((SELECT max(rows) FROM historian.stat_runs WHERE relid = 'm'::regclass), '<', 9600::bigint, 'the tags have segments of their own');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
SELECT is((SELECT samples FROM historian.tag_info('m', 'just')), 8192::bigint, '8,192 rows of a tag');

SELECT * FROM finish();
RESET search_path;
DROP SCHEMA pgtap_merges CASCADE;
