# historian.await_commit(): what a standby shows, how old it is, and what it waits for.
#
# Runs alone, because it measures times.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nwal_receiver_timeout = 2s\nautovacuum = off");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION historian; CREATE TABLE seen (n int)');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# Commits, and returns a position after that.
sub commit
{
	my ($n) = @_;
	$primary->safe_psql('postgres', "INSERT INTO seen VALUES ($n)");
	return $primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
}

# The answer, or the SQLSTATE.
sub await
{
	my ($node, $arguments, $begin) = @_;
	my ($out, $err);
	$node->psql('postgres', ($begin // '') . "SELECT coalesce(historian.await_commit($arguments)::text, 'unknown')",
		stdout => \$out, stderr => \$err, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $err =~ /(?:ERROR|FATAL): +(\w{5})/ ? $1 : $out;
}

my $idle_since = time;
my $first = commit(1);
is(await($primary, "'$first'"), '0', 'a primary shows what it has committed');
is(await($primary, "NULL"), '0', 'and is never behind');
is(await($primary, "'FFFFFFFF/0'"), 'RH003', 'a commit that it cannot have');
like($primary->safe_psql('postgres', "SELECT historian.await_commit('$first', 0, 0)"), qr/^0$/, 'with every argument');
is(await($primary, "NULL, -1"), '22023', 'a negative lag');

like(await($standby, "'$first', NULL, 20000"), qr/^\d+$/, 'a standby waits until it has replayed the commit');
is($standby->safe_psql('postgres', 'SELECT max(n) FROM seen'), '1', 'and shows it');
$standby->poll_query_until('postgres', 'SELECT historian.await_commit(NULL) = 0');
sleep 3;
is(await($standby, "NULL, 0"), '0', 'a standby of an idle primary is not behind, also after wal_receiver_timeout');

# replay stands still
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
my $second = commit(2);
$primary->wait_for_catchup($standby, 'flush', $second);
my $begin = time;
is(await($standby, "'$second', NULL, 500"), 'RH001', 'what is not replayed is not shown');
cmp_ok(time - $begin, '>=', 0.5, 'after the wait');
like(await($standby, "'$first'"), qr/^[1-9]\d*$/, 'an older commit is shown');
sleep 1;
my $lag = await($standby, 'NULL');
cmp_ok($lag, '>=', 1000, 'the lag grows while replay stands still');
# replay stopped before it looked at what came, so that it does not know when that was
cmp_ok($lag, '<=', (time - $idle_since) * 1000 + 1, 'and is no longer than the time since it had replayed all');
is(await($standby, 'NULL, 500'), 'RH002', 'a bound for the lag');
is(await($standby, "'FFFFFFFF/0'"), 'RH001', 'a standby does not know what its primary has');
is(await($standby, "'$first'", 'BEGIN ISOLATION LEVEL REPEATABLE READ; '), 'RH001',
	'a transaction whose snapshot stays is not trusted');

# a wait can be cancelled
my ($out, $err);
$standby->psql('postgres', "SET statement_timeout = '300ms'; SELECT historian.await_commit('$second', NULL, 60000)",
	stdout => \$out, stderr => \$err, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
like($err, qr/57014/, 'the wait heeds statement_timeout');

$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
like(await($standby, "'$second', 5000, 20000"), qr/^\d+$/, 'replay goes on, and the commit is shown');
is($standby->safe_psql('postgres', 'SELECT max(n) FROM seen'), '2', 'the row, too');

# the primary is gone: the last commit tells the age
my $last = time;
my $third = commit(3);
like(await($standby, "'$third', NULL, 20000"), qr/^\d+$/, 'the last commit');
$primary->stop('immediate');
$standby->poll_query_until('postgres', 'SELECT historian.await_commit(NULL) > 500');
$lag = await($standby, 'NULL');
cmp_ok($lag, '<=', (time - $last) * 1000 + 1, 'without a primary the lag is the time since the last commit');
like(await($standby, "'$third'"), qr/^[1-9]\d*$/, 'what it has replayed it shows');
is(await($standby, "'$third', 100"), 'RH002', 'but it is too old');

# after promotion it is a primary
$standby->promote;
is(await($standby, "'$third', 0"), '0', 'after promotion it is not behind');
is(await($standby, "'FFFFFFFF/0'"), 'RH003', 'and knows which commits it has');

done_testing();
