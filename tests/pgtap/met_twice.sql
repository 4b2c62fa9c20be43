-- A row that a join or MERGE meets more than once is deleted or updated once, as in a heap.
BEGIN;
SELECT plan(7);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
INSERT INTO m SELECT g, 't' || g % 300, ARRAY[g] FROM generate_series(1, 60000) g;
INSERT INTO h SELECT * FROM m;
CREATE TABLE d (tag text, n int);
INSERT INTO d VALUES ('t1', 1), ('t1', 2), ('t1', 3), ('t2', 4);
ANALYZE m, h, d;

-- the scan of m as the inner side of a nested loop, once for each row of d
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_memoize = off;
SET LOCAL enable_material = off;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	$$BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END$$;
SELECT matches((SELECT string_agg(line, ' ') FROM pg_temp.plan_of(
	'DELETE FROM m USING d WHERE d.tag = m.tag AND m.time < 1300') AS line),
	'Nested Loop .*Seq Scan on d .*HistorianScan.*tag = d.tag', 'the plan scans m again and again');

CREATE FUNCTION pg_temp.count_of(query text) RETURNS bigint LANGUAGE plpgsql AS
	$$DECLARE n bigint; BEGIN EXECUTE query; GET DIAGNOSTICS n = ROW_COUNT; RETURN n; END$$;
SELECT is(pg_temp.count_of('UPDATE m SET values = ''{7}'' FROM d WHERE d.tag = m.tag AND m.time < 1300'),
	pg_temp.count_of('UPDATE h SET values = ''{7}'' FROM d WHERE d.tag = h.tag AND h.time < 1300'),
	'as many rows are updated as in a heap');
SELECT is(pg_temp.count_of('DELETE FROM m USING d WHERE d.tag = m.tag AND m.time < 800'),
	pg_temp.count_of('DELETE FROM h USING d WHERE d.tag = h.tag AND h.time < 800'),
	'as many rows are deleted as in a heap');
SELECT results_eq('SELECT * FROM m ORDER BY tag, time', 'SELECT * FROM h ORDER BY tag, time',
	'the same rows are left');

SELECT throws_ok($$MERGE INTO m USING (VALUES ('t5', 5), ('t5', 5)) s (tag, time)
	ON m.tag = s.tag AND m.time = s.time WHEN MATCHED THEN UPDATE SET values = '{9}'$$,
	'21000', 'MERGE command cannot affect row a second time', 'MERGE says so');
SELECT lives_ok($$WITH a AS (UPDATE m SET values = '{1}' WHERE time = 7 RETURNING *),
	b AS (DELETE FROM m WHERE time = 7 RETURNING *) SELECT count(*) FROM a, b$$,
	'two commands of one statement may name the same row');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the table is intact');

SELECT * FROM finish();
ROLLBACK;
