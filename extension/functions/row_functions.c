/*
 * row_functions.c
 *	  historian.raw() and historian.latest(): rows as they were inserted.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "functions/time_arguments.h"
#include "read/as_of.h"
#include "read/leaves.h"
#include "read/sample_sink.h"
#include "read/tag_reader.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_raw);
PG_FUNCTION_INFO_V1(historian_latest);

static void put_latest(SampleSink *sink, Leaves *leaves, text *tag);

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
