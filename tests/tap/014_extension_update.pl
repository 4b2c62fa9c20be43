# ALTER EXTENSION UPDATE: from every released version it ends in the catalogs of a fresh install, and
# what users made meanwhile is kept. The SQL objects of an older version work with today's library.
#
# The catalogs are compared as pg_dump --binary-upgrade writes them, which shows each member of an
# extension with its definition, comment and privileges.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A released script is never changed: who has installed it cannot see the change.
my %released = (
	'historian--0.1.sql' => '24a59a48a30fe531a6b8aee82e16b3e533a3017251e913418c782c0652b0af5b',
);

for my $script (sort keys %released)
{
	is(sha256_hex(slurp_file("$ENV{TESTDIR}/sql/$script")), $released{$script}, "$script is as it was released");
}

my $node = PostgreSQL::Test::Cluster->new('update');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nfsync = off\n");
$node->start;

# The extension of a database, without the numbers that differ from one to the next.
sub members
{
	my ($database) = @_;
	my ($dump, $stderr) = run_command([ 'pg_dump', '--binary-upgrade', '--schema-only', '-d', $node->connstr($database) ]);

	$dump =~ s/^SELECT pg_catalog\.binary_upgrade_set_.*\n//mg;
	$dump =~ s/^--.*\n//mg;
	$dump =~ s/^SET rel(frozenxid|minmxid) .*\n//mg;
	$dump =~ s/(binary_upgrade_create_empty_extension\(.*)'\{[\d,]+\}'/$1OIDs/g;
	$dump =~ s/^WHERE oid = '\d+'/WHERE oid = OID/mg;
	$dump =~ s/_directory_[0-9a-f]+/_directory/g;
	$dump =~ s/^\\(un)?restrict .*\n//mg;
	return $dump;
}

my $use = <<'END';
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 't' || i % 3, ARRAY[i] FROM generate_series(1, 3000) i;
SELECT count(*) FROM historian.compact('m');
DELETE FROM m WHERE tag = 't1' AND time < 100;
INSERT INTO m SELECT i, 't2', ARRAY[-i] FROM generate_series(1, 3000, 100) i;
END
my $answers = <<'END';
SELECT count(*), sum(values[1]), (SELECT count(*) FROM historian.check('m')),
	(SELECT array_agg("values"[1]) FROM historian.downsample('m', 't2', 0, 3000, 5)) FROM m
END

$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', "CREATE EXTENSION historian; $use");
my $version = $node->safe_psql('fresh', "SELECT extversion FROM pg_extension WHERE extname = 'historian'");
is($version, $node->safe_psql('fresh', "SELECT default_version FROM pg_available_extensions WHERE name = 'historian'"), "version $version by default");
my $want = $node->safe_psql('fresh', $answers);
my $fresh = members('fresh');
like($fresh, qr/COMMENT ON FUNCTION historian\.downsample\(/, 'the comparison sees members and comments');

my @old = map { /^historian--([^-]+)\.sql$/ ? ($1) : () } sort keys %released;
for my $old (@old)
{
	my $database = "from_$old";

	$node->safe_psql('postgres', qq(CREATE DATABASE "$database"));
	$node->safe_psql($database, "CREATE EXTENSION historian VERSION '$old'; $use");
	is($node->safe_psql($database, $answers), $want, "$old: its SQL objects work with this library");
	isnt(members($database), $fresh, "$old: differs from $version") unless $old eq $version;
	$node->safe_psql($database, 'ALTER EXTENSION historian UPDATE');
	is(members($database), $fresh, "$old: updated, equals a fresh install");
	is($node->safe_psql($database, $answers), $want, "$old: the tables are as they were");
	is($node->safe_psql($database, "BEGIN; DROP EXTENSION historian CASCADE;
		SELECT count(*) FROM pg_class WHERE relname = 'm' OR relname ~ '^(historian|stat_)'; ROLLBACK"), '0', "$old: DROP EXTENSION takes all of it");
}

# the views of the statistics under their old names: what users made of them in 0.2 goes on
$node->safe_psql('postgres', 'CREATE DATABASE views; CREATE ROLE watcher');
$node->safe_psql('views', "CREATE EXTENSION historian VERSION '0.2'; $use");
$node->safe_psql('views', 'CREATE VIEW backlog AS SELECT relname, pending_rows FROM historian.historian_stat_tables;
	GRANT SELECT ON historian.historian_stat_worker TO watcher');
is($node->safe_psql('views', 'SELECT * FROM backlog'), 'm|30', '0.2: a view of the old view');
$node->safe_psql('views', 'ALTER EXTENSION historian UPDATE');
is($node->safe_psql('views', 'SELECT * FROM backlog'), 'm|30', 'updated: shows the same');
is($node->safe_psql('views', q{SELECT has_table_privilege('watcher', 'historian.historian_stat_worker', 'SELECT')}), 't', 'privileges on the old name are kept');
is($node->safe_psql('views', qq{
	SELECT count(*) FROM (VALUES ('tables'), ('compaction'), ('worker')) v(name)
	WHERE (SELECT array_agg((attname, atttypid) ORDER BY attnum) FROM pg_attribute WHERE attrelid = ('historian.stat_' || name)::regclass AND attnum > 0)
		= (SELECT array_agg((attname, atttypid) ORDER BY attnum) FROM pg_attribute WHERE attrelid = ('historian.historian_stat_' || name)::regclass AND attnum > 0)
	AND obj_description(('historian.historian_stat_' || name)::regclass, 'pg_class') LIKE 'Deprecated: the old name of historian.stat_' || name || ',%'}), '3',
	'each old name has the columns of the new one, and says that it is deprecated');

# SQL objects that this library does not have yet are an error that says so
my ($status, $stdout, $stderr) = $node->psql('fresh', "CREATE FUNCTION future() RETURNS void LANGUAGE C AS '\$libdir/historian', 'historian_future'");
like($stderr, qr/could not find function "historian_future" in file/, 'a function of a newer version: a clear error');

$node->stop;
done_testing();
