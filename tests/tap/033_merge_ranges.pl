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
$node->stop;
done_testing();
