# Logical replication: a subscription into a historian table takes rows; out of one none goes, and the
# walsender survives it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
for my $node ($publisher, $subscriber)
{
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nfsync = off\nlog_min_messages = warning\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION historian');
}
$publisher->safe_psql('postgres', <<'END');
CREATE TABLE m (time bigint, tag text, values float8[]);
CREATE TABLE h (time bigint, tag text, values float8[]) USING historian;
INSERT INTO m SELECT i, 't' || i % 5, ARRAY[i] FROM generate_series(1, 1000) i;
CREATE PUBLICATION one FOR TABLE m;
CREATE PUBLICATION everything FOR ALL TABLES;
END
$subscriber->safe_psql('postgres', <<'END');
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE h (time bigint, tag text, values float8[]);
END
my ($status, $out, $err) = $publisher->psql('postgres', 'CREATE PUBLICATION bad FOR TABLE h');
like($err, qr/historian tables cannot be published/, 'a historian table cannot be published');

# into a historian table: the initial copy, then single rows
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION one CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION one");
$subscriber->wait_for_subscription_sync($publisher, 'one');
is($subscriber->safe_psql('postgres', 'SELECT count(*), sum(values[1]) FROM m'), '1000|500500', 'the initial copy');
$publisher->safe_psql('postgres', q{INSERT INTO m SELECT i, 't' || i % 5, ARRAY[i] FROM generate_series(1001, 2000) i});
$publisher->safe_psql('postgres', q{INSERT INTO m VALUES (1, 't1', '{0}')});
$publisher->safe_psql('postgres', q{BEGIN; INSERT INTO m VALUES (9000, 'x', '{1}'); SAVEPOINT s; INSERT INTO m VALUES (9001, 'x', '{1}'); ROLLBACK TO s; COMMIT});
$publisher->safe_psql('postgres', q{BEGIN; INSERT INTO m SELECT i, 'never', '{1}' FROM generate_series(1, 1000) i; ROLLBACK});
$publisher->wait_for_catchup('one');
is($subscriber->safe_psql('postgres', 'SELECT count(*), sum(values[1]) FROM m'), '2001|2001000', 'inserted rows arrive, the later wins');
is($subscriber->safe_psql('postgres', q{SELECT "values" FROM historian.downsample('m', 'x', 0, 9500, 1)}), '{1}', 'and are sampled');
$publisher->safe_psql('postgres', 'TRUNCATE m; INSERT INTO m VALUES (1, \'a\', \'{1}\')');
$publisher->wait_for_catchup('one');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM m'), '1', 'TRUNCATE arrives');

# a transaction's rows are each a command of their own, and are gathered all the same
$subscriber->safe_psql('postgres', "ALTER SYSTEM SET historian.compaction = off; SELECT pg_reload_conf()");
$publisher->safe_psql('postgres', q{BEGIN; INSERT INTO m SELECT i, 'b' || i % 3, ARRAY[i, i] FROM generate_series(1, 20000) i;
INSERT INTO m SELECT i, 'b1', '{0}' FROM generate_series(1, 100) i; COMMIT});
$publisher->wait_for_catchup('one');
my $content = 'SELECT count(*), sum(values[1]), md5(string_agg(tag || time || values::text, \',\' ORDER BY tag, time)) FROM ';
is($subscriber->safe_psql('postgres', $content . 'm'), $publisher->safe_psql('postgres', $content . '(SELECT DISTINCT ON (tag, time) * FROM m ORDER BY tag, time, cardinality(values)) m'), '20,000 rows in one transaction');
cmp_ok($subscriber->safe_psql('postgres', q{SELECT pending_segments FROM historian.stat_tables WHERE relname = 'm'}), '<', 200, 'in few segments');

# what a trigger of the subscription reads has the rows before its own
$subscriber->safe_psql('postgres', <<'END');
CREATE TABLE seen (n bigint);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen SELECT count(*) FROM public.m WHERE tag = 'seen'; RETURN NEW; END $$;
CREATE TRIGGER see BEFORE INSERT ON m FOR EACH ROW WHEN (NEW.tag = 'seen' AND NEW.time % 3 = 0) EXECUTE FUNCTION see();
ALTER TABLE m ENABLE ALWAYS TRIGGER see;
END
$publisher->safe_psql('postgres', q{INSERT INTO m SELECT i, 'seen', '{1}' FROM generate_series(1, 10) i});
$publisher->wait_for_catchup('one');
is($subscriber->safe_psql('postgres', q{SELECT string_agg(n::text, ',' ORDER BY n) FROM seen}), '2,5,8', 'a trigger sees the rows before its own');
$subscriber->safe_psql('postgres', 'DROP TRIGGER see ON m');
$publisher->safe_psql('postgres', q{TRUNCATE m; INSERT INTO m VALUES (1, 'a', '{1}')});
$publisher->wait_for_catchup('one');

# out of one: nothing, and nothing breaks
$subscriber->safe_psql('postgres', "DROP SUBSCRIPTION one; CREATE SUBSCRIPTION everything CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION everything WITH (copy_data = false)");
$publisher->safe_psql('postgres', q{INSERT INTO h SELECT i, 't' || i % 5, ARRAY[i] FROM generate_series(1, 3000) i;
SELECT historian.compact('h'); SELECT historian.delete('h', 't1', 0, 2000); VACUUM h; INSERT INTO m VALUES (2, 'b', '{2}')});
$publisher->wait_for_catchup('everything');
is($subscriber->safe_psql('postgres', 'SELECT (SELECT count(*) FROM h), (SELECT count(*) FROM m)'), '0|2', 'FOR ALL TABLES: rows of the heap table alone');
unlike(slurp_file($publisher->logfile), qr/PANIC|terminated by signal/, 'the walsender is well');

# a decoding slot sees no segment as a row
$publisher->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('peek', 'pgoutput')});
$publisher->psql('postgres', 'ALTER TABLE h REPLICA IDENTITY FULL');
$publisher->safe_psql('postgres', q{INSERT INTO h VALUES (1, 'a', '{1}'), (2, 'a', '{1}'); SELECT historian.delete('h', 'a', 1, 2); SELECT historian.compact('h'); SELECT historian.drop_before('h', 100)});
is($publisher->safe_psql('postgres', q{SELECT count(*) FROM pg_logical_slot_get_binary_changes('peek', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')
	WHERE get_byte(data, 0) IN (ascii('I'), ascii('U'), ascii('D'))
		-- the audit trail is a heap, and says that rows were deleted
		AND substring(data FROM 2 FOR 4) IS DISTINCT FROM int4send(to_regclass('historian.audit')::oid::int8::int4)}), '0', 'REPLICA IDENTITY FULL: no row is decoded, none crashes');
$subscriber->stop;
$publisher->stop;
done_testing();
