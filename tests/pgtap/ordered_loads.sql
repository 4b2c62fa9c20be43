-- Loads whose rows come in the order of their tags, which are written while they come, and such as stop to be in order; against a
-- heap with the same rows.
\set ON_ERROR_STOP on
SELECT plan(20);
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[]);
CREATE TABLE new (n serial, time bigint, tag text COLLATE "C", values float8[]);

CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) AS d$$;
-- loads the rows of `new` in the order of n
CREATE FUNCTION load() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO m SELECT time, tag, values FROM new ORDER BY n;
	DELETE FROM h USING new WHERE h.tag = new.tag AND h.time = new.time;
	INSERT INTO h SELECT DISTINCT ON (tag, time) time, tag, values FROM new ORDER BY tag, time, n DESC;
	TRUNCATE new RESTART IDENTITY;
END $$;
-- the tags from..until in order, each with `rows` rows
CREATE FUNCTION rows(first integer, last integer, at bigint, rows integer DEFAULT 1) RETURNS void LANGUAGE sql AS $$
INSERT INTO new (time, tag, values) SELECT at + row, format('site/sensor-%s', to_char(tag, 'FM000000')), ARRAY[tag + at * 0.01]
FROM generate_series(first, last) AS tag, generate_series(0, rows - 1) AS row ORDER BY tag, row $$;

-- in order
SELECT rows(1, 5000, 10); SELECT load();
SELECT is(differ(), 0::bigint, 'a row of each of 5,000 tags');
SELECT ok(pending_segments < 20, 'they share segments') FROM historian.stat_tables WHERE relid = 'm'::regclass;
SELECT rows(1, 5000, 20, 3); SELECT load();
SELECT is(differ(), 0::bigint, 'three rows of each');
SELECT rows(1, 2000, 30), rows(2001, 2001, 30, 4000), rows(2002, 2003, 30, 100), rows(2004, 6000, 30); SELECT load();
SELECT is(differ(), 0::bigint, 'tags with many rows among them');
SELECT rows(1, 3000, 10);
INSERT INTO new (time, tag, values) SELECT n % 3, 'site/sensor-x' || n / 5, CASE WHEN n % 7 = 0 THEN NULL WHEN n % 11 = 0 THEN '{}'
	WHEN n % 13 = 0 THEN ARRAY[n, NULL, 2] ELSE array_fill(n::float8, ARRAY[n % 100]) END FROM generate_series(50000, 59999) AS n;
SELECT load();
SELECT is(differ(), 0::bigint, 'rows of all widths, with equal times and out of the order of time');
INSERT INTO new (time, tag, values) SELECT t, 'ends' || to_char(n, 'FM000000'), ARRAY[n] FROM generate_series(1, 4000) AS n,
	(VALUES ('-9223372036854775808'::bigint), (0), (9223372036854775807)) AS times (t) ORDER BY n;
SELECT load();
SELECT is(differ(), 0::bigint, 'times too far apart for a shared segment');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');

-- out of order
TRUNCATE m, h;
SELECT rows(1, 5000, 10), rows(1, 5000, 10, 2); UPDATE new SET values = ARRAY[n]; SELECT load();
SELECT is(differ(), 0::bigint, 'all tags again: the later row stays');
SELECT rows(1, 5000, 12), rows(4990, 5000, 12), rows(7000, 9000, 12), rows(1, 1, 12); UPDATE new SET values = ARRAY[n]; SELECT load();
SELECT is(differ(), 0::bigint, 'some again');
SELECT rows(1, 3000, 10), rows(1000, 1000, 10, 1000), rows(3001, 5000, 10); UPDATE new SET values = ARRAY[n]; SELECT load();
SELECT is(differ(), 0::bigint, 'one in between');
SELECT historian.compact('m');
SELECT is(differ(), 0::bigint, 'also after compaction');

-- savepoints, errors, and what a transaction sees of its own rows
TRUNCATE m, h;
BEGIN;
SELECT rows(1, 4000, 1); SELECT load();
SAVEPOINT a;
SELECT rows(1, 6000, 1); UPDATE new SET values = '{7}'; SELECT load();
SELECT is(differ(), 0::bigint, 'the transaction sees its rows');
ROLLBACK TO a;
SELECT is(differ(), 0::bigint, 'but those of a savepoint that was rolled back');
COMMIT;
CREATE FUNCTION fail(n bigint) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN IF n = 6000 THEN RAISE 'at the end'; END IF; RETURN n; END $$;
SELECT throws_ok($$INSERT INTO m SELECT 1, to_char(n, 'FM000000'), ARRAY[fail(n)] FROM generate_series(1, 6000) AS n$$, 'P0001', 'at the end', 'a load fails when much is written');
SELECT is(differ(), 0::bigint, 'none of it is there');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
INSERT INTO m SELECT time, tag, values || 1::float8 FROM m ORDER BY tag;
UPDATE h SET values = values || 1::float8;
SELECT is(differ(), 0::bigint, 'a command reads the table that it writes');
UPDATE m SET values = ARRAY[time];
UPDATE h SET values = ARRAY[time];
SELECT is(differ(), 0::bigint, 'UPDATE of all tags');
SET historian.min_shared_tags = 1000000;
SELECT rows(1, 4000, 2), rows(4001, 4001, 2, 3000); SELECT load();
SELECT is(differ(), 0::bigint, 'each in segments of its own');
SET historian.min_shared_tags = 2;
SET historian.write_buffer = '1MB';
SELECT rows(1, 20000, 3, 5), rows(20001, 20400, 3, 500); SELECT load();
SELECT is(differ(), 0::bigint, 'more than fits into the write buffer');
SELECT * FROM finish();
DROP TABLE m, h, new;
DROP FUNCTION differ, load, rows, fail(bigint);
