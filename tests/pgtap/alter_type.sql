-- ALTER COLUMN TYPE .. USING, with a heap table that takes the same statements as its twin.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
BEGIN;
SELECT plan(31);

CREATE TABLE h (time bigint, tag text, values float8[]);
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO h SELECT i * 10, 't' || i % 7, ARRAY[i, sin(i)] FROM generate_series(1, 5000) i;
INSERT INTO m SELECT * FROM h;
SELECT historian.compact('m');
INSERT INTO h SELECT i * 10 + 1, 't' || i % 7, NULL FROM generate_series(1, 500) i;
INSERT INTO m SELECT * FROM h WHERE time % 10 = 1;

-- Does the same to both tables, and compares them; a third assertion is that nothing is damaged.
CREATE FUNCTION alike(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER TABLE h %s', change);
	RETURN NEXT lives_ok(format('ALTER TABLE m %s', change), change);
	RETURN NEXT set_eq('SELECT time, tag, array_send(values) FROM m', 'SELECT time, tag, array_send(values) FROM h', 'rows as in a heap');
	RETURN NEXT is_empty($q$SELECT * FROM historian.check('m')$q$, 'nothing damaged');
END $$;

SELECT alike('ALTER time TYPE bigint USING time * 1000');
SELECT alike($$ALTER tag TYPE text USING 'x' || tag$$);
SELECT alike('ALTER values TYPE float8[] USING ARRAY[values[1] * 2]');
SELECT alike($$ALTER time TYPE bigint USING -time, ALTER tag TYPE text USING tag || tag, ALTER values TYPE float8[] USING values || 1.5::float8$$);
SELECT alike('ALTER tag TYPE text COLLATE "POSIX"');
SELECT alike('ALTER time TYPE bigint USING time + 1, SET UNLOGGED');
SELECT alike('SET LOGGED, ALTER time TYPE bigint USING time + 1, ALTER time SET NOT NULL, ADD CHECK (time < 1000000000)');

-- in the transaction of a load and of its creation, and rolled back
SAVEPOINT s;
INSERT INTO m VALUES (7, 'new', '{1}');
ALTER TABLE m ALTER time TYPE bigint USING time + 1;
INSERT INTO m VALUES (9, 'new', '{1}');
SELECT results_eq($$SELECT time FROM m WHERE tag = 'new'$$, $$VALUES (8::bigint), (9)$$, 'between two loads');
ROLLBACK TO s;
SELECT set_eq('SELECT time, tag, array_send(values) FROM m', 'SELECT time, tag, array_send(values) FROM h', 'rolled back');

-- with a change of the access method
SELECT lives_ok('ALTER TABLE m ALTER time TYPE bigint USING time * 2, SET ACCESS METHOD heap', 'to a heap');
SELECT lives_ok('ALTER TABLE m ALTER time TYPE bigint USING time / 2, SET ACCESS METHOD historian', 'and back');
SELECT set_eq('SELECT time, tag, array_send(values) FROM m', 'SELECT time, tag, array_send(values) FROM h', 'with the same rows');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'm'::regclass), 1::bigint, 'and one directory');

-- partitions
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY LIST (tag);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('a') USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES IN ('b');
INSERT INTO p SELECT i, chr(97 + i % 2), ARRAY[i] FROM generate_series(1, 100) i;
SELECT lives_ok('ALTER TABLE p ALTER time TYPE bigint USING time * 10', 'ALTER TYPE of a partitioned table');
SELECT results_eq('SELECT tag, min(time), max(time), count(*) FROM p GROUP BY tag ORDER BY tag',
	$$VALUES ('a', 20::bigint, 1000::bigint, 50::bigint), ('b', 10, 990, 50)$$, 'reaches its partitions');

-- a row that the new type's expression spoils
SELECT throws_ok('ALTER TABLE m ALTER tag TYPE text USING NULL', '23502', NULL, 'USING that gives NULL');
SELECT throws_ok('ALTER TABLE m ALTER tag TYPE text USING repeat(tag, 1000)', '22026', NULL, 'USING that gives too long a tag');

SELECT * FROM finish();
ROLLBACK;
