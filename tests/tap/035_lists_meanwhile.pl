# Lists of all tags while another session loads and deletes, the worker merges runs, and VACUUM frees places that loads take again.  Each
# load brings one row of every tag, at its number as the time, and from the sixteenth on the row sixteen loads before is deleted in the
# same transaction.  So in each snapshot all tags have the same rows, of which the times follow each other.
use strict;
use warnings;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($tags, $loads, $kept) = (8000, 80, 15);
my $node = PostgreSQL::Test::Cluster->new('lists');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1s
historian.compaction_min_rows = 0
historian.compaction_nice = 0
autovacuum = off
fsync = off
jit = off
END
$node->start;
sub query { return $node->safe_psql('postgres', $_[0]) }
# names that have little in common, so that a run has some 50 segments
query(<<"END");
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE PROCEDURE load(loads int) LANGUAGE plpgsql AS \$\$
BEGIN
	FOR n IN 1 .. loads LOOP
		INSERT INTO m SELECT n, md5(i::text), ARRAY[n * i] FROM generate_series(1, $tags) i;
		DELETE FROM m WHERE time = n - $kept;
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END \$\$;
END
my @psql = ('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'));
my $loader = start [ @psql, '-c', "CALL load($loads)" ], '>', '/dev/null';
my $cleaner = start [ @psql, map { ('-c', 'VACUUM m', '-c', 'SELECT pg_sleep(0.2)') } 1 .. 40 ], '>', '/dev/null';

my ($reads, @wrong) = (0);
my $deadline = time + 180;
while (!@wrong && query("SELECT last_time FROM historian.last_times('m', ARRAY[md5('1')])") ne $loads)
{
	die 'the loads do not end' if time > $deadline;
	my ($list, $question) = @{ (
		[ 'tags', "count(*) IN (0, $tags), count(DISTINCT (first_time, last_time, samples)) < 2, bool_and(samples = least(last_time, $kept) AND samples = last_time - first_time + 1)" ],
		[ 'last_times', "count(*) IN (0, $tags), count(DISTINCT last_time) < 2, true" ],
		[ 'latest', "count(*) IN (0, $tags), count(DISTINCT time) < 2, count(*) = count(DISTINCT l.values[1] / time)" ])[ $reads++ % 3 ] };
	my $found = query("SELECT $question FROM historian.$list('m') l");

	push @wrong, "read $reads, $list: $found" if $found !~ /^t\|t\|t?$/;
}
is("@wrong", '', 'each list is of one snapshot');
ok($loader->finish, 'the loads go on');
ok($cleaner->finish, 'and VACUUM');
cmp_ok($reads, '>=', 6, 'each list was read twice');
cmp_ok(query(q{SELECT merges FROM historian.stat_compaction WHERE relname = 'm'}), '>', 0, 'merges meanwhile');
is(query(q{SELECT count(*) FROM historian.check('m')}), '0', 'the check finds nothing');
is(query("SELECT count(*), min(samples), max(samples), min(last_time) FROM historian.tags('m')"), "$tags|$kept|$kept|$loads", 'at the end');
$node->stop;
done_testing();
