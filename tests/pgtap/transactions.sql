-- Visibility: commands, savepoints, exceptions, rollback, prepared transactions.
-- Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_transactions CASCADE;
CREATE SCHEMA pgtap_transactions;
SET search_path = pgtap_transactions, public;
SELECT plan(53);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE FUNCTION times() RETURNS bigint[] LANGUAGE sql AS 'SELECT array_agg(time ORDER BY time) FROM m';
SELECT is(times(), NULL, 'an empty table');

-- rows of one's own
BEGIN;
COPY m FROM stdin;
1	a	{1}
\.
SELECT is(times(), '{1}', 'BEGIN; COPY; SELECT sees the rows');
INSERT INTO m VALUES (2, 'a', '{2}');
SELECT is(times(), '{1,2}', 'and those of the next command');
ROLLBACK;
SELECT is(times(), NULL, 'ROLLBACK takes all');
BEGIN;
INSERT INTO m VALUES (1, 'a', '{1}');
COMMIT;
SELECT is(times(), '{1}', 'COMMIT keeps them');
ABORT;

-- savepoints
BEGIN;
INSERT INTO m VALUES (2, 'a', '{2}');
SAVEPOINT s1;
INSERT INTO m VALUES (3, 'a', '{3}');
SAVEPOINT s2;
INSERT INTO m VALUES (4, 'a', '{4}');
ROLLBACK TO s2;
INSERT INTO m VALUES (5, 'a', '{5}');
RELEASE s2;
SELECT is(times(), '{1,2,3,5}', 'ROLLBACK TO takes exactly the part after it');
SAVEPOINT s3;
INSERT INTO m VALUES (6, 'a', '{6}');
RELEASE s3;
ROLLBACK TO s1;
SELECT is(times(), '{1,2}', 'ROLLBACK TO an outer savepoint takes the released ones');
INSERT INTO m VALUES (7, 'a', '{7}');
COMMIT;
SELECT is(times(), '{1,2,7}', 'after COMMIT');
BEGIN;
SAVEPOINT s1;
INSERT INTO m VALUES (8, 'a', '{8}');
SELECT throws_ok('SELECT 1/0', '22012', NULL, 'an error in between');
SAVEPOINT s2;
INSERT INTO m VALUES (9, 'a', '{9}');
\set ON_ERROR_STOP off
SELECT 1/0;
\set ON_ERROR_STOP on
ROLLBACK TO s2;
SELECT is(times(), '{1,2,7,8}', 'a failed part is gone after ROLLBACK TO');
ROLLBACK TO s1;
COMMIT;
SELECT is(times(), '{1,2,7}', 'nothing was left to commit');
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		BEGIN
			INSERT INTO m VALUES (100 + i, 'deep', ARRAY[i]);
			IF i % 3 = 0 THEN
				RAISE EXCEPTION 'every third';
			END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$;
SELECT results_eq($$SELECT time::int FROM m WHERE tag = 'deep' ORDER BY time$$,
	'SELECT 100 + i FROM generate_series(1, 100) i WHERE i % 3 <> 0', 'plpgsql EXCEPTION');

-- a command sees the table as it was when it began
TRUNCATE m;
INSERT INTO m SELECT i, 'a', ARRAY[i] FROM generate_series(1, 1000) i;
INSERT INTO m SELECT time + 1000, tag, values FROM m;
SELECT is((SELECT count(*) FROM m), 2000::bigint, 'INSERT .. SELECT from itself ends');
SET historian.write_buffer = 64;
INSERT INTO m SELECT time + 10000, tag, array_fill(time::float8, ARRAY[100]) FROM m;
SELECT is((SELECT count(*) FROM m), 4000::bigint, 'also where it writes before its end');
RESET historian.write_buffer;
WITH written AS (INSERT INTO m VALUES (1, 'cte', '{1}') RETURNING *)
SELECT is((SELECT count(*) FROM written), 1::bigint, 'a CTE returns its rows');
WITH written AS (INSERT INTO m VALUES (2, 'cte', '{2}') RETURNING *)
SELECT is((SELECT count(*) FROM m WHERE tag = 'cte'), 1::bigint, 'but the query beside it does not see them');
SELECT is((SELECT count(*) FROM m WHERE tag = 'cte'), 2::bigint, 'the next one does');
CREATE FUNCTION count_volatile() RETURNS bigint LANGUAGE sql VOLATILE AS $$SELECT count(*) FROM m WHERE tag = 'f'$$;
CREATE FUNCTION count_stable() RETURNS bigint LANGUAGE sql STABLE AS $$SELECT count(*) FROM m WHERE tag = 'f'$$;
CREATE FUNCTION insert_one(at bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO m VALUES (at, 'f', '{1}');
	RETURN (SELECT count(*) FROM m WHERE tag = 'f');
END $$;
SELECT is(ARRAY[insert_one(1), insert_one(2), insert_one(3)], '{1,2,3}'::bigint[], 'a function sees what it inserted');
SELECT is(ARRAY[insert_one(4), count_volatile(), insert_one(5), count_stable()], '{4,4,5,3}'::bigint[],
	'volatile functions see new rows, stable ones the query''s');

-- RETURNING
SELECT results_eq($$INSERT INTO m VALUES (1, 'r', '{1,NULL}'), (2, 'r', NULL) RETURNING time + 1, upper(tag), values$$,
	$$VALUES (2::bigint, 'R'::text, '{1,NULL}'::float8[]), (3, 'R', NULL)$$, 'INSERT .. RETURNING');
SELECT results_eq($$INSERT INTO m VALUES (1, 'r', '{3}') RETURNING tableoid::regclass::text$$,
	$$VALUES ('m'::text)$$, 'RETURNING tableoid');

-- an error takes the whole command
SELECT throws_ok($$INSERT INTO m SELECT 1 / (50000 - i), 'bad', '{1}' FROM generate_series(1, 60000) i$$, '22012',
	NULL, 'an error in row 50,000');
SELECT is((SELECT count(*) FROM m WHERE tag = 'bad'), 0::bigint, 'leaves nothing');
\set ON_ERROR_STOP off
COPY m FROM stdin;
1	bad	{1}
2	bad	{1}
x	bad	{1}
\.
\set ON_ERROR_STOP on
SELECT is((SELECT count(*) FROM m WHERE tag = 'bad'), 0::bigint, 'nor does a COPY that fails midway');

-- prepared transactions, where the server allows them
SELECT current_setting('max_prepared_transactions')::int > 0 AS can_prepare \gset
\if :can_prepare
BEGIN;
INSERT INTO m VALUES (1, 'prepared', '{1}');
SAVEPOINT s;
INSERT INTO m VALUES (2, 'prepared', '{1}');
RELEASE s;
PREPARE TRANSACTION 'pgtap_1';
SELECT is((SELECT count(*) FROM m WHERE tag = 'prepared'), 0::bigint, 'a prepared row is not visible');
COMMIT PREPARED 'pgtap_1';
SELECT is((SELECT count(*) FROM m WHERE tag = 'prepared'), 2::bigint, 'until COMMIT PREPARED');
BEGIN;
INSERT INTO m VALUES (3, 'prepared', '{1}');
PREPARE TRANSACTION 'pgtap_2';
ROLLBACK PREPARED 'pgtap_2';
SELECT is((SELECT count(*) FROM m WHERE tag = 'prepared'), 2::bigint, 'ROLLBACK PREPARED takes it back');
\else
SELECT skip('max_prepared_transactions = 0', 3);
\endif

-- isolation levels of one session
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO m VALUES (1, 'rr', '{1}');
SELECT is((SELECT count(*) FROM m WHERE tag = 'rr'), 1::bigint, 'REPEATABLE READ sees its own rows');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO m VALUES (2, 'rr', '{1}');
SELECT is((SELECT count(*) FROM m WHERE tag = 'rr'), 2::bigint, 'so does SERIALIZABLE');
COMMIT;
BEGIN READ ONLY;
SELECT throws_ok($$INSERT INTO m VALUES (3, 'rr', '{1}')$$, '25006', NULL, 'READ ONLY refuses an insert');
SELECT is((SELECT count(*) FROM m WHERE tag = 'rr'), 2::bigint, 'READ ONLY reads');
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'rr', 0, 2, 1)$$, $$VALUES ('{1}'::float8[])$$, 'and downsamples');
COMMIT;
BEGIN READ ONLY;
SELECT count(*) FROM m \gset
SELECT count("values") FROM historian.downsample('m', 'rr', 0, 2, 1) \gset
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_xid \gset
COMMIT;
SELECT ok(:'no_xid', 'both without a transaction id');

-- downsample sees what SELECT sees
BEGIN;
INSERT INTO m VALUES (1, 'own', '{1}');
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'own', 0, 2, 1)$$, $$VALUES ('{1}'::float8[])$$,
	'downsample sees the transaction''s own rows');
SAVEPOINT s;
INSERT INTO m VALUES (2, 'own', '{2}');
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'own', 0, 2, 1)$$, $$VALUES ('{2}'::float8[])$$,
	'also those of a savepoint');
ROLLBACK TO s;
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'own', 0, 2, 1)$$, $$VALUES ('{1}'::float8[])$$,
	'but not after its rollback');
ROLLBACK;
SELECT is_empty($$SELECT * FROM historian.downsample('m', 'own', 0, 2, 1)$$, 'and none after ROLLBACK');

-- TRUNCATE
BEGIN;
TRUNCATE m;
SELECT is((SELECT count(*) FROM m), 0::bigint, 'TRUNCATE empties');
INSERT INTO m VALUES (1, 'new', '{1}');
SELECT is((SELECT count(*) FROM m), 1::bigint, 'and takes rows again');
ROLLBACK;
SELECT is((SELECT count(*) FROM m WHERE tag = 'new'), 0::bigint, 'its rollback takes the new rows');
SELECT is((SELECT count(*) FROM m WHERE tag = 'a'), 4000::bigint, 'and brings the old ones back');
BEGIN;
INSERT INTO m VALUES (1, 'new', '{1}');
TRUNCATE m;
SELECT is((SELECT count(*) FROM m), 0::bigint, 'INSERT then TRUNCATE leaves nothing');
SAVEPOINT s;
INSERT INTO m VALUES (2, 'new', '{1}');
TRUNCATE m;
INSERT INTO m VALUES (3, 'new', '{1}');
ROLLBACK TO s;
SELECT is((SELECT count(*) FROM m), 0::bigint, 'TRUNCATE in a savepoint');
INSERT INTO m VALUES (4, 'new', '{1}');
COMMIT;
SELECT results_eq('SELECT time FROM m', 'VALUES (4::bigint)', 'after the commit');
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'new', 0, 4, 1)$$, $$VALUES ('{1}'::float8[])$$,
	'the directory follows');
BEGIN;
CREATE TABLE made (time bigint, tag text, values float8[]) USING historian;
INSERT INTO made VALUES (1, 'a', '{1}');
TRUNCATE made;
INSERT INTO made VALUES (2, 'a', '{2}');
SELECT results_eq('SELECT time FROM made', 'VALUES (2::bigint)', 'CREATE, INSERT, TRUNCATE, INSERT in one transaction');
COMMIT;
SELECT results_eq('SELECT time FROM made', 'VALUES (2::bigint)', 'and after it');
BEGIN;
CREATE TABLE unmade (time bigint, tag text, values float8[]) USING historian;
INSERT INTO unmade VALUES (1, 'a', '{1}');
DROP TABLE unmade;
COMMIT;
SELECT hasnt_table('unmade', 'CREATE, INSERT, DROP in one transaction');
BEGIN;
INSERT INTO made VALUES (3, 'a', '{3}');
DROP TABLE made;
ROLLBACK;
SELECT results_eq('SELECT time FROM made', 'VALUES (2::bigint)', 'DROP rolled back');
BEGIN;
CREATE TEMP TABLE gone (time bigint, tag text, values float8[]) USING historian ON COMMIT DELETE ROWS;
INSERT INTO gone VALUES (1, 'a', '{1}');
SELECT is((SELECT count(*) FROM gone), 1::bigint, 'ON COMMIT DELETE ROWS: within');
COMMIT;
SELECT is((SELECT count(*) FROM gone), 0::bigint, 'ON COMMIT DELETE ROWS: after');
INSERT INTO gone VALUES (1, 'a', '{1}');
SELECT is((SELECT count(*) FROM gone), 0::bigint, 'and again');
BEGIN;
TRUNCATE made;
COPY made FROM stdin (FREEZE);
8	a	{1}
\.
COMMIT;
SELECT results_eq('SELECT time FROM made', 'VALUES (8::bigint)', 'COPY FREEZE after TRUNCATE');

SELECT * FROM finish();
DROP SCHEMA pgtap_transactions CASCADE;
