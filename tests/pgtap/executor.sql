-- What the executor takes for granted of a table: each statement gives what it gives on a heap, or is refused at once.
SELECT plan(40);

CREATE SCHEMA executor;
SET search_path = executor, public;
CREATE TABLE ours (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE twin (LIKE ours) USING heap;

-- Runs a statement on both tables, their name being TABLE in it, after giving them the same ten rows.
CREATE PROCEDURE reset() LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE ours, twin;
	INSERT INTO ours SELECT i, chr(96 + i % 3), ARRAY[i] FROM generate_series(1, 10) i;
	INSERT INTO twin SELECT * FROM ours;
END $$;
CREATE PROCEDURE on_both(VARIADIC statements text[]) LANGUAGE plpgsql AS $$
DECLARE statement text;
BEGIN
	FOREACH statement IN ARRAY statements LOOP
		EXECUTE replace(statement, 'TABLE', 'ours');
		EXECUTE replace(statement, 'TABLE', 'twin');
	END LOOP;
END $$;
CREATE FUNCTION same(what text) RETURNS text LANGUAGE sql AS $$
	SELECT results_eq('SELECT tag, time, values FROM ours ORDER BY 1, 2', 'SELECT tag, time, values FROM twin ORDER BY 1, 2', what)
$$;

-- EXPLAIN's callback is called where no snapshot is active, and must read nothing
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
CALL reset();
SELECT is((SELECT count(*) FROM (SELECT * FROM ours OFFSET 0) s), 10::bigint, 'a scan under auto_explain');
SELECT is((SELECT count(*) FROM ours), 10::bigint, 'an aggregate under auto_explain');
SELECT lives_ok($$DELETE FROM ours WHERE time = 1 AND values[1] < 0$$, 'DELETE under auto_explain');
SET auto_explain.log_min_duration = -1;

-- data-modifying CTEs that the query does not read to their end
CALL reset();
BEGIN;
CALL on_both('WITH d AS (DELETE FROM TABLE WHERE time <= 5) SELECT 1');
SELECT same('DELETE in a CTE nobody reads');
CALL on_both('INSERT INTO TABLE VALUES (3, ''a'', ''{333}'')');
SELECT same('a deleted row that is written again');
COMMIT;
SELECT same('and is there after the commit');
CALL reset();
BEGIN;
CALL on_both('WITH d AS (DELETE FROM TABLE RETURNING time) SELECT * FROM d LIMIT 1');
SELECT same('DELETE of which one row is read');
COMMIT;
CALL reset();
BEGIN;
CALL on_both('WITH i AS (INSERT INTO TABLE VALUES (99, ''z'', ''{1}'')) SELECT 1');
SAVEPOINT s;
SELECT same('INSERT in a CTE nobody reads, seen in a savepoint');
COMMIT;
BEGIN;
CALL on_both('WITH u AS (UPDATE TABLE SET values = ''{0}'' WHERE time = 1 RETURNING 1) SELECT 1', 'DELETE FROM TABLE WHERE values[1] = 0');
SELECT same('UPDATE in a CTE nobody reads, then DELETE of what it made');
COMMIT;
CALL reset();
CALL on_both('WITH a AS (DELETE FROM TABLE WHERE time < 3 RETURNING *), b AS (UPDATE TABLE SET values = ''{7}'' WHERE time = 9 RETURNING *)
	INSERT INTO TABLE SELECT time + 100, tag, values FROM a');
SELECT same('three changes of the table in one command');

-- triggers that look at the table
CREATE TABLE seen (what text, n bigint);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', TG_RELID::regclass) INTO n;
	INSERT INTO seen VALUES (TG_OP, n);
	RETURN CASE WHEN TG_LEVEL = 'ROW' THEN coalesce(NEW, OLD) END;
END $$;
CREATE TRIGGER look AFTER INSERT OR UPDATE OR DELETE ON ours FOR EACH STATEMENT EXECUTE FUNCTION look();
CREATE TRIGGER look AFTER INSERT OR UPDATE OR DELETE ON twin FOR EACH STATEMENT EXECUTE FUNCTION look();
CREATE PROCEDURE look_at(statement text, result OUT text) LANGUAGE plpgsql AS $$
DECLARE ours text; twin text;
BEGIN
	DELETE FROM seen;
	EXECUTE replace(statement, 'TABLE', 'ours');
	SELECT string_agg(what || ' ' || n, ', ' ORDER BY what, n) INTO ours FROM seen;
	DELETE FROM seen;
	EXECUTE replace(statement, 'TABLE', 'twin');
	SELECT string_agg(what || ' ' || n, ', ' ORDER BY what, n) INTO twin FROM seen;
	result := is(ours, twin, statement);
END $$;
CALL reset();
CALL look_at('DELETE FROM TABLE WHERE time = 8', NULL);
CALL look_at('WITH d AS (DELETE FROM TABLE WHERE time = 9) SELECT 1', NULL);
CALL look_at('WITH d AS (DELETE FROM TABLE RETURNING 1) SELECT * FROM d LIMIT 1', NULL);
CALL look_at('INSERT INTO TABLE SELECT i, ''k'', NULL FROM generate_series(1, 5) i', NULL);
CALL look_at('UPDATE TABLE SET time = time + 1 WHERE tag = ''k''', NULL);
CALL look_at('WITH a AS (INSERT INTO TABLE VALUES (50, ''q'', NULL)), b AS (DELETE FROM TABLE WHERE tag = ''k'' RETURNING 1) SELECT 1', NULL);
DROP TRIGGER look ON ours;
DROP TRIGGER look ON twin;

-- one that looks in the middle of the command: insertions show, deletions cannot yet, and then it is refused
CREATE TRIGGER look BEFORE INSERT OR UPDATE OR DELETE ON ours FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER look BEFORE INSERT OR UPDATE OR DELETE ON twin FOR EACH ROW EXECUTE FUNCTION look();
CALL reset();
CALL look_at('INSERT INTO TABLE SELECT i, ''k'', NULL FROM generate_series(1, 5) i', NULL);
CALL look_at('DELETE FROM TABLE WHERE time = 1 AND tag = ''a''', NULL);
SELECT throws_ok('DELETE FROM ours', '55006', 'historian table "ours" is being changed by a command that has not ended',
	'a BEFORE trigger that would have to see half a DELETE');
SELECT throws_ok('UPDATE ours SET values = NULL', '55006', NULL, 'or half an UPDATE');
DROP TRIGGER look ON ours;
DROP TRIGGER look ON twin;

-- COPY that inserts row by row, as a BEFORE trigger makes it, has ended when it returns
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER pass BEFORE INSERT ON ours FOR EACH ROW EXECUTE FUNCTION pass();
CALL reset();
BEGIN;
CALL on_both($$COPY TABLE FROM PROGRAM 'seq 21 30 | sed "s/$/\tcopied\t\\\\N/"'$$);
SAVEPOINT s;
SELECT same('rows of COPY, read in a savepoint');
RELEASE s;
CALL on_both('DELETE FROM TABLE WHERE time = 25');
COMMIT;
SELECT same('DELETE of one of them');
BEGIN;
COPY ours FROM PROGRAM 'seq 21 30 | sed "s/$/\tcopied\t{1}/"';
INSERT INTO ours VALUES (22, 'copied', '{2}');
COMMIT;
SELECT is((SELECT array_agg(values[1] ORDER BY time) FROM ours WHERE tag = 'copied'), '{1,2,1,1,1,1,1,1,1,1}'::float8[],
	'a row written after COPY, in its transaction, is the later one');
CREATE TABLE short_lived (LIKE ours) USING historian;
CREATE TRIGGER pass BEFORE INSERT ON short_lived FOR EACH ROW EXECUTE FUNCTION pass();
SELECT lives_ok($$DO 'BEGIN COPY short_lived FROM PROGRAM ''echo "1\ta\t{1}"''; DROP TABLE short_lived; END'$$, 'COPY, then DROP TABLE');
DROP TRIGGER pass ON ours;

-- functions that look from within the command, without and with a subtransaction
CREATE FUNCTION look_from(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', name) INTO n; RETURN n; END $$;
CREATE FUNCTION look_safely(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', name) INTO n; RETURN n; EXCEPTION WHEN division_by_zero THEN RETURN 0; END $$;
CALL reset();
INSERT INTO ours SELECT look_from('ours') + 1000, 'f', NULL FROM generate_series(1, 3);
INSERT INTO twin SELECT look_from('twin') + 1000, 'f', NULL FROM generate_series(1, 3);
SELECT same('a function that counts what the command has inserted so far');
SELECT throws_ok($$INSERT INTO ours SELECT look_safely('ours') + 2000, 'f', NULL FROM generate_series(1, 3)$$, '55006', NULL,
	'one that looks from a subtransaction cannot see it');
SELECT same('and nothing is left of that command');

-- one that looks by queries which parallel workers would run: they cannot see what this process has gathered
SELECT set_config(name, 'on', false) IS NULL AS refused
FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset
CREATE FUNCTION look_for(name text, condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I WHERE %s', name, condition) INTO n; RETURN n; END $$;
CREATE FUNCTION ours_of_w() RETURNS bigint STABLE PARALLEL SAFE LANGUAGE sql AS
	$$SELECT count(*) FROM ours WHERE tag = 'w' AND values[1] = 1$$;
CREATE FUNCTION twin_of_w() RETURNS bigint STABLE PARALLEL SAFE LANGUAGE sql AS
	$$SELECT count(*) FROM twin WHERE tag = 'w' AND values[1] = 1$$;
CALL reset();
INSERT INTO ours SELECT look_for('ours', 'tag = ''w'' AND values[1] = 1'), 'w', '{1}' FROM generate_series(1, 5);
INSERT INTO twin SELECT look_for('twin', 'tag = ''w'' AND values[1] = 1'), 'w', '{1}' FROM generate_series(1, 5);
SELECT same('a function that looks at one tag in a parallel worker');
INSERT INTO ours SELECT 10 + look_for('pg_am', 'amname = ''heap'' AND ours_of_w() > 0') * i, 'w', '{1}' FROM generate_series(1, 5) i;
INSERT INTO twin SELECT 10 + look_for('pg_am', 'amname = ''heap'' AND twin_of_w() > 0') * i, 'w', '{1}' FROM generate_series(1, 5) i;
SELECT same('a parallel-safe function that looks there');
SELECT set_config(name, 'off', false) IS NULL AS refused
FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset

-- a command that fails in a savepoint leaves nothing behind
CALL reset();
BEGIN;
SAVEPOINT s;
DO $$BEGIN DELETE FROM ours WHERE 1 / (values[1] - 5)::int < 9; EXCEPTION WHEN division_by_zero THEN NULL; END$$;
DO $$BEGIN DELETE FROM twin WHERE 1 / (values[1] - 5)::int < 9; EXCEPTION WHEN division_by_zero THEN NULL; END$$;
CALL on_both('DELETE FROM TABLE WHERE tag = ''b''', 'INSERT INTO TABLE VALUES (1, ''b'', ''{5}'')');
SELECT same('DELETE after one that failed');
RELEASE s;
COMMIT;
SELECT same('and after the commit');

-- without HistorianScan
CALL reset();
SET historian.enable_scan = off;
CALL on_both('DELETE FROM TABLE WHERE time IN (2, 3)', 'UPDATE TABLE SET values = ''{5}'', time = time + 20 WHERE tag = ''a''');
SELECT same('DELETE and UPDATE where historian.enable_scan is off');
RESET historian.enable_scan;

-- functions that write, where nothing may be written
CALL reset();
SELECT throws_ok('SET LOCAL transaction_read_only = on; ' || call, '25006',
	format('cannot execute %s() in a read-only transaction', substring(call FROM 'historian\.\w+')), call)
FROM unnest(ARRAY[$$SELECT historian.delete('ours', 'a', 1, 50)$$, $$SELECT historian.drop_before('ours', 60)$$,
	$$SELECT * FROM historian.compact('ours')$$, $$SELECT * FROM historian.compact_due('ours')$$]) call;
SELECT same('nothing was written');

-- functions on a temporary table, where the planner would send them to a parallel worker
CREATE TEMPORARY TABLE brief (LIKE ours) USING historian;
INSERT INTO brief SELECT * FROM ours;
SELECT set_config(name, 'on', false) IS NULL AS refused
FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset
SELECT is((SELECT count(*) FROM historian.raw('brief', 'a', 0, 100)), (SELECT count(*) FROM twin WHERE tag = 'a'), 'raw() of a temporary table');
SELECT is((SELECT sum(samples) FROM historian.tags('brief')), 10::numeric, 'tags() of it');
SELECT is((SELECT count(*) FROM historian.downsample('brief', 'a', 0, 100, 5)), 5::bigint, 'downsample() of it');

SET client_min_messages = warning;
DROP SCHEMA executor CASCADE;
SELECT * FROM finish();
