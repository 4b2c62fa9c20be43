# The statistics views while others lock, load and compact, and in a server without shared_preload_libraries.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('statistics');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION historian;
	CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
	INSERT INTO m SELECT i, 'a', ARRAY[i] FROM generate_series(1, 100) i; SELECT historian.compact('m')");
is($node->safe_psql('postgres', 'SELECT preloaded, enabled, launcher_pid IS NULL, rounds IS NULL FROM historian.stat_worker'), 'f|f|t|t', 'not preloaded: says so');
is($node->safe_psql('postgres', 'SELECT relname, merges IS NULL, last_merge IS NULL FROM historian.stat_compaction'), 'm|t|t', 'not preloaded: counts nothing');
is($node->safe_psql('postgres', 'SELECT pending_segments, compacted_rows FROM historian.stat_tables'), '0|100', 'not preloaded: what the table holds');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nhistorian.compaction_interval = 1\nhistorian.compaction_min_rows = 0\n");
$node->restart;
my ($start) = $node->safe_psql('postgres', 'SELECT rounds FROM historian.stat_worker');
# more than a page for one tag in many loads: the background worker merges it
$node->safe_psql('postgres', join(';', map { "INSERT INTO m SELECT i, 'a', ARRAY[random()] FROM generate_series($_ * 1000, $_ * 1000 + 99) i" } 1 .. 20));
ok($node->poll_query_until('postgres', "SELECT merges > 0 AND segments_merged >= 20 AND bytes_merged > 8000 AND failed = 0 AND last_merge > now() - interval '1 min'
	FROM historian.stat_compaction WHERE relid = 'm'::regclass"), 'the background worker counts');
ok($node->poll_query_until('postgres', 'SELECT rounds > 0 AND round_end >= round_begin AND launcher_pid IS NOT NULL AND worker_pid IS NULL FROM historian.stat_worker'), 'rounds');
is($node->safe_psql('postgres', 'SELECT pending_segments FROM historian.stat_tables'), '0', 'nothing is pending');

# a load that does not end holds back what comes after it, and nothing else; no round comes before all of it was loaded, because the horizon
# of that round would be waited for
sub set_compaction { $node->safe_psql('postgres', "ALTER SYSTEM SET historian.compaction = $_[0]; SELECT pg_reload_conf()") }
my $rounds = $node->safe_psql('postgres', 'SELECT rounds FROM historian.stat_worker');
set_compaction('off');
ok($node->poll_query_until('postgres', "SELECT rounds > $rounds + 1 AND worker_pid IS NULL FROM historian.stat_worker"), 'no round compacts');
my $loader = $node->background_psql('postgres');
$loader->query_safe("BEGIN; INSERT INTO m VALUES (1, 'b', '{1}')");
$node->safe_psql('postgres', join(';', map { "INSERT INTO m SELECT i, 'a', ARRAY[random()] FROM generate_series($_ * 1000, $_ * 1000 + 99) i" } 21 .. 40));
set_compaction('on');
ok($node->poll_query_until('postgres', 'SELECT deferred > 1 FROM historian.stat_compaction'), 'a load under way: deferred');
is($node->safe_psql('postgres', 'SELECT pending_segments FROM historian.stat_tables'), '20', 'the backlog');
my $second = $node->background_psql('postgres');
$second->query_safe("BEGIN; INSERT INTO m VALUES (2, 'b', '{1}')");
$loader->query_safe('COMMIT');
ok($node->poll_query_until('postgres', 'SELECT pending_segments < 20 FROM historian.stat_tables'), 'merged while another load is under way, begun since');
$second->query_safe('ROLLBACK');
$second->quit;

# a look never waits
$loader->query_safe('BEGIN; LOCK TABLE m');
is($node->safe_psql('postgres', "SET lock_timeout = '5s'; SELECT relname, total_bytes, pending_segments FROM historian.stat_tables"), 'm||', 'locked exclusively: NULL, at once');
$loader->query_safe('COMMIT');
$loader->quit;
$node->safe_psql('postgres', "DROP TABLE m");
is($node->safe_psql('postgres', 'SELECT count(*) FROM historian.stat_compaction'), '0', 'a dropped table is gone');
$node->stop;
done_testing();
