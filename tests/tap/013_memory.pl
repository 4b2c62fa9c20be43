# Out of memory in a load, a read, a compaction and a deletion: the statement fails with 53200, the session goes on,
# the table is as it was. prlimit(1) takes the memory away from one backend.
#
# Runs alone, because it needs a machine whose memory is its own.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'prlimit is not there' if system('prlimit --version >/dev/null 2>&1') != 0;

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_buffers = 16MB\nmax_parallel_workers_per_gather = 0\njit = off\n");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 't' || i % 3, ARRAY[i, i % 7] FROM generate_series(1, 30000) i;
END
my $content = "SELECT count(*), sum(values[1]), md5(string_agg(time || tag, ',' ORDER BY tag, time)) FROM m";
my $want = $node->safe_psql('postgres', $content);

# Runs SQL in a session whose memory is limited to so many MB more than it has when it has begun to use the table.
sub limited
{
	my ($more, $sql) = @_;
	my $psql = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $psql->query("SET historian.write_buffer = '2047MB'; SELECT count(*) FROM m WHERE tag = 'none' \\gset\nSELECT pg_backend_pid()") =~ s/\D//gr;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+)/m;
	my $limit = ($kb + $more * 1024) * 1024;

	system("prlimit --pid $pid --as=$limit:") == 0 or die 'prlimit failed';
	$psql->query($sql);
	my $state = $psql->query('\echo :LAST_ERROR_SQLSTATE');
	my $lives = $psql->query('SELECT 1');
	$psql->quit;
	return "$state|$lives" =~ s/\n//gr;
}

is(limited(24, "INSERT INTO m SELECT i, 'big', ARRAY[i, random(), random(), random(), random()] FROM generate_series(1, 3000000) i"), '53200|1', 'a load: out of memory, and the session lives');
is($node->safe_psql('postgres', $content), $want, 'nothing of the load is there');

$node->safe_psql('postgres', "INSERT INTO m SELECT i, 'wide', ARRAY(SELECT random() FROM generate_series(1, 500)) FROM generate_series(1, 2000) i");
$want = $node->safe_psql('postgres', $content);
is(limited(1, "SELECT historian.compact('m')"), '53200|1', 'compaction');
is($node->safe_psql('postgres', $content), $want, 'the table is as it was');
is(limited(1, "DELETE FROM m WHERE values[1] > 0.5"), '53200|1', 'DELETE');
is($node->safe_psql('postgres', $content), $want, 'the table is as it was');
is($node->safe_psql('postgres', "SELECT count(*) FROM historian.check('m')"), '0', 'and intact');
$node->safe_psql('postgres', "SELECT historian.compact('m'); DELETE FROM m WHERE tag = 'wide'");
is($node->safe_psql('postgres', 'SELECT count(*) FROM m'), '30000', 'with memory again, all of it works');
$node->stop;
done_testing();
