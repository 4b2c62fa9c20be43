-- query_bench.sql: what tests/bench/query measures with, in a schema of its own.
CREATE SCHEMA IF NOT EXISTS bench;
SET search_path = bench;

CREATE OR REPLACE FUNCTION lap(statement text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz = clock_timestamp();
BEGIN
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1000;
END $$;
COMMENT ON FUNCTION lap IS 'Milliseconds that a statement takes in the server, its rows thrown away';

-- $start and $end stand for the window: length long, shifted by less than a second, anew each time
CREATE OR REPLACE FUNCTION placed(statement text, start bigint, length bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    shift bigint = (random() * 1e9)::bigint;
BEGIN
    RETURN replace(replace(statement, '$start', (start + shift)::text), '$end', (start + shift + length)::text);
END $$;

CREATE OR REPLACE FUNCTION laps(statement text, start bigint, length bigint, runs integer) RETURNS float8[]
LANGUAGE plpgsql AS $$
DECLARE
    laps float8[] = '{}';
BEGIN
    IF runs > 1 THEN
        PERFORM bench.lap(bench.placed(statement, start, length)); -- does not count
    END IF;
    FOR run IN 1 .. runs LOOP
        laps = laps || bench.lap(bench.placed(statement, start, length));
    END LOOP;
    RETURN laps;
END $$;
COMMENT ON FUNCTION laps IS 'Laps of a statement over windows of one length, after one that warms up if there are several';

-- whether two arrays are the same but for rounding: relative to the greater, or to 1 where both are small
CREATE OR REPLACE FUNCTION near(a float8[], b float8[], tolerance float8) RETURNS boolean LANGUAGE sql AS $$
    SELECT a IS NOT DISTINCT FROM b OR cardinality(a) = cardinality(b) AND
        (SELECT bool_and(abs(x - y) <= tolerance * greatest(abs(x), abs(y), 1)) FROM unnest(a, b) AS both_of(x, y))
$$;
