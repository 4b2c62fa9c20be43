-- historian.tag: what rows may say, who sees and changes them, what becomes of them; and its functions.
BEGIN;
SELECT plan(87);
SET LOCAL client_min_messages = warning;

CREATE SCHEMA plant;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE plant.other (LIKE plant.m) USING historian;
SET LOCAL search_path = plant, public;

-- what a row may say
SELECT lives_ok($$INSERT INTO historian.tag (relid, tag, description, interpolation, max_silence, names, units, low, high)
	VALUES ('m', 'boiler', 'Boiler 1', 'linear', '5 min', '{temperature,NULL,pressure}', '{°C,NULL,bar}', '{0,NULL,NULL}', '{100}')$$, 'a row');
SELECT lives_ok($$INSERT INTO historian.tag (relid, tag, names) VALUES ('m', 'none', '{}'), ('m', 'null', NULL), ('other', 'boiler', '{x}')$$, 'rows with little');
SELECT throws_ok($$INSERT INTO historian.tag (relid, tag) VALUES ('m', 'boiler')$$, '23505', NULL, 'one row for a table and a tag');
CREATE FUNCTION pg_temp.wrong(assignment text) RETURNS text LANGUAGE sql AS
	$$SELECT format($f$UPDATE historian.tag SET %s WHERE relid = 'plant.m'::regclass AND tag = 'boiler'$f$, assignment)$$;
SELECT throws_ok(pg_temp.wrong($$names = '{a,b,a}'$$), '23514', 'tag "boiler" has two values with the name "a"', 'names twice');
SELECT throws_ok(pg_temp.wrong($$names = '{a,""}'$$), '23514', 'the name of value 2 of tag "boiler" must have 1 to 256 bytes and no control character', 'an empty name');
SELECT throws_ok(pg_temp.wrong($$names = ARRAY[E'a\tb']$$), '23514', 'the name of value 1 of tag "boiler" must have 1 to 256 bytes and no control character', 'a control character');
SELECT throws_ok(pg_temp.wrong($$names = ARRAY[repeat('x', 257)]$$), '23514', NULL, 'a long name');
SELECT lives_ok(pg_temp.wrong($$names = ARRAY[repeat('x', 256)]$$), 'a name of 256 bytes');
SELECT throws_ok(pg_temp.wrong($$names = '{{a},{b}}'$$), '23514', 'names of tag "boiler" must be a one-dimensional array with lower bound 1', 'two dimensions');
SELECT throws_ok(pg_temp.wrong($$units = '[2:3]={a,b}'$$), '23514', 'units of tag "boiler" must be a one-dimensional array with lower bound 1', 'another lower bound');
SELECT throws_ok(pg_temp.wrong($$low = array_fill(1.0::float8, '{1001}')$$), '23514', 'tag "boiler" has 1001 names, units or limits, but a row has at most 1000 values', 'too many');
SELECT throws_ok(pg_temp.wrong($$low = '{1,5}', high = '{2,5}'$$), '23514', 'the limits of value 2 of tag "boiler" must be finite, and low less than high', 'low not below high');
SELECT throws_ok(pg_temp.wrong($$high = '{NaN}'$$), '23514', NULL, 'NaN is no limit');
SELECT throws_ok(pg_temp.wrong($$high = '{Infinity}'$$), '23514', NULL, 'nor is infinity');
SELECT throws_ok(pg_temp.wrong($$interpolation = 'cubic'$$), '23514', 'interpolation "cubic" of tag "boiler" is unknown', 'interpolation');
SELECT throws_ok(pg_temp.wrong($$max_silence = '0'$$), '23514', 'max_silence of tag "boiler" must be longer than nothing', 'no silence');
SELECT throws_ok(pg_temp.wrong($$tag = ''$$), '22026', 'tag length of 0 bytes is out of range', 'an empty tag');
SELECT throws_ok(pg_temp.wrong($$tag = repeat('x', 257)$$), '22026', NULL, 'a long tag');
SELECT throws_ok($$INSERT INTO historian.tag (relid, tag) VALUES (4294967000, 'a')$$, '42P01', 'relation with OID 4294967000 does not exist', 'no such table');
SELECT throws_ok($$INSERT INTO historian.tag (relid, tag) VALUES ('historian.tag_pkey', 'a')$$, '42809', '"tag_pkey" is not a table', 'an index');
CREATE TEMP TABLE fleeting (time bigint, tag text, values float8[]) USING historian;
SELECT throws_ok($$INSERT INTO historian.tag (relid, tag) VALUES ('fleeting', 'a')$$, '0A000', 'tags of temporary table "fleeting" cannot be described', 'a temporary table');
UPDATE historian.tag SET names = '{temperature,NULL,pressure}' WHERE tag = 'boiler' AND relid = 'm'::regclass;
SELECT results_eq($$SELECT element, name, unit, low, high FROM historian.tag_value WHERE relid = 'm'::regclass ORDER BY element$$,
	$$VALUES (1, 'temperature', '°C', 0::float8, 100::float8), (2, NULL, NULL, NULL, NULL), (3, 'pressure', 'bar', NULL, NULL)$$, 'tag_value');

-- what becomes of it
ALTER TABLE m RENAME TO renamed;
SELECT is((SELECT count(*) FROM historian.tag WHERE relid = 'renamed'::regclass), 3::bigint, 'RENAME keeps it');
ALTER TABLE renamed RENAME TO m;
INSERT INTO m VALUES (1, 'boiler', '{1}');
SELECT is(historian.delete('m', 'boiler', 0, 10), 1::bigint, 'the samples are deleted');
TRUNCATE m;
SELECT is((SELECT count(*) FROM historian.tag WHERE relid = 'm'::regclass), 3::bigint, 'that and TRUNCATE keep it');
DROP TABLE other;
SELECT is((SELECT count(*) FROM historian.tag), 3::bigint, 'DROP TABLE does not');
CREATE SCHEMA gone CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
INSERT INTO historian.tag (relid, tag) VALUES ('gone.p', 'a');
DROP SCHEMA gone CASCADE;
SELECT is((SELECT count(*) FROM historian.tag), 3::bigint, 'nor does DROP SCHEMA, for a partitioned parent');

-- set_tag
SELECT lives_ok($$SELECT historian.set_tag('m', 'pump', '{"description": "Pump", "interpolation": "step", "max_silence": "90s",
	"names": ["flow", null], "units": ["l/s"], "low": [0.1], "high": [null], "first": 1, "samples": 2, "tag": "pump", "learned": ["x"]}')$$, 'set_tag');
SELECT results_eq($$SELECT description, interpolation, max_silence, names, units, low, high, learned FROM historian.tag WHERE tag = 'pump'$$,
	$$VALUES ('Pump', 'step', interval '90 s', '{flow,NULL}'::text[], '{l/s}'::text[], '{0.1}'::float8[], '{NULL}'::float8[], NULL::text[])$$, 'sets all, and ignores what is measured');
SELECT historian.set_tag('m', 'pump', '{"max_silence": 300}');
SELECT results_eq($$SELECT description, interpolation, max_silence, names, units, low, high FROM historian.tag WHERE tag = 'pump'$$,
	$$VALUES (NULL::text, NULL::text, interval '5 min', NULL::text[], NULL::text[], NULL::float8[], NULL::float8[])$$, 'replaces all; a number is seconds');
SELECT throws_ok($$SELECT historian.set_tag('m', 'pump', '{"unit": "l"}')$$, '22023', 'member "unit" is unknown', 'an unknown member');
SELECT throws_ok($$SELECT historian.set_tag('m', 'pump', '{"tag": "valve"}')$$, '22023', 'member "tag" names another tag', 'another tag');
SELECT throws_ok($$SELECT historian.set_tag('m', 'pump', '[]')$$, '22023', 'metadata must be a JSON object', 'no object');
SELECT throws_ok($$SELECT historian.set_tag('m', 'pump', '{"low": ["a"]}')$$, '22P02', NULL, 'no number');
SELECT throws_ok($$SELECT historian.set_tag('m', 'pump', '{"names": "a"}')$$, '22P02', NULL, 'no array');

-- learn_names: a field keeps its place, and names that a person has set stay
CREATE FUNCTION pg_temp.learn(series jsonb) RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(tag || fields::text, ' ' ORDER BY tag) FROM historian.learn_names('m', series)$$;
SELECT is(pg_temp.learn('[{"tag": "cpu", "names": ["user", "idle"]}, {"tag": "mem", "names": ["free"]}]'), 'cpu{idle,user} mem{free}', 'two new series');
SELECT xmin::text || ctid::text AS place FROM historian.tag WHERE tag = 'cpu' \gset
SELECT is(pg_temp.learn('[{"tag": "cpu", "names": ["idle", "user"]}, {"tag": "mem", "names": ["free"]}]'), 'cpu{idle,user} mem{free}', 'again');
SELECT is(pg_temp.learn('[{"tag": "cpu", "names": ["user"]}]'), 'cpu{idle,user}', 'fewer fields change nothing');
SELECT is((SELECT xmin::text || ctid::text FROM historian.tag WHERE tag = 'cpu'), :'place', 'and nothing was written');
SELECT is(pg_temp.learn('[{"tag": "cpu", "names": ["idle"]}, {"tag": "cpu", "names": ["system", "idle", "guest", "Ärger"]}]'), 'cpu{idle,user,guest,system,Ärger}', 'new fields come after those that are known, by bytes');
SELECT results_eq($$SELECT names, learned FROM historian.tag WHERE tag = 'cpu'$$, $$VALUES ('{idle,user,guest,system,Ärger}'::text[], '{idle,user,guest,system,Ärger}'::text[])$$, 'the names follow');
UPDATE historian.tag SET units = '{%}' WHERE tag = 'cpu';
SELECT is(pg_temp.learn('[{"tag": "cpu", "names": ["a"]}]'), 'cpu{idle,user,guest,system,Ärger,a}', 'one more');
SELECT results_eq($$SELECT names = learned, units FROM historian.tag WHERE tag = 'cpu'$$, $$VALUES (true, '{%}'::text[])$$, 'also where somebody has set units, which keep their places');
UPDATE historian.tag SET names = '{Free}' WHERE tag = 'mem';
SELECT is(pg_temp.learn('[{"tag": "mem", "names": ["free", "used"]}, {"tag": "boiler", "names": ["a", "b", "c", "d"]}, {"tag": "pump", "names": ["p"]}, {"tag": "none", "names": ["n"]}]'),
	'boiler{a,b,c,d} mem{free,used} none{n} pump{p}', 'names of which none is a field do not say places');
SELECT results_eq($$SELECT tag, names, learned FROM historian.tag WHERE tag IN ('mem', 'boiler', 'pump', 'none') ORDER BY tag$$,
	$$VALUES ('boiler'::text COLLATE "C", '{temperature,NULL,pressure}'::text[], '{a,b,c,d}'::text[]), ('mem', '{Free}', '{free,used}'), ('none', '{}', '{n}'), ('pump', '{p}', '{p}')$$,
	'set names stay, also none at all; unset ones are filled');
UPDATE historian.tag SET names = NULL WHERE tag = 'pump';
SELECT is(pg_temp.learn('[{"tag": "pump", "names": ["p", "q"]}]'), 'pump{p,q}', 'names were removed');
SELECT is((SELECT names FROM historian.tag WHERE tag = 'pump'), NULL, 'and do not come back');
SELECT historian.set_tag('m', 'set', '{"names": ["speed", null, "flow"]}');
SELECT is(pg_temp.learn('[{"tag": "set", "names": ["flow", "power"]}]'), 'set{speed,NULL,flow,power}', 'names that were set before, and one of which is a field, are places');
SELECT is((SELECT names FROM historian.tag WHERE tag = 'set'), '{speed,NULL,flow}', 'and stay');
SELECT is((SELECT array_length(fields, 1) FROM historian.learn_names('m', (SELECT jsonb_agg(jsonb_build_object('tag', 'wide', 'names', jsonb_build_array('f' || i))) FROM generate_series(1, 1100) i))), 1000, 'no more fields than a row has values');
SELECT is((SELECT array_length(fields, 1) FROM historian.learn_names('m', '[{"tag": "wide", "names": ["f1", "g"]}]')), 1000, 'also later');
DELETE FROM historian.tag WHERE tag IN ('set', 'wide');

-- value_columns
SELECT is(historian.value_columns('{a,NULL,time,tag}', 5), '{a,value_2,time_3,tag_4,value_5}', 'value_columns: missing and reserved names');
SELECT is(historian.value_columns('{time,time_1,NULL,value_3,value_3_3}', 5), '{time_1_1,time_1,value_3_3_3,value_3,value_3_3}', 'names that are taken');
SELECT is(historian.value_columns('{a,b,c}', 2), '{a,b}', 'fewer values than names');
SELECT is(historian.value_columns('{}', 0), '{}', 'none');

-- tag_stat, beside SQL and what the whole table has
CREATE TABLE measured (LIKE m) USING historian;
INSERT INTO measured SELECT (random() * 1e6)::bigint, 'tag' || i % 17, ARRAY[random(), i] FROM generate_series(1, 20000) i;
SELECT historian.compact('measured');
INSERT INTO measured SELECT (random() * 1e6)::bigint, 'tag' || i % 19, ARRAY[random(), i] FROM generate_series(1, 3000) i;
SELECT results_eq($$SELECT tag, s.first_time, s.last_time, s.samples FROM (SELECT DISTINCT tag FROM measured) t, historian.tag_stat('measured', tag) s ORDER BY tag$$,
	$$SELECT tag, min(time), max(time), count(time + 0) FROM measured GROUP BY tag ORDER BY tag$$, 'tag_stat: times and rows');
SELECT is((SELECT sum(s.bytes) FROM historian.tags('measured') t, historian.tag_stat('measured', t.tag) s),
	(SELECT compacted_bytes + pending_bytes + late_bytes FROM historian.stat_get_table('measured'))::numeric, 'and bytes: those of all tags are the table''s');
SELECT results_eq($$SELECT * FROM historian.tag_stat('measured', 'none')$$, $$VALUES (NULL::bigint, NULL::bigint, 0::bigint, 0::bigint)$$, 'of a tag without rows');
CREATE TABLE parent (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE parent1 PARTITION OF parent FOR VALUES FROM (MINVALUE) TO (500000) USING historian;
CREATE TABLE parent2 PARTITION OF parent FOR VALUES FROM (500000) TO (MAXVALUE) PARTITION BY HASH (tag);
CREATE TABLE parent20 PARTITION OF parent2 FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
CREATE TABLE parent21 PARTITION OF parent2 FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian;
INSERT INTO parent SELECT * FROM measured;
SELECT results_eq($$SELECT tag, s.first_time, s.last_time, s.samples FROM (SELECT DISTINCT tag FROM measured) t, historian.tag_stat('parent', tag) s ORDER BY tag$$,
	$$SELECT tag, min(time), max(time), count(time + 0) FROM measured GROUP BY tag ORDER BY tag$$, 'of a partitioned parent');
INSERT INTO historian.tag (relid, tag, names) VALUES ('parent', 'tag1', '{a,b}');
SELECT historian.create_view('of_parent', 'tag1', 'parent');
SELECT results_eq('SELECT time, a, b FROM of_parent ORDER BY time', $$SELECT historian.to_timestamptz(time), values[1], values[2] FROM measured WHERE tag = 'tag1' ORDER BY time$$, 'a view of a partitioned parent');
SELECT throws_ok($$SELECT historian.tag_stat('pg_class', 'a')$$, '42809', NULL, 'tag_stat of another table');

-- create_view, against a heap
INSERT INTO m SELECT i * 1000000007::bigint, 'k' || i % 3, ARRAY[i, -i, CASE WHEN i % 2 = 0 THEN i / 2.0 END] FROM generate_series(1, 30) i;
INSERT INTO historian.tag (relid, tag, description, names, units) SELECT 'm', 'k' || i, 'the tag ' || i, ARRAY['Temp "x"; --', NULL, 'time'], '{°C}' FROM generate_series(0, 1) i;
CREATE TABLE heap AS SELECT * FROM m;
SELECT is(historian.create_view('one', 'k1', 'm')::text, 'one', 'a view of one tag');
SELECT results_eq('SELECT * FROM one ORDER BY time',
	$$SELECT 'epoch'::timestamptz + time / 1000 * interval '1 microsecond', values[1], values[2], values[3] FROM heap WHERE tag = 'k1' ORDER BY time$$, 'has its rows');
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'one'::regclass AND attnum > 0),
	'{time,"Temp \"x\"; --",value_2,time_3}', 'the columns');
SELECT is(obj_description('one'::regclass), 'the tag 1', 'its comment');
SELECT is(col_description('one'::regclass, 2), '°C', 'the unit as a column''s comment');
SELECT is(historian.create_view('plant."Many Tags"', 'k%', 'plant.m')::text, '"Many Tags"', 'a view of a pattern');
SELECT results_eq('SELECT * FROM "Many Tags" ORDER BY time, tag',
	$$SELECT 'epoch'::timestamptz + time / 1000 * interval '1 microsecond', tag, values[1], values[2], values[3] FROM heap ORDER BY time, tag$$, 'also of a tag without names');
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		lines := lines || line || E'\n';
	END LOOP;
	RETURN lines;
END $$;
SELECT matches(pg_temp.plan_of($$SELECT * FROM "Many Tags" WHERE time > '2020-01-01' AND tag = 'k1'$$), 'Historian Cond: [^\n]*time[^\n]*tag = .k1', 'conditions on the view reach the scan');
SELECT doesnt_match(pg_temp.plan_of($$SELECT * FROM one WHERE time > '2020-01-01'$$), 'Filter', 'all of them in a view of one tag');
INSERT INTO m VALUES (1, 'k_x', '{1}'), (1, 'kzx', '{1}'), (1, E'k\\x', '{1}'), (1, 'it''s %', '{1}');
INSERT INTO historian.tag (relid, tag, names) VALUES ('m', 'k_x', '{v}'), ('m', 'it''s %', '{v}'), ('m', 'kzx', '{w}');
SELECT historian.create_view('scored', 'k_x', 'm');
SELECT historian.create_view('scored_many', 'k_x%', 'm');
SELECT historian.create_view('quoted', 'it''s %', 'm');
SELECT is((SELECT count(*) FROM scored), 1::bigint, '_ is no wildcard in a tag');
SELECT is((SELECT array_agg(tag) FROM scored_many), '{k_x}', 'nor in a pattern');
SELECT is((SELECT array_agg(tag) FROM quoted), '{it''s %}', 'a quote');
SELECT throws_ok($$SELECT historian.create_view('many', 'k%', 'm')$$, '55000', 'tags like ''k%'' have different names for their values', 'names that differ');
SELECT throws_ok($$SELECT historian.create_view('many', 'none', 'm')$$, '42704', 'no tag ''none'' of table m has names for its values', 'no names');
SELECT throws_ok($$SELECT historian.create_view('many', 'x%', 'm')$$, '42704', 'no tag like ''x%'' of table m has names for its values', 'no names of a pattern');
DROP TABLE IF EXISTS public.measurement CASCADE;
SELECT throws_ok($$SELECT historian.create_view('many', 'a')$$, '42P01', 'relation "measurement" does not exist', 'no table measurement');
SELECT throws_ok($$SELECT historian.create_view('a.b.c', 'a', 'm')$$, '42602', 'view name "a.b.c" has more parts than schema and name', 'a name of three parts');
SELECT throws_ok($$SELECT historian.create_view('v; DROP TABLE m', 'k1', 'm')$$, '22023', NULL, 'not a name');
SELECT throws_ok($$SELECT historian.create_view(NULL, 'a', 'm')$$, '22004', NULL, 'NULL');
SELECT throws_ok($$SELECT historian.create_view('v', 'a', 'pg_class')$$, '42809', 'pg_class must have one bigint, one text and one double precision[] column', 'another kind of table');
UPDATE historian.tag SET names = '{v}', units = '{m}' WHERE tag = 'k_x';
SELECT lives_ok($$SELECT historian.create_view('scored', 'k_x', 'm')$$, 'the same columns: replaced');
SELECT is(col_description('scored'::regclass, 2), 'm', 'with the new unit');
UPDATE historian.tag SET names = '{v,w}' WHERE tag = 'k_x';
SELECT historian.create_view('scored', 'k_x', 'm');
SELECT is((SELECT count(*) FROM pg_attribute WHERE attrelid = 'scored'::regclass AND attnum > 0), 3::bigint, 'a column more');
UPDATE historian.tag SET names = '{w,v}' WHERE tag = 'k_x';
SELECT throws_ok($$SELECT historian.create_view('scored', 'k_x', 'm')$$, '42P16', 'cannot change name of view column "v" to "w"', 'other columns');
UPDATE historian.tag SET names = ARRAY[repeat('n', 64)] WHERE tag = 'k_x';
SELECT throws_ok($$SELECT historian.create_view('long', 'k_x', 'm')$$, '42622', NULL, 'a name too long for a column');
CREATE TABLE measurement (tag text, "the values" float8[], "at" bigint) USING historian;
INSERT INTO measurement VALUES ('a', '{7}', 0);
INSERT INTO historian.tag (relid, tag, names) VALUES ('measurement', 'a', '{seven}');
SELECT historian.create_view('defaulted', 'a');
SELECT results_eq('SELECT seven FROM defaulted', 'VALUES (7::float8)', 'columns by their types, measurement by default');

SELECT * FROM finish();
ROLLBACK;
