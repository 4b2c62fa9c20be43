-- What historian tables do not do is refused, with SQLSTATE and message.
BEGIN;
SELECT plan(36);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m VALUES (1, 'a', '{1}'), (2, 'a', '{2}'), (1, 'b', '{3}');

-- row locks
SELECT throws_ok('SELECT * FROM m FOR UPDATE', '0A000',
	'rows cannot be locked in historian tables', 'FOR UPDATE');
SELECT throws_ok('SELECT * FROM m FOR SHARE', '0A000',
	'rows cannot be locked in historian tables', 'FOR SHARE');
SELECT throws_ok('SELECT * FROM m FOR NO KEY UPDATE SKIP LOCKED', '0A000',
	'rows cannot be locked in historian tables', 'FOR NO KEY UPDATE SKIP LOCKED');
SELECT throws_ok('SELECT * FROM m FOR KEY SHARE NOWAIT', '0A000',
	'rows cannot be locked in historian tables', 'FOR KEY SHARE NOWAIT');

-- ctid
CREATE FUNCTION pg_temp.no_ctid(query text) RETURNS text LANGUAGE sql AS
	$$SELECT throws_like(query, '%ctid%', query)$$;
SELECT pg_temp.no_ctid($$SELECT * FROM m WHERE ctid = '(0,1)'$$);
SELECT pg_temp.no_ctid($$SELECT * FROM m WHERE ctid > '(0,1)'$$);
SELECT pg_temp.no_ctid($$SELECT * FROM m WHERE ctid = ANY ('{"(0,1)","(0,2)"}')$$);
SELECT pg_temp.no_ctid($$DELETE FROM m WHERE ctid = '(0,1)'$$);
SELECT pg_temp.no_ctid($$UPDATE m SET time = 5 WHERE ctid = '(0,1)'$$);
SELECT pg_temp.no_ctid('SELECT ctid FROM m');
SELECT pg_temp.no_ctid('SELECT max(ctid) FROM m');
SELECT pg_temp.no_ctid($$SELECT a.time FROM m a JOIN m b ON a.ctid = b.ctid$$);
SELECT throws_ok('SELECT xmin FROM m', NULL, NULL, 'xmin');
SELECT throws_ok($$SELECT currtid2('m', '(0,1)')$$, NULL, NULL, 'currtid2');
SET LOCAL historian.enable_scan = off;
SELECT throws_ok($$SELECT * FROM m WHERE ctid = '(0,1)'$$, NULL, NULL, 'ctid without HistorianScan');
SET LOCAL historian.enable_scan = on;

-- TABLESAMPLE
SELECT throws_ok('SELECT * FROM m TABLESAMPLE SYSTEM (10)', '0A000', NULL, 'TABLESAMPLE SYSTEM');
SELECT throws_ok('SELECT * FROM m TABLESAMPLE BERNOULLI (100)', '0A000', NULL, 'TABLESAMPLE BERNOULLI');

-- ON CONFLICT
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '{9}') ON CONFLICT (tag, time) DO NOTHING$$,
	'42P10', NULL, 'ON CONFLICT with a target');
SELECT throws_ok($$INSERT INTO m VALUES (1, 'a', '{9}') ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values$$,
	'42P10', NULL, 'ON CONFLICT DO UPDATE');
SELECT lives_ok($$INSERT INTO m VALUES (1, 'a', '{9}') ON CONFLICT DO NOTHING$$,
	'ON CONFLICT DO NOTHING is a plain insert');
SELECT results_eq($$SELECT values FROM m WHERE tag = 'a' AND time = 1$$, $$VALUES ('{9}'::float8[])$$,
	'and the later row wins');

-- nothing of the refused went in
SELECT results_eq('SELECT time, tag, values FROM m WHERE tag <> ''returning'' ORDER BY tag, time',
	$$VALUES (1::bigint, 'a'::text, '{9}'::float8[]), (2, 'a', '{2}'), (1, 'b', '{3}')$$,
	'the rows are as before');

-- CLUSTER has no index to go by
SELECT throws_ok('CLUSTER m', NULL, NULL, 'CLUSTER');

-- functions on other relations
CREATE TABLE heap_table (time bigint, tag text, values float8[]);
CREATE VIEW a_view AS SELECT * FROM m;
SELECT throws_ok($$SELECT * FROM historian.downsample('heap_table', 'a', 0, 10)$$, '42809',
	'"heap_table" is not a historian table', 'downsample of a heap table');
SELECT throws_ok($$SELECT * FROM historian.downsample('a_view', 'a', 0, 10)$$, '42809',
	NULL, 'downsample of a view');
SELECT throws_ok($$SELECT historian.compact('heap_table')$$, '42809',
	'"heap_table" is not a historian table', 'compact of a heap table');
SELECT throws_ok($$SELECT historian.compact('a_view')$$, '42809', NULL, 'compact of a view');
-- a table that is not there any more, of which a superuser passes all checks of privileges
SELECT throws_ok(format('SELECT historian.%s', call), '42P01', 'relation with OID 4294967295 does not exist', call) FROM unnest(ARRAY[
	$$set_retention(4294967295::regclass, NULL)$$, $$set_retention(4294967295::regclass, '1 day')$$,
	$$audit_note('action', 4294967295::regclass)$$, $$compact(4294967295::regclass)$$, $$check(4294967295::regclass)$$,
	$$tags(4294967295::regclass)$$, $$delete(4294967295::regclass, 'a', 0, 1)$$,
	$$replace(4294967295::regclass, 'a', 0, 1, '[]'::jsonb)$$]) AS call;
SELECT throws_ok($$SELECT historian.handler(NULL)$$, NULL, NULL, 'the handler is not to be called');

SELECT * FROM finish();
ROLLBACK;
