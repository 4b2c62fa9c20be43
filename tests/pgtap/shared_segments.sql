-- Rows of many tags that share segments, against a heap with the same rows; their merging, and what is said of them.
\set ON_ERROR_STOP on
SELECT plan(62);
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[]);

CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) AS d$$;
-- one load: each of the tags from..until with `rows` rows, at times from `at` on
CREATE FUNCTION load(first integer, last integer, at bigint, rows integer DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE new AS SELECT at + row AS time, format('site/area-%s/sensor-%s', tag / 50, tag) AS tag,
		ARRAY[round((tag + at * 0.01 + row)::numeric, 2)::float8] AS values
		FROM generate_series(first, last) AS tag, generate_series(0, rows - 1) AS row;
	INSERT INTO m TABLE new;
	DELETE FROM h USING new WHERE h.tag = new.tag AND h.time = new.time;
	INSERT INTO h TABLE new;
	DROP TABLE new;
END $$;

-- the threshold
SELECT load(1, 511, 1);
SELECT is(pending_segments, 511::bigint, 'a load of 511 tags: a segment for each') FROM historian.stat_tables WHERE relid = 'm'::regclass;
TRUNCATE m, h;
SELECT load(1, 600, 1);
SELECT ok(pending_segments BETWEEN 1 AND 3, 'a load of 600 tags: they share a few') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT is(pending_rows, 600::bigint, 'all rows are pending') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT is(pending_tags, 600::bigint, 'of so many tags') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT is(differ(), 0::bigint, 'and are read');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
SET historian.min_shared_tags = 601;
SELECT load(1, 600, 2);
SELECT is(pending_segments > 600, true, 'the setting changes the threshold') FROM historian.stat_tables WHERE relid = 'm'::regclass;
RESET historian.min_shared_tags;

-- size
TRUNCATE m, h;
SELECT load(1, 20000, 1);
-- which cuts off the pages that PostgreSQL 16 and later add in advance
VACUUM m;
SELECT ok(pg_total_relation_size('m') < 20 * 20000, 'a row of one value takes less than 20 bytes');
SELECT ok(pg_relation_size('h') > 60 * 20000, '(more than 60 in a heap)');

-- tags of all kinds, in loads that overlap in time
SET historian.min_shared_tags = 2;
TRUNCATE m, h;
SELECT load(1, 300, 100), load(200, 400, 100), load(300, 350, 90, 30), load(1, 400, 115, 2);
INSERT INTO m SELECT n, repeat('x', n), ARRAY[n] FROM generate_series(1, 256) AS n;
INSERT INTO h SELECT n, repeat('x', n), ARRAY[n] FROM generate_series(1, 256) AS n;
INSERT INTO m SELECT -n, repeat(chr(233), n) || n, CASE WHEN n % 3 = 0 THEN NULL WHEN n % 3 = 1 THEN '{}' ELSE ARRAY[n, NULL, 0.1] END FROM generate_series(1, 100) AS n;
INSERT INTO h SELECT -n, repeat(chr(233), n) || n, CASE WHEN n % 3 = 0 THEN NULL WHEN n % 3 = 1 THEN '{}' ELSE ARRAY[n, NULL, 0.1] END FROM generate_series(1, 100) AS n;
INSERT INTO m VALUES (9223372036854775807, 'ends', '{1}'), (-9223372036854775808, 'ends', '{2}'), (0, 'ends', '{3}'), (0, 'other', '{4}');
INSERT INTO h VALUES (9223372036854775807, 'ends', '{1}'), (-9223372036854775808, 'ends', '{2}'), (0, 'ends', '{3}'), (0, 'other', '{4}');
SELECT is(differ(), 0::bigint, 'loads that overlap: the later row stays');
SET historian.enable_scan = off;
SELECT is(differ(), 0::bigint, 'also in a sequential scan');
RESET historian.enable_scan;
SELECT results_eq($$SELECT tag COLLATE "C", first_time, last_time, samples FROM historian.tags('m')$$,
	$$SELECT tag, min(time), max(time), count(*) FROM h GROUP BY tag ORDER BY tag$$, 'tags()');
SELECT results_eq($$SELECT tag COLLATE "C", time, values FROM historian.latest('m') ORDER BY tag$$,
	$$SELECT DISTINCT ON (tag) tag, time, values FROM h ORDER BY tag, time DESC$$, 'latest()');
SELECT results_eq($$SELECT s.values FROM generate_series(95, 130) AS t, historian.downsample('m', 'site/area-6/sensor-310', 80, t, 1) AS s ORDER BY t$$,
	$$SELECT (SELECT values FROM h WHERE tag = 'site/area-6/sensor-310' AND time <= t ORDER BY time DESC LIMIT 1) FROM generate_series(95, 130) AS t ORDER BY t$$,
	'the last row at or before a time');

-- rows are deleted from the segments that others share
DELETE FROM m WHERE tag LIKE '%7' AND time < 116;
DELETE FROM h WHERE tag LIKE '%7' AND time < 116;
SELECT is(differ(), 0::bigint, 'DELETE');
UPDATE m SET values = values || 9::float8 WHERE tag LIKE '%3_' OR time = 0;
UPDATE h SET values = values || 9::float8 WHERE tag LIKE '%3_' OR time = 0;
SELECT is(differ(), 0::bigint, 'UPDATE');
SELECT historian.delete('m', 'site/area-0/sensor-5', 0, 1000);
DELETE FROM h WHERE tag = 'site/area-0/sensor-5' AND time BETWEEN 0 AND 1000;
SELECT historian.drop_before('m', 100);
DELETE FROM h WHERE time < 100;
SELECT is(differ(), 0::bigint, 'delete() and drop_before()');
BEGIN;
DELETE FROM m WHERE tag < 'site/area-3';
SAVEPOINT a;
DELETE FROM m;
ROLLBACK TO a;
SELECT is((SELECT count(*) FROM m), (SELECT count(*) FROM h WHERE tag >= 'site/area-3'), 'a savepoint brings rows back');
ROLLBACK;
SELECT is(differ(), 0::bigint, 'and so does a rollback');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
VACUUM FULL m;
SELECT is(differ(), 0::bigint, 'VACUUM FULL keeps all');
REINDEX TABLE m;
SELECT is(differ(), 0::bigint, 'and so does REINDEX');
ANALYZE m;
SELECT ok(n_distinct <> 0, 'ANALYZE reads tags') FROM pg_stats WHERE tablename = 'm' AND attname = 'tag';

-- merging, in a transaction, out of the reach of background compaction: four runs to one, until a tag has enough for segments of its own
BEGIN;
TRUNCATE m, h;
SELECT load(1, 1000, 10 * n) FROM generate_series(1, 3) AS n;
SELECT is((SELECT segments_merged FROM historian.compact_due('m')), 0::bigint, 'three runs stay');
SELECT load(1, 1000, 45);
SELECT ok(segments_merged > 4 AND rows = 4000 AND segments_written < segments_merged, 'four are merged') FROM historian.compact_due('m');
SELECT is(differ(), 0::bigint, 'nothing has changed');
SELECT load(n, 150, 1000 * n, 20) FROM generate_series(1, 16) AS n;
SELECT load(n, n + 5, 1000 * n, 100) FROM generate_series(1, 5) AS n;
SELECT is(differ(), 0::bigint, 'frequent tags beside them');
SELECT ok(rows > 0, 'more is merged') FROM historian.compact_due('m');
SELECT is(differ(), 0::bigint, 'nothing has changed');
INSERT INTO m SELECT time, 'site/area-0/sensor-9', ARRAY[random()] FROM generate_series(1, 4000) AS time;
INSERT INTO h SELECT * FROM m WHERE tag = 'site/area-0/sensor-9' AND NOT EXISTS (SELECT FROM h WHERE h.tag = m.tag AND h.time = m.time);
UPDATE h SET values = m.values FROM m WHERE m.tag = h.tag AND m.time = h.time AND h.tag = 'site/area-0/sensor-9';
SELECT load(1, 1000, 2000);
SELECT historian.compact('m');
SELECT is(differ(), 0::bigint, 'compact()');
SELECT ok(compacted_rows > 4000, 'a tag with many rows has left') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT is((SELECT count(*) FROM m WHERE tag = 'site/area-0/sensor-9' AND time > 50), (SELECT count(*) FROM h WHERE tag = 'site/area-0/sensor-9' AND time > 50), 'with all of its rows');
SELECT is((SELECT segments_merged FROM historian.compact('m')), 0::bigint, 'compact() again does nothing');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');

-- more runs than one merge takes
TRUNCATE m, h;
SELECT load(1, 40, n) FROM generate_series(1, 150) AS n;
SELECT ok(pending_segments >= 150, '150 runs') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT segments_merged FROM historian.compact('m');
SELECT ok(pending_segments <= 10, 'compact() leaves one') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT is(differ(), 0::bigint, 'nothing has changed');

-- a run of which nothing is left has no root any more, so that a read need not look for it
CREATE EXTENSION pageinspect;
CREATE FUNCTION roots() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(0, pg_relation_size('m') / 8192 - 1) AS b, heap_page_items(get_raw_page('m', b::integer))
	WHERE lp_flags = 1 AND t_xmax::text = '0' AND get_byte(t_data, 3) = 32
$$;
TRUNCATE m, h;
SELECT load(1, 2000, n) FROM generate_series(1, 5) AS n;
SELECT is(roots(), 5::bigint, 'five runs');
DELETE FROM m WHERE time < 3 OR time = 3 AND tag < 'site/area-3';
DELETE FROM h WHERE time < 3 OR time = 3 AND tag < 'site/area-3';
SELECT is(roots(), 3::bigint, 'two of them have gone, as all of their rows were deleted');
SELECT is(differ(), 0::bigint, 'the rows of the others are there');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
DELETE FROM m WHERE tag > 'site/area-1';
DELETE FROM h WHERE tag > 'site/area-1';
SELECT is(differ(), 0::bigint, 'more is deleted');
SELECT historian.drop_before('m', 5);
DELETE FROM h WHERE time < 5;
SELECT is(roots(), 1::bigint, 'by a function, too');
SAVEPOINT b;
DELETE FROM m;
SELECT is((SELECT count(*) FROM m), 0::bigint, 'the last one');
ROLLBACK TO b;
SELECT is(differ(), 0::bigint, 'after a rollback it is there');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
DROP FUNCTION roots;
DROP EXTENSION pageinspect;

-- a tag that comes with few rows, which share segments, and then with many, which do not: its rows are taken out of the runs, and
-- the others stay where they are
TRUNCATE m, h;
CREATE TEMP TABLE rewritten (rows bigint);
DO $$
BEGIN
	FOR n IN 1 .. 40 LOOP
		PERFORM load(1, 600, n);
		CREATE TEMP TABLE often AS SELECT n * 1000 + i AS time, 'often' AS tag, ARRAY[random()] AS values FROM generate_series(1, (ARRAY[10, 300, 300])[1 + n % 3]) AS i;
		INSERT INTO m SELECT * FROM often UNION ALL SELECT n * 1000, 'site/area-0/sensor-1', '{1}';
		INSERT INTO h SELECT * FROM often UNION ALL SELECT n * 1000, 'site/area-0/sensor-1', '{1}';
		DROP TABLE often;
		INSERT INTO rewritten SELECT rows FROM historian.compact_due('m');
	END LOOP;
END $$;
SELECT is(differ(), 0::bigint, 'nothing has changed');
SELECT cmp_ok((SELECT sum(rows) FROM rewritten), '<', 5 * (SELECT count(*) FROM h)::numeric, 'a row is written a few times, not once a load');
SELECT ok(compacted_rows > 5000, 'the frequent tag is compacted') FROM historian.stat_tables WHERE relid = 'm'::regclass;

-- what is said of the runs: four loads are merged to one run, which takes in the next ones
TRUNCATE m, h;
SELECT load(1, 600, n * 10) FROM generate_series(1, 3) AS n;
SELECT is(count(*), 0::bigint, 'three loads: nothing is merged') FROM historian.compact_due('m') AS c WHERE c.rows > 0;
SELECT results_eq($$SELECT level, rows, first_time, last_time FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY first_time$$,
	$$SELECT 0, 600::bigint, n::bigint * 10, n::bigint * 10 FROM generate_series(1, 3) AS n$$, 'a run for each load');
SELECT results_eq($$SELECT sum(segments), sum(bytes), sum(rows) FROM historian.stat_runs WHERE relid = 'm'::regclass$$,
	$$SELECT pending_segments::numeric, pending_bytes::numeric, pending_rows::numeric FROM historian.stat_tables WHERE relid = 'm'::regclass$$,
	'their segments, bytes and rows are the pending ones');
SELECT load(1, 600, 40), load(1, 599, 50);
SELECT historian.compact_due('m');
SELECT results_eq($$SELECT level, rows, first_time, last_time FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY first_time$$,
	$$VALUES (1, 2999::bigint, 10::bigint, 50::bigint)$$, 'five loads are merged to a run of level 1');
SELECT load(1, 600, n * 10) FROM generate_series(6, 9) AS n;
SELECT historian.compact_due('m');
SELECT results_eq($$SELECT level, rows, first_time, last_time FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY first_time$$,
	$$VALUES (1, 5399::bigint, 10::bigint, 90::bigint)$$, 'which takes in four more');
SELECT load(1, 200, n * 10) FROM generate_series(10, 13) AS n;
SELECT historian.compact_due('m');
SELECT results_eq($$SELECT level, rows FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY first_time$$,
	$$VALUES (1, 5399::bigint), (1, 800::bigint)$$, 'a run of more than six times the rows stays as it is');
SELECT load(1, 200, n * 10) FROM generate_series(14, 17) AS n;
SELECT historian.compact_due('m');
SELECT results_eq($$SELECT level, rows FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY first_time$$,
	$$VALUES (2, 6999::bigint)$$, 'until there are enough');
SELECT is(differ(), 0::bigint, 'all rows are there');
-- large loads do not wait until there are four
TRUNCATE m, h;
SELECT load(1, 50000, 10), load(1, 49999, 20);
SELECT historian.compact_due('m');
SELECT results_eq($$SELECT level, rows FROM historian.stat_runs WHERE relid = 'm'::regclass ORDER BY first_time$$,
	$$VALUES (0, 50000::bigint), (0, 49999::bigint)$$, 'two loads of 99,999 rows are not merged');
TRUNCATE m, h;
SELECT load(1, 50000, 10), load(1, 50000, 20);
SELECT historian.compact_due('m');
SELECT results_eq($$SELECT level, rows FROM historian.stat_runs WHERE relid = 'm'::regclass$$,
	$$VALUES (1, 100000::bigint)$$, 'two of 100,000 are');
SELECT is(differ(), 0::bigint, 'with all rows');

-- the pages of the directory are not left half empty, though a load enters its segments in the middle
TRUNCATE m, h;
SET historian.min_shared_tags = 1000000;
SELECT load(1, 100, 1);
RESET historian.min_shared_tags;
INSERT INTO m SELECT 5, repeat('a long name of a tag ', 5) || tag, '{1}' FROM generate_series(1, 200000) AS tag;
CREATE FUNCTION directory_bytes() RETURNS numeric LANGUAGE sql AS
$$SELECT pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'm'::regclass$$;
CREATE TEMP TABLE before AS SELECT directory_bytes();
REINDEX TABLE m;
SELECT cmp_ok(before.directory_bytes / directory_bytes(), '<', 1.4, 'it is hardly larger than a new one') FROM before;
DROP FUNCTION directory_bytes;

SELECT is_empty($$SELECT * FROM historian.stat_get_runs('h')$$, 'a heap has no runs');
SELECT * FROM finish();
COMMIT;
DROP TABLE m, h;
DROP FUNCTION differ, load;
