-- Rows in order of tag COLLATE "C" and time: no sort, and conditions on (tag, time) that say where to begin.
SELECT plan(34);
SET client_min_messages = warning;
SELECT (random() * 1e9)::int AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:'seed'::float8 / 1e9);

-- the heap's column has no collation by which it is ordered, so that every order asks for "C"
CREATE TABLE h (time bigint, tag text, values float8[]);
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO h SELECT DISTINCT ON (t, g) t, g, ARRAY[t] FROM (SELECT (random() * 4000)::bigint - 2000 AS t,
	(ARRAY['a', 'ab', 'B', 'b', 'é', E'\x01', 'zz', 'a b', 'many/1', 'many/2'])[1 + (random() * 9)::int] AS g FROM generate_series(1, 9000)) r;
INSERT INTO h VALUES (9223372036854775807, 'b', '{1}'), (-9223372036854775807 - 1, 'b', '{2}'), (7, repeat('x', 256), '{3}');
INSERT INTO h SELECT i, 'few/' || i, NULL FROM generate_series(1, 300) i;
INSERT INTO m SELECT * FROM h WHERE time % 2 = 0;
SELECT historian.compact('m');
INSERT INTO m SELECT * FROM h WHERE time % 2 <> 0;
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);
CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian;
INSERT INTO p SELECT * FROM h;
CREATE TABLE c (time bigint, tag text COLLATE "C", values float8[]) USING historian;
INSERT INTO c SELECT * FROM h;
ANALYZE h; ANALYZE m; ANALYZE p; ANALYZE c;

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
-- the rows of a query, one after the other as they come
CREATE FUNCTION pg_temp.rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	row record;
	whole text := '';
BEGIN
	FOR row IN EXECUTE query LOOP
		whole := whole || row.time || ' ' || row.tag || E'\n';
	END LOOP;
	RETURN md5(whole) || ' ' || length(whole);
END $$;
-- %s stands for the table; the heap sorts
CREATE FUNCTION pg_temp.same(query text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT is(pg_temp.rows_of(format(query, name)), pg_temp.rows_of(format(query, 'h')), left(format(query, name), 150))
	FROM (VALUES ('m'), ('p'), ('c')) t(name) $$;

SELECT pg_temp.same('SELECT * FROM %s ORDER BY tag COLLATE "C", time');
SELECT pg_temp.same('SELECT * FROM %s ORDER BY tag COLLATE "C", time DESC');
SELECT pg_temp.same('SELECT * FROM %s WHERE tag = ANY (''{zz,a,é,nobody,"a b",B}'') AND time BETWEEN -1000 AND 1500 ORDER BY tag COLLATE "C", time');
SELECT pg_temp.same('SELECT * FROM %s WHERE starts_with(tag, ''many/'') ORDER BY tag COLLATE "C", time');
SELECT unalike(pg_temp.plan_of(format(q, t)), '%Sort Method%', 'no sort: ' || format(q, t)) FROM (VALUES ('m'), ('p'), ('c')) t(t),
	(VALUES ('SELECT * FROM %s ORDER BY tag COLLATE "C", time'),
		('SELECT * FROM %s ORDER BY tag COLLATE "C", time DESC'),
		('SELECT * FROM %s WHERE tag IN (''a'', ''b'') AND (tag COLLATE "C", time) > (''a'', 5) ORDER BY tag COLLATE "C", time')) q(q);
SELECT matches(pg_temp.plan_of('SELECT tag COLLATE "C", count(values[1]) FROM m GROUP BY 1'), 'GroupAggregate', 'rows are grouped by tag as they come');

-- where to begin
CREATE FUNCTION pg_temp.differing(form text) RETURNS SETOF text LANGUAGE sql VOLATILE AS $$
	SELECT query FROM (SELECT format(form, '%s', g, t) AS query FROM (SELECT (random() * 4400)::bigint - 2200 AS t,
		(ARRAY['a', 'ab', 'B', 'b', 'é', 'many/', 'many/1', '', '~', repeat('x', 256), repeat('x', 257), 'few/17'])[1 + (random() * 11)::int] AS g
		FROM generate_series(1, 60)) r OFFSET 0) q,
	(VALUES ('m'), ('p'), ('c')) t(name)
	WHERE pg_temp.rows_of(format(query, name)) IS DISTINCT FROM pg_temp.rows_of(format(query, 'h')) $$;
SELECT is_empty($$SELECT pg_temp.differing('SELECT * FROM %s WHERE (tag COLLATE "C", time) > (%L, %s) ORDER BY tag COLLATE "C", time LIMIT 900')$$, 'after a row');
SELECT is_empty($$SELECT pg_temp.differing('SELECT * FROM %s WHERE (tag COLLATE "C", time) >= (%L, %s::bigint) AND time < 500 ORDER BY tag COLLATE "C", time LIMIT 900')$$, 'from a row');
SELECT is_empty($$SELECT pg_temp.differing('SELECT * FROM %s WHERE (tag COLLATE "C", time) > (%L, %s) AND tag ^@ ''many'' ORDER BY tag COLLATE "C", time DESC')$$, 'beside a prefix, backward');
SELECT is_empty($$SELECT pg_temp.differing('SELECT * FROM %s WHERE (tag COLLATE "C", time) > (%L, %s) AND tag IN (''a'', ''b'', ''zz'') ORDER BY tag COLLATE "C", time')$$, 'beside a list');
SELECT is_empty($$SELECT pg_temp.differing('SELECT * FROM %s WHERE (tag COLLATE "C", time) < (%L, %s) ORDER BY tag COLLATE "C", time')$$, 'before a row, which reads all');
SELECT is(pg_temp.rows_of('SELECT * FROM m WHERE ' || c || ' ORDER BY tag COLLATE "C", time'), pg_temp.rows_of('SELECT * FROM h WHERE ' || c || ' ORDER BY tag COLLATE "C", time'), c)
	FROM (VALUES ('(tag COLLATE "C", time) > (''b'', 9223372036854775807)'), ('(tag COLLATE "C", time) >= (''b'', -9223372036854775808)'),
		('(tag COLLATE "C", time) > (''b'', NULL)'), ('(tag COLLATE "C", time) > (NULL, 5)'), ('(tag COLLATE "C", time) > (''b'', 5::smallint) AND (tag COLLATE "C", time) > (''a'', 9)')) c(c);
SELECT matches(pg_temp.plan_of($$SELECT * FROM m WHERE (tag COLLATE "C", time) > ('many/1', 0)$$), 'Historian Cond: \(ROW.*Tags Read: 5\y', 'earlier tags are not read');
PREPARE page(text, bigint) AS SELECT * FROM m WHERE (tag COLLATE "C", time) > ($1, $2) ORDER BY tag COLLATE "C", time LIMIT 10;
SET plan_cache_mode = force_generic_plan;
SELECT matches(pg_temp.plan_of($$EXECUTE page('few/200', 200)$$), 'Historian Cond: \(ROW.*Tags Read: 11\y', 'a page by a prepared statement reads the tag of its begin and its ten');
RESET plan_cache_mode;
DEALLOCATE page;
DROP TABLE h, m, p, c;
SELECT * FROM finish();
