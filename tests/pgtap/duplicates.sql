-- Of rows with the same tag and time the later one stays.
-- Commits, so it drops what it made; the rest of a transaction's rules are in transactions.sql.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_duplicates CASCADE;
CREATE SCHEMA pgtap_duplicates;
SET search_path = pgtap_duplicates, public;
BEGIN;
SELECT plan(25);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE FUNCTION v(t text, at bigint) RETURNS float8 LANGUAGE sql AS
	'SELECT values[1] FROM m WHERE tag = t AND time = at';
COMMIT;

-- within one command
INSERT INTO m VALUES (1, 'a', '{1}'), (1, 'a', '{2}'), (1, 'a', '{3}');
SELECT is(v('a', 1), 3::float8, 'within INSERT .. VALUES');
INSERT INTO m SELECT i % 10, 'b', ARRAY[i] FROM generate_series(1, 20000) i;
SELECT results_eq($$SELECT time::int, values[1]::int FROM m WHERE tag = 'b' ORDER BY time$$,
	'SELECT i % 10, i FROM generate_series(19991, 20000) i ORDER BY 1', 'within INSERT .. SELECT of 20,000 rows');
SET historian.write_buffer = 64;
INSERT INTO m SELECT i % 7, 'c' || i % 3, ARRAY[i, i, i, i, i, i, i, i] FROM generate_series(1, 30000) i;
RESET historian.write_buffer;
SELECT results_eq($$SELECT tag, time::int, values[1]::int FROM m WHERE tag LIKE 'c%' ORDER BY tag, time$$,
	$$SELECT 'c' || i % 3, i % 7, max(i) FROM generate_series(1, 30000) i GROUP BY 1, 2 ORDER BY 1, 2$$,
	'within one command that wrote several times');
COPY m FROM stdin;
5	a	{1}
6	a	{1}
5	a	{2}
5	a	\N
\.
SELECT is((SELECT count(*) FROM m WHERE tag = 'a' AND time = 5 AND values IS NULL), 1::bigint, 'within COPY; NULL wins as well');

-- across commands of one transaction
BEGIN;
INSERT INTO m VALUES (2, 'a', '{1}');
INSERT INTO m VALUES (2, 'a', '{2}');
SELECT is(v('a', 2), 2::float8, 'across commands');
INSERT INTO m VALUES (2, 'a', '{3}');
SAVEPOINT s;
INSERT INTO m VALUES (2, 'a', '{4}');
SELECT is(v('a', 2), 4::float8, 'in a savepoint');
ROLLBACK TO s;
SELECT is(v('a', 2), 3::float8, 'its rollback brings the one before back');
SAVEPOINT s2;
INSERT INTO m VALUES (2, 'a', '{5}');
RELEASE s2;
COMMIT;
SELECT is(v('a', 2), 5::float8, 'after the commit');

-- across transactions
INSERT INTO m VALUES (2, 'a', '{6}');
INSERT INTO m VALUES (2, 'a', '{7}');
SELECT is(v('a', 2), 7::float8, 'across transactions');
INSERT INTO m VALUES (2, 'a', NULL);
SELECT is((SELECT values FROM m WHERE tag = 'a' AND time = 2), NULL, 'NULL is a value like others');
INSERT INTO m VALUES (2, 'a', '{8}');
BEGIN;
INSERT INTO m VALUES (2, 'a', '{9}');
ROLLBACK;
SELECT is(v('a', 2), 8::float8, 'a rolled back row replaces nothing');
DO $$ BEGIN FOR i IN 1..200 LOOP INSERT INTO m VALUES (3, 'a', ARRAY[i]); END LOOP; END $$;
SELECT is(v('a', 3), 200::float8, '200 commands');

-- many overlapping loads, in and out of order
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
CREATE FUNCTION load(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE batch AS
	SELECT DISTINCT ON (tag, time) * FROM (
		SELECT (random() * 300)::bigint AS time, 'x' || (random() * 3)::int AS tag, ARRAY[n, random()] AS values
		FROM generate_series(1, (random() * 200)::int + 1)) r;
	INSERT INTO m SELECT * FROM batch;
	INSERT INTO h SELECT * FROM batch ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	DROP TABLE batch;
END $$;
SELECT setseed(0.5);
DO $$ BEGIN FOR i IN 1..60 LOOP PERFORM load(i); COMMIT; END LOOP; END $$;
SELECT set_eq($$SELECT * FROM m WHERE tag LIKE 'x%'$$, 'SELECT * FROM h', '60 overlapping loads');
SELECT is((SELECT count(*) FROM m WHERE tag LIKE 'x%'), (SELECT count(*) FROM h), 'once each');
SELECT is((SELECT count(*) FROM m WHERE tag = 'x1' AND time BETWEEN 100 AND 200),
	(SELECT count(*) FROM h WHERE tag = 'x1' AND time BETWEEN 100 AND 200), 'once each within a window');
SELECT is((SELECT count(*) FROM (SELECT FROM m WHERE tag LIKE 'x%') s), (SELECT count(*) FROM h), 'also where no column is read');

-- the winner is the winner for good
SELECT isnt(to_regprocedure('historian.compact(regclass)'), NULL, 'historian.compact() exists');
SELECT lives_ok($$SELECT historian.compact('m')$$, 'compact');
SELECT set_eq($$SELECT * FROM m WHERE tag LIKE 'x%'$$, 'SELECT * FROM h', 'after compaction');
SELECT is(v('a', 3), 200::float8, 'the last of 200 commands after compaction');
DO $$ BEGIN FOR i IN 61..90 LOOP PERFORM load(i); COMMIT; END LOOP; END $$;
SELECT set_eq($$SELECT * FROM m WHERE tag LIKE 'x%'$$, 'SELECT * FROM h', 'loads over compacted segments');
SELECT lives_ok($$SELECT historian.compact('m')$$, 'compact again');
SELECT set_eq($$SELECT * FROM m WHERE tag LIKE 'x%'$$, 'SELECT * FROM h', 'after the second compaction');
VACUUM FULL m;
SELECT set_eq($$SELECT * FROM m WHERE tag LIKE 'x%'$$, 'SELECT * FROM h', 'after VACUUM FULL');
SET historian.enable_scan = off;
SELECT set_eq($$SELECT * FROM m WHERE tag LIKE 'x%'$$, 'SELECT * FROM h', 'by a sequential scan');
RESET historian.enable_scan;

SELECT * FROM finish();
DROP SCHEMA pgtap_duplicates CASCADE;
