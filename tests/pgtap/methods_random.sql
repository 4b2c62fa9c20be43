-- Every method of downsample(), and moving_average(), against plain SQL over a heap table with the
-- same rows: random windows over rows that come out of order, twice, ragged, NULL, NaN, infinite.
-- Commits, so it drops what it made.
\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS pgtap_methods CASCADE;
CREATE SCHEMA pgtap_methods;
SET search_path = pgtap_methods, public;
BEGIN;
SELECT plan(23);
SELECT random() AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \g /dev/null

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
COMMIT;

-- multiples of 1/1024, of at most 15 digits, so that text, numeric and double tell the same number
CREATE FUNCTION dyadic(size float8) RETURNS float8 LANGUAGE sql VOLATILE AS
	'SELECT round((random() - 0.5) * 2048 * size) / 1024';

CREATE FUNCTION odd_value() RETURNS float8 LANGUAGE sql VOLATILE AS $$
	SELECT CASE floor(random() * 14) WHEN 0 THEN NULL WHEN 1 THEN NULL WHEN 2 THEN 'NaN'
		WHEN 3 THEN CASE WHEN random() < 0.2 THEN 'Infinity' WHEN random() < 0.2 THEN '-Infinity' ELSE 0.0 END
		ELSE dyadic(1000) END::float8
$$;

-- the next rows to load: some times of the tag dense are those of earlier rows
CREATE FUNCTION more_rows(n int) RETURNS TABLE ("time" bigint, tag text, "values" float8[]) LANGUAGE sql VOLATILE AS $$
	SELECT 1000000 + (random() * 20000)::bigint * 37, 'dense', ARRAY[dyadic(100), 7 + dyadic(0.01), i] FROM generate_series(1, n) i
	UNION ALL
	SELECT 1000000 + (random() * 700000)::bigint, 'ragged',
		(SELECT CASE WHEN random() < 0.1 + i * 0 THEN NULL ELSE coalesce(array_agg(odd_value()), '{}') END
		FROM generate_series(1, (random() * 4 + i * 0)::int))
	FROM generate_series(1, n) i
	UNION ALL
	SELECT 1000000 + (random() * 700000)::bigint, 'spike',
		ARRAY[CASE WHEN random() < 0.02 THEN 562949953421312 + round(dyadic(10)) ELSE dyadic(1) END] FROM generate_series(1, n) i
	UNION ALL
	SELECT ((random() - 0.5) * 1.8e19)::bigint, 'sparse', ARRAY[dyadic(10), dyadic(1)] FROM generate_series(1, greatest(n / 100, 3)) i
	UNION ALL
	SELECT 1000000 + (random() * 700000)::bigint, 'chart', ARRAY[dyadic(1) / 2 + round(sin(i / 50.0)::numeric * 1024)::float8 / 1024] FROM generate_series(1, n) i
$$;

CREATE FUNCTION load(n int, loads int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR load IN 1 .. loads LOOP
		CREATE TEMP TABLE batch ON COMMIT DROP AS
			SELECT DISTINCT ON (tag, time) * FROM more_rows(n);
		INSERT INTO m SELECT * FROM batch ORDER BY random();
		INSERT INTO h SELECT * FROM batch ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
		DROP TABLE batch;
	END LOOP;
END $$;

-- a random window: around the tag's rows, within them, between two of them, or of all times
CREATE FUNCTION random_window(of_tag text, OUT s bigint, OUT e bigint, OUT n int) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	a bigint := (SELECT time FROM h WHERE tag = of_tag ORDER BY random() LIMIT 1);
	b bigint := (SELECT time FROM h WHERE tag = of_tag ORDER BY random() LIMIT 1);
BEGIN
	n := (ARRAY[1, 2, 3, 4, 7, 10, 33, 100])[1 + floor(random() * 8)];
	CASE floor(random() * 5)
		WHEN 0 THEN s := least(a, b) - 5; e := greatest(a, b);
		WHEN 1 THEN s := a; e := a + 1 + (random() * 300)::int;
		WHEN 2 THEN s := 900000; e := 900000 + (random() * 1000000)::int + 1;
		WHEN 3 THEN s := -9223372036854775807 + (random() * 1e18)::bigint; e := 9223372036854775806 - (random() * 1e18)::bigint;
		ELSE s := least(a, b); e := greatest(a, b) + 1;
	END CASE;
END $$;

CREATE FUNCTION periods(s bigint, e bigint, n int) RETURNS TABLE (i int, lo bigint, hi bigint) LANGUAGE sql AS $$
	SELECT i, (s + div((i - 1) * (e::numeric - s), n))::bigint, (s + div(i * (e::numeric - s), n))::bigint
	FROM generate_series(1, n) i
$$;

-- the reductions, computed in numeric; NULL arrays and elements are left out
CREATE FUNCTION reductions(of_tag text, s bigint, e bigint, n int, method text)
RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	WITH rows AS MATERIALIZED (
		SELECT p.i, h.time, h.values FROM periods(s, e, n) p JOIN h ON h.tag = of_tag AND h.time > p.lo AND h.time <= p.hi
	), columns AS (
		SELECT r.i, k, count(v) AS count, sum(v::text::numeric)::float8 AS sum, avg(v::text::numeric)::float8 AS average,
			min(v) AS min, max(v) AS max, max(v) - min(v) AS range, stddev_samp(v::text::numeric)::float8 AS stddev,
			(array_agg(v ORDER BY r.time DESC) FILTER (WHERE v IS NOT NULL))[1]
				- (array_agg(v ORDER BY r.time) FILTER (WHERE v IS NOT NULL))[1] AS delta
		FROM rows r, unnest(r.values) WITH ORDINALITY u (v, k) GROUP BY r.i, k
	), widths AS (
		SELECT i, max(cardinality(values)) AS width FROM rows GROUP BY i
	)
	SELECT p.hi, CASE
		WHEN method = 'count' THEN ARRAY(
			SELECT coalesce(c.count, 0) FROM generate_series(1, (SELECT max(width) FROM widths)) k
			LEFT JOIN columns c ON c.i = p.i AND c.k = k.k ORDER BY k.k)
		WHEN w.width IS NULL THEN NULL
		ELSE ARRAY(SELECT CASE method WHEN 'sum' THEN sum WHEN 'average' THEN average WHEN 'min' THEN min
				WHEN 'max' THEN max WHEN 'range' THEN range WHEN 'stddev' THEN stddev ELSE delta END
			FROM columns c WHERE c.i = p.i ORDER BY k) END
	FROM periods(s, e, n) p LEFT JOIN widths w USING (i) ORDER BY p.i
$$;

-- each row holds from its time to the next row's
CREATE FUNCTION time_average(of_tag text, s bigint, e bigint, n int)
RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	WITH held AS MATERIALIZED (
		SELECT time::numeric AS since, coalesce(lead(time) OVER (ORDER BY time), 1e20) AS until, values FROM h WHERE tag = of_tag
	), spans AS MATERIALIZED (
		SELECT p.i, least(until, hi) - greatest(since, lo) AS span, values
		FROM periods(s, e, n) p JOIN held ON since < hi AND until > lo AND hi > lo
	), columns AS (
		SELECT i, k, (sum(v::text::numeric * span) FILTER (WHERE v IS NOT NULL)
			/ sum(span) FILTER (WHERE v IS NOT NULL))::float8 AS average
		FROM spans, unnest(values) WITH ORDINALITY u (v, k) GROUP BY i, k
	), widths AS (
		SELECT i, max(cardinality(values)) AS width FROM spans GROUP BY i
	)
	SELECT p.hi, CASE WHEN w.width IS NOT NULL THEN ARRAY(SELECT average FROM columns c WHERE c.i = p.i ORDER BY k) END
	FROM periods(s, e, n) p LEFT JOIN widths w USING (i) ORDER BY p.i
$$;

CREATE FUNCTION carried(of_tag text, s bigint, e bigint, n int, method text)
RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	SELECT p.hi, CASE
		WHEN method = 'first' THEN (SELECT h.values FROM h WHERE tag = of_tag AND h.time > p.lo AND h.time <= p.hi ORDER BY h.time LIMIT 1)
		WHEN method = 'last' OR l.time = p.hi OR r.time IS NULL OR l.values IS NULL THEN l.values
		ELSE ARRAY(SELECT coalesce(lv::text::numeric + (r.values[k]::text::numeric - lv::text::numeric)
				* (p.hi::numeric - l.time) / (r.time::numeric - l.time), lv::text::numeric)::float8
			FROM unnest(l.values) WITH ORDINALITY u (lv, k) ORDER BY k) END
	FROM periods(s, e, n) p
	LEFT JOIN LATERAL (SELECT * FROM h WHERE tag = of_tag AND h.time <= p.hi ORDER BY h.time DESC LIMIT 1) l ON true
	LEFT JOIN LATERAL (SELECT * FROM h WHERE tag = of_tag AND h.time > p.hi ORDER BY h.time LIMIT 1) r ON true
	ORDER BY p.i
$$;

CREATE FUNCTION last_known(of_tag text, s bigint, e bigint, n int)
RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	SELECT p.hi, CASE WHEN width IS NOT NULL THEN ARRAY(
		SELECT (SELECT h.values[k] FROM h WHERE tag = of_tag AND h.time <= p.hi AND h.values[k] IS NOT NULL ORDER BY h.time DESC LIMIT 1)
		FROM generate_series(1, width) k ORDER BY k) END
	FROM periods(s, e, n) p, LATERAL (SELECT max(cardinality(h.values)) AS width FROM h WHERE tag = of_tag AND h.time <= p.hi) w
	ORDER BY p.i
$$;

CREATE FUNCTION moving(of_tag text, s bigint, e bigint, n int, span bigint)
RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	SELECT p.hi, (
		SELECT CASE WHEN count(h.values) > 0 THEN ARRAY(
			SELECT (SELECT avg(g.values[k]::text::numeric)::float8 FROM h g
				WHERE g.tag = of_tag AND g.time::numeric > p.hi::numeric - span AND g.time <= p.hi)
			FROM generate_series(1, max(cardinality(h.values))) k ORDER BY k) END
		FROM h WHERE h.tag = of_tag AND h.time::numeric > p.hi::numeric - span AND h.time <= p.hi)
	FROM periods(s, e, n) p ORDER BY p.i
$$;

CREATE FUNCTION plot(of_tag text, s bigint, e bigint, n int) RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE sql AS $$
	WITH rows AS MATERIALIZED (
		SELECT p.i, h.* FROM periods(s, e, n / 4) p JOIN h ON h.time > p.lo AND h.time <= p.hi
		WHERE tag = of_tag AND h.values[1] <> 'NaN'
	), chosen AS (
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, rows.time) UNION
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, rows.values[1], rows.time) UNION
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, rows.values[1] DESC, rows.time) UNION
		(SELECT DISTINCT ON (i) i, rows.time FROM rows ORDER BY i, rows.time DESC)
	)
	SELECT rows.time, rows.values FROM rows JOIN chosen USING (i, time) ORDER BY 1
$$;

-- as published: every point of a bucket is tried; of minmaxlttb these are the extremes of twice as many periods
CREATE FUNCTION lttb(of_tag text, s bigint, e bigint, n int, all_rows bool DEFAULT true) RETURNS TABLE ("time" bigint, "values" float8[]) LANGUAGE plpgsql AS $$
DECLARE
	total int;
	a record;
	c record;
	bucket int;
BEGIN
	CREATE TEMP TABLE point ON COMMIT DROP AS
		SELECT row_number() OVER (ORDER BY h.time) AS nr, h.time, h.time::float8 AS x, h.values[1] AS y, h.values, p.i
		FROM h JOIN periods(s, e, n - 2) p ON h.time > p.lo AND h.time <= p.hi WHERE tag = of_tag AND (all_rows OR h.time IN (
			(SELECT min(f.time) FROM h f WHERE f.tag = of_tag AND f.time > s AND f.time <= e) UNION
			(SELECT max(f.time) FROM h f WHERE f.tag = of_tag AND f.time > s AND f.time <= e) UNION
			(SELECT DISTINCT ON (q.i) f.time FROM h f JOIN periods(s, e, 2 * (n - 2)) q ON f.time > q.lo AND f.time <= q.hi
				WHERE f.tag = of_tag ORDER BY q.i, f.values[1], f.time) UNION
			(SELECT DISTINCT ON (q.i) f.time FROM h f JOIN periods(s, e, 2 * (n - 2)) q ON f.time > q.lo AND f.time <= q.hi
				WHERE f.tag = of_tag ORDER BY q.i, f.values[1] DESC, f.time)));
	SELECT count(*) INTO total FROM point;
	SELECT * INTO a FROM point WHERE nr = 1;
	IF total > 0 THEN
		RETURN QUERY SELECT a.time, a.values;
	END IF;
	FOR bucket IN SELECT DISTINCT i FROM point WHERE nr > 1 AND nr < total ORDER BY i LOOP
		SELECT avg(x) AS x, avg(y) AS y INTO c FROM point WHERE nr > 1 AND nr < total
			AND i = (SELECT min(i) FROM point WHERE i > bucket AND nr < total AND nr > 1);
		IF c.x IS NULL THEN
			SELECT x, y INTO c FROM point WHERE nr = total;
		END IF;
		SELECT * INTO a FROM point p WHERE i = bucket AND nr > 1 AND nr < total
			ORDER BY abs((a.x - c.x) * (p.y - a.y) - (a.x - p.x) * (c.y - a.y)) DESC, nr LIMIT 1;
		RETURN QUERY SELECT a.time, a.values;
	END LOOP;
	IF total > 1 THEN
		RETURN QUERY SELECT p.time, p.values FROM point p WHERE nr = total;
	END IF;
	DROP TABLE point;
END $$;

-- equal but for a tolerance, relative to the number or to a given size
CREATE FUNCTION same(a float8[], b float8[], tolerance float8, size float8) RETURNS bool LANGUAGE sql AS $$
	SELECT (a IS NULL) = (b IS NULL) AND (a IS NULL OR (cardinality(a) = cardinality(b) AND NOT EXISTS (
		SELECT FROM unnest(a, b) u (x, y) WHERE x IS DISTINCT FROM y AND coalesce(
			NOT (abs(x - y) <= tolerance * greatest(abs(x), abs(y), size)) OR 'NaN' IN (x, y)
			OR 'Infinity' IN (abs(x), abs(y)), true))))
$$;

CREATE FUNCTION mismatches(method text, windows int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	w record;
	of_tag text;
	span bigint;
	query text;
	tolerance float8 := CASE WHEN method IN ('sum', 'average', 'stddev', 'time_average', 'interpolated', 'moving_average') THEN 1e-12 ELSE 0 END;
	size float8;
BEGIN
	FOR nr IN 1 .. windows LOOP
		of_tag := (ARRAY['dense', 'ragged', 'spike', 'sparse', 'chart'])[1 + floor(random() * 5)];
		IF method IN ('lttb', 'minmaxlttb') THEN
			of_tag := 'chart';
		END IF;
		-- over a window of 1e19 ns all of a chart stands at one place, to the precision of a double
		LOOP
			SELECT * INTO w FROM random_window(of_tag);
			EXIT WHEN method NOT IN ('lttb', 'minmaxlttb') OR w.e::numeric - w.s < 1e12;
		END LOOP;
		w.n := greatest(w.n, CASE method WHEN 'plot' THEN 4 WHEN 'lttb' THEN 3 WHEN 'minmaxlttb' THEN 3 ELSE 1 END);
		span := (ARRAY[1, 5000, 60000, 900000, 9223372036854775807])[1 + floor(random() * 5)];
		-- differences of numbers: their error is that of the numbers
		size := CASE WHEN method IN ('time_average', 'interpolated') THEN 100 ELSE 0 END;
		query := CASE
			WHEN method IN ('first', 'last', 'interpolated') THEN 'carried($1, $2, $3, $4, $5)'
			WHEN method IN ('time_average', 'last_known') THEN method || '($1, $2, $3, $4)'
			WHEN method = 'moving_average' THEN 'moving($1, $2, $3, $4, $6)'
			WHEN method IN ('plot', 'lttb') THEN method || '($1, $2, $3, $4)'
			WHEN method = 'minmaxlttb' THEN 'lttb($1, $2, $3, $4, false)'
			ELSE 'reductions($1, $2, $3, $4, $5)' END;
		RETURN QUERY EXECUTE format($q$
			SELECT format('%%s %%s (%%s, %%s] %%s at %%s/%%s: %%s, expected %%s', $5, $1, $2, $3, $4, got.time, want.time, got.values, want.values)
			FROM (SELECT time, values, row_number() OVER () AS nr FROM %s) got
			FULL JOIN (SELECT time, values, row_number() OVER () AS nr FROM %s) want USING (nr)
			WHERE got.time IS DISTINCT FROM want.time OR NOT pgtap_methods.same(got.values, want.values, $7, $8)$q$,
			CASE WHEN method = 'moving_average' THEN 'historian.moving_average(''m'', $1, $2, $3, $4, $6)'
				ELSE 'historian.downsample(''m'', $1, $2, $3, $4, $5)' END, query)
			USING of_tag, w.s, w.e, w.n, method, span, tolerance, size;
	END LOOP;
END $$;

CREATE TABLE methods (method text, windows int);
INSERT INTO methods VALUES ('last', 60), ('last_known', 60), ('first', 60), ('interpolated', 60), ('min', 20), ('max', 20), ('range', 20),
	('average', 20), ('time_average', 60), ('sum', 20), ('count', 20), ('stddev', 20), ('delta', 20), ('plot', 60),
	('lttb', 40), ('minmaxlttb', 40), ('moving_average', 40);

-- only pending segments, which overlap
SELECT load(600, 4) \g /dev/null
ANALYZE h;
SELECT is_empty($$SELECT f FROM methods, mismatches(method, windows / 4) f$$, 'with pending segments only');

-- compacted, then later loads on top
SELECT historian.compact('m') \g /dev/null
SELECT load(100, 3) \g /dev/null
SELECT is_empty(format('SELECT mismatches(%L, %s)', method, windows), method || ' in ' || windows || ' windows') FROM methods;

SELECT historian.compact('m') \g /dev/null
SELECT is_empty($$SELECT f FROM methods, mismatches(method, windows / 4) f$$, 'with compacted segments only');

-- the functions that return rows
SELECT results_eq($$SELECT * FROM historian.tags('m')$$,
	$$SELECT tag, min(time), max(time), count(*) FROM h GROUP BY tag ORDER BY tag COLLATE "C"$$, 'tags, compacted');
SELECT load(50, 4) \g /dev/null
SELECT results_eq($$SELECT * FROM historian.tags('m')$$,
	$$SELECT tag, min(time), max(time), count(*) FROM h GROUP BY tag ORDER BY tag COLLATE "C"$$, 'tags, overlapping');
SELECT results_eq($$SELECT tag, time, values FROM historian.latest('m')$$,
	$$SELECT DISTINCT ON (tag COLLATE "C") tag, time, values FROM h ORDER BY tag COLLATE "C", time DESC$$, 'latest');
SELECT results_eq($$SELECT time, values FROM historian.raw('m', 'ragged', 1050000, 1250000)$$,
	$$SELECT time, values FROM h WHERE tag = 'ragged' AND time >= 1050000 AND time < 1250000 ORDER BY time$$, 'raw');

SELECT * FROM finish();
DROP SCHEMA pgtap_methods CASCADE;
