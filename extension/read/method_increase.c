/*
 * method_increase.c
 *	  The methods increase and rate: by how much a counter has grown, over its resets.
 *
 * Each value adds its distance to the value of that element before it or, where it is less, because
 * the counter has begun anew at zero, itself.  Where the modulus of the counter is known, a value that
 * is less may have gone over that.  It adds that to the period in which it is, so that the
 * periods add up to the window.  Before the first period, the last row at or before the window's start
 * counts.  NULL and NaN are passed over.
 */
#include "postgres.h"

#include "read/method_increase.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "read/as_of.h"
#include "read/leaf_periods.h"
#include "store/reduction.h"

#define NS_PER_SECOND 1e9

/* The counters of a tag. */
typedef struct Counters
{
	double		modulus;		/* at which they begin anew at zero; 0: none is known */
	bool		has_array;		/* of the present period */
	uint32		width;
	bool		known[CODEC_MAX_VALUES];	/* is there a value before? */
	double		before[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];	/* [width] of the present period */
	DoubleSum	grown[CODEC_MAX_VALUES];	/* [width] likewise */
} Counters;

static void run(const MethodCall *call, bool by_time);
static void learn_start(Counters *counters, const MethodCall *call);
static void add_rows(Counters *counters, const RowSlice *slice);
static void add_value(Counters *counters, uint32 v, double value);
static bool has_wrapped(const Counters *counters, double before, double value);
static void put(Counters *counters, const MethodCall *call, uint32 period, bool by_time);

void
method_increase(const MethodCall *call)
{
	run(call, false);
}

/* Divides by the seconds of the period. */
void
method_rate(const MethodCall *call)
{
	run(call, true);
}

static void
run(const MethodCall *call, bool by_time)
{
	Counters   *counters = palloc0_object(Counters);
	uint32		nperiods = call->window->samples;
	uint32		current = 0;
	LeafPeriods *reader;
	PeriodPart	part;

	counters->modulus = call->argument;
	learn_start(counters, call);
	reader = leaf_periods_begin(call->leaves, call->tag, call->window->start + 1, call->ends,
								nperiods, PERIOD_ROWS_ONLY, values_all);
	while (leaf_periods_next(reader, &part))
	{
		CHECK_FOR_INTERRUPTS();
		for (; current < part.period; current++)
			put(counters, call, current, by_time);
		add_rows(counters, &part.rows);
	}
	for (; current < nperiods; current++)
		put(counters, call, current, by_time);
	leaf_periods_end(reader);
	pfree(counters);
}

/* Learns the values of the last row at or before the window's start. */
static void
learn_start(Counters *counters, const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->leaves);
	bool		changed;

	as_of_start(reader, call->tag, call->window->start);
	if (as_of_seek(reader, call->window->start, &changed))
	{
		bool		isnull;
		Datum		array = as_of_values(reader, &isnull);
		Datum	   *elements;
		bool	   *nulls;
		int			width = 0;

		if (!isnull)
			deconstruct_array(DatumGetArrayTypeP(array), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
							  TYPALIGN_DOUBLE, &elements, &nulls, &width);
		for (int v = 0; v < width; v++)
		{
			counters->known[v] = !nulls[v] && !isnan(DatumGetFloat8(elements[v]));
			counters->before[v] = nulls[v] ? 0 : DatumGetFloat8(elements[v]);
		}
	}
	as_of_end(reader);
}

static void
add_rows(Counters *counters, const RowSlice *slice)
{
	const DecodedRows *rows = slice->rows;
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	counters->has_array = true;
	for (; counters->width < width; counters->width++)
	{
		counters->isnull[counters->width] = true;
		counters->grown[counters->width] = (DoubleSum) {0};
	}
	for (uint32 v = 0; v < width; v++)
	{
		for (uint32 row = slice->first; row < slice->first + slice->nrows; row++)
		{
			if (decoded_rows_has_value(rows, row, v))
				add_value(counters, v, rows->values[(Size) v * rows->nrows + row]);
		}
	}
}

static void
add_value(Counters *counters, uint32 v, double value)
{
	if (isnan(value))
		return;
	counters->isnull[v] = false;
	if (counters->known[v] && value != counters->before[v])
	{
		bool		wrapped = has_wrapped(counters, counters->before[v], value);

		double_sum_add(&counters->grown[v], value);
		if (wrapped)
			double_sum_add(&counters->grown[v], counters->modulus);
		if (wrapped || value > counters->before[v])
			double_sum_add(&counters->grown[v], -counters->before[v]);
	}
	counters->known[v] = true;
	counters->before[v] = value;
}

/*
 * Has a counter gone over its modulus?  Then it has grown by less than half of that; a counter that
 * would have grown by more has begun anew.
 */
static bool
has_wrapped(const Counters *counters, double before, double value)
{
	double		grown = counters->modulus - before + value;

	return counters->modulus > 0 && value < before && grown >= 0 && grown < counters->modulus / 2;
}

/* Puts the sample of a period, and begins the next one. */
static void
put(Counters *counters, const MethodCall *call, uint32 period, bool by_time)
{
	double		elements[CODEC_MAX_VALUES];
	int64		begin = period == 0 ? call->window->start : call->ends[period - 1];
	double		seconds = ((uint64) call->ends[period] - (uint64) begin) / NS_PER_SECOND;

	for (uint32 v = 0; v < counters->width; v++)
		elements[v] = by_time ? double_sum_quotient(&counters->grown[v], seconds)
			: double_sum_value(&counters->grown[v]);
	sample_sink_put_elements(call->sink, call->ends[period], counters->has_array, elements,
							 counters->isnull, counters->width);
	counters->has_array = false;
	counters->width = 0;
}
