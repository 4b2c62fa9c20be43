# historian.nice where the library is not preloaded, and in postgresql.conf, where it must not be.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('priority');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
# field 19 of proc(5)
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE FUNCTION nice() RETURNS text LANGUAGE sql AS
	$$SELECT split_part(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ', 17)$$;
END
my $before = $node->safe_psql('postgres', 'SELECT nice()');
my $after = $before + 5 > 19 ? 19 : $before + 5;

# what historiand says in the transaction of a load, taken from its source
my ($setting) = slurp_file("$ENV{TESTDIR}/proxy/load/copy_load.c") =~ /"(\(SELECT set_config\('historian\.nice'(?:[^"]|"\s*")*?\)), "/;
my $setup = 'BEGIN; SELECT ' . sprintf($setting =~ s/"\s*"//gr, 5);
is($node->safe_psql('postgres', "$setup; INSERT INTO m VALUES (1, 'a', '{1}'); SELECT nice()"), "5\n$after", 'not preloaded: nicer once the library is loaded');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nhistorian.nice = 3\n");
$node->restart;
is($node->safe_psql('postgres', 'SHOW historian.nice; SELECT nice()'), "0\n$before", 'not in postgresql.conf');
$node->append_conf('postgresql.conf', "historian.nice = 4\n");
$node->reload;
is($node->safe_psql('postgres', "REVOKE SELECT ON pg_settings FROM PUBLIC; CREATE ROLE plain; SET ROLE plain; $setup"), '5', 'by whoever may not read pg_settings, too');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/"historian.nice" cannot be set for the whole server/, 'the log says so');
is($node->safe_psql('postgres', 'SHOW historian.nice; SELECT nice()'), "0\n$before", 'nor at a reload');
is($node->safe_psql('postgres', "$setup; SELECT nice()"), "5\n$after", 'preloaded: nicer at once');
$node->stop;
done_testing();
