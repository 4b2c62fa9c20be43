/*
 * refusals.c
 *	  A list of the rows of a batch that PostgreSQL has refused, with the reasons.
 */
#include "load/refusals.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Returns the array with room for one more element.  Its size is doubled at each power of two. */
static void *
grown(void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0)
		return array;
	return memory_resize(array, (count == 0 ? 1 : count * 2) * size);
}

void
refusals_add(Refusals *refusals, uint64_t row, const SqlFailure *failure)
{
	const RefusalReason *last =
		refusals->reason_count > 0 ? &refusals->reasons[refusals->reason_count - 1] : NULL;

	if (last == NULL || strcmp(last->sqlstate, failure->sqlstate) != 0 ||
		strcmp(last->message, failure->message) != 0)
	{
		RefusalReason reason = {.message = memory_strdup(failure->message)};

		memcpy(reason.sqlstate, failure->sqlstate, sizeof(reason.sqlstate));
		refusals->reasons = grown(refusals->reasons, refusals->reason_count, sizeof(RefusalReason));
		refusals->reasons[refusals->reason_count++] = reason;
	}
	refusals->rows = grown(refusals->rows, refusals->count, sizeof(Refusal));
	refusals->rows[refusals->count++] = (Refusal){row, refusals->reason_count - 1};
}

void
refusals_clear(Refusals *refusals)
{
	for (uint32_t i = 0; i < refusals->reason_count; i++)
		free(refusals->reasons[i].message);
	free(refusals->reasons);
	free(refusals->rows);
	*refusals = (Refusals){0};
}

RefusedRows
refused_rows(const Refusals *refusals, const Batch *batch)
{
	RefusedRows rows = {.refusals = refusals};

	batch_cursor_seek(&rows.cursor, batch, 0);
	return rows;
}

const BatchRow *
refused_rows_next(RefusedRows *rows, const RefusalReason **reason)
{
	const BatchRow *row = NULL;

	if (rows->next == rows->refusals->count)
		return NULL;
	for (; rows->row <= rows->refusals->rows[rows->next].row; rows->row++)
		row = batch_cursor_next(&rows->cursor);
	ASSERT(row != NULL);
	*reason = refusals_reason(rows->refusals, rows->next++);
	return row;
}
