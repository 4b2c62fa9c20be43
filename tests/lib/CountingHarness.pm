# A TAP::Harness for "prove --harness" that also appends "passed failed skipped" to the file named
# by TAP_COUNTS. A program that broke off or broke its plan counts as one failure at least.
# Failed tests, with the comments that follow them, go to the file named by TAP_FAILURES, if it is set.
package CountingHarness;

use strict;
use warnings;
use parent 'TAP::Harness';

use constant COMMENTS => 12;    # lines of a failed test that are kept

sub new
{
	my ($class, @arguments) = @_;
	my $self = $class->SUPER::new(@arguments);

	$self->callback(made_parser => \&note_failures);
	return $self;
}

sub note_failures
{
	my ($parser, $job) = @_;
	my $lines = 0;

	return unless $ENV{TAP_FAILURES};
	$parser->callback(
		ALL => sub {
			my ($result) = @_;

			if ($result->is_test)
			{
				$lines = $result->is_ok ? 0 : 1 + COMMENTS;
			}
			elsif ($result->is_bailout)
			{
				$lines = 1;
			}
			elsif (!$result->is_comment)
			{
				return;
			}
			return unless $lines;
			append_failure(($lines > COMMENTS ? $job->[0] . ': ' : '') . $result->as_string);
			$lines--;
		});
	return;
}

sub append_failure
{
	my ($text) = @_;

	return unless $ENV{TAP_FAILURES};
	open my $failures, '>>', $ENV{TAP_FAILURES} or die "$ENV{TAP_FAILURES}: $!";
	print $failures "$text\n";
	close $failures;
	return;
}

sub summary
{
	my ($self, $aggregate) = @_;
	my ($passed, $failed, $skipped) = (0, 0, 0);

	for my $name ($aggregate->descriptions)
	{
		my ($parser) = $aggregate->parsers($name);
		my $bad = $parser->failed;

		append_failure("$name: " . $_) for $parser->parse_errors;
		append_failure("$name: ended with status " . $parser->exit . ' after ' . $parser->tests_run . ' tests')
			if $parser->exit;
		$bad = 1 if $bad == 0 && $parser->has_problems;
		$failed += $bad;
		$skipped += $parser->skip_all ? 1 : scalar $parser->skipped;
		$passed += $parser->passed - $parser->skipped;
	}
	open my $counts, '>>', $ENV{TAP_COUNTS} or die "$ENV{TAP_COUNTS}: $!";
	print $counts "$passed $failed $skipped\n";
	close $counts;
	return $self->SUPER::summary($aggregate);
}

1;
