/*
 * method_percentile.c
 *	  The method percentile: the value that a given percentage of a period's values do not exceed.
 *
 * It lies on the line between the two nearest values, as that of percentile_cont() does.
 */
#include "postgres.h"

#include "read/method_percentile.h"

#include "miscadmin.h"

#include "compat.h"
#include "read/leaf_periods.h"
#include "read/quantile_sketch.h"

#define PERCENT 100

typedef struct Percentiles
{
	bool		has_array;		/* of the present period */
	uint32		width;
	QuantileSketch *columns[CODEC_MAX_VALUES];	/* used again in each period */
	double		scratch[CODEC_MAX_ROWS];
} Percentiles;

static void add_rows(Percentiles *percentiles, const RowSlice *slice);
static void put(Percentiles *percentiles, const MethodCall *call, int64 time);

void
method_percentile(const MethodCall *call)
{
	Percentiles *percentiles = palloc0_object(Percentiles);
	uint32		nperiods = call->window->samples;
	uint32		current = 0;
	LeafPeriods *reader;
	PeriodPart	part;

	reader = leaf_periods_begin(call->leaves, call->tag, call->window->start + 1, call->ends,
								nperiods, PERIOD_ROWS_ONLY, values_all);
	while (leaf_periods_next(reader, &part))
	{
		CHECK_FOR_INTERRUPTS();
		for (; current < part.period; current++)
			put(percentiles, call, call->ends[current]);
		add_rows(percentiles, &part.rows);
	}
	for (; current < nperiods; current++)
		put(percentiles, call, call->ends[current]);
	leaf_periods_end(reader);
}

static void
add_rows(Percentiles *percentiles, const RowSlice *slice)
{
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	percentiles->has_array = true;
	for (; percentiles->width < width; percentiles->width++)
	{
		if (percentiles->columns[percentiles->width] == NULL)
			percentiles->columns[percentiles->width] = quantile_sketch_make();
	}
	for (uint32 v = 0; v < width; v++)
	{
		const double *values = NULL;
		uint32		nvalues = row_slice_values(slice, v, percentiles->scratch, &values);

		quantile_sketch_add(percentiles->columns[v], values, nvalues);
	}
}

/* Puts the sample of a period, and begins the next one. */
static void
put(Percentiles *percentiles, const MethodCall *call, int64 time)
{
	double		elements[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];
	double		fraction = call->argument / PERCENT;

	CHECK_FOR_INTERRUPTS();
	for (uint32 v = 0; v < percentiles->width; v++)
	{
		isnull[v] = !quantile_sketch_read(percentiles->columns[v], &fraction, &elements[v], 1);
		quantile_sketch_clear(percentiles->columns[v]);
	}
	sample_sink_put_elements(call->sink, time, percentiles->has_array, elements, isnull,
							 percentiles->width);
	percentiles->has_array = false;
	percentiles->width = 0;
}
