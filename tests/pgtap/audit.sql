-- historian.audit: who changed what; and the roles that historian.grant_reader() and grant_writer() make.
BEGIN;
SELECT plan(52);

CREATE ROLE pgtap_owner;
CREATE ROLE pgtap_stranger;
CREATE ROLE pgtap_deleter;
CREATE SCHEMA plant;
GRANT USAGE, CREATE ON SCHEMA plant TO pgtap_owner;
GRANT USAGE ON SCHEMA plant TO pgtap_deleter, pgtap_stranger;
SET LOCAL ROLE pgtap_owner;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO plant.m SELECT t, g, '{1}' FROM generate_series(1, 10) t, unnest('{a,b}'::text[]) g;
GRANT SELECT, DELETE ON plant.m TO pgtap_deleter;
RESET ROLE;
DELETE FROM historian.audit;
CREATE FUNCTION pg_temp.trail() RETURNS TABLE (who name, actor text, action text, table_name text, tag text, first_time bigint, last_time bigint, rows bigint, detail text)
LANGUAGE sql AS $$SELECT user_name, actor, action, table_name, tag, first_time, last_time, rows, detail FROM historian.audit ORDER BY time$$;

-- what is recorded
SET LOCAL ROLE pgtap_deleter;
SET LOCAL historian.actor = 'grafana';
SELECT is(historian.delete('plant.m', 'a', 2, 5), 3::bigint, 'delete');
SET LOCAL historian.actor = '';
SELECT is(historian.delete('plant.m', 'a', 2, 5), 0::bigint, 'nothing deleted');
SELECT is(historian.drop_before('plant.m', 2), 2::bigint, 'drop_before');
RESET ROLE;
SELECT results_eq('SELECT * FROM pg_temp.trail()', $$VALUES
	('pgtap_deleter'::name, 'grafana', 'delete', 'plant.m', 'a', 2::bigint, 4::bigint, 3::bigint, NULL::text),
	('pgtap_deleter', NULL, 'drop before', 'plant.m', NULL, (-9223372036854775808)::bigint, 1, 2, NULL)$$, 'both deletions are recorded, and not the one of nothing');
SELECT is((SELECT count(*) FROM historian.audit WHERE session_user_name = session_user AND application_name = current_setting('application_name')
	AND time BETWEEN now() AND clock_timestamp()), 2::bigint, 'with who has connected, from where, and when');
DELETE FROM historian.audit;

SET LOCAL ROLE pgtap_owner;
SELECT historian.set_tag('plant.m', 'a', '{"names": ["x"]}');
SELECT historian.set_tag('plant.m', 'a', '{"names": ["x"]}');
SELECT historian.set_tag('plant.m', 'a', '{"names": ["y"]}');
SELECT historian.learn_names('plant.m', '[{"tag": "l", "names": ["f"]}]');
SELECT historian.learn_names('plant.m', '[{"tag": "l", "names": ["g"]}]');
INSERT INTO historian.tag (relid, tag, description) SELECT 'plant.m', 'many' || i, 'x' FROM generate_series(1, 5) i;
UPDATE historian.tag SET units = '{°C}' WHERE tag LIKE 'many_';
UPDATE historian.tag SET units = '{°C}' WHERE tag LIKE 'many_';
DELETE FROM historian.tag WHERE tag = 'many1';
SELECT historian.set_retention('plant.m', '1 year', 'a');
SELECT historian.set_retention('plant.m', NULL, 'a');
SELECT lives_ok($$SELECT historian.audit_note('rename', 'plant.m', 'a', rows => 7, detail => 'to z')$$, 'a function of one''s own');
RESET ROLE;
SELECT results_eq('SELECT * FROM pg_temp.trail()', $$VALUES
	('pgtap_owner'::name, NULL, 'set metadata', 'plant.m', 'a', NULL::bigint, NULL::bigint, 1::bigint, NULL::text),
	('pgtap_owner', NULL, 'set metadata', 'plant.m', 'a', NULL, NULL, 1, NULL),
	('pgtap_owner', NULL, 'set metadata', 'plant.m', NULL, NULL, NULL, 5, NULL),
	('pgtap_owner', NULL, 'set metadata', 'plant.m', NULL, NULL, NULL, 5, NULL),
	('pgtap_owner', NULL, 'delete metadata', 'plant.m', 'many1', NULL, NULL, 1, NULL),
	('pgtap_owner', NULL, 'set retention', 'plant.m', 'a', NULL, NULL, NULL, '1 year'),
	('pgtap_owner', NULL, 'set retention', 'plant.m', 'a', NULL, NULL, NULL, 'removed'),
	('pgtap_owner', NULL, 'rename', 'plant.m', 'a', NULL, NULL, 7, 'to z')$$, 'metadata and retention are recorded where they change, by the command');

DELETE FROM historian.audit;
SET LOCAL ROLE pgtap_owner;
SELECT is(historian.replace('plant.m', 'b', 6, 9, '{7,8}', '{1,2}'), 2::bigint, 'replace');
RESET ROLE;
SELECT results_eq('SELECT * FROM pg_temp.trail()', $$VALUES
	('pgtap_owner'::name, NULL::text, 'delete', 'plant.m', 'b', 6::bigint, 8::bigint, 3::bigint, NULL::text),
	('pgtap_owner', NULL, 'replace', 'plant.m', 'b', 6, 8, 2, NULL)$$, 'what was there and what came');

-- a deletion that is rolled back did not happen
DELETE FROM historian.audit;
SAVEPOINT s;
SELECT historian.delete('plant.m', 'a', 0, 100);
ROLLBACK TO s;
SELECT is((SELECT count(*) FROM historian.audit), 0::bigint, 'a rollback takes the record along');

-- nobody writes it, or sees what is not theirs
SELECT historian.delete('plant.m', 'b', 5, 6);
SET LOCAL ROLE pgtap_owner;
SELECT is((SELECT count(*) FROM historian.audit), 1::bigint, 'whoever may read the table sees the record');
SELECT throws_ok($$INSERT INTO historian.audit (session_user_name, user_name, action, table_name) VALUES ('x', 'x', 'x', 'x')$$, '42501', NULL, 'no INSERT');
SELECT throws_ok('UPDATE historian.audit SET action = NULL', '42501', NULL, 'no UPDATE');
SELECT throws_ok('DELETE FROM historian.audit', '42501', NULL, 'no DELETE');
SELECT throws_ok('TRUNCATE historian.audit', '42501', NULL, 'no TRUNCATE');
SET LOCAL ROLE pgtap_stranger;
SELECT is((SELECT count(*) FROM historian.audit), 0::bigint, 'a stranger sees nothing');
SELECT throws_ok($$SELECT historian.audit_note('x', 'plant.m')$$, '42501', 'permission denied for table m', 'nor adds to it');
RESET ROLE;
GRANT SELECT ON plant.m TO pgtap_stranger;
SET LOCAL ROLE pgtap_stranger;
SELECT throws_ok($$SELECT historian.audit_note('x', 'plant.m')$$, '42501', 'permission denied for table m', 'nor does who may only read');
RESET ROLE;

-- a table that is dropped
DROP TABLE plant.m;
SELECT results_eq('SELECT relid::oid, table_name FROM historian.audit', $$VALUES (NULL::oid, 'plant.m')$$, 'the record outlives the table');
SET LOCAL ROLE pgtap_owner;
SELECT is((SELECT count(*) FROM historian.audit), 0::bigint, 'and is then for those who read everything');
RESET ROLE;

-- the roles: everything that they need, and nothing else
CREATE SCHEMA other;
CREATE TABLE other.m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE other.secret (time bigint, tag text, values float8[]) USING historian;
INSERT INTO other.m SELECT t, 'a', '{1}' FROM generate_series(1, 10) t;
CALL historian.grant_reader('other.m', 'pgtap_a reader');
CALL historian.grant_writer('other.m', 'pgtap_a writer');
CALL historian.grant_writer('other.m', 'pgtap_a writer');
SELECT results_eq($$SELECT rolname::text COLLATE "C", rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles WHERE rolname LIKE 'pgtap_a %' ORDER BY 1$$,
	$$VALUES (('pgtap_a reader'::text COLLATE "C"), false, false, false, false, false, false), ('pgtap_a writer', false, false, false, false, false, false)$$, 'group roles without attributes');
SELECT results_eq($$SELECT g.rolname::text COLLATE "C", privilege COLLATE "C" FROM pg_roles g, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
	WHERE rolname LIKE 'pgtap_a %' AND has_table_privilege(g.oid, 'other.m', privilege) ORDER BY 1, 2$$,
	$$VALUES (('pgtap_a reader'::text COLLATE "C"), ('SELECT'::text COLLATE "C")), ('pgtap_a writer', 'INSERT'), ('pgtap_a writer', 'SELECT')$$, 'the privileges on the table');
SELECT is_empty($$SELECT g.rolname, c.oid::regclass FROM pg_roles g, pg_class c WHERE g.rolname LIKE 'pgtap_a %' AND c.relnamespace = 'historian'::regnamespace
	AND has_table_privilege(g.oid, c.oid, 'TRUNCATE, REFERENCES, TRIGGER')$$, 'none of that on the extension''s');

SET LOCAL ROLE "pgtap_a reader";
SELECT lives_ok('SELECT * FROM other.m', 'a reader reads rows');
SELECT lives_ok($$SELECT * FROM historian.downsample('other.m', 'a', 0, 10, 2)$$, 'samples');
SELECT lives_ok($$SELECT * FROM historian.latest('other.m')$$, 'latest values');
SELECT lives_ok($$SELECT * FROM historian.tags('other.m')$$, 'tags');
SELECT lives_ok($$SELECT * FROM historian.tag_stat('other.m', 'a')$$, 'what is stored of one');
SELECT lives_ok('SELECT * FROM historian.tag', 'and metadata');
SELECT throws_ok($$INSERT INTO other.m VALUES (1, 'a', '{2}')$$, '42501', NULL, 'but does not insert');
SELECT throws_ok($$UPDATE other.m SET values = '{2}'$$, '42501', NULL, 'update');
SELECT throws_ok('DELETE FROM other.m', '42501', NULL, 'delete');
SELECT throws_ok($$SELECT historian.delete('other.m', 'a', 0, 10)$$, '42501', NULL, 'by a function either');
SELECT throws_ok($$SELECT historian.drop_before('other.m', 10)$$, '42501', NULL, 'or all tags');
SELECT throws_ok($$SELECT historian.set_tag('other.m', 'a', '{}')$$, '42501', NULL, 'describe a tag');
SELECT throws_ok($$SELECT historian.set_retention('other.m', '1 day')$$, '42501', NULL, 'set retention');
SELECT throws_ok($$SELECT historian.compact('other.m')$$, '42501', NULL, 'compact');
SELECT throws_ok('TRUNCATE other.m', '42501', NULL, 'truncate');
SELECT throws_ok('DROP TABLE other.m', '42501', NULL, 'drop');
SELECT throws_ok('CREATE TABLE other.mine (x int)', '42501', NULL, 'make a table there');
SELECT throws_ok('SELECT * FROM other.secret', '42501', NULL, 'or read another table');
SELECT throws_ok($$SELECT * FROM historian.stat_tables$$, '42501', NULL, 'or the statistics');

SET LOCAL ROLE "pgtap_a writer";
SELECT lives_ok($$INSERT INTO other.m VALUES (11, 'a', '{2}')$$, 'a writer inserts');
SELECT lives_ok($$SELECT historian.learn_names('other.m', '[{"tag": "w", "names": ["f"]}]')$$, 'learns names');
SELECT lives_ok($$SELECT historian.set_tag('other.m', 'a', '{}')$$, 'and describes tags');
SELECT throws_ok($$UPDATE other.m SET values = '{2}'$$, '42501', NULL, 'but does not update');
SELECT throws_ok('DELETE FROM other.m', '42501', NULL, 'delete');
SELECT throws_ok($$SELECT historian.delete('other.m', 'a', 0, 10)$$, '42501', NULL, 'by a function either');
SELECT throws_ok($$SELECT historian.set_retention('other.m', '1 day')$$, '42501', NULL, 'set retention');
SELECT throws_ok('TRUNCATE other.m', '42501', NULL, 'truncate');
SELECT throws_ok($$INSERT INTO other.secret VALUES (11, 'a', '{2}')$$, '42501', NULL, 'or write another table');
SELECT throws_ok($$CALL historian.grant_reader('other.m', 'pgtap_stranger')$$, '42501', NULL, 'or give privileges away');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
