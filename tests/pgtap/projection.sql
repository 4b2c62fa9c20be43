-- Only the values that a query uses are decoded: whatever the query, it answers as a heap twin does.
BEGIN;
SELECT plan(35);
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
INSERT INTO h SELECT i, 't' || i % 3, CASE WHEN i % 10 = 0 THEN NULL WHEN i % 11 = 0 THEN '{}' WHEN i % 7 = 0 THEN ARRAY[i, NULL, i + 2.5]
	WHEN i % 5 = 0 THEN ARRAY[i] ELSE ARRAY[i, i * 0.5, -i, i % 17, 1e300, 'NaN', 7] END
	FROM generate_series(1, 3000) i;
INSERT INTO h SELECT i, 'even', ARRAY[i, i * 0.5, -i, i % 17, 1e300, 'NaN', 7] FROM generate_series(1, 3000) i;
INSERT INTO m SELECT * FROM h WHERE time % 2 = 0;
SELECT historian.compact('m') \g /dev/null
INSERT INTO m SELECT * FROM h WHERE time % 2 = 1;
SET LOCAL historian.enable_aggregate = off;

CREATE FUNCTION rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT string_agg(r::text, chr(10) ORDER BY r::text) FROM (' || query || ') r' INTO result;
	RETURN result;
END $$;

CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		lines := lines || line || chr(10);
	END LOOP;
	RETURN lines;
END $$;

-- decoded: as EXPLAIN tells; NULL: does not matter
CREATE FUNCTION twin(query text, decoded text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan text := plan_of(format(query, 'm'));
BEGIN
	RETURN NEXT is(substring(plan FROM 'Values Decoded: ([^\n]*)'), decoded, 'values decoded');
	RETURN NEXT is(md5(rows_of(format(query, 'm'))), md5(rows_of(format(query, 'h'))), query);
END $$;

SELECT twin('SELECT values[2] FROM %s WHERE tag = ''t1''', '2');
SELECT twin('SELECT tag, values[3] + values[5] FROM %s WHERE values[2] > 100', '2 to 5');
SELECT twin('SELECT avg(values[7]), count(values[1]) FROM %s', '1 to 7');
SELECT twin('SELECT count(values[200]) FROM %s', '200');
SELECT twin('SELECT time FROM %s WHERE tag = ''even''', NULL);
SELECT twin('SELECT time, values FROM %s', 'all');
SELECT twin('SELECT time FROM %s WHERE values IS NULL OR 4 = ANY (values)', 'all');
SELECT twin('SELECT values[1] FROM %s WHERE 4 = ANY (values)', 'all');
SELECT twin('SELECT x, values[1] FROM %s x', 'all');
SELECT twin('SELECT values[1], cardinality(values) FROM %s', 'all');
SELECT twin('SELECT values[1:2], values[time] FROM %s', 'all');
SELECT twin('SELECT values[0], values[-1], values[1] FROM %s', 'all');
SELECT twin('SELECT time, values[2] FROM %s t ORDER BY t.values', 'all');
SELECT twin('SELECT x.y FROM %s t, LATERAL (SELECT t.values[2] * 2 AS y) x', '2');
SELECT twin('SELECT (SELECT max(v) FROM unnest(t.values) v), values[2] FROM %s t', 'all');
SELECT twin('SELECT s.v[2] FROM (SELECT values AS v FROM %s OFFSET 0) s', 'all');
SELECT twin('SELECT sum(values[2]) OVER (PARTITION BY tag ORDER BY time) FROM %s', '2');
SELECT is(values, (SELECT values FROM h WHERE tag = 'even' AND time = 4), 'whole arrays begin at 1') FROM m WHERE tag = 'even' AND time = 4;
SELECT * FROM finish();
ROLLBACK;
