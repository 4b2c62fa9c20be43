# Background compaction under every default that sessions may have: from the server's file, a database, a role.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('settings');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
autovacuum = off
fsync = off
wal_level = replica
max_wal_senders = 2
log_line_prefix = '%b '
log_statement = none
END
$node->start;
my $version = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;
my %ours = (
	default_transaction_isolation => 'read\ committed', default_transaction_read_only => 'off',
	statement_timeout => 0, lock_timeout => 0, idle_in_transaction_session_timeout => 0, role => 'none',
	search_path => 'public', synchronous_commit => 'off', row_security => 'on');
$ours{transaction_timeout} = 0 if $version >= 17;

# A session of the test's own: plain, whatever the defaults are.
sub plain
{
	my ($sql, $database) = @_;
	local $ENV{PGOPTIONS} = join(' ', map { "-c $_=$ours{$_}" } sort keys %ours);
	return $node->safe_psql($database // 'postgres', $sql);
}

# Loads a new table with many small segments, a transaction each.
sub load
{
	my ($table, $database) = @_;
	plain("CREATE TABLE $table (time bigint, tag text, values float8[]) USING historian", $database);
	plain("DO \$\$ BEGIN FOR i IN 1..300 LOOP INSERT INTO $table VALUES (i, 'a', ARRAY[random(), random(), random(), random()]); COMMIT; END LOOP; END \$\$", $database);
}

sub is_compacted
{
	my ($table, $what, $database) = @_;
	my $merges = "SELECT coalesce(sum(merges), 0) > 0 FROM historian.stat_compaction WHERE relname = '$table'";
	my $deadline = time + 60;
	my $done = 'f';
	while (time < $deadline && ($done = plain($merges, $database)) ne 't') { select undef, undef, undef, 0.2; }
	is($done, 't', "compaction works under $what");
	is(plain("SELECT sum(failed) FROM historian.stat_compaction WHERE relname = '$table'", $database), '0', 'and never failed');
}

plain('CREATE EXTENSION historian');
plain('CREATE ROLE nobody');

# each default that reaches transactions or lets them end or lie
my @settings = (
	[ default_transaction_isolation => 'serializable' ],
	[ default_transaction_isolation => 'repeatable read' ],
	[ default_transaction_read_only => 'on' ],
	[ default_transaction_deferrable => 'on' ],
	[ statement_timeout => '1ms' ],
	[ lock_timeout => '1ms' ],
	[ idle_in_transaction_session_timeout => '1ms' ],
	[ search_path => 'nowhere' ],
	[ row_security => 'off' ],
	[ session_replication_role => 'replica' ],
	[ zero_damaged_pages => 'on' ],
);
push @settings, [ transaction_timeout => '1ms' ] if $version >= 17;

my $n = 0;
for my $setting (@settings)
{
	my ($name, $value) = @$setting;
	my $table = 't' . ++$n;
	my $database = "d$n";

	plain("CREATE DATABASE $database");
	plain('CREATE EXTENSION historian', $database);
	plain("ALTER DATABASE $database SET $name = '$value'");
	load($table, $database);
	is_compacted($table, "ALTER DATABASE .. SET $name = '$value'", $database);
}

# of the role whose rights the worker has
plain(q{ALTER ROLE ALL SET default_transaction_read_only = on; ALTER ROLE ALL SET role = nobody});
load('roles');
is_compacted('roles', 'ALTER ROLE ALL SET default_transaction_read_only, role');
plain(q{ALTER ROLE ALL RESET ALL});

# of the server, which the launcher reads, too
plain(q{ALTER SYSTEM SET default_transaction_isolation = 'serializable'});
plain(q{ALTER SYSTEM SET default_transaction_read_only = on});
plain(q{ALTER SYSTEM SET default_transaction_deferrable = on});
$node->restart;
load('server');
is_compacted('server', 'defaults of the server');

# SERIALIZABLE beside it: neither fails for the other's sake.  Each load reads before it writes, as if it might be fooled.
plain(q{CREATE TABLE busy (time bigint, tag text, values float8[]) USING historian});
my $merges = q{SELECT coalesce(sum(merges), 0) FROM historian.stat_compaction WHERE relname = 'busy'};
my $script = $node->basedir . '/load.sql';
PostgreSQL::Test::Utils::append_to_file($script, <<'END');
BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE;
SELECT count(*) FROM busy WHERE tag = 'nobody';
INSERT INTO busy SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + g, 'a', ARRAY[random(), random(), random(), random(), random(), random(), random(), random(), random(), random()] FROM generate_series(1, 200) g;
COMMIT;
END
my $failures = 0;
my $deadline = time + 60;
while (time < $deadline && plain($merges) < 3)
{
	my ($out, $err) = run_command([ 'pgbench', '-n', '-T', '3', '--max-tries=1', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ]);
	$failures += $1 if $out =~ /number of failed transactions: (\d+)/ or die "$out $err";
}
cmp_ok(plain($merges), '>=', 3, 'compaction met serializable loads');
is($failures, 0, 'none of which failed');
is(plain(q{SELECT sum(failed) FROM historian.stat_compaction WHERE relname = 'busy'}), '0', 'nor did it');

# a standby that is away keeps compaction from nothing, and a DELETE of the table waits for nobody
plain(q{ALTER SYSTEM SET synchronous_standby_names = 'away'; ALTER SYSTEM RESET default_transaction_isolation; ALTER SYSTEM RESET default_transaction_read_only; ALTER SYSTEM RESET default_transaction_deferrable});
$node->restart;
load('alone');
is_compacted('alone', 'synchronous_standby_names of a standby that is away');
plain(q{SET statement_timeout = '60s'; DELETE FROM alone WHERE time = 5});
is(plain('SELECT count(*) FROM alone'), '299', 'DELETE goes on');

# A database with few rows waits for five rounds, ten seconds at most; one with many is looked at by the next round.
plain(q{ALTER SYSTEM RESET synchronous_standby_names; ALTER SYSTEM SET historian.compaction_interval = 2; ALTER SYSTEM SET historian.compaction_min_rows = 1000});
plain($_) for 'SELECT pg_reload_conf()', 'CREATE DATABASE few', 'CREATE DATABASE many';
for my $database (qw(few many))
{
	plain('CREATE EXTENSION historian', $database);
	plain('CREATE TABLE m (time bigint, tag text, values float8[]) USING historian', $database);
}
my %loaded;
my %merged;
for my $database (qw(few many))
{
	my $n = $database eq 'few' ? 300 : 1200;

	$loaded{$database} = time;
	plain("DO \$\$ BEGIN FOR i IN 1..$n LOOP INSERT INTO m VALUES (i, 'a', ARRAY[random(), random(), random(), random()]); COMMIT; END LOOP; END \$\$", $database);
}
$deadline = time + 60;
while (time < $deadline && keys %merged < 2)
{
	for my $database (grep { !$merged{$_} } qw(few many))
	{
		$merged{$database} = time if plain(q{SELECT coalesce(sum(merges), 0) > 0 FROM historian.stat_compaction}, $database) eq 't';
	}
	select undef, undef, undef, 0.2;
}
is(join(' ', sort keys %merged), 'few many', 'both databases are merged');
cmp_ok($merged{many} - $loaded{many}, '<', 9, 'many rows: the next round merges them');
cmp_ok($merged{few} - $loaded{few}, '>=', 10, 'few rows: they wait');
cmp_ok($merged{few} - $loaded{few}, '<', 30, 'and not for long');

my @complaints = grep { /^historian/ && /ERROR|FATAL/ && !/administrator command/ } split(/\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile));
is(join("\n", @complaints), '', 'neither launcher nor workers complained');

done_testing();
