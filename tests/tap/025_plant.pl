# A plant against a heap twin: some hundred tags, of which each load has a few rows, so that they share segments; some tags that
# come and go with many rows. Merges of all levels, compaction, deletions, VACUUM, VACUUM FULL and REINDEX come in between, beside
# sessions with old snapshots and cursors, a second writer with open and prepared transactions, and subtransactions that fail. In the
# heap the later row of a tag and time replaces the earlier; the two tables must agree at all times, in every way of reading.
#
# SEED (printed) sets what is run, PLANT_SECONDS (20) for how long.
#
# Runs alone, because it keeps both processors busy.
use strict;
use warnings;
use List::Util qw(shuffle);

# the time that a session may live, before it is taken for hung
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 180 + 2 * ($ENV{PLANT_SECONDS} // 20); }
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{SEED} // int(rand(1_000_000_000));
my $seconds = $ENV{PLANT_SECONDS} // 20;

diag "SEED=$seed PLANT_SECONDS=$seconds";
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('plant');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction = off
autovacuum = off
max_prepared_transactions = 2
fsync = off
shared_buffers = 64MB
jit = off
lock_timeout = 200ms
deadlock_timeout = 100ms
END
$node->start;
my $now = $node->safe_psql('postgres', 'SELECT (extract(epoch FROM now()) * 1e9)::bigint');
my $base = $now - 20 * 3600 * 1_000_000_000;
my $step = 500_000_000;
my $late_shift = 15 * 3600 * 1_000_000_000;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[], PRIMARY KEY (tag, time));
CREATE TABLE new_0 (n bigserial, time bigint, tag text COLLATE "C", values float8[]);
CREATE TABLE new_1 (n bigserial, time bigint, tag text COLLATE "C", values float8[]);

-- one load, of a file, to both tables
CREATE FUNCTION load(file text, writer int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('DELETE FROM new_%s', writer);
	EXECUTE format('COPY new_%s (time, tag, values) FROM %L', writer, file);
	EXECUTE format('COPY m FROM %L', file);
	EXECUTE format('INSERT INTO h SELECT DISTINCT ON (tag, time) time, tag, values FROM new_%s ORDER BY tag, time, n DESC
		ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values', writer);
END $$;

-- what differs, in many ways of reading; `at` and `until` are times about which to ask
CREATE FUNCTION differences(of_tags text[], at bigint, until bigint) RETURNS TABLE (what text, n bigint) LANGUAGE sql AS $$
	SELECT 'rows', count(*) FROM ((TABLE m EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE m)) AS d
	UNION ALL SELECT 'window', count(*) FROM unnest(of_tags) t,
		LATERAL (SELECT array_agg(values::text ORDER BY time) a FROM m WHERE tag = t AND time BETWEEN at AND until) x,
		LATERAL (SELECT array_agg(values::text ORDER BY time) a FROM h WHERE tag = t AND time BETWEEN at AND until) y
		WHERE x.a IS DISTINCT FROM y.a
	UNION ALL SELECT 'list of tags', count(*) FROM (
		(SELECT * FROM m WHERE tag = ANY (of_tags) AND time > at EXCEPT ALL SELECT * FROM h WHERE tag = ANY (of_tags) AND time > at) UNION ALL
		(SELECT * FROM h WHERE tag = ANY (of_tags) AND time > at EXCEPT ALL SELECT * FROM m WHERE tag = ANY (of_tags) AND time > at)) AS d
	UNION ALL SELECT 'as of', count(*) FROM unnest(of_tags) t, LATERAL historian.downsample('m', t, at, until, 20) AS d
		WHERE d.values IS DISTINCT FROM (SELECT values FROM h WHERE tag = t AND time <= d.time ORDER BY time DESC LIMIT 1)
	UNION ALL SELECT 'count', count(*) FROM unnest(of_tags) t, generate_series(0, 9) i,
		LATERAL (SELECT at + i * 7000000000 AS a, at + (i + 1) * 7000000000 AS b) w
		WHERE EXISTS (SELECT FROM h WHERE tag = t) AND coalesce((SELECT d.values[1] FROM historian.downsample('m', t, w.a, w.b, 1, 'count') d), 0)
			<> (SELECT count(values[1]) FROM h WHERE tag = t AND time > w.a AND time <= w.b)
	UNION ALL SELECT 'last', count(*) FROM unnest(of_tags) t
		WHERE (SELECT values FROM m WHERE tag = t ORDER BY time DESC LIMIT 1) IS DISTINCT FROM
			(SELECT values FROM h WHERE tag = t ORDER BY time DESC LIMIT 1)
	UNION ALL SELECT 'latest', count(*) FROM (
		(SELECT tag, time, values FROM historian.latest('m') EXCEPT ALL (SELECT DISTINCT ON (tag) tag, time, values FROM h ORDER BY tag, time DESC))
		UNION ALL (SELECT * FROM (SELECT DISTINCT ON (tag) tag, time, values FROM h ORDER BY tag, time DESC) x EXCEPT ALL SELECT tag, time, values FROM historian.latest('m'))) AS d
	UNION ALL SELECT 'tags', count(*) FROM (
		(SELECT tag, first_time, last_time, samples FROM historian.tags('m') EXCEPT ALL SELECT tag, min(time), max(time), count(*) FROM h GROUP BY tag) UNION ALL
		(SELECT tag, min(time), max(time), count(*) FROM h GROUP BY tag EXCEPT ALL SELECT tag, first_time, last_time, samples FROM historian.tags('m'))) AS d
	UNION ALL SELECT 'aggregate', count(*) FROM (
		SELECT tag, count(*), min(values[1]), max(values[2]), sum(values[1]) FROM m WHERE time > at GROUP BY tag EXCEPT ALL
		SELECT tag, count(*), min(values[1]), max(values[2]), sum(values[1]) FROM h WHERE time > at GROUP BY tag) AS d
	UNION ALL SELECT 'check', count(*) FROM historian.check('m')
$$;
CREATE FUNCTION differ_cursors(most int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	cm refcursor := 'cm';
	ch refcursor := 'ch';
	rm text;
	rh text;
BEGIN
	FOR i IN 1 .. most LOOP
		FETCH cm INTO rm;
		FETCH ch INTO rh;
		IF rm IS DISTINCT FROM rh THEN
			RETURN NEXT format('cursors: %s in m, %s in h', rm, rh);
			RETURN;
		END IF;
		EXIT WHEN rm IS NULL;
	END LOOP;
END $$;
CREATE FUNCTION levels() RETURNS text LANGUAGE sql AS $$
	SELECT pending_segments || ' pending segments of ' || pending_tags || ' tags' FROM historian.stat_get_table('m')
$$;
END

sub pick { return $_[ int(rand(@_)) ] }

my @tags = (
	(map { "t$_" } 1 .. 60),
	(map { sprintf 'site/area-%d/unit-%d/sensor-%d', $_ / 40, $_ / 8, $_ } 1 .. 160),
	(map { 'p' x 250 . $_ } 1 .. 30),
	(map { 'q' x $_ } 1, 2, 3, 31, 32, 33, 127, 128, 200, 254, 255, 256),
	(map { chr(0xc3) . chr(0xa9) . $_ } 1 .. 30));
# these come and go with many rows
my @frequent = @tags[ 3, 70, 225, 240, 260 ];
my $directory = $node->basedir;
my ($loads, $files) = (0, 0);

# Writes the rows of a load to a file. Each writer has times of its own, as the heap would let one wait for the other.
sub load_file
{
	my ($writer) = @_;
	my @chosen = (shuffle @tags)[ 0 .. pick(0, 5, 50, 150, $#tags, $#tags) ];
	my $at = pick($loads, int(rand($loads + 1)), int(rand(20)));
	my $shift = rand() < 0.2 ? $late_shift : 0;
	my @rows;

	$loads++;
	push @chosen, (map { my $tag = $_; map { $tag } 1 .. pick(20, 60, 200, 600) } grep { rand() < 0.3 } @frequent) if rand() < 0.4;
	my $spread = pick(1, 5, 5, 600);
	for my $tag (@chosen)
	{
		for (1 .. pick(1, 1, 1, 1, 2, 5))
		{
			my $time = $base + $shift + (2 * ($at + int(rand($spread))) + $writer) * $step;
			my $values = rand() < 0.02 ? '\N' : rand() < 0.02 ? '{}' : '{' . join(',', $loads, rand() < 0.1 ? 'NULL' : int(rand(1000)) / 100, rand() < 0.05 ? ('NaN', rand()) : ()) . '}';
			push @rows, "$time\t$tag\t$values\n";
		}
	}
	my $file = "$directory/load-" . $files++;
	open my $out, '>', $file or die "$file: $!";
	print $out rand() < 0.5 ? @rows : shuffle @rows;
	close $out;
	chmod 0644, $file;
	return $file;
}

sub connect_session
{
	my $psql = $node->background_psql('postgres', on_error_stop => 0);

	$psql->query('SET historian.min_shared_tags = 2; SET client_min_messages = error');
	return $psql;
}

my @failures;
# Runs statements, and notes errors but for those that the other sessions may cause. Returns whether there was none.
sub run
{
	my ($psql, $sql) = @_;
	my $output = $psql->query($sql);
	my $errors = $psql->{stderr};

	$psql->{stderr} = '';
	$output =~ s/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|DO|SET|PREPARE TRANSACTION|\s*)\n?$//mg;
	my $expected = $errors =~ /ERROR:  (could not serialize|could not compact|canceling statement due to lock timeout|deadlock detected|cannot PREPARE)/;
	my $unexpected = $errors ne '' && !$expected;
	push @failures, "$output$errors in: " . substr($sql, 0, 300) if $unexpected || $output =~ /\S/;
	return !$expected;
}

sub differences
{
	my ($psql, $who) = @_;
	my @asked = (@frequent, (shuffle @tags)[ 0 .. 9 ]);
	my $at = $base + int(rand(2 * $loads + 20)) * $step;
	my $until = pick($at + 30 * $step, $at + 600 * $step, $base + $late_shift + 100 * $step);
	my $list = join(',', map { "'$_'" } @asked);

	$psql->query_safe('SET ' . pick('parallel_setup_cost = 0', 'parallel_setup_cost = 1000') . '; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0');
	run($psql, "SELECT '$who differs', what, n FROM differences(ARRAY[$list], $at, $until) WHERE n <> 0;");
}

sub condition
{
	my $tag = pick(@tags, (@frequent) x 20);
	my $from = $base + int(rand(2 * $loads + 20)) * $step;
	my $until = $from + pick(1, 20, 300) * $step;
	my $own = "AND (time / $step - $base / $step) % 2 = 0";
	return pick("tag = '$tag' $own", "tag = '$tag' AND time BETWEEN $from AND $until $own", "time BETWEEN $from AND $until AND tag LIKE '%7' $own", "tag LIKE 'site/area-2%' AND time < $from $own",
		"values[1] = " . int(rand($loads + 1)) . " $own");
}

sub both
{
	my ($m, $h) = @_;
	return "DO \$b\$ BEGIN $m; $h; EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected THEN NULL; END \$b\$;";
}

my $main = connect_session();
my $reader = connect_session();
my $writer = connect_session();
my ($reading, $writing, $prepared, $rounds) = (0, 0, 0, 0);
my $end = time + $seconds;
my %done;

# what other writers do needs their locks: a change of rows takes the table's, until the end
my %actions = (
	load => sub { my $file = load_file(0); run($main, "BEGIN; SELECT load('$file', 0) \\gset\nCOMMIT;"); },
	loads => sub {
		my @files = map { load_file(0) } 1 .. pick(3, 8, 9, 20);
		run($main, join('', map { "SELECT load('$_', 0) \\gset\n" } @files));
	},
	load_and_fail => sub {
		my ($kept, $lost) = (load_file(0), load_file(0));
		run($main, "BEGIN; SELECT load('$kept', 0) \\gset\nSAVEPOINT a; SELECT load('$lost', 0) \\gset\nROLLBACK TO a; COMMIT;");
	},
	failing => sub {
		my $file = load_file(0);
		run($main, "DO \$b\$ BEGIN PERFORM load('$file', 0); RAISE SQLSTATE 'HX001'; EXCEPTION WHEN SQLSTATE 'HX001' THEN NULL; END \$b\$;");
	},
	delete => sub { my $c = condition(); run($main, both("DELETE FROM m WHERE $c", "DELETE FROM h WHERE $c")); },
	update => sub {
		my $c = condition();
		# small numbers, of which every sum is exact in any order
		my $set = pick("values = '{-1,-2}'", 'values = values || 7::float8', "values = ARRAY[(time - $base) / $step]");
		run($main, both("UPDATE m SET $set WHERE $c", "UPDATE h SET $set WHERE $c"));
	},
	load_and_change => sub {
		my ($file, $c) = (load_file(0), condition());
		run($main, both("PERFORM load('$file', 0); DELETE FROM m WHERE $c; UPDATE m SET values = '{5}' WHERE $c", "DELETE FROM h WHERE $c"));
	},
	delete_range => sub {
		return if $writing || $prepared;
		my $tag = pick(@tags, @frequent);
		my $from = $base + int(rand(2 * $loads)) * $step;
		my $until = $from + pick(1, 50, 500) * $step;
		run($main, both("PERFORM historian.delete('m', '$tag', $from, $until)", "DELETE FROM h WHERE tag = '$tag' AND time >= $from AND time < $until"));
	},
	drop_before => sub {
		return if $writing || $prepared;
		my $time = $base + int(rand($loads)) * $step;
		run($main, both("PERFORM historian.drop_before('m', $time)", "DELETE FROM h WHERE time < $time"));
	},
	compact_due => sub { run($main, "SELECT historian.compact_due('m') \\gset") for 1 .. pick(1, 3); },
	compact => sub { run($main, "SELECT historian.compact('m') \\gset"); },
	vacuum => sub { run($main, pick('VACUUM m;', 'VACUUM m;', 'VACUUM (FREEZE) m;', 'ANALYZE m;')); },
	rewrite => sub {
		return if $reading || $writing || $prepared;
		run($main, 'SET lock_timeout = 0; ' . pick('VACUUM FULL m;', 'REINDEX TABLE m;'));
		run($main, 'REINDEX TABLE CONCURRENTLY m;') if rand() < 0.3;
		run($main, 'SET lock_timeout = 200;');
	},
	read => sub {
		return differences($reader, 'an old snapshot'), run($reader, 'SELECT differ_cursors(' . pick(5, 100, 1000) . ');') if $reading && rand() < 0.6;
		run($reader, 'COMMIT;') if $reading;
		$reading = !$reading;
		return unless $reading;
		run($reader, 'BEGIN ISOLATION LEVEL ' . pick('REPEATABLE READ', 'SERIALIZABLE') . ';');
		run($reader, "DECLARE c$_ CURSOR FOR SELECT * FROM $_ ORDER BY tag, time;") for 'm', 'h';
		run($reader, 'SELECT differ_cursors(7);');
	},
	write => sub {
		my $file = load_file(1);
		if ($prepared)
		{
			$prepared = 0;
			return run($writer, pick('COMMIT', 'ROLLBACK') . " PREPARED 'p';");
		}
		if (!$writing)
		{
			$writing = 1;
			return run($writer, "BEGIN; SELECT load('$file', 1) \\gset\n");
		}
		return run($writer, "SELECT load('$file', 1) \\gset\n") if rand() < 0.3;
		$writing = 0;
		return $prepared = run($writer, "PREPARE TRANSACTION 'p';") if rand() < 0.3;
		run($writer, pick('COMMIT;', 'COMMIT;', 'ROLLBACK;'));
	},
);
my %weight = (load => 8, loads => 4, load_and_fail => 2, failing => 1, delete => 3, update => 3, load_and_change => 1, delete_range => 2, drop_before => 1, compact_due => 6,
	compact => 1, vacuum => 2, rewrite => 1, read => 6, write => 6);
my @bag = map { ($_) x $weight{$_} } sort keys %weight;

while (time < $end && @failures == 0)
{
	my $log = '';

	for (1 .. 6)
	{
		my $action = pick(@bag);

		$done{$action}++;
		$log .= " $action";
		$actions{$action}->();
		last if @failures;
	}
	differences($main, 'the table') unless @failures;
	$failures[0] = "round $rounds,$log: $failures[0]" if @failures;
	$rounds++;
	unlink glob("$directory/load-*");
}
diag "$rounds rounds, $loads loads: " . join(', ', map { "$_ $done{$_}" } sort keys %done);
is(join("\n", @failures), '', "no difference, SEED=$seed");
run($reader, 'COMMIT;') if $reading;
run($writer, 'ROLLBACK;') if $writing;
run($writer, "COMMIT PREPARED 'p';") if $prepared;
$_->quit for $reader, $writer;

# a policy of retention removes what is older from shared segments too
$node->safe_psql('postgres', "SET lock_timeout = 0; SELECT historian.set_retention('m', '10 hours', 'site/area-1')");
ok($node->poll_query_until('postgres', "SELECT bool_and(last_run IS NOT NULL) FROM historian.stat_retention WHERE relname = 'm'"), 'retention has run');
run($main, "DELETE FROM h WHERE tag LIKE 'site/area-1%' AND time < $now - 36000000000000::bigint;");
differences($main, 'after retention');
run($main, "SET lock_timeout = 0; SELECT historian.compact('m') \\gset");
differences($main, 'after compaction');
is(join("\n", @failures), '', 'nor after retention and compaction');
is($node->safe_psql('postgres', "SELECT segments_merged FROM historian.compact('m')"), '0', 'nothing is left to compact');
$main->quit;
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'the server stood');
$node->stop;
done_testing();
