-- The functions that read a table take a partitioned parent: what they answer for it is what they answer
-- for one historian table with the same rows.  Random bounds, loads, compactions and windows.  Commits,
-- so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_partitions_read CASCADE;
CREATE SCHEMA pgtap_partitions_read;
SET search_path = pgtap_partitions_read, public;
BEGIN;
SELECT plan(74);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

SET default_table_access_method = historian;
CREATE TABLE one (time bigint, tag text, values float8[]);

-- the ways to partition, each with three or more leaves; some times and tags have only the DEFAULT one
CREATE TABLE by_time (LIKE one) PARTITION BY RANGE (time);
CREATE TABLE by_tag (LIKE one) PARTITION BY LIST (tag);
CREATE TABLE by_tags (LIKE one) PARTITION BY RANGE (tag COLLATE "C");
CREATE TABLE by_hash (LIKE one) PARTITION BY HASH (tag);
CREATE TABLE by_time_hash (LIKE one) PARTITION BY HASH (time);
CREATE TABLE by_both_hash (LIKE one) PARTITION BY HASH (time, tag);
CREATE TABLE by_both (LIKE one) PARTITION BY RANGE (tag, time);
CREATE TABLE by_expression (LIKE one) PARTITION BY LIST ((time / 50000 % 3));
CREATE TABLE nested (LIKE one) PARTITION BY RANGE (time);
CREATE TABLE mirrored (values float8[], tag text, time bigint) PARTITION BY LIST (tag);
CREATE TABLE alone (LIKE one) PARTITION BY RANGE (time);
CREATE TABLE parents USING heap AS SELECT oid::regclass AS parent, true AS local FROM pg_class WHERE relkind = 'p' AND relnamespace = 'pgtap_partitions_read'::regnamespace;

-- some with leaves on another server, which is this one under another name
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SERVER pgtap_loopback FOREIGN DATA WRAPPER postgres_fdw;
DO $$ BEGIN
	EXECUTE format('ALTER SERVER pgtap_loopback OPTIONS (ADD host %L, ADD port %L, ADD dbname %L, ADD batch_size ''1000'')',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER pgtap_loopback;
CREATE TABLE far_by_hash (LIKE one) PARTITION BY HASH (tag);
CREATE TABLE far_by_time (LIKE one) PARTITION BY RANGE (time);
CREATE TABLE far_nested (LIKE one) PARTITION BY HASH (tag);
INSERT INTO parents SELECT unnest('{far_by_hash,far_by_time,far_nested}'::regclass[]), false;

CREATE FUNCTION far(leaf text, of text, bound text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE there_%s (LIKE one)', leaf);
	EXECUTE format('CREATE FOREIGN TABLE %s PARTITION OF %s %s SERVER pgtap_loopback OPTIONS (schema_name ''pgtap_partitions_read'', table_name ''there_%1$s'')', leaf, of, bound);
END $$;

DO $$
DECLARE
	a bigint := (random() * 300000)::bigint;
	b bigint := a + 1 + (random() * 300000)::bigint;
	parent text;
BEGIN
	EXECUTE format('CREATE TABLE by_time_1 PARTITION OF by_time FOR VALUES FROM (MINVALUE) TO (%s)', a);
	EXECUTE format('CREATE TABLE by_time_2 PARTITION OF by_time FOR VALUES FROM (%s) TO (%s)', a, b);
	EXECUTE format('CREATE TABLE by_time_3 PARTITION OF by_time FOR VALUES FROM (%s) TO (%s)', b, b + 100000);
	CREATE TABLE by_time_rest PARTITION OF by_time DEFAULT;
	CREATE TABLE by_tag_1 PARTITION OF by_tag FOR VALUES IN ('a', 'c');
	CREATE TABLE by_tag_2 PARTITION OF by_tag FOR VALUES IN ('none');
	CREATE TABLE by_tag_rest PARTITION OF by_tag DEFAULT;
	CREATE TABLE by_tags_1 PARTITION OF by_tags FOR VALUES FROM (MINVALUE) TO ('b');
	CREATE TABLE by_tags_2 PARTITION OF by_tags FOR VALUES FROM ('b') TO ('d');
	CREATE TABLE by_tags_rest PARTITION OF by_tags DEFAULT;
	FOREACH parent IN ARRAY ARRAY['by_hash', 'by_time_hash', 'by_both_hash'] LOOP
		FOR i IN 0 .. 2 LOOP
			EXECUTE format('CREATE TABLE %s_%s PARTITION OF %1$s FOR VALUES WITH (MODULUS 3, REMAINDER %2$s)', parent, i);
		END LOOP;
	END LOOP;
	EXECUTE format('CREATE TABLE by_both_1 PARTITION OF by_both FOR VALUES FROM (MINVALUE, MINVALUE) TO (''b'', %s)', a);
	EXECUTE format('CREATE TABLE by_both_2 PARTITION OF by_both FOR VALUES FROM (''b'', %s) TO (''c'', %s)', a, b);
	EXECUTE format('CREATE TABLE by_both_3 PARTITION OF by_both FOR VALUES FROM (''c'', %s) TO (MAXVALUE, MAXVALUE)', b);
	CREATE TABLE by_expression_1 PARTITION OF by_expression FOR VALUES IN (0);
	CREATE TABLE by_expression_2 PARTITION OF by_expression FOR VALUES IN (1, 2);
	CREATE TABLE by_expression_rest PARTITION OF by_expression DEFAULT;
	EXECUTE format('CREATE TABLE nested_1 PARTITION OF nested FOR VALUES FROM (MINVALUE) TO (%s) PARTITION BY HASH (tag)', a);
	CREATE TABLE nested_1_0 PARTITION OF nested_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE nested_1_1 PARTITION OF nested_1 FOR VALUES WITH (MODULUS 4, REMAINDER 1);
	CREATE TABLE nested_1_3 PARTITION OF nested_1 FOR VALUES WITH (MODULUS 4, REMAINDER 3);
	EXECUTE format('CREATE TABLE nested_2 PARTITION OF nested FOR VALUES FROM (%s) TO (MAXVALUE) PARTITION BY LIST (tag)', a);
	CREATE TABLE nested_2_1 PARTITION OF nested_2 FOR VALUES IN ('a') PARTITION BY RANGE (time);
	EXECUTE format('CREATE TABLE nested_2_1_1 PARTITION OF nested_2_1 FOR VALUES FROM (MINVALUE) TO (%s)', b);
	EXECUTE format('CREATE TABLE nested_2_1_2 PARTITION OF nested_2_1 FOR VALUES FROM (%s) TO (MAXVALUE)', b);
	CREATE TABLE nested_2_rest PARTITION OF nested_2 DEFAULT;
	CREATE TABLE mirrored_1 (tag text, values float8[], time bigint);
	ALTER TABLE mirrored ATTACH PARTITION mirrored_1 FOR VALUES IN ('a', 'd');
	CREATE TABLE mirrored_2 (LIKE one) PARTITION BY HASH (time);
	ALTER TABLE mirrored ATTACH PARTITION mirrored_2 DEFAULT;
	CREATE TABLE mirrored_2_0 (values float8[], time bigint, tag text);
	ALTER TABLE mirrored_2 ATTACH PARTITION mirrored_2_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE mirrored_2_1 PARTITION OF mirrored_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE alone_1 PARTITION OF alone FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
	CREATE TABLE far_by_hash_0 PARTITION OF far_by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	PERFORM far('far_by_hash_1', 'far_by_hash', 'FOR VALUES WITH (MODULUS 2, REMAINDER 1)');
	PERFORM far('far_by_time_1', 'far_by_time', format('FOR VALUES FROM (MINVALUE) TO (%s)', a));
	EXECUTE format('CREATE TABLE far_by_time_2 PARTITION OF far_by_time FOR VALUES FROM (%s) TO (%s)', a, b);
	PERFORM far('far_by_time_rest', 'far_by_time', 'DEFAULT');
	CREATE TABLE far_nested_0 PARTITION OF far_nested FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY RANGE (time);
	PERFORM far('far_nested_0_1', 'far_nested_0', format('FOR VALUES FROM (MINVALUE) TO (%s)', a));
	PERFORM far('far_nested_0_2', 'far_nested_0', format('FOR VALUES FROM (%s) TO (MAXVALUE)', a));
END $$;
COMMIT;

-- multiples of 1/1024 of less than 2^20: their sums and products are exact however they are added up
CREATE FUNCTION dyadic() RETURNS float8 LANGUAGE sql VOLATILE AS 'SELECT round((random() - 0.5) * 1048576) / 1024';

-- the tag a is dense, b ragged with NULLs, c sparse, d has few rows, far apart
CREATE FUNCTION more_rows(n int) RETURNS TABLE (LIKE one) LANGUAGE sql VOLATILE AS $$
	SELECT (random() * 20000)::bigint * 37, 'a', ARRAY[dyadic(), dyadic()] FROM generate_series(1, n) i
	UNION ALL
	SELECT (random() * 700000)::bigint, 'b', CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.1 THEN '{}'
		WHEN random() < 0.2 THEN ARRAY[NULL, dyadic()] WHEN random() < 0.2 THEN ARRAY['NaN', dyadic(), NULL]
		WHEN random() < 0.5 THEN ARRAY[dyadic(), dyadic(), dyadic()] ELSE ARRAY[dyadic()] END
	FROM generate_series(1, n) i
	UNION ALL
	SELECT (random() * 700000)::bigint - 1000, 'c', ARRAY[dyadic()] FROM generate_series(1, n / 20) i
	UNION ALL
	SELECT ((random() - 0.5) * 1e16)::bigint, 'd', ARRAY[dyadic(), dyadic()] FROM generate_series(1, 3) i
$$;

CREATE FUNCTION load(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	p regclass;
BEGIN
	CREATE TEMP TABLE batch ON COMMIT DROP AS SELECT * FROM (SELECT DISTINCT ON (tag, time) * FROM more_rows(n)) rows ORDER BY random();
	INSERT INTO one SELECT * FROM batch;
	FOR p IN SELECT parent FROM parents LOOP
		EXECUTE format('INSERT INTO %s (time, tag, values) SELECT * FROM batch', p);
	END LOOP;
	DROP TABLE batch;
END $$;

-- compacts some of the tables, or all
CREATE FUNCTION compact_some(share float8) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pgtap_partitions_read'::regnamespace
			AND relam = (SELECT oid FROM pg_am WHERE amname = 'historian') AND random() < share LOOP
		PERFORM historian.compact(t);
	END LOOP;
END $$;

CREATE FUNCTION series(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE 'SELECT string_agg(r::text, '' '' ORDER BY ordinality) FROM (SELECT * FROM ' || query || ' WITH ORDINALITY) r' INTO answer;
	RETURN answer;
END $$;

-- all that can be asked of a tag
CREATE FUNCTION answers(t regclass, tag text, s bigint, e bigint, n int, span bigint) RETURNS TABLE (question text, answer text) LANGUAGE sql AS $$
	SELECT question, series(replace(question, 'TABLE', quote_literal(t))) FROM (
		SELECT format('historian.downsample(TABLE, %L, %s, %s, %s, %L)', tag, s, e, n, method) AS question
		FROM unnest('{last,last_known,first,interpolated,min,max,range,average,time_average,sum,count,delta,increase,plot,lttb,minmaxlttb}'::text[]) method
		UNION ALL SELECT format('historian.downsample_many(TABLE, ARRAY[%L], %s, %s, %s, ''plot'', %s)', tag, s, e, n, v) FROM generate_series(1, 3) v
		UNION ALL SELECT format('historian.downsample_many(TABLE, ARRAY[%L, ''b'', ''none'', ''a''], %s, %s, %s, ''average'')', tag, s, e, n)
		UNION ALL SELECT format('historian.moving_average(TABLE, %L, %s, %s, %s, %s)', tag, s, e, n, span)
		UNION ALL SELECT format('historian.raw(TABLE, %L, %s, %s)', tag, s, e)
		UNION ALL SELECT format('historian.latest(TABLE, ARRAY[%L, ''none''])', tag)
		UNION ALL SELECT 'historian.latest(TABLE)'
		UNION ALL SELECT 'historian.tags(TABLE)') questions
$$;

-- random windows around the rows, within them, between two of them and far around
CREATE FUNCTION differences(parent regclass, windows int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	t text;
	a bigint;
	s bigint;
	e bigint;
	n int;
	span bigint;
BEGIN
	FOR i IN 1 .. windows LOOP
		t := (ARRAY['a', 'b', 'c', 'd', 'none'])[1 + floor(random() * 4.1)];
		a := (random() * 800000)::bigint - 50000;
		n := (ARRAY[4, 5, 7, 10, 33, 100])[1 + floor(random() * 6)];
		s := (ARRAY[a, a, -1000000, -9000000000000000])[1 + floor(random() * 4)];
		e := (ARRAY[a + 1 + (random() * 300)::bigint, a + 300001, 1000001, 9000000000000000])[1 + floor(random() * 4)];
		span := 1 + (random() * (ARRAY[500, 500000, 5e15])[1 + floor(random() * 3)])::bigint;
		IF s >= e THEN
			s := e - 1000;
		END IF;
		RETURN QUERY SELECT replace(question, 'TABLE', quote_literal(parent)) || E'\n' || left(p.answer, 2000) || E'\n' || left(o.answer, 2000)
			FROM answers(parent, t, s, e, n, span) p JOIN answers('one', t, s, e, n, span) o USING (question)
			WHERE p.answer IS DISTINCT FROM o.answer;

		-- its last digits depend on how the rows are shared out to segments
		RETURN QUERY SELECT format('stddev %s %L %s %s %s: %s', parent, t, s, e, n, r)
			FROM ROWS FROM (historian.downsample(parent, t, s, e, n, 'stddev'), historian.downsample('one', t, s, e, n, 'stddev')) AS r (time, v, of_time, w)
			WHERE time IS DISTINCT FROM of_time OR cardinality(v) IS DISTINCT FROM cardinality(w) OR EXISTS (
				SELECT FROM unnest(v, w) u (x, y) WHERE x IS DISTINCT FROM y AND NOT coalesce(abs(x - y) <= 1e-12 * abs(x), false));
	END LOOP;
END $$;

-- deletes the same ranges from a parent and from the table, and says where their answers differ
CREATE FUNCTION deletions(parent regclass, s bigint, e bigint, before bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE twin USING historian AS SELECT * FROM one;
	RETURN QUERY SELECT format('%s %s: %s, not %s', parent, what, answered, wanted) FROM (VALUES
		('delete()', historian.delete(parent, 'a', s, e), historian.delete('twin', 'a', s, e)),
		('delete() of a tag that is not there', historian.delete(parent, 'none', s, e), 0),
		('delete() of an empty range', historian.delete(parent, 'a', s, s), 0),
		('drop_before()', historian.drop_before(parent, before), historian.drop_before('twin', before))) d (what, answered, wanted)
		WHERE answered <> wanted;
	RETURN QUERY EXECUTE format('SELECT r::text FROM ((SELECT time, tag, values FROM %s EXCEPT ALL SELECT * FROM twin)
		UNION ALL (SELECT * FROM twin EXCEPT ALL SELECT time, tag, values FROM %1$s)) r', parent);
	IF (SELECT local FROM parents p WHERE p.parent = deletions.parent) THEN
		RETURN QUERY SELECT problem FROM historian.check(parent);
	END IF;
	DROP TABLE twin;
END $$;

SELECT load(2000) \g /dev/null
SELECT is_empty(format('SELECT differences(%L, %s)', parent, CASE WHEN local THEN 31 ELSE 2 END), parent || ', loaded') FROM parents;
SELECT compact_some(0.5) \g /dev/null
SELECT load(600) \g /dev/null
SELECT load(10) \g /dev/null
SELECT is_empty(format('SELECT differences(%L, %s)', parent, CASE WHEN local THEN 31 ELSE 2 END), parent || ', some compacted, some late') FROM parents;
SELECT historian.compact(parent) FROM parents WHERE local \g /dev/null
SELECT historian.compact(oid) FROM pg_class WHERE relname ~ '^(there_far|far_by_hash_0|far_by_time_2)' AND relkind = 'r' AND relnamespace = 'pgtap_partitions_read'::regnamespace \g /dev/null
SELECT is(sum(pending_segments), 0::numeric, parent || ', compact() leaves nothing pending')
FROM parents, pg_partition_tree(parent) t, historian.stat_get_table(t.relid) WHERE t.isleaf AND local GROUP BY parent;
SELECT historian.compact('one') \g /dev/null
SELECT is_empty(format('SELECT differences(%L, %s)', parent, CASE WHEN local THEN 31 ELSE 2 END), parent || ', compacted') FROM parents;

SELECT (random() * 700000)::bigint AS s, (random() * 100000)::bigint AS before \gset
SELECT is_empty(format('SELECT deletions(%L, %s, %s, %s)', parent, :s, :s + 40000, :before), parent || ', deletions') FROM parents;

-- what cannot be done on another server is refused
SELECT throws_ok($$SELECT historian.compact('far_nested')$$, '42809', NULL, 'compact() of a foreign partition');
SELECT throws_ok($$SELECT * FROM historian.check('far_nested')$$, '42809', NULL, 'check() of one');


-- another server's table that is a heap may have two rows of one time, none of which is the last
CREATE TABLE far_twice (LIKE one) PARTITION BY HASH (tag);
SELECT far('far_twice_0', 'far_twice', 'FOR VALUES WITH (MODULUS 1, REMAINDER 0)') \g /dev/null
ALTER TABLE there_far_twice_0 SET ACCESS METHOD heap;
INSERT INTO there_far_twice_0 VALUES (1, 'a', '{1}'), (2, 'a', '{2}'), (2, 'a', '{3}');
SELECT throws_ok(format($$SELECT * FROM historian.downsample('far_twice', 'a', 0, 10, 10, %L)$$, method), '21000', 'foreign partition "far_twice_0" has several rows of tag "a" with time 2', 'two rows of one time on another server, ' || method)
FROM unnest('{last,sum,last_known,lttb}'::text[]) method;

-- a foreign partition needs the privilege of its own
CREATE ROLE pgtap_reader;
GRANT USAGE ON SCHEMA pgtap_partitions_read TO pgtap_reader;
GRANT SELECT ON far_by_hash TO pgtap_reader;
SET ROLE pgtap_reader;
SELECT throws_ok($$SELECT * FROM historian.latest('far_by_hash')$$, '42501', 'permission denied for foreign table far_by_hash_1', 'SELECT on the parent alone');
RESET ROLE;
DROP OWNED BY pgtap_reader;
DROP ROLE pgtap_reader;

SELECT * FROM finish();
RESET default_table_access_method;
DROP SCHEMA pgtap_partitions_read CASCADE;
