/*
 * value_walk.c
 *	  One value of the rows of a tag, from time to time, beginning with what held before.
 */
#include "postgres.h"

#include "read/value_walk.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/array.h"

#include "compat.h"
#include "read/as_of.h"
#include "read/tag_reader.h"

struct ValueWalk
{
	uint32		value;
	int64		from;
	bool		has_before;		/* is the value before still to be returned? */
	double		before;
	TagReader  *reader;
	RowRun		run;
	uint32		next;			/* row of the run */
};

static bool find_before(const Leaves *leaves, text *tag, uint32 v, int64 from, double *value);

ValueWalk *
value_walk_begin(const Leaves *leaves, text *tag, uint32 v, int64 from, int64 until)
{
	ValueWalk  *walk = palloc0_object(ValueWalk);

	walk->value = v;
	walk->from = from;
	walk->has_before = find_before(leaves, tag, v, from, &walk->before);
	walk->reader = tag_reader_begin_leaves(leaves);
	tag_reader_restrict_values(walk->reader, (ValueRange) {v, v + 1});
	tag_reader_start(walk->reader, tag, from, until, true);
	return walk;
}

void
value_walk_end(ValueWalk *walk)
{
	tag_reader_end(walk->reader);
	pfree(walk);
}

bool
value_walk_next(ValueWalk *walk, int64 *time, double *value)
{
	if (walk->has_before)
	{
		walk->has_before = false;
		*time = walk->from;
		*value = walk->before;
		return true;
	}
	for (;;)
	{
		const DecodedRows *rows = walk->run.rows;

		for (; walk->next < walk->run.first + walk->run.nrows; walk->next++)
		{
			uint32		v = walk->value - rows->first_value;

			if (!decoded_rows_has_value(rows, walk->next, v))
				continue;
			*value = rows->values[(Size) v * rows->nrows + walk->next];
			if (isnan(*value))
				continue;
			*time = rows->time[walk->next++];
			return true;
		}
		CHECK_FOR_INTERRUPTS();
		if (!tag_reader_next(walk->reader, &walk->run))
		{
			walk->run.nrows = 0;
			walk->next = walk->run.first;
			return false;
		}
		walk->next = walk->run.first;
	}
}

/* Finds the value in the last row before a time. */
static bool
find_before(const Leaves *leaves, text *tag, uint32 v, int64 from, double *value)
{
	AsOfReader *reader;
	bool		changed;
	bool		found = false;

	if (from == PG_INT64_MIN)
		return false;
	reader = as_of_begin(leaves);
	as_of_start(reader, tag, from - 1);
	if (as_of_seek(reader, from - 1, &changed))
	{
		bool		isnull;
		Datum		array = as_of_values(reader, &isnull);
		int			subscript = v + 1;
		Datum		element = isnull ? (Datum) 0
			: array_get_element(array, 1, &subscript, -1, sizeof(float8), FLOAT8PASSBYVAL,
								TYPALIGN_DOUBLE, &isnull);

		found = !isnull && !isnan(DatumGetFloat8(element));
		if (found)
			*value = DatumGetFloat8(element);
	}
	as_of_end(reader);
	return found;
}
