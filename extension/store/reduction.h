/*
 * reduction.h
 *	  Reduces the values of one column over some rows to count, sum, extremes and so on.
 *
 * A state takes runs of values, none of them NULL, and can be merged with the state of the rows
 * that follow.  The results are the same but for the last bits, so that it does not matter where
 * the rows are cut.  A state keeps only the facets asked for, which are the same in all calls for
 * it.
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
 * A sum whose rounding errors are summed too: high + low.  Once it would exceed the greatest
 * double, it is kept divided by 2^64, so that a mean is right, and so is a sum that later gets
 * smaller.
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

	/* extremes of the values that are not NaN; if there are none, infinities */
	int64		nans;
	double		min;
	double		max;

	/*
	 * Spread: the mean is shift + offset, and square_sum the sum of squared distances to it.  All
	 * are of the values divided by 2^exponent, as squares of doubles exceed the range of doubles.
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

/* Knuth's TwoSum: returns the sum and, in *error, what rounding has cut off. */
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

/* Adds another sum.  Once high is not finite, low has no meaning. */
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

/* Adds a value and returns true, if the sum is not scaled and need not be. */
static inline bool
double_sum_try_add(DoubleSum *sum, double value)
{
	double		error;
	double		high = reduction_two_sum(sum->high, value, &error);

	if (unlikely(sum->scaled || !isfinite(high)))
		return false;
	sum->low += error;
	sum->high = high;
	return true;
}

static inline void
double_sum_add(DoubleSum *sum, double value)
{
	DoubleSum	part = {.high = value};

	if (!double_sum_try_add(sum, value))
		double_sum_merge(sum, &part);
}

static inline double
double_sum_value(const DoubleSum *sum)
{
	double		value = isfinite(sum->high) ? sum->high + sum->low : sum->high;

	return sum->scaled ? value / DOUBLE_SUM_SCALE : value;
}

/* The exact sum less double_sum_value(), if that is finite. */
static inline double
double_sum_rest(const DoubleSum *sum)
{
	double		rest = (sum->high - (sum->high + sum->low)) + sum->low;

	return sum->scaled ? rest / DOUBLE_SUM_SCALE : rest;
}

/* The sum divided by a number: finite wherever the quotient is, even if the sum is not. */
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

/* Add what these return, in fewer steps. */
extern void double_sum_add_values(DoubleSum *sum, const double *values, uint32 nvalues);
extern void double_sum_add_products(DoubleSum *sum, const double *values, const double *factors,
									uint32 nvalues);

/* The same as double_sum_add_product(), for a product that is not within the range of doubles. */
extern void double_sum_add_scaled_product(DoubleSum *sum, double value, double factor);

/* Adds value * factor; the factor is neither negative nor above 2^64. */
static inline void
double_sum_add_product(DoubleSum *sum, double value, double factor)
{
	double		product = value * factor;

	if (double_sum_try_add(sum, product))
		return;
	if (isfinite(product))
		double_sum_add(sum, product);
	else
		double_sum_add_scaled_product(sum, value, factor);
}

extern void reduction_init(Reduction *state);
extern void reduction_add(Reduction *state, int facets, const double *values, uint32 nvalues);

/* Adds the state of the values that follow those of state. */
extern void reduction_merge(Reduction *state, int facets, const Reduction *later);

/* The least and the greatest of at least one value, none of which is NaN.  0 and -0 count as the same. */
extern void reduction_extremes(const double *values, uint32 nvalues, double *min, double *max);

/*
 * The standard deviation of values, all finite, about a mean that may be wrong in its last bits.  Returns
 * false if the square sum is not well within the range of doubles.
 */
extern bool reduction_deviation_about(const double *values, uint32 nvalues, double mean,
									  double *deviation);

/*
 * Parts that have been reduced before, in order of their rows.  Arrays are read only of the facets
 * asked for; the spread needs counts, sum, rest, min and deviation.  All values are finite, and
 * deviations are those that reduction_deviation_about() returns.
 */
typedef struct ReducedParts
{
	uint32		nparts;			/* at least 1 */
	int64		count;			/* of values, in all parts together */
	const int64 *counts;		/* [nparts]: of values in each */
	const double *sum;			/* [nparts] */
	const double *rest;			/* the exact sum less sum, or 0 where that is nothing beside the
								 * deviation */
	const double *deviation;	/* of all values from their mean; if 0, all of them are min */
	const double *min;
	const double *max;
	const double *first;
	const double *last;
} ReducedParts;

/* Adds the parts, which follow the values of state. */
extern void reduction_add_parts(Reduction *state, int facets, const ReducedParts *parts);

/* Sets the result, or returns false if it is NULL.  The state must have the facet that it needs. */
typedef bool (*ReductionResult) (const Reduction *state, double *result);

extern bool reduction_count(const Reduction *state, double *result);
extern bool reduction_sum(const Reduction *state, double *result);
extern bool reduction_average(const Reduction *state, double *result);
extern bool reduction_min(const Reduction *state, double *result);
extern bool reduction_max(const Reduction *state, double *result);
extern bool reduction_range(const Reduction *state, double *result);
extern bool reduction_stddev(const Reduction *state, double *result);
extern bool reduction_deviation(const Reduction *state, double *result);
extern bool reduction_delta(const Reduction *state, double *result);

#endif							/* HISTORIAN_REDUCTION_H */
