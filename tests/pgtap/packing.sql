-- How many bytes small values take: near the entropy of their differences, on pages that are full.
-- VACUUM cannot run in a transaction, so this file drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_packing CASCADE;
CREATE SCHEMA pgtap_packing;
SET search_path = pgtap_packing, public;
SELECT plan(12);

-- walks in hundredths, one row a second: each step is one of so many, all as likely
CREATE FUNCTION walks(tags int, rows int, steps int) RETURNS TABLE ("time" bigint, tag text, "values" float8[]) LANGUAGE sql AS $$
	SELECT 1700000000000000000 + i * 1000000000::bigint, 'area/unit/' || t,
		ARRAY[sum(abs(hashint8extended(i, t)) % steps - steps / 2) OVER (PARTITION BY t ORDER BY i) / 100.0]::float8[]
	FROM generate_series(1, tags) t, generate_series(1, rows) i
$$;
-- the entropy of the differences, and 130 bytes for each segment: headers, its tag and its times
CREATE FUNCTION least_bytes(rows bigint, steps int, segments int) RETURNS float8 LANGUAGE sql AS
	'SELECT rows * ln(steps) / ln(2.0::float8) / 8 + segments * 130.0';
CREATE FUNCTION same(name text, of text, what text) RETURNS text LANGUAGE sql AS $$
	SELECT is_empty(format('(TABLE %1$s EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s)', name, of), what)
$$;

-- a tag has a segment of 4,096 rows, which is a quarter of a page, and a small one
CREATE TABLE eleven AS SELECT * FROM walks(40, 5000, 11);
CREATE TABLE packed (time bigint, tag text, values float8[]) USING historian;
INSERT INTO packed SELECT * FROM eleven;
SELECT historian.compact('packed');
VACUUM FULL packed;
SELECT same('packed', 'eleven', 'differences that are coded');
SELECT cmp_ok(pg_relation_size('packed')::float8, '<=', 1.15 * least_bytes(200000, 11, 80),
	'11 steps take little more than their entropy');
SELECT results_eq($$SELECT "values"[1] FROM historian.downsample('packed', 'area/unit/7', 1700000000000000000, 1700005000000000000, 500)$$,
	$$SELECT values[1] FROM eleven WHERE tag = 'area/unit/7' AND time % 10000000000 = 0 ORDER BY time$$, 'single rows are found');
SELECT results_eq($$SELECT max(values[1]), avg(values[1])::numeric(12, 6) FROM packed WHERE time BETWEEN 1700000300000000000 AND 1700004500000000000$$,
	$$SELECT max(values[1]), avg(values[1])::numeric(12, 6) FROM eleven WHERE time BETWEEN 1700000300000000000 AND 1700004500000000000$$,
	'and parts of segments');

-- three eighths of a page: the third segment of a page takes fewer rows; two to a page would take 24 pages.  One page may be
-- begun before the one before it is full, as PostgreSQL forgets the page that it writes to when a cache is invalidated.
CREATE TABLE fortyone AS SELECT * FROM walks(12, 12288, 41);
CREATE TABLE loaded (time bigint, tag text, values float8[]) USING historian;
INSERT INTO loaded SELECT * FROM fortyone ORDER BY tag, time;
-- which cuts off the pages that PostgreSQL 16 and later add in advance
VACUUM loaded;
SELECT cmp_ok(pg_relation_size('loaded')::float8, '<=', 8192 + 1.2 * least_bytes(147456, 41, 48), 'a load fills pages');
SELECT same('loaded', 'fortyone', 'with all rows');
VACUUM FULL loaded;
SELECT cmp_ok(pg_relation_size('loaded')::float8, '<=', 8192 + 1.2 * least_bytes(147456, 41, 48), 'and they are full after VACUUM FULL');

-- segments so small that tag and header are most of them: the end of a page may have room for none of their rows
CREATE TABLE small AS
	SELECT i::bigint AS time, repeat('w', bytes) || kind AS tag,
		(CASE kind WHEN 0 THEN ARRAY[1, 2, 3] WHEN 1 THEN ARRAY[i] ELSE ARRAY[i % 2] END)::float8[] AS values
	FROM generate_series(1, 250, 7) bytes, generate_series(0, 2) kind, generate_series(1, 4097) i;
CREATE TABLE tags_of_all_lengths (time bigint, tag text, values float8[]) USING historian;
INSERT INTO tags_of_all_lengths SELECT * FROM small ORDER BY tag, time;
SELECT same('tags_of_all_lengths', 'small', 'tags of all lengths');
SELECT historian.compact('tags_of_all_lengths');
SELECT same('tags_of_all_lengths', 'small', 'and compacted');
CREATE TABLE long_tag (time bigint, tag text, values float8[]) USING historian;
INSERT INTO long_tag SELECT i, repeat('w', 250), ARRAY[i] FROM generate_series(1, 200000) i;
SELECT results_eq('SELECT count(*), count(DISTINCT time), sum(time) FROM long_tag', 'VALUES (200000::bigint, 200000::bigint, 20000100000::numeric)',
	'many segments of a long tag');

-- a segment that has as many rows as there can be is not written anew for rows that come after it
CREATE TABLE grows (time bigint, tag text, values float8[]) USING historian;
INSERT INTO grows SELECT * FROM walks(1, 4096, 11);
SELECT historian.compact('grows');
INSERT INTO grows SELECT * FROM walks(1, 4200, 11) WHERE time > 1700004096000000000;
SELECT is((SELECT rows FROM historian.compact('grows')), 104::bigint, 'a full segment stays');
SELECT is((SELECT count(*) FROM grows), 4200::bigint, 'beside the rows that came');

SELECT * FROM finish();
DROP SCHEMA pgtap_packing CASCADE;
