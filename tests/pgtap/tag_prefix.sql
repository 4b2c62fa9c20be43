-- Conditions on the first bytes of the tag: the rows are those of a heap, and only tags with the prefix are read.
SELECT plan(24);
SET client_min_messages = warning;
CREATE TABLE h (time bigint, tag text, values float8[]);
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
SELECT (random() * 1e9)::int AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:'seed'::float8 / 1e9);

-- texts of a few letters, among them those that mean something in a pattern, and of several bytes
CREATE FUNCTION pg_temp.some_text(longest int) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT coalesce(string_agg((ARRAY['a', 'b', 'a', 'b', '%', '_', E'\\', 'é', '€', '😀', E'\x01', ' '])[1 + (random() * 11)::int], ''), '')
	FROM generate_series(1, (random() * longest)::int) $$;
INSERT INTO h SELECT i, coalesce(nullif(pg_temp.some_text(6), ''), 'a'), ARRAY[i] FROM generate_series(1, 3000) i;
INSERT INTO h SELECT i, repeat('a', 240) || pg_temp.some_text(4), ARRAY[i] FROM generate_series(5001, 5100) i;
INSERT INTO h SELECT i, 'a' || chr(1) || chr(i), ARRAY[i] FROM generate_series(6001, 6020) i;
INSERT INTO h SELECT i, 'many' || i % 7, ARRAY[i] FROM generate_series(7001, 9000) i;
DELETE FROM h USING (SELECT tag, max(time) AS time FROM h WHERE tag !~ '^many' GROUP BY tag) l WHERE h.tag = l.tag AND h.time < l.time;
INSERT INTO m SELECT * FROM h WHERE time % 2 = 0;
SELECT historian.compact('m');
INSERT INTO m SELECT * FROM h WHERE time % 2 = 1;

-- compares what a condition finds, as text; errors count as results
CREATE FUNCTION pg_temp.result(name text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE format('SELECT count(*) || '' '' || coalesce(md5(string_agg(time || tag, '','' ORDER BY time)), '''') FROM %I WHERE %s', name, condition) INTO found;
	RETURN found;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
CREATE FUNCTION pg_temp.differing(form text, longest int, patterns int DEFAULT 100) RETURNS SETOF text LANGUAGE sql VOLATILE AS $$
	SELECT condition FROM (SELECT format(form, p, p) AS condition FROM (SELECT pg_temp.some_text(longest) AS p FROM generate_series(1, patterns)) p OFFSET 0) c
	WHERE pg_temp.result('h', condition) IS DISTINCT FROM pg_temp.result('m', condition) $$;
SELECT is_empty($$SELECT pg_temp.differing('tag LIKE %L', 6, 500)$$, '500 patterns');
SELECT is_empty($$SELECT pg_temp.differing('tag LIKE %L || ''%%''', 4)$$, '100 patterns that end with %');
SELECT is_empty($$SELECT pg_temp.differing('tag NOT LIKE %L', 4)$$, '100 patterns that must not fit');
SELECT is_empty($$SELECT pg_temp.differing('tag ^@ %L', 4)$$, '100 prefixes');
SELECT is_empty($$SELECT pg_temp.differing('starts_with(tag, %L)', 4)$$, '100 prefixes with starts_with()');
SELECT is_empty($$SELECT pg_temp.differing('tag LIKE %L ESCAPE ''b''', 5)$$, '100 patterns with another escape');
SELECT is_empty($$SELECT pg_temp.differing('tag LIKE %L || ''b'' AND tag ^@ left(%L, 2)', 4)$$, 'two conditions');
SELECT is_empty($$SELECT pg_temp.differing('tag LIKE %L || ''%%'' AND tag ^@ ''ab''', 3)$$, 'two conditions that may exclude each other');
SELECT is_empty($$SELECT pg_temp.differing('tag ^@ %L AND tag IN (''a'', ''ab'', ''b%%'', ''b_'', %L) AND time > 100', 3)$$, 'beside a list of tags');
SELECT is_empty($$SELECT pg_temp.differing('(tag LIKE %L || ''%%'' OR tag = %L)', 3)$$, 'below OR');
SELECT is(pg_temp.result('m', c), pg_temp.result('h', c), c) FROM (VALUES ('tag LIKE NULL'), ('tag LIKE ''''' ), ('tag ^@ '''''),
	('tag LIKE repeat(''a'', 252) || ''%'''), ('tag LIKE repeat(''a'', 300) || ''%'''), ('tag ^@ (''a'' || chr(1))'),
	('tag LIKE (SELECT min(left(tag, 1)) || ''%'' FROM h)')) c(c);

-- what is read
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	whole text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		whole := whole || line || E'\n';
	END LOOP;
	RETURN whole;
END $$;
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE tag LIKE 'many%3'$$),
	'Filter: \(tag ~~ ''many%3''::text\).*Historian Cond: \(tag ~~ ''many%3''::text\).*Tags Read: 7\y', 'only tags with the prefix are read, and the filter stays');
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE tag ^@ 'many3' AND time < 8000$$), 'Historian Cond: .*tag \^@.*Tags Read: 1\y', 'also with ^@');
SELECT matches(pg_temp.plan_of($$SELECT count(*) FROM m WHERE starts_with(tag, 'many')$$), 'Historian Cond: starts_with.*Tags Read: 7\y', 'and with starts_with()');
SELECT doesnt_match(pg_temp.plan_of($$SELECT * FROM m WHERE tag LIKE '%3'$$), 'Historian Cond', 'a pattern that begins with % reads all');
PREPARE by_pattern(text) AS SELECT count(*) FROM m WHERE tag LIKE $1;
SET plan_cache_mode = force_generic_plan;
SELECT matches(pg_temp.plan_of($$EXECUTE by_pattern('many%')$$), 'Historian Cond: \(tag ~~ \$1\).*Tags Read: 7\y', 'the pattern may be a parameter');
RESET plan_cache_mode;
INSERT INTO historian.tag (relid, tag, names) VALUES ('m', 'many1', '{x}'), ('m', 'many2', '{x}');
SELECT historian.create_view('many_view', 'many%', 'm');
SELECT matches(pg_temp.plan_of('SELECT x FROM many_view'), 'Tags Read: 7\y', 'a view of create_view() reads its tags alone');

-- parallel workers share the tags with the prefix
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SELECT is((SELECT count(*) FROM m WHERE tag LIKE 'a%' AND values[1] > 0), (SELECT count(*) FROM h WHERE tag LIKE 'a%'), 'in parallel');
DEALLOCATE by_pattern;
DROP VIEW many_view;
DROP TABLE h, m;
SELECT * FROM finish();
