-- Functions that take times: as bigint, as timestamptz, and as literals and parameters without a type; steps and windows
-- as intervals. Every form answers as the one with bigint does. Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_time_arguments CASCADE;
CREATE SCHEMA pgtap_time_arguments;
SET search_path = pgtap_time_arguments, public;
SET timezone = 'Europe/Berlin';
SET intervalstyle = postgres;
BEGIN;
SELECT plan(102);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

-- seven months about the change to summer time on 2024-03-31, and a leap day
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
INSERT INTO h SELECT DISTINCT ON (t) t, 'pump', ARRAY[round(random() * 1000), i] FROM (
	SELECT 1703890000000000000 + (random() * 18e15)::bigint AS t, i FROM generate_series(1, 5000) i) r;
INSERT INTO h VALUES (-9223372036854775808, 'edge', '{1}'), (0, 'edge', '{2}'), (9223372036854775807, 'edge', '{3}');
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT * FROM h ORDER BY random();
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO (1711000000000000000) USING historian;
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1711000000000000000) TO (MAXVALUE) USING historian;
INSERT INTO p SELECT * FROM h;
COMMIT;
-- for other tables in turn
CREATE TABLE copy (time bigint, tag text, values float8[]) USING historian;

CREATE FUNCTION rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(r::text, E''\n'') FROM (%s) r', query) INTO result;
	RETURN result;
END $$;
-- is the answer of a form that of the call with bigint, and its time of this type?
CREATE FUNCTION answers(form text, "bigint" text, type regtype) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	expected text := rows_of('SELECT ' || CASE WHEN type = 'timestamptz'::regtype THEN 'historian.to_timestamptz(time)' ELSE 'time' END || ' AS time, values FROM historian.' || "bigint");
	found regtype;
BEGIN
	EXECUTE format('SELECT pg_typeof(time) FROM historian.%s LIMIT 1', form) INTO found;
	RETURN is(found::text || E'\n' || rows_of('SELECT time, values FROM historian.' || form), type::text || E'\n' || expected, form);
END $$;

-- 2024-01-01 00:00 and 2024-02-01 00:00 in Berlin
\set from 1704063600000000000
\set until 1706742000000000000
\set base 'downsample(''m'', ''pump'', 1704063600000000000, 1706742000000000000, 7)'
SELECT isnt(rows_of('SELECT * FROM historian.' || :'base'), NULL, 'there are samples');
SELECT answers($$downsample('m', 'pump', timestamptz '2024-01-01', timestamptz '2024-02-01', 7)$$, :'base', 'timestamptz');
SELECT answers($$downsample('m', 'pump', date '2024-01-01', date '2024-02-01', 7)$$, :'base', 'timestamptz');
SELECT answers($$downsample('m', 'pump', timestamp '2024-01-01', timestamp '2024-02-01', 7)$$, :'base', 'timestamptz');
SELECT answers($$downsample('m', 'pump', date '2024-01-01', '2024-02-01', 7)$$, :'base', 'timestamptz');
SELECT answers($$downsample('m', 'pump', '2023-12-31 23:00Z', date '2024-02-01', '7')$$, :'base', 'timestamptz');
SELECT answers($$downsample('m', 'pump', timestamptz '2024-02-01' - interval '31 days', timestamptz '2024-02-01', 7, 'last')$$, :'base', 'timestamptz');
SELECT answers($$downsample("end" => timestamptz '2024-02-01', start => '2024-01-01', tag => 'pump', "table" => 'm', samples => 7)$$, :'base', 'timestamptz');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01', 7)$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01', '7')$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', '1704063600000000000', '1706742000000000000', '7')$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', '1704063600000000000', '1706742000000000000', 7)$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', ' +1704063600000000000 ', '2024-02-01', '7')$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, '1706742000000000000', 7)$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, '7')$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, 7::smallint)$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, '7', 'last')$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', historian.to_ns('2024-01-01'), historian.to_ns('2024-02-01'), 7)$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', start => '2024-01-01', "end" => '2024-02-01', samples => '7')$$, :'base', 'bigint');
SELECT answers($$downsample('m'::regclass, 'pump'::text, 1704063600000000000::bigint, 1706742000000000000::bigint, 7::integer, 'last'::text)$$, :'base', 'bigint');
SELECT answers($$downsample('m'::text::regclass, 'pump'::varchar, '2024-01-01'::varchar, '2024-02-01'::text, '7'::varchar)$$, :'base', 'bigint');
SELECT answers($$downsample('m', 'pump', date '2024-01-01', date '2024-02-01')$$, $$downsample('m', 'pump', 1704063600000000000, 1706742000000000000)$$, 'timestamptz');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01')$$, $$downsample('m', 'pump', 1704063600000000000, 1706742000000000000)$$, 'bigint');
SELECT answers($$downsample('m', 'pump', date '2024-01-01', date '2024-02-01', method => 'max')$$, $$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, 1000, 'max')$$, 'timestamptz');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01', method => 'max')$$, $$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, 1000, 'max')$$, 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, method => 'max')$$, $$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, 1000, 'max')$$, 'bigint');
SELECT answers($$downsample('p', 'pump', date '2024-01-01', date '2024-06-01', 7, 'average')$$, $$downsample('m', 'pump', 1704063600000000000, 1717192800000000000, 7, 'average')$$, 'timestamptz');
SELECT results_eq($$SELECT * FROM historian.downsample('m', 'pump', now() - interval '1 hour', now())$$,
	$$SELECT historian.to_timestamptz(time), values FROM historian.downsample('m', 'pump', historian.to_ns(now() - interval '1 hour'), historian.to_ns(now()))$$, 'the last hour');

-- every method, of a table and of a partitioned parent, by number and by step, of one tag and of several: timestamptz against bigint
CREATE TABLE forms (name text, "timestamptz" text, "bigint" text);
INSERT INTO forms VALUES
	('samples', 'downsample(%L, ''pump'', timestamptz ''2024-01-01'', ''2024-02-01'', 7, %L)',
		'downsample(%L, ''pump'', 1704063600000000000, 1706742000000000000, 7, %L)'),
	('step', 'downsample(%L, ''pump'', timestamptz ''2024-01-01'', ''2024-02-01'', interval ''31 hours'', %L)',
		'downsample(%L, ''pump'', 1704063600000000000, 1706742000000000000, interval ''31 hours'', %L)'),
	('samples_or_step', 'downsample(%L, ''pump'', timestamptz ''2024-01-01'', ''2024-02-01'', ''24:00'', %L)',
		'downsample(%L, ''pump'', 1704063600000000000, 1706742000000000000, 31, %L)'),
	('many', 'downsample_many(%L, ''{pump,edge}'', timestamptz ''2024-01-01'', ''2024-06-01'', 30, %L)',
		'downsample_many(%L, ''{pump,edge}'', 1704063600000000000, 1717192800000000000, 30, %L)');
SELECT results_eq(
	format($$SELECT method, "table", md5(rows_of(format('SELECT %1$s time, values FROM historian.' || %2$L, "table", method)))
		FROM regexp_split_to_table('last last_known first interpolated min max range average time_average sum count stddev delta plot lttb minmaxlttb', ' ') AS method,
			(VALUES ('m'), ('p')) AS t ("table") ORDER BY 1, 2$$, CASE WHEN name = 'many' THEN 'tag,' ELSE '' END, "timestamptz"),
	format($$SELECT method, "table", md5(rows_of(format('SELECT %1$s historian.to_timestamptz(time), values FROM historian.' || %2$L, "table", method)))
		FROM regexp_split_to_table('last last_known first interpolated min max range average time_average sum count stddev delta plot lttb minmaxlttb', ' ') AS method,
			(VALUES ('m'), ('p')) AS t ("table") ORDER BY 1, 2$$, CASE WHEN name = 'many' THEN 'tag,' ELSE '' END, "bigint"),
	'every method by ' || name) FROM forms ORDER BY name;

-- steps of equal length: the samples of a window of so many periods
\set january 'downsample(''m'', ''pump'', 1704063600000000000, 1706742000000000000, 31, ''average'')'
SELECT answers($$downsample('m', 'pump', date '2024-01-01', date '2024-02-01', interval '1 day', 'average')$$, :'january', 'timestamptz');
SELECT answers($$downsample('m', 'pump', date '2024-01-01', date '2024-02-01', '1 day', 'average')$$, :'january', 'timestamptz');
SELECT answers($$downsample('m', 'pump', date '2024-01-01', date '2024-02-01', step => '24:00', method => 'average')$$, :'january', 'timestamptz');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01', '24:00', 'average')$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01', interval '24:00', 'average')$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', '2024-01-01', '2024-02-01', step => '24:00', method => 'average')$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, interval '24:00', 'average')$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, '24:00', 'average')$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, step => '24:00', method => 'average')$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, 'average', 86400000000000)$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1706742000000000000, method => 'average', step_ns => 86400000000000)$$, :'january', 'bigint');
SELECT answers($$downsample('m', 'pump', 1704063600000000000, 1704063600000000900, 'average', 300::smallint)$$, $$downsample('m', 'pump', 1704063600000000000, 1704063600000000900, 3, 'average')$$, 'bigint');

-- random steps, which leave a shorter period at the end: each sample is that of a window of its own
CREATE FUNCTION differing(n int, calendar boolean, OUT query text) LANGUAGE plpgsql AS $$
DECLARE
	units text[] := CASE WHEN calendar THEN '{day,week,month,"day 5 hours","month -3 days","month 2 days 7 hours"}' ELSE '{hour,minute}'::text[] END;
	start bigint;
	until bigint;
	step interval;
	method text;
	expected text;
BEGIN
	FOR i IN 1..n LOOP
		start := 1703890000000000000 + (random() * 9e15)::bigint;
		until := start + 1 + (random() * 9e15)::bigint;
		step := format('%s %s', 1 + floor(random() * CASE WHEN calendar THEN 3 ELSE 1000 END), units[1 + floor(random() * cardinality(units))::int])::interval;
		step := CASE WHEN calendar THEN step ELSE step + interval '1 hour' + floor(random() * 1e6) * interval '1 microsecond' END;
		method := ('{last,first,average,min,time_average,sum,interpolated,delta,last_known}'::text[])[1 + floor(random() * 9)::int];
		PERFORM set_config('timezone', ('{UTC,Europe/Berlin,America/New_York,Asia/Kathmandu}'::text[])[1 + floor(random() * 4)::int], true);
		-- the times that end periods, computed in SQL
		EXECUTE format($q$SELECT string_agg((d.time, d.values)::text, E'\n' ORDER BY d.time)
			FROM (SELECT greatest(lag(e) OVER (ORDER BY e), %1$s) AS b, least(e, %2$s) AS e FROM (
				SELECT historian.to_ns(historian.to_timestamptz(%1$s) + i * %3$L::interval) + (%1$s) %% 1000 AS e FROM generate_series(0, %5$s) i) ends) periods,
				LATERAL historian.downsample('m', 'pump', b, e, 1, %4$L) d WHERE b < e AND b < %2$s$q$, start, until, step, method, ceil((until - start) / 1e9 / (0.8 * extract(epoch FROM step)) + 2)) INTO expected;
		query := format('%s: downsample(''m'', ''pump'', %s, %s, interval %L, %L)', current_setting('timezone'), start, until, step, method);
		IF rows_of('SELECT * FROM historian.' || split_part(query, ': ', 2)) IS DISTINCT FROM expected OR expected IS NULL THEN
			RETURN;
		END IF;
	END LOOP;
	query := NULL;
END $$;
SELECT is(differing(25, false), NULL, '25 random steps');
SELECT is(differing(40, true), NULL, '40 random steps by the calendar');
SELECT is((SELECT array_agg(time ORDER BY time) FROM historian.downsample('m', 'pump', timestamptz '2024-03-30', '2024-04-01 12:00', interval '1 day')),
	ARRAY['2024-03-31 00:00+01', '2024-04-01 00:00+02', '2024-04-01 12:00+02']::timestamptz[], 'days about the change to summer time');
SELECT is((SELECT array_agg(time ORDER BY time) FROM historian.downsample('m', 'pump', timestamptz '2024-01-31', '2024-05-01', interval '1 month')),
	ARRAY['2024-02-29', '2024-03-31', '2024-04-30', '2024-05-01']::timestamptz[], 'ends of months');
SELECT is((SELECT array_agg(time ORDER BY time) FROM historian.downsample('m', 'pump', 1704063600000000001, 1704063600000000010, 'last', 4)),
	ARRAY[1704063600000000005, 1704063600000000009, 1704063600000000010], 'nanoseconds');
SELECT is((SELECT count(*) FROM historian.downsample('m', 'pump', -9223372036854775808, 9223372036854775807, 'last', 18446744073709552)), 1000::bigint, 'all of int64 in steps');
SELECT is((SELECT array_agg(time) FROM historian.downsample('m', 'pump', -9223372036854775808, 9223372036854775807, interval '600 years')), ARRAY[9223372036854775807], 'a step longer than int64');
SELECT is((SELECT array_agg(time) FROM historian.downsample('m', 'pump', '2024-01-01', '2024-02-01', '1000000 hours')), ARRAY[1706742000000000000], 'a step longer than the window');
SELECT is((SELECT count(*) <= 31 AND count(*) > 8 FROM historian.downsample('m', 'pump', date '2024-01-01', '2024-02-01', interval '1 day', 'plot')), true, 'plot: as many rows as there would be samples');

-- several tags, and moving averages
SELECT is(rows_of($$SELECT * FROM historian.downsample_many('m', '{pump,edge}', timestamptz '2024-01-01', '2024-02-01', 3)$$),
	rows_of($$SELECT tag, historian.to_timestamptz(time), values FROM historian.downsample_many('m', '{pump,edge}', 1704063600000000000, 1706742000000000000, 3)$$), 'downsample_many');
SELECT is(rows_of($$SELECT * FROM historian.downsample_many('m', '{pump,edge}', '2024-01-01', '2024-02-01', '3', 'max')$$),
	rows_of($$SELECT * FROM historian.downsample_many('m', '{pump,edge}', 1704063600000000000, 1706742000000000000, 3, 'max')$$), 'without types');
SELECT is(rows_of($$SELECT * FROM historian.downsample_many('m', ARRAY['pump', 'edge'], date '2024-01-01', '2024-02-01', '31 days', 'max')$$),
	rows_of($$SELECT tag, historian.to_timestamptz(time), values FROM historian.downsample_many('m', '{pump,edge}', 1704063600000000000, 1706742000000000000, 1, 'max')$$), 'by a step');
SELECT is(rows_of($$SELECT * FROM historian.downsample_many('m', '{pump,edge}', 1704063600000000000, 1706742000000000000, interval '31 days', 'max')$$),
	rows_of($$SELECT * FROM historian.downsample_many('m', '{pump,edge}', 1704063600000000000, 1706742000000000000, 'max', 2678400000000000)$$), 'by two steps');
SELECT is(rows_of($$SELECT * FROM historian.downsample_many('m', '{pump}', 1704063600000000000, 1706742000000000000, '31 days')$$),
	rows_of($$SELECT * FROM historian.downsample_many('m', '{pump}', '2024-01-01', '2024-02-01', interval '31 days')$$), 'by others');
\set moving 'moving_average(''m'', ''pump'', 1704063600000000000, 1706742000000000000, 7, 172800000000000)'
SELECT answers($$moving_average('m', 'pump', timestamptz '2024-01-01', '2024-02-01', 7, interval '2 days')$$, :'moving', 'timestamptz');
SELECT answers($$moving_average('m', 'pump', timestamptz '2024-01-01', '2024-02-01', 7, '48:00')$$, :'moving', 'timestamptz');
SELECT answers($$moving_average('m', 'pump', timestamptz '2024-01-01', '2024-02-01', 7, 172800000000000)$$, :'moving', 'timestamptz');
SELECT answers($$moving_average('m', 'pump', 1704063600000000000, 1706742000000000000, 7, interval '48 hours')$$, :'moving', 'bigint');
SELECT answers($$moving_average('m', 'pump', 1704063600000000000, 1706742000000000000, 7, '172800000000000')$$, :'moving', 'bigint');
SELECT answers($$moving_average('m', 'pump', '2024-01-01', '2024-02-01', '7', '2 days')$$, :'moving', 'bigint');
SELECT answers($$moving_average('m', 'pump', '2024-01-01', '2024-02-01', 7, interval '2 days')$$, :'moving', 'bigint');
SELECT answers($$moving_average('m', 'pump', '2024-01-01', '2024-02-01', 7, 172800000000000)$$, :'moving', 'bigint');
SELECT answers($$moving_average('m', 'pump', start => '2024-01-01', "end" => '2024-02-01', samples => '7', "window" => '2 days')$$, :'moving', 'bigint');

-- rows
SELECT results_eq($$SELECT * FROM historian.raw('m', 'pump', timestamptz '2024-01-01', '2024-01-03')$$,
	$$SELECT historian.to_timestamptz(time), values FROM h WHERE tag = 'pump' AND time >= 1704063600000000000 AND time < 1704236400000000000 ORDER BY time$$, 'raw');
SELECT results_eq($$SELECT * FROM historian.raw('m', 'pump', '2024-01-01', '2024-01-03')$$,
	$$SELECT time, values FROM h WHERE tag = 'pump' AND time >= 1704063600000000000 AND time < 1704236400000000000 ORDER BY time$$, 'raw without types');
SELECT results_eq($$SELECT * FROM historian.raw('m', 'edge', '-infinity', 'infinity')$$, $$SELECT time, values FROM h WHERE tag = 'edge' ORDER BY time$$, 'raw of all times');
SELECT results_eq($$SELECT values FROM historian.raw('m', 'edge', '-infinity'::timestamptz, 'infinity')$$, $$SELECT values FROM h WHERE tag = 'edge' ORDER BY time$$, 'raw of all timestamptz');
SELECT results_eq($$SELECT values FROM historian.raw('m', 'edge', timestamptz '1600-01-01', '3000-01-01')$$, $$SELECT values FROM h WHERE tag = 'edge' ORDER BY time$$, 'raw of more than all');
SELECT is_empty($$SELECT values FROM historian.raw('m', 'edge', timestamptz '3000-01-01', 'infinity')$$, 'raw of nothing');
SELECT is_empty($$SELECT values FROM historian.raw('m', 'edge', timestamptz '-infinity', '1600-01-01')$$, 'nothing before either');
SELECT results_eq($$SELECT time FROM historian.raw('m', 'edge', -9223372036854775808, 9223372036854775807)$$, 'VALUES (-9223372036854775808), (0)', 'raw of bigint');

-- deletions: the number of rows, and what is left
CREATE FUNCTION deletes(call text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	count bigint;
	expected bigint;
BEGIN
	TRUNCATE copy;
	INSERT INTO copy SELECT * FROM h;
	EXECUTE 'SELECT historian.' || call INTO count;
	EXECUTE 'SELECT count(*) FROM h WHERE ' || condition INTO expected;
	RETURN is(count || E'\n' || md5(rows_of('SELECT * FROM copy ORDER BY tag, time')),
		expected || E'\n' || md5(rows_of(format('SELECT * FROM h WHERE NOT (%s) ORDER BY tag, time', condition))), call);
END $$;
SELECT deletes($$delete('copy', 'pump', timestamptz '2024-01-01', '2024-02-01')$$, $$tag = 'pump' AND time >= 1704063600000000000 AND time < 1706742000000000000$$);
SELECT deletes($$delete('copy', 'pump', '2024-01-01', '2024-02-01')$$, $$tag = 'pump' AND time >= 1704063600000000000 AND time < 1706742000000000000$$);
SELECT deletes($$delete('copy', 'pump', '1704063600000000000', '2024-02-01')$$, $$tag = 'pump' AND time >= 1704063600000000000 AND time < 1706742000000000000$$);
SELECT deletes($$delete('copy', 'edge', '-infinity', 'infinity')$$, $$tag = 'edge'$$);
SELECT deletes($$delete('copy', 'edge', '1970-01-01Z'::timestamptz, 'infinity')$$, $$tag = 'edge' AND time >= 0$$);
SELECT deletes($$delete('copy', 'edge', '-infinity'::timestamptz, '1970-01-01Z')$$, $$tag = 'edge' AND time < 0$$);
SELECT deletes($$delete('copy', 'edge', timestamptz '3000-01-01', '3000-01-01')$$, 'false');
SELECT deletes($$drop_before('copy', timestamptz '2024-02-01')$$, 'time < 1706742000000000000');
SELECT deletes($$drop_before('copy', '2024-02-01')$$, 'time < 1706742000000000000');
SELECT deletes($$drop_before('copy', '1706742000000000000')$$, 'time < 1706742000000000000');
SELECT deletes($$drop_before('copy', timestamptz 'infinity')$$, 'true');
SELECT deletes($$drop_before('copy', timestamptz '1600-01-01')$$, 'false');
SELECT deletes($$drop_before('copy', now() - interval '2 years')$$, $$time < historian.to_ns(now() - interval '2 years')$$);
SELECT deletes($$drop_before('copy', interval '2 years 3 days')$$, $$time < historian.to_ns(now() - interval '2 years 3 days')$$);
SELECT deletes($$drop_before('copy', older_than => '2 years')$$, $$time < historian.to_ns(now() - interval '2 years')$$);

-- parameters whose type the client does not say, and those of drivers that say some
PREPARE all_unknown AS SELECT * FROM historian.downsample($1, $2, $3, $4, $5, $6);
PREPARE some_unknown AS SELECT * FROM historian.downsample($1, $2, $3, $4);
PREPARE small(text, text, bigint, bigint, smallint) AS SELECT * FROM historian.downsample($1::regclass, $2, $3, $4, $5);
PREPARE typed(text, timestamptz, timestamptz) AS SELECT * FROM historian.downsample('m', $1, $2, $3, $4);
PREPARE cast_like_historiand AS SELECT time, values FROM historian.downsample($1::text::regclass, $2::text, $3::bigint, $4::bigint, $5::integer, $6::text);
SELECT results_eq($$EXECUTE all_unknown('m', 'pump', '1704063600000000000', '1706742000000000000', '7', 'last')$$, 'SELECT * FROM historian.' || :'base', 'unknown parameters');
SELECT results_eq($$EXECUTE all_unknown('m', 'pump', '2023-12-31T23:00:00Z', '2024-02-01', '31 days', 'average')$$, replace('SELECT * FROM historian.' || :'january', ', 31,', ', 1,'), 'human ones');
SELECT is_empty($$EXECUTE all_unknown('m', 'pump', NULL, '2024-02-01', '31 days', 'average')$$, 'NULL');
SELECT results_eq($$EXECUTE some_unknown('m', 'pump', '2024-01-01', '2024-02-01')$$, $$SELECT * FROM historian.downsample('m', 'pump', 1704063600000000000, 1706742000000000000)$$, 'four');
SELECT results_eq($$EXECUTE small('m', 'pump', 1704063600000000000, 1706742000000000000, 7)$$, 'SELECT * FROM historian.' || :'base', 'a smallint');
SELECT results_eq($$EXECUTE typed('pump', '2024-01-01', '2024-02-01', '7')$$, 'SELECT historian.to_timestamptz(time), values FROM historian.' || :'base', 'timestamptz, and an unknown one');
SELECT results_eq($$EXECUTE cast_like_historiand('m', 'pump', '1704063600000000000', '1706742000000000000', '7', 'last')$$, 'SELECT * FROM historian.' || :'base', 'casts');
SELECT is_empty($$SELECT * FROM historian.downsample('m', 'pump', NULL, NULL)$$, 'NULL without type gives no sample');
SELECT is_empty($$SELECT * FROM historian.downsample('m', 'pump', now(), NULL)$$, 'nor does NULL with another type');
SELECT is(historian.drop_before('m', NULL), NULL, 'NULL drops nothing');

-- errors
CREATE TABLE errors (call text, code text, message text);
INSERT INTO errors VALUES
	($$downsample('m', 'pump', timestamptz '2024-02-01', '2024-01-01')$$, '22023', 'start (2024-02-01 00:00:00+01) must be less than end (2024-01-01 00:00:00+01)'),
	($$downsample('m', 'pump', '2024-02-01', '1')$$, '22023', 'start (2024-02-01) must be less than end (1)'),
	($$downsample('m', 'pump', timestamptz '2024-01-01', 'infinity')$$, '22008', 'timestamp out of range for nanoseconds'),
	($$downsample('m', 'pump', '1600-01-01', '2024-01-01')$$, '22008', 'timestamp out of range for nanoseconds'),
	($$downsample('m', 'pump', '9223372036854775808', '9223372036854775809')$$, '22003', 'value "9223372036854775808" is out of range for type bigint'),
	($$downsample('m', 'pump', 'last week', 'now')$$, '22007', 'invalid input syntax for type timestamp with time zone: "last week"'),
	($$downsample('m', 'pump', 0, 10, 'often')$$, '22007', 'invalid input syntax for type interval: "often"'),
	($$downsample('m', 'pump', 0, 10, '0')$$, '22023', 'number of samples must be between 1 and 1000000'),
	($$downsample('m', 'pump', 0, 10, interval '0')$$, '22023', 'step must be greater than zero'),
	($$downsample('m', 'pump', now(), now() + interval '1 day', '-1 hour')$$, '22023', 'step must be greater than zero'),
	($$downsample('m', 'pump', now(), now() + interval '1 day', '1 day -30 hours')$$, '22023', 'step must be greater than zero'),
	($$downsample('m', 'pump', 0, 10, 'last', 0)$$, '22023', 'step_ns (0) must be greater than zero'),
	($$downsample('m', 'pump', now() - interval '1 day', now(), '1 ms')$$, '22023', 'step is too short for the window'),
	($$downsample('m', 'pump', 0, now())$$, '42883', NULL),
	($$downsample('m', 'pump', 0, 10, 10::bigint)$$, '42883', NULL),
	($$moving_average('m', 'pump', now() - interval '1 day', now(), 5, '1 month')$$, '22023', 'window (1 month) must not have months or years'),
	($$moving_average('m', 'pump', now() - interval '1 day', now(), 5, interval '-1 day')$$, '22023', 'window (-1 days) must be greater than zero'),
	($$moving_average('m', 'pump', now() - interval '1 day', now(), 5, interval '110000 days')$$, '22008', 'window (110000 days) is out of range for nanoseconds'),
	($$raw('m', 'pump', 'infinity', '-infinity')$$, '22023', 'start (infinity) must be less than end (-infinity)'),
	($$delete('m', 'pump', date '2024-01-02', date '2024-01-01')$$, '22023', 'start (2024-01-02 00:00:00+01) must not be greater than end (2024-01-01 00:00:00+01)'),
	($$drop_before('m', '30 days')$$, '22007', 'invalid input syntax for type timestamp with time zone: "30 days"'),
	($$drop_before('m', interval '-1 day')$$, '22023', 'interval (-1 days) must not be negative');
CREATE FUNCTION error_of(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'SELECT count(*) FROM historian.' || call;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT is_empty($$SELECT call, error_of(call) FROM errors WHERE CASE WHEN message IS NULL THEN left(error_of(call), 5) ELSE error_of(call) END IS DISTINCT FROM code || coalesce(' ' || message, '')$$, 'errors');
SET timezone = 'UTC';
SELECT is(error_of($$downsample('m', 'pump', date '1700-01-01', '2200-01-01', interval '1 day -86399 seconds')$$), '22023 step is too short for the window', 'a short step by the calendar');

SELECT * FROM finish();
DROP SCHEMA pgtap_time_arguments CASCADE;
