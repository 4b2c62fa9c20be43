# Segments that are gone while the directory still has them: a file that was cut, a page of zeros, a cut file that has grown again.
# historian.check() names each of them, and a read that needs one is an error of damage, never short of rows.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant PAGE => 8192;

my $node = PostgreSQL::Test::Cluster->new('lost');
$node->init(extra => $node->pg_version >= 18 ? ['--no-data-checksums'] : []);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off");
$node->start;
# all kinds of segments: compacted ones with summaries, late runs, pending ones, and two runs with their roots
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
SELECT setseed(0.5);
INSERT INTO m SELECT i * 100, 'a', array_fill(random(), ARRAY[8]) || random() FROM generate_series(1, 30000) i;
INSERT INTO m SELECT i * 1000, 'b', ARRAY[random(), i] FROM generate_series(1, 3000) i;
SELECT historian.compact('m');
DO $$
BEGIN
	FOR load IN 1 .. 60 LOOP
		INSERT INTO m SELECT DISTINCT ON (time) (random() * 30000)::int * 100 + 1 AS time, 'a', ARRAY[load, random()] FROM generate_series(1, 30);
		COMMIT;
		PERFORM historian.compact_due('m');
		COMMIT;
	END LOOP;
END
$$;
SET historian.min_shared_tags = 2;
INSERT INTO m SELECT 5000000, format('site/area/sensor-%s', n), ARRAY[random()] FROM generate_series(1, 1500) AS n;
INSERT INTO m SELECT 6000000, format('site/area/sensor-%s', n), ARRAY[random()] FROM generate_series(1, 1500) AS n;
INSERT INTO m SELECT 7000000 + i, 'c', ARRAY[random()] FROM generate_series(1, 300) i;
INSERT INTO m SELECT 7000000 + i, 'b', ARRAY[random()] FROM generate_series(1, 300) i;
VACUUM m;
CREATE TABLE cut (LIKE m) USING historian;
CREATE TABLE emptied (LIKE m) USING historian;
CREATE TABLE zeroed (LIKE m) USING historian;
CREATE TABLE grown (LIKE m) USING historian;
CREATE TABLE root_lost (LIKE m) USING historian;
CHECKPOINT;
SQL
is($node->safe_psql('postgres', "SELECT count(*) FROM historian.check('m')"), 0, 'nothing is lost yet');

my $directory = "(SELECT indexrelid FROM pg_index WHERE indrelid = '%s'::regclass)";
my %files;
for my $table (qw(m cut emptied zeroed grown root_lost))
{
	$files{$table} = [
		map { $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath($_)") } "'$table'",
		sprintf($directory, $table)
	];
}
my $counts = "SELECT tag, count(*) FROM %s GROUP BY tag";
my %rows = map { split /\|/ } split /\n/, $node->safe_psql('postgres', sprintf $counts, 'm');
$node->stop;

sub slurp_bytes { open my $in, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return <$in>; }
sub put_bytes { open my $out, '>:raw', $_[0] or die "$_[0]: $!"; print $out $_[1]; close $out; }

# the places of all segments of a file, as "block,item", each with its kind: the flags of its header without the one of complete summaries
sub places
{
	my ($bytes) = @_;
	my %flags;
	for (my $page = 0; $page < length $bytes; $page += PAGE)
	{
		my $lower = unpack 'v', substr($bytes, $page + 12, 2);
		for (my $at = 24; $at < $lower; $at += 4)
		{
			my $pointer = unpack 'V', substr($bytes, $page + $at, 4);
			next if ($pointer >> 15 & 3) != 1;
			$flags{ $page / PAGE . ',' . (($at - 24) / 4 + 1) } = 63 & ord substr($bytes, $page + ($pointer & 0x7fff) + 24 + 3, 1);
		}
	}
	return %flags;
}

my $pristine = slurp_bytes($files{m}[0]);
my %flags = places($pristine);
my $pages = length($pristine) / PAGE;
cmp_ok($pages, '>', 10, 'a file of some pages');
my %kinds = map { $_ => 1 } values %flags;
is(join(' ', sort { $a <=> $b } keys %kinds), '0 1 2 4 16 32', 'all kinds of segments but late ones are there');
my ($root) = sort grep { $flags{$_} == 32 } keys %flags;
my ($root_block, $root_item) = split /,/, $root;

my %bytes = map { $_ => $pristine } keys %files;
$bytes{cut} = $bytes{grown} = substr($pristine, 0, 3 * PAGE);
$bytes{emptied} = '';
# the last page that has segments: PostgreSQL 16 and later add pages in advance, and VACUUM leaves a few of them
my ($last_block) = sort { $b <=> $a } map { (split /,/)[0] } keys %flags;
substr($bytes{zeroed}, $last_block * PAGE, PAGE) = "\0" x PAGE;
# the line pointer of a root becomes one that is free
substr($bytes{root_lost}, $root_block * PAGE + 24 + 4 * ($root_item - 1), 4) = "\0" x 4;
for my $table (keys %files)
{
	put_bytes($files{$table}[0], $bytes{$table});
	put_bytes($files{$table}[1], slurp_bytes($files{m}[1]));
}
$node->start;

# a segment that is stored where others were
$node->safe_psql('postgres', "INSERT INTO grown SELECT i, 'new', '{1}' FROM generate_series(1, 3) i");

my %lost = (
	cut => sub { $_[0] >= 3 },
	emptied => sub { 1 },
	zeroed => sub { $_[0] == $last_block },
	grown => sub { $_[0] >= 3 && "$_[0],$_[1]" ne '3,1' },
	root_lost => sub { "$_[0],$_[1]" eq $root },
);
my $check = <<'SQL';
SELECT DISTINCT block || ',' || item FROM historian.check('%s') WHERE problem = 'The directory has a segment there, which is lost.'
SQL
# the check before and after the reads, because a read marks entries as dead whose segments are so
for my $round (1 .. 2)
{
	for my $table (sort keys %lost)
	{
		my @expected = grep { $lost{$table}->(split /,/) } keys %flags;
		cmp_ok(scalar @expected, '>', 0, "$table: something is lost");
		is(join(' ', sort split /\n/, $node->safe_psql('postgres', sprintf $check, $table)),
			join(' ', sort @expected), "$table: the check names what is lost, round $round");
		next if $round == 2;

		my ($short, $refused) = (0, 0);
		for my $tag (sort(grep { !/site/ } keys %rows), 'site/area/sensor-1', 'site/area/sensor-700', 'site/area/sensor-1500')
		{
			for my $read ("SELECT count(*) FROM $table WHERE tag = '$tag'", "SELECT count(*) FROM historian.raw('$table', '$tag', 0, 10000000)",
				"SELECT sum(values[1]) FROM historian.downsample('$table', '$tag', 0, 10000000, 1, 'count')", "SELECT samples FROM historian.tag_stat('$table', '$tag')")
			{
				my ($rows, $errors);
				$node->psql('postgres', "\\set VERBOSITY verbose\n$read", stdout => \$rows, stderr => \$errors);
				if ($errors =~ /^psql:<stdin>:\d+: ERROR:  XX001: /m) { $refused++; }
				elsif ($errors eq '' && $rows eq $rows{$tag}) { next; }
				else { $short++; diag "$read: $rows, not $rows{$tag} $errors"; }
			}
		}
		is($short, 0, "$table: no read is short of rows");
		cmp_ok($refused, '>', 0, "$table: reads are refused");
		for my $read ("SELECT count(*) FROM $table", "SELECT count(*) FROM historian.tags('$table')", "COPY $table TO STDOUT", "SELECT historian.drop_before('$table', 8000000)")
		{
			my $errors;
			$node->psql('postgres', "\\set VERBOSITY verbose\n$read", stdout => \my $unused, stderr => \$errors);
			like($errors, qr/ERROR:  XX001: /, "$table: all of it is refused: $read");
		}
	}
}
$node->stop;
done_testing();
