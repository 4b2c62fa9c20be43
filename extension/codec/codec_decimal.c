/*
 * codec_decimal.c
 *	  Doubles that were written in decimal, stored as integers and one power of ten.
 *
 * After ALP (Afroozeh, Kuffo and Boncz, "ALP: Adaptive Lossless floating-Point Compression",
 * SIGMOD 2024), with one difference.  ALP decodes by two multiplications, n * 10^f * 10^-e, whose
 * rounding misses some decimals, which it stores as exceptions: with the best exponents, 0.8% of
 * the numbers below a million with three to six digits after the point.  Here the value is
 * n / 10^e.  Both are exact as doubles, and IEEE division rounds correctly: it gives the very
 * double that strtod() makes of the digits.  So decimals of up to 15 digits have no exceptions,
 * there is one exponent to find instead of two, and the divider still outruns memory.
 *
 * The arithmetic is frozen: change it, and stored blocks decode to other values.  It must be
 * compiled without contraction and without fast-math.
 *
 * A row whose value is not such a decimal (NaN, infinities, -0.0, 17 digits) is *patched*: its row
 * number and its double follow the stream, which repeats the number of the row before in its place.
 */
#include "codec/codec_decimal.h"

#include <float.h>
#include <math.h>

#include "codec/codec_cpu.h"
#include "codec/codec_stream.h"

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must be computed as doubles");

#define SAMPLE_ROWS 32

/* The bits of a patch: a row number and a double. */
#define PATCH_BITS 74

/* The bits that each further digit adds to every number: log2(10). */
#define DIGIT_BITS 3.33

/* 1.5 * 2^52.  Added to a double below 2^51, it leaves the nearest integer in the lower bits. */
#define ROUNDING 6755399441055744.0

/* More than two roundings change a double by, as a part of it: 2^-52. */
#define ROUNDED_TWICE 1e-15

static const double power_of_ten[CODEC_MAX_EXPONENT + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/*
 * The number, which must be within CODEC_DECIMAL_LIMIT, as a double.  Every vector unit has these
 * additions and subtractions, but not every one has a conversion.
 */
static inline double
double_of(uint64_t number)
{
	return bits_to_double(number + bits_of_double(ROUNDING)) - ROUNDING;
}

static inline uint64_t
nearest_number(double scaled)
{
	return bits_of_double(scaled + ROUNDING) - bits_of_double(ROUNDING);
}

double
codec_decimal_value(uint64_t number, int exponent)
{
	if (exponent >= 0)
		return double_of(number) / power_of_ten[exponent];
	return double_of(number) * power_of_ten[-exponent];
}

CODEC_KERNEL void
values_kernel(const uint64_t *numbers, uint32_t count, int exponent, double *dst)
{
	double		power = power_of_ten[exponent < 0 ? -exponent : exponent];

	if (exponent == 0)
		for (uint32_t i = 0; i < count; i++)
			dst[i] = double_of(numbers[i]);
	else if (exponent > 0)
		for (uint32_t i = 0; i < count; i++)
			dst[i] = double_of(numbers[i]) / power;
	else
		for (uint32_t i = 0; i < count; i++)
			dst[i] = double_of(numbers[i]) * power;
}

CODEC_AVX2 static void
values_avx2(const uint64_t *numbers, uint32_t count, int exponent, double *dst)
{
	values_kernel(numbers, count, exponent, dst);
}

void
codec_decimal_values(const uint64_t *numbers, uint32_t count, int exponent, double *dst)
{
	if (codec_cpu_has_avx2())
		values_avx2(numbers, count, exponent, dst);
	else
		values_kernel(numbers, count, exponent, dst);
}

/*
 * Returns zero if the number is within the limit and decodes to the value's very bits.  It has no
 * branch, so that the compiler can vectorise it.
 */
static inline uint64_t
inexactness(uint64_t number, double value, double decoded)
{
	return ((number + CODEC_DECIMAL_LIMIT) >> CODEC_DECIMAL_BITS) |
		(bits_of_double(value) ^ bits_of_double(decoded));
}

CODEC_KERNEL uint32_t
numbers_kernel(const double *values, uint32_t count, int exponent, uint64_t *numbers)
{
	double		power = power_of_ten[exponent < 0 ? -exponent : exponent];
	uint64_t	exact = 0;

	if (exponent >= 0)
		for (size_t i = 0; i < count; i++)
		{
			uint64_t	number = nearest_number(values[i] * power);

			numbers[i] = number;
			exact += inexactness(number, values[i], double_of(number) / power) == 0;
		}
	else
		for (size_t i = 0; i < count; i++)
		{
			uint64_t	number = nearest_number(values[i] / power);

			numbers[i] = number;
			exact += inexactness(number, values[i], double_of(number) * power) == 0;
		}
	return count - (uint32_t) exact;
}

CODEC_AVX2 static uint32_t
numbers_avx2(const double *values, uint32_t count, int exponent, uint64_t *numbers)
{
	return numbers_kernel(values, count, exponent, numbers);
}

/* Sets numbers[count] to those of values[count], and returns how many of them are not exact. */
static uint32_t
decimal_numbers(const double *values, uint32_t count, int exponent, uint64_t *numbers)
{
	return codec_cpu_has_avx2() ? numbers_avx2(values, count, exponent, numbers) :
		numbers_kernel(values, count, exponent, numbers);
}

static inline bool
row_is_patched(uint64_t number, double value, int exponent)
{
	return inexactness(number, value, codec_decimal_value(number, exponent)) != 0;
}

/*
 * Returns the exponent at which a sample takes the fewest bits: DIGIT_BITS for each digit and
 * PATCH_BITS for each value that is inexact.  Sets *inexact to the number of these.
 */
static int
best_exponent(const double *sample, uint32_t count, uint32_t *inexact)
{
	uint64_t	numbers[SAMPLE_ROWS];
	int			best = 0;
	int			exponent = 1;
	double		best_cost;
	double		smallest = DBL_MAX;

	for (uint32_t i = 0; i < count; i++)
		if (sample[i] != 0 && fabs(sample[i]) < smallest)
			smallest = fabs(sample[i]);

	/* whole numbers may need fewer digits, other numbers need more */
	*inexact = decimal_numbers(sample, count, 0, numbers);
	best_cost = PATCH_BITS * (double) *inexact / count;
	if (*inexact == 0)
		exponent = CODEC_MIN_EXPONENT;

	for (; exponent <= CODEC_MAX_EXPONENT; exponent++)
	{
		uint32_t	left = decimal_numbers(sample, count, exponent, numbers);
		double		cost = DIGIT_BITS * exponent + PATCH_BITS * (double) left / count;

		if (cost < best_cost)
		{
			best = exponent;
			best_cost = cost;
			*inexact = left;
		}
		/* nothing is left to gain, or all numbers are too large from here on */
		if (left == 0 ||
			(exponent > 0 && smallest * power_of_ten[exponent] > (double) CODEC_DECIMAL_LIMIT))
			break;
	}
	return best;
}

/*
 * Sets *number, and returns whether it is exact.  Most trials fail, and cost no division: if
 * number / 10^e rounds to the value, then value * 10^e is off the number by at most two roundings,
 * because the power is exact and each of the two operations rounds once.
 */
static inline bool
try_exponent(double value, int exponent, uint64_t *number)
{
	double		power = power_of_ten[exponent < 0 ? -exponent : exponent];
	double		scaled = exponent < 0 ? value / power : value * power;

	*number = nearest_number(scaled);
	if (fabs(scaled - double_of(*number)) > fabs(scaled) * ROUNDED_TWICE)
		return false;
	return inexactness(*number, value, codec_decimal_value(*number, exponent)) == 0;
}

bool
codec_decimal_of(double value, int *exponent, uint64_t *number)
{
	/* whole numbers may need fewer digits, other numbers need more */
	if (try_exponent(value, 0, number))
	{
		*exponent = 0;
		while (*exponent > CODEC_MIN_EXPONENT && (int64_t) *number % 10 == 0)
		{
			*number = (uint64_t) ((int64_t) *number / 10);
			(*exponent)--;
		}
		return true;
	}
	for (*exponent = 1; *exponent <= CODEC_MAX_EXPONENT; (*exponent)++)
	{
		if (try_exponent(value, *exponent, number))
			return true;
		if (fabs(value) * power_of_ten[*exponent] > (double) CODEC_DECIMAL_LIMIT)
			break;
	}
	return false;
}

/*
 * try_exponent(), but not for a whole number beyond the limit: codec_decimal_of() takes none, even if
 * it ends with zeros.
 */
static inline bool
is_exact_at(double value, int exponent, uint64_t *number)
{
	return (exponent > 0 || fabs(value) < (double) CODEC_DECIMAL_LIMIT) &&
		try_exponent(value, exponent, number);
}

bool
codec_decimal_of_few(const double *values, uint32_t stride, uint32_t nrows, int *exponent,
					 uint64_t *numbers)
{
	int			most;
	int			least;
	uint32_t	first = 0;		/* row that needs this exponent */
	uint32_t	need = 1;		/* rows that do */

	if (!codec_decimal_of(values[0], &most, &numbers[0]))
		return false;
	for (uint32_t i = 1; i < nrows; i++)
	{
		double		value = values[(size_t) i * stride];
		int			own;

		/* most rows have as many digits as those before; a last digit 0 can be spared */
		if (is_exact_at(value, most, &numbers[i]))
		{
			need += most == CODEC_MIN_EXPONENT || (int64_t) numbers[i] % 10 != 0;
			continue;
		}
		if (!codec_decimal_of(value, &own, &numbers[i]) || own < most)
			return false;
		most = own;
		first = i;
		need = 1;
	}
	for (uint32_t i = 0; i < first; i++)
		if (!try_exponent(values[(size_t) i * stride], most, &numbers[i]))
			return false;

	/* at a smaller exponent, that many would be patched; is it sure that this takes more bits? */
	least = most > 0 ? 0 : CODEC_MIN_EXPONENT;
	*exponent = most;
	return PATCH_BITS * (double) need / nrows > DIGIT_BITS * (most - least) + 1;
}

/*
 * Makes the column a patched one.  The numbers of inexact rows repeat the number before, or the
 * first exact one if there is none before, so that they make the stream no wider.
 */
static void
plan_patches(CodecColumn *column, const double *values, uint32_t nrows, uint64_t *numbers)
{
	uint64_t	patch = 0;
	uint64_t	filler = 0;

	for (uint32_t i = 0; i < nrows; i++)
		if (!row_is_patched(numbers[i], values[i], column->exponent))
		{
			filler = numbers[i];
			break;
		}

	column->rule = CODEC_RULE_PATCHED;
	column->annex_width = (uint8_t) bits_needed(nrows - 1);
	column->one_patch = true;
	column->npatches = 0;
	for (uint32_t i = 0; i < nrows; i++)
	{
		if (row_is_patched(numbers[i], values[i], column->exponent))
		{
			uint64_t	bits = bits_of_double(values[i]);

			if (column->npatches++ == 0)
				patch = bits;
			column->one_patch = column->one_patch && bits == patch;
			numbers[i] = filler;
		}
		filler = numbers[i];
	}
}

bool
codec_decimal_plan(CodecColumn *column, const double *values, uint32_t nrows, uint64_t *numbers)
{
	double		sample[SAMPLE_ROWS];
	uint32_t	count = nrows < SAMPLE_ROWS ? nrows : SAMPLE_ROWS;
	uint32_t	inexact;
	int			exponent;

	if (nrows == 1)
	{
		if (!codec_decimal_of(values[0], &exponent, numbers))
			return false;
		*column = (CodecColumn) {
			.rule = (uint8_t) (exponent - CODEC_MIN_EXPONENT),
			.exponent = (int8_t) exponent,
		};
		codec_stream_plan_numbers(&column->ints, numbers, 1, CODEC_VALUE_SCHEMES);
		return true;
	}
	/* most blocks of a load have few rows, and divisions are slow */
	if (count == nrows)
		exponent = best_exponent(values, count, &inexact);
	else
	{
		for (uint32_t i = 0; i < count; i++)
			sample[i] = values[(size_t) i * nrows / count];
		exponent = best_exponent(sample, count, &inexact);
	}
	if (inexact == count)
		return false;

	inexact = decimal_numbers(values, nrows, exponent, numbers);
	if (inexact > 0)
	{
		uint32_t	left;
		int			other;

		/* the sample may have missed values of more digits, so that their exponent may be better */
		count = 0;
		for (uint32_t i = 0; i < nrows && count < SAMPLE_ROWS; i++)
			if (row_is_patched(numbers[i], values[i], exponent))
				sample[count++] = values[i];
		other = best_exponent(sample, count, &left);
		if (other > exponent &&
			(double) inexact * (count - left) / count * PATCH_BITS >
			DIGIT_BITS * (other - exponent) * nrows)
		{
			exponent = other;
			inexact = decimal_numbers(values, nrows, exponent, numbers);
		}
	}

	memset(column, 0, sizeof(*column));
	column->rule = (uint8_t) (exponent - CODEC_MIN_EXPONENT);
	column->exponent = (int8_t) exponent;
	if (inexact > 0)
	{
		if (inexact == nrows)
			return false;
		plan_patches(column, values, nrows, numbers);
	}
	codec_stream_plan_numbers(&column->ints, numbers, nrows, CODEC_VALUE_SCHEMES);
	return true;
}

static const uint8_t *
patch_values(const CodecColumn *column)
{
	return column->annex + bits_packed_bytes(column->npatches, column->annex_width);
}

static uint32_t
patch_row(const CodecColumn *column, uint32_t patch)
{
	return (uint32_t) bits_get(column->annex, column->ints.last, column->annex_width, patch);
}

static double
patch_value(const CodecColumn *column, uint32_t patch)
{
	return bits_to_double(bits_get(patch_values(column), column->ints.last, 64,
								   column->one_patch ? 0 : patch));
}

/* The first patch at or after the given row, or npatches. */
static uint32_t
patch_at_or_after(const CodecColumn *column, uint32_t row)
{
	uint32_t	low = 0;
	uint32_t	high = column->npatches;

	while (low < high)
	{
		uint32_t	middle = (low + high) / 2;

		if (patch_row(column, middle) < row)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

double
codec_decimal_patches_get(const CodecColumn *column, uint32_t row, double unpatched)
{
	uint32_t	patch = patch_at_or_after(column, row);

	if (patch < column->npatches && patch_row(column, patch) == row)
		return patch_value(column, patch);
	return unpatched;
}

void
codec_decimal_patches_apply(const CodecColumn *column, uint32_t first, uint32_t count, double *dst)
{
	for (uint32_t patch = patch_at_or_after(column, first); patch < column->npatches; patch++)
	{
		uint32_t	row = patch_row(column, patch);

		/* rows ascend, except in a corrupt block */
		if (row < first || row - first >= count)
			break;
		dst[row - first] = patch_value(column, patch);
	}
}

size_t
codec_decimal_patches_bytes(const CodecColumn *column)
{
	return bits_packed_bytes(column->npatches, column->annex_width) +
		(column->one_patch ? 8 : 8 * (size_t) column->npatches);
}

uint8_t *
codec_decimal_patches_write(const CodecColumn *column, const double *values, const uint64_t *numbers,
							uint8_t *dst)
{
	uint8_t    *patches = dst + bits_packed_bytes(column->npatches, column->annex_width);
	uint64_t	rows[256];
	uint32_t	count = 0;

	for (uint32_t i = 0; i < column->ints.nrows; i++)
	{
		if (!row_is_patched(numbers[i], values[i], column->exponent))
			continue;
		bits_store64(patches, bits_of_double(values[i]));
		if (!column->one_patch)
			patches += 8;
		rows[count++] = i;
		if (count == 256)
		{
			dst = bits_pack(dst, column->annex_width, rows, count);
			count = 0;
		}
	}
	bits_pack(dst, column->annex_width, rows, count);
	return column->one_patch ? patches + 8 : patches;
}
