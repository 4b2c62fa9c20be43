/*
 * bench_rows.c
 *	  bench-rows ROWS FILES PREFIX: the workload as files of COPY BINARY, for the benchmarks.
 *
 * Writes ROWS messages in order of time, spread evenly over FILES files PREFIX0, PREFIX1, ...; the
 * messages are those of historian-producer --seed 1 at 10,000 a second, 10,000 tags, 10 values.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define FLOAT8_OID 701

static const WorkloadOptions options = {
	.start_ns = INT64_C(1700000000000000000),
	.seed = 1,
	.rate = 10000,
	.tags = 10000,
	.values = 10,
	.decimals = 2,
};

/* What is known of a tag: how many messages it had, and the values of the last. */
typedef struct Tag
{
	uint64_t messages;
	int64_t values[10];
} Tag;

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
	size_t name_length = workload_tag_name(tag, name);

	put_integer(file, 3, 2);
	put_integer(file, 8, 4);
	put_integer(file, (uint64_t) workload_time(workload, message), 8);
	put_integer(file, name_length, 4);
	put(file, name, name_length);
	/* the array: its length, 1 dimension, no NULLs, the type, its size and its lower bound */
	put_integer(file, 20 + 12 * options.values, 4);
	put_integer(file, 1, 4);
	put_integer(file, 0, 4);
	put_integer(file, FLOAT8_OID, 4);
	put_integer(file, options.values, 4);
	put_integer(file, 1, 4);
	for (uint32_t i = 0; i < options.values; i++)
	{
		double value = (double) values[i] / (double) workload_scale(workload);
		uint64_t bits;

		memcpy(&bits, &value, sizeof(bits));
		put_integer(file, 8, 4);
		put_integer(file, bits, 8);
	}
}

int
main(int argc, char **argv)
{
	uint64_t rows = argc == 4 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t files = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
	Workload *workload = workload_open(&options);
	Tag *tags = calloc(options.tags, sizeof(Tag));
	uint64_t message = 0;

	if (rows == 0 || files == 0 || files > rows || tags == NULL)
	{
		fprintf(stderr, "usage: bench-rows ROWS FILES PREFIX\n");
		return 2;
	}
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
		put(file, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
		for (uint64_t end = rows * (f + 1) / files; message < end; message++)
		{
			uint32_t number = workload_tag(workload, message);
			Tag *tag = &tags[number];

			workload_step(workload, number, tag->messages++, tag->values);
			put_row(file, workload, message, number, tag->values);
		}
		put_integer(file, UINT16_MAX, 2);
		if (fclose(file) != 0)
		{
			perror(path);
			return 1;
		}
	}
	free(tags);
	workload_close(workload);
	return 0;
}
