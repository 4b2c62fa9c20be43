# A reader in another language, tests/unit/read_table.py, finds in a table's file what SQL finds, and summaries that
# are true.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $reader = $ENV{HISTORIAN_READ_TABLE} // "$FindBin::RealBin/../unit/read_table.py";
my $node = PostgreSQL::Test::Cluster->new('format');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off");
$node->start;
my $seed = $ENV{SEED} // int(rand(1000000));
note "SEED=$seed";
$node->safe_psql('postgres', <<"END");
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text COLLATE "C", values float8[]) USING historian;
SELECT setseed($seed / 1000000.0);
-- one load of everything that a row can be, rows of a few kinds to a tag
CREATE FUNCTION load(first integer, rows integer) RETURNS void LANGUAGE sql AS \$\$
	INSERT INTO m SELECT 1700000000000000000 + row * 10000000::bigint + (random() * 99)::bigint * 100000, tag,
		CASE tag
			WHEN 'decimals' THEN ARRAY[round((100 * random())::numeric, 2), row * 0.5, 7]::float8[]
			WHEN 'digits' THEN ARRAY[1000 * random(), exp(700 * random()), -random()]
			WHEN 'wide' THEN ARRAY[random(), random(), random(), random(), random(), 1e9 * random(), 0.1 * row, -row]
			WHEN 'single' THEN ARRAY[(100 * random())::float4, row % 3, (random() < 0.1)::integer]
			WHEN 'special' THEN ARRAY[(ARRAY['NaN', 'Infinity', '-Infinity', '-0', '5e-324', '1e308', '0.1', '12'])
				[1 + (8 * random())::integer % 8]]::float8[]
			WHEN 'nulls' THEN ARRAY[row * 0.25, CASE WHEN random() < 0.2 THEN NULL ELSE 1.5 END]
			ELSE (ARRAY[1.5, 2.5, 3.5, 4.5])[1 : (5 * random())::integer - CASE WHEN random() < 0.1 THEN NULL ELSE 0 END]
		END
	FROM generate_series(first, first + rows - 1) AS row,
		unnest(ARRAY['decimals', 'digits', 'single', 'special', 'nulls', 'ragged', 'wide']) AS tag
\$\$;
SELECT load(1, 9000);
SELECT historian.compact('m');
SELECT load(2500, 20);
SELECT historian.compact('m');
SELECT load(9001, 50), load(9041, 1), load(9000, 30);
SET historian.min_shared_tags = 2;
SELECT load(9100, 3);
SELECT load(9102, 1);
INSERT INTO m SELECT 1700000000000000000 + n, 'plant/' || n, ARRAY[n * 0.01] FROM generate_series(1, 3000) AS n;
DELETE FROM m WHERE tag LIKE 'plant/%7' OR tag = 'plant/1';
UPDATE m SET values = '{-1}' WHERE tag LIKE 'plant/%11';
VACUUM m;
CHECKPOINT;
END

my $file = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('m')");
my $expected = $node->safe_psql('postgres',
	"SELECT tag, time, coalesce(encode(array_send(values), 'hex'), 'NULL') FROM m ORDER BY tag, time",
	extra_params => [ '-F', ' ' ]);
my ($output, $errors) = ('', '');
my $ran = IPC::Run::run([ 'python3', $reader, $file ], '>', \$output, '2>', \$errors);
chomp $output;
ok($ran, 'the reader reads every segment, and the summaries are true') or diag $errors;
like($errors, qr/^[1-9][0-9]* pending, [1-9][0-9]* shared, [1-9][0-9]* compacted, [1-9][0-9]* summarized$/m, 'pending, shared, compacted and summarized ones: ' . $errors =~ s/\n.*//sr);
cmp_ok(scalar(split /\n/, $expected), '>', 63000, 'there are rows');
ok($output eq $expected, 'all rows are the same to the bit');
$node->stop;
done_testing();
