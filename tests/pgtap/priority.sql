-- SET historian.nice makes the session's process nicer.
BEGIN;
SELECT plan(5);

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

SELECT * FROM finish();
ROLLBACK;
