/*
 * bench_data.c
 *	  Made-up and recorded series, and the entropy of their differences.
 */
#include "bench_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_NS INT64_C(1700000000000000000)
#define TICK_NS	 100000 /* what times are multiples of */
#define MEAN_GAP 100	/* ticks between two messages */

/* xorshift64* (Vigna 2016): quick, and the same everywhere */
static uint64_t random_state;

static uint64_t
random_bits(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(2685821657736338717);
}

static double
random_unit(void)
{
	return (double) (random_bits() >> 11) * 0x1p-53;
}

static uint32_t
random_below(uint32_t end)
{
	return (uint32_t) ((random_bits() >> 32) * end >> 32);
}

static void
reserve(BenchSeries *series, uint32_t nrows)
{
	if (nrows <= series->capacity)
		return;
	series->capacity = nrows > 2 * series->capacity ? nrows : 2 * series->capacity;
	series->time = realloc(series->time, series->capacity * sizeof(*series->time));
	series->values =
		realloc(series->values, series->capacity * BENCH_COLUMNS * sizeof(*series->values));
	if (series->time == NULL || series->values == NULL)
	{
		fprintf(stderr, "bench-codec: out of memory\n");
		exit(1);
	}
}

/* Room for nrows rows, and times that come as a Poisson process. */
static void
begin(BenchSeries *series, uint32_t nrows)
{
	int64_t time = FIRST_NS;

	random_state = UINT64_C(0x9e3779b97f4a7c15);
	memset(series, 0, sizeof(*series));
	reserve(series, nrows);
	series->nrows = nrows;
	for (uint32_t r = 0; r < nrows; r++)
	{
		time += TICK_NS * (1 + (int64_t) (-MEAN_GAP * log(1.0 - random_unit())));
		series->time[r] = time;
	}
}

void
bench_decimal_walk(BenchSeries *series, uint32_t nrows)
{
	int32_t hundredths[BENCH_COLUMNS];

	begin(series, nrows);
	for (int v = 0; v < BENCH_COLUMNS; v++)
		hundredths[v] = 10000 + (int32_t) random_below(90000);
	for (uint32_t r = 0; r < nrows; r++)
		for (int v = 0; v < BENCH_COLUMNS; v++)
		{
			hundredths[v] += (int32_t) random_below(201) - 100;
			series->values[r * BENCH_COLUMNS + v] = hundredths[v] / 100.0;
		}
}

/* A walk in steps of -1 .. 1, all columns from somewhere in first .. first + range on. */
static void
full_precision_walk(BenchSeries *series, uint32_t nrows, double first, double range)
{
	double at[BENCH_COLUMNS];

	begin(series, nrows);
	for (int v = 0; v < BENCH_COLUMNS; v++)
		at[v] = first + range * random_unit();
	for (uint32_t r = 0; r < nrows; r++)
		for (int v = 0; v < BENCH_COLUMNS; v++)
		{
			at[v] += 2 * random_unit() - 1;
			series->values[r * BENCH_COLUMNS + v] = at[v];
		}
}

void
bench_walk_from_100(BenchSeries *series, uint32_t nrows)
{
	full_precision_walk(series, nrows, 100, 900);
}

void
bench_walk_from_0(BenchSeries *series, uint32_t nrows)
{
	full_precision_walk(series, nrows, 0, 100);
}

/* Nearly normal: the sum of twelve uniform numbers. */
static double
random_normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += random_unit();
	return sum;
}

void
bench_float32(BenchSeries *series, uint32_t nrows)
{
	begin(series, nrows);
	for (uint32_t i = 0; i < nrows * BENCH_COLUMNS; i++)
		series->values[i] = (float) (20 + 5 * (i % BENCH_COLUMNS) + random_normal());
}

void
bench_noise(BenchSeries *series, uint32_t nrows)
{
	begin(series, nrows);
	for (uint32_t i = 0; i < nrows * BENCH_COLUMNS; i++)
		series->values[i] = random_normal();
}

void
bench_states(BenchSeries *series, uint32_t nrows)
{
	double at[BENCH_COLUMNS] = {0};

	begin(series, nrows);
	for (uint32_t r = 0; r < nrows; r++)
		for (int v = 0; v < BENCH_COLUMNS; v++)
		{
			if (random_below(100) == 0)
				at[v] = random_below(2 + 20 * v) * 0.5;
			series->values[r * BENCH_COLUMNS + v] = at[v];
		}
}

void
bench_series_free(BenchSeries *series)
{
	free(series->time);
	free(series->values);
}

/* The series of the tag, a new one at the end if it is the first of its messages. */
static BenchSeries *
series_of_tag(BenchSeries **series, char (**tags)[32], uint32_t *nseries, const char *tag)
{
	for (uint32_t i = 0; i < *nseries; i++)
		if (strcmp((*tags)[i], tag) == 0)
			return &(*series)[i];

	*series = realloc(*series, (*nseries + 1) * sizeof(**series));
	*tags = realloc(*tags, (*nseries + 1) * sizeof(**tags));
	if (*series == NULL || *tags == NULL)
		return NULL;
	memset(&(*series)[*nseries], 0, sizeof(**series));
	snprintf((*tags)[*nseries], sizeof(**tags), "%s", tag);
	return &(*series)[(*nseries)++];
}

/* A pipe from the file's text, which gzip may have compressed; NULL if it cannot be opened. */
static FILE *
open_text(const char *path)
{
	char command[1024];
	int length = snprintf(command, sizeof(command), "gzip -dcf <'%s'", path);

	if (length < 0 || (size_t) length >= sizeof(command) || strchr(path, '\'') != NULL)
		return NULL;
	return popen(command, "r");
}

BenchSeries *
bench_read_ndjson(const char *path, uint32_t *nseries)
{
	FILE *file = open_text(path);
	BenchSeries *series = NULL;
	char(*tags)[32] = NULL;
	char line[4096];

	*nseries = 0;
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
	{
		BenchSeries *one;
		char tag[32];
		long long time;
		char *at = strchr(line, '[');

		/* recorded by ourselves: the members come in this order */
		if (at == NULL || sscanf(line, "{\"time\":%lld,\"tag\":\"%31[^\"]\"", &time, tag) != 2 ||
			(one = series_of_tag(&series, &tags, nseries, tag)) == NULL)
			continue;
		reserve(one, one->nrows + 1);
		one->time[one->nrows] = time;
		for (int v = 0; v < BENCH_COLUMNS; v++)
			one->values[one->nrows * BENCH_COLUMNS + v] = strtod(at + 1, &at);
		one->nrows++;
	}
	free(tags);
	if (file != NULL)
		pclose(file);
	return series;
}

static int
compare_numbers(const void *a, const void *b)
{
	int64_t left = *(const int64_t *) a;
	int64_t right = *(const int64_t *) b;

	return (left > right) - (left < right);
}

/* Shannon's entropy of the numbers, in bits; sorts them. */
static double
entropy_bits(int64_t *numbers, uint32_t count)
{
	double bits = 0;

	qsort(numbers, count, sizeof(*numbers), compare_numbers);
	for (uint32_t first = 0, end; first < count; first = end)
	{
		double share;

		for (end = first + 1; end < count && numbers[end] == numbers[first]; end++)
			;
		share = (double) (end - first) / count;
		bits -= share * log2(share);
	}
	return bits;
}

/* Bits a row of the times' differences; scratch has room for them. */
static double
time_bits(const BenchSeries *series, int64_t *scratch)
{
	for (uint32_t i = 0; i + 1 < series->nrows; i++)
		scratch[i] = series->time[i + 1] - series->time[i];
	return entropy_bits(scratch, series->nrows - 1);
}

double
bench_entropy_bits(const BenchSeries *series, double unit)
{
	uint32_t count = series->nrows - 1;
	int64_t *differences = malloc(count * sizeof(*differences));
	double bits;

	if (differences == NULL)
		return 0;
	bits = time_bits(series, differences);
	for (int v = 0; v < BENCH_COLUMNS; v++)
	{
		const double *column = series->values + v;

		for (uint32_t i = 0; i < count; i++)
			differences[i] = llround(column[(i + 1) * BENCH_COLUMNS] / unit) -
							 llround(column[i * BENCH_COLUMNS] / unit);
		bits += entropy_bits(differences, count);
	}
	free(differences);
	return bits;
}

double
bench_walk_bits(const BenchSeries *series)
{
	int64_t *scratch = malloc(series->nrows * sizeof(*scratch));
	double bits = 0;

	if (scratch == NULL)
		return 0;
	for (uint32_t i = 0; i < series->nrows * BENCH_COLUMNS; i++)
	{
		int exponent = ilogb(series->values[i]);

		bits += exponent > 0 ? 53 - exponent : 53;
	}
	bits = bits / series->nrows + time_bits(series, scratch);
	free(scratch);
	return bits;
}
