/*
 * row_functions.c
 *	  historian.raw() and latest(): rows as they are stored.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "as_of.h"
#include "method.h"
#include "read_access.h"
#include "tag.h"
#include "tag_reader.h"

PG_FUNCTION_INFO_V1(historian_raw);
PG_FUNCTION_INFO_V1(historian_latest);

static void put_latest(SampleSink *sink, AsOfReader *reader, text *tag);

/*
 * historian.raw(table regclass, tag text, start bigint, "end" bigint) returns setof
 * (time bigint, values float8[])
 */
Datum
historian_raw(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Window		window = window_check(PG_GETARG_INT64(2), PG_GETARG_INT64(3), 1);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Snapshot	snapshot = GetActiveSnapshot();
	Relation	rel = read_access_open(PG_GETARG_OID(0));
	SampleSink	sink;
	DirectoryCursor *cursor;
	TagReader  *reader;
	RowRun		run;

	InitMaterializedSRF(fcinfo, 0);
	sink = (SampleSink) {.store = result->setResult, .desc = result->setDesc};
	cursor = directory_begin(rel, snapshot);
	reader = tag_reader_begin(rel, cursor, snapshot);
	tag_reader_start(reader, tag, window.start, window.end - 1, true);
	while (tag_reader_next(reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
		{
			bool		isnull;
			Datum		values = decoded_rows_array(run.rows, row, &isnull);

			sample_put(&sink, run.rows->time[row], values, isnull);
			if (!isnull)
				pfree(DatumGetPointer(values));
		}
	}
	tag_reader_end(reader);
	directory_end(cursor);
	table_close(rel, NoLock);
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
	Snapshot	snapshot = GetActiveSnapshot();
	Relation	rel = read_access_open(PG_GETARG_OID(0));
	SampleSink	sink;
	DirectoryCursor *cursor;
	AsOfReader *reader;

	InitMaterializedSRF(fcinfo, 0);
	sink = (SampleSink) {.store = result->setResult, .desc = result->setDesc};
	cursor = directory_begin(rel, snapshot);
	reader = as_of_begin(rel, cursor, snapshot);
	if (PG_NARGS() > 1)
	{
		uint32		ntags;
		text	  **tags = tags_of_array(PG_GETARG_ARRAYTYPE_P(1), &ntags);

		for (uint32 i = 0; i < ntags; i++)
			put_latest(&sink, reader, tags[i]);
	}
	else
	{
		text	   *tag = directory_next_tag(cursor, NULL);

		while (tag != NULL)
		{
			text	   *former = tag;

			put_latest(&sink, reader, tag);
			tag = directory_next_tag(cursor, tag);
			pfree(former);
		}
	}
	as_of_end(reader);
	directory_end(cursor);
	table_close(rel, NoLock);
	return (Datum) 0;
}

/* Puts the last row of a tag, if it has any. */
static void
put_latest(SampleSink *sink, AsOfReader *reader, text *tag)
{
	bool		changed;
	bool		isnull;
	Datum		values;

	CHECK_FOR_INTERRUPTS();
	as_of_start(reader, tag, PG_INT64_MAX);
	if (!as_of_seek(reader, PG_INT64_MAX, &changed))
		return;
	values = as_of_values(reader, &isnull);
	sink->tag = tag;
	sample_put(sink, as_of_time(reader), values, isnull);
	if (!isnull)
		pfree(DatumGetPointer(values));
}
