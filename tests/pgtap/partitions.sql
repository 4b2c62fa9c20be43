-- Historian tables as partitions.
BEGIN;
SELECT plan(58);

CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000) USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1000) TO (2000) USING historian;
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (2000) TO (3000) USING heap;
CREATE TABLE h (time bigint, tag text, values float8[]);
INSERT INTO h SELECT i, 't' || i % 7, ARRAY[i] FROM generate_series(0, 2999) i;
INSERT INTO p SELECT * FROM h;
SELECT bag_eq('SELECT * FROM p', 'SELECT * FROM h', 'one INSERT into many partitions');
SELECT bag_eq('SELECT tableoid::regclass::text AS name, count(*) FROM p GROUP BY 1', $$VALUES ('p1', 1000::bigint), ('p2', 1000), ('p3', 1000)$$, 'tableoid');
SELECT bag_eq($$SELECT * FROM p WHERE tag = 't3' AND time BETWEEN 900 AND 2100$$, $$SELECT * FROM h WHERE tag = 't3' AND time BETWEEN 900 AND 2100$$, 'a window across partitions');
COPY p FROM stdin;
5	a	{1}
1005	a	{2}
6	a	{3}
2005	a	{4}
1006	a	{5}
5	a	{6}
\.
SELECT results_eq($$SELECT time::int, values[1]::int FROM p WHERE tag = 'a' ORDER BY time$$, 'VALUES (5, 6), (6, 3), (1005, 2), (1006, 5), (2005, 4)', 'many partitions in one COPY');
SELECT results_eq($$SELECT time::int FROM p WHERE tag = 'a' ORDER BY time DESC LIMIT 2$$, 'VALUES (2005), (1006)', 'ORDER BY over partitions');
SELECT throws_ok($$INSERT INTO p VALUES (5000, 'a', '{1}')$$, '23514', NULL, 'no partition');
SELECT throws_ok($$INSERT INTO p1 VALUES (5000, 'a', '{1}')$$, '23514', NULL, 'a row of another partition');
SELECT throws_ok($$SELECT * FROM historian.downsample('p', 'a', 0, 10)$$, '42809', 'partition "p3" of "p" is not a historian table', 'downsample of a parent with a heap partition');
SELECT results_eq($$SELECT "values" FROM historian.downsample('p1', 'a', 0, 10, 1)$$, $$VALUES ('{3}'::float8[])$$, 'downsample of a partition');

-- attach and detach
CREATE TABLE late (time bigint, tag text, values float8[]) USING historian;
INSERT INTO late VALUES (3500, 'a', '{7}');
SELECT lives_ok('ALTER TABLE p ATTACH PARTITION late FOR VALUES FROM (3000) TO (4000)', 'ATTACH');
INSERT INTO p VALUES (3600, 'a', '{8}');
SELECT results_eq($$SELECT time::int FROM p WHERE tag = 'a' AND time > 3000 ORDER BY 1$$, 'VALUES (3500), (3600)', 'its rows and new ones');
CREATE TABLE wrong (time bigint, tag text, values float8[]) USING historian;
INSERT INTO wrong VALUES (1, 'a', '{7}');
SELECT throws_ok('ALTER TABLE p ATTACH PARTITION wrong FOR VALUES FROM (4000) TO (5000)', '23514', NULL, 'ATTACH checks the rows');
SELECT lives_ok('ALTER TABLE p DETACH PARTITION p1', 'DETACH');
SELECT is((SELECT count(*) FROM p1), 1002::bigint, 'the detached one keeps its rows');
SELECT is((SELECT count(*) FROM p WHERE time < 1000), 0::bigint, 'the parent no longer has them');
CREATE TABLE rest PARTITION OF p DEFAULT USING historian;
INSERT INTO p VALUES (-5, 'a', '{1}'), (9000, 'b', '{1}');
SELECT is((SELECT count(*) FROM rest), 2::bigint, 'a default partition');
SELECT lives_ok('DROP TABLE p2', 'DROP of a partition');
SELECT lives_ok('TRUNCATE p', 'TRUNCATE of the parent');
SELECT is((SELECT count(*) FROM p), 0::bigint, 'empties all');

-- by tag, and of partitions
CREATE TABLE q (values float8[], tag text, time bigint) PARTITION BY LIST (tag);
CREATE TABLE qa PARTITION OF q FOR VALUES IN ('a') USING historian;
CREATE TABLE qx PARTITION OF q FOR VALUES IN ('x', 'y') PARTITION BY RANGE (time);
CREATE TABLE qx1 (time bigint, tag text, values float8[]) USING historian;
ALTER TABLE qx ATTACH PARTITION qx1 FOR VALUES FROM (0) TO (100);
INSERT INTO q (time, tag, values) SELECT i, t, ARRAY[i] FROM generate_series(0, 99) i, unnest(ARRAY['a', 'x', 'y']) t;
SELECT bag_eq('SELECT tag, count(*), sum(values[1]) FROM q GROUP BY tag', $$VALUES ('a'::text, 100::bigint, 4950::float8), ('x', 100, 4950), ('y', 100, 4950)$$, 'partitions of other column orders');
SELECT results_eq($$INSERT INTO q (time, tag, values) VALUES (5, 'y', '{-1}') RETURNING tableoid::regclass::text, tag, time$$, $$VALUES ('qx1'::text, 'y'::text, 5::bigint)$$, 'RETURNING through two levels');
SELECT is((SELECT values[1]::int FROM q WHERE tag = 'y' AND time = 5), -1, 'the later row wins there too');
SELECT throws_ok('ALTER TABLE q ADD PRIMARY KEY (tag, time)', '0A000', NULL, 'a primary key of the parent');
SELECT throws_ok('CREATE INDEX ON q (time)', '0A000', NULL, 'an index of the parent');

-- functions that read a parent
SELECT results_eq($$SELECT tag, first_time, last_time, samples FROM historian.tags('q')$$, $$VALUES ('a'::text, 0::bigint, 99::bigint, 100::bigint), ('x', 0, 99, 100), ('y', 0, 99, 100)$$, 'tags of a parent');
SELECT results_eq($$SELECT tag, time, values FROM historian.latest('q')$$, $$VALUES ('a'::text, 99::bigint, '{99}'::float8[]), ('x', 99, '{99}'), ('y', 99, '{99}')$$, 'latest of a parent');
SELECT results_eq($$SELECT time, values FROM historian.raw('qx', 'y', 4, 7)$$, $$VALUES (4::bigint, '{4}'::float8[]), (5, '{-1}'), (6, '{6}')$$, 'raw of a parent that is a partition itself');
SELECT is_empty($$SELECT * FROM historian.downsample('q', 'none', 0, 10)$$, 'a tag that no partition takes');
SELECT pg_stat_get_xact_numscans(indexrelid) AS scans FROM pg_index WHERE indrelid = 'qx1'::regclass \gset
SELECT isnt_empty($$SELECT * FROM historian.latest('q', ARRAY['a'])$$, 'a tag of one partition');
SELECT isnt_empty($$SELECT * FROM historian.downsample('q', 'a', 0, 10)$$, 'its samples');
SELECT is((SELECT pg_stat_get_xact_numscans(indexrelid) FROM pg_index WHERE indrelid = 'qx1'::regclass), :scans::bigint, 'are not looked for in others');
ALTER TABLE q DETACH PARTITION qa;
SELECT results_eq($$SELECT tag FROM historian.latest('q')$$, $$VALUES ('x'::text), ('y')$$, 'a partition detached is not read');
ALTER TABLE q ATTACH PARTITION qa FOR VALUES IN ('a');
CREATE TABLE empty (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);
SELECT is_empty($$SELECT * FROM historian.tags('empty')$$, 'a parent without partitions');
CREATE TABLE other (id int) PARTITION BY HASH (id);
SELECT throws_ok($$SELECT * FROM historian.tags('other')$$, '42809', '"other" has no partitions that are historian tables', 'nor of their columns');
CREATE TABLE deep PARTITION OF empty FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY LIST (tag);
CREATE TABLE plain PARTITION OF deep DEFAULT USING heap;
SELECT throws_ok($$SELECT * FROM historian.tags('empty')$$, '42809', 'partition "plain" of "empty" is not a historian table', 'a heap partition below');
CREATE FOREIGN DATA WRAPPER far;
CREATE SERVER far FOREIGN DATA WRAPPER far;
CREATE TABLE spread (time bigint, tag text, values float8[]) PARTITION BY LIST (tag);
CREATE TABLE spread_near PARTITION OF spread FOR VALUES IN ('a') USING historian;
CREATE FOREIGN TABLE spread_far PARTITION OF spread DEFAULT SERVER far;
SELECT is_empty($$SELECT * FROM historian.raw('spread', 'a', 0, 1)$$, 'a foreign partition that cannot have the tag is not read');
SELECT throws_ok($$SELECT * FROM historian.raw('spread', 'b', 0, 1)$$, '55000', 'foreign-data wrapper "far" has no handler', 'one that may have it is read');

-- rows of one tag and time in several partitions
CREATE TABLE by_value (time bigint, tag text, values float8[]) PARTITION BY RANGE ((values[1]));
CREATE TABLE by_value_1 PARTITION OF by_value FOR VALUES FROM (MINVALUE) TO (0) USING historian;
SELECT throws_ok($$SELECT * FROM historian.latest('by_value')$$, '0A000', 'partition key of "by_value" depends on values', 'an expression of the values');
CREATE TABLE by_values (time bigint, tag text, values float8[]) PARTITION BY HASH (tag, values);
SELECT throws_ok($$SELECT * FROM historian.latest('by_values')$$, '0A000', NULL, 'the values themselves');
CREATE FUNCTION trap(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF current_setting('pgtap.trap', true) = 'on' THEN RAISE 'run'; END IF; RETURN $1; END $$;
CREATE TABLE by_function (time bigint, tag text, values float8[]) PARTITION BY LIST (trap(tag));
CREATE TABLE by_function_1 PARTITION OF by_function FOR VALUES IN ('a') USING historian;
INSERT INTO by_function VALUES (1, 'a', '{1}');
SET LOCAL pgtap.trap = 'on';
SELECT results_eq($$SELECT time FROM historian.raw('by_function', 'a', 0, 9)$$, 'VALUES (1::bigint)', 'functions of a key are not run');
RESET pgtap.trap;

-- privileges and policies are those of the parent
CREATE ROLE pgtap_reader;
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok($$SELECT * FROM historian.tags('q')$$, '42501', NULL, 'no privilege on the parent');
RESET ROLE;
GRANT SELECT ON q TO pgtap_reader;
ALTER TABLE qa ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE pgtap_reader;
SELECT results_eq($$SELECT tag FROM historian.tags('q')$$, $$SELECT DISTINCT tag FROM q ORDER BY 1$$, 'none is needed on the partitions, and their policies are not looked at');
SELECT throws_ok($$SELECT * FROM historian.tags('qa')$$, '42501', NULL, 'by way of the parent only');
RESET ROLE;
ALTER TABLE qa DISABLE ROW LEVEL SECURITY;
ALTER TABLE q ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE pgtap_reader;
SELECT is_empty($$SELECT * FROM historian.tags('q')$$, 'the policies of the parent are');
RESET ROLE;
ALTER TABLE q DISABLE ROW LEVEL SECURITY;

-- what a command has gathered for the partitions
DO $$ BEGIN INSERT INTO q (time, tag, values) VALUES (99, 'x', '{7}'), (200, 'a', '{8}'); END $$;
SELECT results_eq($$SELECT time, values[1]::int FROM historian.latest('q', ARRAY['x', 'a'])$$, 'VALUES (200::bigint, 8), (99, 7)', 'rows just written');
DELETE FROM q WHERE time >= 99 AND tag = 'x';
SELECT results_eq($$SELECT time FROM historian.latest('q', ARRAY['x', 'a'])$$, 'VALUES (200::bigint), (98)', 'and just deleted');
INSERT INTO q (time, tag, values) VALUES (99, 'x', '{99}');
DELETE FROM q WHERE time = 200;
PREPARE ask(text) AS SELECT time FROM historian.latest('q', ARRAY[$1]);
CREATE TABLE qz PARTITION OF q DEFAULT USING historian;
INSERT INTO q (time, tag, values) VALUES (7, 'z', '{1}');
SELECT results_eq($$EXECUTE ask('z')$$, 'VALUES (7::bigint)', 'a partition that is new');
DROP TABLE qz;

-- partition-wise plans
SET LOCAL enable_partitionwise_join = on;
SET LOCAL enable_partitionwise_aggregate = on;
SELECT bag_eq('SELECT tag, count(*) FROM q GROUP BY tag', $$VALUES ('a'::text, 100::bigint), ('x', 100), ('y', 100)$$, 'partition-wise aggregate');
SELECT results_eq('SELECT count(*) FROM q a JOIN q b USING (tag, time)', 'VALUES (300::bigint)', 'partition-wise join');

SELECT lives_ok('SELECT DISTINCT values[2] FROM p WHERE tag = ''a'' AND time = 5', 'one partition, tag and time');

-- plain inheritance
CREATE TABLE parent (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE child () INHERITS (parent) USING historian;
INSERT INTO parent VALUES (1, 'a', '{1}');
INSERT INTO child VALUES (2, 'a', '{2}');
SELECT results_eq('SELECT time::int, tableoid::regclass::text FROM parent ORDER BY time', $$VALUES (1, 'parent'), (2, 'child')$$, 'a parent with a child');
SELECT results_eq('SELECT time::int FROM ONLY parent', 'VALUES (1)', 'ONLY');

-- a parent that had other columns: those of its partitions have other numbers
CREATE TABLE former (x int, time bigint, y text, tag text, values float8[], z float8[]) PARTITION BY RANGE (time);
ALTER TABLE former DROP COLUMN x, DROP COLUMN y, DROP COLUMN z;
CREATE TABLE former1 PARTITION OF former FOR VALUES FROM (MINVALUE) TO (10) USING historian;
CREATE TABLE former2 (values float8[], tag text, time bigint) USING historian;
ALTER TABLE former ATTACH PARTITION former2 DEFAULT;
INSERT INTO former SELECT i, chr(97 + i % 2), ARRAY[i] FROM generate_series(1, 20) i;
SELECT is(historian.rename('former', 'a', 'c'), 10::bigint, 'rename() of a parent that had other columns');
SELECT is(historian.replace('former', 'c', 8, 13, ARRAY[9::bigint, 11], ARRAY[90::float8, 110]), 2::bigint, 'replace()');
CREATE ROLE former_reader;
GRANT USAGE ON SCHEMA historian TO former_reader;
GRANT SELECT ON former TO former_reader;
ALTER TABLE former ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_tags ON former USING (tag = 'c');
SET LOCAL ROLE former_reader;
SELECT results_eq($$SELECT * FROM historian.raw('former', 'c', 0, 100)$$, 'SELECT time, values FROM former ORDER BY time', 'a policy of tags');
SELECT is_empty($$SELECT * FROM historian.raw('former', 'b', 0, 100)$$, 'and what it hides');
RESET ROLE;
CREATE POLICY of_rows ON former AS RESTRICTIVE USING (values[1] > 9);
SET LOCAL ROLE former_reader;
SELECT results_eq($$SELECT * FROM historian.raw('former', 'c', 0, 100)$$, 'SELECT time, values FROM former ORDER BY time', 'a policy of rows');
SELECT is((SELECT samples FROM historian.tags('former')), 6::bigint, 'which tags() applies');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
