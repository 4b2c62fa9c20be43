/*
 * bench_entropy.c
 *	  bench-entropy ROWS: the bytes that a message of bench-rows takes at least.
 *
 * Prints the entropy of order 0 of the first differences, in bytes a message: that of the values'
 * differences, all tags and columns alike, plus that of the times' differences, of each tag by
 * itself.  A tag's first message is not counted.  Tags of few messages make the times' part a
 * little too low, which is the harder goal.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_workload.h"

#define MAX_STEP 1000 /* of a value from one message to the next, in its last decimal */

/* What is known of a tag: its messages so far, when the last was, and the last values. */
typedef struct Tag
{
	uint64_t messages;
	int64_t time;
	int64_t values[BENCH_VALUES];
} Tag;

/* A difference of two times of a tag. */
typedef struct Gap
{
	uint32_t tag;
	int64_t gap;
} Gap;

static int
compare_gaps(const void *a, const void *b)
{
	const Gap *left = a;
	const Gap *right = b;

	if (left->tag != right->tag)
		return left->tag < right->tag ? -1 : 1;
	return (left->gap > right->gap) - (left->gap < right->gap);
}

/* Bits that all gaps take together, each tag with a code of its own; sorts them. */
static double
gap_bits(Gap *gaps, uint64_t count)
{
	double bits = 0;
	uint64_t tag_end;

	qsort(gaps, count, sizeof(*gaps), compare_gaps);
	for (uint64_t tag = 0; tag < count; tag = tag_end)
	{
		uint64_t end;

		for (tag_end = tag; tag_end < count && gaps[tag_end].tag == gaps[tag].tag; tag_end++)
			;
		for (uint64_t first = tag; first < tag_end; first = end)
		{
			for (end = first; end < tag_end && gaps[end].gap == gaps[first].gap; end++)
				;
			bits +=
				(double) (end - first) * log2((double) (tag_end - tag) / (double) (end - first));
		}
	}
	return bits;
}

/* Bits that all steps take together. */
static double
step_bits(const uint64_t *steps, size_t kinds)
{
	uint64_t all = 0;
	double bits = 0;

	for (size_t i = 0; i < kinds; i++)
		all += steps[i];
	for (size_t i = 0; i < kinds; i++)
		if (steps[i] > 0)
			bits += (double) steps[i] * log2((double) all / (double) steps[i]);
	return bits;
}

int
main(int argc, char **argv)
{
	static uint64_t steps[2 * MAX_STEP + 1];
	uint64_t rows = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	Workload *workload = workload_open(&bench_workload);
	Tag *tags = calloc(BENCH_TAGS, sizeof(Tag));
	Gap *gaps = calloc(rows + 1, sizeof(Gap));
	uint64_t differences = 0;

	if (rows == 0 || tags == NULL || gaps == NULL)
	{
		fprintf(stderr, "usage: bench-entropy ROWS\n");
		return 2;
	}
	for (uint64_t message = 0; message < rows; message++)
	{
		uint32_t number = workload_tag(workload, message);
		int64_t time = workload_time(workload, message);
		Tag *tag = &tags[number];
		int64_t before[BENCH_VALUES];

		memcpy(before, tag->values, sizeof(before));
		workload_step(workload, number, tag->messages++, tag->values);
		if (tag->messages > 1)
		{
			for (uint32_t i = 0; i < BENCH_VALUES; i++)
				steps[tag->values[i] - before[i] + MAX_STEP]++;
			gaps[differences++] = (Gap){number, time - tag->time};
		}
		tag->time = time;
	}
	printf("%.3f\n", (gap_bits(gaps, differences) + step_bits(steps, 2 * MAX_STEP + 1)) / 8 /
						 (double) differences);
	free(gaps);
	free(tags);
	workload_close(workload);
	return 0;
}
