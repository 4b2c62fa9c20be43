/*
 * method_first.c
 *	  The method that puts the first row of each period.
 */
#include "postgres.h"

#include "read/method_first.h"

#include "read/as_of.h"
#include "read/slice_reader.h"

/* Puts the first row of each period, or NULL if the period has none. */
void
method_first(const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->leaves);
	Leaves	   *ahead = leaves_again(call->leaves);
	uint32		current = 0;
	SliceReader *slices;
	RowSlice	slice;
	bool		changed;

	as_of_start(reader, call->tag, call->window->end);
	slices = slice_reader_begin(ahead, call->tag, call->window->start + 1, call->ends,
								call->window->samples, false);
	while (slice_reader_next(slices, &slice))
	{
		bool		isnull;
		Datum		values;

		if (slice.period < current)
			continue;
		for (; current < slice.period; current++)
			sample_sink_put(call->sink, call->ends[current], (Datum) 0, true);
		as_of_seek(reader, slice.rows->time[slice.first], &changed);
		values = as_of_values(reader, &isnull);
		sample_sink_put(call->sink, call->ends[current++], values, isnull);
		if (!isnull)
			pfree(DatumGetPointer(values));
	}
	for (; current < call->window->samples; current++)
		sample_sink_put(call->sink, call->ends[current], (Datum) 0, true);
	slice_reader_end(slices);
	leaves_again_end(ahead);
	as_of_end(reader);
}
