/*
 * bench_rows.c
 *	  bench-rows ROWS FILES PREFIX [lines | plant TAGS | PERCENT SPAN]: the workload as files for the
 *	  benchmarks.
 *
 * Writes ROWS messages of bench_workload.h in order of time, spread evenly over FILES files PREFIX0,
 * PREFIX1, ..., for COPY BINARY, or as line protocol for other stores.  With plant, the messages are
 * those of a plant of so many tags, one value each (workload.h).  PERCENT of them, drawn at
 * random, come late: by 0 to SPAN files, each as likely as the other.  What would come after the last
 * file is left out.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_workload.h"

#define FLOAT8_OID 701

/* What is known of a tag: how many messages it had, and the values of the last. */
typedef struct Tag
{
	uint64_t messages;
	int64_t values[BENCH_VALUES];
} Tag;

/* A message that waits for its file, in a list of that file. */
typedef struct LateMessage
{
	struct LateMessage *next;
	uint64_t message;
	uint32_t tag;
	int64_t values[BENCH_VALUES];
} LateMessage;

static void
put(FILE *file, const void *bytes, size_t length)
{
	if (fwrite(bytes, 1, length, file) != length)
	{
		perror("write");
		exit(1);
	}
}

/* An integer of so many bytes, big-endian. */
static void
put_integer(FILE *file, uint64_t value, unsigned length)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < length; i++)
		bytes[i] = (unsigned char) (value >> (8 * (length - 1 - i)));
	put(file, bytes, length);
}

static void
put_row(FILE *file, const Workload *workload, uint64_t message, uint32_t tag, const int64_t *values)
{
	char name[WORKLOAD_TAG_BYTES];
	size_t name_length = workload_tag_name(workload, tag, name);
	uint32_t count = workload_options(workload)->values;

	put_integer(file, 3, 2);
	put_integer(file, 8, 4);
	put_integer(file, (uint64_t) workload_time(workload, message), 8);
	put_integer(file, name_length, 4);
	put(file, name, name_length);
	/* the array: its length, 1 dimension, no NULLs, the type, its size and its lower bound */
	put_integer(file, 20 + 12 * count, 4);
	put_integer(file, 1, 4);
	put_integer(file, 0, 4);
	put_integer(file, FLOAT8_OID, 4);
	put_integer(file, count, 4);
	put_integer(file, 1, 4);
	for (uint32_t i = 0; i < count; i++)
	{
		double value = (double) values[i] / (double) workload_scale(workload);
		uint64_t bits;

		memcpy(&bits, &value, sizeof(bits));
		put_integer(file, 8, 4);
		put_integer(file, bits, 8);
	}
}

static void
put_line(FILE *file, const Workload *workload, uint64_t message, uint32_t tag,
		 const int64_t *values)
{
	char name[WORKLOAD_TAG_BYTES];

	workload_tag_name(workload, tag, name);
	fprintf(file, "m,tag=%s ", name);
	for (uint32_t i = 0; i < BENCH_VALUES; i++)
		fprintf(file, "%sv%u=%.2f", i > 0 ? "," : "", i,
				(double) values[i] / (double) workload_scale(workload));
	fprintf(file, " %lld\n", (long long) workload_time(workload, message));
}

static void
keep_late(LateMessage **list, uint64_t message, uint32_t tag, const int64_t *values)
{
	LateMessage *late = malloc(sizeof(*late));

	if (late == NULL)
	{
		perror("malloc");
		exit(1);
	}
	late->next = *list;
	late->message = message;
	late->tag = tag;
	memcpy(late->values, values, sizeof(late->values));
	*list = late;
}

/* The file that a message of file f comes with, drawn by its number. */
static uint64_t
file_of(uint64_t message, uint64_t f, double percent, uint64_t span)
{
	uint64_t x = message + UINT64_C(0x9e3779b97f4a7c15);

	/* the mixer of splitmix64 */
	for (int i = 0; i < 2; i++)
	{
		x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
		x ^= x >> 31;
	}
	if ((double) (x >> 40) / (1 << 24) * 100 >= percent)
		return f;
	return f + (x & UINT32_MAX) * (span + 1) / ((uint64_t) UINT32_MAX + 1);
}

int
main(int argc, char **argv)
{
	bool lines = argc == 5 && strcmp(argv[4], "lines") == 0;
	bool plant = argc == 6 && strcmp(argv[4], "plant") == 0;
	bool delayed = argc == 6 && !plant;
	bool named = argc == 4 || lines || plant || delayed;
	uint64_t rows = named ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t files = named ? strtoull(argv[2], NULL, 10) : 0;
	double percent = delayed ? strtod(argv[4], NULL) : 0;
	uint64_t span = delayed ? strtoull(argv[5], NULL, 10) : 0;
	LateMessage **late;
	WorkloadOptions options = bench_workload;
	Workload *workload;
	Tag *tags;
	uint64_t message = 0;

	if (plant)
	{
		options.kind = WORKLOAD_PLANT;
		options.rate = options.tags = (uint32_t) strtoul(argv[5], NULL, 10);
		options.values = 1;
	}
	tags = calloc(options.tags + 1, sizeof(Tag));
	if (rows == 0 || workload_check(&options) != NULL || files == 0 || files > rows || tags == NULL)
	{
		fprintf(stderr,
				"usage: bench-rows ROWS FILES PREFIX [lines | plant TAGS | PERCENT SPAN]\n");
		return 2;
	}
	workload = workload_open(&options);
	late = calloc(files, sizeof(*late));
	if (late == NULL)
		return 1;
	for (uint64_t f = 0; f < files; f++)
	{
		char path[4096];
		FILE *file;

		if (snprintf(path, sizeof(path), "%s%llu", argv[3], (unsigned long long) f) >=
			(int) sizeof(path))
			return 2;
		file = fopen(path, "wb");
		if (file == NULL)
		{
			perror(path);
			return 1;
		}
		if (!lines)
			put(file, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
		for (uint64_t end = rows * (f + 1) / files; message < end; message++)
		{
			uint32_t number = workload_tag(workload, message);
			Tag *tag = &tags[number];

			uint64_t comes = file_of(message, f, percent, span);

			workload_step(workload, number, tag->messages++, tag->values);
			if (lines)
				put_line(file, workload, message, number, tag->values);
			else if (comes == f)
				put_row(file, workload, message, number, tag->values);
			else if (comes < files)
				keep_late(&late[comes], message, number, tag->values);
		}
		while (late[f] != NULL)
		{
			LateMessage *first = late[f];

			put_row(file, workload, first->message, first->tag, first->values);
			late[f] = first->next;
			free(first);
		}
		if (!lines)
			put_integer(file, UINT16_MAX, 2);
		if (fclose(file) != 0)
		{
			perror(path);
			return 1;
		}
	}
	free(late);
	free(tags);
	workload_close(workload);
	return 0;
}
