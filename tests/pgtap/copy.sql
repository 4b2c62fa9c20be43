-- COPY in and out, in each format.
BEGIN;
SELECT plan(13);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE back (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
SELECT setseed(0.125);
INSERT INTO h
SELECT i, 'tag ' || i % 17, CASE i % 19 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN '{NULL}' WHEN 3 THEN '{NaN,-Infinity,-0}'
	ELSE ARRAY[i, random(), NULLIF(i % 5, 0)] END::float8[]
FROM generate_series(1, 5000) i;
INSERT INTO h VALUES (1, E'odd "\t,\\N\n', '{1.7976931348623157e308,5e-324}');
INSERT INTO m SELECT * FROM h;
CREATE FUNCTION pg_temp.same(what text) RETURNS text LANGUAGE sql AS $$
	SELECT set_eq('SELECT time, tag, array_send(values) FROM back', 'SELECT time, tag, array_send(values) FROM h', what)
$$;

-- the shell's parent is psql, whose process id makes the name
\copy m to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"'
\copy back from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"'
SELECT pg_temp.same('text');
SELECT is((SELECT count(*) FROM back), 5001::bigint, 'text: once each');
TRUNCATE back;
\copy m to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"' (format csv, header)
\copy back from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"' (format csv, header match)
SELECT pg_temp.same('csv');
SELECT is((SELECT count(*) FROM back), 5001::bigint, 'csv: once each');
TRUNCATE back;
\copy m to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"' (format binary)
\copy back from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"' (format binary)
SELECT pg_temp.same('binary');
SELECT is((SELECT count(*) FROM back), 5001::bigint, 'binary: once each');
TRUNCATE back;
\copy (select * from m where tag = 'tag 3') to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"' (format binary)
\copy back from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"' (format binary)
SELECT set_eq('SELECT * FROM back', $$SELECT * FROM h WHERE tag = 'tag 3'$$, 'COPY (SELECT ..)');
TRUNCATE back;
\copy m (values, tag, time) to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"' (format csv)
\copy back (values, tag, time) from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"' (format csv)
SELECT pg_temp.same('a list of columns');
TRUNCATE back;
\copy m (time, tag) to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"'
\copy back (time, tag) from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"'
SELECT set_eq('SELECT * FROM back', 'SELECT time, tag, NULL::float8[] FROM h', 'without the values');
TRUNCATE back;
\copy m to program 'cat >"${TMPDIR:-/tmp}/historian-copy-$PPID"' (format binary)
\copy back from program 'cat "${TMPDIR:-/tmp}/historian-copy-$PPID"' (format binary) where time % 2 = 0 and tag <> 'tag 4'
SELECT set_eq('SELECT * FROM back', $$SELECT * FROM h WHERE time % 2 = 0 AND tag <> 'tag 4'$$, 'COPY .. WHERE');
\! rm -f "${TMPDIR:-/tmp}/historian-copy-$PPID"
TRUNCATE back;

COPY back FROM stdin;
\.
SELECT is((SELECT count(*) FROM back), 0::bigint, 'an empty COPY');
COPY back (tag, time, values) FROM stdin (FORMAT csv, NULL '-');
a,1,"{1,2}"
a,2,-
a,3,{}
\.
SELECT results_eq('SELECT * FROM back ORDER BY time',
	$$VALUES (1::bigint, 'a'::text, '{1,2}'::float8[]), (2, 'a', NULL), (3, 'a', '{}')$$, 'NULL and empty in csv');
SELECT results_eq('SELECT count(*) FROM back', 'VALUES (3::bigint)', 'count(*)');

SELECT * FROM finish();
ROLLBACK;
