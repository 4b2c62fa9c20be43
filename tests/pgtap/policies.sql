-- Row-level security in functions that read: what they return is what they return of the rows that the
-- same policy shows of a heap, for every method, policy and kind of table.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE ROLE pgtap_policy_reader;
CREATE SCHEMA pol;
GRANT USAGE, CREATE ON SCHEMA pol TO pgtap_policy_reader;
GRANT USAGE ON SCHEMA historian TO PUBLIC;

-- Four tags of which the first two are of plant1; several segments, late rows, NULLs, arrays of different widths.
CREATE TABLE pol.heap (time bigint, tag text, values float8[]);
SELECT setseed(0.45);
INSERT INTO pol.heap
SELECT g * 1000 + t, (ARRAY['plant1/a', 'plant1/b', 'plant2/a', 'other'])[t],
	CASE WHEN g % 97 = 0 THEN NULL WHEN g % 13 = 0 THEN ARRAY[NULL, sin(g) * t] WHEN g % 7 = 0 THEN ARRAY[g % 50 + random()]
		ELSE ARRAY[(g * 7919) % 100 + t, 10 * sin(g / 50.0), g] END
FROM generate_series(1, 3000) g, generate_series(1, 4) t WHERE t < 4 OR g % 10 = 0;

CREATE TABLE pol.single (LIKE pol.heap) USING historian;
CREATE TABLE pol.parted (LIKE pol.heap) PARTITION BY RANGE (time);
CREATE TABLE pol.parted_1 PARTITION OF pol.parted FOR VALUES FROM (MINVALUE) TO (1500000) USING historian;
CREATE TABLE pol.parted_2 PARTITION OF pol.parted FOR VALUES FROM (1500000) TO (MAXVALUE) PARTITION BY HASH (tag);
CREATE TABLE pol.parted_2a PARTITION OF pol.parted_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
CREATE TABLE pol.parted_2b PARTITION OF pol.parted_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian;
INSERT INTO pol.single SELECT * FROM pol.heap WHERE time % 3000 < 2000;
SELECT historian.compact('pol.single');
INSERT INTO pol.single SELECT * FROM pol.heap WHERE time % 3000 >= 2000;
INSERT INTO pol.parted SELECT * FROM pol.heap;
GRANT SELECT ON pol.heap, pol.single, pol.parted TO pgtap_policy_reader;
CREATE TABLE pol.allowed (tag text);
INSERT INTO pol.allowed VALUES ('plant1/b'), ('other');
GRANT SELECT ON pol.allowed TO pgtap_policy_reader;
CREATE FUNCTION pol.mine(t text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN t = 'plant2/a'; END$$;

CREATE TABLE pol.policies (n serial, what text, condition text, restrictive text);
INSERT INTO pol.policies (what, condition, restrictive) VALUES
	('a prefix', $$tag LIKE 'plant1/%'$$, NULL),
	('one tag', $$tag = 'other'$$, NULL),
	('all', 'true', NULL),
	('none', 'false', NULL),
	('NULL', $$nullif(tag, tag) = 'x'$$, NULL),
	('a setting', $$tag LIKE current_setting('pol.prefix') || '%'$$, NULL),
	('the user', $$CASE WHEN current_user = 'pgtap_policy_reader' THEN tag ~ '/a$' END$$, NULL),
	('a volatile function', 'pol.mine(tag)', NULL),
	('a subquery', 'tag IN (SELECT tag FROM pol.allowed)', NULL),
	('the time', 'time >= 700000', NULL),
	('the time and the tag', $$tag = 'plant1/a' AND time BETWEEN 400000 AND 2500000$$, NULL),
	('the values', 'values[1] > 50', NULL),
	('the row', $$(single.*) IS NOT NULL AND tag <> 'other'$$, NULL),
	('two, of which one restricts', $$tag LIKE 'plant%'$$, $$tag <> 'plant1/b'$$),
	('two, of which one restricts the time', $$tag LIKE 'plant%'$$, 'time < 2000000');

-- All calls, whose results are text; %1$s is the table.
CREATE FUNCTION pol.calls() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('SELECT ''%s'', d.tag, d.time, %s FROM historian.downsample_many(%%1$L, ''{plant1/a,plant1/b,plant2/a,other,absent}'', %s, %s, %s, %L) d', method,
		-- merged summaries differ from rows in the last digit
		CASE method WHEN 'stddev' THEN 'ARRAY(SELECT round(v::numeric, 9) FROM unnest(d.values) v)' ELSE 'd.values' END, s, e, n, method)
	FROM unnest('{last,first,interpolated,min,max,range,average,time_average,sum,count,stddev,delta,increase,rate,last_known,plot,lttb,minmaxlttb}'::text[]) method,
		(VALUES (0, 3000000, 10), (699990, 700010, 5), (1234567, 1765432, 7), (2999000, 3100000, 4)) w(s, e, n)
	UNION ALL SELECT format('SELECT t, d.* FROM unnest(''{plant1/a,other}''::text[]) t, historian.%s d', call)
	FROM unnest(ARRAY['downsample(%1$L, t, 0, 3000000, 9)', 'moving_average(%1$L, t, 0, 3000000, 9, 200000)', 'raw(%1$L, t, 600000, 800000)',
		'intervals(%1$L, t, 0, 3000000, 1, ''>'', 90)']) call
	UNION ALL SELECT 'SELECT t, d.first_time, d.last_time, d.samples FROM unnest(''{plant1/a,other}''::text[]) t, historian.tag_stat(%1$L, t) d'
	UNION ALL SELECT 'SELECT t, d.first_time, d.last_time, d.samples, d.width FROM unnest(''{plant1/a,other}''::text[]) t, historian.tag_info(%1$L, t) d'
	UNION ALL SELECT 'SELECT tag, sum(samples) FROM unnest(''{plant1/a,other}''::text[]) tag, historian.segments(%1$L, tag, -1, 9000000) GROUP BY 1'
	UNION ALL SELECT 'SELECT * FROM historian.tags(%1$L)'
	UNION ALL SELECT 'SELECT * FROM historian.latest(%1$L)'
	UNION ALL SELECT 'SELECT * FROM historian.latest(%1$L, ''{other,plant1/a,absent}'')'
	UNION ALL SELECT 'SELECT * FROM historian.at(%1$L, ''{other,plant1/a,absent}'', ''{5,700000,2500000}''::bigint[])'
$$;

-- What the calls return of a table, in one text for each call.
CREATE FUNCTION pol.answers(relation text) RETURNS TABLE (query text, answer text) LANGUAGE plpgsql AS $$
BEGIN
	FOR query IN SELECT pol.calls() LOOP
		EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (%s) q', format(query, relation)) INTO answer;
		RETURN NEXT;
	END LOOP;
END$$;

SELECT plan((SELECT 4 * count(*)::int FROM pol.policies) + 15);

CREATE FUNCTION pol.try(policy pol.policies, relation text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	condition text := replace(policy.condition, 'single', relation);
	differ text;
	shown bigint;
BEGIN
	EXECUTE format('ALTER TABLE pol.%I ENABLE ROW LEVEL SECURITY; ALTER TABLE pol.heap ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON pol.%1$I FOR SELECT TO pgtap_policy_reader USING (%2$s);
		CREATE POLICY p ON pol.heap FOR SELECT TO pgtap_policy_reader USING (%3$s)',
		relation, condition, replace(condition, relation || '.*', 'heap.*'));
	IF policy.restrictive IS NOT NULL THEN
		EXECUTE format('CREATE POLICY r ON pol.%I AS RESTRICTIVE FOR SELECT USING (%s); CREATE POLICY r ON pol.heap AS RESTRICTIVE FOR SELECT USING (%2$s)',
			relation, policy.restrictive);
	END IF;
	SET LOCAL ROLE pgtap_policy_reader;
	CREATE TABLE pol.expected (time bigint, tag text, values float8[]) USING historian;
	INSERT INTO pol.expected SELECT * FROM pol.heap;
	GET DIAGNOSTICS shown = ROW_COUNT;
	SELECT min(a.query || E'\n' || coalesce(a.answer, 'NULL') || E'\ninstead of\n' || coalesce(e.answer, 'NULL')) INTO differ
	FROM pol.answers('pol.' || relation) a JOIN pol.answers('pol.expected') e USING (query) WHERE a.answer IS DISTINCT FROM e.answer;
	DROP TABLE pol.expected;
	RETURN NEXT is(differ, NULL, format('%s, %s: all functions', relation, policy.what));
	EXECUTE format('SELECT count(*) - %s FROM pol.%I', shown, relation) INTO shown;
	RETURN NEXT is(shown, 0::bigint, format('%s, %s: and SELECT', relation, policy.what));
	RESET ROLE;
	EXECUTE format('DROP POLICY p ON pol.%I; DROP POLICY p ON pol.heap; DROP POLICY IF EXISTS r ON pol.%1$I; DROP POLICY IF EXISTS r ON pol.heap;
		ALTER TABLE pol.%1$I DISABLE ROW LEVEL SECURITY', relation);
END$$;
SET LOCAL pol.prefix = 'plant2';
SELECT pol.try(policies, relation) FROM pol.policies, unnest('{single,parted}'::text[]) relation ORDER BY n, relation;

-- Without a policy for the role nothing is shown; the owner and those who bypass see all; FORCE holds for the owner.
ALTER TABLE pol.single ENABLE ROW LEVEL SECURITY;
SELECT is((SELECT count(*) FROM historian.tags('pol.single')), 4::bigint, 'the owner sees all tags');
SET LOCAL ROLE pgtap_policy_reader;
SELECT is((SELECT count(*) FROM historian.tags('pol.single')), 0::bigint, 'nothing is shown without a policy');
SELECT is((SELECT count(*) FROM historian.downsample('pol.single', 'other', 0, 9000000)), 0::bigint, 'nor downsampled');
SET LOCAL row_security = off;
SELECT throws_ok($$SELECT historian.tags('pol.single')$$, '42501', NULL, 'row_security = off is an error');
RESET row_security;
SELECT throws_ok($$SELECT historian.delete('pol.single', 'other', 0, 9)$$, '42501', NULL, 'a reader deletes nothing');
RESET ROLE;
GRANT UPDATE, INSERT, DELETE ON pol.single TO pgtap_policy_reader;
CREATE POLICY p ON pol.single TO pgtap_policy_reader USING (tag LIKE 'plant1/%');
SET LOCAL ROLE pgtap_policy_reader;
SELECT throws_ok($$SELECT historian.rename('pol.single', 'plant1/a', 'other')$$, '0A000', 'row-level security is in force on historian table "single"', 'rename() refuses');
SELECT throws_ok($$SELECT historian.delete('pol.single', 'plant1/a', 0, 9)$$, '0A000', 'row-level security is in force on historian table "single"', 'delete() refuses');
-- a view of an owner for whom no policy holds
RESET ROLE;
CREATE FUNCTION pol.lent() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$SELECT count(*) FROM historian.tags('pol.single')$$;
SET LOCAL ROLE pgtap_policy_reader;
SELECT is(pol.lent(), 4::bigint, 'SECURITY DEFINER has the policies of the definer');
SELECT is((SELECT count(*) FROM historian.tags('pol.single')), 2::bigint, 'and the caller their own');
-- a function in a policy runs once a tag, with the caller''s privileges
RESET ROLE;
CREATE FUNCTION pol.who(t text) RETURNS boolean STABLE LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '% %', current_user, t; RETURN current_user = 'pgtap_policy_reader'; END$$;
DROP POLICY p ON pol.single;
CREATE POLICY p ON pol.single TO pgtap_policy_reader USING (pol.who(tag));
SET LOCAL ROLE pgtap_policy_reader;
SELECT is((SELECT count(*) FROM historian.raw('pol.single', 'other', 0, 9000000)), 300::bigint, 'a function in a policy');
RESET ROLE;
-- policies of a leaf do not hold in a statement that names its parent
ALTER TABLE pol.parted_1 ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE pgtap_policy_reader;
SELECT is((SELECT count(*) FROM historian.raw('pol.parted', 'other', 0, 9000000)), (SELECT count(*) FROM pol.parted WHERE tag = 'other'), 'policies of a leaf');
RESET ROLE;

-- tags differ by their bytes also where a collation takes them for the same, and SQL reads them
CREATE COLLATION pol.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE pol.cases (time bigint, tag text COLLATE pol.anycase, values float8[]) USING historian;
INSERT INTO pol.cases VALUES (1, 'a', '{1}'), (1, 'A', '{2}'), (2, 'A', '{3}');
ALTER TABLE pol.cases ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON pol.cases TO pgtap_policy_reader USING (values[1] > 0);
GRANT SELECT ON pol.cases TO pgtap_policy_reader;
SET LOCAL ROLE pgtap_policy_reader;
SELECT results_eq($$SELECT * FROM historian.raw('pol.cases', 'a', 0, 9)$$, $$VALUES (1::bigint, '{1}'::float8[])$$, 'rows of one of two tags that a collation takes for the same');
SELECT results_eq($$SELECT tag COLLATE "default", samples FROM historian.tags('pol.cases')$$, $$VALUES ('A', 2::bigint), ('a', 1)$$, 'both tags');
RESET ROLE;
ALTER TABLE pol.cases DISABLE ROW LEVEL SECURITY;
CREATE FUNCTION pol.same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER same BEFORE UPDATE ON pol.cases FOR EACH ROW EXECUTE FUNCTION pol.same();
SELECT is(historian.rename('pol.cases', 'a', 'b'), 1::bigint, 'rename() by an UPDATE renames one of them');
SELECT results_eq($$SELECT tag COLLATE "default", time, values FROM pol.cases ORDER BY tag COLLATE "C", time$$,
	$$VALUES ('A', 1::bigint, '{2}'::float8[]), ('A', 2, '{3}'), ('b', 1, '{1}')$$, 'and leaves the other');
SELECT * FROM finish();
ROLLBACK;
