# Load order where no WAL is written; compaction beside a bad table; VACUUM beside an open cursor.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('order');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
autovacuum = off
max_prepared_transactions = 5
fsync = off
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION historian');

sub create
{
	my ($kind, $name) = @_;
	return "CREATE $kind TABLE $name (time bigint, tag text, values float8[]) USING historian;";
}

# one session takes thousands of numbers for an unlogged table, the next one's rows are later
$node->safe_psql('postgres', create('UNLOGGED', 'u') . q{
	DO $$ BEGIN FOR i IN 1..3000 LOOP INSERT INTO u VALUES (i, 'a', '{1}'); END LOOP; END $$});
$node->safe_psql('postgres', q{INSERT INTO u SELECT g, 'a', '{2}' FROM generate_series(1, 3000) g});
is($node->safe_psql('postgres', q{SELECT count(*) FROM u WHERE values <> '{2}'}), '0',
	'unlogged: the later load wins');

# nor does a temporary table spoil the order of a logged one
$node->safe_psql('postgres', create('', 'l') . create('TEMPORARY', 't') . q{
	DO $$ BEGIN FOR i IN 1..20000 LOOP INSERT INTO t VALUES (i, 'a', '{1}'); END LOOP;
	INSERT INTO l VALUES (1, 'a', '{1}'); END $$});
$node->safe_psql('postgres', q{INSERT INTO l VALUES (1, 'a', '{2}')});
is($node->safe_psql('postgres', 'SELECT values FROM l'), '{2}',
	'logged, after a temporary table: the later load wins');

# a table without its directory, and one with damage, keep nobody else from being compacted
$node->safe_psql('postgres', create('', 'bare') . q{
	INSERT INTO bare VALUES (1, 'a', '{1}');
	UPDATE pg_index SET indisvalid = false WHERE indrelid = 'bare'::regclass});
$node->safe_psql('postgres', create('', 'good') . q{
	DO $$ BEGIN FOR i IN 1..300 LOOP INSERT INTO good VALUES (i, 'a', ARRAY[random()]); COMMIT;
	END LOOP; END $$});
ok( $node->poll_query_until('postgres', q{
		SELECT n_dead_tup >= 250 FROM pg_stat_user_tables WHERE relname = 'good'}),
	'a table after one without directory is compacted, and dead rows are counted as rows');
is($node->safe_psql('postgres', q{SELECT count(*), min(time), max(time) FROM good}), '300|1|300',
	'and is as before');

# an open cursor does not keep VACUUM from the directory
my $reader = $node->background_psql('postgres');
$reader->query_safe(q{BEGIN; DECLARE c CURSOR FOR SELECT * FROM good; FETCH 2 FROM c;});
my ($status, $out, $err) =
  $node->psql('postgres', q{SET statement_timeout = '20s'; VACUUM good}, timeout => 60);
is($err, '', 'VACUUM ends beside an open cursor');
like($reader->query_safe('FETCH ALL FROM c; COMMIT;'), qr/^300\|a\|/m, 'which reads on');
$reader->quit;

# a prepared load is waited for, also while the session that prepared it runs VACUUM
$node->safe_psql('postgres', create('', 'p') . create('', 'other') . q{
	INSERT INTO p VALUES (1, 'a', '{1}')});
my $preparer = $node->background_psql('postgres');
$preparer->query_safe(q{BEGIN; INSERT INTO p VALUES (1, 'a', '{2}'); PREPARE TRANSACTION 'p';});
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE other;');
$preparer->query_until(qr/vacuuming/, "\\echo vacuuming\nVACUUM other;\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query = 'VACUUM other;' AND wait_event_type = 'Lock'}) or die;
($status, $out, $err) = $node->psql('postgres',
	q{INSERT INTO p VALUES (2, 'a', '{3}'); SET lock_timeout = '300ms'; SELECT historian.compact('p')});
like($err, qr/lock timeout/, 'compaction waits for a prepared load');
$locker->query_safe('COMMIT;');
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
$node->safe_psql('postgres', q{SELECT historian.compact('p')});
is($node->safe_psql('postgres', 'SELECT values FROM p WHERE time = 1'), '{2}', 'which wins');
$locker->quit;
$preparer->quit;

# a DELETE leaves what another load has replaced meanwhile
my $deleter = $node->background_psql('postgres');
$deleter->query_until(qr/deleting/,
	"\\echo deleting\nDELETE FROM p WHERE tag = 'a' AND pg_sleep(0.5) IS NOT NULL;\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE 'DELETE FROM p%' AND state = 'active'}) or die;
$node->safe_psql('postgres', q{INSERT INTO p VALUES (1, 'a', '{4}')});
$deleter->query_safe('SELECT 1');
is($node->safe_psql('postgres', 'SELECT * FROM p'), '1|a|{4}', 'a load beside a DELETE stays');
$deleter->quit;

done_testing();
