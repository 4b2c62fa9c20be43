/*
 * downsample.c
 *	  historian.downsample() and downsample_many(): samples over a window.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "functions/time_arguments.h"
#include "read/leaves.h"
#include "read/method.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_downsample);
PG_FUNCTION_INFO_V1(historian_downsample_many);
PG_FUNCTION_INFO_V1(historian_downsample_by_step);
PG_FUNCTION_INFO_V1(historian_downsample_many_by_step);

static void downsample_one(FunctionCallInfo fcinfo, const Window *window, int method_argument);
static void downsample_many(FunctionCallInfo fcinfo, const Window *window, int method_argument);
static void downsample(const Leaves *leaves, const Window *window, const Method *method,
					   text **tags, uint32 ntags, bool put_tag, ReturnSetInfo *result);

/*
 * historian.downsample(table regclass, tag text, start, "end", samples or step, method text) returns
 * setof (time, values float8[])
 */
Datum
historian_downsample(PG_FUNCTION_ARGS)
{
	Window		window = time_argument_window(fcinfo, 2);

	downsample_one(fcinfo, &window, 5);
	return (Datum) 0;
}

/*
 * historian.downsample(table regclass, tag text, start bigint, "end" bigint, method text,
 * step_ns bigint) returns setof (time bigint, values float8[])
 */
Datum
historian_downsample_by_step(PG_FUNCTION_ARGS)
{
	Window		window = time_argument_window_by_step(fcinfo, 2, 5);

	downsample_one(fcinfo, &window, 4);
	return (Datum) 0;
}

/*
 * historian.downsample_many(table regclass, tags text[], start, "end", samples or step, method text)
 * returns setof (tag text, time, values float8[])
 */
Datum
historian_downsample_many(PG_FUNCTION_ARGS)
{
	Window		window = time_argument_window(fcinfo, 2);

	downsample_many(fcinfo, &window, 5);
	return (Datum) 0;
}

/*
 * historian.downsample_many(table regclass, tags text[], start bigint, "end" bigint, method text,
 * step_ns bigint) returns setof (tag text, time bigint, values float8[])
 */
Datum
historian_downsample_many_by_step(PG_FUNCTION_ARGS)
{
	Window		window = time_argument_window_by_step(fcinfo, 2, 5);

	downsample_many(fcinfo, &window, 4);
	return (Datum) 0;
}

/* Puts the samples of a tag, by the method that is the argument of that number. */
static void
downsample_one(FunctionCallInfo fcinfo, const Window *window, int method_argument)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	const Method *method = method_find(text_to_cstring(PG_GETARG_TEXT_PP(method_argument)),
									   window->samples);
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));

	InitMaterializedSRF(fcinfo, 0);
	downsample(leaves, window, method, &tag, 1, false, (ReturnSetInfo *) fcinfo->resultinfo);
	leaves_close(leaves);
}

/* The same for several tags. */
static void
downsample_many(FunctionCallInfo fcinfo, const Window *window, int method_argument)
{
	const Method *method = method_find(text_to_cstring(PG_GETARG_TEXT_PP(method_argument)),
									   window->samples);
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	uint32		ntags;
	text	  **tags = tag_sort_distinct(PG_GETARG_ARRAYTYPE_P(1), &ntags);

	InitMaterializedSRF(fcinfo, 0);
	downsample(leaves, window, method, tags, ntags, true, (ReturnSetInfo *) fcinfo->resultinfo);
	leaves_close(leaves);
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
