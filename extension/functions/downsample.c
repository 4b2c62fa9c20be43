/*
 * downsample.c
 *	  historian.downsample() and downsample_many(): a fixed number of samples over a window.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "read/leaves.h"
#include "read/method.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_downsample);
PG_FUNCTION_INFO_V1(historian_downsample_many);

static void downsample(const Leaves *leaves, const Window *window, const Method *method,
					   text **tags, uint32 ntags, bool put_tag, ReturnSetInfo *result);

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
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));

	InitMaterializedSRF(fcinfo, 0);
	downsample(leaves, &window, method, &tag, 1, false, (ReturnSetInfo *) fcinfo->resultinfo);
	leaves_close(leaves);
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
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	uint32		ntags;
	text	  **tags = tag_sort_distinct(PG_GETARG_ARRAYTYPE_P(1), &ntags);

	InitMaterializedSRF(fcinfo, 0);
	downsample(leaves, &window, method, tags, ntags, true, (ReturnSetInfo *) fcinfo->resultinfo);
	leaves_close(leaves);
	return (Datum) 0;
}

/* Puts the samples of some tags into the result, with put_tag also the tag of each. */
static void
downsample(const Leaves *leaves, const Window *window, const Method *method, text **tags,
		   uint32 ntags, bool put_tag, ReturnSetInfo *result)
{
	SampleSink	sink = {.store = result->setResult, .desc = result->setDesc};
	MethodCall	call = {
		.window = window,
		.ends = window_times(window),
		.sink = &sink,
	};
	MemoryContext tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian downsample",
													  ALLOCSET_DEFAULT_SIZES);

	for (uint32 i = 0; i < ntags; i++)
	{
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		caller = MemoryContextSwitchTo(tag_context);
		call.leaves = leaves_with_tag(leaves, tags[i]);
		call.tag = tags[i];
		sink.tag = put_tag ? tags[i] : NULL;
		if (call.leaves->nleaves > 0)
			method->run(&call);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(tag_context);
	}
	MemoryContextDelete(tag_context);
}
