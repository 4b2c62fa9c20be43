/*
 * reduction.c
 *	  Reduces the values of one column over some rows to count, sum, extremes and so on.
 *
 * Long loops keep several independent lanes, because the compiler may not reorder floating-point
 * sums by itself.  Sums are compensated: their error does not grow with the number of values.
 */
#include "postgres.h"

#include "store/reduction.h"

#include "utils/float.h"

#include "codec/codec_cpu.h"

#define NLANES 4

/*
 * Within these bounds squares of distances, and their sums, stay in the range of doubles: distances
 * are at least 2^-53 of the values, or 0.  The spread of values that are all 0 has an exponent
 * below all others, so that a merge takes that of the other spread.
 */
#define SQUARES_LEAST 0x1p-900
#define SQUARES_MOST 0x1p900
#define VALUES_LEAST 0x1p-400
#define VALUES_MOST 0x1p450
#define EXPONENT_OF_ZERO (-1100)

typedef double Lanes __attribute__((vector_size(NLANES * sizeof(double))));

/* The same at any element of an array of doubles. */
typedef double LanesAnywhere __attribute__((vector_size(NLANES * sizeof(double)),
											aligned(sizeof(double)), may_alias));

static void add_extremes(Reduction *state, const double *values, uint32 nvalues);
static void merge_spread(Reduction *state, const Reduction *later);
static void add_parts_spread(Reduction *whole, const ReducedParts *parts);
static bool square_is_within_range(double square_sum, double mean);
static void add_spread(Reduction *part, const double *values, uint32 nvalues);
static void measure_spread(Reduction *part, const double *values, uint32 nvalues);

/*
 * Adds a value to each lane.  Lanes are passed by pointer: by value, the ABI depends on the
 * processor.
 */
CODEC_KERNEL void
lanes_add(Lanes *high, Lanes *low, const Lanes *value)
{
	Lanes		sum = *high + *value;
	Lanes		added = sum - *high;

	*low += (*high - (sum - added)) + (*value - added);
	*high = sum;
}

/* A sum that is not scaled: the caller sums again, scaled, where it is not finite.  It fits into registers. */
typedef struct PlainSum
{
	double		high;
	double		low;
} PlainSum;

CODEC_KERNEL void
add_plain(PlainSum *sum, double value)
{
	double		error;

	sum->high = reduction_two_sum(sum->high, value, &error);
	sum->low += error;
}

CODEC_KERNEL void
lanes_sum(PlainSum *sum, const Lanes *high, const Lanes *low)
{
	for (int lane = 0; lane < NLANES; lane++)
	{
		add_plain(sum, (*high)[lane]);
		sum->low += (*low)[lane];
	}
}

/* Sums in two vectors of lanes, because each addition to one must wait for the one before it. */
CODEC_KERNEL PlainSum
sum_kernel(const double *values, uint32 nvalues)
{
	PlainSum	sum = {0};
	Lanes		high = {0};
	Lanes		low = {0};
	Lanes		other_high = {0};
	Lanes		other_low = {0};
	uint32		i = 0;

	for (; i + 2 * NLANES <= nvalues; i += 2 * NLANES)
	{
		Lanes		next = *(const LanesAnywhere *) (values + i);
		Lanes		other = *(const LanesAnywhere *) (values + i + NLANES);

		lanes_add(&high, &low, &next);
		lanes_add(&other_high, &other_low, &other);
	}
	if (i > 0)
	{
		lanes_sum(&sum, &high, &low);
		lanes_sum(&sum, &other_high, &other_low);
	}
	for (; i < nvalues; i++)
		add_plain(&sum, values[i]);
	return sum;
}

/* Sums products in the same way. */
CODEC_KERNEL PlainSum
sum_products_kernel(const double *values, const double *factors, uint32 nvalues)
{
	PlainSum	sum = {0};
	Lanes		high = {0};
	Lanes		low = {0};
	Lanes		other_high = {0};
	Lanes		other_low = {0};
	uint32		i = 0;

	for (; i + 2 * NLANES <= nvalues; i += 2 * NLANES)
	{
		Lanes		next = *(const LanesAnywhere *) (values + i) *
			*(const LanesAnywhere *) (factors + i);
		Lanes		other = *(const LanesAnywhere *) (values + i + NLANES) *
			*(const LanesAnywhere *) (factors + i + NLANES);

		lanes_add(&high, &low, &next);
		lanes_add(&other_high, &other_low, &other);
	}
	if (i > 0)
	{
		lanes_sum(&sum, &high, &low);
		lanes_sum(&sum, &other_high, &other_low);
	}
	for (; i < nvalues; i++)
		add_plain(&sum, values[i] * factors[i]);
	return sum;
}

static CODEC_AVX2 PlainSum
sum_avx2(const double *values, uint32 nvalues)
{
	return sum_kernel(values, nvalues);
}

static CODEC_AVX2 PlainSum
sum_products_avx2(const double *values, const double *factors, uint32 nvalues)
{
	return sum_products_kernel(values, factors, nvalues);
}

static inline PlainSum
plain_sum(const double *values, uint32 nvalues)
{
	return codec_cpu_has_avx2() ? sum_avx2(values, nvalues) : sum_kernel(values, nvalues);
}

static inline PlainSum
plain_sum_products(const double *values, const double *factors, uint32 nvalues)
{
	return codec_cpu_has_avx2() ? sum_products_avx2(values, factors, nvalues)
		: sum_products_kernel(values, factors, nvalues);
}

/* Adds a plain sum and returns true, if neither need be scaled. */
static inline bool
try_merge_plain(DoubleSum *sum, PlainSum part)
{
	double		error;
	double		high = reduction_two_sum(sum->high, part.high, &error);

	if (unlikely(sum->scaled || !isfinite(high)))
		return false;
	sum->low += error + part.low;
	sum->high = high;
	return true;
}

DoubleSum
double_sum(const double *values, uint32 nvalues)
{
	PlainSum	plain = plain_sum(values, nvalues);
	DoubleSum	sum = {.high = plain.high, .low = plain.low};
	PlainSum	scaled = {0};

	if (isfinite(plain.high))
		return sum;
	for (uint32 i = 0; i < nvalues; i++)
		add_plain(&scaled, values[i] * DOUBLE_SUM_SCALE);
	return (DoubleSum) {.high = scaled.high, .low = scaled.low, .scaled = true};
}

DoubleSum
double_sum_products(const double *values, const double *factors, uint32 nvalues)
{
	PlainSum	plain = plain_sum_products(values, factors, nvalues);
	DoubleSum	sum = {.high = plain.high, .low = plain.low};
	PlainSum	scaled = {0};

	if (isfinite(plain.high))
		return sum;
	for (uint32 i = 0; i < nvalues; i++)
		add_plain(&scaled, values[i] * (factors[i] * DOUBLE_SUM_SCALE));
	return (DoubleSum) {.high = scaled.high, .low = scaled.low, .scaled = true};
}

void
double_sum_add_values(DoubleSum *sum, const double *values, uint32 nvalues)
{
	if (!try_merge_plain(sum, plain_sum(values, nvalues)))
	{
		DoubleSum	part = double_sum(values, nvalues);

		double_sum_merge(sum, &part);
	}
}

void
double_sum_add_products(DoubleSum *sum, const double *values, const double *factors,
						uint32 nvalues)
{
	if (!try_merge_plain(sum, plain_sum_products(values, factors, nvalues)))
	{
		DoubleSum	part = double_sum_products(values, factors, nvalues);

		double_sum_merge(sum, &part);
	}
}

void
double_sum_add_scaled_product(DoubleSum *sum, double value, double factor)
{
	DoubleSum	product = double_sum_products(&value, &factor, 1);

	double_sum_merge(sum, &product);
}

void
reduction_init(Reduction *state)
{
	memset(state, 0, sizeof(*state));
	state->min = get_float8_infinity();
	state->max = -get_float8_infinity();
}

/* The first of all values stays. */
static inline void
add_ends(Reduction *state, double first, double last)
{
	if (state->count == 0)
		state->first = first;
	state->last = last;
}

/* Merges the spread of a part, whose count is that of its values; the count of state is that before. */
static void
put_spread(Reduction *state, const Reduction *part)
{
	if (state->count > 0)
	{
		merge_spread(state, part);
		return;
	}
	state->exponent = part->exponent;
	state->shift = part->shift;
	state->offset = part->offset;
	state->square_sum = part->square_sum;
}

static void
add_spread_of(Reduction *state, const double *values, uint32 nvalues)
{
	Reduction	part;

	reduction_init(&part);
	part.count = nvalues;
	add_spread(&part, values, nvalues);
	put_spread(state, &part);
}

void
reduction_add(Reduction *state, int facets, const double *values, uint32 nvalues)
{
	if (nvalues == 0)
		return;
	if (facets & REDUCTION_SUM)
		double_sum_add_values(&state->sum, values, nvalues);
	if (facets & REDUCTION_EXTREMES)
		add_extremes(state, values, nvalues);
	if (facets & REDUCTION_SPREAD)
		add_spread_of(state, values, nvalues);
	if (facets & REDUCTION_ENDS)
		add_ends(state, values[0], values[nvalues - 1]);
	state->count += nvalues;
}

void
reduction_merge(Reduction *state, int facets, const Reduction *later)
{
	int64		count = state->count + later->count;

	if (later->count == 0)
		return;
	if (state->count == 0)
	{
		*state = *later;
		return;
	}
	if (facets & REDUCTION_SUM)
		double_sum_merge(&state->sum, &later->sum);
	if (facets & REDUCTION_EXTREMES)
	{
		state->nans += later->nans;
		state->min = later->min < state->min ? later->min : state->min;
		state->max = later->max > state->max ? later->max : state->max;
	}
	if (facets & REDUCTION_SPREAD)
		merge_spread(state, later);
	if (facets & REDUCTION_ENDS)
		state->last = later->last;
	state->count = count;
}

void
reduction_add_parts(Reduction *state, int facets, const ReducedParts *parts)
{
	if (parts->count == 0)
		return;
	if (facets & REDUCTION_SUM)
		double_sum_add_values(&state->sum, parts->sum, parts->nparts);
	if (facets & REDUCTION_EXTREMES)
	{
		for (uint32 i = 0; i < parts->nparts; i++)
		{
			state->min = parts->min[i] < state->min ? parts->min[i] : state->min;
			state->max = parts->max[i] > state->max ? parts->max[i] : state->max;
		}
	}
	if (facets & REDUCTION_SPREAD)
	{
		Reduction	whole;

		reduction_init(&whole);
		whole.count = parts->count;
		add_parts_spread(&whole, parts);
		put_spread(state, &whole);
	}
	if (facets & REDUCTION_ENDS)
		add_ends(state, parts->first[0], parts->last[parts->nparts - 1]);
	state->count += parts->count;
}

bool
reduction_count(const Reduction *state, double *result)
{
	*result = (double) state->count;
	return true;
}

bool
reduction_sum(const Reduction *state, double *result)
{
	*result = double_sum_value(&state->sum);
	return state->count > 0;
}

bool
reduction_average(const Reduction *state, double *result)
{
	*result = double_sum_quotient(&state->sum, (double) state->count);
	return state->count > 0;
}

/* As PostgreSQL orders doubles: NaN is greater than all others. */
bool
reduction_min(const Reduction *state, double *result)
{
	*result = state->nans == state->count ? get_float8_nan() : state->min;
	return state->count > 0;
}

bool
reduction_max(const Reduction *state, double *result)
{
	*result = state->nans > 0 ? get_float8_nan() : state->max;
	return state->count > 0;
}

bool
reduction_range(const Reduction *state, double *result)
{
	*result = state->nans > 0 ? get_float8_nan() : state->max - state->min;
	return state->count > 0;
}

bool
reduction_stddev(const Reduction *state, double *result)
{
	*result = ldexp(sqrt(state->square_sum / (double) (state->count - 1)), state->exponent);
	return state->count > 1;
}

/* That of all values, not of a sample, as reduction_deviation_about() has it. */
bool
reduction_deviation(const Reduction *state, double *result)
{
	double		square_sum = ldexp(state->square_sum, 2 * state->exponent);
	double		mean = ldexp(state->shift, state->exponent);

	*result = sqrt(square_sum / (double) state->count);
	return square_is_within_range(square_sum, mean);
}

bool
reduction_delta(const Reduction *state, double *result)
{
	*result = state->last - state->first;
	return state->count > 0;
}

typedef __typeof__((Lanes) {0} < (Lanes) {0}) LanesMask;

/* In each lane, value where it is chosen, and the present number elsewhere. */
CODEC_KERNEL void
lanes_choose(Lanes *present, const Lanes *value, const LanesMask * chosen)
{
	*present = (Lanes) (((LanesMask) * value & *chosen) | ((LanesMask) * present & ~*chosen));
}

/* A comparison with NaN is false, which leaves it out. */
CODEC_KERNEL void
lanes_add_extremes(Lanes *min, Lanes *max, LanesMask * nans, const Lanes *value)
{
	LanesMask	less = *value < *min;
	LanesMask	greater = *value > *max;

	lanes_choose(min, value, &less);
	lanes_choose(max, value, &greater);
	*nans -= *value != *value;	/* true is -1 */
}

/* Adds values to the extremes of a state, in two vectors of lanes as sums are. */
CODEC_KERNEL void
extremes_kernel(Reduction *state, const double *values, uint32 nvalues)
{
	double		least = state->min;
	double		greatest = state->max;
	Lanes		min[2] = {{least, least, least, least}, {least, least, least, least}};
	Lanes		max[2] = {{greatest, greatest, greatest, greatest}, {greatest, greatest, greatest, greatest}};
	LanesMask	nans[2] = {{0}};
	uint32		i = 0;

	for (; i + 2 * NLANES <= nvalues; i += 2 * NLANES)
	{
		Lanes		next = *(const LanesAnywhere *) (values + i);
		Lanes		other = *(const LanesAnywhere *) (values + i + NLANES);

		lanes_add_extremes(&min[0], &max[0], &nans[0], &next);
		lanes_add_extremes(&min[1], &max[1], &nans[1], &other);
	}
	for (int n = 0; n < 2; n++)
	{
		for (int lane = 0; lane < NLANES; lane++)
		{
			least = min[n][lane] < least ? min[n][lane] : least;
			greatest = max[n][lane] > greatest ? max[n][lane] : greatest;
			state->nans += nans[n][lane];
		}
	}
	for (; i < nvalues; i++)
	{
		least = values[i] < least ? values[i] : least;
		greatest = values[i] > greatest ? values[i] : greatest;
		state->nans += isnan(values[i]);
	}
	state->min = least;
	state->max = greatest;
}

static CODEC_AVX2 void
extremes_avx2(Reduction *state, const double *values, uint32 nvalues)
{
	extremes_kernel(state, values, nvalues);
}

static void
add_extremes(Reduction *state, const double *values, uint32 nvalues)
{
	if (codec_cpu_has_avx2())
		extremes_avx2(state, values, nvalues);
	else
		extremes_kernel(state, values, nvalues);
}

void
reduction_extremes(const double *values, uint32 nvalues, double *min, double *max)
{
	Reduction	extremes = {.min = values[0], .max = values[0]};

	add_extremes(&extremes, values, nvalues);
	*min = extremes.min;
	*max = extremes.max;
}

/* Makes the spread that of the values divided by 2^exponent. */
static void
spread_set_exponent(Reduction *state, int exponent)
{
	int			by = state->exponent - exponent;

	if (by == 0)
		return;
	state->shift = ldexp(state->shift, by);
	state->offset = ldexp(state->offset, by);
	state->square_sum = ldexp(state->square_sum, 2 * by);
	state->exponent = exponent;
}

/*
 * Merges spreads as Chan, Golub and LeVeque do in "Updating formulae and a pairwise algorithm for
 * computing sample variances", but with means in two parts, because their difference cancels.
 */
static void
merge_spread(Reduction *state, const Reduction *later)
{
	Reduction	part = *later;
	int			exponent = Max(state->exponent, part.exponent);
	double		share = (double) part.count / (double) (state->count + part.count);
	double		distance;

	spread_set_exponent(state, exponent);
	spread_set_exponent(&part, exponent);
	distance = (part.shift - state->shift) + (part.offset - state->offset);
	state->offset += distance * share;
	state->square_sum += part.square_sum + distance * distance * share * (double) state->count;
}

/* Sets the spread of a new state, with an exponent where squares need one. */
static void
add_spread(Reduction *part, const double *values, uint32 nvalues)
{
	double		largest = 0;
	double	   *scaled;

	measure_spread(part, values, nvalues);
	if (part->square_sum > 0 && square_is_within_range(part->square_sum, part->shift))
		return;

	/* the values are all the same, or so small or large that squares leave the range of doubles */
	for (uint32 i = 0; i < nvalues; i++)
	{
		if (!isfinite(values[i]))
			return;
		largest = Max(largest, fabs(values[i]));
	}
	if (largest == 0)
	{
		part->exponent = EXPONENT_OF_ZERO;
		return;
	}
	if (largest > VALUES_LEAST && largest < VALUES_MOST)
		return;

	scaled = palloc_array(double, nvalues);
	part->exponent = ilogb(largest);
	for (uint32 i = 0; i < nvalues; i++)
		scaled[i] = ldexp(values[i], -part->exponent);
	measure_spread(part, scaled, nvalues);
	pfree(scaled);
}

/* Can a square sum of values with this mean do without an exponent? */
static bool
square_is_within_range(double square_sum, double mean)
{
	if (square_sum == 0)
		return mean == 0 || (fabs(mean) > VALUES_LEAST && fabs(mean) < VALUES_MOST);
	return square_sum > SQUARES_LEAST && square_sum < SQUARES_MOST && fabs(mean) < VALUES_MOST;
}

CODEC_KERNEL double
square_sum_kernel(const double *values, uint32 nvalues, double mean)
{
	Lanes		sum = {0};
	Lanes		squares = {0};
	Lanes		means = {mean, mean, mean, mean};
	double		total = 0;
	double		square_sum = 0;
	uint32		i = 0;

	for (; i + NLANES <= nvalues; i += NLANES)
	{
		Lanes		distance = *(const LanesAnywhere *) (values + i) - means;

		sum += distance;
		squares += distance * distance;
	}
	for (int lane = 0; lane < NLANES; lane++)
	{
		total += sum[lane];
		square_sum += squares[lane];
	}
	for (; i < nvalues; i++)
	{
		total += values[i] - mean;
		square_sum += (values[i] - mean) * (values[i] - mean);
	}
	return square_sum - total * (total / nvalues);
}

static CODEC_AVX2 double
square_sum_avx2(const double *values, uint32 nvalues, double mean)
{
	return square_sum_kernel(values, nvalues, mean);
}

bool
reduction_deviation_about(const double *values, uint32 nvalues, double mean, double *deviation)
{
	double		square_sum = codec_cpu_has_avx2() ? square_sum_avx2(values, nvalues, mean)
		: square_sum_kernel(values, nvalues, mean);
	bool		same = true;

	/* where all values are the same the mean, which is rounded, may be another number */
	for (uint32 i = 1; i < nvalues && same; i++)
		same = values[i] == values[0];
	if (same)
		square_sum = 0;
	else if (!(square_sum > 0))
		return false;
	*deviation = sqrt(square_sum / nvalues);
	return square_is_within_range(square_sum, same ? values[0] : mean);
}

/*
 * Sets the spread of a new state to that of parts: about one number, so that the distance of each part's mean
 * from it is known to the last bits of that distance.
 */
static void
add_parts_spread(Reduction *whole, const ReducedParts *parts)
{
	double		count = (double) parts->count;
	double		shift = 0;
	double		distances = 0;	/* of all values from shift */
	double		squares = 0;
	bool		same = true;

	for (uint32 i = 0; i < parts->nparts; i++)
	{
		same = same && parts->deviation[i] == 0 && parts->min[i] == parts->min[0];
		shift += parts->sum[i] / count;
	}
	if (same)
	{
		whole->shift = parts->min[0];
		whole->exponent = whole->shift == 0 ? EXPONENT_OF_ZERO : 0;
		return;
	}
	for (uint32 i = 0; i < parts->nparts; i++)
	{
		double		n = (double) parts->counts[i];
		double		deviation = parts->deviation[i];
		double		distance = deviation == 0 ? n * (parts->min[i] - shift)
			: fma(-n, shift, parts->sum[i]) + parts->rest[i];

		distances += distance;
		squares += n * deviation * deviation + distance * (distance / n);
	}
	whole->shift = shift;
	whole->offset = distances / count;
	whole->square_sum = squares - distances * whole->offset;
	if (whole->square_sum < 0)
		whole->square_sum = 0;
}

/* Takes two passes: for the mean, and for the distances to it, which rounding hardly affects. */
static void
measure_spread(Reduction *part, const double *values, uint32 nvalues)
{
	double		sum[NLANES] = {0};
	double		squares[NLANES] = {0};
	double		base = values[0];
	double		shift;
	uint32		i;

	for (i = 0; i < nvalues; i++)
		sum[i % NLANES] += values[i] - base;
	shift = base + (sum[0] + sum[1] + sum[2] + sum[3]) / nvalues;
	if (!isfinite(shift))
		shift = base;

	memset(sum, 0, sizeof(sum));
	for (i = 0; i + NLANES <= nvalues; i += NLANES)
	{
		for (int lane = 0; lane < NLANES; lane++)
		{
			double		distance = values[i + lane] - shift;

			sum[lane] += distance;
			squares[lane] += distance * distance;
		}
	}
	for (; i < nvalues; i++)
	{
		double		distance = values[i] - shift;

		sum[0] += distance;
		squares[0] += distance * distance;
	}
	sum[0] += sum[1] + sum[2] + sum[3];
	squares[0] += squares[1] + squares[2] + squares[3];

	part->shift = shift;
	part->offset = sum[0] / nvalues;
	part->square_sum = squares[0] - sum[0] * part->offset;
	if (part->square_sum < 0)
		part->square_sum = 0;
}
