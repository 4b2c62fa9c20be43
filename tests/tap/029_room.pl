# The room of what the background worker has merged is used by the next loads, without VACUUM.
#
# Runs alone, because it counts on compaction to keep up with its loads.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $tags = 3000;
my $node = PostgreSQL::Test::Cluster->new('room');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1s
historian.compaction_min_rows = 0
historian.compaction_nice = 0
autovacuum = off
fsync = off
END
$node->start;
sub query { return $node->safe_psql('postgres', $_[0]) }
query('CREATE EXTENSION historian; CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian');

my $first;
for my $load (1 .. 64)
{
	query("INSERT INTO m SELECT $load, 'site/area/sensor-' || i, ARRAY[i % 100] FROM generate_series(1, $tags) i");
	$first //= query("SELECT pg_relation_size('m')");
	next if $load % 8;
	$node->poll_query_until('postgres', "SELECT count(*) < 8 FROM historian.stat_runs WHERE level = 0") or die 'not merged';
	# the worker ends a round a moment after its transaction
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'historian compaction worker'") or die 'worker';
}
my $size = query("SELECT pg_relation_size('m')");
cmp_ok($size, '<', 0.7 * 64 * $first, "the file, $size bytes, is smaller than what was loaded, 64 times $first bytes");
is(query('SELECT count(*), count(DISTINCT (tag, time)) FROM m'), 64 * $tags . '|' . 64 * $tags, 'all rows are there');
is(query("SELECT count(*) FROM historian.check('m')"), '0', 'check() finds nothing');
$node->stop;
done_testing();
