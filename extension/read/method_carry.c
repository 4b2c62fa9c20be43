/*
 * method_carry.c
 *	  The methods that carry values: from the row before a time, or from the two around it.
 *
 * These rows may be any time away from the sample.
 */
#include "postgres.h"

#include "read/method_carry.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "read/as_of.h"
#include "read/tag_reader.h"
#include "store/reduction.h"

/* The runs that are read in search of the next row; then a new search is cheaper. */
#define RUNS_READ_ON 4

/* Finds the first row after a time, for ascending times.  Decodes times only. */
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
static double interpolate(double left, double right, double left_span, double right_span);
static void put_between(const MethodCall *call, int64 time, const AsOfReader *before,
						const AsOfReader *after, Datum left);

/* Period-end, carry-in: the last row at or before each sample's time. */
void
method_last(const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->leaves);
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
		sample_sink_put(call->sink, call->ends[i], values, isnull);
	}
	as_of_end(reader);
}

/*
 * Interpolates linearly between the last row at or before the sample's time and the first row after
 * it.  Carries an element that the latter lacks, and the tag's last row.
 */
void
method_interpolated(const MethodCall *call)
{
	Leaves	   *ahead = leaves_again(call->leaves);
	AsOfReader *before = as_of_begin(call->leaves);
	AsOfReader *after = as_of_begin(call->leaves);
	NextRow		next = {.tag = call->tag};
	MemoryContext samples = AllocSetContextCreate(CurrentMemoryContext, "historian samples",
												  ALLOCSET_DEFAULT_SIZES);

	next.reader = tag_reader_begin_leaves(ahead);
	as_of_start(before, call->tag, call->window->end);
	as_of_start(after, call->tag, PG_INT64_MAX);
	for (int32 i = 0; i < call->window->samples; i++)
	{
		int64		time = call->ends[i];
		bool		isnull = true;
		bool		changed;
		Datum		values = (Datum) 0;
		bool		found = as_of_seek(before, time, &changed);
		bool		between = found && as_of_time(before) < time && next_row_seek(&next, time) &&
			as_of_seek(after, next.run.rows->time[next.row], &changed);
		MemoryContext caller = MemoryContextSwitchTo(samples);

		CHECK_FOR_INTERRUPTS();
		if (found)
			values = as_of_values(before, &isnull);
		if (between && !isnull)
			put_between(call, time, before, after, values);
		else
			sample_sink_put(call->sink, time, values, isnull);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(samples);
	}
	tag_reader_end(next.reader);
	as_of_end(after);
	as_of_end(before);
	leaves_again_end(ahead);
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
	tag_reader_start(next->reader, next->tag, time + 1, PG_INT64_MAX, false);
	next->found = tag_reader_next(next->reader, &next->run);
	if (next->found)
		next->row = next->run.first;
	return next->found;
}

/* The same within the current run, from the current row on. */
static bool
next_row_in_run(NextRow *next, int64 time)
{
	uint32		end = next->run.first + next->run.nrows;
	uint32		row = decoded_rows_after(next->run.rows, next->row, end, time);

	if (row == end)
		return false;
	next->row = row;
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

/*
 * Weighs each value by how near it is, because left + (right - left) * share would lose a small
 * result between large numbers.  Adds the rounding errors of the products, which matter where these
 * cancel.
 */
static double
interpolate(double left, double right, double left_span, double right_span)
{
	double		left_weight = right_span / (left_span + right_span);
	double		right_weight = left_span / (left_span + right_span);
	double		a = left * left_weight;
	double		b = right * right_weight;
	double		error;
	double		sum;

	/* with an infinity or NaN, the result is that of arithmetic: NaN between two infinities */
	if (!isfinite(left) || !isfinite(right))
		return left + (right - left) * right_weight;
	if (left == right)
		return left;
	sum = reduction_two_sum(a, b, &error);
	return sum + (error + (fma(left, left_weight, -a) + fma(right, right_weight, -b)));
}

/* Puts a sample between two rows; left is the array of the row before. */
static void
put_between(const MethodCall *call, int64 time, const AsOfReader *before, const AsOfReader *after,
			Datum left)
{
	uint64		left_time = (uint64) as_of_time(before);
	double		left_span = (double) ((uint64) time - left_time);
	double		right_span = (double) ((uint64) as_of_time(after) - (uint64) time);
	Elements	given = array_elements(left);
	bool		right_null;
	Datum		right = as_of_values(after, &right_null);
	Elements	next = {0};
	double	   *elements = palloc_array(double, Max(given.width, 1));

	if (!right_null)
		next = array_elements(right);
	for (int v = 0; v < given.width; v++)
	{
		elements[v] = given.isnull[v] ? 0 : DatumGetFloat8(given.values[v]);
		if (!given.isnull[v] && v < next.width && !next.isnull[v])
			elements[v] = interpolate(elements[v], DatumGetFloat8(next.values[v]), left_span,
									  right_span);
	}
	sample_sink_put_elements(call->sink, time, true, elements, given.isnull, given.width);
}
