-- The statistics views: exact for small tables, counted where the library is preloaded, for pg_monitor.
BEGIN;
SELECT plan(29);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE heap (time bigint, tag text, values float8[]);
CREATE MATERIALIZED VIEW mv USING historian AS SELECT 1::bigint AS time, 'a' AS tag, '{1}'::float8[] AS values;
INSERT INTO m SELECT i, 'a', ARRAY[i] FROM generate_series(1, 10) i;
INSERT INTO m SELECT i, 'a', ARRAY[i] FROM generate_series(11, 30) i;
INSERT INTO m SELECT i, 'b', ARRAY[i] FROM generate_series(1, 5) i;

SELECT results_eq($$SELECT relid::regclass, pending_segments, pending_rows, pending_tags, compacted_segments, compacted_rows, compacted_bytes
		FROM historian.stat_tables WHERE schemaname = current_schema() AND relname IN ('m', 'heap', 'mv') ORDER BY relname$$,
	$$VALUES ('m'::regclass, 3::bigint, 35::bigint, 2::bigint, 0::bigint, 0::bigint, 0::bigint), ('mv', 1, 1, 1, 0, 0, 0)$$,
	'what is pending, of historian tables alone');
SELECT is((SELECT total_bytes FROM historian.stat_tables WHERE relid = 'm'::regclass), pg_total_relation_size('m'), 'total_bytes');
SELECT cmp_ok((SELECT pending_bytes FROM historian.stat_tables WHERE relid = 'm'::regclass), '>', 3 * 36::bigint, 'pending_bytes: more than the headers');
SELECT cmp_ok((SELECT pending_bytes FROM historian.stat_tables WHERE relid = 'm'::regclass), '<', 35 * 100::bigint, 'and less than the rows in a heap');
SELECT results_eq($$SELECT merges, segments_merged, segments_written, bytes_merged, bytes_written, rows_written, failed, last_merge
		FROM historian.stat_compaction WHERE relid = 'm'::regclass$$,
	$$VALUES (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, NULL::timestamptz)$$, 'nothing merged yet');

CREATE TEMP TABLE before AS SELECT * FROM historian.stat_tables WHERE relid = 'm'::regclass;
CREATE TEMP TABLE compacted AS SELECT * FROM historian.compact('m');
SELECT results_eq($$SELECT pending_segments, pending_bytes, pending_rows, pending_tags, compacted_segments, compacted_rows
		FROM historian.stat_tables WHERE relid = 'm'::regclass$$,
	$$VALUES (0::bigint, 0::bigint, 0::bigint, 0::bigint, 2::bigint, 35::bigint)$$, 'compacted: nothing is pending');
SELECT results_eq($$SELECT merges, segments_merged, segments_written, rows_written FROM historian.stat_compaction WHERE relid = 'm'::regclass$$,
	'SELECT tags, segments_merged, segments_written, "rows" FROM compacted', 'counts what compact() returned');
SELECT is((SELECT bytes_merged FROM historian.stat_compaction WHERE relid = 'm'::regclass), (SELECT pending_bytes FROM before), 'bytes read');
SELECT is((SELECT bytes_written FROM historian.stat_compaction WHERE relid = 'm'::regclass),
	(SELECT compacted_bytes FROM historian.stat_tables WHERE relid = 'm'::regclass), 'bytes written');
SELECT cmp_ok((SELECT last_merge FROM historian.stat_compaction WHERE relid = 'm'::regclass), '>=', now(), 'last_merge');
INSERT INTO m SELECT i, 'a', ARRAY[i] FROM generate_series(31, 40) i;
SELECT lives_ok($$SELECT historian.compact('m')$$, 'once more');
SELECT is((SELECT merges FROM historian.stat_compaction WHERE relid = 'm'::regclass), 3::bigint, 'counts on');

-- more pages than are looked at: within a quarter
INSERT INTO m SELECT i, 't' || i % 7, ARRAY[random(), random(), random(), random()] FROM generate_series(1, 60000) i;
SELECT lives_ok($$SELECT historian.compact('m')$$, 'many pages');
SELECT cmp_ok(pg_relation_size('m') / 8192, '>', 128::bigint, 'more than are looked at');
SELECT cmp_ok(abs((SELECT compacted_rows FROM historian.stat_tables WHERE relid = 'm'::regclass) - 60040), '<', 15000::bigint, 'rows, estimated');

SELECT results_eq('SELECT preloaded, enabled, launcher_pid = (SELECT pid FROM pg_stat_activity WHERE backend_type = ''historian compaction launcher''), counting_since <= now() FROM historian.stat_worker',
	'VALUES (true, true, true, true)', 'the worker view');
SELECT cmp_ok((SELECT counting_since FROM historian.stat_worker), '>=', pg_postmaster_start_time() - interval '1 s', 'counting since the start');

-- more rows than ANALYZE takes: its sample is in the order of the file, as that of a heap of the same order is
CREATE TABLE by_tag (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE by_tag_heap (LIKE by_tag);
INSERT INTO by_tag SELECT i, 't' || i % 100, '{1}' FROM generate_series(1, 40000) i;
INSERT INTO by_tag_heap SELECT * FROM by_tag ORDER BY tag, time;
ANALYZE by_tag, by_tag_heap;
SELECT cmp_ok((SELECT abs(m.correlation - h.correlation) FROM pg_stats m, pg_stats h WHERE m.schemaname = current_schema() AND h.schemaname = current_schema()
	AND (m.tablename, m.attname) = ('by_tag', 'tag') AND (h.tablename, h.attname) = ('by_tag_heap', 'tag')), '<', 0.05::real, 'correlation of the tag');

CREATE ROLE pgtap_watcher;
CREATE ROLE pgtap_nobody;
GRANT pg_monitor TO pgtap_watcher;
SET ROLE pgtap_watcher;
SELECT lives_ok('SELECT * FROM historian.stat_tables', 'pg_monitor reads stat_tables');
SELECT lives_ok('SELECT * FROM historian.stat_compaction', 'stat_compaction');
SELECT lives_ok('SELECT * FROM historian.stat_worker', 'stat_worker');
SELECT lives_ok('SELECT * FROM historian.stat_runs', 'stat_runs');
SELECT results_eq('SELECT * FROM historian.historian_stat_tables', 'SELECT * FROM historian.stat_tables', 'the old name of stat_tables');
SELECT results_eq('SELECT * FROM historian.historian_stat_compaction', 'SELECT * FROM historian.stat_compaction', 'of stat_compaction');
SELECT results_eq('SELECT * FROM historian.historian_stat_worker', 'SELECT * FROM historian.stat_worker', 'and of stat_worker');
SELECT throws_ok('SELECT * FROM m', '42501', NULL, 'but no rows');
SET ROLE pgtap_nobody;
SELECT throws_ok('SELECT * FROM historian.stat_tables', '42501', NULL, 'others do not read them');
SELECT throws_ok('SELECT * FROM historian.historian_stat_tables', '42501', NULL, 'nor by the old names');
SELECT throws_ok('SELECT historian.stat_get_worker()', '42501', NULL, 'nor call the functions');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
