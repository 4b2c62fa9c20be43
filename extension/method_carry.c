/*
 * method_carry.c
 *	  The methods that look for the rows around each sample's time, however far they are.
 */
#include "postgres.h"

#include "method.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "as_of.h"
#include "tag_reader.h"

/* How many runs to read on for the next row before a search is cheaper. */
#define RUNS_READ_ON 4

/* Finds the first row after a time, for ascending times. */
typedef struct NextRow
{
	TagReader  *reader;
	text	   *tag;
	bool		started;
	bool		found;
	RowRun		run;
	uint32		row;			/* the row found */
} NextRow;

/* The elements of a float8[]. */
typedef struct Elements
{
	int			width;
	Datum	   *values;
	bool	   *isnull;
} Elements;

static bool next_row_seek(NextRow *next, int64 time);
static bool next_row_in_run(NextRow *next, int64 time);
static Elements array_elements(Datum array);
static double interpolate(double left, double right, double share);
static void put_between(const MethodCall *call, int64 time, int64 left_time, Datum left,
						const NextRow *next);

/* Period-end, carry-in: the last row at or before each sample's time. */
void
method_last(const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->rel, call->cursor, call->snapshot);
	Datum		values = (Datum) 0;
	bool		isnull = true;

	as_of_start(reader, call->tag, call->window->end);
	for (int32 i = 0; i < call->window->samples; i++)
	{
		bool		changed;

		CHECK_FOR_INTERRUPTS();
		if (as_of_seek(reader, call->ends[i], &changed) && changed)
		{
			if (!isnull)
				pfree(DatumGetPointer(values));
			values = as_of_values(reader, &isnull);
		}
		sample_put(call->sink, call->ends[i], values, isnull);
	}
	as_of_end(reader);
}

/*
 * Linear between the last row at or before the sample's time and the first after it.  An element
 * that the latter lacks is carried, as is the tag's last row.
 */
void
method_interpolated(const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->rel, call->cursor, call->snapshot);
	DirectoryCursor *ahead = directory_begin(call->rel, call->snapshot);
	NextRow		next = {.tag = call->tag};
	MemoryContext samples = AllocSetContextCreate(CurrentMemoryContext, "historian samples",
												  ALLOCSET_DEFAULT_SIZES);

	next.reader = tag_reader_begin(call->rel, ahead, call->snapshot);
	as_of_start(reader, call->tag, call->window->end);
	for (int32 i = 0; i < call->window->samples; i++)
	{
		int64		time = call->ends[i];
		bool		isnull = true;
		bool		changed;
		Datum		values = (Datum) 0;
		bool		found = as_of_seek(reader, time, &changed);
		MemoryContext caller = MemoryContextSwitchTo(samples);

		CHECK_FOR_INTERRUPTS();
		if (found)
			values = as_of_values(reader, &isnull);
		if (!isnull && as_of_time(reader) < time && next_row_seek(&next, time))
			put_between(call, time, as_of_time(reader), values, &next);
		else
			sample_put(call->sink, time, values, isnull);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(samples);
	}
	tag_reader_end(next.reader);
	directory_end(ahead);
	as_of_end(reader);
	MemoryContextDelete(samples);
}

/* Moves to the first row after time; false if there is none. */
static bool
next_row_seek(NextRow *next, int64 time)
{
	if (next->started && !next->found)
		return false;
	if (next->started)
	{
		for (int i = 0; i < RUNS_READ_ON; i++)
		{
			if (next_row_in_run(next, time))
				return true;
			next->found = tag_reader_next(next->reader, &next->run);
			if (!next->found)
				return false;
			next->row = next->run.first;
		}
	}

	next->started = true;
	next->found = false;
	if (time == PG_INT64_MAX)
		return false;
	tag_reader_start(next->reader, next->tag, time + 1, PG_INT64_MAX, true);
	next->found = tag_reader_next(next->reader, &next->run);
	if (next->found)
		next->row = next->run.first;
	return next->found;
}

/* The same within the run at hand, from the row at hand on. */
static bool
next_row_in_run(NextRow *next, int64 time)
{
	const int64 *times = next->run.rows->time;
	uint32		low = next->row;
	uint32		high = next->run.first + next->run.nrows - 1;

	if (times[high] <= time)
		return false;
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (times[middle] <= time)
			low = middle + 1;
		else
			high = middle;
	}
	next->row = low;
	return true;
}

static Elements
array_elements(Datum array)
{
	Elements	elements;

	deconstruct_array(DatumGetArrayTypeP(array), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements.values, &elements.isnull, &elements.width);
	return elements;
}

static double
interpolate(double left, double right, double share)
{
	double		difference = right - left;

	if (isinf(difference) && !isinf(left) && !isinf(right))
		return left * (1 - share) + right * share;
	return left + difference * share;
}

static void
put_between(const MethodCall *call, int64 time, int64 left_time, Datum left, const NextRow *next)
{
	int64		right_time = next->run.rows->time[next->row];
	double		share = (double) ((uint64) time - (uint64) left_time) /
		(double) ((uint64) right_time - (uint64) left_time);
	Elements	before = array_elements(left);
	bool		right_null;
	Datum		right = decoded_rows_array(next->run.rows, next->row, &right_null);
	Elements	after = {0};
	double	   *elements = palloc_array(double, Max(before.width, 1));

	if (!right_null)
		after = array_elements(right);
	for (int v = 0; v < before.width; v++)
	{
		elements[v] = before.isnull[v] ? 0 : DatumGetFloat8(before.values[v]);
		if (!before.isnull[v] && v < after.width && !after.isnull[v])
			elements[v] = interpolate(elements[v], DatumGetFloat8(after.values[v]), share);
	}
	sample_put_elements(call->sink, time, true, elements, before.isnull, before.width);
}
