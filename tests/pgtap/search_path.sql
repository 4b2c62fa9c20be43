-- Functions written in SQL and PL/pgSQL call PostgreSQL's own functions and operators alone, whatever whoever calls them has in
-- the search_path: there anybody may have made some whose types fit better.
BEGIN;
SELECT plan(6);

CREATE SCHEMA own;
CREATE TABLE own.m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE own.measurement (time bigint, tag text, values float8[]) USING historian;

-- each tells that it was called
CREATE SCHEMA stranger;
CREATE SEQUENCE stranger.called;
CREATE FUNCTION stranger.yes() RETURNS boolean LANGUAGE sql AS $$SELECT pg_catalog.nextval('stranger.called') > 0$$;
DO $$
DECLARE
	l text;
	r text;
	o text;
	types text[] := '{oid,regclass,regtype,name,text,int4,int8,float8,"\"char\"",text[],int8[],float8[]}';
BEGIN
	FOREACH l IN ARRAY types LOOP
		FOREACH r IN ARRAY types LOOP
			EXECUTE format('CREATE FUNCTION stranger.op(%s, %s) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN RETURN stranger.yes(); END''', l, r);
			FOREACH o IN ARRAY '{=,<>,<,<=,>,>=,||,+,-,*,/,~~,&&,<@,@>}'::text[] LOOP
				CONTINUE WHEN EXISTS (SELECT FROM pg_operator p WHERE p.oprname = o AND p.oprleft = l::regtype AND p.oprright = r::regtype);
				EXECUTE format('CREATE OPERATOR stranger.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = stranger.op)', o, l, r);
			END LOOP;
		END LOOP;
	END LOOP;
	FOREACH l IN ARRAY '{cardinality(text[]),cardinality(int8[]),"array_length(float8[], int)",array_ndims(float8[]),"array_position(int8[], int8)",
		"format(text, text)","format(text, name)","format(text, text, text)","format(text, int8, int8)"}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION stranger.%s RETURNS text LANGUAGE plpgsql AS ''BEGIN RETURN stranger.yes(); END''', l);
	END LOOP;
END $$;
SELECT ok(nullif(pg_catalog.pg_sequence_last_value('stranger.called'), 0) IS NULL, 'nothing is called yet');
SET LOCAL search_path = own, stranger;
SELECT 1::oid = 'own.m'::regclass AS same \gset
SET LOCAL search_path = public;
SELECT is(pg_catalog.pg_sequence_last_value('stranger.called'), 1::bigint, 'they are called where nothing else is said');

SET LOCAL search_path = own, stranger;
SELECT historian.set_tag('m', 'a', '{"description": "x", "names": ["u", null], "units": ["m"], "low": [0], "high": [1], "max_silence": "1 s"}');
SELECT historian.set_tag('m', 'b', '{"names": ["u", null]}');
SELECT historian.set_tag('measurement', 'a', '{"names": ["u"]}');
SELECT * FROM historian.learn_names('m', '[{"tag": "c", "names": ["y", "x"]}]');
SELECT historian.replace('m', 'a', 0, 100, '{1,2}'::bigint[], '{3,4}'), historian.replace('m', 'a', 0, 100, '[{"time": 1, "values": [1]}]'::jsonb),
	historian.replace('m', 'a', '0', '100', '{1,2}', '{3,4}'), historian.replace('m', 'a', '0', '100', '[{"time": 1, "values": [1]}]'),
	historian.replace('m', 'a', 'epoch'::timestamptz, '2000-01-01', '{1999-01-01}', '{3}'),
	historian.replace('m', 'a', 'epoch'::timestamptz, '2000-01-01', '[{"time": 1, "values": [1]}]');
SELECT historian.create_view('v', 'a', 'm'), historian.create_view('own.w', 'a%', 'm'), historian.create_view('of_measurement', 'a');
SELECT * FROM historian.at('m', '{a}', '{1,2000-01-01}');
SELECT historian.note_progress('m', '{s}', '{1}');
SELECT * FROM historian.progress('m');
SELECT tag FROM historian.stale('m', '1 day');
SELECT * FROM historian.note_stale('m', '1 day', '1 day', '0', '{webhook}', 'channel');
SELECT historian.settle_stale('m', 'webhook', array_agg(id), array_agg(true), array_agg(true)) FROM historian.claim_stale('m', 'webhook', 10);
INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES ('m', 'a', 1, 'x');
UPDATE historian.annotation SET text = 'y', end_time = 2;
DELETE FROM historian.annotation;
UPDATE historian.tag SET description = 'y';
SELECT historian.set_retention('m', '1 day', 'a'), historian.rename('m', 'a', 'd'), historian.audit_note('x', 'm');
SELECT * FROM historian.stat_retention;
CALL historian.grant_writer('m', 'pg_monitor');
SELECT historian.publish_changes('m', false);
DELETE FROM historian.tag WHERE description = 'y';
DROP TABLE m CASCADE;
SET LOCAL search_path = public;
SELECT is(pg_catalog.pg_sequence_last_value('stranger.called'), 1::bigint, 'the functions, triggers and event triggers call none of them');
SELECT is((SELECT array_agg(oid::regprocedure) FROM pg_proc WHERE pronamespace = 'historian'::regnamespace AND proconfig IS NULL
	AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')), NULL, 'nor do those that are not here');

-- where a view goes that is named without a schema
CREATE TABLE nowhere (time bigint, tag text, values float8[]) USING historian;
INSERT INTO historian.tag (relid, tag, names) VALUES ('nowhere', 'a', '{u}');
CREATE FUNCTION pg_temp.make(path text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.set_config('search_path', path, true);
	RETURN historian.create_view('found', 'a', 'public.nowhere')::text;
EXCEPTION WHEN invalid_schema_name THEN
	RETURN SQLERRM;
END $$;
SELECT is(pg_temp.make(''), 'no schema has been selected to create in', 'nowhere by an empty search_path');
SELECT pg_temp.make('stranger, own') \g /dev/null
SET LOCAL search_path = public;
SELECT is('stranger.found'::regclass::text, 'stranger.found', 'else into the first schema');

SELECT * FROM finish();
ROLLBACK;
