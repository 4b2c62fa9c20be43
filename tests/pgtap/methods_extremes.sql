-- Numbers from 1e-300 to 1e300: every method that computes, moving_average() and SQL's aggregates against numeric.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_extremes CASCADE;
CREATE SCHEMA pgtap_extremes;
SET search_path = pgtap_extremes, public;
BEGIN;
SELECT plan(17);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
COMMIT;

CREATE FUNCTION power_of_ten(low int, high int) RETURNS float8 LANGUAGE sql VOLATILE AS
	$$SELECT ((1 + 9 * random())::text || 'e' || (low + floor((high - low) * random()))::int)::float8 * sign(random() - 0.3)$$;

CREATE FUNCTION load(first int, n int) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	CREATE TEMP TABLE batch ON COMMIT DROP AS
		SELECT i::bigint * 3600000000000 + (random() * 3e12)::bigint AS time, tag, CASE tag
			WHEN 'tiny' THEN ARRAY[power_of_ten(-300, -299), power_of_ten(-300, -290), 1e-300 * (i % 3)]
			WHEN 'huge' THEN ARRAY[power_of_ten(298, 299), power_of_ten(290, 299), 1e299 + i % 7 * 1e298]
			WHEN 'wide' THEN ARRAY[power_of_ten(-300, 299), abs(power_of_ten(-300, 299)), power_of_ten(-160, 160)]
			WHEN 'steps' THEN ARRAY[(ARRAY[1e-300, 0, 1e-170, 1e-155])[1 + i / 7 % 4], (ARRAY[1e299, 1e160, 1e150])[1 + i / 5 % 3], 1e-300]
		END::float8[] AS values
		FROM generate_series(first, first + n - 1) i, unnest('{tiny,huge,wide,steps}'::text[]) tag;
	INSERT INTO m SELECT * FROM batch;
	INSERT INTO h SELECT * FROM batch;
	DROP TABLE batch;
END $$;

-- exact, but for the last digit of what the doubles mean
CREATE FUNCTION n(v float8) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$SELECT v::text::numeric$$;

-- a tag's expected values, and the size that their error may be relative to
CREATE FUNCTION expected(of_tag text, s bigint, e bigint, count int, method text)
RETURNS TABLE (i int, k bigint, value float8, size float8) LANGUAGE sql AS $$
	WITH periods AS (
		SELECT i, (s + div((i - 1) * (e::numeric - s), count))::bigint AS lo, (s + div(i * (e::numeric - s), count))::bigint AS hi
		FROM generate_series(1, count) i
	), held AS (
		SELECT time, coalesce(lead(time) OVER (ORDER BY time), 9e18) AS until, values FROM h WHERE tag = of_tag
	), cells AS (
		SELECT p.i, u.k, v, time, least(until, hi) - greatest(time, lo) AS span, time > lo AS inside
		FROM periods p JOIN held ON time <= hi AND until > lo, unnest(values) WITH ORDINALITY u (v, k)
	)
	SELECT i, k, CASE method
			WHEN 'time_average' THEN (sum(n(v) * span) FILTER (WHERE span > 0) * 1e0 / sum(span) FILTER (WHERE span > 0))
			WHEN 'sum' THEN sum(n(v)) FILTER (WHERE inside)
			WHEN 'average' THEN sum(n(v) * 1e330) FILTER (WHERE inside) / count(*) FILTER (WHERE inside) / 1e330
			WHEN 'min' THEN n(min(v) FILTER (WHERE inside))
			WHEN 'max' THEN n(max(v) FILTER (WHERE inside))
			WHEN 'range' THEN n(max(v) FILTER (WHERE inside)) - n(min(v) FILTER (WHERE inside))
			WHEN 'stddev' THEN stddev_samp(n(v) * 1e330) FILTER (WHERE inside) / 1e330
			WHEN 'delta' THEN n((array_agg(v ORDER BY time DESC) FILTER (WHERE inside))[1]) - n((array_agg(v ORDER BY time) FILTER (WHERE inside))[1])
		END::text::float8,
		max(abs(v)) FILTER (WHERE inside OR method = 'time_average')
			* CASE method WHEN 'stddev' THEN 0 WHEN 'time_average' THEN 1 WHEN 'sum' THEN 1 ELSE 1 END
	FROM cells GROUP BY i, k
$$;

CREATE FUNCTION is_near(got float8, want float8, size float8) RETURNS bool LANGUAGE sql AS
	$$SELECT coalesce(abs(got - want) <= 1e-12 * greatest(abs(want), size * 1e-3), got IS NULL AND want IS NULL) $$;

CREATE FUNCTION mismatches(method text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	of_tag text;
	s bigint;
	e bigint;
	count int;
BEGIN
	FOREACH of_tag IN ARRAY '{tiny,huge,wide,steps}'::text[] LOOP
		FOREACH count IN ARRAY '{1,3,40}'::int[] LOOP
			s := (random() * 400)::bigint * 3600000000000;
			e := s + 1 + (random() * 1e15)::bigint;
			RETURN QUERY
				SELECT format('%s %s (%s, %s] %s: sample %s element %s: %s, expected %s', method, of_tag, s, e, count, g.nr, x.k, g.values[x.k], x.value)
				FROM (SELECT values, row_number() OVER () AS nr FROM historian.downsample('m', of_tag, s, e, count, method)) g
				JOIN expected(of_tag, s, e, count, method) x ON x.i = g.nr
				WHERE NOT is_near(g.values[x.k], x.value, CASE method WHEN 'stddev' THEN 0 ELSE x.size END);
		END LOOP;
	END LOOP;
END $$;

CREATE FUNCTION interpolations() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s at %s element %s: %s, expected %s', of_tag, g.time, k, g.values[k], want)
	FROM unnest('{tiny,huge,wide,steps}'::text[]) AS of (of_tag),
		historian.downsample('m', of_tag, 3700000000000, 1500000000000000, 200, 'interpolated') g,
		LATERAL (SELECT * FROM h WHERE h.tag = of_tag AND h.time <= g.time ORDER BY h.time DESC LIMIT 1) l,
		LATERAL (SELECT * FROM h WHERE h.tag = of_tag AND h.time > g.time ORDER BY h.time LIMIT 1) r,
		generate_series(1, 3) k,
		LATERAL (SELECT ((n(l.values[k]) * (r.time - g.time) + n(r.values[k]) * (g.time - l.time)) * 1e330 / (r.time - l.time) / 1e330)::text::float8 AS want) w
	WHERE NOT is_near(g.values[k], want, greatest(abs(l.values[k]) * ((r.time - g.time)::float8 / (r.time - l.time)),
		abs(r.values[k]) * ((g.time - l.time)::float8 / (r.time - l.time))))
$$;

CREATE FUNCTION moving() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s at %s element %s: %s, expected %s', of_tag, g.time, k, g.values[k], want)
	FROM unnest('{tiny,huge,wide,steps}'::text[]) AS of (of_tag),
		historian.moving_average('m', of_tag, 3700000000000, 1500000000000000, 50, 50000000000000) g, generate_series(1, 3) k,
		LATERAL (SELECT (sum(n(values[k]) * 1e330) / count(*) / 1e330)::text::float8 AS want, max(abs(values[k])) AS size
			FROM h WHERE h.tag = of_tag AND h.time > g.time - 50000000000000 AND h.time <= g.time) w
	WHERE NOT is_near(g.values[k], want, size)
$$;

CREATE FUNCTION aggregates() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s element %s: %s and %s, expected %s and %s', tag, k, got_sum[k], got_avg[k], sum, avg)
	FROM (SELECT tag, ARRAY[sum(values[1]), sum(values[2]), sum(values[3])] AS got_sum,
		ARRAY[avg(values[1]), avg(values[2]), avg(values[3])] AS got_avg FROM m GROUP BY tag) g
	JOIN (SELECT tag, k, sum(n(v))::text::float8 AS sum, (sum(n(v) * 1e330) / count(*) / 1e330)::text::float8 AS avg, max(abs(v)) AS size
		FROM h, unnest(values) WITH ORDINALITY u (v, k) GROUP BY tag, k) w USING (tag)
	WHERE NOT is_near(got_sum[k], sum, size) OR NOT is_near(got_avg[k], avg, size)
$$;

SELECT load(1, 300) \g /dev/null
SELECT load(301, 100) \g /dev/null
SELECT is_empty($$SELECT f FROM unnest('{sum,average,min,max,range,stddev,delta,time_average}'::text[]) method, mismatches(method) f$$, 'pending segments');
SELECT historian.compact('m') \g /dev/null
SELECT is_empty(format('SELECT mismatches(%L)', method), method) FROM unnest('{sum,average,min,max,range,stddev,delta,time_average}'::text[]) method;
SELECT is_empty('SELECT interpolations()', 'interpolated');
SELECT is_empty('SELECT moving()', 'moving_average');
SELECT is_empty('SELECT aggregates()', 'sum and avg of SQL');

-- what passes the greatest double on the way, but not at the end
INSERT INTO m VALUES (1, 'top', '{1.5e308}'), (2, 'top', '{1.6e308}'), (3, 'top', '{1.7e308}'), (4, 'top', '{-1.6e308}');
SELECT is((SELECT values FROM historian.downsample('m', 'top', 0, 3, 1, 'average')), '{1.6e308}', 'the average of numbers whose sum is none');
SELECT is((SELECT values FROM historian.downsample('m', 'top', 1, 4, 1, 'sum')), '{1.7e308}', 'a sum that comes back');
SELECT is((SELECT values FROM historian.downsample('m', 'top', 0, 3, 1, 'sum')), '{Infinity}', 'a sum that does not');
SELECT is((SELECT values FROM historian.downsample('m', 'top', 1, 3, 1, 'time_average')), '{1.55e308}', 'an average over time');

-- a chart's triangles
INSERT INTO m SELECT i, 'chart', ARRAY[sin(i / 5.0) + i % 3] FROM generate_series(1, 2000) i;
INSERT INTO m SELECT time, 'chart of ' || s, ARRAY[values[1] * s] FROM m, unnest('{1e-305,1e300}'::float8[]) s WHERE tag = 'chart';
SELECT is((SELECT array_agg(a.time = ALL (ARRAY[b.time, c.time])) FROM
	(SELECT time, row_number() OVER () AS nr FROM historian.downsample('m', 'chart', 0, 2000, 40, 'lttb')) a
	JOIN (SELECT time, row_number() OVER () AS nr FROM historian.downsample('m', 'chart of 1e-305', 0, 2000, 40, 'lttb')) b USING (nr)
	JOIN (SELECT time, row_number() OVER () AS nr FROM historian.downsample('m', 'chart of 1e+300', 0, 2000, 40, 'lttb')) c USING (nr)),
	array_fill(true, ARRAY[40]), 'lttb chooses the same rows at any magnitude');
SELECT * FROM finish();
DROP SCHEMA pgtap_extremes CASCADE;
