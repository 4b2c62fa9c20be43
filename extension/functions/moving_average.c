/*
 * moving_average.c
 *	  historian.moving_average(): the mean of the rows in a span of time before each sample.
 *
 * Spans may overlap, but no row is read more than twice: the rows are cut into slices wherever a
 * span begins or ends, and sliding_sums.c adds up the slices of a span.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "functions/time_arguments.h"
#include "read/leaves.h"
#include "read/method_call.h"
#include "read/slice_reader.h"
#include "read/sliding_sums.h"

PG_FUNCTION_INFO_V1(historian_moving_average);

static int64 *span_bounds(const Window *window, int64 span, uint32 *nbounds, int64 *from);
static void moving_average(const MethodCall *call, int64 span);
static void put_mean(const Sums *total, int64 time, SampleSink *sink);

/*
 * historian.moving_average(table regclass, tag text, start, "end", samples integer, "window")
 * returns setof (time, values float8[])
 */
Datum
historian_moving_average(PG_FUNCTION_ARGS)
{
	Window		window = time_argument_window(fcinfo, 2);
	int64		span = time_argument_length(fcinfo, 5, "window");
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Leaves	   *leaves;
	SampleSink	sink;
	MethodCall	call = {
		.tag = PG_GETARG_TEXT_PP(1),
		.window = &window,
		.sink = &sink,
	};

	leaves = leaves_open(PG_GETARG_OID(0));
	InitMaterializedSRF(fcinfo, 0);
	sink = (SampleSink) {.store = result->setResult, .desc = result->setDesc};
	call.leaves = leaves_with_tag(leaves, call.tag);
	if (call.leaves->nleaves > 0)
		moving_average(&call, span);
	leaves_close(leaves);
	return (Datum) 0;
}

/* Puts one sample for each sample time of the window. */
static void
moving_average(const MethodCall *call, int64 span)
{
	SlidingSource source = {
		.leaves = call->leaves,
		.tag = call->tag,
	};
	int64	   *bounds = span_bounds(call->window, span, &source.nbounds, &source.from);
	SlidingSums *sliding;
	SliceReader *reader = slice_reader_begin(call->leaves, call->tag, source.from, bounds,
											 source.nbounds, true);
	RowSlice	slice;
	bool		more = slice_reader_next(reader, &slice);

	source.bounds = bounds;
	sliding = sliding_sums_begin(&source);

	for (int32 i = 1; i <= call->window->samples; i++)
	{
		int64		time = window_time(call->window, i);

		while (more && bounds[slice.period] <= time)
		{
			sliding_sums_enter(sliding, &slice);
			more = slice_reader_next(reader, &slice);
		}
		if (time >= PG_INT64_MIN + span)
			sliding_sums_leave(sliding, time - span);
		put_mean(sliding_sums_total(sliding), time, call->sink);
	}
	sliding_sums_end(sliding);
	slice_reader_end(reader);
}

/*
 * Returns the times that bound slices, ascending, palloc'd: for each span the last time before it
 * and its own last time.  A span that would begin before the first possible time has only its end.
 * Sets *from to the first time of all spans.
 */
static int64 *
span_bounds(const Window *window, int64 span, uint32 *nbounds, int64 *from)
{
	int64	   *bounds = palloc_extended(2 * sizeof(int64) * window->samples, MCXT_ALLOC_HUGE);
	uint32		n = 0;
	int32		begin = 1;
	int64		first = window_time(window, 1);

	*from = first < PG_INT64_MIN + span ? PG_INT64_MIN : first - span + 1;
	while (begin <= window->samples && window_time(window, begin) < PG_INT64_MIN + span)
		begin++;
	for (int32 i = 1; i <= window->samples; i++)
	{
		int64		end = window_time(window, i);

		while (begin <= window->samples && window_time(window, begin) - span <= end)
			bounds[n++] = window_time(window, begin++) - span;
		bounds[n++] = end;
	}
	*nbounds = n;
	return bounds;
}

/* Puts the sample of a span, by the sums over its rows. */
static void
put_mean(const Sums *total, int64 time, SampleSink *sink)
{
	double		elements[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];

	for (uint32 v = 0; v < total->width; v++)
	{
		const ColumnSum *column = &total->columns[v];

		isnull[v] = column->count == 0;
		elements[v] = double_sum_quotient(&column->sum, (double) column->count);
	}
	sample_sink_put_elements(sink, time, total->has_array, elements, isnull, total->width);
}
