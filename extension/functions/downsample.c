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

/* The number of the argument that tells the value by which rows are judged. */
#define VALUE_ARGUMENT 6

/* How to downsample. */
typedef struct Way
{
	const Method *method;
	uint32		value;			/* by which rows are judged */
	bool		value_given;
	double		argument;		/* of the method, or 0 */
} Way;

static bool is_any_null(FunctionCallInfo fcinfo);
static void downsample_one(FunctionCallInfo fcinfo, const Window *window, int method_argument);
static void downsample_many(FunctionCallInfo fcinfo, const Window *window, int method_argument);
static Way	find_way(FunctionCallInfo fcinfo, const Window *window, int method_argument);
static void downsample(const Leaves *leaves, MethodCall call, const Method *method, text **tags,
					   uint32 ntags, bool put_tag, ReturnSetInfo *result);

/*
 * historian.downsample(table regclass, tag text, start, "end", samples or step, method text
 * [, value integer]) returns setof (time, values float8[])
 *
 * The functions that have the argument value are not strict, because NULL is its default.  Like
 * strict ones, they return no rows if another argument is NULL.
 */
Datum
historian_downsample(PG_FUNCTION_ARGS)
{
	Window		window;

	InitMaterializedSRF(fcinfo, 0);
	if (is_any_null(fcinfo))
		return (Datum) 0;
	window = time_argument_window(fcinfo, 2);
	downsample_one(fcinfo, &window, 5);
	return (Datum) 0;
}

/*
 * historian.downsample(table regclass, tag text, start bigint, "end" bigint, method text,
 * step_ns bigint, value integer) returns setof (time bigint, values float8[])
 */
Datum
historian_downsample_by_step(PG_FUNCTION_ARGS)
{
	Window		window;

	InitMaterializedSRF(fcinfo, 0);
	if (is_any_null(fcinfo))
		return (Datum) 0;
	window = time_argument_window_by_step(fcinfo, 2, 5);
	downsample_one(fcinfo, &window, 4);
	return (Datum) 0;
}

/*
 * historian.downsample_many(table regclass, tags text[], start, "end", samples or step, method text
 * [, value integer]) returns setof (tag text, time, values float8[])
 */
Datum
historian_downsample_many(PG_FUNCTION_ARGS)
{
	Window		window;

	InitMaterializedSRF(fcinfo, 0);
	if (is_any_null(fcinfo))
		return (Datum) 0;
	window = time_argument_window(fcinfo, 2);
	downsample_many(fcinfo, &window, 5);
	return (Datum) 0;
}

/*
 * historian.downsample_many(table regclass, tags text[], start bigint, "end" bigint, method text,
 * step_ns bigint, value integer) returns setof (tag text, time bigint, values float8[])
 */
Datum
historian_downsample_many_by_step(PG_FUNCTION_ARGS)
{
	Window		window;

	InitMaterializedSRF(fcinfo, 0);
	if (is_any_null(fcinfo))
		return (Datum) 0;
	window = time_argument_window_by_step(fcinfo, 2, 5);
	downsample_many(fcinfo, &window, 4);
	return (Datum) 0;
}

static bool
is_any_null(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < Min(PG_NARGS(), VALUE_ARGUMENT); i++)
	{
		if (PG_ARGISNULL(i))
			return true;
	}
	return false;
}

/* Puts the samples of a tag, by the method that is the argument of that number. */
static void
downsample_one(FunctionCallInfo fcinfo, const Window *window, int method_argument)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Way			way = find_way(fcinfo, window, method_argument);
	MethodCall	call = {
		.window = window,
		.value = way.value,
		.argument = way.argument,
		.value_required = way.value_given,
	};
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));

	downsample(leaves, call, way.method, &tag, 1, false, (ReturnSetInfo *) fcinfo->resultinfo);
	leaves_close(leaves);
}

/* The same for several tags, some of which may have fewer values than others. */
static void
downsample_many(FunctionCallInfo fcinfo, const Window *window, int method_argument)
{
	Way			way = find_way(fcinfo, window, method_argument);
	MethodCall	call = {
		.window = window,
		.value = way.value,
		.argument = way.argument,
	};
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	uint32		ntags;
	text	  **tags = tag_sort_distinct(PG_GETARG_ARRAYTYPE_P(1), &ntags);

	downsample(leaves, call, way.method, tags, ntags, true, (ReturnSetInfo *) fcinfo->resultinfo);
	leaves_close(leaves);
}

/* Finds the method and the value, or raises an error if they do not fit. */
static Way
find_way(FunctionCallInfo fcinfo, const Window *window, int method_argument)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(method_argument));
	Way			way = {0};
	int32		value;

	way.method = method_find(name, window->samples, &way.argument);
	if (PG_NARGS() <= VALUE_ARGUMENT || PG_ARGISNULL(VALUE_ARGUMENT))
		return way;
	value = PG_GETARG_INT32(VALUE_ARGUMENT);
	if (!way.method->by_value)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("method \"%s\" takes no value", name),
				errdetail("It treats every value of a row alike."),
				errhint("A value can be given for the methods plot, lttb and minmaxlttb."));
	if (value < 1 || value > CODEC_MAX_VALUES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("value (%d) must be from 1 to %d", value, CODEC_MAX_VALUES));
	way.value = value - 1;
	way.value_given = true;
	return way;
}

/*
 * Puts the samples of some tags into the result, with put_tag also the tag of each.  The call has the
 * window and the value.
 */
static void
downsample(const Leaves *leaves, MethodCall call, const Method *method, text **tags, uint32 ntags,
		   bool put_tag, ReturnSetInfo *result)
{
	SampleSink	sink = {.store = result->setResult, .desc = result->setDesc};
	MemoryContext tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian downsample",
													  ALLOCSET_DEFAULT_SIZES);

	call.ends = window_times(call.window);
	call.sink = &sink;
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
