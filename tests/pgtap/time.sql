-- historian.to_ns() and historian.to_timestamptz().
BEGIN;
SELECT plan(28);
SET LOCAL timezone = 'Asia/Kathmandu';

SELECT is(historian.to_ns('1970-01-01 00:00:00 UTC'), 0::bigint, 'the epoch');
SELECT is(historian.to_ns('1970-01-01 00:00:00.000001 UTC'), 1000::bigint, 'a microsecond');
SELECT is(historian.to_ns('1969-12-31 23:59:59.999999 UTC'), -1000::bigint, 'a microsecond before');
SELECT is(historian.to_ns('2000-01-01 00:00:00 UTC'), 946684800000000000, '2000');
SELECT is(historian.to_ns('2024-02-29 12:34:56.789012 UTC'), 1709210096789012000, 'a leap day');
SELECT is(historian.to_ns('2262-04-11 23:47:16.854775 UTC'), 9223372036854775000, 'the last microsecond');
SELECT is(historian.to_ns('1677-09-21 00:12:43.145225 UTC'), -9223372036854775000, 'the first one');
SELECT throws_ok($$SELECT historian.to_ns('2262-04-11 23:47:16.854776 UTC')$$, '22008', 'timestamp out of range for nanoseconds', 'one later');
SELECT throws_ok($$SELECT historian.to_ns('1677-09-21 00:12:43.145224 UTC')$$, '22008', 'timestamp out of range for nanoseconds', 'one earlier');
SELECT throws_ok($$SELECT historian.to_ns('infinity')$$, '22008', 'timestamp out of range for nanoseconds', 'infinity');
SELECT throws_ok($$SELECT historian.to_ns('-infinity')$$, '22008', 'timestamp out of range for nanoseconds', '-infinity');
SELECT throws_ok($$SELECT historian.to_ns('294276-12-31 UTC')$$, '22008', 'timestamp out of range for nanoseconds', 'the last year of timestamptz');
SELECT throws_ok($$SELECT historian.to_ns('4713-01-01 BC UTC')$$, '22008', 'timestamp out of range for nanoseconds', 'the first');
SELECT is(historian.to_ns(NULL), NULL, 'NULL');

SELECT is(historian.to_timestamptz(0), '1970-01-01 00:00:00 UTC'::timestamptz, 'to_timestamptz: the epoch');
SELECT is(historian.to_timestamptz(1), '1970-01-01 00:00:00 UTC'::timestamptz, 'rounds down');
SELECT is(historian.to_timestamptz(999), '1970-01-01 00:00:00 UTC'::timestamptz, 'also just below');
SELECT is(historian.to_timestamptz(1000), '1970-01-01 00:00:00.000001 UTC'::timestamptz, 'a microsecond');
SELECT is(historian.to_timestamptz(-1), '1969-12-31 23:59:59.999999 UTC'::timestamptz, 'rounds down below zero');
SELECT is(historian.to_timestamptz(-1000), '1969-12-31 23:59:59.999999 UTC'::timestamptz, 'exactly a microsecond before');
SELECT is(historian.to_timestamptz(-1001), '1969-12-31 23:59:59.999998 UTC'::timestamptz, 'and a nanosecond more');
SELECT is(historian.to_timestamptz(9223372036854775807), '2262-04-11 23:47:16.854775 UTC'::timestamptz, 'the end of int64');
SELECT is(historian.to_timestamptz(-9223372036854775808), '1677-09-21 00:12:43.145224 UTC'::timestamptz, 'its beginning');
SELECT is(historian.to_timestamptz(NULL), NULL, 'to_timestamptz: NULL');
SELECT is((SELECT count(*) FROM generate_series(-5000, 5000) i, LATERAL (SELECT i::bigint * 1844674407370955 AS ns) x
	WHERE historian.to_timestamptz(ns) <> 'epoch'::timestamptz
		+ (floor(ns::numeric / 3600000000000))::int * interval '1 hour'
		+ floor((ns::numeric - floor(ns::numeric / 3600000000000) * 3600000000000) / 1000)::bigint * interval '1 microsecond'), 0::bigint,
	'10,001 times all over int64');
SELECT is((SELECT count(*) FROM generate_series(-5000, 5000) i, LATERAL (SELECT i::bigint * 1844674407370000 AS ns) x
	WHERE historian.to_ns(historian.to_timestamptz(ns)) <> ns), 0::bigint, 'there and back');
SELECT is((SELECT provolatile::text || proparallel::text || proisstrict::text FROM pg_proc WHERE oid = 'historian.to_ns(timestamptz)'::regprocedure), 'istrue', 'to_ns is immutable, parallel safe, strict');
SELECT is((SELECT provolatile::text || proparallel::text || proisstrict::text FROM pg_proc WHERE oid = 'historian.to_timestamptz(bigint)'::regprocedure), 'istrue', 'to_timestamptz is, too');

SELECT * FROM finish();
ROLLBACK;
