-- fixture.sql
--	 historian.downsample and latest in plain SQL over any table, so that the HTTP server can be tested on a
--	 PostgreSQL without the extension.  Method "last" only.  Of several rows of the same time the
--	 last loaded one counts, as in the extension.

CREATE SCHEMA IF NOT EXISTS historian;

CREATE OR REPLACE FUNCTION historian.downsample(
	relation regclass, tag text, start bigint, "end" bigint,
	samples integer DEFAULT 1000, method text DEFAULT 'last')
RETURNS TABLE ("time" bigint, "values" float8[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
	known boolean;
BEGIN
	IF method <> 'last' THEN
		RAISE EXCEPTION 'unknown method "%"', method USING ERRCODE = 'invalid_parameter_value';
	END IF;
	EXECUTE format('SELECT EXISTS (SELECT FROM %s m WHERE m.tag = $1)', relation)
		INTO known USING tag;
	IF NOT known THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format(
		'SELECT t.at, l.values
		   FROM (SELECT i, ($1::numeric + div(i * ($2::numeric - $1::numeric), $3))::bigint AS at
				   FROM generate_series(1, $3) i) t
		   LEFT JOIN LATERAL (
				SELECT m.values FROM %s m WHERE m.tag = $4 AND m.time <= t.at
				 ORDER BY m.time DESC, m.ctid DESC LIMIT 1) l ON true
		  ORDER BY t.i', relation)
		USING start, "end", samples, tag;
END
$$;

CREATE OR REPLACE FUNCTION historian.latest(relation regclass, tags text[])
RETURNS TABLE (tag text, "time" bigint, "values" float8[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT DISTINCT ON (m.tag COLLATE "C") m.tag, m.time, m.values FROM %s m
		  WHERE m.tag = ANY ($1) ORDER BY m.tag COLLATE "C", m.time DESC, m.ctid DESC', relation)
		USING tags;
END
$$;
