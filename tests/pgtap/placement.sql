-- Bulk loads write full segments as compacted ones, and leave to compaction only what does not fill one; where the
-- new rows do not come after all that the tag has, they do not. The rows are always those of a heap twin.
-- Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_placement CASCADE;
CREATE SCHEMA pgtap_placement;
SET search_path = pgtap_placement, public;
CREATE EXTENSION IF NOT EXISTS pageinspect;
SELECT plan(45);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

-- loads of more than 64 kB of rows are bulk loads
SET historian.write_buffer = 256;

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian WITH (autovacuum_enabled = off);
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- rows first + 1 .. first + n of some tags, with values of full precision: about 200 rows fill a segment
CREATE FUNCTION batch(first bigint, n int, tags int) RETURNS TABLE ("time" bigint, tag text, "values" float8[]) LANGUAGE sql AS $$
	SELECT first + i, 't' || i % tags, ARRAY[random(), random(), random(), random(), random()] FROM generate_series(1, n) i
$$;
CREATE FUNCTION load(first bigint, n int, tags int DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE new AS SELECT * FROM batch(first, n, tags);
	INSERT INTO m TABLE new;
	INSERT INTO h TABLE new ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	DROP TABLE new;
END $$;

-- rows in the live segments of each kind: 0 pending, 1 compacted; of summaries (2), their segments
CREATE FUNCTION rows_of(kind int) RETURNS bigint LANGUAGE sql AS $$
	SELECT coalesce(sum(get_byte(t_data, 32) + 256 * get_byte(t_data, 33)), 0)
	FROM generate_series(0, pg_relation_size('m') / 8192 - 1) b, LATERAL heap_page_items(get_raw_page('m', b::int))
	WHERE lp_flags = 1 AND t_xmax = 0 AND get_byte(t_data, 3) & 63 = kind
$$;
CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) d
$$;
CREATE FUNCTION same(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT is(differences(), 0::bigint, 'rows: ' || what)
	UNION ALL SELECT is((SELECT string_agg(DISTINCT problem, ', ') FROM historian.check('m')), NULL, 'check: ' || what)
	UNION ALL SELECT is((SELECT count(*) FROM (SELECT tag, min(time) - 1 AS a, max(time) AS b FROM h GROUP BY tag) t,
			LATERAL historian.downsample('m', tag, a, b, 3, 'sum') d,
			LATERAL (SELECT sum(values[5]) AS s FROM h WHERE h.tag = t.tag AND time <= d.time AND time > d.time - ((b - a) / 3.0 + 1)
				AND time > (SELECT coalesce(max(x.time), a) FROM historian.downsample('m', t.tag, a, b, 3, 'count') x WHERE x.time < d.time)) e
		WHERE abs(d.values[5] - s) > 1e-9 * abs(s)), 0::bigint, 'sums: ' || what)
$$;
CREATE FUNCTION reset() RETURNS void LANGUAGE sql AS 'TRUNCATE m; TRUNCATE h';

-- one load: of each tag less than a segment is left
SELECT load(0, 20000, 2) \g /dev/null
SELECT cmp_ok(rows_of(0), '<', 20000 / 5::bigint, 'a bulk load leaves few rows pending');
SELECT rows_of(0) AS pending \gset
SELECT is(rows_of(0) + rows_of(1), 20000::bigint, 'and each row is stored once');
SELECT cmp_ok(rows_of(2), '>', 0::bigint, 'it writes summaries');
SELECT same('one load');
SELECT is((historian.compact('m')).rows, :pending::bigint, 'compaction merges only these');
SELECT is(rows_of(0), 0::bigint, 'and nothing is pending');
SELECT same('one load, compacted');

-- the next load is appended, though pending rows come before it
SELECT load(100000, 2000, 3) \g /dev/null
SELECT load(200000, 2000, 3) \g /dev/null
SELECT cmp_ok(rows_of(1), '>', 20000 + 4000 - 6 * 250::bigint, 'the next loads are placed too');
SELECT same('three loads');
SELECT is((historian.compact_due('m')).rows < 6 * 250, true, 'what lies between full segments is compacted apart from them');
SELECT same('three loads, compacted');

-- loads into the past, or over rows that are there, stay pending, and their rows are the valid ones
SELECT load(-10000, 2000, 3) \g /dev/null
SELECT is(rows_of(0) >= 2000, true, 'a load into the past is not placed');
SELECT load(201000, 2000, 3) \g /dev/null
SELECT is(rows_of(0) >= 4000, true, 'nor is one that begins among compacted rows');
SELECT same('a load over another');
SELECT historian.compact('m') \g /dev/null
SELECT same('a load over another, compacted');
SELECT reset() \g /dev/null
INSERT INTO m VALUES (1000, 't0', '{1,2,3,4,5}');
INSERT INTO h VALUES (1000, 't0', '{1,2,3,4,5}');
SELECT load(0, 2000) \g /dev/null
SELECT is(rows_of(1), 0::bigint, 'nor one that spans a pending row');
SELECT same('a load over a pending row');

-- transactions and savepoints
SELECT reset() \g /dev/null
BEGIN;
SELECT load(0, 2000) \g /dev/null
SAVEPOINT s;
SELECT load(10000, 2000) \g /dev/null
ROLLBACK TO s;
SELECT load(5000, 2000) \g /dev/null
SELECT is(differences(), 0::bigint, 'a transaction sees what it has placed, but for what is rolled back');
COMMIT;
SELECT cmp_ok(rows_of(1), '>', 3500::bigint, 'the rows of both subtransactions that commit are placed');
SELECT same('after a rollback to a savepoint');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT load(20000, 2000) \g /dev/null
SELECT is(differences(), 0::bigint, 'a REPEATABLE READ transaction sees what it has placed');
COMMIT;

-- one snapshot for several commands: the second sees what the first has placed
CREATE FUNCTION load_and_count() RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO m SELECT 30000 + i, 't0', ARRAY[i, sin(i), cos(i), sin(i * i), cos(i * i)] FROM generate_series(1, 3000) i;
	SELECT count(*) FROM m WHERE time > 30000;
$$;
SELECT is(load_and_count(), 3000::bigint, 'a function sees what it has placed');
DELETE FROM m WHERE time > 30000;

-- an UPDATE replaces old rows in the command that writes new ones
UPDATE m SET time = time + 1000000;
UPDATE h SET time = time + 1000000;
SELECT same('an UPDATE that moves all rows');

-- a trigger that loads while its command deletes: as a heap, or refused
CREATE FUNCTION load_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO m SELECT 3000000 + i, 't0', ARRAY[i, sin(i), cos(i), sin(i * i), cos(i * i)] FROM generate_series(1, 3000) i;
	RETURN NULL;
END $$;
CREATE TRIGGER load_more AFTER DELETE ON m EXECUTE FUNCTION load_more();
DELETE FROM m WHERE time < 1000100;
DELETE FROM h WHERE time < 1000100;
DROP TRIGGER load_more ON m;
SELECT is((SELECT count(*) FROM m WHERE time > 3000000), 3000::bigint, 'a trigger loads while its command deletes');
DELETE FROM m WHERE time > 3000000;
SELECT same('a DELETE whose trigger loads');

SELECT * FROM finish();
SET client_min_messages = warning;
DROP SCHEMA pgtap_placement CASCADE;
