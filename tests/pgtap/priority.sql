-- SET historian.nice makes the session's process nicer.
BEGIN;
SELECT plan(7);

-- field 19 of proc(5); the second one, the name, may have blanks
CREATE FUNCTION pg_temp.nice() RETURNS integer LANGUAGE sql AS
	$$SELECT split_part(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ', 17)::integer$$;
SELECT pg_temp.nice() AS before \gset

SELECT is(current_setting('historian.nice'), '0', 'not without being asked');
SET historian.nice = 3;
SELECT is(pg_temp.nice(), least(:before + 3, 19), 'SET historian.nice');
SET LOCAL historian.nice = 5;
SELECT is(pg_temp.nice(), least(:before + 5, 19), 'is relative to what PostgreSQL started with');
SELECT throws_ok('SET historian.nice = 20', '22023', NULL, 'out of range');
SELECT throws_ok('SET historian.nice = -1', '22023', NULL, 'nobody gets more than others');

-- what a function does while an index is built, or a table analyzed, would stay
CREATE TABLE indexed AS SELECT 1 AS a;
CREATE FUNCTION pg_temp.slow(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$BEGIN PERFORM set_config('historian.nice', '7', false); RETURN a; END$$;
SELECT throws_like('CREATE INDEX ON indexed (pg_temp.slow(a))', '%security-restricted operation%',
	'not by the owner of an index, for whoever builds it');
SELECT is(pg_temp.nice(), least(:before + 5, 19), 'and nothing has changed');

SELECT * FROM finish();
ROLLBACK;
