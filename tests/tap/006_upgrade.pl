# pg_upgrade, by copy and by link: content, directories, and rows after it.
#
# OLD_BINDIR names the programs of an older PostgreSQL that has the extension, too; without it the
# upgrade is from the same version, which goes the same way.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $content = q{SELECT count(*), count(DISTINCT (tag, time)), md5(string_agg(time || tag || coalesce(encode(array_send(values), 'hex'), 'NULL'), ',' ORDER BY tag, time)) FROM m};
my $bindir = qx(pg_config --bindir) =~ s/\n//r;

for my $mode ('copy', 'link')
{
	my $old = PostgreSQL::Test::Cluster->new("old_$mode", $ENV{OLD_BINDIR} ? (install_path => "$ENV{OLD_BINDIR}/..") : ());
	my $new = PostgreSQL::Test::Cluster->new("new_$mode");

	for my $node ($old, $new)
	{
		$node->init;
		$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nfsync = off\n");
	}
	$old->start;
	$old->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE dropped_index (v float8[], name text, at bigint) USING historian;
CREATE MATERIALIZED VIEW mv USING historian AS SELECT 1::bigint AS time, 'a' AS tag, '{1}'::float8[] AS values;
INSERT INTO m SELECT i, 't' || i % 20, ARRAY[i, NULLIF(i % 3, 0), 'NaN'::float8] FROM generate_series(1, 10000) i;
SELECT historian.compact('m');
INSERT INTO m SELECT i, 't' || i % 20, ARRAY[-i] FROM generate_series(1, 20000, 7) i;
DELETE FROM m WHERE tag = 't3' AND time < 500;
INSERT INTO dropped_index VALUES ('{1}', 'a', 1);
REINDEX TABLE dropped_index;
END
	my $want = $old->safe_psql('postgres', $content);
	$old->stop;

	my $work = PostgreSQL::Test::Utils::tempdir();
	chdir $work or die $!;
	command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $ENV{OLD_BINDIR} // $bindir, '-B', $bindir,
			'-s', $new->host, '-p', $old->port, '-P', $new->port, $mode eq 'link' ? '--link' : () ], "pg_upgrade by $mode")
		or diag(join("\n", map { slurp_file($_) } glob($new->data_dir . '/pg_upgrade_output.d/*/log/*.log')));
	$new->start;
	is($new->safe_psql('postgres', $content), $want, "$mode: equal content");
	is($new->safe_psql('postgres', q{SELECT count(*) FROM pg_index WHERE indrelid IN ('m'::regclass, 'mv'::regclass, 'dropped_index'::regclass)}), '3', "$mode: one directory a table");
	is($new->safe_psql('postgres', q{SELECT count(*) FROM historian.downsample('m', 't5', 0, 20000, 100) WHERE "values" IS NOT NULL}), '100', "$mode: downsample");
	is($new->safe_psql('postgres', q{INSERT INTO m VALUES (5, 't5', '{42}'); SELECT historian.compact('m') \gset
SELECT values FROM m WHERE tag = 't5' AND time = 5}), '{42}', "$mode: a later row wins, also after compaction");
	is($new->safe_psql('postgres', q{SELECT count(*) - count(DISTINCT (tag, time)) FROM m; VACUUM FULL m; DROP TABLE m, dropped_index; DROP MATERIALIZED VIEW mv; SELECT count(*) FROM pg_class WHERE relname LIKE '%_directory_%'}), "0\n0", "$mode: VACUUM FULL and DROP");
	$new->stop;
}
done_testing();
