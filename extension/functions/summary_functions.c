/*
 * summary_functions.c
 *	  historian.summary(), time_of_min(), time_of_max() and approx_tags(): what a window amounts to.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "functions/time_arguments.h"
#include "nanoseconds.h"
#include "read/as_of.h"
#include "read/distinct_sketch.h"
#include "read/extremes.h"
#include "read/leaf_periods.h"
#include "read/leaves.h"
#include "read/quantile_sketch.h"
#include "store/reduction.h"

PG_FUNCTION_INFO_V1(historian_summary);
PG_FUNCTION_INFO_V1(historian_approx_tags);
PG_FUNCTION_INFO_V1(historian_time_of_min);
PG_FUNCTION_INFO_V1(historian_time_of_max);

/* The arguments of historian.summary(). */
#define START 2
#define FRACTIONS 4
#define DETAIL 5

#define SUMMARY_NCOLUMNS 8
#define EXTREME_NCOLUMNS 2

/* The argument of time_of_min() and time_of_max() beside those above. */
#define VALUE 4

#define MAX_FRACTIONS 1000

/* What is known of a value. */
typedef struct ValueSummary
{
	Reduction	reduced;
	QuantileSketch *quantiles;	/* NULL without detail, as is all of distinct */
	DistinctSketch distinct;
} ValueSummary;

typedef struct Summary
{
	bool		detail;
	int			facets;
	uint32		nfractions;
	const double *fractions;
	uint32		width;
	ValueSummary *values[CODEC_MAX_VALUES]; /* [width] */
	double		scratch[CODEC_MAX_ROWS];
} Summary;

typedef struct ExtremesSought
{
	bool		any;
	PeriodExtremes *found;		/* if any */
} ExtremesSought;

static void read_fractions(Summary *summary, ArrayType *array);
static void summarize(Summary *summary, const Leaves *leaves, text *tag, int64 from, int64 until);
static void widen(Summary *summary, uint32 width);
static void add_rows(Summary *summary, const RowSlice *slice);
static void add_summaries(Summary *summary, const SummarySlice *slice);
static void put_values(const Summary *summary, ReturnSetInfo *result);
static Datum quantiles_datum(const Summary *summary, uint32 v, bool *isnull);
static Datum time_of_extreme(FunctionCallInfo fcinfo, bool greatest);
static void note_extremes(void *argument, const PeriodExtremes *period);

/*
 * historian.summary(table regclass, tag text, start, "end", fractions float8[], detail boolean)
 * returns setof (value integer, count bigint, min float8, max float8, mean float8, stddev float8,
 * quantiles float8[], approx_distinct bigint)
 */
Datum
historian_summary(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	MemoryContext context;
	MemoryContext caller;
	Summary    *summary;
	Leaves	   *leaves;
	int64		from;
	int64		until;

	InitMaterializedSRF(fcinfo, 0);
	context = AllocSetContextCreate(CurrentMemoryContext, "historian summary", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	summary = palloc0_object(Summary);
	summary->detail = PG_GETARG_BOOL(DETAIL);
	summary->facets = REDUCTION_SUM | REDUCTION_EXTREMES | REDUCTION_SPREAD;
	read_fractions(summary, PG_GETARG_ARRAYTYPE_P(FRACTIONS));
	if (time_argument_range(fcinfo, START, false, &from, &until))
	{
		leaves = leaves_open(PG_GETARG_OID(0));
		summarize(summary, leaves_for_tag(leaves, tag), tag, from, until);
		leaves_close(leaves);
		put_values(summary, (ReturnSetInfo *) fcinfo->resultinfo);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/*
 * historian.approx_tags(table regclass, start, "end") returns bigint
 *
 * The last row before the end of the window tells whether a tag has one in it.
 */
Datum
historian_approx_tags(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext caller;
	Leaves	   *leaves;
	Leaves	   *with_tag;
	TagWalk    *walk;
	text	   *tag;
	int64		from;
	int64		until;
	int64		count = 0;

	if (!time_argument_range(fcinfo, 1, false, &from, &until))
		PG_RETURN_INT64(0);
	leaves = leaves_open(PG_GETARG_OID(0));
	walk = tag_walk_begin(leaves);
	context = AllocSetContextCreate(CurrentMemoryContext, "historian tags", ALLOCSET_DEFAULT_SIZES);
	while ((tag = tag_walk_next(walk, &with_tag)) != NULL)
	{
		AsOfReader *reader;
		bool		changed;

		CHECK_FOR_INTERRUPTS();
		caller = MemoryContextSwitchTo(context);
		reader = as_of_begin(with_tag);
		as_of_start(reader, tag, until);
		if (as_of_seek(reader, until, &changed) && as_of_time(reader) >= from)
			count++;
		as_of_end(reader);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		leaves_free(with_tag);
		pfree(tag);
	}
	MemoryContextDelete(context);
	leaves_close(leaves);
	PG_RETURN_INT64(count);
}

/* historian.time_of_min(table regclass, tag text, start, "end", value integer) returns (time, min float8) */
Datum
historian_time_of_min(PG_FUNCTION_ARGS)
{
	return time_of_extreme(fcinfo, false);
}

/* historian.time_of_max(table regclass, tag text, start, "end", value integer) returns (time, max float8) */
Datum
historian_time_of_max(PG_FUNCTION_ARGS)
{
	return time_of_extreme(fcinfo, true);
}

/* Reads the fractions of quantiles, or raises an error. */
static void
read_fractions(Summary *summary, ArrayType *array)
{
	Datum	   *elements;
	bool	   *isnull;
	int			n;
	double	   *fractions;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements,
					  &isnull, &n);
	if (n > MAX_FRACTIONS)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("there are %d fractions", n),
				errdetail("At most %d quantiles are computed at a time.", MAX_FRACTIONS));
	fractions = palloc_array(double, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		fractions[i] = isnull[i] ? NAN : DatumGetFloat8(elements[i]);
		if (!(fractions[i] >= 0 && fractions[i] <= 1))
			ereport(ERROR,
					errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("fraction %d must be between 0 and 1", i + 1),
					errhint("The median is the quantile of 0.5."));
	}
	summary->fractions = fractions;
	summary->nfractions = n;
}

static void
summarize(Summary *summary, const Leaves *leaves, text *tag, int64 from, int64 until)
{
	int			wanted = summary->detail ? PERIOD_ROWS_ONLY : period_reader_facets(summary->facets);
	LeafPeriods *reader = leaf_periods_begin(leaves, tag, from, &until, 1, wanted, values_all);
	PeriodPart	part;

	while (leaf_periods_next(reader, &part))
	{
		CHECK_FOR_INTERRUPTS();
		if (part.summarized)
			add_summaries(summary, &part.summaries);
		else
			add_rows(summary, &part.rows);
	}
	leaf_periods_end(reader);
}

/* Makes room for rows with so many values. */
static void
widen(Summary *summary, uint32 width)
{
	for (; summary->width < width; summary->width++)
	{
		ValueSummary *value = palloc0_object(ValueSummary);

		reduction_init(&value->reduced);
		if (summary->detail)
		{
			value->quantiles = quantile_sketch_make();
			distinct_sketch_init(&value->distinct);
		}
		summary->values[summary->width] = value;
	}
}

static void
add_rows(Summary *summary, const RowSlice *slice)
{
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	widen(summary, width);
	for (uint32 v = 0; v < width; v++)
	{
		ValueSummary *value = summary->values[v];
		const double *values = NULL;
		uint32		nvalues = row_slice_values(slice, v, summary->scratch, &values);

		reduction_add(&value->reduced, summary->facets, values, nvalues);
		if (summary->detail)
		{
			quantile_sketch_add(value->quantiles, values, nvalues);
			distinct_sketch_add(&value->distinct, values, nvalues);
		}
	}
}

static void
add_summaries(Summary *summary, const SummarySlice *slice)
{
	const SummaryBlock *block = slice->block;
	uint32		width = block->width[slice->first];
	int64		count = 0;

	for (uint32 i = slice->first; i < slice->first + slice->nsegments; i++)
		count += block->nrows[i];
	widen(summary, width);
	for (uint32 v = 0; v < width; v++)
		summary_slice_reduce(slice, v, count, summary->facets, &summary->values[v]->reduced);
}

static void
put_values(const Summary *summary, ReturnSetInfo *result)
{
	for (uint32 v = 0; v < summary->width; v++)
	{
		const ValueSummary *value = summary->values[v];
		const Reduction *reduced = &value->reduced;
		double		least = 0;
		double		greatest = 0;
		double		mean = 0;
		double		stddev = 0;
		bool		isnull[SUMMARY_NCOLUMNS] = {
			[2] = !reduction_min(reduced, &least),
			[3] = !reduction_max(reduced, &greatest),
			[4] = !reduction_average(reduced, &mean),
			[5] = !reduction_stddev(reduced, &stddev),
			[7] = !summary->detail,
		};
		Datum		quantiles = quantiles_datum(summary, v, &isnull[6]);
		Datum		row[SUMMARY_NCOLUMNS] = {
			Int32GetDatum(v + 1),
			Int64GetDatum(reduced->count),
			Float8GetDatum(least),
			Float8GetDatum(greatest),
			Float8GetDatum(mean),
			Float8GetDatum(stddev),
			quantiles,
			Int64GetDatum(summary->detail ? (int64) rint(distinct_sketch_estimate(&value->distinct)) : 0),
		};

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
	}
}

static Datum
quantiles_datum(const Summary *summary, uint32 v, bool *isnull)
{
	double		quantiles[MAX_FRACTIONS];
	Datum		elements[MAX_FRACTIONS];

	*isnull = !summary->detail ||
		!quantile_sketch_read(summary->values[v]->quantiles, summary->fractions, quantiles,
							  summary->nfractions);
	if (*isnull)
		return (Datum) 0;
	for (uint32 i = 0; i < summary->nfractions; i++)
		elements[i] = Float8GetDatum(quantiles[i]);
	return PointerGetDatum(construct_array(elements, summary->nfractions, FLOAT8OID, sizeof(float8),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The row with the least or greatest value in start <= time < end; of several the earliest. */
static Datum
time_of_extreme(FunctionCallInfo fcinfo, bool greatest)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	int32		value = PG_GETARG_INT32(VALUE);
	PeriodExtremes found;
	ExtremesSought sought = {.found = &found};
	ChosenRows	seen = {0};
	int64		from;
	int64		until;
	Datum		row[EXTREME_NCOLUMNS] = {0};
	bool		isnull[EXTREME_NCOLUMNS] = {true, true};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (value < 1 || value > CODEC_MAX_VALUES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("value (%d) must be from 1 to %d", value, CODEC_MAX_VALUES));
	if (time_argument_range(fcinfo, START, false, &from, &until))
	{
		Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));

		/* periods begin after their start; where that wraps around, so does the first time back */
		Window		window = window_by_ends((int64) ((uint64) from - 1), &until, 1);
		MethodCall	call = {
			.leaves = leaves_for_tag(leaves, tag),
			.tag = tag,
			.window = &window,
			.value = value - 1,
		};

		extremes_read(&call, &window, false, &seen, note_extremes, &sought);
		leaves_close(leaves);
	}
	if (sought.any)
	{
		int64		time = greatest ? found.greatest_time : found.least_time;

		isnull[0] = isnull[1] = false;
		row[0] = TupleDescAttr(desc, 0)->atttypid == TIMESTAMPTZOID
			? TimestampTzGetDatum(nanoseconds_to_timestamptz(time)) : Int64GetDatum(time);
		row[1] = Float8GetDatum(greatest ? found.greatest : found.least);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, row, isnull)));
}

static void
note_extremes(void *argument, const PeriodExtremes *period)
{
	ExtremesSought *sought = argument;

	*sought->found = *period;
	sought->any = true;
}
