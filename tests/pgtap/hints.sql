-- A function that is given what is no historian table says what to name or to type, and that works.
\set ECHO none
SET client_min_messages = warning;
SELECT plan(36);

CREATE SCHEMA hints;
CREATE TABLE hints.m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE hints."Odd 'name" (LIKE hints.m) USING historian;
CREATE TABLE hints.parent (LIKE hints.m) PARTITION BY LIST (tag);
CREATE TABLE hints.part PARTITION OF hints.parent DEFAULT USING historian;
CREATE TABLE hints.heap (LIKE hints.m);
CREATE TABLE hints.mixed (LIKE hints.m) PARTITION BY LIST (tag);
CREATE TABLE hints."Heap part" PARTITION OF hints.mixed DEFAULT USING heap;
CREATE TABLE hints.wide (LIKE hints.m, note text);
CREATE SEQUENCE hints.numbers;
CREATE MATERIALIZED VIEW hints.kept AS SELECT * FROM hints.heap;
INSERT INTO hints.m SELECT i, 'boiler 1', ARRAY[i, 2 * i] FROM generate_series(1, 100) AS i;
INSERT INTO hints."Odd 'name" TABLE hints.m;
INSERT INTO hints.parent TABLE hints.m;
INSERT INTO hints.heap TABLE hints.m;
INSERT INTO hints.mixed TABLE hints.m;
INSERT INTO historian.tag (relid, tag, names) VALUES ('hints.m', 'boiler 1', '{temperature,pressure}');

-- views of each kind that the documentation makes, and others
SELECT historian.create_view('hints.named', 'boiler%', 'hints.m') IS NOT NULL AS made \gset
CREATE VIEW hints.times AS SELECT historian.to_timestamptz(time) AS time, tag, values[1] AS value FROM hints.parent;
CREATE VIEW hints.above AS SELECT * FROM (SELECT max(time) FROM hints.times) AS t;
CREATE VIEW hints.odd AS SELECT * FROM hints."Odd 'name";
CREATE VIEW hints.of_heap AS SELECT * FROM hints.heap;

-- what an error says: SQLSTATE, message and hint
CREATE FUNCTION hints.told(statement text, OUT code text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END
$$;

CREATE TEMP TABLE calls (call text);
INSERT INTO calls VALUES ($$SELECT * FROM historian.downsample(%L, 'boiler 1', 0, 100, 10)$$), ($$SELECT * FROM historian.raw(%L, 'boiler 1', 0, 100)$$),
	($$SELECT * FROM historian.latest(%L)$$), ($$SELECT * FROM historian.tags(%L)$$), ($$SELECT * FROM historian.tag_stat(%L, 'boiler 1')$$),
	($$SELECT historian.compact(%L)$$), ($$SELECT * FROM historian.check(%L)$$), ($$SELECT historian.delete(%L, 'boiler 1', 0, 1)$$),
	($$SELECT historian.drop_before(%L, 1)$$), ($$SELECT historian.set_retention(%L, '1 day')$$);

-- every function, for each view: the same code, the same hint
CREATE FUNCTION hints.of_all(relation text) RETURNS TABLE (code text, hint text) LANGUAGE sql AS $$
	SELECT DISTINCT t.code, t.hint FROM calls, LATERAL hints.told(format(call, relation)) AS t
$$;
SELECT results_eq(format('SELECT * FROM hints.of_all(%L)', relation), format($$VALUES ('42809', %L)$$, hint), relation)
FROM (VALUES ('hints.named', $$Name the table that the view reads: 'hints.m'.$$),
	('hints.times', $$Name the table that the view reads: 'hints.parent'.$$),
	('hints.above', $$Name the table that the view reads: 'hints.parent'.$$),
	('hints.odd', $$Name the table that the view reads: 'hints."Odd ''name"'.$$),
	('hints.of_heap', 'Historian tables are created with CREATE TABLE ... USING historian.'),
	('hints.wide', 'Historian tables are created with CREATE TABLE ... USING historian.'),
	('hints.kept', 'Historian tables are created with CREATE TABLE ... USING historian.'),
	('hints.numbers', 'Historian tables are created with CREATE TABLE ... USING historian.'),
	('hints.heap', 'ALTER TABLE hints.heap SET ACCESS METHOD historian makes it one.')) AS given(relation, hint);

-- what is typed then works
SELECT lives_ok(format('SELECT * FROM historian.latest(%s)', substring(hint FROM 'reads: (.*)\.$')), 'the table of ' || relation)
FROM (VALUES ('hints.named'), ('hints.times'), ('hints.above'), ('hints.odd')) AS given(relation), hints.told(format('SELECT * FROM historian.latest(%L)', relation));
SELECT lives_ok(substring(hint FROM '(.*) makes it one\.'), 'a heap becomes one')
FROM hints.told('SELECT * FROM historian.latest(''hints.heap'')');
SELECT is((SELECT count(*) FROM historian.tags('hints.heap')), 1::bigint, 'and is read');
SELECT is(hint, 'Use ALTER TABLE hints."Heap part" SET ACCESS METHOD historian, or name a partition that is a historian table.', 'a heap partition')
FROM hints.told('SELECT * FROM historian.latest(''hints.mixed'')');
SELECT lives_ok(substring(hint FROM 'Use (.*), or name'), 'becomes one')
FROM hints.told('SELECT * FROM historian.latest(''hints.mixed'')');
SELECT is((SELECT count(*) FROM historian.tags('hints.mixed')), 1::bigint, 'and its parent is read');

-- what is not there, or no table
SELECT is(code, '42P01', call) FROM calls, hints.told(format(call, 'hints.missing')) ORDER BY call;
SELECT is(code, '42P01', 'shrink') FROM hints.told('CALL historian.shrink(''hints.missing'')');
SELECT is(hint, 'Give the view another name, or drop what has it.', 'a view by the name of a table')
FROM hints.told($$SELECT historian.create_view('hints.wide', 'boiler%', 'hints.m')$$);
SELECT is(hint, $$Name the table that the view reads: 'hints.m'.$$, 'create_view from a view')
FROM hints.told($$SELECT historian.create_view('hints.again', 'boiler%', 'hints.named')$$);

SELECT is(code || ': ' || hint, $$22023: Quote it as in a statement: '"My View"'. A schema before it is quoted by itself.$$, 'a view by a name that must be quoted')
FROM hints.told($$SELECT historian.create_view('My View', 'boiler%', 'hints.m')$$);
SELECT lives_ok(format($$SELECT historian.create_view(%s, 'boiler%%', 'hints.m')$$, substring(hint FROM $re$statement: ('.*')\. A$re$)), 'and so quoted')
FROM hints.told($$SELECT historian.create_view('My View', 'boiler%', 'hints.m')$$);
SELECT is((SELECT count(*) FROM "My View"), 100::bigint, 'it is made');
DROP VIEW "My View";
SELECT is(code, '42602', 'three parts') FROM hints.told($$SELECT historian.create_view('a.b.c', 'boiler%', 'hints.m')$$);
SELECT is(code, '22023', 'no name at all') FROM hints.told($$SELECT historian.create_view('', 'boiler%', 'hints.m')$$);

SELECT * FROM finish();
SET client_min_messages = warning;
DROP SCHEMA hints CASCADE;
