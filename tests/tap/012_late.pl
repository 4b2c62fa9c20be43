# Late rows, gathered in runs and late segments before they are merged: each load is also made to a heap
# twin, where the later row of a tag and time replaces the earlier, and the two must agree at all times.
#
# SEED (printed) and LOADS (default 900) set what is run.
#
# Runs alone, because it keeps both processors busy.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} // int(rand(1_000_000_000));
my $loads = $ENV{LOADS} // 900;

diag "SEED=$seed LOADS=$loads";
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('late');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_buffers = 64MB\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE EXTENSION pageinspect;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE twin (time bigint, tag text, values float8[], PRIMARY KEY (tag, time));

-- the load of that number: values tell what it is, and do not compress
CREATE FUNCTION load(number int, tag text, times bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL client_min_messages = warning;
	CREATE TEMP TABLE IF NOT EXISTS new (n bigint, time bigint, tag text, values float8[]);
	TRUNCATE new;
	INSERT INTO new SELECT n, t, load.tag, ARRAY[number, n] || (SELECT array_agg(random()) FROM generate_series(1, 2 + (n % 37 = 0)::int))
		FROM unnest(times) WITH ORDINALITY AS u (t, n);
	INSERT INTO m SELECT time, new.tag, values FROM new ORDER BY n;
	INSERT INTO twin SELECT DISTINCT ON (time) time, new.tag, values FROM new ORDER BY time, n DESC
		ON CONFLICT ON CONSTRAINT twin_pkey DO UPDATE SET values = EXCLUDED.values;
END $$;

-- what differs, in every way of reading
CREATE FUNCTION differences() RETURNS TABLE (what text, n bigint) LANGUAGE sql AS $$
	SELECT 'rows', count(*) FROM ((TABLE m EXCEPT ALL TABLE twin) UNION ALL (TABLE twin EXCEPT ALL TABLE m)) AS d
	UNION ALL SELECT 'window', count(*) FROM (SELECT DISTINCT tag FROM twin) t, (SELECT (random() * max(time))::bigint AS f FROM twin) w,
		LATERAL (SELECT array_agg(time ORDER BY time) a FROM m WHERE m.tag = t.tag AND time BETWEEN f AND f + 5000) x,
		LATERAL (SELECT array_agg(time ORDER BY time) a FROM twin WHERE twin.tag = t.tag AND time BETWEEN f AND f + 5000) y
		WHERE x.a IS DISTINCT FROM y.a
	UNION ALL SELECT 'as of', count(*) FROM (SELECT DISTINCT tag FROM twin) t, (SELECT (random() * max(time))::bigint AS f, max(time) AS u FROM twin) w,
		LATERAL historian.downsample('m', t.tag, f, u + 10, 50) AS d
		WHERE d.values IS DISTINCT FROM (SELECT values FROM twin WHERE twin.tag = t.tag AND twin.time <= d.time ORDER BY time DESC LIMIT 1)
	UNION ALL SELECT 'last', count(*) FROM (SELECT DISTINCT tag FROM twin) t
		WHERE (SELECT values FROM m WHERE m.tag = t.tag ORDER BY time DESC LIMIT 1) IS DISTINCT FROM
			(SELECT values FROM twin WHERE twin.tag = t.tag ORDER BY time DESC LIMIT 1)
	UNION ALL SELECT 'tags', count(*) FROM ((SELECT * FROM historian.tags('m')) EXCEPT (SELECT tag, min(time), max(time), count(*) FROM twin GROUP BY tag)) AS d
	UNION ALL SELECT 'check', count(*) FROM historian.check('m')
$$;

-- the kinds of segments that the table has; what is most of each so far
CREATE FUNCTION kinds() RETURNS TABLE (kind int, n bigint) LANGUAGE sql AS $$
	SELECT get_byte(t_data, 3) & 63, count(*) FROM generate_series(0, pg_relation_size('m') / 8192 - 1) b,
		LATERAL heap_page_items(get_raw_page('m', b::int)) WHERE lp_flags = 1 AND t_xmax = 0 GROUP BY 1
$$;
CREATE TABLE most (kind int PRIMARY KEY, n bigint);
CREATE FUNCTION look() RETURNS void LANGUAGE sql AS $$
	INSERT INTO most SELECT * FROM kinds() ON CONFLICT (kind) DO UPDATE SET n = greatest(most.n, excluded.n)
$$;
END

my @tags = ('busy', 'slow', 'burst');
my %now = map { $_ => 1_000_000 } @tags;
my %kinds;
my $wrong = 0;

# a past for late rows to fall on
$now{busy} += 80_000 * 20;
$node->safe_psql('postgres', "SELECT load(0, 'busy', array_agg(1000000 + i * 20 ORDER BY i)) FROM generate_series(1, 80000) i; SELECT historian.compact('m')");

sub random_times
{
	my ($tag) = @_;
	my @times;
	my $kind = int(rand(12));
	my $n = $tag eq 'slow' ? 1 : 5 + int(rand(15));

	push @times, $now{$tag} += 1 + int(rand(40)) for 1 .. $n;
	# some that are late, anywhere
	push @times, 1_000_000 + int(rand($now{$tag} - 1_000_000)) for 1 .. int(rand($tag eq 'busy' ? 30 : 3));
	# sent again
	push @times, @times[ 0 .. int(rand(@times)) ] if $kind == 0;
	# much of a past stretch at once
	if ($kind == 1 && $tag eq 'burst')
	{
		my $from = 900_000 + int(rand($now{$tag} - 900_000));
		push @times, map { $from + $_ * 7 } 0 .. 400;
	}
	# long before the first, and far ahead
	push @times, int(rand(1_000_000)) if $kind == 2 && rand() < 0.3;
	push @times, $now{$tag} + 3000 if $kind == 3 && rand() < 0.1;
	# a few steps late
	push @times, $now{$tag} - int(rand(200)) for 1 .. int(rand(4));
	return '{' . join(',', sort { rand() <=> 0.5 } @times) . '}';
}

for (my $load = 1; $load <= $loads;)
{
	my $sql = "SELECT setseed(" . rand() . ");\n";

	for (1 .. 60)
	{
		my $tag = $tags[ rand(@tags) ];
		$sql .= "SELECT load($load, '$tag', '" . random_times($tag) . "');\n";
		# what a round leaves may be gone after the next one
		$sql .= "SELECT historian.compact_due('m');\nSELECT look();\n" if rand() < 0.5;
		if (rand() < 0.02)
		{
			my $from = int(rand($now{$tag}));
			my $where = "tag = '$tag' AND time >= $from AND time < " . ($from + int(rand(3000)));
			$sql .= "DELETE FROM m WHERE $where; DELETE FROM twin WHERE $where;\n";
		}
		$sql .= "DELETE FROM m WHERE tag = '$tag' AND time > $now{$tag} - 100; DELETE FROM twin WHERE tag = '$tag' AND time > $now{$tag} - 100;\n" if rand() < 0.01;
		$sql .= "VACUUM m;\n" if rand() < 0.05;
		$sql .= "SELECT historian.compact('m');\n" if $load > $loads * 2 / 3 && rand() < 0.01;
		$sql .= "SELECT look();\n" if $load % 5 == 0;
		$load++;
	}
	$node->safe_psql('postgres', $sql);
	my $differences = $node->safe_psql('postgres', 'SELECT * FROM differences() WHERE n > 0');
	$wrong++ if $differences ne '';
	is($differences, '', "after load " . ($load - 1)) if $differences ne '' || $load > $loads;
	last if $wrong;
}
for my $line (split /\n/, $node->safe_psql('postgres', 'SELECT * FROM most'))
{
	my ($kind, $n) = split /\|/, $line;
	$kinds{$kind} = $n;
}
diag 'most segments: ' . join(', ', map { "kind $_: $kinds{$_}" } sort keys %kinds);
ok($kinds{4}, 'there were late runs');
ok($kinds{8}, 'there were late segments');
ok(($kinds{0} // 0) < 500, 'pending segments were merged');

# one late row writes anew the segment that it overlaps, and no other
$node->safe_psql('postgres', "SELECT historian.compact('m'); TRUNCATE m, twin;
	SELECT load(1, 'a', array_agg(i * 10 ORDER BY i)) FROM generate_series(1, 5000) i; SELECT historian.compact('m')");
is($node->safe_psql('postgres', "SELECT load(2, 'a', '{10001}'); SELECT segments_merged, \"rows\" < 2000 FROM historian.compact('m')") =~ s/^\n//r, '2|t', 'one late row: one segment written anew');
is($node->safe_psql('postgres', "SELECT load(3, 'a', '{5001,15001}'); SELECT segments_merged, \"rows\" < 4000 FROM historian.compact('m')") =~ s/^\n//r, '3|t', 'two far apart in one load: two');
is($node->safe_psql('postgres', 'SELECT * FROM differences() WHERE n > 0'), '', 'and nothing else changed');

$node->safe_psql('postgres', "SELECT historian.compact('m')");
is($node->safe_psql('postgres', 'SELECT string_agg(kind::text, $$,$$) FROM kinds()'), '1', 'compact() leaves compacted segments alone');
$node->stop;
done_testing();
