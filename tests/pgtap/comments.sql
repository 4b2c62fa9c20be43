-- The extension documents itself, and leaves nothing behind.
BEGIN;
SELECT plan(18);

SELECT is_empty($$
	SELECT pg_describe_object(classid, objid, objsubid)
	FROM pg_depend d
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'historian')
		AND classid <> 'pg_type'::regclass
		AND NOT EXISTS (SELECT FROM pg_description c WHERE c.objoid = d.objid AND c.classoid = d.classid AND c.objsubid = 0)$$,
	'every object of the extension has a comment');
SELECT is_empty($$
	SELECT c.oid::regclass, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE c.relnamespace = 'historian'::regnamespace AND c.relkind IN ('r', 'v', 'm') AND col_description(c.oid, a.attnum) IS NULL$$,
	'every column of its tables and views has one');
SELECT isnt(obj_description((SELECT oid FROM pg_extension WHERE extname = 'historian'), 'pg_extension'), NULL, 'the extension has one');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
	WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'historian')
		AND p.pronamespace <> 'historian'::regnamespace$$, 'every function is in the schema historian');
SELECT is((SELECT amname::text FROM pg_am WHERE amtype = 't' AND amname = 'historian'), 'historian', 'the access method');
SELECT is_empty($$SELECT name FROM pg_settings WHERE name LIKE 'historian.%' AND coalesce(short_desc, '') = ''$$, 'every setting is described');
SELECT throws_ok($$SET historian.no_such_setting = 1$$, NULL, NULL, 'an unknown setting of the prefix is refused');

-- drops
CREATE SCHEMA plant;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO plant.m VALUES (1, 'a', '{1}');
CREATE ROLE pgtap_drop_owner;
CREATE TABLE owned (time bigint, tag text, values float8[]) USING historian;
ALTER TABLE owned OWNER TO pgtap_drop_owner;
CREATE TEMP TABLE oids AS SELECT c.oid FROM pg_class c WHERE relnamespace = 'plant'::regnamespace
	UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = 'owned'::regclass UNION ALL SELECT 'owned'::regclass;
SELECT lives_ok('DROP SCHEMA plant CASCADE', 'DROP SCHEMA');
SELECT lives_ok('DROP OWNED BY pgtap_drop_owner', 'DROP OWNED');
SELECT is_empty('SELECT c.oid::regclass FROM pg_class c JOIN oids USING (oid)', 'tables and directories are gone');
SELECT is_empty('SELECT objid FROM pg_depend JOIN oids ON oid IN (objid, refobjid)', 'and nothing depends on them');
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m VALUES (1, 'a', '{1}');
SELECT throws_ok('DROP EXTENSION historian', '2BP01', NULL, 'DROP EXTENSION with a table');
SELECT lives_ok('DROP EXTENSION historian CASCADE', 'DROP EXTENSION CASCADE');
SELECT hasnt_table('m', 'drops the table');
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'historian'::regnamespace$$, 'and the functions');
SELECT lives_ok('CREATE EXTENSION historian', 'CREATE EXTENSION again');
SELECT lives_ok('CREATE TABLE m (time bigint, tag text, values float8[]) USING historian', 'and a table');
SELECT lives_ok($$INSERT INTO m VALUES (1, 'a', '{1}')$$, 'that takes rows');

SELECT * FROM finish();
ROLLBACK;
