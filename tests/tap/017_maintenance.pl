# PostgreSQL's own maintenance programs, and pg_repack and pg_squeeze where they are installed, on a database with historian
# tables: each succeeds or refuses clearly, and none stops at them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('maintenance');
$node->init(allows_streaming => 1, extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
wal_log_hints = on
wal_keep_size = '1GB'
fsync = off
log_statement = none
END
$node->start;
my @tables = ('plant.m', 'plant.u', 'plant.mv', 'plant.p1', 'plant."Odd ""name"');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE EXTENSION amcheck;
CREATE SCHEMA plant;
CREATE TABLE plant.a_heap (id int PRIMARY KEY, note text);
CREATE TABLE plant.h (time bigint, tag text, values float8[]);
INSERT INTO plant.h SELECT i, 't' || i % 20, ARRAY[i, sin(i)] FROM generate_series(1, 20000) i;
CREATE TABLE plant.m (time bigint, tag text, values float8[]) USING historian;
CREATE UNLOGGED TABLE plant.u (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE plant."Odd ""name" (values float8[], tag text, time bigint) USING historian;
CREATE TABLE plant.p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE plant.p1 PARTITION OF plant.p FOR VALUES FROM (0) TO (1000000) USING historian;
CREATE TABLE plant.z_heap (id int PRIMARY KEY, note text);
INSERT INTO plant.a_heap SELECT g, g FROM generate_series(1, 1000) g;
INSERT INTO plant.z_heap SELECT g, g FROM generate_series(1, 1000) g;
ALTER TABLE plant.a_heap CLUSTER ON a_heap_pkey;
INSERT INTO plant.m SELECT * FROM plant.h WHERE time % 3 > 0;
SELECT historian.compact('plant.m');
INSERT INTO plant.m SELECT * FROM plant.h WHERE time % 3 = 0;
INSERT INTO plant.u SELECT * FROM plant.h;
INSERT INTO plant."Odd ""name" SELECT values, tag, time FROM plant.h;
INSERT INTO plant.p SELECT * FROM plant.h;
CREATE MATERIALIZED VIEW plant.mv USING historian AS SELECT * FROM plant.h;
END

# All rows of a table, the same for the heap that they come from.
sub content
{
	my ($table, $on, $database) = @_;
	return ($on // $node)->safe_psql($database // 'postgres', "SELECT count(*), md5(string_agg(time || tag || encode(array_send(values), 'hex'), ',' ORDER BY tag COLLATE \"C\", time)) FROM $table");
}
my $want = content('plant.h');

sub intact
{
	my ($what, $on, $database, @skipped) = @_;
	my @wrong;
	for my $table (@tables)
	{
		next if grep { $_ eq $table } @skipped;
		push @wrong, "$table: other rows" if content($table, $on, $database) ne $want;
		push @wrong, "$table: damaged" if ($on // $node)->safe_psql($database // 'postgres', "SELECT count(*) FROM historian.check('$table')") ne '0';
	}
	is("@wrong", '', "$what: all rows, nothing damaged");
}

# A program that succeeds, on which connection options work.
sub works
{
	my ($what, @command) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	my $ok = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	ok($ok, $what) or diag("$out$err");
	intact($what);
	return "$out$err";
}

sub refused
{
	my ($what, $like, @command) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	like("$out$err", $like, "$what: a clear message");
	intact($what);
}

sub files { return $node->safe_psql('postgres', q{SELECT string_agg(relname || ' ' || pg_relation_filenode(oid), ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'plant'::regnamespace AND relkind = 'i'}); }

intact('at first');
works('vacuumdb', 'vacuumdb');
works('vacuumdb -j', 'vacuumdb', '-j', '2', '--all', '--analyze');
works('vacuumdb --full', 'vacuumdb', '--full');
works('vacuumdb --freeze', 'vacuumdb', '--freeze', '--disable-page-skipping', '-P', '2');
works('vacuumdb --analyze-in-stages', 'vacuumdb', '--analyze-in-stages');
works('clusterdb', 'clusterdb', '--all');
refused('clusterdb --table', qr/there is no previously clustered index for table "m"/, 'clusterdb', '--table', 'plant.m');

my $before = files();
works('reindexdb', 'reindexdb');
works('reindexdb --system', 'reindexdb', '--system');
works('reindexdb -j', 'reindexdb', '-j', '2');
unlike(files(), qr/\Q$before\E/, 'reindexdb has built indexes anew');
$before = files();
works('reindexdb --concurrently', 'reindexdb', '--concurrently');
my $after = files();
my %former = map { split / (?=\d+$)/ } split /,/, $before;
my %latter = map { split / (?=\d+$)/ } split /,/, $after;
is(join(',', grep { ($latter{$_} // 0) == $former{$_} } sort keys %former), '', 'reindexdb --concurrently has built every index anew');
is(join(',', sort keys %latter), join(',', sort keys %former), 'and the names are as before');
works('reindexdb --concurrently -j', 'reindexdb', '--concurrently', '-j', '2');
works('reindexdb --concurrently --table', 'reindexdb', '--concurrently', '--table', 'plant.m');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_am'::regclass AND deptype = 'n'
	AND refobjid = (SELECT oid FROM pg_am WHERE amname = 'historian') AND classid = 'pg_class'::regclass AND objid IN (SELECT indexrelid FROM pg_index)}),
	'5', 'each directory is known as one');

# REINDEX CONCURRENTLY beside loads, deletions, readers and compaction
$node->safe_psql('postgres', 'CREATE TABLE plant.busy (time bigint, tag text, values float8[]) USING historian; CREATE TABLE plant.busy_twin (time bigint, tag text, values float8[])');
my @busy;
for my $n (1 .. 2)
{
	my $session = { out => '', err => '' };
	$session->{run} = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ], '<', \<<"END", '>', \$session->{out}, '2>', \$session->{err});
DO \$\$
BEGIN
	FOR i IN 1..250 LOOP
		INSERT INTO plant.busy_twin SELECT $n * 1000000 + i * 100 + g, 't' || $n || '.' || g % 5, ARRAY[i, g] FROM generate_series(1, 20) g;
		INSERT INTO plant.busy SELECT $n * 1000000 + i * 100 + g, 't' || $n || '.' || g % 5, ARRAY[i, g] FROM generate_series(1, 20) g;
		IF i % 7 = 0 THEN
			DELETE FROM plant.busy_twin WHERE time = $n * 1000000 + (i - 5) * 100 + 3;
			DELETE FROM plant.busy WHERE time = $n * 1000000 + (i - 5) * 100 + 3;
		END IF;
		COMMIT;
		IF (SELECT count(*) FROM plant.busy WHERE tag = 't$n.1') <> i * 4 THEN
			RAISE 'rows are missing';
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.01);
	END LOOP;
END \$\$;
END
	push @busy, $session;
}
my ($reindexed, $deadline) = (0, time + 120);
while (time < $deadline)
{
	$node->safe_psql('postgres', 'REINDEX TABLE CONCURRENTLY plant.busy');
	$reindexed++;
	$_->{run}->pump_nb for @busy;
	last unless grep { $_->{run}->pumpable } @busy;
}
for my $session (@busy)
{
	$session->{run}->finish;
	is($session->{err}, '', 'loads, deletions and reads beside REINDEX CONCURRENTLY');
}
cmp_ok($reindexed, '>', 1, "REINDEX CONCURRENTLY beside loads ($reindexed times)");
is(content('plant.busy'), content('plant.busy_twin'), 'after which all rows are found');
is($node->safe_psql('postgres', q{SELECT count(*) FROM historian.check('plant.busy')}), '0', 'and nothing is damaged');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_index WHERE indrelid = 'plant.busy'::regclass AND indisvalid}), '1', 'with one directory');
works('pg_amcheck', 'pg_amcheck', '--heapallindexed', '--parent-check', '--rootdescend', '--install-missing', '--all');
$node->safe_psql('postgres', 'DROP TABLE plant.busy, plant.busy_twin');

# the directory dropped, by hand; the weak lock of an ALTER
my ($index) = $node->safe_psql('postgres', q{SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'plant.m'::regclass});
my ($status, $out, $err) = $node->psql('postgres', "DROP INDEX $index");
like($err, qr/ERROR:  cannot drop index "[^"]*" because historian table "m" requires it.*HINT:  Use REINDEX INDEX/s, 'DROP INDEX of a directory is refused');
intact('DROP INDEX refused');
$node->safe_psql('postgres', "SET check_function_bodies = off; DROP INDEX $index");
intact('DROP INDEX of a directory in a restore');
$index = $node->safe_psql('postgres', q{SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'plant.m'::regclass});
($status, $out, $err) = $node->psql('postgres', "DROP INDEX CONCURRENTLY $index");
like($err, qr/historian table "m" requires it/, 'DROP INDEX CONCURRENTLY is refused');
intact('DROP INDEX CONCURRENTLY');
$node->safe_psql('postgres', q{CREATE TABLE bare (time bigint, tag text, values float8[]) USING historian; INSERT INTO bare VALUES (1, 'a', '{1}');
	UPDATE pg_index SET indisvalid = false, indisready = false WHERE indrelid = 'bare'::regclass});
my $loader = $node->background_psql('postgres');
$loader->query_safe(q{BEGIN; INSERT INTO bare VALUES (2, 'a', '{2}')});
$node->safe_psql('postgres', 'ALTER TABLE bare SET (autovacuum_enabled = off)');
$loader->query_safe('COMMIT');
$loader->quit;
($status, $out, $err) = $node->psql('postgres', 'SELECT * FROM bare');
like($err, qr/historian table "bare" has no directory/, 'an ALTER under a weak lock makes no directory past writers');
$node->safe_psql('postgres', 'CREATE INDEX ON bare (tag COLLATE "C", time) WHERE false');
is($node->safe_psql('postgres', 'SELECT count(*) FROM bare'), '2', 'and a new one has all rows');
$node->safe_psql('postgres', 'DROP TABLE bare');

# pgbench -i makes tables of other columns
{
	local $ENV{PGOPTIONS} = '-c default_table_access_method=historian';
	refused('pgbench -i of historian tables', qr/historian/, 'pgbench', '-i', '-q');
}
works('pgbench -i', 'pgbench', '-i', '-q');
works('pgbench', 'pgbench', '-t', '10');

# dumps that drop what is there
my $dir = $node->basedir;
works('pg_dump -j', 'pg_dump', '-Fd', '-j', '2', '-f', "$dir/dump");
works('pg_dump -Fc', 'pg_dump', '-Fc', '-f', "$dir/custom");
$node->safe_psql('postgres', 'CREATE DATABASE other');
works('pg_restore -j', 'pg_restore', '-d', 'other', '-j', '2', '-e', "$dir/dump");
intact('pg_restore -j, the restored', $node, 'other');
works('pg_restore --clean -e', 'pg_restore', '-d', 'other', '--clean', '-e', "$dir/custom");
intact('pg_restore --clean, the restored', $node, 'other');
works('pg_restore --clean -1', 'pg_restore', '-d', 'other', '--clean', '--if-exists', '-1', "$dir/custom");
intact('pg_restore --clean -1, the restored', $node, 'other');
works('pg_dumpall', 'pg_dumpall', '-f', "$dir/all.sql");
$node->safe_psql('postgres', 'DROP DATABASE other');

# backups; what works on the files
works('pg_basebackup', 'pg_basebackup', '-D', "$dir/backup", '-c', 'fast', '-X', 'stream');
works('pg_verifybackup', 'pg_verifybackup', "$dir/backup");

SKIP:
{
	skip 'pg_repack is not installed', 6 unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_repack'}) && IPC::Run::run([ 'which', 'pg_repack' ], '>', \my $path);
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_repack');
	works('pg_repack', 'pg_repack', '-d', 'postgres');
	refused('pg_repack -t', qr/relation "plant.m" must have a primary key or not-null unique keys/, 'pg_repack', '-d', 'postgres', '-t', 'plant.m');
	works('pg_repack -x', 'pg_repack', '-d', 'postgres', '-t', 'plant.m', '-x');
	$node->safe_psql('postgres', 'DROP EXTENSION pg_repack');
}

# a standby that was promoted by mistake, rewound
$node->backup('rewind');
my $standby = PostgreSQL::Test::Cluster->new('rewound');
$standby->init_from_backup($node, 'rewind', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$standby->promote;
$standby->safe_psql('postgres', q{INSERT INTO plant.m SELECT i, 't' || i % 20, '{0}' FROM generate_series(1, 20000, 5) i; SELECT historian.compact('plant.m'); DELETE FROM plant.p1 WHERE time < 100; VACUUM FULL plant.p1; ALTER TABLE plant."Odd ""name" ALTER time TYPE bigint USING time + 1});
$standby->stop;
$node->safe_psql('postgres', q{INSERT INTO plant.m SELECT * FROM plant.h WHERE time < 100; SELECT historian.compact('plant.m')});
command_ok([ 'pg_rewind', '--source-server', $node->connstr('postgres'), '--target-pgdata', $standby->data_dir, '--no-sync' ], 'pg_rewind');
$standby->append_conf('postgresql.conf', 'port = ' . $standby->port . "\nhost = ''\n") if 0;
$standby->append_conf('postgresql.conf', 'port = ' . $standby->port);
$standby->append_conf('postgresql.conf', "unix_socket_directories = '" . $standby->host . "'");
$standby->append_conf('postgresql.conf', "cluster_name = 'rewound'");
$standby->append_conf('postgresql.conf', "primary_conninfo = '" . $node->connstr . "'");
$standby->set_standby_mode;
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
intact('pg_rewind, the rewound standby', $standby, 'postgres', 'plant.u');
$standby->stop;

$node->stop;
command_ok([ 'pg_checksums', '--check', '-D', $node->data_dir ], 'pg_checksums --check');
command_ok([ 'pg_checksums', '--disable', '-D', $node->data_dir ], 'pg_checksums --disable');
command_ok([ 'pg_checksums', '--enable', '-D', $node->data_dir ], 'pg_checksums --enable');
command_ok([ 'pg_resetwal', '-f', '-D', $node->data_dir ], 'pg_resetwal');
$node->start;
intact('after pg_checksums and pg_resetwal');
$node->safe_psql('postgres', q{INSERT INTO plant.m VALUES (5, 't5', '{-1}')});
is($node->safe_psql('postgres', q{SELECT values FROM plant.m WHERE tag = 't5' AND time = 5}), '{-1}', 'and a later load is later');

done_testing();
