# Change data: a table that is rebuilt from the messages of publish_changes() equals its source, after random changes of
# several sessions at a time: loads, deletions, updates, replacements, renames, TRUNCATE, savepoints that roll back, prepared
# transactions, moves between partitions, compaction in between.
#
# The consumers are tables of another database, without the extension, which apply the JSON by PostgreSQL's own functions.
# SEED (printed) and ROUNDS set what is run.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} // int(rand(1_000_000_000));
my $rounds = $ENV{ROUNDS} // 4;
my $sessions = 3;

diag "SEED=$seed ROUNDS=$rounds";
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('source');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
max_prepared_transactions = 10
fsync = off
deadlock_timeout = 100ms
END
$node->start;

# wal_level is not logical: refused, with what to do
my ($status, $out, $err) = $node->psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
SELECT historian.publish_changes('m');
END
like($err, qr/wal_level is minimal.*HINT: +Set wal_level = logical/s, 'wal_level must be logical');
$node->append_conf('postgresql.conf', "wal_level = logical\n");
# newer minor versions ask which output plugins are to be trusted
$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput, test_decoding, historian'\n")
	if $node->safe_psql('postgres', "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'");
$node->restart;

$node->safe_psql('postgres', <<'END');
CREATE TABLE p (time bigint, tag text, values float8[]) PARTITION BY HASH (tag);
CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING historian;
CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING historian;
CREATE TABLE quiet (time bigint, tag text, values float8[]) USING historian;
CREATE TABLE heap (time bigint, tag text, values float8[]);
CREATE UNLOGGED TABLE unlogged (time bigint, tag text, values float8[]) USING historian;
CREATE PUBLICATION messages;
CREATE ROLE stranger;
END
$node->safe_psql('postgres', 'CREATE DATABASE target');
$node->safe_psql('target', <<'END');
CREATE TABLE copy (consumer text, source text, tag text, time bigint, values float8[], PRIMARY KEY (consumer, source, tag, time));

CREATE FUNCTION apply(who text, change json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	source_table text := change->>'table';
	entry json;
BEGIN
	CASE change->>'op'
	WHEN 'insert' THEN
		FOR entry IN SELECT json_array_elements(change->'rows') LOOP
			INSERT INTO copy SELECT who, source_table, entry->>'tag', t.v::bigint,
				CASE WHEN json_typeof(v.v) <> 'null'
					THEN ARRAY(SELECT e.v::float8 FROM json_array_elements_text(v.v) WITH ORDINALITY e(v, i) ORDER BY i) END
			FROM json_array_elements_text(entry->'times') WITH ORDINALITY t(v, i) JOIN json_array_elements(entry->'values') WITH ORDINALITY v(v, i) USING (i)
			ON CONFLICT (consumer, source, tag, time) DO UPDATE SET values = excluded.values;
		END LOOP;
	WHEN 'delete' THEN
		FOR entry IN SELECT json_array_elements(change->'rows') LOOP
			DELETE FROM copy c WHERE c.consumer = who AND c.source = source_table AND c.tag = entry->>'tag'
				AND (c.time BETWEEN (entry->>'first')::bigint AND (entry->>'last')::bigint
					OR c.time IN (SELECT t::bigint FROM json_array_elements_text(entry->'times') t));
		END LOOP;
	WHEN 'rename' THEN
		UPDATE copy c SET tag = change->>'new_tag' WHERE c.consumer = who AND c.source = source_table AND c.tag = change->>'tag';
	WHEN 'truncate' THEN
		DELETE FROM copy c WHERE c.consumer = who AND c.source = source_table;
	WHEN 'begin', 'commit' THEN NULL;
	END CASE;
END $$;
END

# what is refused
for my $case (
	[ 'heap', 'the changes of public.heap cannot be published' ],
	[ 'unlogged', 'the changes of public.unlogged cannot be published' ],
	[ 'pg_database', 'cannot be published' ])
{
	my ($table, $message) = @$case;

	(undef, undef, $err) = $node->psql('postgres', "SELECT historian.publish_changes('$table')");
	like($err, qr/$message/, "$table: refused");
}
(undef, undef, $err) = $node->psql('postgres', "SELECT historian.publish_changes('m', format => 'xml')");
like($err, qr/format "xml" is not known/, 'an unknown format');
(undef, undef, $err) = $node->psql('postgres', "SET ROLE stranger; SELECT historian.publish_changes('m')");
like($err, qr/must be owner of table public.m/, 'the owner alone publishes');
(undef, undef, $err) = $node->psql('postgres', q{SELECT historian.decode_changes('HCH2')});
like($err, qr/no changes of a historian table/, 'decode_changes(): other bytes');
(undef, undef, $err) = $node->psql('postgres', q[SELECT historian.decode_changes('{"a"')]);
like($err, qr/invalid input syntax for type json/, 'decode_changes(): damaged JSON');
(undef, undef, $err) = $node->psql('postgres', q{SELECT historian.decode_changes('\x48434831010000000100610100620000000005004142434445')});
like($err, qr/is damaged/, 'decode_changes(): damaged bytes');

(undef, undef, $err) = $node->psql('postgres', q{SELECT historian.decode_changes('\x48434831010000000100ff0100620000000005004142434445')});
like($err, qr/invalid byte sequence/, 'decode_changes(): a name in another encoding');
(undef, undef, $err) = $node->psql('postgres', q{SELECT historian.decode_changes('\x7b22ff223a317d')});
like($err, qr/invalid byte sequence/, 'decode_changes(): JSON in another encoding');

# Statements of one transaction, random ones.
sub one_of { return $_[ int(rand(@_)) ]; }
sub tag { return 't' . int(rand(6)); }

my $names = 0;

sub change
{
	my ($table) = @_;
	my $from = int(rand(300));
	my $until = $from + int(rand(40));
	my $tag = tag();
	my $what = int(rand(17));

	return "INSERT INTO $table SELECT i, 't' || i % 6, ARRAY[random() * 1000, i, NULL, 0.1 + i] FROM generate_series($from, $until) i;" if $what < 3;
	return "INSERT INTO $table SELECT i, '$tag', ARRAY[" . rand() . ", i] FROM generate_series($from, $until) i;" if $what == 3;
	return "INSERT INTO $table VALUES ($from, '$tag', NULL), ($from, '$tag', '{}'), ($until, '$tag', '{NaN,Infinity,-Infinity,-0,1e300,5e-324,0.1,NULL}');" if $what == 4;
	return "COPY $table FROM STDIN;\n" . join('', map { int(rand(300)) . "\t" . tag() . "\t{" . rand() . "}\n" } 1 .. 50) . "\\.\n" if $what == 5;
	return "DELETE FROM $table WHERE tag = '$tag' AND time BETWEEN $from AND $until;" if $what == 6;
	return "DELETE FROM $table WHERE tag = '$tag' AND time % 3 = 0;" if $what == 7;
	return "UPDATE $table SET values = values || 1::float8 WHERE tag = '$tag' AND time BETWEEN $from AND $until;" if $what == 8;
	return "UPDATE $table SET tag = '" . tag() . "' WHERE tag = '$tag' AND time % 5 = 1;" if $what == 9;
	return "SELECT historian.delete('$table', '$tag', $from, $until);" if $what == 10;
	return "SELECT historian.replace('$table', '$tag', $from, $from + 50, ARRAY[$from, $from + 7], '{{1, 2}, {3, " . rand() . "}}');" if $what == 11;
	return "SELECT historian.rename('$table', '$tag', 'n" . ++$names . "\"\\é');" if $what == 12;
	return "SELECT historian.drop_before('$table', " . int(rand(60)) . "::bigint);" if $what == 13 && rand() < 0.3;
	return 'TRUNCATE ' . ($table eq 'p' ? one_of('p', 'p0', 'p1') : $table) . ';' if $what == 14 && rand() < 0.3;
	return "UPDATE $table SET time = time + " . one_of(1, 7, 1000, -3) . " WHERE tag = '$tag' AND time BETWEEN $from AND $until;" if $what == 15;
	return "INSERT INTO $table SELECT i, 'w' || i, ARRAY[i, -i] FROM generate_series($from, $from + 600) i;";
}

sub transaction
{
	my ($session) = @_;
	my $table = one_of('m', 'm', 'p');
	my $script = '';

	$script .= 'SET historian.min_shared_tags = ' . one_of(2, 512) . ";\n";
	$script .= 'SET historian.write_buffer = ' . one_of("'64kB'", "'64MB'") . ";\n";
	$script .= 'BEGIN ISOLATION LEVEL ' . one_of('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE') . ";\n";
	for (1 .. 1 + int(rand(4)))
	{
		my $kind = int(rand(8));

		if ($kind == 0)
		{
			$script .= "SAVEPOINT s;\n" . change($table) . "\n" . change($table) . "\n" . one_of('ROLLBACK TO', 'RELEASE') . " s;\n";
		}
		elsif ($kind == 1)
		{
			$script .= "SAVEPOINT s;\n" . change($table) . "\nSELECT 1 / 0;\nROLLBACK TO s;\n";
		}
		else
		{
			$script .= change($table) . "\n";
		}
		$script .= 'SELECT pg_sleep(' . rand(0.02) . ");\n";
	}
	my $end = int(rand(10));
	if ($end == 0)
	{
		return $script . "ROLLBACK;\n";
	}
	if ($end == 1)
	{
		my $name = "x$session" . '_' . ++$names;

		return $script . "PREPARE TRANSACTION '$name';\n" . one_of('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED '$name';\n";
	}
	return $script . "COMMIT;\n";
}

# Runs scripts side by side; those of their statements that fail are rolled back.
sub together
{
	my $n = 0;
	my @runs = map {
		my $file = PostgreSQL::Test::Utils::tempdir() . '/session' . $n++;
		my $output = '';

		append_to_file($file, $_);
		[ IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ], '>', \$output, '2>', \$output, IPC::Run::timeout(180)), \$output ]
	} @_;
	my $errors = '';

	for my $run (@runs)
	{
		$run->[0]->finish;
		$errors .= join('', grep { /ERROR/ } split(/^/m, ${ $run->[1] }));
	}
	return $errors;
}

my $content = q{SELECT count(*), md5(string_agg(source || tag || ' ' || time || coalesce(values::text, '-'), E'\n' ORDER BY source COLLATE "C", tag COLLATE "C", time)) FROM };
my $source = q{(SELECT tableoid::regclass::text AS source, * FROM m UNION ALL SELECT tableoid::regclass::text, * FROM p) a};

# Lets consumers apply what the slots have; then each has what the source has.
my %messages = (
	# plugin historian
	plugin => q{SELECT data FROM pg_logical_slot_get_changes('plugin', NULL, NULL)},
	# pgoutput: message, flags, LSN, prefix, length, content
	pgoutput => q{SELECT historian.decode_changes(content)
		FROM (SELECT lsn, n, substring(rest FROM position('\x00'::bytea IN rest) + 5) AS content,
				convert_from(substring(rest FOR position('\x00'::bytea IN rest) - 1), 'UTF8') AS prefix
			FROM (SELECT lsn, n, substring(data FROM 11) AS rest
				FROM pg_logical_slot_get_binary_changes('pgoutput', NULL, NULL, 'proto_version', '1', 'publication_names', 'messages', 'messages', 'true')
					WITH ORDINALITY AS s(lsn, xid, data, n)
				WHERE get_byte(data, 0) = ascii('M')) s) s
		WHERE prefix IN ('historian.compact', 'historian.json') ORDER BY n},
	test_decoding => q{SELECT substring(data FROM 'content:(.*)') FROM pg_logical_slot_get_changes('test_decoding', NULL, NULL)
		WHERE data LIKE 'message: transactional: 1 prefix: historian.json,%'},
);
# Says which rows differ, and what was sent.
sub note_differences
{
	my ($consumer, $json) = @_;
	my $rows = q{SELECT source || ' ' || to_json(tag) || ' ' || time || ' ' || coalesce(values::text, '-') FROM };
	my %left;

	$left{$_} .= 'source' for split(/\n/, $node->safe_psql('postgres', $rows . $source));
	$left{$_} .= 'copy' for split(/\n/, $node->safe_psql('target', $rows . "(SELECT * FROM copy WHERE consumer = '$consumer') a"));
	for my $row (sort grep { $left{$_} ne 'sourcecopy' } keys %left)
	{
		diag("only in the $left{$row}: $row");
	}
	diag("sent: $_") for split(/\n/, $json);
	return;
}

my $changes = 0;

sub consume_and_compare
{
	my ($what, @consumers) = @_;
	my $want = $node->safe_psql('postgres', $content . $source);

	for my $consumer (@consumers)
	{
		my @json = split(/\n/, $node->safe_psql('postgres', $messages{$consumer}));

		$changes += @json;
		$node->safe_psql('target', join("\n", map { "SELECT apply('$consumer', \$json\$$_\$json\$);" } @json)) if @json;
		my $got = $node->safe_psql('target', $content . "(SELECT * FROM copy WHERE consumer = '$consumer') a");
		is($got, $want, "$what: $consumer");
		next if $got eq $want;
		note_differences($consumer, join("\n", @json));
		return 0;
	}
	return 1;
}

for my $format ('compact', 'json')
{
	my @consumers = $format eq 'json' ? sort keys %messages : ('pgoutput', 'plugin');

	$node->safe_psql('postgres', 'TRUNCATE m, p');
	$node->safe_psql('target', 'TRUNCATE copy');
	$node->safe_psql('postgres', "SELECT historian.publish_changes(t, format => '$format') FROM unnest('{m,p}'::regclass[]) t");
	$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$_', " . ($_ eq 'plugin' ? "'historian'" : "'$_'") . ')') for @consumers;
	my $failures = '';
	for my $round (1 .. $rounds)
	{
		$failures .= together(map {
			my $session = $_;
			join('', map { transaction($session) } 1 .. 6)
		} 1 .. $sessions);
		$node->safe_psql('postgres', "SELECT count(*) FROM unnest('{m,p0,p1}'::regclass[]) t, historian.compact(t)") if rand() < 0.5;
		$node->safe_psql('postgres', one_of('VACUUM FULL m', 'VACUUM m', 'ALTER TABLE m SET (fillfactor = 90)', 'REINDEX TABLE m'));
		last unless consume_and_compare("$format, round $round", @consumers);
	}
	my %kinds;
	$kinds{ s/^.*?ERROR:\s+//r =~ s/\d+|".*?"//gr }++ for split(/\n/, $failures);
	diag "$format: " . join('; ', map { "$kinds{$_} x $_" } sort keys %kinds);
	unlike($failures, qr/syntax|internal|unexpected/, "$format: only expected errors");
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$_')") for @consumers;
}
cmp_ok($changes, '>', 100 * $rounds / 6, "$changes messages");

# a table that is not published, and one no more, send nothing; a transaction without changes has no commit
$node->safe_psql('postgres', <<'END');
SELECT historian.publish_changes('m', false);
SELECT pg_create_logical_replication_slot('plugin', 'historian');
INSERT INTO quiet VALUES (1, 'a', '{1}');
INSERT INTO m VALUES (1, 'a', '{1}');
INSERT INTO heap VALUES (1, 'a', '{1}');
END
is($node->safe_psql('postgres', $messages{plugin}), '', 'nothing is sent of what is not published');

# what exactly is sent
$node->safe_psql('postgres', <<'END');
SELECT historian.publish_changes('quiet');
BEGIN;
INSERT INTO quiet VALUES (1, 'a', '{0.1,NULL,-0}'), (2, 'a', '{NaN,1e22}'), (3, 'a', NULL), (9223372036854775807, 'b"', '{}');
DELETE FROM quiet WHERE tag = 'a' AND time <> 2;
SELECT historian.rename('quiet', 'a', 'c');
COMMIT;
END
my @sent = split(/\n/, $node->safe_psql('postgres', $messages{plugin}));
my $relid = $node->safe_psql('postgres', "SELECT 'quiet'::regclass::oid");
my $head = qq{"schema":"public","table":"quiet","relid":$relid};
like($sent[0], qr/^\{"op":"begin","xid":\d+,"lsn":"[0-9A-F]+\/[0-9A-F]+","time":"[^"]+"\}$/, 'the beginning');
is($sent[1], qq({"op":"insert",$head,"rows":[{"tag":"a","times":[1,2,3],"values":[[0.1,null,-0],["NaN",1e+22],null]},{"tag":"b\\"","times":[9223372036854775807],"values":[[]]}]}), 'inserted rows');
is($sent[2], qq({"op":"delete",$head,"rows":[{"tag":"a","times":[1,3]}]}), 'deleted rows');
is($sent[3], qq({"op":"rename",$head,"tag":"a","new_tag":"c"}), 'a rename');
like($sent[4], qr/^\{"op":"commit","xid":\d+,"lsn":"[0-9A-F]+\/[0-9A-F]+","time":"[^"]+"\}$/, 'the commit');
is(scalar @sent, 5, 'and no more');
$node->safe_psql('postgres', "DELETE FROM quiet WHERE tag = 'b\"'; INSERT INTO p VALUES (1, 'a', '{1}'); TRUNCATE quiet");
@sent = grep { !/"op":"(begin|commit)"/ } split(/\n/, $node->safe_psql('postgres', $messages{plugin}));
like($sent[1], qr/"table":"p[01]","relid":\d+,"parent_schema":"public","parent_table":"p","rows"/, 'a partition names its parent');
is($sent[2], qq({"op":"truncate",$head}), 'TRUNCATE');
(undef, undef, $err) = $node->psql('postgres', q{SELECT * FROM pg_logical_slot_get_changes('plugin', NULL, NULL, 'pretty', 'true')});
like($err, qr/has no option "pretty"/, 'an unknown option of the plugin');

# a command whose new rows were logged before its deletion is refused: a consumer would delete them
$node->safe_psql('postgres', q{INSERT INTO quiet SELECT i, 'a', ARRAY[random(), i] FROM generate_series(1, 20000) i;
	CREATE FUNCTION put() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO quiet VALUES (1, 'a', '{3}'); RETURN true; END $$});
my $load = q{WITH i AS (INSERT INTO quiet SELECT i, 'a', ARRAY[random(), i] FROM generate_series(1, 20000) i RETURNING 1)};
for my $command (
	q{UPDATE quiet SET values = values || 7::float8},
	qq{$load DELETE FROM quiet WHERE tag = 'a' AND time = 1 AND (SELECT count(*) FROM i) > 0},
	qq{$load SELECT historian.delete('quiet', 'a', 0, 5) FROM (SELECT count(*) FROM i) i},
	q{DELETE FROM quiet WHERE tag = 'a' AND time = 1 AND put()},
	q{UPDATE quiet SET time = 30000 WHERE tag = 'a' AND time = 1 RETURNING put()})
{
	(undef, undef, $err) = $node->psql('postgres', "SET historian.write_buffer = '64kB'; $command");
	like($err, qr/cannot delete rows of public.quiet after it has written new ones/, "refused: $command");
}
$node->safe_psql('postgres', q{UPDATE quiet SET values = values || 7::float8; BEGIN; SELECT put(); DELETE FROM quiet WHERE tag = 'a' AND time = 1; SELECT put(); COMMIT});
@sent = map { /"op":"(\w+)"/ } split(/\n/, $node->safe_psql('postgres', "$messages{plugin}"));
like("@sent", qr/^begin (?:insert )+commit begin delete (?:insert )+commit begin insert delete insert commit$/, 'two commands, or an UPDATE in memory, are sent');
$node->safe_psql('postgres', "DROP FUNCTION put; TRUNCATE quiet; $messages{plugin}");

# messages that are damaged, or that somebody else made, do not stop a slot and are not sent
for my $case (
	[ 'compact', q{'rubbish'}, 'no changes of a historian table' ],
	[ 'compact', q{'\x48434831010000000100610100620000000005004142434445'::bytea}, 'is damaged' ],
	[ 'compact', q{'\x48434831010000000100ff0100620000000005004142434445'::bytea}, 'invalid byte sequence' ],
	[ 'json', q{''}, 'is damaged' ],
	[ 'json', q{'[1]'}, 'is damaged' ],
	[ 'json', q('{"op":"truncate"'), 'invalid input syntax for type json' ],
	[ 'json', q('{"op":' || chr(10) || '"truncate"}'), 'is damaged' ],
	[ 'json', q{'\x7b22ff223a317d'::bytea}, 'invalid byte sequence' ],
	[ 'json', q('{"a":' || repeat('[', 100000)), 'stack depth limit exceeded' ])
{
	my ($form, $content, $message) = @$case;
	my $lsn = $node->safe_psql('postgres', "BEGIN; INSERT INTO quiet VALUES (1, 'intact', '{1}'); SELECT pg_logical_emit_message(true, 'historian.$form', $content) AS lsn; INSERT INTO quiet VALUES (1, 'intact', '{2}'); COMMIT");

	($status, $out, $err) = $node->psql('postgres', $messages{plugin});
	like($err, qr/WARNING:  the message at [0-9A-F]+\/[0-9A-F]+ with the prefix "historian.$form" is passed over\nDETAIL:  .*$message/, "$form $content: a warning");
	is(join(' ', map { /"values":\[\[(\d)\]\]/ ? $1 : /^\{"op":"(\w+)"/ } split(/\n/, $out)), 'begin 1 2 commit', "$form $content: the others are sent");
}
# what docs/change-data.md advises against it does not concern writers
$node->safe_psql('postgres', "SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure) FROM pg_proc WHERE proname = 'pg_logical_emit_message' \\gexec\nGRANT INSERT ON quiet TO stranger");
for my $type ('text', 'bytea')
{
	(undef, undef, $err) = $node->psql('postgres', "SET ROLE stranger; SELECT pg_logical_emit_message(true, 'historian.json', '{}'::$type)");
	like($err, qr/permission denied for function pg_logical_emit_message/, "$type: a stranger makes no messages");
}
$node->safe_psql('postgres', "SET ROLE stranger; INSERT INTO quiet VALUES (1, 'intact', '{3}')");
like($node->safe_psql('postgres', $messages{plugin}), qr/"values":\[\[3\]\]/, 'but publishes what it inserts');
$node->safe_psql('postgres', "TRUNCATE quiet; $messages{plugin}");

# writers of a published table wait for each other, so that a deletion comes after the loads that it has seen
my $first = $node->background_psql('postgres');
$first->query_safe("BEGIN; INSERT INTO quiet VALUES (1, 'x', '{1}')");
my $second = $node->background_psql('postgres');
$second->query_until(qr/going/, "\\echo going\nBEGIN; INSERT INTO quiet VALUES (1, 'x', '{2}'); COMMIT;\n");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'object' AND classid = 'pg_class'::regclass AND objid = 'quiet'::regclass}), 'the second writer waits');
$first->query_safe('COMMIT');
$first->quit;
$second->query_safe('SELECT 1');
$second->quit;
is($node->safe_psql('postgres', 'SELECT values FROM quiet'), '{2}', 'the later wins');
is(join(' ', $node->safe_psql('postgres', $messages{plugin}) =~ /"values":\[\[(\d)\]\]/g), '1 2', 'and is sent later');

# retention, by the background worker
$node->safe_psql('postgres', q{INSERT INTO quiet SELECT i * 3600000000000, 'old', '{1}' FROM generate_series(1, 1000) i; SELECT historian.set_retention('quiet', '100 hours')});
ok($node->poll_query_until('postgres', "SELECT count(*) < 200 FROM quiet WHERE tag = 'old'"), 'rows expire');
my ($last) = $node->safe_psql('postgres', $messages{plugin}) =~ /\{"tag":"old","first":-9223372036854775808,"last":(\d+)\}/;
is($node->safe_psql('postgres', "SELECT min(time) - 3600000000000 <= $last AND min(time) > $last FROM quiet WHERE tag = 'old'"), 't', 'and their deletion is sent');

# a dump has what is published; a dropped table is forgotten
my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like($dump, qr/COPY historian\.published_table .*\n(?:.*\n)*?public\.quiet\tcompact\n/, 'a dump has what is published');
$node->safe_psql('postgres', 'DROP TABLE quiet');
is($node->safe_psql('postgres', 'SELECT string_agg(relid::text, $$,$$) FROM historian.published_table'), 'p', 'a dropped table is forgotten');

$node->stop;
done_testing();
