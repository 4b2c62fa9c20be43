/*
 * method_time_average.c
 *	  The method time_average: the average of the values, weighted by how long each holds.
 *
 * It is the average of what the method last returns over every instant of the period.  A row's
 * values hold until the next row, and the row before the window holds at its start.  Spans in which
 * an element is NULL, and the span before the tag's first row, have no weight.
 */
#include "postgres.h"

#include "read/method_time_average.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "read/as_of.h"
#include "read/leaf_periods.h"
#include "store/reduction.h"

/* The row whose values hold at a time. */
typedef struct HeldRow
{
	int64		since;			/* the row's time, or the start of the period if that is later */
	bool		has_array;
	uint32		width;
	double		values[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];
} HeldRow;

typedef struct Period
{
	bool		has_array;
	uint32		width;
	TimeReduction columns[CODEC_MAX_VALUES];	/* [width] */
	HeldRow		held;
	double		spans[CODEC_MAX_ROWS];
	double		scratch_values[CODEC_MAX_ROWS];
	double		scratch_spans[CODEC_MAX_ROWS];
} Period;

static void hold_row_before(HeldRow *held, const MethodCall *call);
static void hold_row(HeldRow *held, const RowSlice *slice);
static void widen(Period *period, uint32 width);
static void add_held(Period *period, int64 until);
static void add_rows(Period *period, const RowSlice *slice);
static void add_summaries(Period *period, const SummarySlice *slice);
static void add_summary(Period *period, const SummarySlice *slice, uint32 i);
static void finish(Period *period, int64 time, SampleSink *sink);

void
method_time_average(const MethodCall *call)
{
	Period	   *period = palloc0_object(Period);
	uint32		nperiods = call->window->samples;
	uint32		current = 0;
	LeafPeriods *reader;
	PeriodPart	part;

	hold_row_before(&period->held, call);
	reader = leaf_periods_begin(call->leaves, call->tag, call->window->start + 1, call->ends,
								nperiods, 1 << SUMMARY_INTEGRAL | 1 << SUMMARY_LAST, values_all);
	while (leaf_periods_next(reader, &part))
	{
		for (; current < part.period; current++)
			finish(period, call->ends[current], call->sink);
		if (part.summarized)
			add_summaries(period, &part.summaries);
		else
			add_rows(period, &part.rows);
	}
	for (; current < nperiods; current++)
		finish(period, call->ends[current], call->sink);
	leaf_periods_end(reader);
	pfree(period);
}

/* Holds the last row at or before the window's start, from that start on. */
static void
hold_row_before(HeldRow *held, const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->leaves);
	bool		changed;
	bool		isnull;

	held->since = call->window->start;
	held->has_array = false;
	as_of_start(reader, call->tag, call->window->start);
	if (as_of_seek(reader, call->window->start, &changed))
	{
		Datum		array = as_of_values(reader, &isnull);

		if (!isnull)
		{
			Datum	   *elements;
			bool	   *nulls;
			int			nelements;

			deconstruct_array(DatumGetArrayTypeP(array), FLOAT8OID, sizeof(float8),
							  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &nelements);
			held->has_array = true;
			held->width = nelements;
			for (int v = 0; v < nelements; v++)
			{
				held->isnull[v] = nulls[v];
				held->values[v] = nulls[v] ? 0 : DatumGetFloat8(elements[v]);
			}
		}
	}
	as_of_end(reader);
}

/* Holds the last row of a slice, from its time on. */
static void
hold_row(HeldRow *held, const RowSlice *slice)
{
	const DecodedRows *rows = slice->rows;
	uint32		row = slice->first + slice->nrows - 1;
	RowSlice	last = {.rows = rows, .first = row, .nrows = 1};

	held->since = rows->time[row];
	held->has_array = row_slice_width(&last, &held->width);
	for (uint32 v = 0; v < held->width; v++)
	{
		held->isnull[v] = !decoded_rows_has_value(rows, row, v);
		held->values[v] = rows->values[(Size) v * rows->nrows + row];
	}
}

static void
widen(Period *period, uint32 width)
{
	period->has_array = true;
	for (; period->width < width; period->width++)
		period->columns[period->width] = (TimeReduction) {0};
}

/* Adds the values held, for the span up to a time. */
static void
add_held(Period *period, int64 until)
{
	const HeldRow *held = &period->held;
	uint64		span = (uint64) until - (uint64) held->since;
	uint32		width = held->width;
	TimeReduction *column;

	if (span == 0 || !held->has_array)
		return;
	widen(period, width);
	column = period->columns;
	for (uint32 v = 0; v < width; v++, column++)
	{
		if (held->isnull[v])
			continue;
		column->time_ns += span;
		double_sum_add_product(&column->integral, held->values[v], (double) span);
	}
}

/* Adds the spans up to and between the rows of a slice, and holds its last row. */
static void
add_rows(Period *period, const RowSlice *slice)
{
	const int64 *times = slice->rows->time + slice->first;
	RowSlice	inner = *slice;
	uint32		width;

	add_held(period, times[0]);
	inner.nrows = slice->nrows - 1;
	if (inner.nrows > 0 && row_slice_width(&inner, &width))
	{
		widen(period, width);
		for (uint32 i = 0; i < inner.nrows; i++)
			period->spans[i] = (double) ((uint64) times[i + 1] - (uint64) times[i]);
		for (uint32 v = 0; v < width; v++)
		{
			TimeReduction *column = &period->columns[v];
			const double *values = NULL;
			uint32		n = row_slice_values(&inner, v, period->scratch_values, &values);
			const double *spans =
				row_slice_factors(&inner, v, period->spans, period->scratch_spans);

			double_sum_add_products(&column->integral, values, spans, n);
			if (n == inner.nrows)
				column->time_ns += (uint64) times[inner.nrows] - (uint64) times[0];
			else
			{
				DoubleSum	time = double_sum(spans, n);

				column->time_ns += (uint64) double_sum_value(&time);
			}
		}
	}
	hold_row(&period->held, slice);
}

/* Adds the spans up to, within and between whole segments, and holds the last row. */
static void
add_summaries(Period *period, const SummarySlice *slice)
{
	for (uint32 i = 0; i < slice->nsegments; i++)
		add_summary(period, slice, i);
}

static void
add_summary(Period *period, const SummarySlice *slice, uint32 i)
{
	const SummaryBlock *block = slice->block;
	HeldRow    *held = &period->held;
	uint32		segment = slice->first + i;
	uint32		width = block->width[segment];
	Size		stride = block->nsegments;
	const double *last = block->facet[SUMMARY_LAST] + segment;	/* of each value, at multiples of
																 * stride */
	const double *integral = block->facet[SUMMARY_INTEGRAL] + segment;
	int64		first_time = block->first_time[segment];
	int64		last_time = block->last_time[segment];
	uint64		span = (uint64) last_time - (uint64) first_time;
	TimeReduction *column;

	add_held(period, first_time);
	held->since = last_time;
	held->has_array = true;
	held->width = width;
	for (uint32 v = 0; v < width; v++)
	{
		held->isnull[v] = false;
		held->values[v] = last[v * stride];
	}
	if (span == 0)
		return;
	widen(period, width);
	column = period->columns;
	for (uint32 v = 0; v < width; v++, column++)
	{
		column->time_ns += span;
		double_sum_add(&column->integral, integral[v * stride]);
	}
}

/* Puts the sample of the period that ends at time, and starts the next one. */
static void
finish(Period *period, int64 time, SampleSink *sink)
{
	double		elements[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];

	add_held(period, time);
	for (uint32 v = 0; v < period->width; v++)
	{
		const TimeReduction *column = &period->columns[v];

		isnull[v] = column->time_ns == 0;
		elements[v] = double_sum_quotient(&column->integral, (double) column->time_ns);
	}
	sample_sink_put_elements(sink, time, period->has_array, elements, isnull, period->width);
	period->has_array = false;
	period->width = 0;
	period->held.since = time;
}
