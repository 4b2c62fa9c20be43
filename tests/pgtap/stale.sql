-- historian.last_times() and stale(), and the transitions that note_stale(), claim_stale() and settle_stale() keep.
BEGIN;
SELECT plan(49);
SET LOCAL client_min_messages = warning;

CREATE SCHEMA plant;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;

-- last_times(): against the rows
SELECT setseed(0.19);
INSERT INTO plant.m SELECT (random() * 1e15)::bigint, 'r' || floor(random() ^ 3 * 50), '{1}' FROM generate_series(1, 5000);
SELECT historian.compact('plant.m');
INSERT INTO plant.m SELECT (random() * 1e15)::bigint, 'r' || floor(random() * 60), '{1}' FROM generate_series(1, 500);
INSERT INTO plant.m SELECT 9e18::bigint - n, 'r' || n, '{1}' FROM generate_series(1, 5) n;
DELETE FROM plant.m WHERE tag = 'r1' AND time > 5e14 OR tag = 'r2' AND time > 8e18;
DELETE FROM plant.m WHERE tag = 'r7';
INSERT INTO plant.m VALUES (-9223372036854775808, 'least', '{1}'), (9223372036854775807, 'most', '{1}');
SELECT results_eq($$SELECT * FROM historian.last_times('plant.m')$$,
    $$SELECT tag, max(time) FROM plant.m GROUP BY tag ORDER BY tag COLLATE "C"$$, 'last_times() has the greatest time of each tag');
SELECT results_eq($$SELECT * FROM historian.last_times('plant.m', '{r7,r5,none,NULL,r1,r5,least}')$$,
    $$SELECT tag, max(time) FROM plant.m WHERE tag IN ('r7', 'r5', 'none', 'r1', 'least') GROUP BY tag ORDER BY tag COLLATE "C"$$, 'and of some');
SELECT is_empty($$SELECT * FROM historian.last_times(NULL)$$, 'NULL has none');

-- stale()
CREATE FUNCTION pg_temp.ago(seconds float8) RETURNS bigint LANGUAGE sql AS
    $$SELECT historian.to_ns(clock_timestamp() - make_interval(secs => seconds))$$;
TRUNCATE plant.m;
INSERT INTO plant.m SELECT pg_temp.ago(n), 'ago' || lpad(n::text, 3, '0'), '{1}' FROM generate_series(0, 200, 50) n;
INSERT INTO plant.m VALUES (pg_temp.ago(-1000), 'future', '{1}'), (-9223372036854775808, 'least', '{1}'), (pg_temp.ago(500), E'q"\n\\''', '{1}');
INSERT INTO historian.tag (relid, tag, max_silence) VALUES ('plant.m', 'ago100', '1 hour'), ('plant.m', 'ago050', '10 s'),
    ('plant.m', 'nothing', '1 s'), ('plant.m', 'future', '1 s'), ('plant.m', 'ago000', NULL);
SELECT results_eq($$SELECT tag, allowed FROM historian.stale('plant.m')$$, $$VALUES ('ago050', interval '10 s')$$,
    'without a time only tags with their own are looked at');
SELECT results_eq($$SELECT tag, allowed FROM historian.stale('plant.m', '75 s')$$,
    $$VALUES ('ago050', interval '10 s'), ('ago150', '75 s'), ('ago200', '75 s'), ('least', '75 s'), (E'q"\n\\''', '75 s')$$, 'with one all are, each by its own first');
SELECT results_eq($$SELECT tag FROM historian.stale('plant.m', '200 years')$$, $$VALUES ('ago050'), ('least')$$, 'a long time');
SELECT ok(bool_and(abs(extract(epoch FROM silent_for) - 150) < 30 AND last_time = (SELECT max(time) FROM plant.m m WHERE m.tag = s.tag)),
    'for how long, and since when') FROM historian.stale('plant.m', '75 s') s WHERE tag = 'ago150';
SELECT throws_ok($$SELECT * FROM historian.stale('plant.m', '0')$$, '22023', NULL, 'no time at all is refused');
SELECT is_empty($$SELECT * FROM historian.stale(NULL)$$, 'NULL has none');

-- partitions, privileges, policies
CREATE TABLE plant.parent (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);
CREATE TABLE plant.p0 PARTITION OF plant.parent FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
CREATE TABLE plant.p1 PARTITION OF plant.parent FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian;
INSERT INTO plant.parent SELECT * FROM plant.m;
INSERT INTO historian.tag (relid, tag, max_silence) VALUES ('plant.parent', 'ago050', '10 s');
SELECT results_eq($$SELECT * FROM historian.last_times('plant.parent')$$, $$SELECT * FROM historian.last_times('plant.m')$$, 'a partitioned parent');
SELECT results_eq($$SELECT tag FROM historian.stale('plant.parent', '2 min')$$,
    $$VALUES ('ago050'), ('ago150'), ('ago200'), ('least'), (E'q"\n\\''')$$, 'with the allowances of the parent');
CREATE ROLE pgtap_writer;
CREATE ROLE pgtap_reader;
CREATE ROLE pgtap_stranger;
GRANT USAGE ON SCHEMA plant TO pgtap_writer, pgtap_reader, pgtap_stranger;
GRANT SELECT, INSERT ON plant.m TO pgtap_writer;
GRANT SELECT ON plant.m TO pgtap_reader;
SET LOCAL ROLE pgtap_stranger;
SELECT throws_ok($$SELECT * FROM historian.stale('plant.m', '75 s')$$, '42501', NULL, 'a role that may not read the table');
RESET ROLE;
ALTER TABLE plant.m ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON plant.m TO pgtap_reader USING (tag LIKE 'ago2%');
CREATE POLICY of_all ON plant.m TO pgtap_writer USING (true);
SET LOCAL ROLE pgtap_reader;
SELECT results_eq($$SELECT tag FROM historian.stale('plant.m', '75 s')$$, $$VALUES ('ago200')$$, 'a policy hides tags');
RESET ROLE;

-- transitions, as the role of historiand. Tags may be silent for 100 ms, because the cluster of the tests may be young; those
-- that are not to be stale have samples of the future.
CREATE TABLE plant.w (LIKE plant.m) USING historian;
INSERT INTO plant.w VALUES (pg_temp.ago(10), 'a', '{1}'), (pg_temp.ago(10), 'b', '{1}'), (pg_temp.ago(-1000), 'c', '{1}');
GRANT SELECT, INSERT, UPDATE, DELETE ON plant.w TO pgtap_writer;
GRANT SELECT ON plant.w TO pgtap_reader;
CREATE FUNCTION pg_temp.note(watched interval DEFAULT '1 day', behind interval DEFAULT '0', after interval DEFAULT '100 ms')
RETURNS text LANGUAGE sql AS
    $$SELECT (n.stale, went_stale, returned, untold, given_up)::text FROM historian.note_stale('plant.w', after, watched, behind, '{webhook}', 'pgtap') n$$;
CREATE FUNCTION pg_temp.claim(most integer DEFAULT 10, action text DEFAULT 'webhook') RETURNS SETOF text LANGUAGE sql AS
    $$SELECT concat_ws(' ', body::json ->> 'tag', body::json ->> 'state') FROM historian.claim_stale('plant.w', action, most)$$;
CREATE FUNCTION pg_temp.settle(one text, told boolean, tried boolean DEFAULT true) RETURNS void LANGUAGE sql AS
    $$SELECT historian.settle_stale('plant.w', 'webhook', ARRAY(SELECT id FROM historian.stale_event
        WHERE concat_ws(' ', body::json ->> 'tag', body::json ->> 'state') = one), ARRAY[told], ARRAY[tried])$$;
SET LOCAL ROLE pgtap_writer;
SELECT is(pg_temp.note('0'), '(0,0,0,0,0)', 'nothing is stale when the watch begins');
SELECT is(pg_temp.note('1 day', '1 day'), '(0,0,0,0,0)', 'or while what was accepted for a day may not be committed');
SELECT is(pg_temp.note('1 day', '0', NULL), '(0,0,0,0,0)', 'or without a time that it may be silent');
SELECT is(pg_temp.note(), '(2,2,0,2,0)', 'two tags are stale');
SELECT is(pg_temp.note(), '(2,0,0,2,0)', 'which is noted once');
SELECT is(pg_temp.note('0'), '(2,0,0,2,0)', 'and outlasts the beginning of a watch');
SELECT results_eq($$SELECT s.tag COLLATE "C", s.since FROM historian.stale_state s WHERE relid = 'plant.w'::regclass ORDER BY tag$$,
    $$SELECT tag COLLATE "C", time + 100000000 FROM plant.w WHERE tag < 'c' ORDER BY tag$$, 'since when');
SELECT is_empty($$SELECT pg_temp.claim(10, 'command')$$, 'nothing is owed to another action');
SELECT is((SELECT body::jsonb - '{id,at,silent_for}'::text[] FROM historian.claim_stale('plant.w', 'webhook', 1)),
    (SELECT jsonb_build_object('table', 'plant.w', 'tag', 'a', 'state', 'stale', 'last', time, 'since', time + 100000000, 'allowed', '0.1s')
    FROM plant.w WHERE tag = 'a'), 'what is told');
SELECT results_eq($$SELECT pg_temp.claim()$$, $$VALUES ('b stale')$$, 'the other one');
SELECT is_empty($$SELECT pg_temp.claim()$$, 'each is claimed once');
SELECT pg_temp.settle('a stale', true), pg_temp.settle('b stale', false, false);
SELECT results_eq($$SELECT pg_temp.claim()$$, $$VALUES ('b stale')$$, 'what was not tried is claimed again');
SELECT is((SELECT attempts FROM historian.stale_event WHERE tag = 'b'), 1, 'and does not count');
SELECT pg_temp.settle('b stale', false);
SELECT is_empty($$SELECT pg_temp.claim()$$, 'after a failure it waits');
INSERT INTO plant.w VALUES (pg_temp.ago(-1000), 'b', '{1}'), (pg_temp.ago(5), 'a', '{1}');
SELECT is(pg_temp.note(), '(1,0,1,2,0)', 'a tag returns; a late sample that is too old changes nothing');
SELECT is_empty($$SELECT pg_temp.claim()$$, 'that is not told before what came before');
UPDATE historian.stale_event SET next_try = clock_timestamp() WHERE tag = 'b';
SELECT results_eq($$SELECT pg_temp.claim()$$, $$VALUES ('b stale')$$, 'which is told first');
SELECT pg_temp.settle('b stale', true);
SELECT results_eq($$SELECT pg_temp.claim()$$, $$VALUES ('b returned')$$, 'and then the return');
SELECT historian.rename('plant.w', 'a', 'renamed');
SELECT is(pg_temp.note(), '(1,0,0,1,0)', 'a tag that is renamed stays stale');
DELETE FROM plant.w WHERE tag = 'renamed';
SELECT is(pg_temp.note(), '(0,0,0,1,0)', 'one that is deleted is forgotten');
INSERT INTO plant.w VALUES (pg_temp.ago(10), 'd', '{1}');
SELECT is(pg_temp.note(), '(1,1,0,2,0)', 'another one is stale');
DELETE FROM plant.w WHERE tag = 'd';
SELECT pg_temp.note();
SELECT is_empty($$SELECT * FROM historian.stale_event WHERE tag = 'd'$$, 'and deleted: it is not told any more');
UPDATE historian.stale_event SET noted = noted - interval '8 days';
SELECT is(pg_temp.note(), '(0,0,0,0,1)', 'after a week it is given up');
INSERT INTO historian.stale_event (id, action, relid, tag, noted, body, next_try)
    SELECT gen_random_uuid(), 'webhook', 'plant.w', 'x' || n, clock_timestamp(), '{}', clock_timestamp() FROM generate_series(1, 99999) n;
INSERT INTO plant.w VALUES (pg_temp.ago(10), 'e', '{1}'), (pg_temp.ago(10), 'f', '{1}');
SELECT is(pg_temp.note(), '(1,1,0,100000,0)', 'there is room for 100,000');
DELETE FROM historian.stale_event WHERE tag LIKE 'x%';
SELECT is(pg_temp.note(), '(2,1,0,2,0)', 'the next one is noted when there is room again');
SELECT historian.rename('plant.w', 'e', 'renamed');
SELECT results_eq($$SELECT tag COLLATE "C" FROM historian.stale_event ORDER BY 1$$, $$VALUES ('f' COLLATE "C"), ('renamed')$$,
    'what waits to be told of a tag that is renamed comes before its next transition');
SELECT historian.rename('plant.w', 'renamed', 'e');
INSERT INTO historian.stale_event (id, action, relid, tag, noted, body, next_try)
    SELECT gen_random_uuid(), 'webhook', 'plant.w', 'x' || n, clock_timestamp(), '{}', clock_timestamp() FROM generate_series(1, 99997) n;
INSERT INTO plant.w VALUES (pg_temp.ago(-1000), 'e', '{1}'), (pg_temp.ago(10), 'g', '{1}');
SELECT is(pg_temp.note(), '(1,0,1,100000,0)', 'those that return and those that become stale share the room');
DELETE FROM plant.w WHERE tag = 'f';
SELECT is(pg_temp.note(), '(0,0,0,100000,0)', 'a tag that is deleted is forgotten without room');
DELETE FROM historian.stale_event WHERE tag LIKE 'x%';
SELECT is(pg_temp.note(), '(1,1,0,3,0)', 'then there is room');
SELECT is(
    (SELECT ARRAY[n.untold, m.untold] FROM historian.note_stale('plant.w', '100 ms', '1 day', '0', '{webhook,command}', NULL) n,
        historian.note_stale('plant.w', '100 ms', '1 day', '0', NULL, NULL) m), '{3,3}', 'two actions or none, and no channel');
DELETE FROM plant.w WHERE tag = 'g';
INSERT INTO plant.w VALUES (pg_temp.ago(10), 'f', '{1}');
DELETE FROM plant.w WHERE tag = 'e';
INSERT INTO plant.w VALUES (pg_temp.ago(10), 'e', '{1}');
SELECT is((SELECT n.untold FROM historian.note_stale('plant.w', '100 ms', '1 day', '0', '{webhook,command}', NULL) n), 7::bigint,
    'each transition is owed to both actions');
RESET ROLE;

-- who sees the state
SET LOCAL ROLE pgtap_reader;
SELECT results_eq($$SELECT tag::text COLLATE "default" FROM historian.stale_state ORDER BY tag$$, $$VALUES ('e'), ('f')$$, 'a reader sees the state');
SELECT is_empty($$DELETE FROM historian.stale_state RETURNING tag$$, 'and does not change it');
SELECT is_empty($$SELECT * FROM historian.stale_event$$, 'nor sees what is to be told');
RESET ROLE;
ALTER TABLE plant.w ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE pgtap_reader;
SELECT is_empty($$SELECT tag FROM historian.stale_state ORDER BY tag$$, 'a reader with policies does not');
RESET ROLE;
DROP TABLE plant.w;
SELECT is_empty($$SELECT tag FROM historian.stale_state UNION ALL SELECT tag FROM historian.stale_event$$, 'all goes with the table');

SELECT * FROM finish();
ROLLBACK;
