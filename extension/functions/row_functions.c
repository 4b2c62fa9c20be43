/*
 * row_functions.c
 *	  historian.raw(), historian.latest() and historian.at(): rows as they were inserted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "functions/time_arguments.h"
#include "nanoseconds.h"
#include "read/as_of.h"
#include "read/leaves.h"
#include "read/sample_sink.h"
#include "read/tag_reader.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_raw);
PG_FUNCTION_INFO_V1(historian_latest);
PG_FUNCTION_INFO_V1(historian_at);

#define AT_NCOLUMNS 4

static void put_latest(SampleSink *sink, Leaves *leaves, text *tag);
static int64 *sorted_times(ArrayType *array, uint32 *ntimes);
static int	compare_times(const void *left, const void *right);
static void put_at(ReturnSetInfo *result, Leaves *leaves, text *tag, const int64 *times,
				   uint32 ntimes);

/*
 * historian.raw(table regclass, tag text, start, "end") returns setof (time, values float8[])
 */
Datum
historian_raw(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	int64		from;
	int64		until;
	bool		any = time_argument_range(fcinfo, 2, false, &from, &until);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	SampleSink	sink;
	TagReader  *reader;
	RowRun		run;

	InitMaterializedSRF(fcinfo, 0);
	sink = (SampleSink) {.store = result->setResult, .desc = result->setDesc};
	reader = tag_reader_begin_leaves(leaves_for_tag(leaves, tag));
	if (any)
		tag_reader_start(reader, tag, from, until, true);
	while (any && tag_reader_next(reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
		{
			bool		isnull;
			Datum		values = decoded_rows_array(run.rows, row, &isnull);

			sample_sink_put(&sink, run.rows->time[row], values, isnull);
			if (!isnull)
				pfree(DatumGetPointer(values));
		}
	}
	tag_reader_end(reader);
	leaves_close(leaves);
	return (Datum) 0;
}

/*
 * historian.latest(table regclass [, tags text[]]) returns setof (tag text, time bigint,
 * values float8[])
 */
Datum
historian_latest(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	SampleSink	sink;

	InitMaterializedSRF(fcinfo, 0);
	sink = (SampleSink) {.store = result->setResult, .desc = result->setDesc};
	if (PG_NARGS() > 1)
	{
		uint32		ntags;
		text	  **tags = tag_sort_distinct(PG_GETARG_ARRAYTYPE_P(1), &ntags);

		for (uint32 i = 0; i < ntags; i++)
			put_latest(&sink, leaves_for_tag(leaves, tags[i]), tags[i]);
	}
	else
	{
		TagWalk    *walk = tag_walk_begin(leaves);
		Leaves	   *with_tag;
		text	   *tag;

		while ((tag = tag_walk_next(walk, &with_tag)) != NULL)
		{
			put_latest(&sink, with_tag, tag);
			pfree(tag);
		}
	}
	leaves_close(leaves);
	return (Datum) 0;
}

/* Puts the last row of a tag, if there is one, and frees the leaves. */
static void
put_latest(SampleSink *sink, Leaves *leaves, text *tag)
{
	AsOfReader *reader = as_of_begin(leaves);
	bool		changed;

	CHECK_FOR_INTERRUPTS();
	as_of_start(reader, tag, PG_INT64_MAX);
	if (as_of_seek(reader, PG_INT64_MAX, &changed))
	{
		bool		isnull;
		Datum		values = as_of_values(reader, &isnull);

		sink->tag = tag;
		sample_sink_put(sink, as_of_time(reader), values, isnull);
		if (!isnull)
			pfree(DatumGetPointer(values));
	}
	as_of_end(reader);
	leaves_free(leaves);
}

/*
 * historian.at(table regclass, tags text[], times[]) returns setof (tag text, time, values float8[],
 * sample_time)
 */
Datum
historian_at(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	uint32		ntags;
	uint32		ntimes;
	text	  **tags = tag_sort_distinct(PG_GETARG_ARRAYTYPE_P(1), &ntags);
	int64	   *times = sorted_times(PG_GETARG_ARRAYTYPE_P(2), &ntimes);

	InitMaterializedSRF(fcinfo, 0);
	for (uint32 i = 0; i < ntags && ntimes > 0; i++)
		put_at(result, leaves_with_tag(leaves, tags[i]), tags[i], times, ntimes);
	leaves_close(leaves);
	return (Datum) 0;
}

/* Returns the times in an array of bigint or timestamptz, ascending, each once and without NULLs. */
static int64 *
sorted_times(ArrayType *array, uint32 *ntimes)
{
	Oid			type = ARR_ELEMTYPE(array);
	Datum	   *elements;
	bool	   *isnull;
	int			nelements;
	int64	   *times;
	uint32		n = 0;

	deconstruct_array(array, type, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements,
					  &isnull, &nelements);
	times = palloc_extended(Max(nelements, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	for (int i = 0; i < nelements; i++)
	{
		if (!isnull[i])
			times[n++] = type == TIMESTAMPTZOID
				? nanoseconds_from_timestamptz(DatumGetTimestampTz(elements[i]))
				: DatumGetInt64(elements[i]);
	}
	qsort(times, n, sizeof(int64), compare_times);
	*ntimes = 0;
	for (uint32 i = 0; i < n; i++)
	{
		if (*ntimes == 0 || times[*ntimes - 1] != times[i])
			times[(*ntimes)++] = times[i];
	}
	return times;
}

static int
compare_times(const void *left, const void *right)
{
	int64		a = *(const int64 *) left;
	int64		b = *(const int64 *) right;

	return a < b ? -1 : a > b;
}

/* Puts the row at or before each time, if the tag has rows at all, and frees the leaves. */
static void
put_at(ReturnSetInfo *result, Leaves *leaves, text *tag, const int64 *times, uint32 ntimes)
{
	bool		as_timestamptz = TupleDescAttr(result->setDesc, 1)->atttypid == TIMESTAMPTZOID;
	AsOfReader *reader;

	if (leaves->nleaves == 0)
		return;
	reader = as_of_begin(leaves);
	as_of_start(reader, tag, times[ntimes - 1]);
	for (uint32 i = 0; i < ntimes; i++)
	{
		bool		changed;
		bool		found = as_of_seek(reader, times[i], &changed);
		int64		sample_time = found ? as_of_time(reader) : 0;
		bool		isnull[AT_NCOLUMNS] = {false, false, true, !found};
		Datum		row[AT_NCOLUMNS] = {PointerGetDatum(tag)};

		CHECK_FOR_INTERRUPTS();
		if (found)
			row[2] = as_of_values(reader, &isnull[2]);
		row[1] = as_timestamptz ? TimestampTzGetDatum(nanoseconds_to_timestamptz(times[i]))
			: Int64GetDatum(times[i]);
		row[3] = as_timestamptz ? TimestampTzGetDatum(nanoseconds_to_timestamptz(sample_time))
			: Int64GetDatum(sample_time);
		tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
		if (!isnull[2])
			pfree(DatumGetPointer(row[2]));
	}
	as_of_end(reader);
	leaves_free(leaves);
}
