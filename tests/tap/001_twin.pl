# Twin test: random statements on a historian table and on a heap table where the later row of a tag and
# time wins. Transactions, prepared ones too, savepoints, statements that fail, CTEs that are not read to their end,
# triggers that look, cursors, several sessions, compaction and vacuum in between; the tables and what queries see of
# them must always be equal.
#
# SEED (printed) and TWIN_SEQUENCES set what is run. Every sequence starts from empty tables and from
# its own seed, so SEED=<that of a failed one> TWIN_SEQUENCES=1 repeats it; its statements are printed.
#
# Sequences run in lanes side by side, each in a database of its own: no other lane's transactions keep rows from
# being vacuumed, or segments from being compacted.
use strict;
use warnings;
use IPC::Open2;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $first_seed = $ENV{SEED} // int(rand(1_000_000_000));
my $sequences = $ENV{TWIN_SEQUENCES} // 1000;
my $lanes = $sequences < 3 ? $sequences : 3;
my $mark = 'end of step';
my ($session, $alone, $in_transaction, $prepared, $bulks);    # of the statement being made

diag "SEED=$first_seed TWIN_SEQUENCES=$sequences";

my $node = PostgreSQL::Test::Cluster->new('twin');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
autovacuum_naptime = 1
max_prepared_transactions = 10
fsync = off
END
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- Returns a description of the first difference between the rows of two queries, or nothing.
CREATE FUNCTION differ(what text, query_m text, query_h text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		SELECT 'DIFFERENT in %1$s: ' || min(d::text) || ', ' || count(*) || ' rows, more (+) or fewer (-) in m'
		FROM (SELECT sum(side) AS surplus, r FROM (SELECT 1 AS side, m AS r FROM (%2$s) m UNION ALL SELECT -1, h FROM (%3$s) h) b
			GROUP BY r HAVING sum(side) <> 0) d
		HAVING count(*) > 0$q$, what, query_m, query_h);
END $$;
CREATE FUNCTION differ(condition text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT differ(replace(condition, '''', ''), 'SELECT time, tag, array_send(values) FROM m WHERE ' || condition,
		'SELECT time, tag, array_send(values) FROM h WHERE ' || condition)
$$;
CREATE FUNCTION differ_downsampled(of_tag text, start bigint, "end" bigint, n int) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT differ(format('downsample %s %s %s %s', of_tag, start, "end", n),
		format('SELECT d."time", array_send(d."values") FROM historian.downsample(''m'', %L, %L, %L, %L) d', of_tag, start, "end", n),
		format('SELECT t.at, array_send(v.values) FROM (SELECT %2$L::bigint + i * (%3$L::bigint - %2$L::bigint) / %4$L::int AS at FROM generate_series(1, %4$L::int) i) t
			LEFT JOIN LATERAL (SELECT values FROM h WHERE tag = %1$L AND time <= t.at ORDER BY time DESC LIMIT 1) v ON true
			WHERE EXISTS (SELECT FROM h WHERE tag = %1$L)', of_tag, start, "end", n))
$$;
CREATE FUNCTION differ_cursors() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	cm refcursor := 'cm';
	ch refcursor := 'ch';
	rm text;
	rh text;
BEGIN
	IF (SELECT count(*) FROM pg_cursors WHERE name IN ('cm', 'ch')) < 2 THEN
		RETURN;
	END IF;
	LOOP
		FETCH cm INTO rm;
		FETCH ch INTO rh;
		IF rm IS DISTINCT FROM rh THEN
			RETURN NEXT format('DIFFERENT in cursors: %s in m, %s in h', rm, rh);
			RETURN;
		END IF;
		EXIT WHEN rm IS NULL;
	END LOOP;
END $$;
-- Moves two cursors alike.
CREATE FUNCTION differ_cursors(VARIADIC moves int[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	cm refcursor := 'cm';
	ch refcursor := 'ch';
	rm text;
	rh text;
	move int;
BEGIN
	IF (SELECT count(*) FROM pg_cursors WHERE name IN ('cm', 'ch') AND is_scrollable) < 2 THEN
		RETURN;
	END IF;
	FOREACH move IN ARRAY moves LOOP
		FETCH RELATIVE move FROM cm INTO rm;
		FETCH RELATIVE move FROM ch INTO rh;
		IF rm IS DISTINCT FROM rh THEN
			RETURN NEXT format('DIFFERENT in cursors moved by %s: %s in m, %s in h', move, rm, rh);
			RETURN;
		END IF;
	END LOOP;
END $$;
-- What triggers see of their table before and after a statement. ON CONFLICT has those of INSERT and of UPDATE.
CREATE TABLE seen (side text, at text, what text);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO seen SELECT %L, %L, (SELECT row(count(*), sum(time), sum(cardinality(values)), max(tag)) FROM %I)',
		TG_TABLE_NAME, TG_WHEN, TG_TABLE_NAME);
	RETURN NULL;
END $$;
CREATE FUNCTION differ_seen() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT differ('what was seen', 'SELECT DISTINCT at, what FROM seen WHERE side = ''m''', 'SELECT DISTINCT at, what FROM seen WHERE side = ''h''')
$$;
-- UPDATE of the key as last-wins demands: away with the old rows, then the new ones.
CREATE FUNCTION move_h(condition text, by bigint, to_tag text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	moved h[];
BEGIN
	EXECUTE format('SELECT array_agg(h) FROM h WHERE %s', condition) INTO moved;
	EXECUTE format('DELETE FROM h WHERE %s', condition);
	INSERT INTO h SELECT DISTINCT ON (1, 2) time + by, coalesce(to_tag, tag), values FROM unnest(moved)
	ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
END $$;
END

sub pick { return $_[ int(rand(@_)) ] }
sub any_tag { return 't' . int(4 * rand() ** 2) }

# Sessions that write at once keep to times of their own, as the heap would let one wait for the other.
sub any_time
{
	my $time = int(rand(pick(20, 300, 3000)));
	$time = $time * 3 + $session unless $alone;
	return $time;
}
sub own { return $alone ? '' : " AND time % 3 = $session" }

sub any_values
{
	my $kind = rand();
	return 'NULL' if $kind < 0.04;
	return '{}' if $kind < 0.08;
	return '{' . join(',', map { rand() < 0.1 ? 'NULL' : rand() < 0.1 ? pick('NaN', '-0', 'Infinity', '5e-324')
				: pick(int(rand(100)), sprintf('%.2f', rand(100)), rand()) } 1 .. pick(1, 2, 3, 3, 10)) . '}';
}

sub any_rows
{
	return map { { time => any_time(), tag => any_tag(), values => any_values() } } 1 .. pick(1, 1, 3, 20, 100);
}

sub values_list
{
	return join(', ', map { "($_->{time}, '$_->{tag}', " . ($_->{values} eq 'NULL' ? 'NULL' : "'$_->{values}'") . ')' } @_);
}

# The later of the rows with the same key.
sub last_ones
{
	my %last = map { ("$_->{tag} $_->{time}" => $_) } @_;
	return map { $last{$_} } sort keys %last;
}

sub insert_h
{
	return 'INSERT INTO h VALUES ' . values_list(last_ones(@_)) . ' ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values';
}

# Both statements or, where a lock is not to be had or a snapshot is too old, neither.
sub both
{
	my ($m, $h) = @_;
	return "DO \$b\$ BEGIN $m; $h; EXCEPTION WHEN lock_not_available OR serialization_failure OR deadlock_detected OR object_in_use THEN NULL; END \$b\$;";
}

# Where a range begins; often among the few times that many rows have, so that its ends fall on those of segments.
sub any_bound { return int(rand(pick(25, 300, 1000))) }

sub range
{
	my $from = any_bound();
	my $until = $from + int(rand(pick(3, 25, 100, 3000)));
	my $tag = any_tag();
	return pick("tag = '$tag' AND time BETWEEN $from AND $until", "tag = '$tag' AND time BETWEEN $from AND $until", "tag = '$tag'",
		"time < $from", "tag = '$tag' AND time = $from", "tag IN ('t0', '$tag') AND time > $until", "values IS NULL", "values[1] > 50 AND tag = '$tag'",
		"tag > 't0' AND time >= $from");
}

my %statements = (
	insert => sub {
		my @rows = any_rows();
		return both('INSERT INTO m VALUES ' . values_list(@rows), insert_h(@rows));
	},
	singles => sub {
		my @rows = any_rows();
		splice(@rows, 10) if @rows > 10;
		return both(join('; ', map { 'INSERT INTO m VALUES ' . values_list($_) } @rows), insert_h(@rows));
	},
	copy => sub {
		return '' if $prepared->[$session];    # the heap could wait for what is prepared, after the COPY
		my @rows = any_rows();
		my $both = "COPY m FROM stdin;\n" . join('', map { "$_->{time}\t$_->{tag}\t" . ($_->{values} eq 'NULL' ? '\N' : $_->{values}) . "\n" } @rows)
			. "\\.\n" . insert_h(@rows) . ';';
		# one transaction, because the heap may wait for autovacuum, which cuts off its end, after the COPY
		return $in_transaction->[$session] ? $both : "BEGIN;\n$both\nCOMMIT;";
	},
	generated => sub {
		my ($n, $step, $tags) = (pick(50, 400, 2000), pick(1, 3, 7), pick(1, 3));
		my $base = any_time();
		my $modulus = pick(97, 100000);
		my ($factor, $offset) = $alone ? (1, 0) : (3, $session);
		my $rows = "SELECT (($base + i * $step) % $modulus) * $factor + $offset AS time, 't' || i % $tags AS tag, ARRAY[i, i % 10, i * $step / 7.0]::float8[] AS values, i FROM generate_series(1, $n) i";
		return both("INSERT INTO m SELECT time, tag, values FROM ($rows) r ORDER BY i",
			"INSERT INTO h SELECT DISTINCT ON (tag, time) time, tag, values FROM ($rows) r ORDER BY tag, time, i DESC ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values");
	},
	# mostly after all other rows, with values that do not compress: full segments, which a bulk load places as compacted
	bulk => sub {
		my ($n, $tags) = (pick(300, 1500), pick(1, 1, 2));
		my $base = 100_000 + pick(0, 1, 2, 3, 4) * 1000 + ($bulks += pick(0, 500));
		my ($factor, $offset) = $alone ? (1, 0) : (3, $session);
		my $rows = "SELECT ($base + i) * $factor + $offset AS time, 't' || i % $tags AS tag, ARRAY[sin(i), cos(i), sin(i / 7.0), cos(i / 7.0), sin(i * i)]::float8[] AS values FROM generate_series(1, $n) i";
		return both("INSERT INTO m $rows", "INSERT INTO h $rows ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values");
	},
	from_itself => sub {
		my $condition = range() . own();
		my $by = 3 * int(rand(200));
		return both("INSERT INTO m SELECT time + $by, tag, values || 1::float8 FROM m WHERE $condition",
			"INSERT INTO h SELECT time + $by, tag, values || 1::float8 FROM h WHERE $condition ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values");
	},
	failing => sub {
		my @rows = any_rows();
		return 'DO $b$ BEGIN INSERT INTO m VALUES ' . values_list(@rows) . '; ' . insert_h(@rows)
			. '; RAISE EXCEPTION SQLSTATE \'HX001\'; EXCEPTION WHEN SQLSTATE \'HX001\' THEN NULL; END $b$;';
	},
	# fails at a row in the middle, so that what it gathered must be let go; the next command works on
	failing_change => sub {
		my ($condition, $next, $at) = (range() . own(), range() . own(), any_time());
		my $fails = "$condition AND CASE WHEN $condition THEN 1 / (time - $at) END IS NOT NULL";
		my $change = pick("DELETE FROM %s WHERE $fails", "UPDATE %s SET values = '{2}' WHERE $fails", "UPDATE %s SET values = ARRAY[1 / (time - $at)] WHERE $condition");
		my $both = "BEGIN $change; EXCEPTION WHEN division_by_zero THEN NULL; END; " . pick("DELETE FROM %s WHERE $next", "UPDATE %s SET values = '{3}' WHERE $next");
		return both(map { my $table = $_; $both =~ s/%s/$table/gr } 'm', 'h');
	},
	# a CTE that changes rows is carried out to its end, whatever of it is read
	cte => sub {
		my $condition = range() . own() . " AND tag NOT LIKE '%-moved'";
		my @rows = any_rows();
		my $rows = values_list(last_ones(@rows));
		my $last_wins = 'ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values';
		my $change = pick("c AS (DELETE FROM %s WHERE $condition RETURNING *)", "c AS (UPDATE %s SET values = '{4}' WHERE $condition RETURNING *)",
			"c AS (INSERT INTO %s VALUES $rows %c RETURNING *)",
			"d AS (DELETE FROM %s WHERE $condition RETURNING *), c AS (INSERT INTO %s SELECT time, tag || '-moved', values FROM d %c RETURNING *)");
		my $main = pick('SELECT 1', 'SELECT 1 FROM c LIMIT 1', 'SELECT 1 FROM c LIMIT 0', 'SELECT EXISTS (SELECT FROM c)', 'SELECT c.time FROM c JOIN generate_series(1, 5) g ON true LIMIT 3',
			"INSERT INTO seen SELECT '%s', 'cte', count(*) FROM %s", "INSERT INTO seen SELECT '%s', 'cte', count(*) FROM c");
		# moved to tags of their own, as in the heap the order of the two changes is not defined
		my @both = map { my ($table, $conflict) = @$_; "EXECUTE \$q\$WITH $change $main\$q\$" =~ s/%s/$table/gr =~ s/%c/$conflict/gr } [ 'm', '' ], [ 'h', $last_wins ];
		return 'DELETE FROM seen; ' . both(@both) . " SELECT differ_seen(); SELECT differ('true');";
	},
	looked_at => sub {
		return '' unless $alone;
		my @rows = any_rows();
		my $condition = range();
		my ($m, $h) = @{ pick([ 'INSERT INTO m VALUES ' . values_list(@rows), insert_h(@rows) ], map { my $change = $_; [ map { $change =~ s/%s/$_/r } 'm', 'h' ] }
			"DELETE FROM %s WHERE $condition", "UPDATE %s SET values = '{5}' WHERE $condition") };
		my @both = map { my ($table, $change) = @$_; join('; ', (map { "CREATE TRIGGER look_$_ $_ INSERT OR DELETE OR UPDATE ON $table EXECUTE FUNCTION look()" } 'BEFORE', 'AFTER'),
				$change, "DROP TRIGGER look_BEFORE ON $table", "DROP TRIGGER look_AFTER ON $table") } [ 'm', $m ], [ 'h', $h ];
		return 'DELETE FROM seen; ' . both(@both) . ' SELECT differ_seen();';
	},
	read_only => sub {
		my ($tag, $from) = (any_tag(), any_bound());
		my $write = pick("PERFORM historian.delete('m', '$tag', 0, $from)", "PERFORM historian.drop_before('m', $from)", "PERFORM historian.compact('m')", "DELETE FROM m WHERE tag = '$tag'");
		return "DO \$b\$ BEGIN SET LOCAL transaction_read_only = on; $write; RAISE 'DIFFERENT: a READ ONLY transaction wrote';
			EXCEPTION WHEN read_only_sql_transaction OR lock_not_available THEN NULL; END \$b\$;";
	},
	current_of => sub {
		my $condition = range() . own();
		my $change = pick('DELETE FROM m', "UPDATE m SET values = '{6}'");
		return "DO \$b\$ DECLARE c refcursor; r record; BEGIN OPEN c FOR SELECT * FROM m WHERE $condition; FETCH c INTO r; IF NOT FOUND THEN CLOSE c; RETURN; END IF;
			$change WHERE CURRENT OF c; RAISE 'DIFFERENT: WHERE CURRENT OF was not refused';
			EXCEPTION WHEN feature_not_supported OR invalid_cursor_state OR lock_not_available THEN NULL; END \$b\$;";
	},
	delete => sub {
		my $condition = range() . own();
		return both("DELETE FROM m WHERE $condition", "DELETE FROM h WHERE $condition");
	},
	delete_range => sub {
		return '' unless $alone;
		my ($tag, $from) = (any_tag(), pick(0, any_bound()));
		# the last row's time, too, where a segment ends
		my $until = pick($from + any_bound(), "(SELECT greatest($from, max(time)) FROM h WHERE tag = '$tag')");
		return both("PERFORM historian.delete('m', '$tag', $from, $until)", "DELETE FROM h WHERE tag = '$tag' AND time >= $from AND time < $until");
	},
	drop_before => sub {
		return '' unless $alone;
		my $time = any_bound();
		return both("PERFORM historian.drop_before('m', $time)", "DELETE FROM h WHERE time < $time");
	},
	rename => sub {
		return '' unless $alone;
		my ($tag, $new_tag) = (pick(any_tag(), 'renamed, with a longer name'), pick(any_tag(), 'renamed, with a longer name'));
		return '' if $tag eq $new_tag;
		return both("IF EXISTS (SELECT FROM h WHERE tag = '$new_tag') THEN
			BEGIN PERFORM historian.rename('m', '$tag', '$new_tag'); RAISE 'DIFFERENT: rename to a tag with samples was not refused'; EXCEPTION WHEN duplicate_object THEN NULL; END;
			ELSE PERFORM historian.rename('m', '$tag', '$new_tag')", "UPDATE h SET tag = '$new_tag' WHERE tag = '$tag'; END IF");
	},
	replace => sub {
		return '' unless $alone;
		my ($tag, $from) = (any_tag(), any_bound());
		my $until = $from + 1 + any_bound();
		my %values = map { ($from + int(rand($until - $from)) => pick('NULL', int(rand(100)), rand())) } 1 .. pick(0, 1, 20, 300);
		my @times = sort { $a <=> $b } keys %values;
		return both("PERFORM historian.replace('m', '$tag', $from, $until, '{" . join(',', @times) . "}'::bigint[], '{" . join(',', map { "{$_,$values{$_}}" } @times) . "}')",
			join('; ', "DELETE FROM h WHERE tag = '$tag' AND time >= $from AND time < $until", map { "INSERT INTO h VALUES ($_, '$tag', '{$_,$values{$_}}')" } @times));
	},
	update => sub {
		my $condition = range() . own();
		my $set = pick("values = '{-1}'", 'values = values || 7::float8', 'values = NULL', 'values = ARRAY[time]');
		return both("UPDATE m SET $set WHERE $condition", "UPDATE h SET $set WHERE $condition");
	},
	move => sub {
		my $condition = range() . own();
		my $by = 3 * int(rand(300));
		my $tag = any_tag();
		(my $quoted = $condition) =~ s/'/''/g;
		return both("UPDATE m SET time = time + $by WHERE $condition", "PERFORM move_h('$quoted', $by, NULL)");
	},
	truncate => sub {
		return both('TRUNCATE m', 'TRUNCATE h');
	},
	buffer => sub {
		return 'SET historian.write_buffer = ' . pick(64, 64, 65536) . '; SET historian.min_shared_tags = ' . pick(1, 1, 2, 512) . ';';
	},
	check => sub {
		return "SELECT differ('true');";
	},
	check_part => sub {
		(my $condition = range()) =~ s/'/''/g;
		return "SELECT differ('$condition');";
	},
	check_sequential => sub {
		return 'SET historian.enable_scan = off; ' . "SELECT differ('true'); RESET historian.enable_scan;";
	},
	check_downsample => sub {
		my ($tag, $from) = (any_tag(), int(rand(2000)) - 200);
		my $until = $from + 1 + int(rand(3000));
		return "SELECT differ_downsampled('$tag', $from, $until, " . pick(1, 10, 100) . ');';
	},
	check_aggregate => sub {
		return join(' ', map { "SELECT differ('aggregate', 'SELECT tag, count(*), min(time), max(time), count(values), sum(cardinality(values)) FROM m GROUP BY tag',
			'SELECT tag, count(*), min(time), max(time), count(values), sum(cardinality(values)) FROM h GROUP BY tag');" } 1);
	},
	cursor => sub {
		return '' unless $in_transaction->[$session];
		my $condition = range();
		my ($scroll, $hold) = (pick('', 'SCROLL'), pick('', '', 'WITH HOLD'));
		return "CLOSE ALL; DECLARE cm $scroll CURSOR $hold FOR SELECT time, tag, values FROM m WHERE $condition ORDER BY tag, time;
			DECLARE ch $scroll CURSOR $hold FOR SELECT time, tag, values FROM h WHERE $condition ORDER BY tag, time; MOVE 1 IN cm; MOVE 1 IN ch;";
	},
	move_cursor => sub {
		return 'SELECT differ_cursors(' . join(', ', map { int(rand(pick(3, 200))) - pick(0, 2, 100) } 1 .. 5) . ');';
	},
	check_cursor => sub {
		return 'SELECT differ_cursors();';
	},
	compact => sub {
		return '' if $in_transaction->[$session];
		return "DO \$b\$ BEGIN PERFORM historian.compact('m'); EXCEPTION WHEN lock_not_available OR serialization_failure THEN NULL; END \$b\$;";
	},
	vacuum => sub {
		return '' if $in_transaction->[$session];
		return pick('VACUUM m;', 'VACUUM m;', 'VACUUM (FREEZE) m;', 'ANALYZE m;', $alone ? ('VACUUM FULL m;', 'REINDEX TABLE m;') : ());
	},
	begin => sub {
		return '' if $in_transaction->[$session];
		$in_transaction->[$session] = 1;
		return 'BEGIN ISOLATION LEVEL ' . pick('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE') . ';';
	},
	savepoint => sub {
		return '' unless $in_transaction->[$session];
		return 'SAVEPOINT s' . $in_transaction->[$session]++ . ';';
	},
	rollback_to => sub {
		return '' unless ($in_transaction->[$session] // 0) > 1;
		my $to = 1 + int(rand($in_transaction->[$session] - 1));
		$in_transaction->[$session] = $to + 1;
		return "ROLLBACK TO s$to;";
	},
	release => sub {
		return '' unless ($in_transaction->[$session] // 0) > 1;
		my $to = 1 + int(rand($in_transaction->[$session] - 1));
		$in_transaction->[$session] = $to;
		return "RELEASE s$to;";
	},
	commit => sub {
		return '' unless $in_transaction->[$session];
		$in_transaction->[$session] = 0;
		return 'COMMIT;';
	},
	rollback => sub {
		return '' unless $in_transaction->[$session];
		$in_transaction->[$session] = 0;
		return 'ROLLBACK;';
	},
	prepare => sub {
		return '' unless $in_transaction->[$session] && !$prepared->[$session];
		$in_transaction->[$session] = 0;
		$prepared->[$session] = 1;
		return "PREPARE TRANSACTION :'name';";
	},
	resolve => sub {
		return '' unless $prepared->[$session] && !$in_transaction->[$session];
		$prepared->[$session] = 0;
		return pick('COMMIT', 'ROLLBACK') . " PREPARED :'name';";
	},
);
my %weight = (insert => 8, singles => 3, copy => 6, generated => 5, bulk => 3, from_itself => 2, failing => 2, delete => 4, delete_range => 2, drop_before => 1, rename => 2, replace => 1,
	update => 3, move => 2, truncate => 1, buffer => 2, check => 6, check_part => 6, check_sequential => 1, check_downsample => 6, check_aggregate => 2,
	cursor => 2, check_cursor => 3, compact => 5, vacuum => 2, begin => 8, savepoint => 5, rollback_to => 4, release => 2, commit => 4, rollback => 2, prepare => 2, resolve => 4,
	failing_change => 3, cte => 4, looked_at => 2, read_only => 1, current_of => 1, move_cursor => 2);
my @bag = map { ($_) x $weight{$_} } sort keys %weight;

# The steps of a sequence, [session, statements] each.
sub make_sequence
{
	my $nsessions = pick(1, 1, 1, 2, 3);
	my @steps;

	$alone = $nsessions == 1;
	$in_transaction = [];
	$bulks = 0;
	$prepared = [];
	# in half of the sequences all tags share segments
	push @steps, map { [ $_, 'SET historian.min_shared_tags = ' . pick(1, 512) . ';' ] } 0 .. $nsessions - 1;
	for (1 .. pick(10, 20, 40))
	{
		$session = int(rand($nsessions));
		my $sql = $statements{ pick(@bag) }->();
		push @steps, [ $session, $sql ] if $sql ne '';
	}
	for my $n (0 .. $nsessions - 1)
	{
		$session = $n;
		push @steps, [ $session, $statements{check}->() ];
		push @steps, [ $session, 'COMMIT;' ] if $in_transaction->[$session];
		$in_transaction->[$session] = 0;
		push @steps, [ $session, 'CLOSE ALL;' ];
		push @steps, [ $session, $statements{resolve}->() ] if $prepared->[$session];
	}
	push @steps, [ 0, "SELECT differ('true');" ], [ 0, $statements{check_downsample}->() ], [ 0, "SELECT historian.compact('m') \\gset" ], [ 0, "SELECT differ('true');" ];
	return @steps;
}

sub connect_session
{
	my ($lane, $number) = @_;
	my ($out, $in);
	my $connection = $node->connstr($lane);
	local $ENV{PGOPTIONS} = '-c lock_timeout=30ms -c client_min_messages=warning';
	my $pid = open2($out, $in, "exec psql -XAtq -d \"$connection\" 2>&1");
	print { $in } "\\set VERBOSITY terse\n\\set name '$lane $number'\n";
	return { in => $in, out => $out, pid => $pid };
}

# Runs statements in a session, and returns what it printed.
sub run_step
{
	my ($psql, $sql) = @_;
	my $output = '';

	print { $psql->{in} } "$sql\n\\echo $mark\n";
	$psql->{in}->flush;
	while (my $line = readline $psql->{out})
	{
		return $output if $line eq "$mark\n";
		$output .= $line;
	}
	return $output . 'the session ended';
}

# Runs every $lanes-th sequence from the given one on in a database of its own. Prints what failed, and at the end how many
# sequences did and how many statements there were.
sub run_lane
{
	my ($first, $lane, $report) = @_;
	my @sessions = map { connect_session($lane, $_) } 0 .. 2;
	my ($failed, $statements) = (0, 0);

	for (my $n = $first; $n < $sequences && $failed < 3; $n += $lanes)
	{
		my ($log, $problem) = ('', '');
		my $seed = $first_seed + $n;

		srand($seed);
		my @steps = make_sequence();
		$problem = run_step($sessions[0], 'SET lock_timeout = 0; TRUNCATE m, h; SET lock_timeout = 30;');
		for my $step (@steps)
		{
			my ($who, $sql) = @$step;
			$log .= "-- session $who\n$sql\n";
			my $output = run_step($sessions[$who], $sql);
			$statements++;
			# a COPY that could not begin leaves its rows to psql, which takes them for commands and statements
			$output = '' if $sql =~ /^COPY .* FROM stdin/m && $output =~ /^ERROR:  (canceling statement due to lock timeout|current transaction is aborted)/;
			# what concurrency may answer; the transaction is then rolled back on both tables
			$output =~ s/^ERROR:  (could not serialize access|could not (compact|delete from|update) historian table|canceling statement due to lock timeout|current transaction is aborted|deadlock detected).*\n//mg;
			$output =~ s/^ERROR:  cannot PREPARE a transaction that has created a cursor WITH HOLD\n//mg;
			$output =~ s/^ERROR:  (savepoint|prepared transaction).* does not exist\n//mg;
			$output =~ s/^WARNING:  there is no transaction in progress\n//mg;
			$problem .= $output;
			last if $problem ne '';
		}
		next if $problem eq '';
		$failed++;
		print $report "sequence of SEED=$seed: $problem\n$log";
		run_step($_, 'ROLLBACK;') for @sessions;
	}
	print { $_->{in} } "\\q\n" for @sessions;
	close $_->{in} for @sessions;
	waitpid $_->{pid}, 0 for @sessions;
	print $report "$failed failed of $statements statements\n";
}

my (@reports, @problems);
my ($failed, $statements) = (0, 0);

for my $first (0 .. $lanes - 1)
{
	my $lane = "lane$first";

	$node->safe_psql('template1', "CREATE DATABASE $lane TEMPLATE postgres");
	pipe(my $report, my $end) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		eval { run_lane($first, $lane, $end); 1 } or print $end $@;
		close $end;
		POSIX::_exit(0);
	}
	push @reports, $report;
}
for my $report (@reports)
{
	my $text = do { local $/; readline $report };

	if ($text =~ s/^(\d+) failed of (\d+) statements\n\z//m)
	{
		($failed, $statements) = ($failed + $1, $statements + $2);
	}
	else
	{
		fail('a lane runs to its end');
	}
	push @problems, $text if $text ne '';
}
diag "$statements statements";
# The comments behind a failed test are repeated at the end of tests/run.
is($failed, 0, "$sequences sequences, $statements statements, SEED=$first_seed");
note($_) for @problems;
$node->stop;
done_testing();
