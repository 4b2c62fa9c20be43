# The file of a table after bulk loads, many small loads and retention: VACUUM alone brings it to at most 1.15 times
# what VACUUM FULL makes of it, because bulk loads place full segments and compaction moves segments to free pages.
# The rows are always those of a heap twin, on the primary, on a standby and after crashes in the middle of all that.
#
# SEED (printed) and CRASHES (default 4) set what is run.
#
# Runs alone, because it gives compaction a deadline.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $seed = $ENV{SEED} // int(rand(1_000_000_000));
my $crashes = $ENV{CRASHES} // 4;
my $most = 1.15;
my $deadline = 120;

diag "SEED=$seed CRASHES=$crashes";
srand($seed);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
historian.write_buffer = 2MB
autovacuum = off
restart_after_crash = off
# what a standby that is slow has yet to read
wal_keep_size = 1GB
END
$primary->start;
$primary->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE EXTENSION pageinspect;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));
CREATE TABLE loads (n bigint PRIMARY KEY);

-- load number n: its rows follow those of the loads before, of 10 tags, the last of which have few; one in a heap, too
CREATE FUNCTION load(n bigint, size int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO loads VALUES (n);
	INSERT INTO h SELECT n * 1000000 + i, 't' || floor(10 * ((i * 7919 % size) / size::float8) ^ 2), ARRAY[n, i, sin(i * i), cos(i * i)]
		FROM generate_series(1::bigint, size) i;
	INSERT INTO m SELECT * FROM h WHERE time > n * 1000000 AND time <= (n + 1) * 1000000 ORDER BY time;
$$;
CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) d
$$;
CREATE FUNCTION sums_differ() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM (SELECT tag, count(*), sum(values[2]) AS sum, min(time) - 1 AS a, max(time) AS b FROM h GROUP BY tag) t,
		LATERAL historian.downsample('m', tag, a, b, 1, 'sum') s, LATERAL historian.downsample('m', tag, a, b, 1, 'count') c
	WHERE c.values[1] <> t.count OR abs(s.values[2] - t.sum) > 1e-9 * t.sum
$$;
CREATE FUNCTION placed() RETURNS float8 LANGUAGE sql AS $$
	SELECT sum(n) FILTER (WHERE kind = 1) / sum(n)::float8 FROM
		(SELECT get_byte(t_data, 3) AS kind, get_byte(t_data, 32) + 256 * get_byte(t_data, 33) AS n
		FROM generate_series(0, pg_relation_size('m') / 8192 - 1) b, LATERAL heap_page_items(get_raw_page('m', b::int))
		WHERE lp_flags = 1 AND t_xmax = 0 AND get_byte(t_data, 3) < 2) s
$$;
END
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub query { return $primary->safe_psql('postgres', $_[0]) }

# The rows, sums and the check of the table, and the rows on the standby.
sub is_right
{
	my ($what) = @_;
	my $rows = 'SELECT count(*), sum(hashtextextended(m::text, 0)) FROM m';

	is(query('SELECT differences()'), '0', "$what: rows");
	is(query('SELECT sums_differ()'), '0', "$what: sums");
	is(query(q{SELECT string_agg(DISTINCT problem, ', ') FROM historian.check('m')}), '', "$what: check");
	my $expected = query($rows);
	$primary->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', $rows), $expected, "$what: standby");
}

# The size over that of a copy as small as VACUUM FULL makes it.
sub size { return query(q{SELECT pg_total_relation_size('m')}) }

sub dead_rows { return query(q{SELECT pg_stat_force_next_flush(); SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'm'}) =~ s/^\s*//r }

sub full_size
{
	query(q{DROP TABLE IF EXISTS packed; CREATE TABLE packed (LIKE m) USING historian; INSERT INTO packed SELECT * FROM m ORDER BY tag, time;
		SELECT historian.compact('packed')});
	query('VACUUM FULL packed');
	return query(q{SELECT pg_total_relation_size('packed')});
}

# Vacuums until the background worker has moved what is to be moved.
sub is_small
{
	my ($what) = @_;
	my $full = full_size();
	my $end = time() + $deadline;
	my $ratio;

	do
	{
		usleep(300_000) if defined $ratio;
		query('VACUUM m');
		$ratio = size() / $full;
	} while ($ratio > $most && time() < $end);
	# what is large, and what the worker does
	diag(join "\n", query(q{SELECT r, pg_relation_size(r), pg_total_relation_size(r) FROM unnest('{m,packed}'::regclass[]) r}),
		query('SELECT w FROM historian.stat_worker w'), query(q{SELECT backend_type, state, backend_xmin, wait_event, left(query, 60) FROM pg_stat_activity}))
		if $ratio > $most;
	cmp_ok($ratio, '<=', $most, sprintf('%s: the file is %.3f times as large as a packed one', $what, $ratio));
}

# Starts a session that runs a script until the server stops.
sub in_background
{
	my ($script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';

	append_to_file($file, $script);
	return IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $primary->connstr('postgres'), '-f', $file ],
		'>', \my $out, '2>', \my $err);
}

# A bulk load is stored once.
query('SELECT load(1, 300000)');
cmp_ok(query('SELECT placed()'), '>', 0.8, 'a bulk load places most of its rows');
is_right('bulk load');
query(q{SELECT historian.compact('m')});
is_small('bulk load, compacted');
is_right('bulk load, compacted');

# Small loads are stored anew by compaction; what that leaves is closed up.
query('ALTER SYSTEM SET historian.compaction = off; SELECT pg_reload_conf()');
query("SELECT load($_, 3000)") for 2 .. 40;
query(q{SELECT historian.compact('m')});
query('VACUUM m');
my $before = size();
query('ALTER SYSTEM RESET historian.compaction; SELECT pg_reload_conf()');
is_small('small loads');
cmp_ok(size(), '<', $before, 'the file has shrunk');
is_right('small loads');

# Retention.
query(q{SELECT historian.drop_before('m', 2000000); DELETE FROM h WHERE time < 2000000});
is_small('retention');
is_right('retention');

# One call, with nothing in the background: many small loads, of which compaction alone leaves the former room as holes.
query('ALTER SYSTEM SET historian.compaction = off; SELECT pg_reload_conf()');
query("SELECT load($_, 3000)") for 50 .. 90;
my $reader = $primary->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $seen = $reader->query_safe('SELECT count(*), sum(hashtextextended(m::text, 0)) FROM m');
my $shrinking = in_background(q{CALL historian.shrink('m');});
ok($primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event_type = 'Extension'}),
	'it waits for a reader');
is($reader->query_safe('SELECT count(*), sum(hashtextextended(m::text, 0)) FROM m'), $seen, 'which sees what it saw');
$reader->query_safe('COMMIT');
$reader->quit;
$shrinking->finish;
my $shrunk = size();
cmp_ok($shrunk / full_size(), '<=', $most, 'historian.shrink(): the file is small after one call');
is_right('historian.shrink()');
query('VACUUM FULL m');
cmp_ok($shrunk / size(), '<=', $most, 'and beside VACUUM FULL of the same table');
for my $refused ([ q{BEGIN; CALL historian.shrink('m')}, 'inside a transaction block' ], [ q{CALL historian.shrink(NULL)}, 'must not be null' ],
	[ q{CALL historian.shrink('h')}, 'is not a historian table' ], [ q{SET default_transaction_read_only = on; CALL historian.shrink('m')}, 'read-only' ],
	[ q{SET default_transaction_isolation = 'repeatable read'; CALL historian.shrink('m')}, 'needs the isolation level READ COMMITTED' ])
{
	my ($sql, $why) = @$refused;
	my (undef, undef, $error) = $primary->psql('postgres', $sql);
	like($error, qr/$why/, "refused: $why");
}
query(q{CREATE TABLE parts (LIKE m) PARTITION BY HASH (tag); CREATE TABLE part0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
	CREATE TABLE part1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian});
query("INSERT INTO parts SELECT * FROM m WHERE time > $_ * 1000000 AND time <= ($_ + 1) * 1000000") for 50 .. 80;
my $parts = query('SELECT count(*), sum(hashtextextended(p::text, 0)) FROM parts p');
query(q{DO $$ BEGIN CALL historian.shrink('parts'); END $$});
is(query('SELECT count(*), sum(hashtextextended(p::text, 0)) FROM parts p'), $parts, 'a parent: rows');
my $parts_size = query(q{SELECT pg_total_relation_size('part0') + pg_total_relation_size('part1')});
query('VACUUM FULL part0');
query('VACUUM FULL part1');
cmp_ok($parts_size / query(q{SELECT pg_total_relation_size('part0') + pg_total_relation_size('part1')}), '<=', $most, 'a parent: its partitions are small');
query('DROP TABLE parts');

# By itself: the background worker and autovacuum, without a command.
query("SELECT load($_, 3000)") for 91 .. 99;
query("SELECT load($_, 3000)") for 200 .. 230;
query(q{SELECT historian.compact('m')});
cmp_ok(size() / full_size(), '>', $most, 'small loads, compacted, leave a large file');

# A VACUUM that a snapshot keeps from freeing anything counts what it has left, so that autovacuum comes again.
$reader = $primary->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM loads');
query("SELECT load($_, 3000)") for 231 .. 240;
query(q{SELECT historian.compact('m')});
query('VACUUM m');
cmp_ok(dead_rows(), '>=', 10 * 3000, 'dead rows that VACUUM leaves');
query('ANALYZE m');
cmp_ok(dead_rows(), '>=', 8 * 3000, '... as ANALYZE sees them');
$reader->quit;
query('SELECT count(*) FROM m');
query('ANALYZE m');
cmp_ok(dead_rows(), '>=', 8 * 3000, '... and when reads have pruned them');
query(q{ALTER TABLE m SET (autovacuum_vacuum_scale_factor = 0.05)});
query('ALTER SYSTEM RESET historian.compaction; ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET autovacuum_naptime = 1; SELECT pg_reload_conf()');
my $full = full_size();
my $end = time() + $deadline;
usleep(300_000) while size() > $most * $full && time() < $end;
cmp_ok(size() / $full, '<=', $most, 'by itself the file becomes small');
query('ALTER SYSTEM RESET autovacuum; ALTER SYSTEM RESET autovacuum_naptime; SELECT pg_reload_conf()');
is_right('by itself');

# Crashes: a load and its number are committed together.
my $next = 300;
for my $crash (1 .. $crashes)
{
	my @sessions = map { in_background($_) } join('', map { sprintf("SELECT load(%d, %d);\n", $next++, int(rand(2)) ? 60000 : 2000) } 1 .. 100),
		"SELECT historian.compact('m');\nVACUUM m;\nCALL historian.shrink('m');\nSELECT historian.drop_before('m', 0);\n" x 1000;
	usleep(1_000_000 + rand(1_500_000));
	$primary->stop('immediate');
	$_->finish for @sessions;
	$primary->start;
	is(query('SELECT count(*) FROM loads l WHERE n >= 300 AND NOT EXISTS (SELECT FROM m WHERE time > n * 1000000 AND time <= (n + 1) * 1000000)'),
		'0', "crash $crash: no load is lost");
	is_right("crash $crash");
}
cmp_ok(query('SELECT count(*) FROM loads WHERE n >= 300'), '>', 0, 'loads were made between crashes');
query('SELECT historian.drop_before(\'m\', (SELECT max(time) / 2 FROM h)); DELETE FROM h WHERE time < (SELECT max(time) / 2 FROM h)');
query(q{SELECT historian.compact('m')});
is_small('after the crashes');
is_right('after the crashes');

done_testing();
