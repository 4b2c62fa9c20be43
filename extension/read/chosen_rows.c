/*
 * chosen_rows.c
 *	  The rows that a method keeps as they are.
 *
 * A method reads the window to choose the times of the rows to keep.  These rows are then fetched,
 * at one descent in the directory each.
 */
#include "postgres.h"

#include "read/chosen_rows.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "read/as_of.h"

void
chosen_rows_add(ChosenRows *chosen, int64 time)
{
	Assert(chosen->ntimes == 0 || chosen->times[chosen->ntimes - 1] < time);
	if (chosen->ntimes == chosen->capacity)
	{
		chosen->capacity = Max(64, chosen->capacity * 2);
		chosen->times = chosen->times == NULL
			? palloc_array(int64, chosen->capacity)
			: repalloc_array(chosen->times, int64, chosen->capacity);
	}
	chosen->times[chosen->ntimes++] = time;
}

void
chosen_rows_see(ChosenRows *chosen, const MethodCall *call, const RowSlice *slice)
{
	uint32		width;

	if (chosen->has_value || !row_slice_width(slice, &width))
		return;
	chosen->has_array = true;
	chosen->has_value = width > call->value - slice->rows->first_value;
}

void
chosen_rows_put(const ChosenRows *chosen, const MethodCall *call)
{
	AsOfReader *reader;

	if (call->value_required && chosen->has_array && !chosen->has_value)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no row of tag \"%s\" in the window has a value %u",
					   text_to_cstring(call->tag), call->value + 1));

	reader = as_of_begin(call->leaves);
	as_of_start(reader, call->tag, call->window->end);
	for (uint32 i = 0; i < chosen->ntimes; i++)
	{
		bool		changed;
		bool		isnull;
		Datum		values;

		CHECK_FOR_INTERRUPTS();
		as_of_seek(reader, chosen->times[i], &changed);
		values = as_of_values(reader, &isnull);
		sample_sink_put(call->sink, chosen->times[i], values, isnull);
		if (!isnull)
			pfree(DatumGetPointer(values));
	}
	as_of_end(reader);
}
