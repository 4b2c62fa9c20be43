# historian.check() finds segments without a summary between others that have one.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant {
	PAGE => 8192,
	TUPLE_HEADER => 24,
	SUMMARY => 0x02,
	XMIN_COMMITTED => 0x0100,
	XMIN_INVALID => 0x0200,
};

my $node = PostgreSQL::Test::Cluster->new('summaries');
$node->init(extra => $node->pg_version >= 18 ? ['--no-data-checksums'] : []);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 'a', array_fill(random(), ARRAY[8]) || random() FROM generate_series(1, 40000) i;
INSERT INTO m SELECT i, 'b', ARRAY[1] FROM generate_series(1, 10) i;
SELECT historian.compact('m');
CREATE TABLE first_lost (LIKE m) USING historian;
CREATE TABLE middle_lost (LIKE m) USING historian;
CREATE TABLE last_lost (LIKE m) USING historian;
CHECKPOINT;
END
my $directory = "(SELECT indexrelid FROM pg_index WHERE indrelid = '%s'::regclass)";
my %files;
for my $table (qw(m first_lost middle_lost last_lost))
{
	$files{$table} = [
		map { $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath($_)") } "'$table'",
		sprintf($directory, $table)
	];
}
$node->stop;

sub slurp_bytes { open my $in, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return <$in>; }
sub put_bytes { open my $out, '>:raw', $_[0] or die "$_[0]: $!"; print $out $_[1]; close $out; }

# where the tuples are that hold summaries of tag a, in order of their first times
sub summaries
{
	my ($bytes) = @_;
	my %at;
	for (my $page = 0; $page < length $bytes; $page += PAGE)
	{
		my $lower = unpack 'v', substr($bytes, $page + 12, 2);
		for (my $item = 24; $item < $lower; $item += 4)
		{
			my $pointer = unpack 'V', substr($bytes, $page + $item, 4);
			my $tuple = $page + ($pointer & 0x7fff);
			my $segment = substr($bytes, $tuple + TUPLE_HEADER, 40);
			my ($flags, $first) = (unpack('C', substr($segment, 3, 1)), unpack('q<', substr($segment, 16, 8)));
			$at{$first} = $tuple if ($pointer >> 15 & 3) == 1 && ($flags & SUMMARY) && substr($segment, 36, 1) eq 'a';
		}
	}
	return map { $at{$_} } sort { $a <=> $b } keys %at;
}

# makes a tuple that of a transaction that was rolled back
sub kill_tuple
{
	my ($bytes, $tuple) = @_;
	my $infomask = unpack 'v', substr($$bytes, $tuple + 20, 2);
	substr($$bytes, $tuple + 20, 2) = pack 'v', $infomask & ~XMIN_COMMITTED | XMIN_INVALID;
}

my $pristine = slurp_bytes($files{m}[0]);
my @summaries = summaries($pristine);
cmp_ok(scalar @summaries, '>=', 3, 'there are several segments of summaries');
my %lost = (first_lost => 0, middle_lost => int(@summaries / 2), last_lost => $#summaries);
for my $table (keys %lost)
{
	my $bytes = $pristine;
	kill_tuple(\$bytes, $summaries[ $lost{$table} ]);
	put_bytes($files{$table}[0], $bytes);
	put_bytes($files{$table}[1], slurp_bytes($files{m}[1]));
}
$node->start;
my $problems = "SELECT DISTINCT problem FROM historian.check('%s')";
is($node->safe_psql('postgres', sprintf $problems, $_), '', "no problem: $_") for qw(m first_lost last_lost);
is($node->safe_psql('postgres', sprintf $problems, 'middle_lost'),
	'Segments between the summary and the next one have no summary.', 'summaries that are missing between others');
$node->stop;
done_testing();
