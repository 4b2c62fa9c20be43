/*
 * checker.c
 *	  Checks an answer of GET /api against the producer's workload.
 */
#include "checker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

#define WRONG_TO_PRINT 5

/* The values that a tag had before the workload began. */
typedef struct Before
{
	int32_t width; /* ANSWER_NULL: it had none */
	double *values;
} Before;

struct Checker
{
	Announcement announcement;
	Workload *workload;
	Replay *replay;
	uint32_t tags;
	int64_t max_lag_ns;
	Before *before;
	CheckerCounts counts;
};

static uint64_t messages_until(const Checker *checker, int64_t time_ns);
static void find_range(Checker *checker, const Question *question, int64_t time, uint64_t *first,
					   uint64_t *last);
static void check_sample(Checker *checker, const Question *question, const Answer *answer,
						 uint32_t sample);
static bool is_one_of(Checker *checker, uint32_t tag, uint64_t first, uint64_t last,
					  const Answer *answer, size_t sample);
static int64_t sample_time(const Question *question, uint32_t sample);
static bool is_message(Checker *checker, uint32_t tag, uint64_t n, const Answer *answer,
					   size_t sample);
static bool is_before(const Before *before, const Answer *answer, size_t sample);
static void print_wrong(Checker *checker, const Question *question, const Answer *answer,
						size_t sample, int64_t time, uint64_t n);

Checker *
checker_open(const Announcement *announcement, uint32_t tags, uint64_t max_lag_ms)
{
	Checker *checker = calloc(1, sizeof(*checker));

	if (checker == NULL)
		abort();
	if (tags > announcement->workload.tags)
		tags = announcement->workload.tags;
	checker->announcement = *announcement;
	checker->workload = workload_open(&announcement->workload);
	checker->replay = replay_open(checker->workload, tags);
	checker->tags = tags;
	checker->max_lag_ns = (int64_t) max_lag_ms * 1000000;
	checker->before = calloc(tags, sizeof(*checker->before));
	if (checker->before == NULL)
		abort();
	for (uint32_t i = 0; i < tags; i++)
		checker->before[i].width = ANSWER_NULL;
	return checker;
}

void
checker_close(Checker *checker)
{
	if (checker == NULL)
		return;
	for (uint32_t i = 0; i < checker->tags; i++)
		free(checker->before[i].values);
	free(checker->before);
	replay_close(checker->replay);
	workload_close(checker->workload);
	free(checker);
}

void
checker_advance(Checker *checker, int64_t now_ns)
{
	replay_advance(checker->replay, messages_until(checker, now_ns));
}

void
checker_set_before(Checker *checker, uint32_t tag, const Answer *answer)
{
	Before *before = &checker->before[tag];

	free(before->values);
	*before = (Before){.width = ANSWER_NULL};
	if (answer == NULL || answer->samples == 0 || answer->widths[0] == ANSWER_NULL)
		return;
	before->width = answer->widths[0];
	before->values = malloc(sizeof(double) * (size_t) (before->width + 1));
	if (before->values == NULL)
		abort();
	memcpy(before->values, answer->values, sizeof(double) * (size_t) before->width);
}

bool
checker_is_current(Checker *checker, const Question *question, const Answer *answer)
{
	uint64_t first, last;

	if (answer->samples != 1)
		return false;
	find_range(checker, question, question->end, &first, &last);
	if (last == 0)
		return question->asked_ns > checker->announcement.workload.start_ns + checker->max_lag_ns;
	return is_one_of(checker, question->tag, first, last, answer, 0);
}

bool
checker_check(Checker *checker, const Question *question, const Answer *answer)
{
	uint64_t wrong = checker->counts.wrong;

	if (answer->samples != question->samples)
	{
		fprintf(stderr, "%zu samples instead of %u\n", answer->samples, question->samples);
		checker->counts.wrong++;
		return false;
	}
	for (uint32_t i = 0; i < question->samples; i++)
		check_sample(checker, question, answer, i);
	return checker->counts.wrong == wrong;
}

bool
checker_may_be_unknown(Checker *checker, const Question *question)
{
	uint64_t visible = messages_until(checker, question->asked_ns - checker->max_lag_ns);

	return checker->before[question->tag].width == ANSWER_NULL &&
		   replay_count(checker->replay, question->tag, visible) == 0;
}

const Workload *
checker_workload(const Checker *checker)
{
	return checker->workload;
}

const CheckerCounts *
checker_counts(const Checker *checker)
{
	return &checker->counts;
}

int64_t
checker_last_time(const Checker *checker, int64_t now_ns)
{
	uint64_t messages = messages_until(checker, now_ns);

	return messages == 0 ? checker->announcement.workload.start_ns
						 : workload_time(checker->workload, messages - 1);
}

static uint64_t
messages_until(const Checker *checker, int64_t time_ns)
{
	uint64_t messages = workload_count(checker->workload, time_ns);

	if (checker->announcement.ended && messages > checker->announcement.messages)
		messages = checker->announcement.messages;
	return messages;
}

static int64_t
sample_time(const Question *question, uint32_t sample)
{
	__int128 width = (__int128) question->end - question->start;

	return (int64_t) (question->start + width * sample / question->samples);
}

/*
 * Finds the messages that a sample of that time may have: those of the tag from number *first to
 * number *last, counted from 1.  Number 0 is the values before the workload.
 */
static void
find_range(Checker *checker, const Question *question, int64_t time, uint64_t *first,
		   uint64_t *last)
{
	uint64_t visible = messages_until(checker, question->asked_ns - checker->max_lag_ns);
	uint64_t all = messages_until(checker, time);

	*last = replay_count(checker->replay, question->tag, all);
	*first = *last;
	if (all > visible)
		*first = replay_count(checker->replay, question->tag, visible);
}

/* Counts a sample as right, wrong or unchecked. */
static void
check_sample(Checker *checker, const Question *question, const Answer *answer, uint32_t sample)
{
	const Before *before = &checker->before[question->tag];
	int64_t time = sample_time(question, sample + 1);
	uint64_t first, last;

	find_range(checker, question, time, &first, &last);
	if (before->width != ANSWER_NULL && time < checker->announcement.workload.start_ns - 1)
		checker->counts.unchecked++;
	else if (answer->times[sample] == time &&
			 (is_one_of(checker, question->tag, first, last, answer, sample) ||
			  (first == 0 && is_before(before, answer, sample))))
		checker->counts.right++;
	else
	{
		if (checker->counts.wrong < WRONG_TO_PRINT)
			print_wrong(checker, question, answer, sample, time, last);
		checker->counts.wrong++;
	}
}

static bool
is_one_of(Checker *checker, uint32_t tag, uint64_t first, uint64_t last, const Answer *answer,
		  size_t sample)
{
	for (uint64_t number = last; number > 0 && number >= first; number--)
		if (is_message(checker, tag, number - 1, answer, sample))
			return true;
	return false;
}

static bool
is_message(Checker *checker, uint32_t tag, uint64_t n, const Answer *answer, size_t sample)
{
	uint32_t width = checker->announcement.workload.values;
	const double *values = answer->values + sample * answer->max_width;
	double scale = (double) workload_scale(checker->workload);
	const int64_t *expected;

	if (answer->widths[sample] != (int32_t) width)
		return false;
	expected = replay_values(checker->replay, tag, n);
	for (uint32_t i = 0; i < width; i++)
		if (values[i] != (double) expected[i] / scale)
			return false;
	return true;
}

static bool
is_before(const Before *before, const Answer *answer, size_t sample)
{
	const double *values = answer->values + sample * answer->max_width;

	if (answer->widths[sample] != before->width)
		return false;
	for (int32_t i = 0; i < before->width; i++)
		if (values[i] != before->values[i])
			return false;
	return true;
}

/* Prints a wrong sample with what was expected. */
static void
print_wrong(Checker *checker, const Question *question, const Answer *answer, size_t sample,
			int64_t time, uint64_t n)
{
	const double *values = answer->values + sample * answer->max_width;
	char name[WORKLOAD_TAG_BYTES];

	workload_tag_name(checker->workload, question->tag, name);
	fprintf(stderr,
			"wrong: tag %s, start %" PRId64 ", end %" PRId64 ", asked at %" PRId64
			": sample %zu at %" PRId64 " has ",
			name, question->start, question->end, question->asked_ns, sample + 1,
			answer->times[sample]);
	if (answer->widths[sample] < 1)
		fprintf(stderr, "%s", answer->widths[sample] == ANSWER_NULL ? "null" : "no values");
	else
		fprintf(stderr, "[%.10g, ..]", values[0]);
	fprintf(stderr, ", expected at %" PRId64 " ", time);
	if (n == 0)
		fprintf(stderr, "the values before the workload\n");
	else
		fprintf(stderr, "[%.10g, ..], message %" PRIu64 " of the tag\n",
				(double) replay_values(checker->replay, question->tag, n - 1)[0] /
					(double) workload_scale(checker->workload),
				n - 1);
}
