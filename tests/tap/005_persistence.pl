# Unlogged and temporary tables, wal_level = minimal, and tablespaces, over crashes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = PostgreSQL::Test::Cluster->new('persistence');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
wal_level = minimal
max_wal_senders = 0
wal_skip_threshold = 0
restart_after_crash = off
END
$node->start;
mkdir $node->basedir . '/space' or die $!;
my $space = $node->basedir . '/space';
$node->safe_psql('postgres', <<"END");
CREATE EXTENSION historian;
CREATE TABLESPACE space LOCATION '$space';
CREATE TABLE logged (time bigint, tag text, values float8[]) USING historian;
CREATE UNLOGGED TABLE unlogged (time bigint, tag text, values float8[]) USING historian;
CREATE UNLOGGED TABLE becomes_logged (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE becomes_unlogged (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE moved (time bigint, tag text, values float8[]) USING historian;
END
for my $table (qw(logged unlogged becomes_logged becomes_unlogged moved))
{
	$node->safe_psql('postgres', "INSERT INTO $table SELECT i, 't' || i % 10, ARRAY[i] FROM generate_series(1, 10000) i");
	$node->safe_psql('postgres', "SELECT historian.compact('$table')");
	is($node->safe_psql('postgres', "SELECT count(*), sum(values[1]) FROM $table"), '10000|50005000', "$table before");
}
$node->safe_psql('postgres', <<'END');
ALTER TABLE becomes_logged SET LOGGED;
ALTER TABLE becomes_unlogged SET UNLOGGED;
ALTER TABLE moved SET TABLESPACE space;
INSERT INTO moved VALUES (20000, 't1', '{1}');
END

# created and filled by one transaction, which wal_level = minimal does not log row by row
$node->safe_psql('postgres', <<'END');
BEGIN;
CREATE TABLE same_transaction (time bigint, tag text, values float8[]) USING historian;
COPY same_transaction FROM PROGRAM 'seq 1 5000 | sed ''s/.*/&\tt1\t{&}/''';
COMMIT;
BEGIN;
CREATE TABLE truncated (time bigint, tag text, values float8[]) USING historian;
INSERT INTO truncated SELECT i, 'gone', '{1}' FROM generate_series(1, 1000) i;
TRUNCATE truncated;
COPY truncated FROM PROGRAM 'seq 1 5000 | sed ''s/.*/&\tt1\t{&}/''' (FREEZE);
SAVEPOINT s;
INSERT INTO truncated VALUES (-1, 'gone', '{1}');
ROLLBACK TO s;
INSERT INTO truncated VALUES (6000, 't1', '{0}');
COMMIT;
BEGIN;
CREATE TABLE rewritten USING historian AS SELECT * FROM same_transaction;
ALTER TABLE rewritten SET TABLESPACE space;
INSERT INTO rewritten VALUES (6000, 't1', '{0}');
COMMIT;
END

sub crash
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my @children = grep { /^\d+$/ } split ' ', `ps -o pid= --ppid $postmaster`;
	my $deadline = time + 60;

	kill 'KILL', $postmaster, @children;
	$node->{_pid} = undef;
	until ($node->start(fail_ok => 1))
	{
		die 'cannot start after the crash' if time > $deadline;
		$node->{_pid} = undef;
		usleep(200_000);
	}
}

sub content { return $node->safe_psql('postgres', "SELECT count(*), sum(values[1]) FROM $_[0]") }

crash();
is(content('logged'), '10000|50005000', 'a logged table after a crash');
is(content('unlogged'), '0|', 'an unlogged table is empty');
is(content('becomes_logged'), '10000|50005000', 'a table that was SET LOGGED');
is(content('becomes_unlogged'), '0|', 'a table that was SET UNLOGGED is empty');
is(content('moved'), '10001|50005001', 'a table in another tablespace');
is(content('same_transaction'), '5000|12502500', 'CREATE and COPY in one transaction');
is(content('truncated'), '5001|12502500', 'CREATE, INSERT, TRUNCATE and COPY FREEZE in one transaction');
is(content('rewritten'), '5001|12502500', 'CREATE TABLE AS and SET TABLESPACE in one transaction');
for my $table (qw(logged unlogged becomes_logged becomes_unlogged moved same_transaction truncated rewritten))
{
	my $before = content("$table WHERE tag = 't1'");
	$node->safe_psql('postgres', "INSERT INTO $table VALUES (30000, 't1', '{7}')");
	is($node->safe_psql('postgres', qq{SELECT "values" FROM historian.downsample('$table', 't1', 0, 30000, 1)}), '{7}', "$table takes rows");
	$node->safe_psql('postgres', "SELECT historian.compact('$table')");
	isnt(content("$table WHERE tag = 't1'"), $before, "$table after compaction");
}

# a transaction that creates and loads is broken off by the crash
my $psql = $node->background_psql('postgres', on_error_stop => 0);
$psql->query("BEGIN; CREATE TABLE broken_off (time bigint, tag text, values float8[]) USING historian; INSERT INTO broken_off SELECT i, 'a', '{1}' FROM generate_series(1, 100000) i;");
$psql->query("INSERT INTO logged SELECT i, 'broken off', '{1}' FROM generate_series(1, 100000) i;");
crash();
eval { $psql->quit };
is($node->safe_psql('postgres', "SELECT to_regclass('broken_off') IS NULL, (SELECT count(*) FROM logged WHERE tag = 'broken off')"), 't|0', 'an open transaction leaves nothing');
is(content("logged WHERE time <= 10000"), '10000|50005000', 'the rest is as before');

# temporary tables
is($node->safe_psql('postgres', <<'END'), "1000\n1000\n500\n500", 'a temporary table');
CREATE TEMP TABLE scratch (time bigint, tag text, values float8[]) USING historian;
INSERT INTO scratch SELECT i, 't' || i % 4, ARRAY[i] FROM generate_series(1, 1000) i;
SELECT count(*) FROM scratch;
SELECT historian.compact('scratch') \gset
SELECT count(*) FROM scratch;
DELETE FROM scratch WHERE time > 500;
SELECT count(*) FROM scratch;
VACUUM FULL scratch;
SELECT count(*) FROM scratch;
END

# the files go when the table goes
my $path = $node->safe_psql('postgres', "SELECT pg_relation_filepath('logged')");
ok(-s $node->data_dir . "/$path", 'the table has a file');
$node->safe_psql('postgres', 'DROP TABLE logged; CHECKPOINT');
ok(!-s $node->data_dir . "/$path", 'DROP TABLE gives it back');
$node->stop;
done_testing();
