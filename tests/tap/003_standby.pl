# A streaming standby: reads, also downsample, while the primary loads and compacts, without writing
# anything; equal content; promotion; a base backup restored to a point in time.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $content = q{SELECT count(*), md5(string_agg(time || tag || encode(array_send(values), 'hex'), ',' ORDER BY tag, time)) FROM m};

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, has_archiving => 1);
$primary->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
# what VACUUM frees at a time of its own, a transaction on the standby may still see: it would be cancelled
autovacuum = off
max_standby_streaming_delay = 60s
# what a standby that is slow has yet to read
wal_keep_size = 1GB
END
$primary->start;
$primary->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 't' || i % 10, ARRAY[i, sin(i)] FROM generate_series(1, 20000) i;
END

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $restored = PostgreSQL::Test::Cluster->new('restored');

sub equal
{
	my ($what) = @_;
	$primary->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', $content), $primary->safe_psql('postgres', $content), $what);
}

equal('content of the base backup');

# loads, compaction and vacuum go on while the standby reads
my ($wrong, $reads) = (0, 0);
for my $round (1 .. 8)
{
	$primary->safe_psql('postgres', "INSERT INTO m SELECT $round * 100000 + i, 't' || i % 10, ARRAY[i, $round] FROM generate_series(1, 3000) i");
	$primary->safe_psql('postgres', "INSERT INTO m SELECT i * 7, 't' || i % 10, ARRAY[$round] FROM generate_series(1, 500) i");
	# these share segments, in runs that are merged
	$primary->safe_psql('postgres', "INSERT INTO m SELECT -$round * 2, 'p' || i, ARRAY[i, $round] FROM generate_series(1, 600) i; INSERT INTO m SELECT -$round * 2 - 1, 'p' || i, ARRAY[i] FROM generate_series(1, 600) i");
	$primary->safe_psql('postgres', "SELECT historian.compact('m')") if $round % 4 == 0;
	$primary->safe_psql('postgres', "DELETE FROM m WHERE tag = 't1' AND time BETWEEN $round * 500 AND $round * 500 + 100") if $round % 3 == 0;
	$primary->safe_psql('postgres', 'VACUUM m') if $round == 5;
	# one snapshot: whatever was loaded by then, each row once, a round's rows together or not at all
	my $seen = $standby->safe_psql('postgres', <<'END');
SELECT count(*) - count(DISTINCT (tag, time)) FROM m;
SELECT count(*) FROM (SELECT count(*) AS n FROM m WHERE time >= 100000 AND tag <> 't1' GROUP BY time / 100000) r WHERE n <> 2700;
SELECT greatest(count(DISTINCT n) - 1, 0) FROM (SELECT count(*) AS n FROM m WHERE tag LIKE 'p%' GROUP BY tag) AS t;
SELECT count(*) FROM (SELECT tag, max(time) AS time FROM m GROUP BY tag) l, LATERAL historian.downsample('m', tag, l.time - 10, l.time, 3) d
WHERE d."time" = l.time AND d."values" IS DISTINCT FROM (SELECT values FROM m WHERE m.tag = l.tag AND m.time = l.time);
END
	$reads++;
	$wrong++ if $seen ne "0\n0\n0\n0";
	diag("round $round: $seen") if $seen ne "0\n0\n0\n0";
}
is($wrong, 0, "$reads reads during loads");
equal('content after the loads');

# a transaction on the standby keeps its snapshot over a compaction
my $reader = $standby->background_psql('postgres', on_error_stop => 0);
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $before = $reader->query_safe($content);
$primary->safe_psql('postgres', "INSERT INTO m SELECT i, 't2', ARRAY[0] FROM generate_series(1, 2000) i; SELECT historian.compact('m'); DELETE FROM m WHERE tag = 't3'");
$primary->wait_for_catchup($standby);
is($reader->query_safe($content), $before, 'a REPEATABLE READ transaction on the standby is stable');
$reader->query_safe('COMMIT');
isnt($reader->query_safe($content), $before, 'and the next one sees the changes');
$reader->quit;
equal('content after compaction and deletion');

# unlogged tables have no files on a standby
$primary->safe_psql('postgres', <<'END');
CREATE UNLOGGED TABLE unlogged (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE parent (time bigint, tag text, values float8[]) PARTITION BY LIST (tag);
CREATE UNLOGGED TABLE leaf PARTITION OF parent DEFAULT USING historian;
INSERT INTO unlogged VALUES (1, 'a', '{1}');
INSERT INTO parent VALUES (1, 'a', '{1}');
END
$primary->wait_for_catchup($standby);
my $stat = q{SELECT relname, s.total_bytes IS NULL, s.pending_rows IS NULL FROM historian.stat_tables s ORDER BY relname;
SELECT count(*) FROM historian.stat_runs WHERE relname <> 'm'; SELECT count(*) FROM historian.stat_compaction};
is($primary->safe_psql('postgres', $stat), "leaf|f|f\nm|f|f\nunlogged|f|f\n0\n3", 'statistics of unlogged tables on the primary');
is($standby->safe_psql('postgres', $stat), "leaf|t|t\nm|f|f\nunlogged|t|t\n0\n3", 'and those of others are to be had on a standby');
for my $call ("historian.raw('unlogged', 'a', 0, 10)", "historian.tags('parent')", "historian.tag_info('leaf', 'a')", "historian.check('unlogged')", "historian.check('parent')")
{
	my ($status, undef, $error) = $standby->psql('postgres', "SELECT * FROM $call");
	like($error, qr/ERROR:  cannot read unlogged table "(?:leaf|unlogged)" during recovery/, "$call is refused there");
}
$primary->safe_psql('postgres', 'DROP TABLE unlogged, parent');

# nothing is written on the standby
is($standby->safe_psql('postgres', q{BEGIN; SELECT count(*) FROM m \gset
SELECT count(*) FROM m WHERE tag = 't1' \gset
SELECT count(*) FROM historian.downsample('m', 't1', 0, 100000) \gset
SET historian.enable_scan = off; SELECT count(*) FROM m \gset
SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT}), 't', 'scans take no transaction id');
my ($status, $out, $err);
for my $statement ("INSERT INTO m VALUES (1, 'x', '{1}')", "DELETE FROM m", "TRUNCATE m", "SELECT historian.compact('m')",
	"SELECT historian.delete('m', 't1', 0, 10)", "SELECT historian.drop_before('m', 10)")
{
	($status, $out, $err) = $standby->psql('postgres', $statement);
	like($err, qr/(cannot execute .* (in a read-only transaction|during recovery))/, "$statement is refused on a standby");
}

# a restore to a point in time
my $then = $primary->safe_psql('postgres', $content);
my $target = $primary->safe_psql('postgres', "SELECT pg_create_restore_point('then')");
$primary->safe_psql('postgres', "INSERT INTO m SELECT i, 'later', '{1}' FROM generate_series(1, 5000) i; SELECT historian.compact('m'); TRUNCATE m; INSERT INTO m VALUES (1, 'a', '{1}'); SELECT pg_switch_wal()");
equal('TRUNCATE reaches the standby');
$restored->init_from_backup($primary, 'base', has_restoring => 1);
$restored->append_conf('postgresql.conf', "recovery_target_name = 'then'\nrecovery_target_action = 'promote'\n");
$restored->start;
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($restored->safe_psql('postgres', $content), $then, 'content of a restore to a point in time');
$restored->safe_psql('postgres', "INSERT INTO m VALUES (1, 't0', '{42}')");
is($restored->safe_psql('postgres', "SELECT historian.compact('m') \\gset\nSELECT values[1] FROM m WHERE tag = 't0' AND time = 1"), '42', 'which takes rows');
$restored->stop;

# promotion: a later row wins over those of the old primary
$primary->safe_psql('postgres', "INSERT INTO m SELECT i, 't' || i % 10, ARRAY[i] FROM generate_series(1, 5000) i");
my $last = $primary->safe_psql('postgres', $content);
$primary->wait_for_catchup($standby);
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', $content), $last, 'content after promotion');
$standby->safe_psql('postgres', "INSERT INTO m SELECT i, 't' || i % 10, ARRAY[-i] FROM generate_series(1, 100) i");
is($standby->safe_psql('postgres', 'SELECT count(*), sum(values[1]) FROM m WHERE time <= 100 AND tag LIKE \'t%\''), '100|-5050', 'later rows win after promotion');
$standby->safe_psql('postgres', "SELECT historian.compact('m'); VACUUM m");
is($standby->safe_psql('postgres', 'SELECT count(*), sum(values[1]) FROM m WHERE time <= 100 AND tag LIKE \'t%\''), '100|-5050', 'and after compaction');
$standby->stop;
done_testing();
