/*
 * bench_history.c
 *	  bench-history DAYS TAGS OTHERS: one busy tag's days among others, for COPY BINARY on stdout.
 *
 * Tag 0 has what bench_workload.h gives it: a message in a hundred of 10,000 a second, so about
 * 8,640,000 a day.  Of the others' 9,900 a second there are only OTHERS, drawn with the same shares;
 * each of the TAGS tags has a message at the start.  Messages come in order of time.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_workload.h"

#define TICK_NS	   INT64_C(100000) /* between two messages of the whole workload */
#define DAY_NS	   INT64_C(86400000000000)
#define BUSY_SHARE 0.01
#define FLOAT8_OID 701
#define ROW_BYTES  256

typedef struct Tag
{
	uint64_t messages;
	int64_t values[BENCH_VALUES];
} Tag;

/* xorshift64* (Vigna 2016) */
static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static double
random_unit(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (double) (random_state * UINT64_C(2685821657736338717) >> 11) * 0x1p-53;
}

/* Ticks to the next message of those that are this share of all; none comes if that is 0. */
static int64_t
random_gap(double share)
{
	return share > 0 ? 1 + (int64_t) (log1p(-random_unit()) / log1p(-share)) : INT64_MAX / 4;
}

static char *
put32(char *out, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

static char *
put64(char *out, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

/* Takes the tag's next message and writes it. */
static void
put_row(const Workload *workload, Tag *tags, uint32_t number, int64_t time)
{
	char row[ROW_BYTES] = {0, 3};
	char *out = row + 2;
	char name[WORKLOAD_TAG_BYTES];
	size_t name_length = workload_tag_name(workload, number, name);
	Tag *tag = &tags[number];

	workload_step(workload, number, tag->messages++, tag->values);
	out = put64(put32(out, 8), (uint64_t) time);
	out = put32(out, (uint32_t) name_length);
	memcpy(out, name, name_length);
	out += name_length;
	/* the array: its length, 1 dimension, no NULLs, the type, its size and its lower bound */
	out = put32(out, 20 + 12 * BENCH_VALUES);
	out = put32(put32(put32(out, 1), 0), FLOAT8_OID);
	out = put32(put32(out, BENCH_VALUES), 1);
	for (uint32_t i = 0; i < BENCH_VALUES; i++)
	{
		double value = (double) tag->values[i] / (double) workload_scale(workload);
		uint64_t bits;

		memcpy(&bits, &value, sizeof(bits));
		out = put64(put32(out, 8), bits);
	}
	fwrite(row, 1, (size_t) (out - row), stdout);
}

int
main(int argc, char **argv)
{
	WorkloadOptions options = bench_workload;
	int64_t days = argc == 4 ? atoll(argv[1]) : 0;
	double others_share = argc == 4 ? atof(argv[3]) / options.rate : 0;
	Workload *workload;
	Tag *tags;
	int64_t busy;
	int64_t other;
	uint64_t draw = 0;

	if (argc == 4)
		options.tags = (uint32_t) atoll(argv[2]);
	tags = calloc(options.tags + 1, sizeof(Tag));
	if (days < 1 || others_share < 0 || others_share >= 1 || tags == NULL ||
		workload_check(&options) != NULL)
	{
		fprintf(stderr, "usage: bench-history DAYS TAGS OTHERS\n");
		return 2;
	}
	workload = workload_open(&options);
	fwrite("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 1, 19, stdout);
	for (uint32_t i = 0; i < options.tags; i++)
		put_row(workload, tags, i, options.start_ns);
	busy = random_gap(BUSY_SHARE);
	other = random_gap(others_share);
	while ((busy < other ? busy : other) < days * DAY_NS / TICK_NS)
	{
		if (busy <= other)
		{
			put_row(workload, tags, 0, options.start_ns + busy * TICK_NS);
			busy += random_gap(BUSY_SHARE);
		}
		else
		{
			uint32_t number;

			do
				number = workload_tag(workload, draw++);
			while (number == 0 && options.tags > 1);
			put_row(workload, tags, number, options.start_ns + other * TICK_NS);
			other += random_gap(others_share);
		}
	}
	fwrite("\377\377", 1, 2, stdout);
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		perror("bench-history");
		return 1;
	}
	free(tags);
	workload_close(workload);
	return 0;
}
