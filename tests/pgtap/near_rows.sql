-- Samples that are near each other, whose rows are decoded together, against a brute force over a heap table.
-- The seed is printed; PGOPTIONS='-c historian_test.seed=0.42' sets it.
BEGIN;
SELECT plan(6);
SELECT coalesce(nullif(current_setting('historian_test.seed', true), ''), (round(random()::numeric, 6))::text) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed) \gset

CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE parts (LIKE m) PARTITION BY RANGE (time);
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- Rows at every tenth time, or late ones between them.
CREATE FUNCTION pg_temp.load(first int, count int, late bool) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE batch ON COMMIT DROP AS
	SELECT DISTINCT ON (2, 1) CASE WHEN late THEN floor(random() * first)::bigint * 10 + 1 + floor(random() * 9)::int ELSE (first + i) * 10 END AS time, tag,
		CASE tag
			-- coded differences: small ones are frequent
			WHEN 'walk' THEN ARRAY[round((100 * sin(i / 700.0) + power(random(), 6))::numeric, 2), round(power(random(), 9)::numeric, 2), i]::float8[]
			WHEN 'digits' THEN ARRAY[random(), 1e300 * random()]
			WHEN 'wide' THEN (SELECT array_agg((v + round(power(random(), 6)::numeric, 1) + i * 0)::float8) FROM generate_series(1, 300) v)
			ELSE CASE WHEN random() < 0.05 THEN NULL WHEN random() < 0.05 THEN '{}' WHEN random() < 0.5 THEN ARRAY[i, NULL, 'NaN'::float8]
				ELSE ARRAY[NULL, random()] END
		END AS values
	FROM (VALUES ('walk'), ('digits'), ('ragged'), ('wide')) t(tag), generate_series(1, count) i WHERE tag <> 'wide' OR i <= count / 10;
	DELETE FROM batch b USING h WHERE (h.tag, h.time) = (b.tag, b.time);
	INSERT INTO m SELECT * FROM batch;
	INSERT INTO parts SELECT * FROM batch;
	INSERT INTO h SELECT * FROM batch;
	DROP TABLE batch;
END $$;

-- Windows whose samples are apart by a tenth of a row to some hundred rows, some of them at gaps that change.
CREATE FUNCTION pg_temp.wrong(of_table regclass, n int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	of_tag text;
	start bigint;
	length bigint;
	samples int;
	problem text;
BEGIN
	FOR i IN 1..n LOOP
		of_tag := (ARRAY['walk', 'digits', 'ragged', 'wide'])[1 + i % 4];
		samples := CASE WHEN i % 3 = 0 THEN 1000 ELSE 1 + (random() * 300)::int END;
		length := greatest(samples * power(10, random() * 3.5), 1)::bigint;
		start := floor(random() * (SELECT max(time) FROM h WHERE tag = of_tag))::bigint - length / 2;
		SELECT min(format('%s: %s samples of [%s, %s], at %s: have %s, want %s', of_tag, samples, start, start + length, g.time, g.values, e.values))
		INTO problem
		FROM historian.downsample(of_table, of_tag, start, start + length, samples) g
		LEFT JOIN LATERAL (SELECT * FROM h WHERE tag = of_tag AND h.time <= g.time ORDER BY time DESC LIMIT 1) e ON true
		WHERE array_send(g.values) IS DISTINCT FROM array_send(e.values);
		IF problem IS NOT NULL THEN
			RETURN NEXT problem;
		END IF;
	END LOOP;
END $$;

DO $$ BEGIN
	FOR part IN 0..4 LOOP
		EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s) USING historian', part, part * 20000,
			(part + 1) * 20000);
	END LOOP;
END $$;
SELECT pg_temp.load(0, 6000, false), pg_temp.load(6000, 60, true), pg_temp.load(6000, 300, false) \gset
SELECT is_empty($$SELECT pg_temp.wrong('m', 120)$$, 'rows as they were loaded');
SELECT historian.compact('m') \gset
SELECT is_empty($$SELECT pg_temp.wrong('m', 120)$$, 'compacted rows');
SELECT pg_temp.load(6300, 1000, true), pg_temp.load(6300, 50, true), pg_temp.load(6300, 700, false) \gset
SELECT is_empty($$SELECT pg_temp.wrong('m', 120)$$, 'late rows between compacted ones');
DELETE FROM m WHERE time % 70 = 0;
DELETE FROM h WHERE time % 70 = 0;
SELECT is_empty($$SELECT pg_temp.wrong('m', 120)$$, 'with rows deleted');
DELETE FROM parts WHERE time % 70 = 0;
SELECT is_empty($$SELECT pg_temp.wrong('parts', 120)$$, 'rows of several tables');

-- one call, of tags whose rows are in the same places of their segments
SELECT results_eq(
	$$SELECT t.tag, d.time, array_send(d.values) FROM (VALUES ('walk'), ('digits'), ('ragged')) t(tag), historian.downsample('m', t.tag, 20000, 22000, 200) d
		ORDER BY 1, 2$$,
	$$SELECT t.tag, s * 10 + 20000, (SELECT array_send(values) FROM h WHERE h.tag = t.tag AND time <= s * 10 + 20000 ORDER BY time DESC LIMIT 1)
		FROM (VALUES ('walk'), ('digits'), ('ragged')) t(tag), generate_series(1::bigint, 200) s ORDER BY 1, 2$$,
	'tags one after the other');
SELECT * FROM finish();
ROLLBACK;
