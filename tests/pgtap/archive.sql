-- Archive operations: rename(), replace(), tag_info() and segments(), against the same done in SQL.
\set ON_ERROR_ROLLBACK off
BEGIN;
SELECT plan(107);
SELECT (random() * 1000000)::integer AS seed \gset
SELECT diag('seed ' || :seed);
SELECT setseed(:seed / 1000001.0) \g /dev/null

CREATE TABLE m (values float8[], "Tag" text, at bigint) USING historian;
-- what each row is, of a tag; NaN and NULL compare as equal
CREATE FUNCTION pg_temp.rows_of(text) RETURNS TABLE (at bigint, "values" bytea) LANGUAGE sql AS
	'SELECT at, array_send(values) FROM m WHERE "Tag" = $1 ORDER BY at';
CREATE FUNCTION pg_temp.intact() RETURNS text LANGUAGE sql AS
	$$SELECT is_empty($q$SELECT * FROM historian.check('m')$q$, 'the table is intact')$$;

-- rename: compacted, late, pending and shared segments, of a short and a long tag
SET LOCAL historian.min_shared_tags = 2;
INSERT INTO m SELECT CASE WHEN random() < 0.01 THEN NULL ELSE ARRAY[round((i + random())::numeric, 3), i % 7, CASE WHEN random() < 0.01 THEN NULL ELSE random() END] END, 'pump', i * 1000
	FROM generate_series(1, 30000) i;
INSERT INTO m SELECT ARRAY[i], 'other', i * 1000 FROM generate_series(1, 3000) i;
COMMIT;
SELECT historian.compact('m') \g /dev/null
BEGIN;
INSERT INTO m SELECT ARRAY[-i], 'pump', (random() * 30000)::integer * 1000 + i % 3 FROM generate_series(1, 500) i;
INSERT INTO m SELECT ARRAY[i], 'pump', 31000000 + i FROM generate_series(1, 500) i;
INSERT INTO m SELECT ARRAY[i], tag, 31000500 + i FROM generate_series(1, 3) i, unnest('{pump,other,third,fourth}'::text[]) tag;
CREATE TEMP TABLE before USING heap AS SELECT * FROM pg_temp.rows_of('pump');
CREATE TEMP TABLE others USING heap AS SELECT "Tag", at, array_send(values) AS values FROM m WHERE "Tag" <> 'pump';
CREATE FUNCTION pg_temp.moved_to(text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT results_eq(format('SELECT * FROM pg_temp.rows_of(%L)', $1), 'SELECT * FROM before ORDER BY at', what || ': all rows are there');
	RETURN NEXT set_eq(format('SELECT "Tag", at, array_send(values) FROM m WHERE "Tag" <> %L', $1), 'SELECT * FROM others', what || ': and all others');
	RETURN NEXT pg_temp.intact();
END $$;
SELECT is(historian.rename('m', 'pump', 'tank'), (SELECT count(*) FROM before), 'rename');
SELECT pg_temp.moved_to('tank', 'as long a name');
SELECT is(historian.rename('m', 'tank', 'x'), (SELECT count(*) FROM before), 'rename again, in the same transaction');
SELECT pg_temp.moved_to('x', 'a shorter name');
SELECT is(historian.rename('m', 'x', repeat('long/', 40)), (SELECT count(*) FROM before), 'rename to a long name');
SELECT pg_temp.moved_to(repeat('long/', 40), 'a long name');
SELECT is(historian.rename('m', repeat('long/', 40), 'pump'), (SELECT count(*) FROM before), 'and back');
SELECT pg_temp.moved_to('pump', 'back');
SELECT ok(bool_and(abs(d.values[k] - s.sum) <= 1e-9 * abs(s.sum)), 'and are right by summaries, too')
	FROM historian.downsample('m', 'pump', -1, 40000000, 1, 'sum') d,
		(SELECT k, sum(values[k]) FROM m, generate_series(1, 3) k WHERE "Tag" = 'pump' GROUP BY k) s;
SAVEPOINT s;
SELECT is(historian.rename('m', 'pump', 'tank'), (SELECT count(*) FROM before), 'rename');
ROLLBACK TO s;
SELECT pg_temp.moved_to('pump', 'rolled back');
COMMIT;
SELECT historian.compact('m') \g /dev/null
BEGIN;
SELECT is(historian.rename('m', 'pump', 'tank and more'), (SELECT count(*) FROM before), 'rename of what is compacted');
COMMIT;
INSERT INTO m SELECT ARRAY[i], 'tank and more', 32000000 + i FROM generate_series(1, 5000) i;
SELECT historian.compact('m') \g /dev/null
BEGIN;
INSERT INTO before SELECT 32000000 + i, array_send(ARRAY[i]::float8[]) FROM generate_series(1, 5000) i;
SELECT pg_temp.moved_to('tank and more', 'loaded and compacted after that');

-- a tag that is longer, but has at most 64 bytes: segments are copied, full ones too, so that each range keeps its samples
CREATE TABLE room (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE twin (time bigint, tag text, values float8[]) USING heap;
CREATE FUNCTION pg_temp.ranges(text) RETURNS TABLE (first_time bigint, last_time bigint, samples bigint, segments bigint, blocks bigint) LANGUAGE sql AS
	'SELECT first_time, last_time, samples, segments, bytes - segments * octet_length($1) FROM historian.segments(''room'', $1)';
-- the rows from..until of a tag, in both tables
CREATE FUNCTION pg_temp.load(tag text, "from" int, until int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO twin SELECT i * 1000, $1, ARRAY[random(), random(), i % 5] FROM generate_series($2, $3) i;
	INSERT INTO room SELECT * FROM twin WHERE time BETWEEN $2 * 1000 AND $3 * 1000 ORDER BY time
$$;
CREATE FUNCTION pg_temp.room_is_twin(tag text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT is_empty('(SELECT time, values FROM room EXCEPT ALL SELECT time, values FROM twin) UNION ALL (SELECT time, values FROM twin EXCEPT ALL SELECT time, values FROM room)', what || ': all rows are there');
	RETURN NEXT results_eq(format('SELECT time, values[3] FROM historian.downsample(''room'', %L, 0, 100000000, 8, ''sum'') WHERE values[3] IS NOT NULL ORDER BY time', tag),
		'SELECT (time + 12499999) / 12500000 * 12500000, sum(values[3]) FROM twin GROUP BY 1 ORDER BY 1', what || ': summaries are right');
	RETURN NEXT is_empty($q$SELECT * FROM historian.check('room')$q$, what || ': the table is intact');
END $$;
SELECT pg_temp.load('p', 20001, 40000) \g /dev/null
COMMIT;
SELECT historian.compact('room') \g /dev/null
BEGIN;
CREATE TEMP TABLE former AS SELECT * FROM pg_temp.ranges('p');
SELECT cmp_ok((SELECT max(blocks) FROM former), '>', 7900::bigint, 'segments are full');
SELECT is(historian.rename('room', 'p', rpad('site/', 64, 'x')), 20000::bigint, 'rename to 64 bytes');
SELECT results_eq($$SELECT * FROM pg_temp.ranges(rpad('site/', 64, 'x'))$$, 'SELECT * FROM former', 'segments have the same samples and blocks');
SELECT pg_temp.room_is_twin(rpad('site/', 64, 'x'), '64 bytes');

-- 200 bytes: decoded; then blocks are smaller, and with rows of a short tag before and after, a tag of 120 bytes has room only there
SELECT is(historian.rename('room', rpad('site/', 64, 'x'), rpad('site/', 200, 'x')), 20000::bigint, 'rename to 200 bytes');
SELECT isnt_empty($$SELECT samples FROM pg_temp.ranges(rpad('site/', 200, 'x')) EXCEPT SELECT samples FROM former$$, 'is done by decoding');
SELECT pg_temp.room_is_twin(rpad('site/', 200, 'x'), '200 bytes');
SELECT is(historian.rename('room', rpad('site/', 200, 'x'), 'p'), 20000::bigint, 'and back to a byte');
SELECT pg_temp.load('p', 1, 20000), pg_temp.load('p', 40001, 60000) \g /dev/null
COMMIT;
SELECT historian.compact('room') \g /dev/null
BEGIN;
TRUNCATE former;
INSERT INTO former SELECT * FROM pg_temp.ranges('p');
SELECT is(historian.rename('room', 'p', rpad('site/', 120, 'x')), 60000::bigint, 'rename of segments of which some have room');
CREATE TEMP TABLE latter AS SELECT * FROM pg_temp.ranges(rpad('site/', 120, 'x'));
SELECT pg_temp.room_is_twin(rpad('site/', 120, 'x'), 'some decoded');
SELECT cmp_ok((SELECT count(*) FROM former JOIN latter USING (first_time, last_time, samples, blocks) WHERE first_time > 20000000 AND last_time <= 40000000), '>=',
	(SELECT count(*) / 4 FROM former WHERE first_time > 20000000 AND last_time <= 40000000), 'the others are copied');
SELECT cmp_ok((SELECT count(*) FROM latter), '<=', (SELECT count(*) + 8 FROM former), 'without scraps');

-- rows so wide that few fit on a page: another one is worth more than room for a tag
SELECT lives_ok($$INSERT INTO room SELECT i, rpad('w' || n, bytes, '-'), (SELECT array_agg(random() * (i + k)) FROM generate_series(1, n) k)
	FROM generate_series(400, 530, 2) n, unnest('{4,64}'::int[]) bytes, generate_series(1, 6) i$$, 'wide rows');
SELECT cmp_ok(sum(short.segments), '<', sum(long.segments), 'take fewer segments under a short tag')
	FROM generate_series(400, 530, 2) n, historian.tag_info('room', 'w' || n) short, historian.tag_info('room', rpad('w' || n, 64, '-')) long;
DROP TABLE room, twin;

-- what is refused
SELECT throws_ok($$SELECT historian.rename('m', 'third', 'other')$$, '42710', 'tag "other" of table "m" has samples already', 'a tag that has samples');
SELECT throws_ok($$SELECT historian.rename('m', 'third', 'third')$$, '22023', 'new tag "third" is the same', 'the same tag');
SELECT throws_ok($$SELECT historian.rename('m', 'third', '')$$, '22026', 'tag length of 0 bytes is out of range', 'an empty tag');
SELECT throws_ok(format($$SELECT historian.rename('m', 'third', %L)$$, repeat('x', 257)), '22026', 'tag length of 257 bytes is out of range', 'a tag that is too long');
SELECT is(historian.rename('m', 'none', 'nobody'), 0::bigint, 'a tag without samples');
CREATE TEMP TABLE heap (time bigint, tag text, values float8[]) USING heap;
SELECT throws_ok($$SELECT historian.rename('heap', 'a', 'b')$$, '42809', '"heap" is not a historian table', 'a heap');

-- metadata and retention
INSERT INTO historian.tag (relid, tag, description) VALUES ('m', 'third', 'the third'), ('m', 'fifth', 'the fifth');
SELECT historian.set_retention('m', '500 years', 'third') \g /dev/null
SELECT throws_ok($$SELECT historian.rename('m', 'third', 'fifth')$$, '42710', 'tag "fifth" of table public.m has metadata already', 'a tag that has metadata');
SELECT is(historian.rename('m', 'third', 'sixth'), 3::bigint, 'rename with metadata');
SELECT results_eq($$SELECT tag::text COLLATE "default", description FROM historian.tag WHERE relid = 'm'::regclass ORDER BY 1$$, $$VALUES ('fifth', 'the fifth'), ('sixth', 'the third')$$, 'metadata follows');
SELECT results_eq($$SELECT tag_prefix, keep FROM historian.retention WHERE relid = 'm'::regclass ORDER BY 1$$, $$VALUES ('sixth', interval '500 years'), ('third', '500 years')$$, 'so does a policy of its own');
SELECT results_eq($$SELECT tag, rows, detail FROM historian.audit WHERE relid = 'm'::regclass AND action = 'rename' ORDER BY time DESC LIMIT 1$$, $$VALUES ('third', 3::bigint, 'to sixth')$$, 'the audit trail has it');

-- where only an UPDATE is right
CREATE TABLE by_tag (time bigint, tag text, values float8[]) PARTITION BY LIST (tag);
CREATE TABLE by_tag_a PARTITION OF by_tag FOR VALUES IN ('a') USING historian;
CREATE TABLE by_tag_b PARTITION OF by_tag DEFAULT USING historian;
INSERT INTO by_tag SELECT i, 'a', ARRAY[i] FROM generate_series(1, 100) i;
SELECT is(historian.rename('by_tag', 'a', 'b'), 100::bigint, 'a parent partitioned by tag');
SELECT results_eq('SELECT tableoid::regclass::text, tag, count(*) FROM by_tag GROUP BY 1, 2', $$VALUES ('by_tag_b', 'b', 100::bigint)$$, 'rows move to the other partition');
SELECT throws_ok($$SELECT historian.rename('by_tag_b', 'b', 'a')$$, '23514', NULL, 'a partition keeps its bounds');
CREATE TABLE by_time (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE by_time_a PARTITION OF by_time FOR VALUES FROM (0) TO (50) USING historian;
CREATE TABLE by_time_b PARTITION OF by_time DEFAULT USING historian;
INSERT INTO by_time SELECT i, 'a', ARRAY[i] FROM generate_series(1, 100) i;
SELECT is(historian.rename('by_time', 'a', 'b'), 100::bigint, 'a parent partitioned by time');
SELECT results_eq('SELECT tableoid::regclass::text, tag, count(*) FROM by_time GROUP BY 1, 2 ORDER BY 1', $$VALUES ('by_time_a', 'b', 49::bigint), ('by_time_b', 'b', 51)$$, 'rows stay in their partitions');
CREATE TABLE checked (time bigint, tag text CHECK (tag < 'n'), values float8[]) USING historian;
INSERT INTO checked VALUES (1, 'a', '{1}');
SELECT throws_ok($$SELECT historian.rename('checked', 'a', 'z')$$, '23514', NULL, 'a CHECK constraint holds');
SELECT is(historian.rename('checked', 'a', 'b'), 1::bigint, 'and lets others pass');

-- privileges
CREATE ROLE pgtap_renamer;
GRANT SELECT, DELETE ON m TO pgtap_renamer;
SET LOCAL ROLE pgtap_renamer;
SELECT throws_ok($$SELECT historian.rename('m', 'other', 'b')$$, '42501', 'permission denied for table m', 'rename needs UPDATE');
SELECT throws_ok($$SELECT historian.replace('m', 'other', 0, 9, '{}', '{}')$$, '42501', NULL, 'replace needs INSERT');
RESET ROLE;
REVOKE ALL ON m FROM pgtap_renamer;
GRANT UPDATE, INSERT ON m TO pgtap_renamer;
SET LOCAL ROLE pgtap_renamer;
SELECT is_empty('SELECT FROM historian.own_retention', 'who may not read a table does not see its policies');
SELECT throws_ok($$SELECT historian.rename('m', 'other', 'b')$$, '42501', 'permission denied for table m', 'and SELECT');
SELECT throws_ok($$SELECT historian.replace('m', 'other', 0, 9, '{}', '{}')$$, '42501', 'permission denied for table m', 'replace needs DELETE');
SELECT throws_ok($$SELECT historian.segments('m', 'other')$$, '42501', 'permission denied for table m', 'segments needs SELECT');
SELECT throws_ok($$SELECT historian.tag_info('m', 'other')$$, '42501', 'permission denied for table m', 'so does tag_info');
RESET ROLE;
GRANT SELECT ON m TO pgtap_renamer;
SET LOCAL ROLE pgtap_renamer;
SELECT is(historian.rename('m', 'other', 'b'), 3003::bigint, 'UPDATE and SELECT suffice for a tag without metadata');
SELECT throws_ok($$SELECT historian.rename('m', 'sixth', 'c')$$, '42501', NULL, 'a policy needs the owner');
RESET ROLE;
SELECT is(historian.rename('m', 'b', 'other'), 3003::bigint, 'and back');

-- tag_info and segments
SELECT results_eq($$SELECT i.first_time, i.last_time, i.samples, i.width FROM historian.tag_info('m', 'tank and more') i$$, $$SELECT min(at), max(at), count(*), 1 FROM before$$, 'tag_info');
SELECT results_eq($$SELECT samples, segments, bytes, first_time, last_time, width, compression FROM historian.tag_info('m', 'none')$$, $$VALUES (0::bigint, 0::bigint, 0::bigint, NULL::bigint, NULL::bigint, NULL::integer, NULL::float8)$$, 'tag_info of an unknown tag');
SELECT ok(s.samples = i.samples AND s.segments = i.segments AND s.bytes = i.bytes AND i.bytes = t.bytes AND i.compression = i.samples::float8 * 16 / i.bytes, 'segments add up to it')
	FROM historian.tag_info('m', 'tank and more') i, historian.tag_stat('m', 'tank and more') t,
		(SELECT sum(samples) AS samples, sum(segments) AS segments, sum(bytes) AS bytes FROM historian.segments('m', 'tank and more')) s;
-- in numeric, with digits enough that the quotient is rounded once: by default it has 16, and becomes another double now and then
SELECT lives_ok($$INSERT INTO m SELECT ARRAY[i * random()], 'ratio' || k, i FROM generate_series(1, 200) k, generate_series(1, k) i$$, 'tags of different sizes');
SELECT is_empty($$SELECT * FROM generate_series(1, 200) k, historian.tag_info('m', 'ratio' || k) i
	WHERE i.samples <> k OR i.compression IS DISTINCT FROM (k * 16.0::numeric(50, 40) / i.bytes)::float8$$, 'compression is the quotient');
INSERT INTO m SELECT ARRAY[0], 'tank and more', (random() * 30000)::integer * 1000 FROM generate_series(1, 20) i;
SELECT is_empty($$SELECT * FROM (SELECT s.*, lag(last_time) OVER (ORDER BY first_time) AS before FROM historian.segments('m', 'tank and more') s) s
	WHERE first_time <= before OR last_time < first_time$$, 'ranges do not overlap');
SELECT results_eq($$SELECT s.first_time, s.last_time, s.samples FROM historian.segments('m', 'tank and more') s$$,
	$$SELECT min(at), max(at), count(*) FROM m JOIN historian.segments('m', 'tank and more') s ON at BETWEEN first_time AND last_time WHERE "Tag" = 'tank and more' GROUP BY s.first_time ORDER BY 1$$, 'and tell what is in them');
SELECT results_eq($$SELECT r.time, array_send(r.values) FROM historian.segments('m', 'tank and more', reverse => true) s CROSS JOIN LATERAL (SELECT * FROM historian.raw('m', 'tank and more', s.first_time, s.last_time + 1) ORDER BY time DESC) r$$,
	$$SELECT at, values FROM pg_temp.rows_of('tank and more') ORDER BY at DESC$$, 'range by range, backward, they are all rows');
SELECT results_eq($$SELECT * FROM historian.segments('m', 'tank and more', 5000000, 5000001)$$, $$SELECT * FROM historian.segments('m', 'tank and more') WHERE first_time <= 5000000 AND last_time >= 5000000$$, 'segments of a range');
SELECT results_eq($$SELECT first_time FROM historian.segments('m', 'tank and more', '1970-01-01', '1970-01-02')$$, $$SELECT first_time FROM historian.segments('m', 'tank and more')$$, 'with times as text');
SELECT results_eq($$SELECT first_time FROM historian.segments('m', 'tank and more', timestamptz '1970-01-01', '1970-01-02 UTC')$$, $$SELECT historian.to_timestamptz(first_time) FROM historian.segments('m', 'tank and more')$$, 'and as timestamptz');
SELECT results_eq($$SELECT first_time, last_time, samples FROM historian.segments('by_time', 'b')$$, $$VALUES (1::bigint, 49::bigint, 49::bigint), (50, 100, 51)$$, 'segments of a parent');
SELECT throws_ok($$SELECT historian.segments('heap', 'b')$$, '42809', '"heap" is not a historian table', 'segments of a heap');
SELECT throws_ok($$SELECT historian.segments('pg_views', 'b')$$, '42809', NULL, 'and of a view');

-- replace
SELECT is(historian.replace('m', 'r', 10, 20, ARRAY[10, 15, 19], '{{1,2},{3,NULL},{5,6}}'), 3::bigint, 'replace of nothing');
SELECT is(historian.replace('m', 'r', 10, 20, ARRAY[10, 15, 19], '{{1,2},{3,NULL},{5,6}}'), 3::bigint, 'again');
SELECT results_eq($$SELECT * FROM historian.raw('m', 'r', 0, 99)$$, $$VALUES (10::bigint, '{1,2}'::float8[]), (15, '{3,NULL}'), (19, '{5,6}')$$, 'changes nothing');
SELECT is(historian.replace('m', 'r', 12, 19, '[{"time": 13, "values": [7]}, {"time": "18", "values": null}, {"time": 13, "values": [8, null, 1e300]}]'), 2::bigint, 'replace with JSON');
SELECT results_eq($$SELECT * FROM historian.raw('m', 'r', 0, 99)$$, $$VALUES (10::bigint, '{1,2}'::float8[]), (13, '{8,NULL,1e300}'), (18, NULL), (19, '{5,6}')$$, 'of one time the last stays');
SELECT is(historian.replace('m', 'r', 0, 19, '{}'::bigint[], '{}'), 0::bigint, 'replace by nothing');
SELECT is(historian.replace('m', 'r', '1970-01-01 00:00Z', '1970-01-01 00:00:01Z', '{1970-01-01 00:00:00.000000021Z,22}', '{2.5,3}'), 2::bigint, 'times as text');
SELECT is(historian.replace('m', 'r', timestamptz '1970-01-01 00:01Z', timestamptz '1970-01-01 00:02Z', ARRAY[timestamptz '1970-01-01 00:01:30Z'], '{{9}}'), 1::bigint, 'times as timestamptz');
SELECT results_eq($$SELECT * FROM historian.raw('m', 'r', 0, 99000000000)$$, $$VALUES (21::bigint, '{2.5}'::float8[]), (22, '{3}'), (90000000000, '{9}')$$, 'are what they say');
SELECT is(historian.replace('m', 'r2', 0, 99000000, array_agg(at), array_agg(values)), 3000::bigint, 'the arrays of a query') FROM m WHERE "Tag" = 'other' AND at <= 3000000;
SELECT results_eq($$SELECT * FROM pg_temp.rows_of('r2')$$, $$SELECT * FROM pg_temp.rows_of('other') WHERE at <= 3000000$$, 'are its rows');
SELECT throws_ok($$SELECT historian.replace('m', 'r', 0, 10, ARRAY[10], '{1}')$$, '22023', 'time 10 is not within the range that is replaced', 'a time outside');
SELECT throws_ok($$SELECT historian.replace('m', 'r', 0, 10, '[{"time": -1, "values": []}]')$$, '22023', 'time -1 is not within the range that is replaced', 'in JSON, too');
SELECT throws_ok($$SELECT historian.replace('m', 'r', 0, 10, ARRAY[1, 2], '{1}')$$, '2202E', 'there are 2 times, but values for 1 samples', 'arrays that do not fit');
SELECT throws_ok($$SELECT historian.replace('m', 'r', 0, 10, ARRAY[1, NULL], '{1,2}')$$, '22004', 'times must not be NULL', 'a time that is NULL');
SELECT throws_ok($$SELECT historian.replace('m', 'r', 0, 10, '[{"time": 1}]')$$, '22023', 'sample {"time": 1} must have the members time and values', 'JSON without values');
SELECT throws_ok($$SELECT historian.replace('m', 'r', 0, 10, '{}'::jsonb)$$, '22023', 'samples must be a JSON array', 'JSON that is no array');
SELECT results_eq($$SELECT * FROM historian.raw('m', 'r', 0, 99000000000)$$, $$VALUES (21::bigint, '{2.5}'::float8[]), (22, '{3}'), (90000000000, '{9}')$$, 'an error leaves all as it was');
SELECT is(historian.replace('by_tag', 'a', 0, 10, ARRAY[1], '{1}'), 1::bigint, 'replace in a parent');
SELECT pg_temp.intact();

DROP TABLE m, by_tag, by_time, checked;
DROP ROLE pgtap_renamer;
COMMIT;
BEGIN;
SELECT * FROM finish();
COMMIT;
