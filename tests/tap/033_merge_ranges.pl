# The background worker merges sorted runs in parts, and with them rows that their tags have in segments of their own.  The times of
# these may be before and after those of all runs; readers find them, though the root of the new run was written with the first part.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('ranges');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction = off
historian.compaction_interval = 1s
historian.compaction_min_rows = 0
historian.compaction_nice = 0
autovacuum = off
fsync = off
jit = off
END
$node->start;
sub query { return $node->safe_psql('postgres', $_[0]) }
query(<<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[]);
CREATE FUNCTION load(at bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO m SELECT at, 'site/sensor-' || i, ARRAY[sin(at * 7 + i)] FROM generate_series(10001, 34000) i;
	INSERT INTO h SELECT at, 'site/sensor-' || i, ARRAY[sin(at * 7 + i)] FROM generate_series(10001, 34000) i;
$$;
END
query("SELECT load($_)") for 1 .. 3;
# fewer tags than share segments
query("INSERT INTO $_ SELECT CASE WHEN i % 2 = 0 THEN 1000000 ELSE -1000000 END, 'site/sensor-' || i, ARRAY[i] FROM generate_series(10003, 34000, 77) i") for qw(m h);
query("SELECT load($_)") for 4 .. 6;
query("ALTER SYSTEM SET historian.compaction = on;\nSELECT pg_reload_conf()");
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM historian.stat_runs WHERE level = 0}) or die 'the merge does not end';
query("ALTER SYSTEM SET historian.compaction = off;\nSELECT pg_reload_conf()");
is(query(q{SELECT count(*) FROM historian.check('m')}), '0', 'the check finds nothing');
is(query('SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) d'), '0', 'all rows');
is(query(<<'END'), '0 0', 'each is found by its tag and time');
SET enable_seqscan = off;
SELECT string_agg((SELECT count(*) FROM generate_series(10003, 34000, 77) i WHERE i % 2 = n AND NOT EXISTS (SELECT FROM m WHERE tag = 'site/sensor-' || i AND time = at))::text, ' ')
	FROM (VALUES (0, 1000000), (1, -1000000)) v (n, at);
END
# Random loads, of runs and of segments of their tags' own, with the same times again and again: the row that came last stays.
my $seed = $ENV{SEED} // int(rand(1_000_000_000));
diag "SEED=$seed";
srand($seed);
query(<<'END');
CREATE TABLE l (time bigint, tag text COLLATE "C", values float8[], PRIMARY KEY (tag, time));
CREATE FUNCTION random_load(n int, at bigint, first int, part float8, run boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('historian.min_shared_tags', CASE WHEN run THEN '2' ELSE '1000000' END, true);
	CREATE TEMP TABLE new ON COMMIT DROP AS
		SELECT at + (i + n) % 2 AS time, 'site/sensor-' || i AS tag, ARRAY[n]::float8[] AS values FROM generate_series(first, 34000) i WHERE random() < part;
	INSERT INTO m TABLE new;
	INSERT INTO l TABLE new ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
END $$;
END
for my $density (0.002, 0.9)
{
	query('TRUNCATE m, l');
	for my $n (1 .. 8)
	{
		# Loads 3 and 6 are between runs, so that a merge takes their rows.  Those of load 3 are before all runs, and not of the
		# first tags: the first part of the merge does not know of them when it writes the root.
		query(sprintf "SELECT setseed(%s);\nSELECT random_load(%d, %d, %d, %s, %s)", rand, $n,
			$n == 3 ? (-100, 30001) : (10 + int rand 4, 10001), $n % 3 == 0 ? ($density, 'false') : (rand() < 0.5 ? 1 : rand, 'true'));
	}
	query("ALTER SYSTEM SET historian.compaction = on;\nSELECT pg_reload_conf()");
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM historian.stat_runs WHERE level = 0}) or die 'the merge does not end';
	query("ALTER SYSTEM SET historian.compaction = off;\nSELECT pg_reload_conf()");
	is(query(q{SELECT count(*) FROM historian.check('m')}), '0', "$density of the tags have segments of their own: the check finds nothing");
	is(query('SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE l) UNION ALL (TABLE l EXCEPT ALL TABLE m)) d'), '0', 'the last rows stay');
	is(query('SELECT count(*) FROM (SELECT tag, count(*), sum(values[1]) FROM l GROUP BY tag) t (tag, n, s) WHERE (n, s) IS DISTINCT FROM (SELECT (count(*), sum(values[1])) FROM m WHERE m.tag = t.tag)'),
		'0', 'looked up by tag, too');
}
$node->stop;
done_testing();
