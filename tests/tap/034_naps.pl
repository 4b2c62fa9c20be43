# A nice process that merges leaves the processor to those that wait for it while loads come fast, unless too many wait.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'this system does not tell how many processes could run' unless -r '/proc/loadavg' && -r '/proc/self/schedstat';

my $node = PostgreSQL::Test::Cluster->new('naps');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'historian'\nhistorian.compaction = off\n");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
-- in seconds, how long this process has had a processor, and has had one or waited for one
CREATE FUNCTION ran(OUT alone float8, OUT with_waiting float8) VOLATILE LANGUAGE sql AS
	$$SELECT ns[1]::float8 / 1e9, (ns[1]::float8 + ns[2]::float8) / 1e9
	FROM regexp_split_to_array(pg_read_file('/proc/self/schedstat'), ' ') ns$$;
END

# For how many seconds a merge of so many loads sleeps, a second for which it runs.
sub sleeps
{
	my ($loads, $nice) = @_;
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS m; CREATE TABLE m (time bigint, tag text, values float8[]) USING historian");
	$node->safe_psql('postgres', join '', map { "INSERT INTO m SELECT $_, 'tag' || t, ARRAY[t] FROM generate_series(1, 10000) t;\n" } 1 .. $loads);
	my $figures = $node->safe_psql('postgres', <<"END");
SET historian.nice = $nice;
SELECT count(*) FROM m WHERE tag = 'tag1';
CREATE TEMP TABLE began AS SELECT ran.*, clock_timestamp() AS clock FROM ran();
SELECT 1 FROM historian.compact_due('m');
SELECT extract(epoch FROM clock_timestamp() - clock) - (ran.with_waiting - began.with_waiting), ran.alone - began.alone FROM began, ran();
END
	my ($slept, $ran) = $figures =~ /(-?[0-9.e-]+)\|([0-9.e-]+)$/ or die $figures;
	note("$loads loads, nice $nice: slept $slept s, ran $ran s");
	return $slept / $ran;
}

# Programs that always want a processor and never get one from others.
my @busy;
for (1 .. 2 * `nproc`)
{
	my $pid = fork // die;
	exec 'nice', '-n', '19', 'perl', '-e', '1 while 1' or die if $pid == 0;
	push @busy, $pid;
}
my $few = sleeps(4, 5);
my $nice = sleeps(16, 5);
my $plain = sleeps(16, 0);
my $urgent = sleeps(64, 5);
kill 'KILL', @busy;
waitpid $_, 0 for @busy;
cmp_ok($few, '<', 1, 'a nice process that merges the loads of some seconds does not sleep for long');
cmp_ok($nice, '>', 2, 'one that merges many loads sleeps for most of the time while others wait');
cmp_ok($plain, '<', 1, 'others do not');
cmp_ok($urgent, '<', 1, 'nor does it while many loads wait');
$node->stop;
done_testing();
