# The background worker merges sorted runs in parts. Between two parts a row is in the new run or in an old one: for readers, for
# snapshots from before and for a standby; after a crash, a deletion and historian.compact() in between. A heap has the same rows.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $tags = 12000;
my $node = PostgreSQL::Test::Cluster->new('parts');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction = off
historian.compaction_interval = 1s
historian.compaction_min_rows = 0
historian.compaction_nice = 0
max_standby_streaming_delay = -1
# what a standby that is slow has yet to read
wal_keep_size = 1GB
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
CREATE FUNCTION load(at bigint, tags int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO h SELECT at, 'site/area-' || i / 40 || '/sensor-' || i, ARRAY[sin(at * 7 + i)] FROM generate_series(1, tags) i;
	INSERT INTO m SELECT * FROM h WHERE time = at;
$$;
CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM historian.check('m')) + (SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) d)
		+ (SELECT count(*) FROM (SELECT tag FROM h WHERE tag LIKE '%77' GROUP BY tag HAVING count(*) <> (SELECT count(*) FROM m WHERE m.tag = h.tag)) d)
$$;
END
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

sub same { is(query('SELECT differ()'), '0', $_[0]) }

# Stops the worker between two parts of a merge: a snapshot sees what the first one has deleted, so the worker waits a while, and a
# signal stops it there.
my $time = 0;
my $worker;
sub merge_half
{
	my ($loads) = @_;
	my $reader;
	# one session for all questions, because the worker does not wait long for a busy machine to start others
	my $watcher = $node->background_psql('postgres');

	query("SELECT load($_, $tags)") for $time + 1 .. $time + $loads;
	$time += $loads;
	$reader = $node->background_psql('postgres');
	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($reader->query_safe('SELECT differ()'), '0', 'a snapshot from before');
	query("ALTER SYSTEM SET historian.compaction = on;\nSELECT pg_reload_conf()");
	# the runs of the loads that have lost their first tags
	my $half = "SELECT count(*) > 0 FROM historian.stat_runs WHERE rows < $tags AND rows > 0 AND level = 0";
	my $deadline = time + 180;
	while (1)
	{
		die 'no merge stops between two parts' if time > $deadline;
		usleep(5000);
		$worker = $watcher->query_safe("SELECT pid FROM pg_stat_activity WHERE backend_type = 'historian compaction worker' AND ($half)") or next;
		kill 'STOP', $worker;
		last if $watcher->query_safe("SELECT xact_start IS NULL FROM pg_stat_activity WHERE pid = $worker") eq 't' && $watcher->query_safe($half) eq 't';
		kill 'CONT', $worker;
	}
	$watcher->quit;
	return $reader;
}

sub go_on { kill 'CONT', $worker }

sub stop_worker
{
	query("ALTER SYSTEM SET historian.compaction = off;\nSELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'historian compaction worker'") or die 'worker';
}

my $reader = merge_half(5);
same('between two parts');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT differ()'), '0', 'on a standby');
is($reader->query_safe('SELECT differ()'), '0', 'the snapshot from before sees what it saw');

# Loads that come meanwhile are merged with each other before the rest of the earlier ones.  Otherwise all would be in one run in the
# end, because loads are merged with an earlier run of as many rows.
query("SELECT load($_, $tags)") for $time + 1 .. $time + 5;
$time += 5;
$reader->query_safe('COMMIT');
$reader->quit;
go_on();
$node->poll_query_until('postgres', 'SELECT count(*) <= 2 FROM historian.stat_runs WHERE rows > 0') or die 'the merges do not end';
is(query("SELECT string_agg(rows::text, ' ' ORDER BY first_time) FROM historian.stat_runs"), join(' ', (5 * $tags) x 2), 'two runs have all rows in the end');
same('merged');
stop_worker();

# a crash; what is left is merged with what comes later
$reader = merge_half(4);
query("ALTER SYSTEM SET historian.compaction = off;\nSELECT pg_reload_conf()");
$node->stop('immediate');
eval { $reader->quit };
$node->start;
same('a crash between two parts');
cmp_ok(query('SELECT count(*) FROM historian.stat_runs WHERE level = 0'), '>', 0, 'some of the merge is left');
query("SELECT load($time + $_, $tags)") for 1 .. 4;
$time += 4;
query(q{SELECT historian.compact_due('m')});
same('the rest is merged by another merge');
is(query('SELECT count(*) FROM historian.stat_runs WHERE level = 0'), '0', 'nothing is left of the loads');

# others that change the table in the meantime
for my $change (q{DELETE FROM %1$s WHERE tag LIKE '%%3'}, q{SELECT historian.compact('m') WHERE '%1$s' = 'm'}, q{DELETE FROM %1$s WHERE time %% 3 = 0 OR tag < 'site/area-2'}, 'TRUNCATE %1$s')
{
	$reader = merge_half(4);
	$reader->query_safe('COMMIT') if $change =~ /TRUNCATE/;
	query(sprintf $change, $_) for qw(m h);
	same("in the middle of a merge: $change");
	$reader->quit;
	go_on();
	stop_worker();
	same('the worker has gone on');
	query(q{SELECT historian.compact_due('m')});
	same('merged after that');
}
query('VACUUM m');
same('after VACUUM');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT differ()'), '0', 'the standby in the end');
$standby->stop;
$node->stop;
done_testing();
