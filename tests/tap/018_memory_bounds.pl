# How much memory a backend takes for what docs/operations.md gives a bound for, as its peak RSS.
#
# Runs alone, because it measures memory.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('bounds');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_buffers = 8MB\nmax_parallel_workers_per_gather = 0\njit = off\nmax_wal_size = 4GB\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION historian');

# By how many MB the peak RSS of a session that has read once from a small table grows while it runs the SQL.
sub growth
{
	my ($sql) = @_;
	my $psql = $node->background_psql('postgres');
	my $pid = $psql->query("SELECT count(*) FROM warm \\gset\nSELECT pg_backend_pid()") =~ s/\D//gr;
	my $peak = sub { (slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m)[0] };

	# 5: the peak is to be what is used now
	open my $file, '>', "/proc/$pid/clear_refs" or die "clear_refs: $!";
	print $file '5';
	close $file;
	my $before = $peak->();
	$psql->query_safe($sql);
	my $after = $peak->();
	$psql->quit;
	return ($after - $before) / 1024;
}

sub bounded
{
	my ($limit, $name, $sql) = @_;
	my $mb = growth($sql);

	cmp_ok($mb, '<', $limit, sprintf('%s: %.0f MB, at most %d', $name, $mb, $limit));
}

$node->safe_psql('postgres', <<'END');
CREATE TABLE warm (time bigint, tag text, values float8[]) USING historian;
INSERT INTO warm SELECT i, 't' || i % 100, ARRAY[i] FROM generate_series(1, 100000) i;
SELECT historian.compact('warm');
CREATE UNLOGGED TABLE src AS SELECT i::bigint AS time, 't' || i % 100 AS tag, array_fill(i::float8, ARRAY[10]) AS values FROM generate_series(1, 500000) i;
CREATE TABLE dst (time bigint, tag text, values float8[]) USING historian;
END

# a row's array is 128 bytes where it is detoasted
bounded(20, 'INSERT ... SELECT of 500,000 rows', "SET historian.write_buffer = '2MB'; INSERT INTO dst SELECT * FROM src");
bounded(20, 'CREATE TABLE ... AS', "SET historian.write_buffer = '2MB'; CREATE TABLE dst2 USING historian AS SELECT * FROM src");
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT * FROM src EXCEPT SELECT * FROM dst2) d'), '0', 'all rows are there');
# where rows come in the order of their tags, those of a thousand tags are gathered, and not of all
bounded(15, 'a load of 300,000 tags in order', "INSERT INTO dst SELECT 1, 'plant/' || to_char(i, 'FM000000'), ARRAY[i] FROM generate_series(1, 300000) i");
bounded(40, 'UPDATE of 100,000 rows', "SET historian.write_buffer = '2MB'; UPDATE warm SET values = values || 1::float8");
bounded(40, 'DELETE ... RETURNING of 100,000 rows', "CREATE TEMP TABLE gone (n bigint); BEGIN; WITH d AS (DELETE FROM warm RETURNING *) INSERT INTO gone SELECT count(*) FROM d; ROLLBACK");

$node->safe_psql('postgres', <<'END');
CREATE TABLE wordy (time bigint, tag text, values float8[]) USING historian;
INSERT INTO wordy SELECT i, repeat('w', 250), ARRAY[i] FROM generate_series(1, 200000) i;
SELECT historian.compact('wordy');
END
bounded(30, 'UPDATE of 200,000 rows of a long tag', "SET historian.write_buffer = '2MB'; UPDATE wordy SET values = values");

# once a row of 1,000 values has come, those of one value before it take as much
my $few_wide = "SELECT time, 'a' AS tag, CASE WHEN time % 100000 = 50000 THEN array_fill(time::float8, ARRAY[1000]) ELSE ARRAY[time::float8] END AS values FROM src";
$node->safe_psql('postgres', 'CREATE TABLE ragged (time bigint, tag text, values float8[]) USING historian');
bounded(40, 'INSERT of a few rows of 1,000 values among many of one', "SET historian.write_buffer = '2MB'; INSERT INTO ragged $few_wide");
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT * FROM ragged INTERSECT $few_wide) d"), '500000', 'all rows are there');

# historian.write_buffer is that of all partitions together
$node->safe_psql('postgres', <<'END');
CREATE TABLE parts (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
DO $$ BEGIN
	FOR i IN 0 .. 199 LOOP
		EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s) USING historian', i, i * 2500 + 1, i * 2500 + 2501);
	END LOOP;
END $$;
CREATE TABLE mixed AS SELECT * FROM src ORDER BY time * 7919 % 500009;
END
my $file = $node->basedir . '/mixed';
$node->safe_psql('postgres', "COPY mixed TO '$file' (FORMAT binary)");
bounded(40, 'INSERT ... SELECT into 200 partitions', "SET historian.write_buffer = '8MB'; INSERT INTO parts SELECT * FROM mixed");
is($node->safe_psql('postgres', 'SELECT count(*), sum(time) FROM parts'), $node->safe_psql('postgres', 'SELECT count(*), sum(time) FROM src'), 'all rows are there');
bounded(40, 'COPY into 200 partitions', "TRUNCATE parts; SET historian.write_buffer = '8MB'; COPY parts FROM '$file' (FORMAT binary)");
is($node->safe_psql('postgres', 'SELECT count(*), sum(time) FROM parts'), $node->safe_psql('postgres', 'SELECT count(*), sum(time) FROM src'), 'all rows are there');

$node->safe_psql('postgres', <<'END');
CREATE TABLE long (time bigint, tag text, values float8[]) USING historian;
INSERT INTO long SELECT i, 'a', array_fill(i::float8, ARRAY[10]) FROM generate_series(1, 500000) i;
INSERT INTO long SELECT i, 'curve', ARRAY[i::float8 * i] FROM generate_series(1, 500000) i;
SELECT historian.compact('long');
END
bounded(40, 'moving_average over all of 500,000 rows', "SELECT count(*) FROM historian.moving_average('long', 'a', 0, 500000, 500000, 500000)");
bounded(40, 'moving_average over each', "SELECT count(*) FROM historian.moving_average('long', 'a', 0, 500000, 500000, 1)");
bounded(40, "downsample by $_", "SELECT count(*) FROM historian.downsample('long', 'a', 0, 500000, 500000, '$_')")
	for qw(last first average time_average stddev delta plot lttb minmaxlttb);
bounded(30, 'lttb of a curve, all of whose rows are corners', "SELECT count(*) FROM historian.downsample('long', 'curve', 0, 500000, 3, 'lttb')");
bounded(30, 'raw', "SELECT count(*) FROM historian.raw('long', 'a', 0, 500001)");

# segments: 200,000 of one row each, and 20,000 pending ones of one tag
$node->safe_psql('postgres', <<'END');
CREATE TABLE many (time bigint, tag text, values float8[]) USING historian;
INSERT INTO many SELECT 1, 'tag' || i, '{1,2,3}' FROM generate_series(1, 200000) i;
CREATE TABLE pending (time bigint, tag text, values float8[]) USING historian;
DO $$ BEGIN
	FOR i IN 1 .. 20000 LOOP
		INSERT INTO pending VALUES (i, 'a', '{1,2,3}');
	END LOOP;
END $$;
END
bounded(30, 'historian.check of 200,000 segments', "SELECT count(*) FROM historian.check('many')");
bounded(140, 'DELETE of a row in each of 200,000 segments', 'BEGIN; DELETE FROM many; ROLLBACK');
bounded(8, 'read of a tag with 20,000 pending segments', "SELECT count(*) FROM (SELECT * FROM pending WHERE tag = 'a' OFFSET 0) p");

$node->stop;
done_testing();
