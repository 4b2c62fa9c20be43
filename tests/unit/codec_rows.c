/*
 * codec_rows.c
 *	  Random rows: every kind of column and of time that the codec has a way for.
 */
#include "codec_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t
random_seed(void)
{
	const char *seed = getenv("SEED");
	struct timespec now;

	if (seed != NULL)
		return strtoull(seed, NULL, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t) now.tv_sec * 1000000007u ^ (uint64_t) now.tv_nsec;
}

/* splitmix64 (Steele, Lea and Flood 2014): any seed will do, 0 too */
uint64_t
random_bits(Random *random)
{
	uint64_t bits = (random->state += UINT64_C(0x9e3779b97f4a7c15));

	bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
	return bits ^ (bits >> 31);
}

uint32_t
random_below(Random *random, uint32_t end)
{
	return (uint32_t) ((random_bits(random) >> 32) * end >> 32);
}

double
random_unit(Random *random)
{
	return (double) (random_bits(random) >> 11) * 0x1p-53;
}

static void *
zeroed(size_t count, size_t size)
{
	/* one more, because nothing is asked for where there are no values */
	void *memory = calloc(count + 1, size);

	if (memory == NULL)
		abort();
	return memory;
}

void
owned_rows_init(OwnedRows *owned, uint32_t nrows, uint32_t nvalues, bool column_major, bool ragged,
				bool nulls)
{
	size_t elements = (size_t) nrows * nvalues;

	owned->time = zeroed(nrows, sizeof(int64_t));
	owned->values = zeroed(elements, sizeof(double));
	owned->width = ragged ? zeroed(nrows, sizeof(uint16_t)) : NULL;
	owned->isnull = nulls ? zeroed(elements, 1) : NULL;
	owned->rows = (CodecRows){
		.nrows = nrows,
		.nvalues = nvalues,
		.time = owned->time,
		.values = owned->values,
		.row_stride = column_major ? 1 : nvalues,
		.value_stride = column_major ? nrows : 1,
		.width = owned->width,
		.isnull = owned->isnull,
	};
	for (uint32_t r = 0; r < nrows; r++)
	{
		owned->time[r] = r;
		if (ragged)
			owned->width[r] = (uint16_t) nvalues;
	}
}

void
owned_rows_free(OwnedRows *owned)
{
	free(owned->time);
	free(owned->values);
	free(owned->width);
	free(owned->isnull);
}

double *
owned_value(OwnedRows *owned, uint32_t row, uint32_t v)
{
	return &owned->values[row * owned->rows.row_stride + v * owned->rows.value_stride];
}

uint8_t *
owned_isnull(OwnedRows *owned, uint32_t row, uint32_t v)
{
	return &owned->isnull[row * owned->rows.row_stride + v * owned->rows.value_stride];
}

void
fill_times(OwnedRows *owned, TimeKind kind, Random *random)
{
	uint32_t nrows = owned->rows.nrows;
	uint64_t step = UINT64_MAX / CODEC_MAX_ROWS / (1 + random_below(random, 3));
	uint64_t at = UINT64_C(1700000000000000000) + random_bits(random) % 1000000 * 1000;

	if (kind == TIME_ENDS)
		at = (uint64_t) INT64_MIN;
	if (kind == TIME_REGULAR)
		step = UINT64_C(1000) << random_below(random, 24);
	for (uint32_t r = 0; r < nrows; r++)
	{
		owned->time[r] = (int64_t) at;
		if (kind == TIME_POISSON)
			step = 100000 * (1 + (uint64_t) (-100 * log(1 - random_unit(random))));
		else if (kind == TIME_ANY)
		{
			step = random_bits(random);
			step = 1 + (step >> (16 + random_below(random, 48)));
		}
		at += step;
	}
	if (kind == TIME_ENDS && nrows > 1)
		owned->time[nrows - 1] = INT64_MAX;
}

static double
special_value(Random *random)
{
	static const uint64_t special[] = {
		UINT64_C(0x0000000000000000), /* 0.0 */
		UINT64_C(0x8000000000000000), /* -0.0 */
		UINT64_C(0x7ff8000000000000), /* NaN */
		UINT64_C(0xfff8000000000000), /* -NaN */
		UINT64_C(0x7ff0000000000001), /* a signalling NaN */
		UINT64_C(0x7fffffffffffffff), /* a NaN with a payload */
		UINT64_C(0x7ff0000000000000), /* infinity */
		UINT64_C(0xfff0000000000000), /* -infinity */
		UINT64_C(0x0000000000000001), /* the smallest subnormal */
		UINT64_C(0x800fffffffffffff), /* the largest negative subnormal */
		UINT64_C(0x7fefffffffffffff), /* the largest double */
		UINT64_C(0x3fb999999999999a), /* 0.1 */
		UINT64_C(0x3fd3333333333334), /* 0.1 + 0.2 */
	};
	double value;

	memcpy(&value, &special[random_below(random, sizeof(special) / sizeof(*special))],
		   sizeof(value));
	return value;
}

/* A decimal of so many digits after the point, rounded as strtod() does. */
static double
decimal(int64_t number, uint32_t digits)
{
	char text[40];

	snprintf(text, sizeof(text), "%llde-%u", (long long) number, digits);
	return strtod(text, NULL);
}

void
fill_column(OwnedRows *owned, uint32_t v, ColumnKind kind, Random *random)
{
	uint32_t digits = random_below(random, 9);
	uint32_t few = 1 + random_below(random, 300);
	int64_t number = (int64_t) random_below(random, 2000000) - 1000000;
	double real = 1000 * random_unit(random) - 500;
	double held = real;

	for (uint32_t r = 0; r < owned->rows.nrows; r++)
	{
		uint64_t bits = random_bits(random);
		double value = 0;

		switch (kind)
		{
			case KIND_PATCHED:
			case KIND_DECIMAL_WALK:
				number += (int64_t) random_below(random, 201) - 100;
				value = decimal(number, digits);
				if (kind == KIND_PATCHED && random_below(random, 20) == 0)
					value = special_value(random);
				break;
			case KIND_DECIMALS:
				value = decimal((int64_t) bits >> 24, digits);
				break;
			case KIND_MIXED_DECIMALS:
				value = decimal((int64_t) bits >> 40, random_below(random, digits + 1));
				break;
			case KIND_TENS:
				value = (double) ((int64_t) bits >> 50) * 1000;
				break;
			case KIND_FULL_WALK:
				real += random_unit(random) - 0.5;
				value = real;
				break;
			case KIND_NOISE:
				value = random_unit(random) - 0.5;
				value *= random_unit(random);
				break;
			case KIND_FLOAT32:
				value = (float) (real + random_unit(random));
				break;
			case KIND_ANY_BITS:
				memcpy(&value, &bits, sizeof(value));
				break;
			case KIND_SPECIAL:
				value = special_value(random);
				break;
			case KIND_FEW_VALUES:
				value = decimal(number + random_below(random, few) * 327927, digits);
				break;
			case KIND_STEPS:
				if (random_below(random, 40) == 0)
					held = random_below(random, 5) == 0 ? special_value(random)
														: decimal((int64_t) bits >> 44, digits);
				value = held;
				break;
			case KIND_CONSTANT:
				value = real;
				break;
			case KIND_LINE:
				value = decimal(number + (int64_t) (r * (uint64_t) few), digits);
				break;
			case KIND_NARROW_WALK:
				number += (int64_t) random_below(random, 11) - 5;
				value = decimal(number, digits);
				break;
			case KIND_PEAKED_WALK:
				/* half of the steps take two bits less than the others, and so on */
				number += ((int64_t) random_below(random, 64 * few) >>
						   2 * __builtin_ctz((unsigned) bits | 1 << 15)) *
						  ((int64_t) bits < 0 ? -1 : 1);
				if (random_below(random, 100) == 0)
					number += ((int64_t) bits >> 36);
				value = decimal(number, digits);
				break;
			case KIND_COUNT:
				break;
		}
		*owned_value(owned, r, v) = value;
	}
}

static void
fill_widths(OwnedRows *owned, Random *random)
{
	uint32_t nvalues = owned->rows.nvalues;
	bool often = random_below(random, 2) == 0;

	for (uint32_t r = 0; r < owned->rows.nrows; r++)
	{
		owned->width[r] = (uint16_t) nvalues;
		if (often || random_below(random, 20) == 0)
			owned->width[r] = random_below(random, 5) == 0
								  ? CODEC_WIDTH_NULL
								  : (uint16_t) random_below(random, nvalues + 1);
	}
	/* some row has the width that the rows say is the widest */
	owned->width[random_below(random, owned->rows.nrows)] = (uint16_t) nvalues;
}

static void
fill_nulls(OwnedRows *owned, Random *random)
{
	uint32_t one_in = 1 + random_below(random, 50);

	for (uint32_t v = 0; v < owned->rows.nvalues; v++)
	{
		uint32_t column_one_in = random_below(random, 3) == 0 ? 1 : one_in;

		if (random_below(random, 3) == 0)
			continue;
		for (uint32_t r = 0; r < owned->rows.nrows; r++)
			*owned_isnull(owned, r, v) = random_below(random, column_one_in) == 0;
	}
}

void
random_rows(OwnedRows *owned, uint32_t most_rows, uint32_t most_values, Random *random)
{
	uint32_t nrows = 1 + random_below(random, most_rows);
	uint32_t nvalues = random_below(random, most_values + 1);
	bool one_kind = random_below(random, 2) == 0;
	ColumnKind kind = random_below(random, KIND_COUNT);

	owned_rows_init(owned, nrows, nvalues, random_below(random, 2) == 0,
					random_below(random, 4) == 0, random_below(random, 4) == 0);
	fill_times(owned, random_below(random, TIME_COUNT), random);
	for (uint32_t v = 0; v < nvalues; v++)
	{
		if (!one_kind)
			kind = random_below(random, KIND_COUNT);
		fill_column(owned, v, kind, random);
	}
	if (owned->width != NULL)
		fill_widths(owned, random);
	if (owned->isnull != NULL)
		fill_nulls(owned, random);
}
