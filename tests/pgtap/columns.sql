-- Which tables may use the access method, and what DDL may do to them.
BEGIN;
SELECT plan(74);

-- shape
SELECT lives_ok('CREATE TABLE m (time bigint, tag text, values float8[]) USING historian',
	'the usual columns');
SELECT lives_ok('CREATE TABLE other_order (v float8[], at bigint, name text) USING historian',
	'any order, any names');
SELECT lives_ok('CREATE TABLE not_null (time bigint NOT NULL, tag text NOT NULL, values float8[] NOT NULL) USING historian',
	'NOT NULL');

CREATE FUNCTION pg_temp.refused(columns text, why text) RETURNS text LANGUAGE sql AS $$
	SELECT throws_ok(format('CREATE TABLE bad (%s) USING historian', columns), '0A000',
		'relation "bad" cannot use the table access method "historian"', why)
$$;
SELECT pg_temp.refused('', 'no columns');
SELECT pg_temp.refused('time bigint, tag text', 'no values');
SELECT pg_temp.refused('time bigint, values float8[]', 'no tag');
SELECT pg_temp.refused('tag text, values float8[]', 'no time');
SELECT pg_temp.refused('time bigint, tag text, values float8[], note text', 'a fourth column');
SELECT pg_temp.refused('time timestamptz, tag text, values float8[]', 'time as timestamptz');
SELECT pg_temp.refused('time int, tag text, values float8[]', 'time as int');
SELECT pg_temp.refused('time bigint, tag varchar(20), values float8[]', 'tag as varchar');
SELECT pg_temp.refused('time bigint, tag text, values float4[]', 'values as float4[]');
SELECT pg_temp.refused('time bigint, tag text, values float8', 'values as one float8');
SELECT pg_temp.refused('time bigint, tag text, values numeric[]', 'values as numeric[]');

-- rows of a table in another order come back by name
INSERT INTO other_order VALUES ('{1,2}', 10, 'a'), ('{3}', 11, 'b');
SELECT results_eq('SELECT name, at, v FROM other_order ORDER BY at',
	$$VALUES ('a'::text, 10::bigint, '{1,2}'::float8[]), ('b', 11, '{3}')$$,
	'columns keep their order');
SELECT results_eq($$SELECT v FROM other_order WHERE name = 'b' AND at = 11$$,
	$$VALUES ('{3}'::float8[])$$, 'conditions find the renamed columns');

-- indexes and constraints that need one
SELECT throws_ok('CREATE INDEX ON m (time)', '0A000',
	'historian tables do not support indexes or unique constraints', 'CREATE INDEX');
SELECT throws_ok('CREATE INDEX ON m (tag, time)', '0A000',
	'historian tables do not support indexes or unique constraints', 'index on tag and time');
SELECT throws_ok('CREATE INDEX ON m USING brin (time)', '0A000',
	'historian tables do not support indexes or unique constraints', 'BRIN');
SELECT throws_ok('CREATE UNIQUE INDEX ON m (tag, time)', '0A000',
	'historian tables do not support indexes or unique constraints', 'CREATE UNIQUE INDEX');
SELECT throws_ok('ALTER TABLE m ADD PRIMARY KEY (tag, time)', '0A000',
	'historian tables do not support indexes or unique constraints', 'ADD PRIMARY KEY');
SELECT throws_ok('ALTER TABLE m ADD UNIQUE (time)', '0A000',
	'historian tables do not support indexes or unique constraints', 'ADD UNIQUE');
SELECT throws_ok('CREATE TABLE bad (time bigint, tag text, values float8[], PRIMARY KEY (tag, time)) USING historian',
	'0A000', 'historian tables do not support indexes or unique constraints', 'PRIMARY KEY');
SELECT throws_ok('ALTER TABLE m ADD EXCLUDE USING btree (tag WITH =)', '0A000',
	'historian tables do not support indexes or unique constraints', 'EXCLUDE');
CREATE TABLE referenced (tag text PRIMARY KEY);
SELECT throws_ok('ALTER TABLE m ADD FOREIGN KEY (tag) REFERENCES referenced', '0A000',
	NULL, 'FOREIGN KEY');
SELECT throws_ok($$CREATE TABLE bad (time bigint, tag text REFERENCES referenced, values float8[]) USING historian$$,
	'0A000', NULL, 'REFERENCES');

-- the directory
CREATE FUNCTION pg_temp.directories(r regclass) RETURNS bigint LANGUAGE sql AS
	'SELECT count(*) FROM pg_index WHERE indrelid = r';
SELECT is(pg_temp.directories('m'), 1::bigint, 'one directory');
INSERT INTO m VALUES (1, 'a', '{1}'), (2, 'a', '{2}'), (1, 'b', '{3}');
SELECT lives_ok('CREATE INDEX restored ON m (tag COLLATE "C", time) WHERE false',
	'the directory as pg_dump writes it');
SELECT is(pg_temp.directories('m'), 1::bigint, 'replaces the first one');
SELECT results_eq($$SELECT time FROM m WHERE tag = 'a' ORDER BY time$$, $$VALUES (1::bigint), (2)$$,
	'and finds the rows from before');
SELECT lives_ok('REINDEX TABLE m', 'REINDEX');
INSERT INTO m VALUES (3, 'a', '{4}');
SELECT results_eq($$SELECT time FROM m WHERE tag = 'a' ORDER BY time$$,
	$$VALUES (1::bigint), (2), (3)$$, 'and the rows from after');

SAVEPOINT s;
SELECT throws_ok('DROP INDEX restored', '2BP01', 'cannot drop index "restored" because historian table "m" requires it', 'DROP INDEX of the directory');
SELECT throws_ok('DROP INDEX IF EXISTS none, restored CASCADE', '2BP01', NULL, 'among others, with CASCADE');
SELECT throws_ok($$DO 'BEGIN DROP INDEX restored; END'$$, '2BP01', NULL, 'in a function');
SELECT lives_ok('ALTER INDEX restored RENAME TO renamed', 'ALTER INDEX RENAME');
SELECT lives_ok('ALTER INDEX renamed SET (fillfactor = 80)', 'ALTER INDEX SET');
SELECT lives_ok('ALTER INDEX renamed SET TABLESPACE pg_default', 'ALTER INDEX SET TABLESPACE');
SELECT lives_ok('ALTER INDEX renamed RENAME TO restored', 'and the old name again');
SELECT results_eq($$SELECT time FROM m WHERE tag = 'a' ORDER BY time$$, $$VALUES (1::bigint), (2), (3)$$, 'which finds all rows');
SET LOCAL check_function_bodies = off;
SELECT lives_ok('DROP INDEX restored', 'DROP INDEX in a restore');
RESET check_function_bodies;
SELECT is(pg_temp.directories('m'), 1::bigint, 'which makes a new one at once');
SELECT results_eq($$SELECT "values" FROM historian.downsample('m', 'a', 0, 10, 1)$$, $$VALUES ('{4}'::float8[])$$, 'that downsample finds rows by');
SELECT lives_ok('CREATE INDEX ON m (tag COLLATE "C", time) WHERE false', 'another one');
SELECT results_eq($$SELECT time FROM m WHERE tag = 'a' ORDER BY time$$,
	$$VALUES (1::bigint), (2), (3)$$, 'has all rows');
ROLLBACK TO s;

-- columns
SELECT throws_ok('ALTER TABLE m ADD COLUMN note text', '0A000',
	'cannot add a column to historian table "m"', 'ADD COLUMN');
SELECT throws_ok('ALTER TABLE m DROP COLUMN values', '0A000',
	'cannot drop a column of historian table "m"', 'DROP COLUMN');
SELECT throws_ok('ALTER TABLE m ALTER time TYPE int', '0A000',
	'cannot change the type of a column of historian table "m"', 'ALTER TYPE of time');
SELECT throws_ok('ALTER TABLE m ALTER values TYPE float4[]', '0A000',
	'cannot change the type of a column of historian table "m"', 'ALTER TYPE of values');
SELECT throws_ok('ALTER TABLE m ALTER tag TYPE varchar(30)', '0A000',
	NULL, 'ALTER TYPE of tag');
SELECT lives_ok('ALTER TABLE m RENAME time TO at', 'RENAME COLUMN');
SELECT lives_ok('ALTER TABLE m RENAME tag TO name', 'RENAME COLUMN of the tag');
SELECT results_eq($$SELECT at FROM m WHERE name = 'a' AND at > 1 ORDER BY 1$$,
	$$VALUES (2::bigint), (3)$$, 'the renamed columns are found');
INSERT INTO m VALUES (4, 'a', '{5}');
SELECT results_eq($$SELECT "time", "values" FROM historian.downsample('m', 'a', 0, 4, 2)$$,
	$$VALUES (2::bigint, '{2}'::float8[]), (4, '{5}')$$, 'also by downsample');
SELECT lives_ok('ALTER TABLE m ALTER at SET STATISTICS 10', 'SET STATISTICS');
SELECT lives_ok('ALTER TABLE m ALTER values SET STORAGE plain', 'SET STORAGE');

-- name, schema, owner, options
CREATE SCHEMA elsewhere;
CREATE ROLE pgtap_historian_owner;
GRANT CREATE ON SCHEMA elsewhere TO pgtap_historian_owner;
SELECT lives_ok('ALTER TABLE m RENAME TO n', 'RENAME');
SELECT lives_ok('ALTER TABLE n SET SCHEMA elsewhere', 'SET SCHEMA');
SELECT lives_ok('ALTER TABLE elsewhere.n OWNER TO pgtap_historian_owner', 'OWNER TO');
SELECT lives_ok('ALTER TABLE elsewhere.n SET (autovacuum_enabled = off)', 'SET (...)');
SELECT lives_ok('ALTER TABLE elsewhere.n SET UNLOGGED', 'SET UNLOGGED');
SELECT is((SELECT count(*) FROM elsewhere.n), 5::bigint, 'rows after SET UNLOGGED');
SELECT lives_ok('ALTER TABLE elsewhere.n SET LOGGED', 'SET LOGGED');
SELECT results_eq($$SELECT at FROM elsewhere.n WHERE name = 'a' ORDER BY 1$$,
	$$VALUES (1::bigint), (2), (3), (4)$$, 'rows after SET LOGGED');
SELECT is(pg_temp.directories('elsewhere.n'), 1::bigint, 'still one directory');
SELECT lives_ok('ALTER TABLE elsewhere.n ALTER name SET NOT NULL', 'SET NOT NULL checks the rows');
SELECT lives_ok('CREATE TABLE like_n (LIKE elsewhere.n) USING historian', 'LIKE');
SELECT lives_ok('CREATE TEMP TABLE scratch (time bigint, tag text, values float8[]) USING historian',
	'a temporary table');
INSERT INTO scratch VALUES (1, 'a', '{1}');
SELECT results_eq('SELECT * FROM scratch', $$VALUES (1::bigint, 'a'::text, '{1}'::float8[])$$,
	'keeps rows');
SELECT lives_ok('CREATE TEMP TABLE scratch_gone (time bigint, tag text, values float8[]) USING historian ON COMMIT DELETE ROWS',
	'ON COMMIT DELETE ROWS');

-- publications: the WAL carries segments, not rows
CREATE TABLE p (time bigint, tag text, values float8[]) USING historian;
SELECT throws_ok('CREATE PUBLICATION bad FOR TABLE p', '0A000',
	'historian tables cannot be published', 'CREATE PUBLICATION .. FOR TABLE');
CREATE PUBLICATION pgtap_empty;
SELECT throws_ok('ALTER PUBLICATION pgtap_empty ADD TABLE p', '0A000',
	'historian tables cannot be published', 'ALTER PUBLICATION .. ADD TABLE');

-- inheritance
SELECT lives_ok('CREATE TABLE child () INHERITS (like_n) USING historian', 'INHERITS');
INSERT INTO child VALUES (9, 'c', '{9}');
SELECT results_eq('SELECT at, tableoid::regclass::text FROM like_n',
	$$VALUES (9::bigint, 'child'::text)$$, 'the parent shows the child''s rows');

SELECT * FROM finish();
ROLLBACK;
