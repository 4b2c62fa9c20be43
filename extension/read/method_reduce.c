/*
 * method_reduce.c
 *	  The methods that reduce the rows of each period, element by element, to one number.
 *
 * They take one pass over the window, column by column: over the summaries of segments that lie
 * wholly in a period, and over the rows of other segments.  A sample has as many elements as the
 * widest array of its period.  Elements that are NULL, or that a narrower array lacks, do not
 * count.  The sample's array is NULL if the period has no array.
 */
#include "postgres.h"

#include "read/method_reduce.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "read/leaf_periods.h"
#include "store/reduction.h"

/* The state of one period. */
typedef struct Period
{
	int			facets;
	bool		has_array;
	uint32		width;
	Reduction	columns[CODEC_MAX_VALUES];	/* [width] */
	double		scratch[CODEC_MAX_ROWS];
} Period;

static void reduce(const MethodCall *call, int facets, ReductionResult result);
static void period_clear(Period *period);
static void period_add_rows(Period *period, const RowSlice *slice);
static void period_add_summaries(Period *period, const SummarySlice *slice);
static void period_widen(Period *period, uint32 width);
static void period_put(const Period *period, int64 time, ReductionResult result, SampleSink *sink);
static void put_padded(const MethodCall *call, const SampleSink *waiting);
static ArrayType *padded_array(const ArrayType *array, int width);

void
method_min(const MethodCall *call)
{
	reduce(call, REDUCTION_EXTREMES, reduction_min);
}

void
method_max(const MethodCall *call)
{
	reduce(call, REDUCTION_EXTREMES, reduction_max);
}

void
method_range(const MethodCall *call)
{
	reduce(call, REDUCTION_EXTREMES, reduction_range);
}

void
method_average(const MethodCall *call)
{
	reduce(call, REDUCTION_SUM, reduction_average);
}

void
method_sum(const MethodCall *call)
{
	reduce(call, REDUCTION_SUM, reduction_sum);
}

void
method_stddev(const MethodCall *call)
{
	reduce(call, REDUCTION_SPREAD, reduction_stddev);
}

void
method_delta(const MethodCall *call)
{
	reduce(call, REDUCTION_ENDS, reduction_delta);
}

/*
 * Counts rows.  A period without rows has a count of 0 for each element of the window's widest
 * array, which is known only when all rows have been read.  So the samples wait until then, on disk
 * if they are many.
 */
void
method_count(const MethodCall *call)
{
	MethodCall	counting = *call;
	SampleSink	waiting = *call->sink;

	waiting.store = tuplestore_begin_heap(false, false, work_mem);
	counting.sink = &waiting;
	reduce(&counting, 0, reduction_count);
	put_padded(call, &waiting);
	tuplestore_end(waiting.store);
}

/* Reduces the rows of each period, and puts the results. */
static void
reduce(const MethodCall *call, int facets, ReductionResult result)
{
	Period	   *period = palloc_object(Period);
	uint32		nperiods = call->window->samples;
	uint32		current = 0;
	LeafPeriods *reader;
	PeriodPart	part;

	period->facets = facets;
	period->width = 0;
	period_clear(period);
	reader = leaf_periods_begin(call->leaves, call->tag, call->window->start + 1, call->ends,
								nperiods, period_reader_facets(facets), values_all);
	while (leaf_periods_next(reader, &part))
	{
		for (; current < part.period; current++)
		{
			period_put(period, call->ends[current], result, call->sink);
			period_clear(period);
		}
		if (part.summarized)
			period_add_summaries(period, &part.summaries);
		else
			period_add_rows(period, &part.rows);
	}
	for (; current < nperiods; current++)
	{
		period_put(period, call->ends[current], result, call->sink);
		period_clear(period);
	}
	leaf_periods_end(reader);
	pfree(period);
}

static void
period_clear(Period *period)
{
	period->has_array = false;
	period->width = 0;
}

static void
period_add_rows(Period *period, const RowSlice *slice)
{
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	period_widen(period, width);
	for (uint32 v = 0; v < width; v++)
	{
		const double *values = NULL;
		uint32		nvalues = row_slice_values(slice, v, period->scratch, &values);

		reduction_add(&period->columns[v], period->facets, values, nvalues);
	}
}

static void
period_add_summaries(Period *period, const SummarySlice *slice)
{
	const SummaryBlock *block = slice->block;
	uint32		width = block->width[slice->first];
	int64		count = 0;

	for (uint32 i = slice->first; i < slice->first + slice->nsegments; i++)
		count += block->nrows[i];
	period_widen(period, width);
	for (uint32 v = 0; v < width; v++)
		summary_slice_reduce(slice, v, count, period->facets, &period->columns[v]);
}

/* Makes room for arrays of this width. */
static void
period_widen(Period *period, uint32 width)
{
	period->has_array = true;
	for (; period->width < width; period->width++)
		reduction_init(&period->columns[period->width]);
}

static void
period_put(const Period *period, int64 time, ReductionResult result, SampleSink *sink)
{
	double		elements[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];

	for (uint32 v = 0; v < period->width; v++)
		isnull[v] = !result(&period->columns[v], &elements[v]);
	sample_sink_put_elements(sink, time, period->has_array, elements, isnull, period->width);
}

/*
 * Puts the samples that wait, one for each period, with zeros appended to all arrays but the widest.
 * Their times are those of the call: in the waiting rows they may be timestamptz already.
 */
static void
put_padded(const MethodCall *call, const SampleSink *waiting)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(waiting->desc, &TTSOpsMinimalTuple);
	int			values_column = waiting->desc->natts;
	int			width = 0;

	while (tuplestore_gettupleslot(waiting->store, true, false, slot))
	{
		bool		isnull;
		Datum		array = slot_getattr(slot, values_column, &isnull);

		if (!isnull)
		{
			ArrayType  *counts = DatumGetArrayTypeP(array);

			width = Max(width, ArrayGetNItems(ARR_NDIM(counts), ARR_DIMS(counts)));
			if ((Pointer) counts != DatumGetPointer(array))
				pfree(counts);
		}
	}

	tuplestore_rescan(waiting->store);
	for (int32 i = 0; tuplestore_gettupleslot(waiting->store, true, false, slot); i++)
	{
		bool		isnull;
		Datum		array = slot_getattr(slot, values_column, &isnull);
		ArrayType  *counts = isnull ? NULL : DatumGetArrayTypeP(array);
		ArrayType  *padded = padded_array(counts, width);

		CHECK_FOR_INTERRUPTS();
		sample_sink_put(call->sink, call->ends[i], PointerGetDatum(padded), false);
		pfree(padded);
		if (!isnull && (Pointer) counts != DatumGetPointer(array))
			pfree(counts);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Returns an array without NULLs, or an empty one (NULL), with zeros appended up to this width. */
static ArrayType *
padded_array(const ArrayType *array, int width)
{
	int			dims[1] = {width};
	int			lower[1] = {1};
	int			given = array == NULL ? 0 : ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const double *counts = array == NULL ? NULL : (const double *) ARR_DATA_PTR(array);
	Datum		elements[CODEC_MAX_VALUES];

	for (int v = 0; v < width; v++)
		elements[v] = Float8GetDatum(v < given ? counts[v] : 0);
	return construct_md_array(elements, NULL, 1, dims, lower, FLOAT8OID, sizeof(float8),
							  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}
