-- GRANT, row-level security and SECURITY DEFINER, for the functions too.
BEGIN;
SELECT plan(45);

CREATE ROLE pgtap_owner;
CREATE ROLE pgtap_reader;
CREATE ROLE pgtap_columns;
CREATE ROLE pgtap_stranger;
CREATE SCHEMA plant;
GRANT USAGE, CREATE ON SCHEMA plant TO pgtap_owner;
GRANT USAGE ON SCHEMA plant TO pgtap_reader, pgtap_columns, pgtap_stranger;
GRANT USAGE ON SCHEMA historian TO PUBLIC;
CREATE FUNCTION pg_temp.sampled() RETURNS SETOF float8[] LANGUAGE plpgsql AS
	$$BEGIN RETURN QUERY SELECT d."values" FROM historian.downsample('plant.m', 'a', 0, 10, 1) d; END$$;
SET LOCAL ROLE pgtap_owner;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO plant.m VALUES (1, 'a', '{1}'), (2, 'b', '{2}');
GRANT SELECT ON plant.m TO pgtap_reader;
GRANT SELECT (time, tag) ON plant.m TO pgtap_columns;
SELECT lives_ok($$SELECT historian.compact('plant.m')$$, 'the owner compacts');

SET LOCAL ROLE pgtap_reader;
SELECT lives_ok('SELECT * FROM plant.m', 'SELECT with the privilege');
SELECT results_eq('SELECT pg_temp.sampled()', $$VALUES ('{1}'::float8[])$$, 'downsample with the privilege');
SELECT throws_ok($$INSERT INTO plant.m VALUES (3, 'a', '{1}')$$, '42501', NULL, 'INSERT without the privilege');
SELECT throws_ok($$COPY plant.m FROM stdin$$, NULL, NULL, 'COPY without the privilege');
SELECT throws_ok('TRUNCATE plant.m', '42501', NULL, 'TRUNCATE without the privilege');
SELECT throws_ok('DELETE FROM plant.m', '42501', NULL, 'DELETE without the privilege');
SELECT throws_ok('DROP TABLE plant.m', '42501', NULL, 'DROP without ownership');
SELECT throws_ok($$SELECT historian.compact('plant.m')$$, '42501', NULL, 'compact without ownership');

SET LOCAL ROLE pgtap_columns;
SELECT lives_ok('SELECT time, tag FROM plant.m', 'SELECT of the granted columns');
SELECT throws_ok('SELECT values FROM plant.m', '42501', NULL, 'SELECT of another column');
SELECT throws_ok('SELECT pg_temp.sampled()', '42501', NULL, 'downsample with a part of the columns');

SET LOCAL ROLE pgtap_stranger;
SELECT throws_ok('SELECT * FROM plant.m', '42501', 'permission denied for table m', 'SELECT without the privilege');
SELECT throws_ok('SELECT pg_temp.sampled()', '42501', 'permission denied for table m', 'downsample without the privilege');

-- security definer
SET LOCAL ROLE pgtap_owner;
CREATE FUNCTION plant.trusted() RETURNS SETOF float8[] LANGUAGE sql SECURITY DEFINER AS
	$$SELECT "values" FROM historian.downsample('plant.m', 'a', 0, 10, 1)$$;
CREATE VIEW plant.shown AS SELECT * FROM plant.m WHERE tag = 'a';
GRANT SELECT ON plant.shown TO pgtap_stranger;
SET LOCAL ROLE pgtap_stranger;
SELECT results_eq('SELECT plant.trusted()', $$VALUES ('{1}'::float8[])$$, 'SECURITY DEFINER lends the privilege');
SELECT results_eq('SELECT tag FROM plant.shown', $$VALUES ('a'::text)$$, 'so does a view');

-- row-level security
SET LOCAL ROLE pgtap_owner;
ALTER TABLE plant.m ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_a ON plant.m FOR SELECT TO pgtap_reader USING (tag = 'a');
GRANT INSERT ON plant.m TO pgtap_reader;
CREATE POLICY write_c ON plant.m FOR INSERT TO pgtap_reader WITH CHECK (tag = 'c');
SELECT results_eq('SELECT tag FROM plant.m ORDER BY tag', $$VALUES ('a'::text), ('b')$$, 'the owner sees all');
SELECT lives_ok('SELECT pg_temp.sampled()', 'and downsamples');
SET LOCAL ROLE pgtap_reader;
SELECT results_eq('SELECT tag FROM plant.m', $$VALUES ('a'::text)$$, 'a policy hides rows');
SELECT is((SELECT count(*) FROM plant.m WHERE tag = 'b'), 0::bigint, 'also from a condition on the tag');
SELECT results_eq('SELECT pg_temp.sampled()', $$VALUES ('{1}'::float8[])$$, 'downsample shows what the policy does');
SELECT is_empty($$SELECT historian.downsample('plant.m', 'b', 0, 10, 1)$$, 'and hides what it hides');
SELECT lives_ok($$INSERT INTO plant.m VALUES (1, 'c', '{1}')$$, 'a row that the policy allows');
SELECT throws_ok($$INSERT INTO plant.m VALUES (1, 'b', '{1}')$$, '42501', NULL, 'a row that it does not');
SET LOCAL row_security = off;
SELECT throws_ok('SELECT * FROM plant.m', '42501', NULL, 'row_security = off is an error');
SELECT throws_ok('SELECT pg_temp.sampled()', NULL, NULL, 'for downsample, too');
RESET row_security;
SET LOCAL ROLE pgtap_owner;
ALTER TABLE plant.m FORCE ROW LEVEL SECURITY;
SELECT is((SELECT count(*) FROM plant.m), 0::bigint, 'FORCE applies to the owner');
SELECT is_empty('SELECT pg_temp.sampled()', 'and to the owner''s downsample');

-- a leaky function must not see hidden rows
RESET ROLE;
ALTER TABLE plant.m NO FORCE ROW LEVEL SECURITY;
CREATE TABLE plant.seen (tag text);
GRANT INSERT ON plant.seen TO PUBLIC;
CREATE FUNCTION plant.leak(t text, n bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	INSERT INTO plant.seen VALUES (t);
	RETURN true;
END $$;
SET LOCAL ROLE pgtap_reader;
SELECT is((SELECT count(*) FROM plant.m WHERE plant.leak(tag, time)), 1::bigint, 'a leaky condition');
RESET ROLE;
SELECT results_eq('SELECT DISTINCT tag FROM plant.seen', $$VALUES ('a'::text)$$, 'sees only the rows of the policy');

-- historian.tag has the privileges of the tables that it is about
ALTER TABLE plant.m DISABLE ROW LEVEL SECURITY;
REVOKE INSERT ON plant.m FROM pgtap_reader;
CREATE ROLE pgtap_writer;
GRANT USAGE ON SCHEMA plant TO pgtap_writer;
GRANT INSERT ON plant.m TO pgtap_writer;
CREATE TABLE plant.secret (time bigint, tag text, values float8[]) USING historian;
INSERT INTO historian.tag (relid, tag, names) VALUES ('plant.secret', 'a', '{x}');
SET LOCAL ROLE pgtap_owner;
SELECT lives_ok($$INSERT INTO historian.tag (relid, tag, names) VALUES ('plant.m', 'a', '{x}')$$, 'the owner describes a tag');
SELECT is((SELECT count(*) FROM historian.tag_value), 1::bigint, 'and does not see those of another table');
SELECT throws_ok($$INSERT INTO historian.tag (relid, tag) VALUES ('plant.secret', 'b')$$, '42501', 'permission denied for tags of table plant.secret', 'nor adds to them');
SELECT throws_ok($$UPDATE historian.tag SET relid = 'plant.secret', tag = 'b'$$, '42501', NULL, 'nor moves a row there');
SELECT throws_ok($$TRUNCATE historian.tag$$, '42501', NULL, 'nor truncates');
SET LOCAL ROLE pgtap_writer;
SELECT is((SELECT fields FROM historian.learn_names('plant.m', '[{"tag": "b", "names": ["y"]}]')), '{y}', 'a writer learns names');
SELECT lives_ok($$SELECT historian.set_tag('plant.m', 'b', '{"names": ["z"]}')$$, 'and sets them');
SELECT lives_ok($$DELETE FROM historian.tag WHERE tag = 'b'$$, 'and deletes them');
SET LOCAL ROLE pgtap_reader;
SELECT results_eq('SELECT relid::text, tag, names FROM historian.tag', $$VALUES ('plant.m', 'a'::text COLLATE "C", '{x}'::text[])$$, 'a reader sees them');
SELECT throws_ok($$UPDATE historian.tag SET names = '{y}'$$, '42501', NULL, 'but does not change them');
SELECT throws_ok($$SELECT historian.set_tag('plant.m', 'c', '{}')$$, '42501', 'permission denied for tags of table plant.m', 'nor add to them');
SELECT throws_ok($$DELETE FROM historian.tag$$, '42501', 'permission denied for tags of table plant.m', 'nor delete');
SELECT throws_ok($$SELECT historian.create_view('plant.v', 'a', 'plant.m')$$, '42501', NULL, 'nor makes a view where that takes a privilege');
SET LOCAL ROLE pgtap_columns;
SELECT is((SELECT count(*) FROM historian.tag), 1::bigint, 'some columns are enough to see them');
SET LOCAL ROLE pgtap_stranger;
SELECT is((SELECT count(*) FROM historian.tag), 0::bigint, 'a stranger sees none');

SELECT * FROM finish();
ROLLBACK;
