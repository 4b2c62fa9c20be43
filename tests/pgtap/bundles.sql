-- Rows that come in bundles: made here by SQL from the description of the format, and compared with the same rows by COPY's way.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT plan(133);
SELECT coalesce(nullif(current_setting('historian_test.seed', true), ''), (round(random()::numeric, 6))::text) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null
CREATE SCHEMA bundles;
SET search_path = bundles, public;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE plain (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE made (n serial, b bytea);
CREATE TABLE new (n serial, time bigint, tag text COLLATE "C", values float8[]);

-- the bytes of numbers, least first
CREATE FUNCTION little(b bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT string_agg(substr(b, i, 1), '' ORDER BY i DESC) FROM generate_series(1, length(b)) i $$;
CREATE FUNCTION varint(n int) RETURNS bytea LANGUAGE sql AS $$ SELECT CASE WHEN n < 128 THEN set_byte('\x00', 0, n) WHEN n < 16384
	THEN set_byte('\x00', 0, n % 128 + 128) || set_byte('\x00', 0, n / 128) ELSE set_byte('\x00', 0, n % 128 + 128) || set_byte('\x00', 0, n / 128 % 128 + 128) || set_byte('\x00', 0, n / 16384) END $$;
CREATE FUNCTION entry(kept int, suffix bytea, width int, nrows int DEFAULT 1) RETURNS bytea LANGUAGE sql AS $$
	SELECT varint(kept) || varint(length(suffix)) || suffix || varint(width * 4 + CASE WHEN nrows = 1 THEN 0 ELSE 2 END) || CASE WHEN nrows = 1 THEN '' ELSE varint(nrows) END $$;
CREATE FUNCTION bundle(times bigint[], vals float8[], entries bytea[], rows int DEFAULT NULL, nvalues int DEFAULT NULL, nentries int DEFAULT NULL, bytes int DEFAULT NULL, magic bytea DEFAULT 'HIB1', zero int DEFAULT 0)
RETURNS bytea LANGUAGE sql AS $$
	SELECT magic || little(int4send(coalesce(rows, cardinality(times)))) || little(int4send(coalesce(nvalues, cardinality(vals)))) || little(int4send(coalesce(nentries, cardinality(entries))))
		|| little(int4send(coalesce(bytes, coalesce((SELECT sum(length(e))::int FROM unnest(entries) e), 0)))) || little(int4send(zero))
		|| coalesce((SELECT string_agg(little(int8send(t)), '' ORDER BY i) FROM unnest(times) WITH ORDINALITY u (t, i)), '')
		|| coalesce((SELECT string_agg(little(float8send(v)), '' ORDER BY i) FROM unnest(vals) WITH ORDINALITY u (v, i)), '')
		|| coalesce((SELECT string_agg(e, '' ORDER BY i) FROM unnest(entries) WITH ORDINALITY u (e, i)), '') $$;
-- the rows first to last of `new`; those of one tag and width that follow each other are often one entry
CREATE FUNCTION bundle_of(first int, last int) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE r record; before bytea := ''; tag bytea; kept int; present bytea; times bigint[] := '{}'; vals float8[] := '{}'; entries bytea[] := '{}'; width int; suffix bytea; nrows int; open bool := false;
BEGIN
	FOR r IN SELECT * FROM new WHERE n BETWEEN first AND last ORDER BY n LOOP
		tag := convert_to(r.tag, 'UTF8');
		times := times || r.time;
		IF open AND tag = before AND cardinality(r.values) = width AND array_position(r.values, NULL) IS NULL AND random() < 0.9 THEN
			nrows := nrows + 1;
			entries[cardinality(entries)] := entry(kept, suffix, width, nrows);
			vals := vals || r.values;
			CONTINUE;
		END IF;
		kept := 0;
		WHILE kept < least(length(tag), length(before)) AND get_byte(tag, kept) = get_byte(before, kept) LOOP kept := kept + 1; END LOOP;
		-- the tag before need not be used in full
		kept := kept - CASE WHEN kept > 0 AND random() < 0.1 THEN 1 ELSE 0 END;
		suffix := substr(tag, kept + 1);
		width := cardinality(r.values);
		nrows := 1;
		open := array_position(r.values, NULL) IS NULL;
		IF open THEN
			entries := entries || entry(kept, suffix, width);
			vals := vals || r.values;
		ELSE
			present := decode(repeat('00', (width + 7) / 8), 'hex');
			FOR v IN 1 .. width LOOP
				CONTINUE WHEN r.values[v] IS NULL;
				present := set_bit(present, v - 1, 1);
				vals := vals || r.values[v];
			END LOOP;
			entries := entries || (varint(kept) || varint(length(tag) - kept) || suffix || varint(width * 4 + 1) || present);
		END IF;
		before := tag;
	END LOOP;
	RETURN bundle(times, vals, entries);
END $$;
CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE m)) AS d$$;
-- loads the rows of `new` both ways, in order of n, in bundles of at most most rows
CREATE FUNCTION load(most int DEFAULT 1000) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	-- made before, because each query of a function would be a command of its own
	INSERT INTO made (b) SELECT bundle_of(i, i + most - 1) FROM generate_series(1, (SELECT max(n) FROM new), most) i;
	INSERT INTO historian.bundle SELECT 'm'::regclass, b FROM made ORDER BY n;
	TRUNCATE made;
	INSERT INTO plain SELECT time, tag, values FROM new ORDER BY n;
	TRUNCATE new RESTART IDENTITY;
END $$;

CREATE FUNCTION shown(tag_is text DEFAULT NULL) RETURNS text LANGUAGE sql AS
$$SELECT string_agg(format('%s %s %s', tag, time, values), '; ' ORDER BY tag, time) FROM m WHERE tag_is IS NULL OR tag = tag_is$$;

SELECT is(historian.bundle_hindrance('m'), NULL, 'a table takes bundles');
INSERT INTO historian.bundle VALUES ('m', bundle(ARRAY[5, 6, 7], ARRAY[1, 2, 3], ARRAY[entry(0, 'a/b', 1, 2), entry(2, 'c', 1)]));
SELECT is(shown(), 'a/b 5 {1}; a/b 6 {2}; a/c 7 {3}', 'three rows');
INSERT INTO historian.bundle VALUES ('m', bundle(ARRAY[5, 6, 6], ARRAY[8, 9, 10], ARRAY[entry(0, 'a/b', 1, 3)]));
SELECT is(shown(), 'a/b 5 {8}; a/b 6 {10}; a/c 7 {3}', 'of rows with one time the later one stays');
TRUNCATE m;
INSERT INTO historian.bundle VALUES ('m', bundle('{}', '{}', '{}'));
SELECT is(shown(), NULL, 'none');
SELECT coalesce(sum(n_tup_ins), 0) AS before FROM pg_stat_xact_user_tables WHERE relid = 'm'::regclass \gset
BEGIN;
INSERT INTO historian.bundle VALUES ('m', bundle(ARRAY[5, 6, 6], ARRAY[8, 9, 10], ARRAY[entry(0, 'a', 1), entry(1, '', 1, 2)]));
SELECT is((SELECT count(*) FROM m), 2::bigint, 'the transaction sees its rows');
SELECT is((SELECT n_tup_ins FROM pg_stat_xact_user_tables WHERE relid = 'm'::regclass), :before + 3::bigint, 'statistics count rows, not bundles');
SAVEPOINT s;
INSERT INTO historian.bundle VALUES ('m', bundle(ARRAY[7], ARRAY[8], ARRAY[entry(0, 'a', 1)]));
ROLLBACK TO s;
SELECT is((SELECT count(*) FROM m), 2::bigint, 'but not those of a savepoint that was rolled back');
COMMIT;
TRUNCATE m;

-- a function within the command that writes: the rows of the bundles after it have the number of a later command
CREATE TABLE noted (n int);
CREATE FUNCTION noting(n int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO noted VALUES (n); RETURN true; END$$;
BEGIN;
INSERT INTO historian.bundle SELECT 'm'::regclass, bundle(ARRAY[n], ARRAY[n], ARRAY[entry(0, 'a', 1)]) FROM generate_series(1, 3) n WHERE noting(n);
SAVEPOINT s;
SELECT is(shown(), 'a 1 {1}; a 2 {2}; a 3 {3}', 'rows of a command in which a function writes are there when it ends');
ROLLBACK TO s;
COMMIT;
SELECT is(shown(), 'a 1 {1}; a 2 {2}; a 3 {3}', 'and stay');

-- 300 bundles of 16 kB each, none of them compressed: what the executor has taken when the last one comes
CREATE FUNCTION note_memory() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
	INSERT INTO noted SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts WHERE name IN ('ExecutorState', 'PortalContext');
	RETURN true;
END$$;
TRUNCATE noted;
INSERT INTO made (b) SELECT bundle(array_agg(t), array_agg(t), ARRAY[entry(0, 'a', 1, 1000)]) FROM generate_series(1, 1000) t;
INSERT INTO historian.bundle SELECT 'm'::regclass, b || ''::bytea FROM made, generate_series(1, 300) i WHERE i < 300 OR note_memory();
TRUNCATE made;
SELECT cmp_ok(n, '<', 1024, 'a command does not keep the bytes of the bundles that it has stored (kB)') FROM noted;
SELECT is((SELECT count(*) FROM m), 1000::bigint, 'the last one of them stays');
TRUNCATE m;

-- random rows, both ways
INSERT INTO new (time, tag, values) SELECT random() * 100, 'site/area-' || lpad((i / 3)::text, 5, '0'), ARRAY[round((random() * 1000)::numeric, 2)] FROM generate_series(1, 6000) i;
SELECT load();
SELECT is(differ(), 0::bigint, 'values of many tags in order');
SELECT cmp_ok(pending_segments, '<', 40::bigint, 'they share segments') FROM historian.stat_tables WHERE relid = 'm'::regclass;
INSERT INTO new (time, tag, values) SELECT (random() * 50)::int, t.tag, (SELECT coalesce(array_agg(CASE WHEN random() < i % 4 / 8.0 THEN NULL ELSE v * (random() - 0.5) * 10 ^ (random() * 20)::int END), '{}')
		FROM generate_series(1, (random() * 20)::int * (i % 5)) v)
	FROM generate_series(1, 3000) i, LATERAL (SELECT repeat(chr(97 + (random() * 3)::int), 1 + i % 100) || chr(160 + (random() * 2000)::int) || chr(128512 + (random() * 9)::int) || repeat('x', (i % 7) * 10) AS tag) t;
SELECT load(317);
SELECT is(differ(), 0::bigint, 'rows of all widths with NULLs, of tags in no order, of several bytes a character');
INSERT INTO new (time, tag, values) SELECT (9223372036854775807 * (i % 3 - 1)::numeric)::bigint, repeat('long', 63) || lpad(i::text, 4, '0'), array_fill(i::float8, ARRAY[i % 2 * 900]) FROM generate_series(1, 40) i;
INSERT INTO new (time, tag, values) SELECT 1, 'special', ARRAY['NaN', 'Infinity', '-Infinity', '-0', '5e-324', '1.7976931348623157e308']::float8[];
INSERT INTO new (time, tag, values) SELECT 1, 'null', array_fill(NULL::float8, ARRAY[i]) FROM generate_series(1, 17) i;
SELECT load();
SELECT is(differ(), 0::bigint, 'tags of 256 bytes, times of all sizes, no values and many, special ones, NULLs alone');
SELECT is((SELECT max(length(tag)) FROM m), 256, 'they are there');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');

-- most tags come in order and have few rows, so that a run takes them straight; some do not, or have many rows, NULLs, times in no order
CREATE FUNCTION mixed(disorder float8) RETURNS void LANGUAGE sql AS $$
	INSERT INTO new (time, tag, values)
	SELECT CASE WHEN t.kind < 0.1 THEN (random() * 20)::int ELSE i * 3 + (random() * 2)::int END, 'unit-' || lpad(CASE WHEN random() < disorder THEN (random() * 5000)::int ELSE t.n END::text, 5, '0'),
		CASE WHEN t.kind < 0.03 THEN ARRAY[i, NULL, 2.5] WHEN t.kind < 0.06 THEN array_fill(random(), ARRAY[(random() * 6)::int]) WHEN t.kind < 0.08 THEN array_fill(i::float8, ARRAY[10])
			ELSE ARRAY[round((random() * 100)::numeric, (random() * 3)::int)] END
	FROM (SELECT n, random() AS kind, random() AS many FROM generate_series(1, 3500) n) t,
		LATERAL generate_series(1, CASE WHEN t.many < 0.8 THEN 1 WHEN t.many < 0.98 THEN 1 + (random() * 5)::int ELSE 70 END) i ORDER BY t.n, i $$;
SELECT mixed(d), load(most) FROM (VALUES (0, 1000), (0.0005, 613), (0.02, 97)) v (d, most) \g /dev/null
SELECT is(differ(), 0::bigint, 'tags of few rows and of many, nearly all in order');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
SET historian.write_buffer = '256kB';
SELECT mixed(d), load(most) FROM (VALUES (0, 800), (0.0005, 1000)) v (d, most) \g /dev/null
RESET historian.write_buffer;
SELECT is(differ(), 0::bigint, 'the same with a small write buffer');
BEGIN;
SELECT mixed(0);
SELECT load();
SAVEPOINT s;
INSERT INTO m SELECT time + 1, tag, values FROM plain WHERE tag LIKE 'unit-00%';
SELECT mixed(0.0005);
SELECT load();
ROLLBACK TO s;
SELECT is(differ(), 0::bigint, 'not those of a savepoint that was rolled back');
UPDATE m SET values = ARRAY[7] WHERE tag LIKE 'unit-001%';
UPDATE plain SET values = ARRAY[7] WHERE tag LIKE 'unit-001%';
COMMIT;
SELECT is(differ(), 0::bigint, 'rows that were updated in their transaction');
SELECT is_empty($$SELECT * FROM historian.check('m')$$, 'the check finds nothing');
SELECT historian.compact('m');
SELECT is(differ(), 0::bigint, 'the same after compaction');
SET historian.write_buffer = '64kB';
INSERT INTO new (time, tag, values) SELECT i / 30, 'wide' || i % 30, array_fill(random(), ARRAY[1 + i % 300]) FROM generate_series(1, 2000) i;
SELECT load();
SELECT is(differ(), 0::bigint, 'more than the write buffer holds');
RESET historian.write_buffer;

-- COPY, of bytes written by hand
COPY historian.bundle FROM STDIN;
m	\\x4849423101000000010000000100000004000000000000000100000000000000000000000000f03f00017804
m	\\x4849423101000000010000000100000004000000000000000200000000000000000000000000f03f00017804
\.
SELECT is(shown('x'), 'x 1 {1}; x 2 {1}', 'COPY into the view');

-- bytes that are no bundle
CREATE FUNCTION refused(b bytea, message text, test text) RETURNS text LANGUAGE sql AS $$
	SELECT throws_ok(format('INSERT INTO historian.bundle VALUES (''m'', %L)', b), '22P03', 'invalid bundle: ' || message, test) $$;
SELECT refused('', 'it is too short', 'nothing');
SELECT refused('HIB1', 'it is too short', 'too short');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)], magic => 'HIB2'), 'it does not begin as one of this version', 'another version');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)], zero => 1), 'its length is not that which its header tells', 'what is reserved');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)], rows => n), 'its length is not that which its header tells', n || ' rows') FROM unnest('{0,2,-1,1073741824}'::int[]) n;
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)], nvalues => n), 'its length is not that which its header tells', n || ' values') FROM unnest('{1,-1,536870912}'::int[]) n;
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)], bytes => n), 'its length is not that which its header tells', n || ' bytes') FROM unnest('{0,-1,1000}'::int[]) n;
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)], nentries => n), m, n || ' entries') FROM (VALUES (0, 'its entries have fewer rows, values or bytes than its header tells'), (2, 'it ends within an entry'), (-1, 'it ends within an entry')) v (n, m);
SELECT refused(bundle('{1,2}', '{}', ARRAY[entry(0, 'a', 0)]), 'its entries have fewer rows, values or bytes than its header tells', 'too few rows');
SELECT refused(bundle('{1}', '{1}', ARRAY[entry(0, 'a', 0)]), 'its entries have fewer rows, values or bytes than its header tells', 'too few values');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0) || '\x00'::bytea]), 'its entries have fewer rows, values or bytes than its header tells', 'a byte too many');
SELECT refused(bundle('{1}', '{1}', ARRAY[entry(0, 'a', 2)]), 'its entries have no rows, or more rows or values than its header tells', 'too many values');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 0, 2)]), 'its entries have no rows, or more rows or values than its header tells', 'too many rows');
SELECT refused(bundle('{}', '{}', ARRAY['\x0001610200'::bytea]), 'its entries have no rows, or more rows or values than its header tells', 'an entry of no rows');
SELECT refused(bundle('{1}', '{}', ARRAY['\x000161'::bytea]), 'it ends within an entry', 'no form');
SELECT refused(bundle('{1}', '{}', ARRAY['\x000561'::bytea]), 'it ends within an entry', 'a tag past the end');
SELECT refused(bundle('{1}', '{}', ARRAY['\x0001618080808000'::bytea]), 'it ends within an entry', 'a number of too many bytes');
SELECT refused(bundle('{1}', '{}', ARRAY['\x00016125'::bytea]), 'it ends within an entry', 'no bitmap');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a', 1001)]), 'a row has too many values', '1,001 values');
SELECT refused(bundle('{1}', '{}', ARRAY['\x00016107'::bytea]), 'an entry of several rows has values that are NULL', 'both flags');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, '', 0)]), 'the length of a tag is out of range', 'an empty tag');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(1, 'a', 0)]), 'the length of a tag is out of range', 'the begin of no tag');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, convert_to(repeat('a', 257), 'UTF8'), 0)]), 'the length of a tag is out of range', 'a tag of 257 bytes');
SELECT refused(bundle('{1,2}', '{}', ARRAY[entry(0, 'abc', 0), entry(3, convert_to(repeat('a', 254), 'UTF8'), 0)]), 'the length of a tag is out of range', 'one of 3 and 254');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, 'a\000b', 0)]), 'a tag is not UTF-8, or has a zero byte', 'a zero byte');
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, '\xc3', 0)]), 'a tag is not UTF-8, or has a zero byte', 'half a character');
SELECT refused(bundle('{1,2}', '{}', ARRAY[entry(0, '\xc3a9', 0), entry(1, '', 0)]), 'a tag is not UTF-8, or has a zero byte', 'a tag that is cut within a character');
SELECT refused(bundle('{1,2}', '{}', ARRAY[entry(0, '\xc3a9', 0), entry(1, 'A', 0)]), 'a tag is not UTF-8, or has a zero byte', 'a character whose end is replaced');
-- longer tags are looked at by words
SELECT refused(bundle('{1}', '{}', ARRAY[entry(0, set_byte('abcdefghijklmnopq', i, wrong), 0)]), 'a tag is not UTF-8, or has a zero byte', format('byte %s is %s', i, wrong))
	FROM generate_series(0, 16) i, unnest('{0,195}'::int[]) wrong;
SELECT refused(bundle('{1,2}', '{}', ARRAY[entry(0, 'abcdefgh'::bytea || '\xc3a9', 0), entry(9, 'ijklmnopqrst', 0)]), 'a tag is not UTF-8, or has a zero byte', 'a long tag that is cut within a character');
SELECT throws_ok($$INSERT INTO historian.bundle VALUES ('m', NULL)$$, '22004', NULL, 'NULL');

-- every byte of a good one replaced: an error, or rows
INSERT INTO new (time, tag, values) SELECT i, 'tag' || i / 3, CASE WHEN i % 3 = 0 THEN ARRAY[1, NULL, i] ELSE array_fill(1.5::float8, ARRAY[i % 5]) END FROM generate_series(1, 12) i;
CREATE FUNCTION hurt(tries int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE good bytea := bundle_of(1, 12); state text; wrong int := 0;
BEGIN
	FOR i IN 1 .. tries LOOP
		BEGIN
			INSERT INTO historian.bundle VALUES ('m', set_byte(good, i % length(good), (random() * 255)::int));
			RAISE 'undone' USING ERRCODE = 'HH000';
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE NOT IN ('HH000', '22P03') THEN RETURN SQLSTATE || SQLERRM; END IF;
		END;
	END LOOP;
	RETURN NULL;
END $$;
SELECT is(hurt(3000), NULL, 'a byte that was changed gives a clear error, or other rows');
TRUNCATE new RESTART IDENTITY;

-- tables that need more than storing
CREATE FUNCTION hindered(statement text, hindrance text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN NEXT is(historian.bundle_hindrance('t'), hindrance, statement);
	RETURN NEXT throws_ok($x$INSERT INTO historian.bundle VALUES ('t', bundle('{1}', '{}', ARRAY[entry(0, 'a', 0)]))$x$, '0A000',
		'relation "t" does not take bundles: ' || hindrance, 'refused');
	DROP TABLE t CASCADE;
END $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
\set t 'CREATE TABLE t (time bigint, tag text, values float8[]'
SELECT hindered(:'t' || ')', 'it is not a historian table');
SELECT hindered(:'t' || ') PARTITION BY HASH (tag)', 'it is not a historian table');
SELECT hindered('CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY HASH (tag); CREATE TABLE t PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian', 'it is a partition');
SELECT hindered(:'t' || ', CHECK (time > 0)) USING historian', 'it has a CHECK constraint');
SELECT hindered(:'t' || ') USING historian; CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing()', 'it has a trigger for INSERT');
SELECT hindered(:'t' || ') USING historian; CREATE TRIGGER x AFTER INSERT ON t REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION nothing()', 'it has a trigger for INSERT');
SELECT hindered(:'t' || ') USING historian; CREATE RULE x AS ON INSERT TO t DO ALSO NOTIFY x', 'it has a rule');
SELECT hindered('CREATE TABLE t (time bigint, tag text, values float8[] GENERATED ALWAYS AS (ARRAY[1::float8]) STORED) USING historian', 'it has a column that is generated');
SELECT hindered('CREATE TABLE t (time bigint GENERATED BY DEFAULT AS IDENTITY, tag text, values float8[]) USING historian', 'it has a column that is generated');
CREATE TABLE t (values float8[] NOT NULL DEFAULT '{}', tag text NOT NULL, time bigint NOT NULL) USING historian;
CREATE TRIGGER x BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO historian.bundle VALUES ('t', bundle('{1}', '{7}', ARRAY[entry(0, 'a', 1)]));
SELECT results_eq('SELECT time, tag, values FROM t', $$VALUES (1::bigint, 'a', '{7}'::float8[])$$, 'other orders of columns, NOT NULL, defaults, a trigger of DELETE');

-- without its trigger the view would swallow rows
SET session_replication_role = replica;
SELECT is(historian.bundle_hindrance('t'), 'session_replication_role is replica', 'a session in which triggers do not fire');
RESET session_replication_role;
SELECT is(historian.bundle_hindrance('t'), NULL, 'another one');

-- privileges and policies
CREATE ROLE pgtap_bundles;
GRANT USAGE ON SCHEMA bundles TO pgtap_bundles;
\set one 'INSERT INTO historian.bundle VALUES (''t'', bundle(''{2}'', ''{}'', ARRAY[entry(0, ''a'', 0)]))'
SET ROLE pgtap_bundles;
SELECT is(historian.bundle_hindrance('t'), 'the user may not insert into it', 'a user without the privilege');
SELECT throws_ok(:'one', '42501', 'permission denied for table t', 'refused');
SELECT throws_ok('CREATE TEMP VIEW v AS SELECT NULL::regclass, NULL::bytea; CREATE TRIGGER x INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION historian.insert_bundle()', '42501', NULL, 'nor may others make such views');
RESET ROLE;
GRANT INSERT (time, tag) ON t TO pgtap_bundles;
SET ROLE pgtap_bundles;
SELECT throws_ok(:'one', '42501', 'permission denied for table t', 'INSERT on some columns is not enough');
RESET ROLE;
GRANT INSERT (values) ON t TO pgtap_bundles;
SET ROLE pgtap_bundles;
SELECT lives_ok(:'one', 'INSERT on all columns is');
RESET ROLE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SELECT is(historian.bundle_hindrance('t'), NULL, 'policies are not for the superuser');
SET ROLE pgtap_bundles;
SELECT is(historian.bundle_hindrance('t'), 'row-level security is in force', 'but for others');
SELECT throws_ok(:'one', '0A000', NULL, 'refused');
RESET ROLE;
SELECT throws_ok('INSERT INTO historian.bundle VALUES (0, bundle(''{2}'', ''{}'', ARRAY[entry(0, ''a'', 0)]))', '42P01', NULL, 'no such table');
SELECT throws_ok('INSERT INTO historian.bundle VALUES (''historian.bundle'', '''')', '0A000', 'relation "bundle" does not take bundles: it is not a historian table', 'a view');
CREATE VIEW v AS SELECT 1 AS a, '\x00'::bytea AS b;
CREATE TRIGGER x INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION historian.insert_bundle();
SELECT throws_ok('INSERT INTO v VALUES (1, '''')', '39P01', NULL, 'a view with other columns');
CREATE TRIGGER y BEFORE INSERT ON new FOR EACH ROW EXECUTE FUNCTION historian.insert_bundle();
SELECT throws_ok('INSERT INTO new DEFAULT VALUES', '39P01', NULL, 'a trigger of a table');

SELECT * FROM finish();
RESET search_path;
DROP SCHEMA bundles CASCADE;
DROP ROLE pgtap_bundles;
