/*
 * reduction.h
 *	  What the values of one column over some rows amount to: count, sum, extremes and so on.
 *
 * A state is fed with runs of values, none of them NULL, or merged with the state of the rows that
 * follow: the results are the same but for the last bits, so it does not matter where the rows are
 * cut.  Only the facets asked for are kept, the same in all calls for one state.
 */
#ifndef HISTORIAN_REDUCTION_H
#define HISTORIAN_REDUCTION_H

#include "postgres.h"

#include <math.h>

/* The number of values is always kept. */
#define REDUCTION_SUM 0x01
#define REDUCTION_EXTREMES 0x02
#define REDUCTION_SPREAD 0x04
#define REDUCTION_ENDS 0x08

/*
 * A sum whose rounding errors are summed too: high + low.  Where it would pass the greatest double it
 * is kept divided by 2^64 from then on, so that a mean, or a sum that comes back, is right.
 */
typedef struct DoubleSum
{
	double		high;
	double		low;
	bool		scaled;
} DoubleSum;

#define DOUBLE_SUM_SCALE 0x1p-64

typedef struct Reduction
{
	int64		count;
	DoubleSum	sum;

	/* extremes of the values that are not NaN, infinities if there are none */
	int64		nans;
	double		min;
	double		max;

	/*
	 * Spread: the mean is shift + offset, square_sum that of the distances to it, all of the
	 * values divided by 2^exponent: squares of doubles have twice the range of doubles.
	 */
	int			exponent;
	double		shift;
	double		offset;
	double		square_sum;

	/* ends */
	double		first;
	double		last;
} Reduction;

/* Values weighted by the time that each was held. */
typedef struct TimeReduction
{
	uint64		time_ns;
	DoubleSum	integral;		/* of the value over the time, in ns */
} TimeReduction;

/* Knuth's TwoSum: the sum and, in *error, what rounding has cut off it. */
static inline double
reduction_two_sum(double a, double b, double *error)
{
	double		sum = a + b;
	double		added = sum - a;

	*error = (a - (sum - added)) + (b - added);
	return sum;
}

static inline void
double_sum_scale(DoubleSum *sum)
{
	if (sum->scaled)
		return;
	sum->high *= DOUBLE_SUM_SCALE;
	sum->low *= DOUBLE_SUM_SCALE;
	sum->scaled = true;
}

/* After an infinity low means nothing. */
static inline void
double_sum_merge(DoubleSum *sum, const DoubleSum *other)
{
	DoubleSum	part = *other;
	double		error;
	double		high;

	if (sum->scaled || part.scaled)
	{
		double_sum_scale(sum);
		double_sum_scale(&part);
	}
	high = reduction_two_sum(sum->high, part.high, &error);
	if (!isfinite(high) && !sum->scaled)
	{
		double_sum_scale(sum);
		double_sum_scale(&part);
		high = reduction_two_sum(sum->high, part.high, &error);
	}
	sum->low += error + part.low;
	sum->high = high;
}

static inline void
double_sum_add(DoubleSum *sum, double value)
{
	DoubleSum	part = {.high = value};

	double_sum_merge(sum, &part);
}

static inline double
double_sum_value(const DoubleSum *sum)
{
	double		value = isfinite(sum->high) ? sum->high + sum->low : sum->high;

	return sum->scaled ? value / DOUBLE_SUM_SCALE : value;
}

/* The sum divided by a number, finite where that is, whatever the sum. */
static inline double
double_sum_quotient(const DoubleSum *sum, double divisor)
{
	double		value = isfinite(sum->high) ? sum->high + sum->low : sum->high;

	value /= divisor;
	return sum->scaled ? value / DOUBLE_SUM_SCALE : value;
}

extern DoubleSum double_sum(const double *values, uint32 nvalues);

/* The sum of values[i] * factors[i]; no factor is negative or above 2^64. */
extern DoubleSum double_sum_products(const double *values, const double *factors, uint32 nvalues);

/* Adds value * factor, for a factor as above. */
extern void double_sum_add_product(DoubleSum *sum, double value, double factor);

extern void reduction_init(Reduction *state);
extern void reduction_add(Reduction *state, int facets, const double *values, uint32 nvalues);

/* Adds the state of the values that follow those of state. */
extern void reduction_merge(Reduction *state, int facets, const Reduction *later);

/*
 * Adds parts, each of which has been reduced before: count values in all, and of each part the
 * facets asked for (the spread is none of them).  The values of all parts are finite.
 */
typedef struct ReducedParts
{
	uint32		nparts;			/* at least 1 */
	int64		count;
	const double *sum;			/* [nparts] */
	const double *min;
	const double *max;
	const double *first;
	const double *last;
} ReducedParts;

extern void reduction_add_parts(Reduction *state, int facets, const ReducedParts *parts);

/* The result, or false where it is NULL.  Each needs its facet. */
typedef bool (*ReductionResult) (const Reduction *state, double *result);

extern bool reduction_count(const Reduction *state, double *result);
extern bool reduction_sum(const Reduction *state, double *result);
extern bool reduction_average(const Reduction *state, double *result);
extern bool reduction_min(const Reduction *state, double *result);
extern bool reduction_max(const Reduction *state, double *result);
extern bool reduction_range(const Reduction *state, double *result);
extern bool reduction_stddev(const Reduction *state, double *result);
extern bool reduction_delta(const Reduction *state, double *result);

#endif							/* HISTORIAN_REDUCTION_H */
