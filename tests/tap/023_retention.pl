# Retention policies, kept in the background: against the same rules in SQL over a heap table; parents, prefixes, clocks
# that are wrong, locks, dumps, privileges, and room that is used again.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use List::Util qw(max min);

my $seed = $ENV{SEED} || time;
srand($seed);
note "SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('retention');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
fsync = off
autovacuum = off
jit = off
END
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($statement, $message, $what) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $statement);

	like($err, qr/$message/, $what);
}

sub wait_until
{
	my ($query, $what, $database) = @_;
	my $deadline = time + 60;

	while (time < $deadline)
	{
		if ($node->safe_psql($database // 'postgres', "SELECT $query") eq 't') { pass($what); return; }
		select undef, undef, undef, 0.1;
	}
	fail("$what: $query");
}

sub has_run { wait_until("(SELECT bool_and(last_run IS NOT NULL) FROM historian.stat_retention WHERE relname = '$_[0]')", "$_[0]: $_[1]"); }

sql(<<'END');
CREATE EXTENSION historian;
CREATE FUNCTION ago(interval) RETURNS bigint LANGUAGE sql AS 'SELECT historian.to_ns(now() - $1)';
END
is(sql(q{SELECT count(*) FROM historian.stat_retention}), '0', 'no policy at first');

# random rows, prefixes and intervals, some compacted, some not
my @prefixes = ('', 'a', 'ab', 'abc', 'b/c');
sql('CREATE TABLE m (time bigint, tag text, values float8[]) USING historian');
for my $load (1 .. 3)
{
	my $r = rand();
	sql("SELECT setseed($r); INSERT INTO m SELECT ago(random() * '20 hours'::interval), (ARRAY['a', 'ab', 'abc', 'abcd', 'ac', 'b', 'b/', 'b/c', 'b/cd', 'c'])[1 + floor(random() * 9.99)], ARRAY[random(), random()] FROM generate_series(1, 20000)");
	sql("SELECT historian.compact('m')") if $load < 3;
}
sql('CREATE TABLE twin AS SELECT * FROM m');
my @chosen = grep { rand() < 0.7 } @prefixes;
@chosen = ('ab') unless @chosen;
my $policies = join('; ', map { sprintf("SELECT historian.set_retention('m', '%d minutes', '%s')", 30 + rand(1000), $_) } @chosen);
sql("BEGIN; SELECT historian.set_retention('m', '1 minute'); ROLLBACK");
sql($policies);
has_run('m', 'the policies are kept');
is(sql(<<'END'), '0|0', "what is left and what is counted, prefixes (@chosen)");
WITH expiry AS (SELECT t.*, (SELECT cutoff FROM historian.retention_run p WHERE starts_with(t.tag, tag_prefix) ORDER BY length(tag_prefix) DESC LIMIT 1) FROM twin t),
	kept AS (SELECT time, tag, values FROM expiry WHERE cutoff IS NULL OR time >= cutoff),
	different AS ((TABLE kept EXCEPT ALL TABLE m) UNION ALL (TABLE m EXCEPT ALL TABLE kept))
SELECT (SELECT count(*) FROM different), (SELECT sum(rows_removed) FROM historian.stat_retention) - (SELECT count(*) FROM expiry WHERE time < cutoff);
END
is(sql(q{SELECT count(*) FROM historian.stat_retention WHERE abs(extract(epoch FROM last_run - keep - cutoff)) > 30 OR last_error IS NOT NULL}), '0', 'the cutoffs are those of the intervals');
is(sql(q{SELECT count(*) FROM historian.check('m')}), '0', 'and nothing is damaged');

# none of these may be changed by others
sql(<<'END');
CREATE ROLE owner LOGIN; CREATE ROLE other LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
CREATE TABLE owned (time bigint, tag text, values float8[]) USING historian; ALTER TABLE owned OWNER TO owner;
GRANT ALL ON owned TO other;
SET ROLE owner; SELECT historian.set_retention('owned', '10 years');
END
fails("SET ROLE other; SELECT historian.set_retention('owned', '1 second')", 'must be owner of table owned', 'set_retention() is for the owner');
fails("SET ROLE other; SELECT historian.set_retention('owned', NULL)", 'must be owner of table owned', 'so is its end');
fails("SET ROLE owner; INSERT INTO historian.retention VALUES ('m', '', '1 second')", 'row-level security', 'the table of policies takes none for a table of another role');
fails("SET ROLE owner; UPDATE historian.retention SET keep = '1 second'", 'permission denied', 'and is changed by the function alone');
is(sql("SET ROLE owner; SELECT string_agg(relname, ' ') FROM historian.stat_retention"), 'owned', 'owners see their own policies');
is(sql("SET ROLE other; SELECT count(*) FROM historian.stat_retention"), '0', 'others none');
is(sql("SET ROLE monitor; SELECT count(DISTINCT relname) FROM historian.stat_retention"), '2', 'pg_monitor all');
fails("SELECT historian.set_retention('twin', '1 day')", '"twin" is not a historian table', 'a heap table');
my $warned;
$node->psql('postgres', "BEGIN; SELECT historian.set_retention('m', '10 years', 'boiler%'); ROLLBACK", stderr => \$warned);
like($warned, qr/WARNING:  % stands for itself in a tag prefix\nDETAIL:  The policy is for tags that begin with "boiler%"\.\nHINT:  .*give 'boiler', not 'boiler%'\./, 'a pattern in the place of a prefix');
$node->psql('postgres', "BEGIN; SELECT historian.set_retention('m', '90'); ROLLBACK", stderr => \$warned);
like($warned, qr/WARNING:  rows are kept for 00:01:30 \(hours:minutes:seconds\) only\nHINT:  .*give '90 days', not '90'\./, 'an interval without a unit');
$node->psql('postgres', "BEGIN; SELECT historian.set_retention('m', '1 hour'); ROLLBACK", stderr => \$warned);
is($warned, '', 'and none about an hour');
fails("SELECT historian.set_retention('m', '0')", 'must be greater than zero', 'an interval of zero');
fails("SELECT historian.set_retention('m', '1 month -29 days')", 'must be greater than zero', 'an interval with a negative part');
fails("CREATE TEMP TABLE t (time bigint, tag text, values float8[]) USING historian; SELECT historian.set_retention('t', '1 day')", 'neither temporary', 'a temporary table');

# a parent, one partition of which has a policy of its own; heap partitions come later
sql(<<'END');
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY LIST (tag);
SET default_table_access_method = historian;
CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
CREATE TABLE p_b PARTITION OF p FOR VALUES IN ('b') PARTITION BY RANGE (time);
CREATE TABLE p_b_1 PARTITION OF p_b DEFAULT;
CREATE TABLE p_c PARTITION OF p FOR VALUES IN ('c');
INSERT INTO p SELECT ago(i * '1 minute'::interval), tag, ARRAY[i] FROM generate_series(0, 599) i, unnest('{a,b,c}'::text[]) tag;
BEGIN; SELECT historian.set_retention('p', '5 hours'), historian.set_retention('p_c', '8 hours'), historian.set_retention('p_b', '1 hour', 'none'); COMMIT;
END
has_run('p', 'a parent');
has_run('p_c', 'a partition with a policy of its own');
has_run('p_b', 'a partitioned one');
is(sql(q{SELECT string_agg(tag || count, ' ' ORDER BY tag) FROM (SELECT tag, count(*) FROM p GROUP BY 1) t}), 'a301 b600 c481', 'which alone is kept for it');
sql(q{CREATE TABLE p_h PARTITION OF p FOR VALUES IN ('h') USING heap; SELECT historian.set_retention('p_b', NULL, 'none')});
fails(q{SELECT historian.set_retention('p', '4 hours')}, 'partition "p_h" of "p" is not a historian table', 'a parent with a heap partition');
sql(q{BEGIN; DROP TABLE p_h; SELECT historian.set_retention('p', '4 hours'); CREATE TABLE p_h PARTITION OF p FOR VALUES IN ('h') USING heap; COMMIT});
has_run('p', 'with a heap partition');
is(sql(q{SELECT string_agg(tag || count, ' ' ORDER BY tag) FROM (SELECT tag, count(*) FROM p GROUP BY 1) t}), 'a241 b241 c481', 'the others are kept');
is(sql(q{SELECT last_error FROM historian.stat_retention WHERE relname = 'p'}), 'partition "p_h" is not a historian table', 'and the view says so');
sql(q{SELECT historian.set_retention('p', NULL); DROP TABLE p_h});
is(sql(q{SELECT count(*) FROM historian.stat_retention WHERE relname = 'p'}), '0', 'NULL removes a policy');

# the feed has stopped: the interval counts from the newest row; rows of the future do not make others expire
sql(<<'END');
CREATE TABLE stopped (time bigint, tag text, values float8[]) USING historian;
INSERT INTO stopped SELECT 1577836800000000000 + i * 60000000000, 'a', ARRAY[i] FROM generate_series(0, 599) i;
CREATE TABLE ahead (time bigint, tag text, values float8[]) USING historian;
INSERT INTO ahead SELECT ago(i * '1 minute'::interval), 'a', ARRAY[i] FROM generate_series(0, 599) i;
INSERT INTO ahead SELECT ago('-10 years'), 'b', '{1}';
BEGIN; SELECT historian.set_retention('stopped', '100 minutes'), historian.set_retention('ahead', '100 minutes'); COMMIT;
END
has_run('stopped', 'rows of 2020 alone');
is(sql('SELECT count(*), min(values[1]), max(values[1]) FROM stopped'), '101|499|599', 'the interval before the newest row is kept');
has_run('ahead', 'a row of the future');
is(sql('SELECT count(*), max(values[1]) FROM ahead'), '101|99', 'the interval counts from now');

# a leap of the clock, with rows that follow it: the cutoff goes two rounds on in one
sql(<<'END');
CREATE TABLE leap (time bigint, tag text, values float8[]) USING historian;
INSERT INTO leap SELECT ago(i * '1 hour'::interval), 'a', ARRAY[i] FROM generate_series(0, 2399) i;
SELECT historian.set_retention('leap', '96 days');
END
has_run('leap', 'the first round');
is(sql('SELECT count(*) FROM leap'), 96 * 24 + 1, 'has no limit');
sql(q{UPDATE historian.retention_run SET last_run = now() - '3 days'::interval, cutoff = cutoff - 100 * 86400000000000 WHERE relid = 'leap'::regclass;
	UPDATE historian.retention SET keep = '48 hours' WHERE relid = 'leap'::regclass});
my $before = sql(q{SELECT cutoff FROM historian.retention_run WHERE relid = 'leap'::regclass});
$node->restart;
wait_until(q{(SELECT last_run > now() - '1 day'::interval FROM historian.stat_retention WHERE relname = 'leap')}, 'the next round');
is(sql(q{SELECT cutoff FROM historian.retention_run WHERE relid = 'leap'::regclass}), $before + 4 * 3600 * 1_000_000_000, 'goes two rounds on');
is(sql('SELECT count(*) FROM leap'), 96 * 24 + 1, 'and removes nothing yet');

# a table that is locked is left for a later round
sub retention
{
	$node->append_conf('postgresql.conf', "historian.retention = $_[0]");
	$node->reload;
	wait_until("setting = '$_[0]' FROM pg_settings WHERE name = 'historian.retention'", "retention $_[0]");
}

retention('off');
sql(<<'END');
CREATE TABLE locked (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE beside (time bigint, tag text, values float8[]) USING historian;
INSERT INTO locked SELECT ago(i * '1 minute'::interval), 'a', ARRAY[i] FROM generate_series(0, 599) i;
INSERT INTO beside TABLE locked;
SELECT historian.set_retention('locked', '1 hour'), historian.set_retention('beside', '1 hour');
END
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE locked');
retention('on');
has_run('beside', 'kept while another table is locked');
is(sql(q{SELECT last_run IS NULL FROM historian.stat_retention WHERE relname = 'locked'}), 't', 'which waits');
$locker->query_safe('COMMIT');
$locker->quit;
has_run('locked', 'until the lock is gone');
is(sql('SELECT count(*) FROM locked'), '61', 'and is kept then');

# a table that is dropped takes its policy with it; where event triggers are off, dumps and the worker see to that
retention('off');
sql(q{CREATE TABLE dropped (time bigint, tag text, values float8[]) USING historian; SELECT historian.set_retention('dropped', '1 day'); ALTER TABLE dropped RENAME TO renamed});
is(sql(q{SELECT relname FROM historian.stat_retention WHERE keep = '1 day'}), 'renamed', 'a policy follows its table');
sql('DROP TABLE renamed');
is(sql(q{SELECT count(*) FROM historian.retention WHERE keep = '1 day'}), '0', 'and goes with it');
sql('ALTER EVENT TRIGGER historian_forget_retention DISABLE; DROP TABLE beside; ALTER EVENT TRIGGER historian_forget_retention ENABLE ALWAYS');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', 'postgres' ], 'pg_dump');
sql('CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', 'restored' ], 'psql of the dump');
is($node->safe_psql('restored', q{SELECT string_agg(relid::text || ':' || tag_prefix || ':' || keep, ' ' ORDER BY 1) FROM (SELECT * FROM historian.retention ORDER BY relid::text, tag_prefix) r}),
	sql(q{SELECT string_agg(relid::text || ':' || tag_prefix || ':' || keep, ' ' ORDER BY 1) FROM (SELECT * FROM historian.retention WHERE relid IN (SELECT oid FROM pg_class) ORDER BY relid::text, tag_prefix) r}),
	'the policies are dumped, but not those of tables that are gone');
is($node->safe_psql('restored', q{SELECT count(*) FROM historian.retention WHERE relid = 'leap'::regclass}), '1', 'by name');
retention('on');
sql(q{SELECT historian.set_retention('leap', '2 days')});
wait_until(q{NOT EXISTS (SELECT FROM historian.retention p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relid))}, 'the worker deletes the policy of a dropped table');
$node->safe_psql('restored', q{INSERT INTO leap VALUES (ago('1 minute'), 'a', '{1}')});
wait_until(q{(SELECT count(*) = 0 FROM historian.stat_retention WHERE last_run IS NULL)}, 'the worker that comes after a load keeps them', 'restored');

# rolling: after each retention and VACUUM the next load finds room
sql(q{CREATE TABLE rolling (time bigint, tag text, values float8[]) USING historian; SELECT historian.set_retention('rolling', '1 hour')});
my @bytes;

# Until no snapshot, such as the worker's, keeps anything from it; "dead row versions" are those of PostgreSQL 14.
sub vacuum
{
	my ($table) = @_;
	my $deadline = time + 60;
	my $told;

	do
	{
		$node->psql('postgres', "VACUUM (VERBOSE) $table", stderr => \$told);
	} while (time < $deadline && $told =~ /[1-9]\d* (?:are dead but not yet removable|dead row versions cannot be removed yet)/);
	return;
}

for my $hour (1 .. 9)
{
	sql(qq{INSERT INTO rolling SELECT ago('10 hours') + $hour * 3600000000000 + i::bigint * 36000000, 't' || i % 50, ARRAY[random(), random(), random()] FROM generate_series(0, 99999) i; SELECT historian.compact('rolling')});
	sql(q{SELECT historian.set_retention('rolling', '1 hour')});
	has_run('rolling', "hour $hour");
	vacuum('rolling');
	push @bytes, sql(q{SELECT pg_total_relation_size('rolling')});
}
# How much room is between the rows depends on what the worker merges meanwhile: by up to a third.  Were none used again, the file
# would be seven times as large after seven hours, and three times after three.
diag "bytes by hour: @bytes";
cmp_ok(min(@bytes[ 6 .. 8 ]), '<', 1.75 * max(@bytes[ 0 .. 2 ]), 'the file does not grow with the hours');
my $held = sql('SELECT count(*) FROM rolling');
diag "$held rows";
ok($held >= 99990 && $held <= 101000, 'and holds an hour');

# everything was done by the worker, without an error
$node->stop;
unlike(slurp_file($node->logfile), qr/historian compaction worker.*(ERROR|exited with exit code [^01])/, 'no error of a worker');
done_testing();
