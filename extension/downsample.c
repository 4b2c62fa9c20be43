/*
 * downsample.c
 *	  historian.downsample() and downsample_many(): a fixed number of samples over a window.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "method.h"
#include "read_access.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_downsample);
PG_FUNCTION_INFO_V1(historian_downsample_many);

static void downsample(Relation rel, const Window *window, const Method *method, text **tags,
					   uint32 ntags, bool put_tag, ReturnSetInfo *result);

/*
 * historian.downsample(table regclass, tag text, start bigint, "end" bigint, samples integer,
 * method text) returns setof (time bigint, values float8[])
 */
Datum
historian_downsample(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Window		window = window_check(PG_GETARG_INT64(2), PG_GETARG_INT64(3), PG_GETARG_INT32(4));
	const Method *method = method_find(text_to_cstring(PG_GETARG_TEXT_PP(5)), window.samples);
	Relation	rel = read_access_open(PG_GETARG_OID(0));

	InitMaterializedSRF(fcinfo, 0);
	downsample(rel, &window, method, &tag, 1, false, (ReturnSetInfo *) fcinfo->resultinfo);
	table_close(rel, NoLock);
	return (Datum) 0;
}

/*
 * historian.downsample_many(table regclass, tags text[], start bigint, "end" bigint,
 * samples integer, method text) returns setof (tag text, time bigint, values float8[])
 */
Datum
historian_downsample_many(PG_FUNCTION_ARGS)
{
	Window		window = window_check(PG_GETARG_INT64(2), PG_GETARG_INT64(3), PG_GETARG_INT32(4));
	const Method *method = method_find(text_to_cstring(PG_GETARG_TEXT_PP(5)), window.samples);
	Relation	rel = read_access_open(PG_GETARG_OID(0));
	uint32		ntags;
	text	  **tags = tags_of_array(PG_GETARG_ARRAYTYPE_P(1), &ntags);

	InitMaterializedSRF(fcinfo, 0);
	downsample(rel, &window, method, tags, ntags, true, (ReturnSetInfo *) fcinfo->resultinfo);
	table_close(rel, NoLock);
	return (Datum) 0;
}

static void
downsample(Relation rel, const Window *window, const Method *method, text **tags, uint32 ntags,
		   bool put_tag, ReturnSetInfo *result)
{
	SampleSink	sink = {.store = result->setResult, .desc = result->setDesc};
	MethodCall	call = {
		.rel = rel,
		.snapshot = GetActiveSnapshot(),
		.window = window,
		.ends = window_times(window),
		.sink = &sink,
	};
	MemoryContext tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian downsample",
													  ALLOCSET_DEFAULT_SIZES);

	call.cursor = directory_begin(rel, call.snapshot);
	for (uint32 i = 0; i < ntags; i++)
	{
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		if (!directory_has_tag(call.cursor, tags[i]))
			continue;
		call.tag = tags[i];
		sink.tag = put_tag ? tags[i] : NULL;
		caller = MemoryContextSwitchTo(tag_context);
		method->run(&call);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(tag_context);
	}
	directory_end(call.cursor);
	MemoryContextDelete(tag_context);
}
