-- DELETE, UPDATE and MERGE, compared with a heap table; historian.delete() and drop_before().
BEGIN;
SELECT plan(102);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
CREATE FUNCTION pg_temp.both(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(statement, 'm');
	EXECUTE format(statement, 'h');
END $$;
-- Runs a statement on both and compares what it counts or returns, and the tables.
CREATE FUNCTION pg_temp.twin(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	n_m bigint;
	n_h bigint;
BEGIN
	EXECUTE format(statement, 'm');
	GET DIAGNOSTICS n_m = ROW_COUNT;
	EXECUTE format(statement, 'h');
	GET DIAGNOSTICS n_h = ROW_COUNT;
	RETURN NEXT is(n_m, n_h, 'count of ' || left(statement, 100));
	RETURN NEXT set_eq('SELECT time, tag, array_send(values) FROM m', 'SELECT time, tag, array_send(values) FROM h',
		'rows after ' || left(statement, 100));
END $$;
SELECT pg_temp.both($$INSERT INTO %I SELECT i, 't' || i %% 5, CASE WHEN i %% 11 > 0 THEN ARRAY[i, NULLIF(i %% 3, 0)] END FROM generate_series(1, 10000) i$$);

-- The rows that a statement returns, in no order of its own.
CREATE FUNCTION pg_temp.returned(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	lines text[] := '{}';
BEGIN
	FOR r IN EXECUTE statement LOOP
		lines := lines || r::text;
	END LOOP;
	RETURN (SELECT string_agg(l, E'\n' ORDER BY l) FROM unnest(lines) l);
END $$;

-- DELETE
SELECT pg_temp.twin($$DELETE FROM %I WHERE tag = 't1' AND time < 2000$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE tag = 't1' AND time < 2000$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE tag = 't2' AND time = 5002$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE time BETWEEN 3000 AND 3010$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE values[2] = 1 AND tag = 't3'$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE values IS NULL$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE tag = 't4'$$);
SELECT pg_temp.twin($$DELETE FROM %I WHERE tag = 'nobody'$$);
SELECT pg_temp.twin($$DELETE FROM %1$I WHERE time IN (SELECT max(time) FROM %1$I GROUP BY tag)$$);
SELECT pg_temp.twin($$DELETE FROM %I x USING (VALUES ('t0', 100), ('t0', 200), ('t1', 9000)) v(tag, until) WHERE x.tag = v.tag AND x.time < v.until$$);
SELECT pg_temp.twin($$DELETE FROM %1$I a USING %1$I b WHERE a.tag = b.tag AND b.time = a.time + 5 AND a.tag = 't3' AND a.time < 9000$$);
SELECT is(pg_temp.returned($$DELETE FROM m WHERE tag = 't0' AND time BETWEEN 1000 AND 1020 RETURNING time, tag, values$$),
	pg_temp.returned($$DELETE FROM h WHERE tag = 't0' AND time BETWEEN 1000 AND 1020 RETURNING time, tag, values$$), 'DELETE .. RETURNING');
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'the rest');
SELECT pg_temp.twin($$WITH d AS (DELETE FROM %1$I WHERE tag = 't0' AND time < 1500 RETURNING *) INSERT INTO %1$I SELECT time, 'moved', values FROM d$$);

-- a deleted row must not bring an older one back
INSERT INTO m VALUES (1, 'again', '{1}');
INSERT INTO m VALUES (1, 'again', '{2}'), (2, 'again', '{2}');
INSERT INTO m VALUES (1, 'again', '{3}');
DELETE FROM m WHERE tag = 'again' AND time = 1;
SELECT results_eq($$SELECT time FROM m WHERE tag = 'again'$$, 'VALUES (2::bigint)', 'a deleted row does not bring the one it replaced back');
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'again', 0, 4, 2)$$, $$VALUES ('{2}'::float8[]), ('{2}')$$, 'downsample agrees');
SELECT lives_ok($$SELECT historian.compact('m')$$, 'compact');
SELECT results_eq($$SELECT time FROM m WHERE tag = 'again'$$, 'VALUES (2::bigint)', 'nor does compaction');
INSERT INTO m VALUES (1, 'again', '{4}');
SELECT results_eq($$SELECT values FROM m WHERE tag = 'again' AND time = 1$$, $$VALUES ('{4}'::float8[])$$, 'inserted again after DELETE');
DELETE FROM m WHERE tag = 'again';
SELECT is_empty($$SELECT * FROM historian.downsample('m', 'again', 0, 4, 2)$$, 'a tag whose rows are all deleted is unknown');
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'the rest after compaction');

-- savepoints
SAVEPOINT s;
SELECT pg_temp.both('DELETE FROM %I');
SELECT is((SELECT count(*) FROM m), 0::bigint, 'DELETE of all');
SELECT pg_temp.both($$INSERT INTO %I VALUES (1, 'x', '{1}')$$);
ROLLBACK TO s;
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'ROLLBACK TO brings them back');
SELECT cmp_ok((SELECT count(*) FROM m), '>', 1000::bigint, 'all of them');

-- UPDATE
SELECT pg_temp.twin($$UPDATE %I SET values = '{-1}' WHERE tag = 't3' AND time < 5000$$);
SELECT pg_temp.twin($$UPDATE %I SET values = values || 5::float8 WHERE tag = 't0'$$);
SELECT pg_temp.twin($$UPDATE %I SET values = NULL WHERE time %% 7 = 0$$);
SELECT pg_temp.twin($$UPDATE %I SET tag = 'renamed' WHERE tag = 't0' AND time < 8000$$);
SELECT pg_temp.twin($$UPDATE %I SET time = time + 100000 WHERE tag = 't1'$$);
SELECT pg_temp.twin($$UPDATE %I SET time = time + 1 WHERE tag = 't2'$$);
SELECT pg_temp.twin($$UPDATE %I SET time = time WHERE tag = 't2'$$);
SELECT pg_temp.twin($$UPDATE %I SET time = 0 WHERE tag = 'nobody'$$);
SELECT pg_temp.twin($$UPDATE %I x SET values = ARRAY[v.n] FROM (VALUES (3000, 1), (3005, 2)) v(at, n) WHERE x.time > v.at AND x.time <= v.at + 5$$);
SELECT is(pg_temp.returned($$UPDATE m SET values = '{9}' WHERE tag = 't3' AND time < 6000 RETURNING time, values$$),
	pg_temp.returned($$UPDATE h SET values = '{9}' WHERE tag = 't3' AND time < 6000 RETURNING time, values$$), 'UPDATE .. RETURNING');
SELECT throws_ok($$UPDATE m SET tag = ''$$, '22026', NULL, 'UPDATE to an impossible tag');
SELECT throws_ok($$UPDATE m SET time = NULL$$, '23502', NULL, 'UPDATE to a NULL time');
SELECT throws_ok($$UPDATE m SET values = '{{1}}'$$, '2202E', NULL, 'UPDATE to two dimensions');
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'a failed UPDATE changes nothing');
INSERT INTO m VALUES (1, 'u', '{1}'), (2, 'u', '{2}');
UPDATE m SET time = 2 WHERE tag = 'u' AND time = 1;
SELECT results_eq($$SELECT time, values FROM m WHERE tag = 'u'$$, $$VALUES (2::bigint, '{1}'::float8[])$$, 'UPDATE onto another row replaces it');
DELETE FROM m WHERE tag = 'u';

-- MERGE
CREATE FUNCTION pg_temp.merge(target text) RETURNS text LANGUAGE sql AS $$
	SELECT format('MERGE INTO %I t USING (SELECT i AS time, ''t'' || i %% 5 AS tag FROM generate_series(9000, 11000) i) s
		ON t.time = s.time AND t.tag = s.tag
		WHEN MATCHED AND s.time %% 2 = 0 THEN DELETE
		WHEN MATCHED THEN UPDATE SET values = ARRAY[s.time, -1]
		WHEN NOT MATCHED THEN INSERT VALUES (s.time, s.tag, ''{77}'')', target)
$$;
SELECT lives_ok(pg_temp.merge('m'), 'MERGE');
SELECT lives_ok(pg_temp.merge('h'), 'MERGE of the heap');
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'rows after MERGE');

-- triggers
CREATE TABLE log (n serial, what text);
CREATE FUNCTION pg_temp.log_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) VALUES (TG_OP || ' ' || OLD.time || ' ' || OLD.tag || ' ' || coalesce(OLD.values::text, 'NULL'));
	IF OLD.values IS NULL THEN RETURN NULL; END IF;
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	NEW.values := NEW.values || 1::float8;
	RETURN NEW;
END $$;
CREATE TABLE tr (time bigint, tag text, values float8[]) USING historian;
INSERT INTO tr VALUES (1, 'a', '{1}'), (2, 'a', NULL), (3, 'a', '{3}');
CREATE FUNCTION pg_temp.log_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (what) SELECT TG_OP || ' statement ' || count(*) FROM old_rows;
	RETURN NULL;
END $$;
CREATE TRIGGER t1 BEFORE UPDATE OR DELETE ON tr FOR EACH ROW EXECUTE FUNCTION pg_temp.log_row();
CREATE TRIGGER t2 AFTER DELETE ON tr REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.log_statement();
CREATE TRIGGER t3 AFTER UPDATE ON tr REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.log_statement();
SELECT lives_ok('UPDATE tr SET values = values || 5::float8', 'UPDATE with a BEFORE ROW trigger');
SELECT results_eq('SELECT time::int, values FROM tr ORDER BY time', $$VALUES (1, '{1,5,1}'::float8[]), (2, NULL), (3, '{3,5,1}')$$, 'BEFORE UPDATE triggers');
SELECT lives_ok('DELETE FROM tr', 'DELETE with a BEFORE ROW trigger');
SELECT results_eq('SELECT time::int FROM tr', 'VALUES (2)', 'BEFORE DELETE triggers');
SELECT results_eq('SELECT what FROM log ORDER BY n', $$VALUES ('UPDATE 1 a {1}'), ('UPDATE 2 a NULL'), ('UPDATE 3 a {3}'), ('UPDATE statement 2'),
	('DELETE 1 a {1,5,1}'), ('DELETE 2 a NULL'), ('DELETE 3 a {3,5,1}'), ('DELETE statement 2')$$, 'what triggers saw');

-- partitions
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100) USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200) USING historian;
INSERT INTO p SELECT i, 'a', ARRAY[i] FROM generate_series(0, 199) i;
DELETE FROM p WHERE time BETWEEN 90 AND 109;
SELECT results_eq('SELECT count(*), min(time), max(time) FROM p WHERE time NOT BETWEEN 90 AND 109', 'VALUES (180::bigint, 0::bigint, 199::bigint)', 'DELETE over partitions');
SELECT is((SELECT count(*) FROM p), 180::bigint, 'deleted rows');
UPDATE p SET time = time + 100 WHERE time < 50;
SELECT results_eq('SELECT tableoid::regclass::text AS name, count(*) FROM p GROUP BY 1 ORDER BY 1', $$VALUES ('p1', 40::bigint), ('p2', 100)$$,
	'UPDATE to another partition');
SELECT is((SELECT values[1]::int FROM p WHERE time = 149), 49, 'and the moved row wins');

-- functions
TRUNCATE m, h;
SELECT pg_temp.both($$INSERT INTO %I SELECT i, 't' || i %% 5, ARRAY[i] FROM generate_series(1, 10000) i$$);
SELECT is(historian.delete('m', 't1', 100, 5001), (SELECT count(*) FROM h WHERE tag = 't1' AND time >= 100 AND time < 5001), 'delete() counts');
DELETE FROM h WHERE tag = 't1' AND time >= 100 AND time < 5001;
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'delete() takes start and not end');
SELECT is(historian.delete('m', 't1', 100, 5001), 0::bigint, 'delete() again');
SELECT is(historian.delete('m', 'nobody', 0, 100), 0::bigint, 'delete() of an unknown tag');
SELECT is(historian.delete('m', 't1', 7, 7), 0::bigint, 'delete() of an empty range');
SELECT throws_ok($$SELECT historian.delete('m', 't1', 8, 7)$$, '22023', 'start (8) must not be greater than end (7)', 'delete() backwards');
SELECT throws_ok($$SELECT historian.delete('h', 't1', 7, 8)$$, '42809', '"h" is not a historian table', 'delete() of a heap table');
SELECT is(historian.drop_before('m', 3000), (SELECT count(*) FROM h WHERE time < 3000), 'drop_before() counts');
DELETE FROM h WHERE time < 3000;
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'drop_before()');
SELECT lives_ok($$SELECT historian.compact('m')$$, 'compact');
SELECT is(historian.drop_before('m', 7000), (SELECT count(*) FROM h WHERE time < 7000), 'drop_before() of compacted segments');
DELETE FROM h WHERE time < 7000;
SELECT is(historian.delete('m', 't3', -9223372036854775808, 9223372036854775807), (SELECT count(*) FROM h WHERE tag = 't3'), 'delete() of all times');
DELETE FROM h WHERE tag = 't3';
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'after both');
SELECT is(historian.drop_before('m', -9223372036854775808), 0::bigint, 'drop_before() the first time');
SAVEPOINT s;
SELECT cmp_ok(historian.drop_before('m', 9223372036854775807), '>', 0::bigint, 'drop_before() the last time');
SELECT is((SELECT count(*) FROM m), 0::bigint, 'leaves nothing');
ROLLBACK TO s;
SELECT set_eq('SELECT * FROM m', 'SELECT * FROM h', 'until it is rolled back');
INSERT INTO m VALUES (1, 'own', '{1}');
SELECT is(historian.delete('m', 'own', 0, 2), 1::bigint, 'delete() of rows of the same transaction');
SELECT is_empty($$SELECT * FROM m WHERE tag = 'own'$$, 'they are gone');

-- privileges
CREATE ROLE pgtap_deleter;
GRANT SELECT ON m TO pgtap_deleter;
GRANT USAGE ON SCHEMA historian TO PUBLIC;
SET LOCAL ROLE pgtap_deleter;
SELECT throws_ok($$SELECT historian.delete('m', 't1', 7, 8)$$, '42501', 'permission denied for table m', 'delete() needs DELETE');
SELECT throws_ok($$SELECT historian.drop_before('m', 8)$$, '42501', 'permission denied for table m', 'drop_before() needs DELETE');
RESET ROLE;
GRANT DELETE ON m TO pgtap_deleter;
SET LOCAL ROLE pgtap_deleter;
SELECT lives_ok($$SELECT historian.delete('m', 't1', 7, 8)$$, 'delete() with it');
RESET ROLE;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_t1 ON m TO pgtap_deleter USING (tag = 't1');
SET LOCAL ROLE pgtap_deleter;
SELECT throws_ok($$SELECT historian.delete('m', 't1', 7, 8)$$, '0A000', NULL, 'delete() under row-level security');
SELECT throws_ok($$SELECT historian.drop_before('m', 8)$$, '0A000', NULL, 'drop_before() under row-level security');
SELECT lives_ok('DELETE FROM m', 'DELETE applies the policy');
RESET ROLE;
SELECT is((SELECT count(*) FROM m WHERE tag = 't1'), 0::bigint, 'to the rows it shows');
SELECT cmp_ok((SELECT count(*) FROM m), '>', 0::bigint, 'and to no others');

-- a BEFORE trigger that changes a neighbour: the segment that holds both rows was written anew under the command
CREATE TABLE neighbours (time bigint, tag text, values float8[]) USING historian;
INSERT INTO neighbours SELECT i, 'a', ARRAY[i] FROM generate_series(1, 10) i;
CREATE FUNCTION pg_temp.change_neighbour() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN UPDATE neighbours SET values = '{0}' WHERE time = OLD.time + 1; END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER neighbour BEFORE UPDATE ON neighbours FOR EACH ROW EXECUTE FUNCTION pg_temp.change_neighbour();
SELECT throws_ok($$UPDATE neighbours SET values = '{7}' WHERE time = 3$$, '27000', NULL, 'a BEFORE trigger that changes a neighbour: no retry helps, and the error says so');
SELECT is((SELECT count(*) FROM neighbours WHERE values = ARRAY[time::float8]), 10::bigint, 'nothing is changed');
INSERT INTO neighbours VALUES (100000, 'b', '{1}');
SELECT lives_ok($$UPDATE neighbours SET values = '{7}' WHERE tag = 'b'$$, 'one that changes no neighbour works');

SELECT * FROM finish();
ROLLBACK;
