# A TAP::Harness for "prove --harness" that also appends "passed failed skipped" to the file named
# by TAP_COUNTS. A program that broke off or broke its plan counts as one failure at least.
package CountingHarness;

use strict;
use warnings;
use parent 'TAP::Harness';

sub summary
{
	my ($self, $aggregate) = @_;
	my ($passed, $failed, $skipped) = (0, 0, 0);

	for my $parser ($aggregate->parsers)
	{
		my $bad = $parser->failed;

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
