-- historian.progress: counters of streams, who sees and changes them, and what becomes of them.
BEGIN;
SELECT plan(11);
SET LOCAL client_min_messages = warning;

CREATE SCHEMA plant;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE plant.other (LIKE plant.m) USING historian;
CREATE ROLE pgtap_loader;
CREATE ROLE pgtap_reader;
GRANT USAGE ON SCHEMA plant TO pgtap_loader, pgtap_reader;
GRANT INSERT (time, tag, values) ON plant.m TO pgtap_loader;
GRANT SELECT ON plant.m TO pgtap_reader;
SELECT historian.note_progress('plant.other', '{a,b}', '{1,2}');
SET LOCAL ROLE pgtap_loader;
SELECT lives_ok($$SELECT historian.note_progress('plant.m', '{a,"",a}', '{5,7,11}')$$, 'a role that may INSERT some columns counts');
SELECT results_eq($$SELECT stream, messages FROM historian.progress('plant.m') ORDER BY stream COLLATE "C"$$, $$VALUES ('', 7::bigint), ('a', 16)$$, 'and sees it');
SELECT throws_ok($$SELECT historian.note_progress('plant.other', '{a}', '{1}')$$, '42501', NULL, 'but not for another table');
SELECT is_empty($$SELECT * FROM historian.progress('plant.other')$$, 'whose counters it does not see');
RESET ROLE;
SET LOCAL ROLE pgtap_reader;
SELECT results_eq($$SELECT sum(messages) FROM historian.progress('plant.m')$$, $$VALUES (23::numeric)$$, 'a reader sees it');
SELECT throws_ok($$SELECT historian.note_progress('plant.m', '{a}', '{1}')$$, '42501', NULL, 'and does not count');
RESET ROLE;
SAVEPOINT before;
SELECT historian.note_progress('plant.m', '{a}', '{100}');
ROLLBACK TO before;
SELECT results_eq($$SELECT messages FROM historian.progress('plant.m') WHERE stream = 'a'$$, $$VALUES (16::bigint)$$, 'what is rolled back does not count');
SELECT ok((SELECT last_commit <= clock_timestamp() AND last_commit >= now() FROM historian.progress('plant.m') WHERE stream = 'a'), 'the time of the last commit');
DROP TABLE plant.m;
SELECT results_eq('SELECT DISTINCT relid::text FROM historian.stream_progress', $$VALUES ('plant.other')$$, 'counters go with the table');

SELECT historian.note_progress('plant.other', '[0:1]={p,q}', '[5:6]={3,4}') \g /dev/null
SELECT results_eq($$SELECT stream COLLATE "default", messages FROM historian.progress('plant.other') WHERE stream IN ('p', 'q') ORDER BY 1$$, $$VALUES ('p', 3::bigint), ('q', 4)$$, 'arrays with other lower bounds');
SELECT throws_ok($$SELECT historian.note_progress('plant.other', '{p,q}', '{1}')$$, '2202E', 'there are 2 streams, but 1 counts', 'a count for each stream');
SELECT * FROM finish();
ROLLBACK;
