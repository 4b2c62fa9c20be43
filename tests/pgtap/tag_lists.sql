-- historian.tags(), last_times() and latest(), which go through all tags of a table, against a heap with the same rows: tags with rows
-- in some sorted runs of dozens of segments each, or in segments of their own, or both; rows deleted one by one and by stretches of
-- tags; before and after merges and VACUUM; in a partitioned table; and for cursors that were opened earlier.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT plan(75);
SELECT coalesce(nullif(current_setting('historian_test.seed', true), ''), (round(random()::numeric, 6))::text) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null
DROP SCHEMA IF EXISTS pgtap_tag_lists CASCADE;
CREATE SCHEMA pgtap_tag_lists;
SET search_path = pgtap_tag_lists, public;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE p (time bigint, tag text COLLATE "C", values float8[]) PARTITION BY RANGE (time);
CREATE TABLE p_first PARTITION OF p FOR VALUES FROM (MINVALUE) TO (20) USING historian;
CREATE TABLE p_last PARTITION OF p FOR VALUES FROM (20) TO (MAXVALUE) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[], PRIMARY KEY (tag, time));
CREATE TABLE new (time bigint, tag text COLLATE "C", values float8[]);
CREATE SEQUENCE loads;

-- Names that have little in common, so that a run of 6,000 tags has some 40 segments.  Every tenth is the beginning of the next one.
CREATE FUNCTION tag(i int) RETURNS text LANGUAGE sql IMMUTABLE AS
$$SELECT CASE i % 10 WHEN 1 THEN md5((i - 1)::text) || '/flow' ELSE md5(i::text) END$$;
-- Loads rows of a part of the tags first .. last, as a run or in segments of their tags' own, into all three tables.
CREATE FUNCTION load(part float8, first int, last int, shared boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE n float8 := nextval('loads');
BEGIN
	INSERT INTO new SELECT DISTINCT ON (t.tag, t.time) t.time, t.tag, CASE WHEN random() < 0.95 THEN ARRAY[n, random()] END
		FROM (SELECT (random() * 40)::bigint AS time, tag(i) AS tag
			FROM generate_series(first, last) i, generate_series(1, 1 + (random() * 1.2)::int) r WHERE random() < part) t;
	PERFORM set_config('historian.min_shared_tags', CASE WHEN shared THEN '2' ELSE '1000000' END, false);
	INSERT INTO m TABLE new;
	INSERT INTO p TABLE new;
	INSERT INTO h TABLE new ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	TRUNCATE new;
END $$;
-- Deletes the same rows of all three tables.
CREATE FUNCTION forget(condition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['m', 'p', 'h'] LOOP
		EXECUTE format('DELETE FROM %I WHERE %s', name, condition);
	END LOOP;
END $$;
-- What a list and a query of the heap do not have in common, and whether the list is in the order of the tags, each once.
CREATE FUNCTION differs(list text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
	EXECUTE format('SELECT count(*) FROM ((SELECT * FROM %s EXCEPT ALL (%s)) UNION ALL ((%s) EXCEPT ALL SELECT * FROM %s)) d', list, query, query, list) INTO found;
	EXECUTE format('SELECT $1 || CASE WHEN count(*) > 0 THEN '', not in order'' ELSE '''' END
		FROM (SELECT tag, lag(tag) OVER (ORDER BY place) AS former FROM %s WITH ORDINALITY AS l (tag, %s place)) t WHERE former COLLATE "C" >= tag',
		list, CASE split_part(list, '(', 1) WHEN 'historian.tags' THEN 'f, l, s,' WHEN 'historian.latest' THEN 't, v,' ELSE 't,' END)
		INTO found USING found;
	RETURN found;
END $$;
CREATE FUNCTION lists_are_right(name text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT is(differs(format('historian.tags(%L)', name), 'SELECT tag, min(time), max(time), count(*) FROM h GROUP BY tag'), '0',
		format('%s: tags(%s)', what, name));
	RETURN NEXT is(differs(format('historian.last_times(%L)', name), 'SELECT tag, max(time) FROM h GROUP BY tag'), '0',
		format('%s: last_times(%s)', what, name));
	RETURN NEXT is(differs(format('historian.latest(%L)', name), 'SELECT DISTINCT ON (tag) tag, time, values FROM h ORDER BY tag, time DESC'), '0',
		format('%s: latest(%s)', what, name));
END $$;
-- some tags, also one that there is not, at some times
CREATE FUNCTION at_is_right(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	tags text[] := ARRAY(SELECT tag(i * 7) FROM generate_series(0, 700) i) || ARRAY['none'];
	times bigint[] := ARRAY(SELECT (random() * 42)::bigint - 1 FROM generate_series(1, 5));
BEGIN
	RETURN is((SELECT count(*) FROM historian.at(name, tags, times) a JOIN LATERAL
			(SELECT max(h.time) AS time FROM h WHERE h.tag = a.tag AND h.time <= a.time) l ON true
			WHERE (a.sample_time, a.values) IS DISTINCT FROM (l.time, (SELECT h.values FROM h WHERE h.tag = a.tag AND h.time = l.time)))
		|| ' of ' || (SELECT count(*) FROM historian.at(name, tags, times)),
		'0 of ' || (SELECT count(DISTINCT tag) FROM h WHERE tag = ANY (tags)) * (SELECT count(DISTINCT t) FROM unnest(times) t),
		format('at(%s)', name));
END $$;

-- density: which part of the tags gets segments of its own between two loads of runs
CREATE FUNCTION some_loads(density float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 1 .. 3 + (random() * 3)::int LOOP
		PERFORM load(CASE WHEN random() < 0.5 THEN 1 ELSE random() END, CASE WHEN random() < 0.3 THEN (random() * 5000)::int ELSE 0 END, 6000, true);
		IF random() < 0.6 THEN
			PERFORM load(density, 0, 6100, false);
		END IF;
	END LOOP;
END $$;
-- rows here and there, which writes segments of runs anew, and all rows of tags that follow each other, which removes segments
CREATE FUNCTION some_deletions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM forget(format('time %% 13 = %s AND tag LIKE ''%%%s''', (random() * 12)::int, to_hex((random() * 15)::int)));
	PERFORM forget(format('tag LIKE ''%s%%''', to_hex((random() * 255)::int)));
END $$;

CREATE FUNCTION all_right(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT lists_are_right(name, what) FROM unnest(ARRAY['m', 'p']) AS name UNION ALL SELECT at_is_right(name) FROM unnest(ARRAY['m', 'p']) AS name
$$;

SELECT some_loads(0) \g /dev/null
SELECT all_right('runs alone');
SELECT some_deletions() \g /dev/null
SELECT all_right('after deletions');
VACUUM m, p;
SELECT all_right('after VACUUM');
SELECT some_loads(0.003) \g /dev/null
SELECT all_right('few tags have segments of their own');
SELECT some_deletions() \g /dev/null
SELECT historian.compact_due('m') \g /dev/null
SELECT all_right('after a merge of runs');
SELECT some_loads(0.5) \g /dev/null
SELECT some_deletions() \g /dev/null
SELECT all_right('many tags have segments of their own');
SELECT historian.compact('m'), historian.compact('p_last') \g /dev/null
VACUUM m, p;
SELECT some_loads(0.003) \g /dev/null
SELECT all_right('all tags have compacted segments');
SELECT cmp_ok((SELECT sum(segments) FROM historian.stat_runs WHERE relid = 'm'::regclass), '>', 60::numeric, 'segments in runs');

-- what a cursor's snapshot saw when it was opened, and what a transaction has done itself
CREATE TABLE before AS SELECT tag COLLATE "default" AS tag, min(time), max(time), count(*) FROM h GROUP BY tag;
BEGIN;
DECLARE lists CURSOR FOR SELECT * FROM historian.tags('m');
SELECT forget('tag LIKE ''%7%''') \g /dev/null
SAVEPOINT loaded;
SELECT load(1, 0, 6000, true) \g /dev/null
SELECT all_right('rows of this transaction');
ROLLBACK TO loaded;
SELECT all_right('without those of a savepoint rolled back');
SELECT results_eq('lists'::refcursor, 'TABLE before ORDER BY tag COLLATE "C"', 'a cursor lists what there was when it was opened');
COMMIT;
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
SELECT * FROM finish();
DROP SCHEMA pgtap_tag_lists CASCADE;
