# PsqlSession: a psql that is kept running, to which statements are sent without waiting for their end.
package PsqlSession;

use strict;
use warnings;
use IO::Select;
use IPC::Open2;

my $mark = 'end of statements';

# A session with the server at $connstr. What it prints includes errors, in one line each.
sub new
{
	my ($class, $connstr) = @_;
	my ($out, $in);
	my $pid = open2($out, $in, "exec psql -XAtq -d \"$connstr\" 2>&1");
	my $self = bless { in => $in, out => $out, pid => $pid }, $class;

	print { $in } "\\set VERBOSITY terse\n";
	$self->{backend} = $self->run('SELECT pg_backend_pid();') + 0;
	return $self;
}

sub start
{
	my ($self, $sql) = @_;

	print { $self->{in} } "$sql\n\\echo $mark\n";
	$self->{in}->flush;
}

# Has what was started printed anything? It prints at its end.
sub has_answered { return IO::Select->new($_[0]->{out})->can_read(0) }

# What the statements started last have printed, when they have ended.
sub answer
{
	my ($self) = @_;
	my $output = '';

	while (my $line = readline $self->{out})
	{
		return $output if $line eq "$mark\n";
		$output .= $line;
	}
	return $output . 'the session ended';
}

sub run
{
	my ($self, $sql) = @_;

	$self->start($sql);
	return $self->answer;
}

sub quit
{
	my ($self) = @_;

	print { $self->{in} } "\\q\n";
	close $self->{in};
	waitpid $self->{pid}, 0;
}

1;
