# Bytes of a table's file that are damaged, or made to deceive: every function reads them, and either says that they
# are damaged or gives rows within bounds.  Checksums of pages are off; those of segments are made to fit in half of
# the tables.  SEED= repeats a run, TABLES= tells how many damaged copies there are.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant {
	PAGE => 8192,
	TUPLE_HEADER => 24,
	SEGMENT_HEADER => 36,
};
my $widest = 301;
my $tables = $ENV{TABLES} // 60;
my $seed = $ENV{SEED} // int(rand(1000000));
note "SEED=$seed";
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('damage');
$node->init(extra => $node->pg_version >= 18 ? ['--no-data-checksums'] : []);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\nlog_min_messages = warning");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
-- a load of everything that a block can hold
CREATE FUNCTION load(first integer, rows integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO m SELECT 1000000 + row * 1000 + CASE tag WHEN 'jitter' THEN (random() * 900)::integer ELSE 0 END, tag, CASE tag
		WHEN 'steady' THEN ARRAY[row / 100, row % 7, 0.25 * row]
		WHEN 'jitter' THEN ARRAY[round((100 * random())::numeric, 2), random()]
		WHEN 'levels' THEN ARRAY[(ARRAY[1.5, 17, 800.25])[1 + row * 7 % 3], exp(-row % 5)]
		WHEN 'nulls' THEN ARRAY[row, CASE WHEN row % 3 = 0 THEN NULL ELSE 2.5 END]
		WHEN 'ragged' THEN array_fill(row * 1.5::float8, ARRAY[300 + row % 2])
		WHEN 'runs' THEN array_fill(1.5::float8, ARRAY[1 + row / 200 % 3])
		ELSE array_fill(1.5::float8, ARRAY[row * row % 5])
		END::float8[]
	FROM generate_series(first, first + rows - 1) row, unnest(ARRAY['steady', 'jitter', 'levels', 'nulls', 'ragged', 'runs', 'widths']) tag
	WHERE tag <> 'ragged' OR row % 200 < 4
$$;
SELECT load(1, 2500);
SELECT historian.compact('m');
SELECT load(1200, 5);
SELECT historian.compact('m');
SELECT load(2501, 30);
SELECT load(2510, 10);
-- rows of many tags that share segments, one of them with some rows, and two runs of them
SET historian.min_shared_tags = 2;
INSERT INTO m SELECT 1000000 + n * 1000, format('site/area/sensor-%s', n), ARRAY[n] FROM generate_series(1, 300) AS n;
INSERT INTO m SELECT 2000000 + row * 1000, format('site/area/sensor-%s', n), ARRAY[n, row / 7.0] FROM generate_series(1, 300, 7) AS n, generate_series(1, 1 + n % 5) AS row;
-- a run of some segments
CREATE TABLE f (LIKE m) USING historian;
INSERT INTO f SELECT 1, format('site/area/sensor-%s', n), ARRAY[n] FROM generate_series(10001, 13000) AS n;
END

my $original = $node->safe_psql('postgres', 'SELECT count(*), max(cardinality(values)) FROM m');
is($original =~ s/.*\|//r, $widest, 'the widest row');
$node->safe_psql('postgres', "CREATE TABLE m_$_ (time bigint, tag text, values float8[]) USING historian") for 1 .. $tables;
$node->safe_psql('postgres', 'VACUUM m; CHECKPOINT');

sub path_of
{
	return $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath($_[0])");
}
my $directory = "(SELECT indexrelid FROM pg_index WHERE indrelid = '%s'::regclass)";
my %file = map { $_ => [ path_of("'$_'"), path_of(sprintf $directory, $_) ] } 'm', map { "m_$_" } 1 .. $tables;
my $run_file = path_of("'f'");
$node->stop;

# Where each segment is in the file, and how long.
sub segments
{
	my ($bytes) = @_;
	my @found;
	for (my $page = 0; $page < length $bytes; $page += PAGE)
	{
		my $lower = unpack 'v', substr($bytes, $page + 12, 2);
		for (my $at = 24; $at < $lower; $at += 4)
		{
			my $pointer = unpack 'V', substr($bytes, $page + $at, 4);
			push @found, [ $page + ($pointer & 0x7fff) + TUPLE_HEADER, ($pointer >> 17) - TUPLE_HEADER ]
				if ($pointer >> 15 & 3) == 1;
		}
	}
	return @found;
}

my @crc_table = map {
	my $crc = $_;
	$crc = $crc >> 1 ^ ($crc & 1 ? 0x82f63b78 : 0) for 1 .. 8;
	$crc
} 0 .. 255;

sub checksum
{
	my $crc = 0xffffffff;
	$crc = $crc_table[ ($crc ^ $_) & 0xff ] ^ $crc >> 8 for unpack 'C*', $_[0];
	return $crc ^ 0xffffffff;
}

# Makes a segment's checksum what its bytes want.
sub seal
{
	my ($bytes, $segment) = @_;
	my $text = substr($$bytes, $segment->[0], $segment->[1]);
	substr($$bytes, $segment->[0] + 4, 4) = pack 'V', checksum(substr($text, 0, 4) . substr($text, 8));
}

sub flip
{
	my ($bytes, $at) = @_;
	substr($$bytes, $at, 1) ^= chr(rand() < 0.7 ? 1 << int(rand(8)) : 1 + int(rand(255)));
}

sub slurp_bytes { open my $in, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return <$in>; }
sub put_bytes { open my $out, '>:raw', $_[0] or die "$_[0]: $!"; print $out $_[1]; close $out; }

# Damages anywhere in the file, or in the headers and first bytes of segments, which are then sealed or not.
my $pristine = slurp_bytes($file{m}[0]);
my $index = slurp_bytes($file{m}[1]);
my @segments = segments($pristine);
cmp_ok(scalar @segments, '>', 20, 'there are segments');
for my $table (1 .. $tables)
{
	my $bytes = $pristine;
	if ($table % 4 == 0)
	{
		flip(\$bytes, int(rand(length $bytes))) for 1 .. 2 + rand(60);
	}
	else
	{
		for my $segment (@segments)
		{
			next if rand() < 0.3;
			my $tag = unpack 'v', substr($bytes, $segment->[0] + 34, 2);
			my $block = SEGMENT_HEADER + $tag;
			for (1 .. 1 + rand(2))
			{
				# mostly the block's headers, which decide how it is read
				my $at = rand() < 0.7 ? $block + int(rand(40)) : rand() < 0.8 ? $block + int(rand($segment->[1] - $block)) : int(rand($block));
				# of a shared segment also anywhere among its entries, and the restarts at its end
				if (ord(substr($bytes, $segment->[0] + 3, 1)) & 0x10 && rand() < 0.7)
				{
					$at = rand() < 0.3 ? $segment->[1] - 1 - int(rand(40)) : $block + int(rand($segment->[1] - $block));
				}
				flip(\$bytes, $segment->[0] + ($at < $segment->[1] ? $at : $segment->[1] - 1));
			}
			seal(\$bytes, $segment) if $table % 2;
		}
	}
	put_bytes($file{"m_$table"}[0], $bytes);
	put_bytes($file{"m_$table"}[1], $index);
}

# The first tag of the second segment of a run becomes one that is before all tags of the first segment.
my $run = slurp_bytes($run_file);
my @shared = grep { ord(substr($run, $_->[0] + 3, 1)) == 16 } segments($run);
cmp_ok(scalar @shared, '>', 2, 'a run of some segments');
my $first_tag = $shared[1][0] + SEGMENT_HEADER + unpack('v', substr($run, $shared[1][0] + 34, 2)) + 12;
is(substr($run, $first_tag, 5), 'site/', 'a tag is where it is looked for');
substr($run, $first_tag, 1) = 'a';
seal(\$run, $shared[1]);
put_bytes($run_file, $run);
$node->start;

# Readers that go from tag to tag would go round and round.
for my $read ("SELECT count(*) FROM historian.tags('f')", "SELECT count(*) FROM historian.latest('f')", "SELECT tag, count(*) FROM f GROUP BY tag",
	"SELECT historian.compact('f')", "SELECT historian.drop_before('f', 1)")
{
	my $errors;

	$node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '20s'; INSERT INTO f VALUES (2, 'site/area/sensor-13000', '{1}'); $read", stderr => \$errors);
	like($errors, qr/XX001: cannot read a segment of historian table "f"\nDETAIL:  It is stored in block \d+, item \d+/, "tags that do not ascend: $read");
}
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM historian.check('f')"), '>', 0, 'tags that do not ascend: the check finds them');

my $end = 1000000 + 2600 * 1000;
my @methods = qw(last first interpolated min max range average time_average sum count stddev delta plot lttb minmaxlttb last_known increase rate);
my @tags = qw(steady jitter levels nulls ragged runs widths site/area/sensor-1 site/area/sensor-99);
my @reads = (
	'SELECT \'width\', max(cardinality(values)) FROM %s',
	'SELECT \'width\', max(cardinality(values)) FROM %1$s WHERE tag = \'ragged\' AND time > 1900000',
	'SELECT count(*), sum(values[1]), max(values[2]), min(time), max(time) FROM %s GROUP BY tag',
	'SELECT \'width\', max(cardinality(values)) FROM historian.latest(\'%s\')',
	'SELECT count(*) FROM historian.tags(\'%s\')',
	'SELECT count(*) FROM historian.check(\'%s\')',
	'SELECT * FROM historian.stat_get_table(\'%s\')',
	'ANALYZE %s',
	'BEGIN; DELETE FROM %s WHERE time > 1500000 AND tag <> \'steady\' RETURNING 1; ROLLBACK',
	'BEGIN; DELETE FROM %s WHERE time > 1000000 AND tag LIKE \'site/area/sensor-2%%\'; ROLLBACK',
	'BEGIN; UPDATE %s SET values = NULL WHERE tag > \'site/area/sensor-5\' AND tag < \'site/area/t\'; ROLLBACK',
	'BEGIN; SELECT historian.drop_before(\'%s\', 2003000); ROLLBACK',
	'BEGIN; SELECT historian.compact(\'%s\'); ROLLBACK',
	map {
		my $tag = $_;
		"SELECT 'width', max(cardinality(values)) FROM historian.raw('%s', '$tag', 0, $end)",
		"SELECT 'width', max(cardinality(values)) FROM historian.moving_average('%s', '$tag', 900000, $end, 7, 300000)",
		map { "SELECT 'width', max(cardinality(values)) FROM historian.downsample('%s', '$tag', 900000, $end, 19, '$_')" } @methods
	} @tags);

# what PostgreSQL itself says of damaged tuple headers and pages
my $core = qr/^(could not access status of transaction|invalid page in block|MultiXactId |found xm|cannot freeze|uncommitted xmin|could not open file "pg_|corrupted |tuple to be (locked|updated) was already|could not find left sibling)/;
my $tag_names = join '|', @tags;
my ($damaged, $sought, $rows, @bad) = (0, 0, 0);
for my $table (1 .. $tables)
{
	my ($script, $errors, $output) = ("\\set VERBOSITY verbose\nSET statement_timeout = '60s';\n");
	# each statement by itself, with and without summaries
	$script .= "SET historian.enable_summaries = $_;\n" . join('', map { "\\echo >\n" . sprintf($_, "m_$table") . ";\nROLLBACK;\n" } @reads) for qw(on off);
	$node->psql('postgres', $script, stdout => \$output, stderr => \$errors, on_error_stop => 0, extra_params => ['-q']);
	while ($errors =~ /^psql:<stdin>:\d+: (?:ERROR|FATAL|PANIC|WARNING):  (\S+): (.*)((?:\n(?!psql:<stdin>:\d+: ).*)*)/mg)
	{
		my ($code, $message, $rest) = ($1, $2, $3);
		next if $code eq '25P01';
		$damaged++ if $code eq 'XX001';
		# a header that is damaged itself does not say the tag, so the directory does
		$sought++ if $rest =~ /^DETAIL:  It is stored in block \d+, item \d+, where the directory has tag "(?:$tag_names)"\. /m;
		next if $code eq 'XX001' && ($message =~ $core || ($message =~ /^(cannot read a segment|a segment) of historian table "m_$table"/
				&& $rest =~ /^DETAIL:  (It (is|was) stored in block \d+, item \d+|A sorted run has the tag ".*", but no rows of it)/m));
		# a newer version, for all that can be told
		next if $code eq '0A000' && $message =~ /^cannot read a segment/;
		# a damaged number may be any, and those of an average then pass the greatest
		next if $code eq '22003' && $message =~ /^value out of range/;
		next if $message =~ $core;
		push @bad, "m_$table: $code $message$rest";
	}
	push @bad, "m_$table: $1" if $errors =~ /(server closed the connection.*|connection to server.*)/;
	$rows++ while $output =~ /^width\|\d/mg;
	push @bad, "m_$table: $1 values" if $output =~ /^width\|(\d{4,})$/m && $1 > 1000;
}
is(join("\n", @bad[0 .. ($#bad > 19 ? 19 : $#bad)]), '', 'no crash, no endless loop, no other error');
cmp_ok($damaged, '>', $tables, 'damage is reported');
cmp_ok($sought, '>', 0, 'with the tag, also where the header is damaged');
cmp_ok($rows, '>', $tables, 'what is whole is read');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'the server stood');
$node->stop;
done_testing();
