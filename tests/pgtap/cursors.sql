-- Cursors keep the rows of when they were opened, and go both ways where asked to.
-- Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_cursors CASCADE;
CREATE SCHEMA pgtap_cursors;
SET search_path = pgtap_cursors, public;
SELECT plan(19);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 'a', ARRAY[i] FROM generate_series(1, 1000) i;
CREATE FUNCTION fetched(command text) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'c';
	t bigint;
	times bigint[] := '{}';
	n int := substring(command FROM '[0-9]+$');
BEGIN
	LOOP
		IF command LIKE 'backward%' THEN FETCH BACKWARD FROM c INTO t; ELSE FETCH c INTO t; END IF;
		EXIT WHEN NOT FOUND OR cardinality(times) = n;
		times := times || t;
	END LOOP;
	RETURN times;
END $$;

BEGIN;
DECLARE c CURSOR FOR SELECT time FROM m WHERE tag = 'a';
FETCH 3 FROM c;
INSERT INTO m VALUES (2000, 'a', '{1}'), (0, 'a', '{1}');
INSERT INTO m SELECT i, 'a', '{-1}' FROM generate_series(1, 100) i;
MOVE FORWARD 990 IN c;
SELECT is(cardinality(fetched('all 100')), 7, 'no row that was inserted after the cursor was opened');
CLOSE c;
DECLARE c CURSOR FOR SELECT time FROM m WHERE tag = 'a' AND values[1] = -1;
SELECT is(cardinality(fetched('all 999')), 100, 'a new cursor sees them');
ROLLBACK;

BEGIN;
DECLARE c CURSOR FOR SELECT time FROM m;
FETCH 1 FROM c;
SELECT throws_ok('TRUNCATE m', '55006', NULL, 'TRUNCATE under an open cursor');
ROLLBACK;
SELECT is((SELECT count(*) FROM m), 1000::bigint, 'nothing is lost');

BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT time FROM m WHERE tag = 'a' AND time BETWEEN 10 AND 20;
SELECT is(fetched('forward 20'), '{10,11,12,13,14,15,16,17,18,19,20}', 'SCROLL: forward');
SELECT is(fetched('backward 20'), '{20,19,18,17,16,15,14,13,12,11,10}', 'backward');
SELECT is(fetched('forward 20'), '{10,11,12,13,14,15,16,17,18,19,20}', 'and forward again');
FETCH ABSOLUTE 5 FROM c;
MOVE RELATIVE -2 IN c;
SELECT is(fetched('forward 20'), '{13,14,15,16,17,18,19,20}', 'ABSOLUTE and RELATIVE');
FETCH FIRST FROM c;
FETCH LAST FROM c;
SELECT is(fetched('backward 20'), '{19,18,17,16,15,14,13,12,11,10}', 'FIRST and LAST');
CLOSE c;
SET LOCAL historian.enable_scan = off;
DECLARE c SCROLL CURSOR FOR SELECT time FROM m WHERE time BETWEEN 10 AND 12;
SELECT is(fetched('forward 5'), '{10,11,12}', 'SCROLL over a sequential scan: forward');
SELECT throws_ok($$SELECT fetched('backward 5')$$, '0A000', 'historian tables cannot be scanned backward',
	'backward is refused, not wrong');
ROLLBACK;

BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT time FROM m WHERE tag = 'a' AND time > 995;
INSERT INTO m VALUES (2000, 'a', '{1}');
COMMIT;
INSERT INTO m VALUES (2001, 'a', '{1}');
SELECT is(fetched('all 20'), '{996,997,998,999,1000}', 'WITH HOLD keeps its rows after COMMIT');
CLOSE c;

BEGIN;
INSERT INTO m VALUES (3000, 'a', '{1}');
DECLARE c CURSOR WITH HOLD FOR SELECT time FROM m WHERE tag = 'a' AND time > 2000;
COMMIT;
SELECT is(fetched('all 20'), '{2001,3000}', 'WITH HOLD with rows of its own transaction');
CLOSE c;

-- savepoints under a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT time FROM m WHERE tag = 's';
SAVEPOINT s;
INSERT INTO m VALUES (1, 's', '{1}');
ROLLBACK TO s;
SELECT is(fetched('all 20'), '{}', 'a cursor opened before a savepoint');
INSERT INTO m VALUES (2, 's', '{1}');
CLOSE c;
DECLARE c CURSOR FOR SELECT time FROM m WHERE tag = 's';
SAVEPOINT s;
INSERT INTO m VALUES (3, 's', '{1}');
ROLLBACK TO s;
SELECT is(fetched('all 20'), '{2}', 'a cursor opened before a savepoint that was rolled back');
ROLLBACK;

-- plpgsql loops over what they insert into
DO $$
DECLARE r record;
BEGIN
	FOR r IN SELECT time FROM m WHERE tag = 'a' AND time <= 50 LOOP
		INSERT INTO m VALUES (r.time, 'loop', ARRAY[r.time]), (-r.time, 'a', '{0}');
	END LOOP;
END $$;
SELECT is((SELECT count(*) FROM m WHERE tag = 'loop'), 50::bigint, 'a FOR loop that inserts into its own table');
SELECT is((SELECT count(*) FROM m WHERE tag = 'a' AND time < 0), 50::bigint, 'has read each row once');

-- a cursor across a compaction of the same transaction
BEGIN;
DECLARE c CURSOR FOR SELECT time FROM m WHERE tag = 'loop';
SELECT fetched('forward 3') \gset
SELECT ok(cardinality(fetched('all 99')) >= 46, 'a cursor across a compaction');
COMMIT;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM m;
SELECT throws_ok('DELETE FROM m WHERE CURRENT OF c', NULL, NULL, 'WHERE CURRENT OF');
COMMIT;

SELECT * FROM finish();
DROP SCHEMA pgtap_cursors CASCADE;
