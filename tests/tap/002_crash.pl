# The postmaster is killed (SIGKILL) in the middle of loads, compaction, deletion, vacuum and checkpoints.
# After each restart every batch that was acknowledged is there once and whole; one that was not is
# there as a whole or not at all.
#
# SEED (printed) and ROUNDS (default 4) set what is run.
use strict;
use warnings;
use IPC::Open2;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $seed = $ENV{SEED} // int(rand(1_000_000_000));
my $rounds = $ENV{ROUNDS} // 4;
my $loaders = 3;
my @acknowledged = (0) x $loaders;    # the last batch of each loader
my @dropped = (0) x $loaders;         # batches up to this one are deleted, for sure
my @dropping = (0) x $loaders;        # or perhaps

diag "SEED=$seed ROUNDS=$rounds";
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'historian'
historian.compaction_interval = 1
historian.compaction_min_rows = 0
historian.min_shared_tags = 8
autovacuum_naptime = 1
autovacuum_vacuum_cost_delay = 0
checkpoint_timeout = 30s
max_wal_size = 64MB
restart_after_crash = off
END
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION historian;
CREATE TABLE m (time bigint, tag text, values float8[]) USING historian;
END

# Batch n of a loader: rows of tags that all loaders share and of one of its own; the values tell which.
my $rows = 100;
# with 60 of them, each has one row or two, so that they share segments
my $tags = rand() < 0.5 ? 4 : 60;
diag "$tags tags";

sub batch
{
	my ($loader, $n) = @_;
	my $lines = '';

	for my $i (0 .. $rows - 1)
	{
		my $number = $n * $rows + $i;
		# some come late: before all the others, in no order among themselves, but each time once
		my $time = ($i % 10 == 9 ? $number * 7919 % 15_485_863 - 20_000_000 : $number) * 10 + $loader;
		my $tag = $i % 4 == 0 ? "own$loader" : 'shared' . $i % $tags;
		$lines .= "$time\t$tag\t{$loader,$n,$i}\n";
	}
	return "COPY m FROM stdin;\n$lines\\.\n";
}

# What must be there: for each loader's batch the number of its rows, each once.
my $count_batches = <<'END';
SELECT values[1]::int, values[2]::int, count(*), count(DISTINCT (time, tag)), count(DISTINCT values[3])
FROM m GROUP BY 1, 2 ORDER BY 1, 2
END

sub background
{
	my ($sql) = @_;
	my ($out, $in);
	my $connection = $node->connstr('postgres');
	my $pid = open2($out, $in, "exec psql -XAtq -d \"$connection\" 2>&1");

	print $in $sql;
	$in->flush;
	return { in => $in, out => $out, pid => $pid };
}

# A loader of its own process: prints the number of each batch that was committed.
sub start_loader
{
	my ($loader, $from) = @_;
	my ($reader, $writer);

	pipe($reader, $writer) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	return { pid => $pid, out => $reader } if $pid;

	local $SIG{PIPE} = 'IGNORE';
	my $psql = background('');
	for (my $n = $from; ; $n++)
	{
		my $transaction = $n % 5 == 0;
		print { $psql->{in} } ($transaction ? "BEGIN;\n" : '') . batch($loader, $n) . ($transaction ? "SAVEPOINT s;\nCOMMIT;\n" : '')
			. "\\echo done\n" or last;
		$psql->{in}->flush or last;
		my $line = readline $psql->{out};
		last unless defined $line && $line eq "done\n";
		syswrite $writer, "$n\n";
		usleep(2_000);
	}
	require POSIX;
	POSIX::_exit(0);
}

sub check_all
{
	my ($round) = @_;
	my (%have, @wrong);

	for my $line (split /\n/, $node->safe_psql('postgres', $count_batches))
	{
		my ($loader, $n, $count, $keys, $parts) = split /\|/, $line;
		$have{$loader}{$n} = 1;
		push @wrong, "batch $n of loader $loader has $count rows, $keys keys"
			unless $count == $rows && $keys == $rows && $parts == $rows;
	}
	for my $loader (0 .. $loaders - 1)
	{
		for my $n ($dropping[$loader] + 1 .. $acknowledged[$loader])
		{
			push @wrong, "batch $n of loader $loader is lost" unless $have{$loader}{$n};
		}
		push @wrong, map { "batch $_ of loader $loader is back" } grep { $_ <= $dropped[$loader] } keys %{ $have{$loader} };
		push @wrong, map { "batch $_ of loader $loader came out of nowhere" } grep { $_ > $acknowledged[$loader] + 1 } keys %{ $have{$loader} };
	}
	is(scalar(@wrong), 0, "round $round: " . join(', ', map { $acknowledged[$_] } 0 .. $loaders - 1) . ' batches, each once and whole')
		or diag(join("\n", @wrong[ 0 .. ($#wrong > 20 ? 20 : $#wrong) ]));

	# the same rows by each way of reading; some hundred of them, because each read may need all segments that wait to be merged
	my $loaded = 0;
	$loaded += $_ * $rows for @acknowledged;
	my $part = 1 + int($loaded / 25_000);
	is($node->safe_psql('postgres', "SELECT count(*) FROM m, LATERAL historian.downsample('m', m.tag, m.time - 1, m.time, 1) d
		WHERE m.time % 97 = 0 AND hashint8(m.time) % $part = 0 AND d.\"values\" IS DISTINCT FROM m.values"), '0', "round $round: downsample reads the same");
	is($node->safe_psql('postgres', "SET historian.enable_scan = off; SELECT count(*) FROM m"),
		$node->safe_psql('postgres', "SELECT sum((SELECT count(*) FROM m WHERE m.tag = t.tag)) FROM (SELECT DISTINCT tag FROM m) t") || 0,
		"round $round: one tag at a time as all together");
	my $check = $node->safe_psql('postgres', "SELECT to_regprocedure('historian.check(regclass)') IS NOT NULL");
	is($check eq 't' ? $node->safe_psql('postgres', "SELECT count(*) FROM historian.check('m')") : '0', '0', "round $round: historian.check() finds nothing");
}

for my $round (1 .. $rounds)
{
	my @running = map { start_loader($_, $acknowledged[$_] + 1) } 0 .. $loaders - 1;
	# loaders go on while a disturbance takes long
	my $disturb = background("SET statement_timeout = '3s';\n");
	my $until = time + 0.5 + rand(1.5);

	# disturbances go on while the loaders run
	while (time < $until)
	{
		my $kind = int(rand(9));
		my $sql = $kind == 0 ? "SELECT historian.compact('m') \\gset\n"
			: $kind == 1 ? "VACUUM m;\n"
			: $kind == 2 ? "CHECKPOINT;\n"
			: $kind == 3 ? "REINDEX TABLE m;\n"
			: $kind == 4 ? "BEGIN; INSERT INTO m SELECT i, 'never', '{9,9,9}' FROM generate_series(1, 5000) i; ROLLBACK;\n"
			: $kind >= 7 ? "SELECT historian.compact_due('m') \\gset\n"
			: $kind == 5 ? do { my $l = int(rand($loaders)); drop_some($l) }
			: "SELECT count(*) FROM m \\gset\n";
		print { $disturb->{in} } $sql . "\\echo done\n";
		$disturb->{in}->flush;
		my ($line, $refused);
		$refused ||= $line =~ /ERROR/ while defined($line = readline $disturb->{out}) && $line ne "done\n";
		if ($kind == 5) { @dropped = @dropping if defined $line && $line eq "done\n" && !$refused; }
		usleep(20_000);
	}
	# one more thing that is under way when the kill comes
	my $last = int(rand(4));
	print { $disturb->{in} } $last == 0 ? "SELECT historian.compact('m');\n" : $last == 1 ? "VACUUM FULL m;\n"
		: $last == 2 ? "BEGIN; INSERT INTO m SELECT i, 'never', '{9,9,9}' FROM generate_series(1, 10000000) i;\n" : drop_some(int(rand($loaders)));
	$disturb->{in}->flush;
	usleep(int(rand(80_000)));
	kill_all();

	for my $l (0 .. $loaders - 1)
	{
		my $out = $running[$l]{out};
		while (my $line = readline $out)
		{
			$acknowledged[$l] = 0 + $line;
		}
		waitpid $running[$l]{pid}, 0;
	}
	close $disturb->{in};
	waitpid $disturb->{pid}, 0;
	start_again();
	check_all($round);
	# batches committed but not acknowledged are taken as loaded
	for my $l (0 .. $loaders - 1)
	{
		my $next = $acknowledged[$l] + 1;
		my $there = $node->safe_psql('postgres', "SELECT count(*) FROM m WHERE values[1] = $l AND values[2] = $next");
		$acknowledged[$l] = $next if $there;
		@dropped = map { $node->safe_psql('postgres', "SELECT coalesce(min(values[2])::int - 1, $dropped[$_]) FROM m WHERE values[1] = $_") } 0 .. $loaders - 1
			if $l == $loaders - 1;
		@dropping = @dropped if $l == $loaders - 1;
	}
}

# Deletes the oldest batches of a loader, all rows of each or none.
sub drop_some
{
	my ($loader) = @_;
	my $to = $dropping[$loader] + 2;

	return "\n" if $to >= $acknowledged[$loader];
	$dropping[$loader] = $to;
	return "DELETE FROM m WHERE values[1] = $loader AND values[2] <= $to;\n";
}

# The postmaster and its children at one moment, as when the power fails.
sub kill_all
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my @children = grep { /^\d+$/ } split ' ', `ps -o pid= --ppid $postmaster`;

	kill 'KILL', $postmaster, @children;
	$node->{_pid} = undef;
}

# The dead postmaster's children hold its shared memory for a moment.
sub start_again
{
	my $deadline = time + 60;

	until ($node->start(fail_ok => 1))
	{
		die 'cannot start after the crash' if time > $deadline;
		$node->{_pid} = undef;
		usleep(200_000);
	}
}

is($node->safe_psql('postgres', "SELECT count(*) FROM m WHERE tag = 'never'"), '0', 'nothing of what was rolled back or broken off');
is($node->safe_psql('postgres', "SELECT historian.compact('m'); SELECT count(*) FROM m") =~ s/.*\n//r,
	$node->safe_psql('postgres', 'SELECT count(DISTINCT (tag, time)) FROM m'), 'each row once after compaction');
$node->stop;
done_testing();
