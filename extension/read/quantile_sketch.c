/*
 * quantile_sketch.c
 *	  Quantiles of any number of values in bounded memory, with a bound on their error.
 *
 * Values are gathered in a level, all of one weight.  A full level is sorted, every other value of it
 * goes to the next level, whose values weigh twice as much, and the rest is dropped (Manku,
 * Rajagopalan and Lindsay, "Approximate medians and other quantiles in one pass and with limited
 * memory", SIGMOD 1998).  That moves no rank by more than the weight; and as the first and the second
 * of each pair are kept in turn, two such steps together move it by no more than one.  With n values,
 * a level of weight w is emptied n / (w * QUANTILE_SKETCH_EXACT) times, so that each level adds
 * n / (2 * QUANTILE_SKETCH_EXACT) to the error.  The least and the greatest value are kept apart.
 */
#include "postgres.h"

#include "read/quantile_sketch.h"

#include <math.h>

#include "utils/memutils.h"

#include "compat.h"

#define ST_SORT sort_doubles
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The room that a first level begins with. */
#define FIRST_CAPACITY 64

typedef struct Level
{
	double	   *values;			/* NULL until there is one */
	uint32		nvalues;
	uint32		capacity;
	bool		take_second;	/* of each pair, when it is emptied next */
} Level;

typedef struct WeightedValue
{
	double		value;
	int64		end;			/* the weight of it and of all that are less */
} WeightedValue;

struct QuantileSketch
{
	MemoryContext context;
	int64		count;			/* of values, without NaN */
	int64		nans;
	double		min;
	double		max;
	uint32		nlevels;
	Level		levels[QUANTILE_SKETCH_LEVELS];
};

#define ST_SORT sort_weighted
#define ST_ELEMENT_TYPE WeightedValue
#define ST_COMPARE(a, b) ((a)->value < (b)->value ? -1 : (a)->value > (b)->value)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static void add_to_first(QuantileSketch *sketch, double value);
static void reserve(QuantileSketch *sketch, Level *level, uint32 capacity);
static void empty_level(QuantileSketch *sketch, uint32 l);
static WeightedValue *weighted_values(const QuantileSketch *sketch, uint32 *nvalues);
static double value_at(const QuantileSketch *sketch, const WeightedValue *values, uint32 nvalues,
					   int64 rank);

QuantileSketch *
quantile_sketch_make(void)
{
	QuantileSketch *sketch = palloc0_object(QuantileSketch);

	sketch->context = CurrentMemoryContext;
	sketch->nlevels = 1;
	return sketch;
}

void
quantile_sketch_clear(QuantileSketch *sketch)
{
	sketch->count = 0;
	sketch->nans = 0;
	sketch->nlevels = 1;
	for (uint32 l = 0; l < QUANTILE_SKETCH_LEVELS; l++)
	{
		sketch->levels[l].nvalues = 0;
		sketch->levels[l].take_second = false;
	}
}

void
quantile_sketch_add(QuantileSketch *sketch, const double *values, uint32 nvalues)
{
	for (uint32 i = 0; i < nvalues; i++)
	{
		if (isnan(values[i]))
			sketch->nans++;
		else
			add_to_first(sketch, values[i]);
	}
}

bool
quantile_sketch_read(QuantileSketch *sketch, const double *fractions, double *results,
					 uint32 nfractions)
{
	uint32		nvalues;
	WeightedValue *values;
	int64		all = sketch->count + sketch->nans;

	if (all == 0)
		return false;
	values = weighted_values(sketch, &nvalues);
	for (uint32 i = 0; i < nfractions; i++)
	{
		double		place = fractions[i] * (all - 1);
		int64		below = (int64) floor(place);
		double		low = value_at(sketch, values, nvalues, below);
		double		high = value_at(sketch, values, nvalues, Min(below + 1, all - 1));
		double		part = place - below;

		if (part == 0 || low == high)
			results[i] = low;
		else if (isfinite(high - low))
			results[i] = low + part * (high - low);
		else
			results[i] = low * (1 - part) + high * part;
	}
	pfree(values);
	return true;
}

static void
add_to_first(QuantileSketch *sketch, double value)
{
	Level	   *first = &sketch->levels[0];

	if (sketch->count == 0 || value < sketch->min)
		sketch->min = value;
	if (sketch->count == 0 || value > sketch->max)
		sketch->max = value;
	if (first->nvalues == first->capacity)
	{
		if (first->capacity == QUANTILE_SKETCH_EXACT)
			empty_level(sketch, 0);
		else
			reserve(sketch, first, Max(2 * first->capacity, FIRST_CAPACITY));
	}
	first->values[first->nvalues++] = value;
	sketch->count++;
}

static void
reserve(QuantileSketch *sketch, Level *level, uint32 capacity)
{
	level->values = level->values == NULL
		? MemoryContextAlloc(sketch->context, capacity * sizeof(double))
		: repalloc(level->values, capacity * sizeof(double));
	level->capacity = capacity;
}

/* Gives half of the values of a full level to the next one, which may become full, too. */
static void
empty_level(QuantileSketch *sketch, uint32 l)
{
	Level	   *level = &sketch->levels[l];
	Level	   *next = &sketch->levels[l + 1];

	Assert(level->nvalues == QUANTILE_SKETCH_EXACT);
	if (l + 1 == QUANTILE_SKETCH_LEVELS)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many values for quantiles"));
	if (next->values == NULL)
		reserve(sketch, next, QUANTILE_SKETCH_EXACT);
	if (next->nvalues == QUANTILE_SKETCH_EXACT)
		empty_level(sketch, l + 1);
	sketch->nlevels = Max(sketch->nlevels, l + 2);
	sort_doubles(level->values, level->nvalues);
	for (uint32 i = level->take_second; i < level->nvalues; i += 2)
		next->values[next->nvalues++] = level->values[i];
	level->take_second = !level->take_second;
	level->nvalues = 0;
}

/* All values kept, in order, with the weights of all up to each. */
static WeightedValue *
weighted_values(const QuantileSketch *sketch, uint32 *nvalues)
{
	WeightedValue *values;
	uint32		n = 0;
	int64		weight = 0;

	for (uint32 l = 0; l < sketch->nlevels; l++)
		n += sketch->levels[l].nvalues;
	values = palloc_array(WeightedValue, Max(n, 1));
	n = 0;
	for (uint32 l = 0; l < sketch->nlevels; l++)
	{
		for (uint32 i = 0; i < sketch->levels[l].nvalues; i++)
			values[n++] = (WeightedValue) {sketch->levels[l].values[i], INT64CONST(1) << l};
	}
	sort_weighted(values, n);
	for (uint32 i = 0; i < n; i++)
	{
		weight += values[i].end;
		values[i].end = weight;
	}
	Assert(weight == sketch->count);
	*nvalues = n;
	return values;
}

/* The value of a rank, from 0. */
static double
value_at(const QuantileSketch *sketch, const WeightedValue *values, uint32 nvalues, int64 rank)
{
	uint32		low = 0;
	uint32		high = nvalues;

	if (rank >= sketch->count)
		return NAN;
	if (rank == 0)
		return sketch->min;
	if (rank == sketch->count - 1)
		return sketch->max;
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (values[middle].end <= rank)
			low = middle + 1;
		else
			high = middle;
	}
	return values[low].value;
}
