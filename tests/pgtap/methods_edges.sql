-- The methods of downsample() at their edges, by hand: docs/methods.md says what each should give.
BEGIN;
SELECT plan(70);

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m VALUES
	(10, 'a', '{1, 2}'), (20, 'a', '{3, NULL}'), (30, 'a', '{2, 5}'), (35, 'a', NULL),
	(47, 'a', '{NaN, 1, 9}'), (60, 'a', '{4, 4}');

CREATE FUNCTION sampled(tag text, s bigint, e bigint, n int, method text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(time || ':' || coalesce(d.values::text, '-'), ' ' ORDER BY time)
	FROM historian.downsample('m', sampled.tag, s, e, n, method) d
$$;

-- six periods of ten: (5, 15], (15, 25] and so on
SELECT is(sampled('a', 5, 65, 6, 'last'), '15:{1,2} 25:{3,NULL} 35:- 45:- 55:{NaN,1,9} 65:{4,4}', 'last');
SELECT is(sampled('a', 5, 65, 6, 'first'), '15:{1,2} 25:{3,NULL} 35:{2,5} 45:- 55:{NaN,1,9} 65:{4,4}', 'first');
SELECT is(sampled('a', 5, 35, 3, 'interpolated'), '15:{2,2} 25:{2.5,NULL} 35:-', 'interpolated');
SELECT is(sampled('a', 5, 65, 2, 'min'), '35:{1,2} 65:{4,1,9}', 'min: NaN is the greatest');
SELECT is(sampled('a', 5, 65, 2, 'max'), '35:{3,5} 65:{NaN,4,9}', 'max');
SELECT is(sampled('a', 5, 65, 2, 'range'), '35:{2,3} 65:{NaN,3,0}', 'range');
SELECT is(sampled('a', 5, 65, 2, 'average'), '35:{2,3.5} 65:{NaN,2.5,9}', 'average: NULL is left out');
SELECT is(sampled('a', 5, 65, 2, 'sum'), '35:{6,7} 65:{NaN,5,9}', 'sum');
SELECT is(sampled('a', 5, 65, 2, 'count'), '35:{3,2,0} 65:{2,2,1}', 'count: all samples are as wide as the widest row');
SELECT is(sampled('a', 5, 35, 1, 'stddev'), '35:{1,' || stddev(v) || '}', 'stddev, of a sample') FROM unnest('{2,5}'::float8[]) v;
SELECT is(sampled('a', 5, 65, 2, 'delta'), '35:{1,3} 65:{NaN,3,0}', 'delta: between values that are not NULL');
SELECT is(sampled('a', 5, 65, 6, 'time_average'), '15:{1,2} 25:{2,2} 35:{2.5,5} 45:- 55:{NaN,1,9} 65:{NaN,2.5,9}', 'time_average');
SELECT is(sampled('a', 5, 65, 6, 'plot'), '10:{1,2} 60:{4,4}', 'plot: a row that is several is there once');
SELECT is(sampled('a', 5, 65, 6, 'minmaxlttb'), '10:{1,2} 20:{3,NULL} 30:{2,5} 60:{4,4}', 'minmaxlttb');
SELECT is(sampled('a', 5, 65, 6, 'lttb'), '10:{1,2} 20:{3,NULL} 30:{2,5} 60:{4,4}', 'lttb');

-- a period without rows
SELECT is(sampled('a', 35, 45, 2, method), CASE method WHEN 'count' THEN '40:{} 45:{}' ELSE '40:- 45:-' END, method || ' without rows')
FROM unnest('{last,first,interpolated,min,max,range,average,sum,count,stddev,delta,time_average}'::text[]) method;
SELECT is(sampled('a', 35, 50, 3, 'count'), '40:{0,0,0} 45:{0,0,0} 50:{1,1,1}', 'count beside a period that has some');
SELECT is(sampled('a', 0, 9, 1, method), CASE method WHEN 'count' THEN '9:{}' ELSE '9:-' END, method || ' before the first row')
FROM unnest('{last,interpolated,time_average,count}'::text[]) method;
SELECT is(sampled('a', 100, 200, 1, method), '200:{4,4}', method || ' after the last row') FROM unnest('{last,interpolated,time_average}'::text[]) method;
SELECT is(sampled('a', 100, 200, 4, method), NULL, method || ' without rows') FROM unnest('{plot,lttb,minmaxlttb}'::text[]) method;
SELECT is(sampled('nothing', 0, 9, 4, method), NULL, method || ' of an unknown tag') FROM unnest('{first,count,plot,time_average}'::text[]) method;

-- bounds: start is outside, end is inside
SELECT is(sampled('a', 10, 20, 1, 'count'), '20:{1,0}', 'a row at start does not count, one at end does');
SELECT is(sampled('a', 10, 20, 1, 'time_average'), '20:{1,2}', 'but what it set holds on');
SELECT is(sampled('a', 19, 21, 5, 'sum'), '19:- 19:- 20:{3,NULL} 20:- 21:-', 'periods without length');
SELECT is(sampled('a', 0, 20, 1, 'time_average'), '20:{1,2}', 'time before the first row has no weight');

-- far neighbours, the ends of time
INSERT INTO m VALUES (-9223372036854775808, 'far', '{-1}'), (9223372036854775807, 'far', '{1}');
SELECT is(sampled('far', -1, 0, 1, 'interpolated'), '0:{0}', 'interpolated between the ends of time');
SELECT is(sampled('far', -9223372036854775808, 9223372036854775807, 2, 'time_average'), '-1:{-1} 9223372036854775807:{-1}', 'time_average of all times');
SELECT is(sampled('far', -9223372036854775808, 9223372036854775807, 1, 'count'), '9223372036854775807:{1}', 'count of all times');
SELECT is(sampled('far', 9223372036854775806, 9223372036854775807, 1, 'interpolated'), '9223372036854775807:{1}', 'interpolated at the last of times');

-- accuracy
INSERT INTO m VALUES (1, 'sum', '{1e16}'), (2, 'sum', '{1}'), (3, 'sum', '{-1e16}'), (4, 'sum', '{1}');
SELECT is(sampled('sum', 0, 10, 1, 'sum'), '10:{2}', 'sum keeps what is small');
INSERT INTO m SELECT i, 'flat', ARRAY[1e9 + i % 2 * 1e-6, 0.1] FROM generate_series(1, 10000) i;
SELECT is((SELECT round((values[1] / |/ (n * (max - min) ^ 2 / 4 / (n - 1)))::numeric, 12) FROM historian.downsample('m', 'flat', 0, 10000, 1, 'stddev'),
	(SELECT count(*) AS n, max(values[1]), min(values[1]) FROM m WHERE tag = 'flat') f), 1.000000000000, 'stddev of a small spread far from zero');
SELECT is((SELECT values[2] FROM historian.downsample('m', 'flat', 0, 10000, 1, 'stddev')), 0::float8, 'and of none');
INSERT INTO m VALUES (1, 'inf', '{Infinity}'), (2, 'inf', '{-Infinity}'), (3, 'inf', '{-Infinity}');
SELECT is(sampled('inf', 0, 3, 3, 'sum'), '1:{Infinity} 2:{-Infinity} 3:{-Infinity}', 'infinities');
SELECT is(sampled('inf', 0, 3, 1, 'sum'), '3:{NaN}', 'of both signs');
INSERT INTO m VALUES (1, 'between', '{Infinity,-Infinity,Infinity,Infinity,1,-1,NaN,1}'),
	(3, 'between', '{Infinity,-Infinity,-Infinity,1,Infinity,-Infinity,1,NaN}');
SELECT is(sampled('between', 0, 2, 1, 'interpolated'), '2:{NaN,NaN,NaN,NaN,Infinity,-Infinity,NaN,NaN}', 'interpolated beside infinities and NaN');
INSERT INTO m VALUES (1, 'huge', '{1e308}'), (3, 'huge', '{-1e308}'), (5, 'huge', '{1e308}'), (7, 'huge', '{1e308}');
SELECT is(sampled('huge', 0, 2, 1, 'interpolated'), '2:{0}', 'interpolated over more than a double holds');
SELECT is(sampled('huge', 0, 7, 1, 'sum'), '7:{Infinity}', 'a sum that overflows is infinite');

-- NULL, empty
INSERT INTO m VALUES (1, 'null', NULL), (2, 'null', '{}'), (3, 'null', '{NULL}');
SELECT is(sampled('null', 0, 3, 3, 'max'), '1:- 2:{} 3:{NULL}', 'NULL, an empty array, a NULL element');
SELECT is(sampled('null', 0, 3, 3, 'count'), '1:{0} 2:{0} 3:{0}', 'count of them');
SELECT is(sampled('null', 0, 3, 4, 'plot'), NULL, 'plot of them');

-- arguments
SELECT throws_ok($$SELECT historian.downsample('m', 'a', 0, 1, 1, 'mean')$$, '22023', 'unknown method "mean"', 'an unknown method');
SELECT throws_ok($$SELECT historian.downsample('m', 'a', 0, 1, 3, 'plot')$$, '22023', 'method "plot" needs at least 4 samples', 'too few samples for plot');
SELECT throws_ok($$SELECT historian.downsample('m', 'a', 0, 1, 2, 'minmaxlttb')$$, '22023', 'method "minmaxlttb" needs at least 3 samples', 'too few samples for minmaxlttb');
SELECT throws_ok($$SELECT historian.downsample('m', 'a', 0, 1, 2, 'lttb')$$, '22023', 'method "lttb" needs at least 3 samples', 'too few samples for lttb');

-- of a parabola every row is a corner of the hull: the largest triangle is in the middle between the ends
CREATE TABLE curve (time bigint, tag text, values float8[]) USING historian;
INSERT INTO curve SELECT i, 't', ARRAY[i::float8 * i, 0] FROM generate_series(1, 40001) i;
SELECT results_eq($$SELECT time, values[1] FROM historian.downsample('curve', 't', 0, 40001, 3, 'lttb')$$,
	$$VALUES (1::bigint, 1::float8), (20001, 400040001), (40001, 1600080001)$$, 'lttb of 40,001 corners');

-- plot, lttb and minmaxlttb: at most as many rows as asked for, all stored ones, in order
INSERT INTO m SELECT i * 10, 'wave', ARRAY[sin(i / 30.0), i] FROM generate_series(1, 20000) i;
INSERT INTO m SELECT i * 10, 'wave', ARRAY[5, i] FROM generate_series(7777, 7777) i;
SELECT ok((SELECT count(*) BETWEEN 300 AND 500 AND count(*) = count(DISTINCT time) AND count(*) = count(h.values) AND bool_or(h.values[1] = 5)
	FROM historian.downsample('m', 'wave', 0, 200000, 500, method) d LEFT JOIN m h USING (time, values)), method || ' selects rows, the spike too')
FROM unnest('{plot,lttb,minmaxlttb}'::text[]) method;

-- what this transaction wrote and deleted
DELETE FROM m WHERE tag = 'a' AND time = 20;
SELECT is(sampled('a', 5, 35, 1, 'count'), '35:{2,2}', 'without a row that is deleted');

SELECT * FROM finish();
ROLLBACK;
