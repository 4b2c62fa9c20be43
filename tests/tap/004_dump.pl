# pg_dump and pg_restore: equal content, one directory, data once; single tables, data only, ALTER EXTENSION.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $content = q{SELECT count(*), count(DISTINCT (tag, time)), md5(string_agg(time || tag || coalesce(encode(array_send(values), 'hex'), 'NULL'), ',' ORDER BY tag, time)) FROM plant.m};
my $directories = q{SELECT count(*) FROM pg_index WHERE indrelid IN ('plant.m'::regclass, 'plant."Odd ""name"'::regclass, 'plant.mv'::regclass, 'plant.p1'::regclass)};

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'historian'\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', <<'END');
CREATE EXTENSION historian;
CREATE SCHEMA plant;
CREATE TABLE plant.m (time bigint NOT NULL DEFAULT 5, tag text CHECK (tag <> 'bad'), values float8[]) USING historian WITH (autovacuum_enabled = off);
COMMENT ON TABLE plant.m IS 'measurements';
CREATE TABLE plant."Odd ""name" (v float8[], "The tag" text, "at" bigint) USING historian;
CREATE TABLE plant.p (time bigint, tag text, values float8[]) PARTITION BY RANGE (time);
CREATE TABLE plant.p1 PARTITION OF plant.p FOR VALUES FROM (0) TO (1000) USING historian;
INSERT INTO plant.m SELECT i, 't' || i % 20, CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN '{NaN,-0,NULL}' ELSE ARRAY[i, random()] END FROM generate_series(1, 10000) i;
INSERT INTO plant.m SELECT i, 't' || i % 20, ARRAY[i] FROM generate_series(1, 10000, 3) i;
INSERT INTO plant."Odd ""name" VALUES ('{1}', 'a', 1), ('{2}', 'b', 2);
INSERT INTO plant.p SELECT i, 'a', ARRAY[i] FROM generate_series(1, 100) i;
CREATE MATERIALIZED VIEW plant.mv USING historian AS SELECT * FROM plant.m WHERE tag = 't1';
SELECT historian.compact('plant.m');
INSERT INTO historian.tag (relid, tag, description, names, low) VALUES ('plant.m', 't1', 'the first', '{a,NULL}', '{-1e300}'),
	('plant."Odd ""name"', 't1', NULL, '{ä b}', NULL), ('plant.p', 'x', NULL, NULL, NULL);
CREATE TABLE plant.dropped (time bigint, tag text, values float8[]) USING historian;
INSERT INTO historian.tag (relid, tag) VALUES ('plant.dropped', 'x');
DROP TABLE plant.dropped;
INSERT INTO plant.m SELECT i, 't' || i % 20, ARRAY[-i] FROM generate_series(1, 10000, 7) i;
END
my $tags = q{SELECT md5(string_agg(t::text, ';' ORDER BY relid::text, tag)), count(*) FROM historian.tag t};
my $want = $node->safe_psql('source', $content);

sub check
{
	my ($database, $what) = @_;

	is($node->safe_psql($database, $content), $want, "$what: equal content, each row once");
	is($node->safe_psql($database, $tags), $node->safe_psql('source', $tags), "$what: what is known of tags, with their tables");
	is($node->safe_psql($database, $directories), '4', "$what: one directory for each table");
	is($node->safe_psql($database, q{SELECT string_agg(amname, ',' ORDER BY relname) FROM pg_class c JOIN pg_am a ON a.oid = relam
		WHERE relnamespace = 'plant'::regnamespace AND relkind IN ('r', 'm')}), 'historian,historian,historian,historian', "$what: the access method");
	is($node->safe_psql($database, q{SELECT sum(at), sum(v[1]), (SELECT count(*) FROM plant.p), (SELECT count(*) FROM plant.mv) FROM plant."Odd ""name"}), '3|3|100|500',
		"$what: the other tables");
	my ($status, $out, $err) = $node->psql($database, "INSERT INTO plant.m VALUES (1, 'bad', '{1}')");
	like($err, qr/violates check constraint/, "$what: constraints");
	is($node->safe_psql($database, q{BEGIN; INSERT INTO plant.m VALUES (3, 't3', '{77}'); SELECT values FROM plant.m WHERE tag = 't3' AND time = 3; ROLLBACK;}), '{77}',
		"$what: takes rows");
	is($node->safe_psql($database, q{SELECT "values" FROM historian.downsample('plant.m', 't3', 0, 3, 1)}),
		$node->safe_psql('source', q{SELECT "values" FROM historian.downsample('plant.m', 't3', 0, 3, 1)}), "$what: downsample");
}

sub fresh { $node->safe_psql('postgres', "DROP DATABASE IF EXISTS $_[0]"); $node->safe_psql('postgres', "CREATE DATABASE $_[0] TEMPLATE template0"); }

my $dir = $node->basedir;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", '-d', 'source' ], 'pg_dump -Fc');
fresh('restored');
$node->command_ok([ 'pg_restore', '-d', 'restored', '-j', '3', "$dir/custom" ], 'pg_restore -j');
check('restored', 'custom');

# a dump of the restored, twice over: nothing piles up
$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", '-d', 'restored' ], 'pg_dump of the restored');
fresh('again');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", '-d', 'again' ], 'psql of the plain dump');
check('again', 'plain');
is($node->safe_psql('again', "SELECT count(*) FROM pg_class WHERE relkind = 'i' AND relnamespace = 'plant'::regnamespace"), '4', 'no other index');

$node->command_ok([ 'pg_dump', '-Fd', '-j', '3', '-f', "$dir/directory", '-d', 'source' ], 'pg_dump -Fd -j');
$node->command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', 'again', '-j', '2', "$dir/directory" ], 'pg_restore --clean over what is there');
check('again', 'directory format');

$node->command_ok([ 'pg_dump', '--inserts', '-f', "$dir/inserts.sql", '-d', 'source' ], 'pg_dump --inserts');
fresh('inserted');
$node->command_ok([ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/inserts.sql", '-d', 'inserted' ], 'psql -1 of the inserts');
check('inserted', 'inserts');

# schema alone, then data alone, also twice: the same rows win
$node->command_ok([ 'pg_dump', '-s', '-Fc', '-f', "$dir/schema", '-d', 'source' ], 'pg_dump -s');
$node->command_ok([ 'pg_dump', '-a', '-t', 'plant.m', '-Fc', '-f', "$dir/data", '-d', 'source' ], 'pg_dump -a -t');
fresh('parts');
$node->command_ok([ 'pg_restore', '-d', 'parts', "$dir/schema" ], 'pg_restore of the schema');
$node->command_ok([ 'pg_restore', '-d', 'parts', "$dir/data" ], 'pg_restore of the data') for 1 .. 2;
is($node->safe_psql('parts', $content), $want, 'data restored twice is there once');

# a copied database
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE source');
check('copied', 'CREATE DATABASE .. TEMPLATE');

# the audit trail comes back as it was, and what the restore did is added to it
my $trail = q{SELECT md5(string_agg(a::text, ';' ORDER BY time)), count(*) FROM historian.audit a WHERE time < '%s'};
$node->safe_psql('source', q{SELECT historian.delete('plant.m', 't1', 0, 1000000000000000000); SELECT historian.set_tag('plant.m', 't9', '{"names": ["x"]}')});
$node->safe_psql('source', q{CREATE TABLE gone (time bigint, tag text, values float8[]) USING historian; SELECT historian.set_tag('gone', 'a', '{"names": ["x"]}'); DROP TABLE gone});
my $until = $node->safe_psql('source', 'SELECT clock_timestamp()');
my $trailed = $node->safe_psql('source', sprintf($trail, $until));
unlike($trailed, qr/\|[0-2]$/, 'there is a trail');
$node->command_ok([ 'pg_dump', '-d', 'source', '-f', "$dir/trail.sql" ], 'pg_dump with a trail');
fresh('trail');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/trail.sql", '-d', 'trail' ], 'psql of it');
is($node->safe_psql('trail', sprintf($trail, $until)), $trailed, 'the trail is the same');

# a role that owns its database, and no more: names are guarded by row-level security
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE DATABASE kept OWNER keeper');
$node->safe_psql('kept', 'CREATE EXTENSION historian; CREATE TABLE hidden (time bigint, tag text, values float8[]) USING historian;
	INSERT INTO historian.tag (relid, tag) VALUES (\'hidden\', \'a\'); GRANT CREATE ON SCHEMA public TO keeper;
	SELECT historian.set_retention(\'hidden\', interval \'1 day\')');
$node->safe_psql('kept', 'SET ROLE keeper; CREATE TABLE mine (time bigint, tag text, values float8[]) USING historian;
	INSERT INTO mine VALUES (1, \'a\', \'{1}\'); INSERT INTO historian.tag (relid, tag, names) VALUES (\'mine\', \'a\', \'{x}\');
	INSERT INTO historian.annotation (relid, tag, start_time, text) VALUES (\'mine\', \'a\', 1, \'so it began\');
	SELECT historian.set_retention(\'mine\', interval \'600 years\', \'a\')');
my $annotations = 'SELECT id, relid, tag, start_time, text, author, extract(epoch FROM written) FROM historian.annotation';
my $annotated = $node->safe_psql('kept', $annotations);
my @as_keeper = ('pg_dump', '-U', 'keeper', '-T', 'hidden', '-d', 'kept');
$node->command_fails_like([ @as_keeper ], qr/row-level security policy for table/, 'pg_dump of a role under the policy stops');
$node->command_ok([ @as_keeper, '--enable-row-security', '-f', "$dir/kept.sql" ], 'with --enable-row-security it goes on');
fresh('kept_again');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/kept.sql", '-d', 'kept_again' ], 'psql of it');
is($node->safe_psql('kept_again', 'SELECT relid, tag, names FROM historian.tag'), 'mine|a|{x}', 'it has what the role may see');
is($node->safe_psql('kept_again', 'SELECT * FROM historian.retention'), 'mine|a|600 years', 'also of the policies of retention');

# .. and restores it itself, where the extension is
$node->safe_psql('postgres', 'CREATE DATABASE kept_by_it OWNER keeper');
$node->safe_psql('kept_by_it', 'CREATE EXTENSION historian; GRANT CREATE ON SCHEMA public TO keeper');
$node->command_ok([ @as_keeper, '--enable-row-security', '--rows-per-insert=1000', '-f', "$dir/by_it.sql" ], 'pg_dump with INSERT');
my ($out, $errors) = run_command([ 'psql', '-X', '-q', '-f', "$dir/by_it.sql", '-d', $node->connstr('kept_by_it') . ' user=keeper' ]);
is(join(' ', $errors =~ /ERROR:  (.*)/g), 'schema "historian" already exists must be owner of extension historian', 'psql of it by the role');
is($node->safe_psql('kept_by_it', 'SELECT r.*, t.names, m.values FROM historian.retention r, historian.tag t, mine m'), 'mine|a|600 years|{x}|{1}',
	'rows, names and policies are there');
is($node->safe_psql('kept_by_it', $annotations), $annotated, 'and annotations as they were');
(my $code, $out, $errors) = $node->psql('kept_by_it', 'SET ROLE keeper; DELETE FROM historian.retention');
like($errors, qr/permission denied for table retention/, 'policies are changed by the function alone');
($code, $out, $errors) = $node->psql('kept', 'SET ROLE keeper; INSERT INTO historian.retention VALUES (\'hidden\', \'b\', \'1 day\')');
like($errors, qr/violates row-level security policy/, 'and not made for a table of another role');
($code, $out, $errors) = $node->psql('kept', 'SET ROLE keeper; INSERT INTO historian.retention VALUES (\'mine\', \'b\', \'1 mon -29 days\')');
like($errors, qr/violates check constraint/, 'nor with a part that is negative');

# the whole cluster
$node->command_ok([ 'pg_dumpall', '-f', "$dir/all.sql" ], 'pg_dumpall');
$node->stop;
done_testing();
