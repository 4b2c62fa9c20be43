# Compaction looks only at what was written since its last look, and misses nothing of it: after rollbacks, deletions,
# rewrites, looks that fail, a crash and a promotion a look at all tags finds no more to do.
#
# Runs alone, because it counts the rounds of the background worker.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} || time;
srand($seed);
note "SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('idle');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction = off
historian.compaction_interval = 1
historian.compaction_min_rows = 0
max_prepared_transactions = 10
fsync = off
autovacuum = off
jit = off
# what a standby that is slow has yet to read
wal_keep_size = 1GB
END
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE UNLOGGED TABLE u (time bigint, tag text, values float8[]) USING historian;
-- so many rows of random numbers are more than a page, or less
CREATE FUNCTION load(t regclass, tag text, at bigint, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s SELECT %s + i, %L, ARRAY[random(), random(), random()] FROM generate_series(1, %s) i', t, at, tag, n);
END $$;
END

# How many tags a round merges, and how many buffers it touches.
sub due
{
	my ($table) = @_;

	return $node->safe_psql('postgres', "SELECT tags FROM historian.compact_due('$table')");
}

sub buffers
{
	my ($table, $function) = (@_, 'compact_due');
	my $plan = $node->safe_psql('postgres', "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, COSTS OFF) SELECT * FROM historian.$function('$table')");
	my $sum = 0;

	$plan =~ s/Planning.*//s;
	$sum += $_ for ($plan =~ /Buffers: (.*)/ ? $1 : "") =~ /(?:hit|read)=(\d+)/g;
	return $sum;
}

# segments of one tag each: the tags do not share any
$node->safe_psql('postgres', "SET historian.min_shared_tags = 100000; INSERT INTO $_ SELECT 1, 'tag' || i, '{1}' FROM generate_series(1, 3000) i") for qw(m u);
for my $table (qw(m u))
{
	cmp_ok(buffers($table), '>', 3000, "$table: the first look is at all tags");
	cmp_ok(buffers($table), '<', 200, "$table: the next one at none");
	$node->safe_psql('postgres', "SELECT load('$table', 'tag7', 10, 1000)");
	cmp_ok(buffers($table), '<', 500, "$table: with one tag loaded");
	is(due($table), '0', "$table: which was merged");
	cmp_ok(buffers($table), '<', 200, "$table: and is not looked at again");
}

# the same where the tags share segments: a tag that has too much to wait leaves them, and is merged then
$node->safe_psql('postgres', "CREATE TABLE s (time bigint, tag text, values float8[]) USING historian; INSERT INTO s SELECT 1, 'tag' || i, '{1}' FROM generate_series(1, 3000) i");
cmp_ok($node->safe_psql('postgres', "SELECT pending_segments FROM historian.stat_tables WHERE relname = 's'"), '<', 100, 'shared: 3,000 tags in few segments');
buffers('s');
cmp_ok(buffers('s'), '<', 200, 'shared: a round that has nothing to do');
$node->safe_psql('postgres', "SELECT load('s', 'tag7', 10, 1000)");
cmp_ok(buffers('s'), '<', 1000, 'shared: with one tag loaded');
cmp_ok(buffers('s'), '<', 1000, 'shared: and once more');
cmp_ok($node->safe_psql('postgres', "SELECT compacted_rows FROM historian.stat_tables WHERE relname = 's'"), '>=', 1000, 'shared: which was merged in one round or two');
is(due('s'), '0', 'shared: there is no more to merge');
cmp_ok(buffers('s'), '<', 200, 'shared: and the tag is not looked at again');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT tag), (SELECT count(*) FROM historian.check('s')) FROM s"), '4000|3000|0', 'shared: every row is there');

# compact() of what is one run already: it goes through the tags with segments of their own, not through those of the run
$node->safe_psql('postgres', "CREATE TABLE one (LIKE m) USING historian; INSERT INTO one SELECT 1, 'tag' || i, '{1}' FROM generate_series(1, 20000) i");
cmp_ok(buffers('one', 'compact'), '<', 100, 'compact() of one run');
$node->safe_psql('postgres', "SELECT load('one', tag, 10, 1000) FROM unnest('{a,tag17a,tag99999999,zz}'::text[]) tag; SELECT historian.compact('one')");
is($node->safe_psql('postgres', "SELECT segments_merged FROM historian.compact('one')"), '0', 'with tags before, between and after those of the run');
cmp_ok(buffers('one', 'compact'), '<', 300, 'which costs little');
$node->safe_psql('postgres', "SELECT load('one', tag, 10, 1000) FROM unnest('{tag9999}'::text[]) tag");
is($node->safe_psql('postgres', "SELECT segments_merged > 0 FROM historian.compact('one')"), 't', 'a tag that has both leaves the run');
is($node->safe_psql('postgres', "SELECT segments_merged FROM historian.compact('one')"), '0', 'for good');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT tag), (SELECT count(*) FROM historian.check('one')) FROM one"), '25000|20004|0', 'every row is there');

# what is not committed, or rolled back, is not forgotten
$node->safe_psql('postgres', "BEGIN; SELECT load('m', 'tag8', 10, 1000); PREPARE TRANSACTION 'p'");
$node->safe_psql('postgres', "COMMIT PREPARED 'p'; BEGIN; SELECT tags FROM historian.compact_due('m'); ROLLBACK");
is(due('m'), '1', 'a look that was rolled back has not been');
$node->safe_psql('postgres', "SELECT load('m', 'tag9', 10, 1000); BEGIN; SAVEPOINT s; SELECT tags FROM historian.compact_due('m'); ROLLBACK TO s; COMMIT");
is(due('m'), '1', 'nor in a subtransaction');
$node->safe_psql('postgres', "SELECT load('m', 'tag10', 10, 1000); BEGIN; DELETE FROM m WHERE tag = 'tag10' AND time = 11; COMMIT");
is(due('m'), '1', 'what a deletion has written anew is looked at');
is($node->safe_psql('postgres', "BEGIN; SELECT load('m', 'tag11', 10, 1000) \\g /dev/null\nSELECT tags FROM historian.compact_due('m'); COMMIT"), '1', "the transaction's own");
$node->safe_psql('postgres', "SELECT load('m', 'tag12', 10, 1000); VACUUM FULL m");
is(due('m'), '1', 'a rewritten table is looked at as a whole');
$node->safe_psql('postgres', "SELECT load('m', 'tag13', 10, 1000)");
$node->safe_psql('postgres', "BEGIN; TRUNCATE m; SELECT load('m', 'tag14', 10, 1000); ROLLBACK");
is(due('m'), '1', 'TRUNCATE that is rolled back');

# random histories in three sessions; then a look at all tags, after a restart, must find nothing
my @sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
my @open = (0) x @sessions;
my @prepared;
for my $step (1 .. 300)
{
	my $which = int rand @sessions;
	my $tag = 'r' . int rand 12;
	my $load = sprintf("SELECT load('m', '%s', %d, %d);", $tag, rand 100000, (30, 300, 900)[rand 3]);
	my $kind = int rand 14;
	my $sql = $kind < 6 ? $load
		: $kind == 6 ? "SAVEPOINT s; $load ROLLBACK TO s;"
		: $kind == 7 ? "DELETE FROM m WHERE tag = '$tag' AND time < @{[int rand 50000]};"
		: $kind < 11 ? "SELECT historian.compact_due('m');"
		: $kind == 11 ? 'VACUUM m;' : $kind == 12 ? "SELECT historian.delete('m', '$tag', 0, 5000);" : 'SELECT 1;';

	if ($open[$which])
	{
		# statements that wait for another session's transaction would wait for ever
		$sql = $load if $sql =~ /compact_due|delete|VACUUM/i;
		$sql = ('COMMIT', 'ROLLBACK', "PREPARE TRANSACTION 'p$step'")[rand 3] . ';' if rand() < 0.4;
		$open[$which] = 0 if $sql =~ /^(COMMIT|ROLLBACK|PREPARE)/;
		push @prepared, $step if $sql =~ /^PREPARE/;
	}
	elsif ($kind < 7 && rand() < 0.5)
	{
		$sql = "BEGIN; $sql";
		$open[$which] = 1;
	}
	elsif ($sql =~ /compact_due|delete/i)
	{
		# these wait for loads, or keep others waiting: with open transactions only what does not
		$sql = "SET lock_timeout = '10ms'; $sql RESET lock_timeout;";
	}
	elsif ($kind == 6)
	{
		$sql = "BEGIN; $sql COMMIT;";
	}
	$sessions[$which]->query($sql);
	if (@prepared && rand() < 0.5)
	{
		$node->safe_psql('postgres', (rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED 'p" . shift(@prepared) . "'");
	}
}
# by a command, because a server process may outlive its session for a moment, with its transaction
$sessions[$_]->query('ROLLBACK;') for grep { $open[$_] } 0 .. $#sessions;
$_->quit for @sessions;
$node->safe_psql('postgres', "COMMIT PREPARED 'p$_'") for @prepared;
my $rounds = 0;
$rounds++ while due('m') > 0 && $rounds < 20;
my $second = due('m');
$node->restart;
is("$second " . due('m'), '0 0', 'after random histories all is looked at');
is($node->safe_psql('postgres', "SELECT count(*) FROM historian.check('m')"), '0', 'and intact');

# in the background, without another load: after a crash
sub merged
{
	my ($of, $name) = @_;

	ok($of->poll_query_until('postgres', "SELECT pending_bytes < 8136 FROM historian.stat_tables WHERE relname = 'm'"), $name);
}

$node->safe_psql('postgres', "SELECT historian.compact('m')");
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('idle_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', "SELECT load('m', 'crash', 10, 3000)");
$node->wait_for_catchup($standby);
$node->stop('immediate');
$node->append_conf('postgresql.conf', 'historian.compaction = on');
$node->start;
merged($node, 'after a crash the background worker merges what was loaded before');
$node->safe_psql('postgres', "SELECT load('m', 'more', 10, 3000)");
merged($node, 'and what is loaded later');

# a load that is under way while others are looked at is not forgotten: it commits, and nothing else is loaded
sub wait_for { ok($node->poll_query_until('postgres', $_[0]), $_[1]) }
my ($merges, $deferred) = split /\|/, $node->safe_psql('postgres', "SELECT merges, deferred FROM historian.stat_compaction WHERE relname = 'm'");
my $first = $node->background_psql('postgres');
my $second_load = $node->background_psql('postgres');
$first->query_safe("BEGIN; SELECT load('m', 'first', 10, 3000)");
wait_for("SELECT deferred > $deferred FROM historian.stat_compaction WHERE relname = 'm'", 'a round has met the first load');
$second_load->query_safe("BEGIN; SELECT load('m', 'second', 10, 3000)");
$first->query_safe('COMMIT');
wait_for("SELECT merges > $merges FROM historian.stat_compaction WHERE relname = 'm'", 'which is merged once it has ended');
$second_load->query_safe('COMMIT');
merged($node, 'the second, too');
$_->quit for $first, $second_load;

$node->stop;
$standby->append_conf('postgresql.conf', 'historian.compaction = on');
$standby->promote;
$standby->reload;
merged($standby, 'after a promotion, too');
$standby->stop;
done_testing();
