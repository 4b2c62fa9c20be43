# Segments that many tags share, under what an administrator does to a server: auto_explain, cursors that outlive their transaction,
# subtransactions that fail in a load, parallel workers, rewrites and TRUNCATE that are rolled back, pg_amcheck, parallel dumps, a
# standby that cancels its queries at once, and a file that cannot grow any more in the middle of a merge. A heap has the same rows.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian, auto_explain'
historian.compaction = off
historian.min_shared_tags = 2
autovacuum = off
fsync = off
jit = off
shared_buffers = 16MB
wal_keep_size = 256MB
END
$primary->start;
$primary->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE EXTENSION amcheck;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text COLLATE "C", values float8[], PRIMARY KEY (tag, time));
CREATE FUNCTION load(at bigint, tags int, rows int DEFAULT 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO h SELECT at + r, 'site/area/sensor-' || i, ARRAY[at + i + r] FROM generate_series(1, tags) i, generate_series(1, rows) r
		ON CONFLICT (tag, time) DO UPDATE SET values = excluded.values;
	INSERT INTO m SELECT at + r, 'site/area/sensor-' || i, ARRAY[at + i + r] FROM generate_series(1, tags) i, generate_series(1, rows) r;
$$;
CREATE FUNCTION differ(t regclass DEFAULT 'm') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('SELECT (SELECT count(*) FROM historian.check(%1$L) WHERE (SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam
		WHERE c.oid = %1$L::regclass) = ''historian'') + count(*) FROM ((TABLE %1$s EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE %1$s)) d', t) INTO n;
	RETURN n;
END $$;
END

sub query { return $primary->safe_psql('postgres', $_[0]) }
sub same { is(query('SELECT differ()'), '0', $_[0]) }

# auto_explain looks at each statement, also within functions
query(q{ALTER SYSTEM SET auto_explain.log_min_duration = 0; ALTER SYSTEM SET auto_explain.log_analyze = on; ALTER SYSTEM SET auto_explain.log_buffers = on;
	ALTER SYSTEM SET auto_explain.log_nested_statements = on; ALTER SYSTEM SET auto_explain.log_triggers = on; ALTER SYSTEM SET auto_explain.log_verbose = on;
	SELECT pg_reload_conf()} =~ s/; (?=ALTER|SELECT)/;\n/gr);
query("SELECT load($_, 2000)") for 1 .. 9;
query('SELECT * FROM historian.compact_due(\'m\')');
same('auto_explain: a merge');
query(q{DELETE FROM m WHERE tag LIKE '%7' AND time < 5; DELETE FROM h WHERE tag LIKE '%7' AND time < 5});
query(q{UPDATE m SET values = ARRAY[-1] WHERE tag LIKE '%13'; UPDATE h SET values = ARRAY[-1] WHERE tag LIKE '%13'});
query(q{WITH one AS (DELETE FROM m WHERE tag = 'site/area/sensor-5' RETURNING *) SELECT * FROM one LIMIT 1; DELETE FROM h WHERE tag = 'site/area/sensor-5'});
same('auto_explain: changes');
like(slurp_file($primary->logfile), qr/HistorianScan/, 'plans were logged');
query('ALTER SYSTEM RESET ALL');
query('SELECT pg_reload_conf()');

# subtransactions that fail before, within and after the load of a run, with a buffer that is written in between
query(<<'END');
SET historian.write_buffer = '1MB';
DO $$
BEGIN
	FOR n IN 20 .. 29 LOOP
		BEGIN
			PERFORM load(n, 3000);
			BEGIN
				INSERT INTO m SELECT n, 'site/area/sensor-' || i, ARRAY[1 / (6000 - i)] FROM generate_series(1, 9000) i;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
			IF n % 3 = 0 THEN
				RAISE EXCEPTION 'undone';
			END IF;
			PERFORM load(n, 3000, 2);
			IF n % 3 = 1 THEN
				PERFORM historian.compact_due('m');
			END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$;
END
same('subtransactions that fail');

# a cursor that outlives its transaction, and a load and a merge in that
is(query(<<'END'), query('SELECT tag, time FROM h ORDER BY tag, time LIMIT 3') . "\n" . query('SELECT count(*) - 3 FROM h'), 'a cursor WITH HOLD');
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT tag, time FROM m ORDER BY tag, time;
FETCH 3 FROM c;
INSERT INTO m SELECT 40, 'site/area/sensor-' || i, '{}' FROM generate_series(1, 3000) i;
DELETE FROM m WHERE tag = 'site/area/sensor-100';
COMMIT;
SELECT historian.compact('m') \g /dev/null
VACUUM m;
CREATE TEMP TABLE fetched (n bigint);
DO $$
DECLARE
	c refcursor := 'c';
	n bigint := 0;
BEGIN
	LOOP
		MOVE 1 FROM c;
		EXIT WHEN NOT FOUND;
		n := n + 1;
	END LOOP;
	INSERT INTO fetched VALUES (n);
END $$;
SELECT n FROM fetched;
END
query(q{INSERT INTO h SELECT 40, 'site/area/sensor-' || i, '{}' FROM generate_series(1, 3000) i; DELETE FROM h WHERE tag = 'site/area/sensor-100'});
same('a cursor WITH HOLD: what came after');

# parallel workers
query("SELECT load($_, 3000)") for 50 .. 53;
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 3;'
	. 'SET historian.enable_aggregates = off;';
for my $read ('SELECT count(*), sum(values[1]), min(tag), max(time) FROM %s', 'SELECT tag, count(*) FROM %s WHERE time > 30 GROUP BY tag ORDER BY tag',
	'SELECT x.tag, count(*) FROM %1$s x JOIN %1$s y USING (tag) WHERE x.time < 4 GROUP BY 1 ORDER BY 1')
{
	$parallel =~ s/SET historian.enable_aggregates = off;// unless query(q{SELECT count(*) FROM pg_settings WHERE name = 'historian.enable_aggregates'});
	is(query($parallel . sprintf($read, 'm')), query(sprintf($read, 'h')), "parallel: $read");
}
like(query("$parallel EXPLAIN (ANALYZE) SELECT sum(length(tag) + values[1]) FROM m"), qr/Workers Launched: [1-9]/, 'with workers');

# tables made of it and rewritten, in transactions that are rolled back and that are not
my $at = 1000;
for my $end (qw(ROLLBACK COMMIT))
{
	for my $change (q{CREATE TABLE copy USING historian AS TABLE m}, q{TRUNCATE m; INSERT INTO m SELECT * FROM h}, q{ALTER TABLE m SET ACCESS METHOD heap},
		q{ALTER TABLE m ALTER COLUMN time TYPE bigint USING time + 0},
		q{CREATE TABLE p (LIKE m) PARTITION BY LIST (tag); ALTER TABLE p ATTACH PARTITION m DEFAULT; INSERT INTO p SELECT 1, 'other', '{1}'; DELETE FROM p WHERE tag = 'other'; ROLLBACK; BEGIN})
	{
		my $of = $change =~ /copy/ && $end eq 'COMMIT' ? 'copy' : 'm';

		$at += 10;
		query("BEGIN; $change; SELECT differ(); SELECT load($at, 600); SAVEPOINT a; SELECT load($at, 700); ROLLBACK TO a; $end");
		query("INSERT INTO copy SELECT * FROM h WHERE time > $at") if $of eq 'copy';
		is(query("SELECT differ('$of')"), '0', substr($change, 0, 40) . ", $end");
		query('ALTER TABLE m SET ACCESS METHOD historian; DROP TABLE IF EXISTS copy');
		same('historian again');
	}
}
query("SELECT load($_, 3000)") for 60 .. 63;
query('VACUUM FULL m; REINDEX TABLE m; VACUUM (FREEZE) m' =~ s/; /;\n/gr);
same('VACUUM FULL, REINDEX, FREEZE');
my (undef, undef, $clustering) = $primary->psql('postgres', 'CLUSTER m');
like($clustering, qr/there is no previously clustered index/, 'CLUSTER has no index to order by');
$primary->command_ok([ 'pg_amcheck', '--heapallindexed', '--parent-check', '--rootdescend', '-d', 'postgres' ], 'pg_amcheck');

# a parallel dump, restored by several
my $dump = $primary->basedir . '/dump';
$primary->command_ok([ 'pg_dump', '-Fd', '-j', '3', '-f', $dump, '-d', 'postgres' ], 'pg_dump -j');
query('CREATE DATABASE restored');
$primary->command_ok([ 'pg_restore', '-j', '3', '-d', 'restored', $dump ], 'pg_restore -j');
is($primary->safe_psql('restored', 'SELECT differ()'), '0', 'the restored rows');
query('DROP DATABASE restored');

# a standby that cancels what a merge or VACUUM disturbs at once: its queries fail or are right
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 0\nmax_standby_archive_delay = 0\nhot_standby_feedback = off");
$standby->start;
# each load adds the same tags, so that all tags have equally many rows, at equal times
query('CREATE TABLE s (LIKE m) USING historian');
my $reader = $standby->background_psql('postgres', on_error_stop => 0);
my ($right, $cancelled, @wrong) = (0, 0);
for my $n (1 .. 40)
{
	query("INSERT INTO s SELECT $n, 'tag' || i, ARRAY[$n] FROM generate_series(1, 2000) i");
	query("SELECT historian.compact_due('s')") if $n % 4 == 0;
	query('VACUUM s') if $n % 3 == 0;
	query("SELECT historian.compact('s')") if $n % 20 == 0;
	$reader->{stderr} = '';
	for my $read ('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(DISTINCT n) FROM (SELECT tag, count(*) AS n FROM s GROUP BY tag) t; SELECT pg_sleep(0.01); SELECT count(DISTINCT n) FROM (SELECT tag, count(*) AS n FROM s GROUP BY tag) t; COMMIT',
		q{SELECT count(DISTINCT time) FROM historian.latest('s')}, q{SELECT count(DISTINCT samples) FROM historian.tags('s')},
		q{SELECT (count(*) = max(time))::int FROM s WHERE tag = 'tag77'})
	{
		my $output = $reader->query("$read;");

		if ($reader->{stderr} =~ /conflict with recovery|server closed|terminating connection/)
		{
			$cancelled++;
			$reader->query('ROLLBACK;');
			$reader->{stderr} = '';
		}
		elsif ($reader->{stderr} =~ /ERROR|FATAL/)
		{
			push @wrong, $reader->{stderr};
			$reader->{stderr} = '';
		}
		elsif ($output !~ /^\s*(?:1\s*)+$/)
		{
			push @wrong, "$read: $output";
		}
		else
		{
			$right++;
		}
	}
}
# before the first row came the answers are 0 or NULL
@wrong = grep { !/: [0\s]*$/ && !/relation "s" does not exist/ } @wrong;
is(join("\n", @wrong[ 0 .. ($#wrong > 4 ? 4 : $#wrong) ]), '', 'standby: each answer is right or an error');
cmp_ok($right, '>', 20, 'standby: most are answered');
note "$right answers, $cancelled cancelled";
$reader->quit;
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*), sum(hashtextextended(s::text, 0)) FROM s'), query('SELECT count(*), sum(hashtextextended(s::text, 0)) FROM s'),
	'standby: the rows');
$standby->stop;

# A file that cannot grow any more, in the middle of a merge: nothing has happened, and later it succeeds.  The limit is on the
# size of files; a full disk fails at the same place.
query('DROP TABLE s; TRUNCATE m, h');
my ($limit, $n) = (16500, 0);    # in kB; files of the WAL have 16 MB
do
{
	$n++;
	query("INSERT INTO h SELECT $n, 'site/area/sensor-' || i, ARRAY[random(), random(), random(), random(), random(), random(), random()] FROM generate_series(1, 30000) i;
		INSERT INTO m SELECT * FROM h WHERE time = $n");
} while (query(q{SELECT pg_relation_size('m') / 1024}) < $limit - 3000);
cmp_ok($n, '>', 3, 'there are runs to merge');
$primary->stop;
system_or_bail('bash', '-c', 'ulimit -f ' . $limit . '; exec pg_ctl -w -D "$0" -l "$1" -o "--cluster-name=primary" start', $primary->data_dir, $primary->logfile);
$primary->_update_pid(1);
for my $what (q{SELECT historian.compact('m')}, q{CALL historian.shrink('m')}, q{INSERT INTO m SELECT 500 + r, 'site/area/sensor-' || i, ARRAY[i * pi()] FROM generate_series(1, 30000) i, generate_series(1, 20) r},
	q{UPDATE m SET values = values || ARRAY[pi()]})
{
	my ($result, undef, $error) = $primary->psql('postgres', $what);

	like($error, qr/could not extend file|could not write block|File too large/, "no room: $what");
}
is(query(q{SELECT count(*) FROM historian.check('m')}), '0', 'no room: the table is intact');
is(query('SELECT sum(hashtextextended(m::text, 0)) FROM m'), query('SELECT sum(hashtextextended(h::text, 0)) FROM h'), 'no room: and has its rows');
$primary->restart;
same('no room: after a restart');
is(query(q{SELECT rows > 0 FROM historian.compact('m')}), 't', 'with room the merge succeeds');
query('VACUUM m');
same('with room');
query("SELECT load(600, 3000)");
same('and loads go on');
unlike(slurp_file($primary->logfile), qr/terminated by signal|PANIC|TRAP/, 'the server stood');
$primary->stop;
done_testing();
