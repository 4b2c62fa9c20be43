#!/usr/bin/env bash
# tests/load/bench_pending.sh: what pending segments cost a reader (docs/adr/0002).
#
# Loads one tag in LOADS loads of 100 rows each, so that it has as many pending segments, once in
# order of time and once so that every segment overlaps every other; times lookups and reads by
# medians; compacts; times them again. Works in a database historian_bench of its own on the server
# that PGHOST, PGPORT, PGUSER, ... name, which needs the extension historian. From the environment:
#   LOADS='100 1000 10000' for loads in order  OVERLAPPING='10 100 1000' for overlapping ones
#   RUNS=9 (the median counts)  PG_CONFIG=pg_config
set -euo pipefail

LOADS=${LOADS:-100 1000 10000}
OVERLAPPING=${OVERLAPPING:-10 100 1000}
RUNS=${RUNS:-9}
bindir=$("${PG_CONFIG:-pg_config}" --bindir)
admin_database=${PGDATABASE:-postgres}

sql()
{
	PGOPTIONS='-c client_min_messages=warning -c max_parallel_workers_per_gather=0' \
		"$bindir/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# Prints one line of times in milliseconds for what stands in table m.
times()
{
	sql -F ' ' -v what="$1" -v runs="$RUNS" <<-'SQL' | xargs printf '%-22s %9.3f %9.3f %9.3f %9.2f %9.2f\n'
		SELECT :'what',
			-- one sample at the end, in the middle; 1,000 samples over everything
			lap('SELECT historian.downsample(''m'', ''tag'', m.last, m.last + 1, 1) FROM bounds m', :runs),
			lap('SELECT historian.downsample(''m'', ''tag'', m.middle, m.middle + 1, 1) FROM bounds m', :runs),
			lap('SELECT historian.downsample(''m'', ''tag'', m.first, m.last, 1000) FROM bounds m', :runs),
			-- a hundredth of the rows, and all of them
			lap('SELECT count(values) FROM m WHERE tag = ''tag'' AND time BETWEEN (SELECT middle FROM bounds)
				AND (SELECT middle + (last - first) / 100 FROM bounds)', :runs),
			lap('SELECT count(values) FROM m WHERE tag = ''tag''', :runs);
	SQL
}

measure()
{
	local order=$1 loads=$2 time='(load - 1) * 100000 + row * 1000'

	[ "$order" = overlapping ] && time="row * $loads * 1000 + load"
	sql <<-SQL
		TRUNCATE m;
		DO \$\$ BEGIN
			FOR load IN 1 .. $loads LOOP
				INSERT INTO m SELECT $time, 'tag', array[row + 0.25, row + 0.5, row + 0.75, load, 1, 2, 3, 4, 5, 6]
					FROM generate_series(1, 100) AS row;
			END LOOP;
		END \$\$;
		TRUNCATE bounds;
		INSERT INTO bounds SELECT min(time), min(time) + (max(time) - min(time)) / 2, max(time) FROM m;
		VACUUM m;
	SQL
	times "$loads,$order"
	sql -c "SELECT '     compacted in ' || lap('SELECT historian.compact(''m'')', 1)::numeric(12, 1) || ' ms'"
	sql -c 'VACUUM m'
	times "$loads,compacted"
}

PGDATABASE=$admin_database sql -c 'DROP DATABASE IF EXISTS historian_bench' \
	-c 'CREATE DATABASE historian_bench'
export PGDATABASE=historian_bench
sql <<-'SQL'
	CREATE EXTENSION historian;
	CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
	CREATE TABLE bounds (first bigint, middle bigint, last bigint);
	-- the median time of a statement in milliseconds, after one run that does not count
	CREATE FUNCTION lap(statement text, runs integer) RETURNS float8 LANGUAGE plpgsql AS $$
	DECLARE
		began timestamptz;
		laps float8[] = '{}';
	BEGIN
		FOR run IN 1 .. runs + (runs > 1)::integer LOOP
			began = clock_timestamp();
			EXECUTE statement;
			laps = laps || extract(epoch FROM clock_timestamp() - began) * 1000;
		END LOOP;
		RETURN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lap)
			FROM unnest(laps[1 + (runs > 1)::integer :]) AS lap);
	END $$;
SQL
echo 'medians in ms           one, last  one, mid.  1000 samp.   1% rows  all rows'
for loads in $LOADS; do
	measure in-order "$loads"
done
for loads in $OVERLAPPING; do
	measure overlapping "$loads"
done
PGDATABASE=$admin_database sql -c 'DROP DATABASE historian_bench'
