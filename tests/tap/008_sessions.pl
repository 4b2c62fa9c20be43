# Cancelling, time limits, lack of memory, wraparound, postgres_fdw, concurrent DDL.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('sessions');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
fsync = off
autovacuum_naptime = 1
END
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 't' || i % 100, ARRAY[i, random(), random()] FROM generate_series(1, 300000) i;
END
my $content = 'SELECT count(*), sum(values[1]) FROM m';
my $want = $node->safe_psql('postgres', $content);

# time limits: prompt, and the table is as before
for my $statement ("INSERT INTO m SELECT i, 'late', ARRAY[i] FROM generate_series(1, 100000000) i", 'SELECT sum(a.values[1]) FROM m a, m b',
	"SELECT count(*) FROM generate_series(1, 1000000) i, LATERAL historian.downsample('m', 't1', i, i + 1000, 1000)",
	"BEGIN; DELETE FROM m; SELECT pg_sleep(60)", "BEGIN; UPDATE m SET values = '{1}'; SELECT pg_sleep(60)")
{
	my $begin = time;
	my ($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = '300ms'; $statement");
	like($err, qr/canceling statement due to statement timeout/, "statement_timeout: $statement");
	cmp_ok(time - $begin, '<', 5, 'promptly');
	is($node->safe_psql('postgres', $content), $want, 'and nothing has changed');
}
my ($status, $out, $err) = $node->psql('postgres', "SET lock_timeout = '10s'; BEGIN; LOCK TABLE m IN ACCESS SHARE MODE; SELECT 1; COMMIT");
is($err, '', 'no lock is left');

# compaction is cancelled
$node->safe_psql('postgres', q{DO $$ BEGIN FOR i IN 1..30 LOOP INSERT INTO m SELECT i * 10 + j, 'c' || j, ARRAY[i] FROM generate_series(1, 500) j; COMMIT; END LOOP; END $$});
$want = $node->safe_psql('postgres', $content);
for my $ms (1, 3, 10, 30)
{
	$node->psql('postgres', "SET statement_timeout = '${ms}ms'; SELECT historian.compact('m')");
	is($node->safe_psql('postgres', $content), $want, "compact() with statement_timeout = ${ms}ms");
}
$node->safe_psql('postgres', "SELECT historian.compact('m')");
is($node->safe_psql('postgres', $content), $want, 'compact() in full');

# a session that is terminated in a load
my $psql = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $psql->query_safe('SELECT pg_backend_pid()');
$psql->query_safe(q{BEGIN; INSERT INTO m SELECT i, 'terminated', '{1}' FROM generate_series(1, 100000) i});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
eval { $psql->quit };
is($node->safe_psql('postgres', $content), $want, 'a terminated session leaves nothing');

# a write buffer of the least size, many tables in one transaction
is($node->safe_psql('postgres', <<'END'), '2000|2000', 'a transaction over many tables');
SET historian.write_buffer = 64;
BEGIN;
DO $$ BEGIN
	FOR i IN 1..20 LOOP EXECUTE format('CREATE TABLE many%s (time bigint, tag text, values float8[]) USING historian', i); END LOOP;
	FOR j IN 1..100 LOOP FOR i IN 1..20 LOOP EXECUTE format('INSERT INTO many%s VALUES (%s, ''a'', ARRAY[%s])', i, j, j); END LOOP; END LOOP;
END $$;
COMMIT;
CREATE TABLE many_all (LIKE m);
DO $$ BEGIN FOR i IN 1..20 LOOP EXECUTE format('INSERT INTO many_all SELECT %s * 1000 + time, tag, values FROM many%s', i, i); END LOOP; END $$;
SELECT count(*), count(DISTINCT time) FROM many_all;
END

# the background compacts by itself
$node->safe_psql('postgres', 'CREATE TABLE b (time bigint, tag text, values float8[]) USING historian');
$node->safe_psql('postgres', q{DO $$ BEGIN FOR i IN 1..300 LOOP INSERT INTO b SELECT i * 100 + j, 'a', ARRAY[i, random(), random()] FROM generate_series(1, 10) j; COMMIT; END LOOP; END $$});
$node->safe_psql('postgres', 'VACUUM b') for 1 .. 5;
ok($node->poll_query_until('postgres', q{SELECT pg_relation_size('b') < 300 * 8192 AND (SELECT count(*) FROM b) = 3000}), 'background compaction keeps the rows');

# wraparound: relfrozenxid advances by VACUUM alone
$node->safe_psql('postgres', 'VACUUM (FREEZE) m');
is($node->safe_psql('postgres', q{SELECT age(relfrozenxid) < 1000 FROM pg_class WHERE oid = 'm'::regclass}), 't', 'relfrozenxid advances');
is($node->safe_psql('postgres', $content), $want, 'after VACUUM FREEZE');

# a partition in another database, through postgres_fdw
SKIP:
{
	($status) = $node->psql('postgres', 'CREATE EXTENSION postgres_fdw');
	skip 'no postgres_fdw', 3 if $status != 0;
	my ($host, $port) = ($node->host, $node->port);
	$node->safe_psql('postgres', 'CREATE DATABASE remote');
	$node->safe_psql('remote', 'CREATE EXTENSION historian; CREATE TABLE far (time bigint, tag text, values float8[]) USING historian');
	$node->safe_psql('postgres', <<"END");
CREATE SERVER remote FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'remote', batch_size '100');
CREATE USER MAPPING FOR CURRENT_USER SERVER remote;
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE near PARTITION OF p FOR VALUES FROM (0) TO (100) USING historian;
CREATE FOREIGN TABLE far PARTITION OF p FOR VALUES FROM (100) TO (200) SERVER remote;
INSERT INTO p SELECT i, 't' || i % 3, ARRAY[i] FROM generate_series(0, 199) i;
COPY p FROM PROGRAM 'printf "50\\ta\\t{1}\\n150\\ta\\t{2}\\n"';
END
	is($node->safe_psql('postgres', 'SELECT count(*), sum(values[1]) FROM p'), '202|19903', 'rows in both');
	is($node->safe_psql('postgres', q{SELECT time, values FROM p WHERE tag = 'a' ORDER BY time}), "50|{1}\n150|{2}", 'found by tag');
	like($node->safe_psql('remote', q{SELECT count(*), min(time), max(time) FROM far}), qr/^101\|100\|199$/, 'the far one has its part');
}

# DDL of one session while others load
my @loads = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
$node->safe_psql('postgres', 'CREATE TABLE d (time bigint, tag text, values float8[]) USING historian');
for my $i (1 .. 5)
{
	$loads[0]->query("INSERT INTO d SELECT $i * 1000 + j, 'a', ARRAY[j] FROM generate_series(1, 100) j");
	$loads[1]->query("INSERT INTO d SELECT $i * 1000 + 500 + j, 'a', ARRAY[j] FROM generate_series(1, 100) j");
	$node->safe_psql('postgres', ('REINDEX TABLE d', 'VACUUM FULL d', 'ALTER TABLE d SET ACCESS METHOD heap', 'ALTER TABLE d SET ACCESS METHOD historian', 'ALTER TABLE d SET UNLOGGED')[ $i - 1 ]);
}
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT time) FROM d'), '1000|1000', 'sessions notice rewrites by another');
$_->quit for @loads;

# nothing stays behind in the log
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|resource leak|leaked|snapshot .* still active/i, 'no crash, no leak in the log');
$node->stop;
done_testing();
