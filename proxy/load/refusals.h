/*
 * refusals.h
 *	  A list of the rows of a batch that PostgreSQL has refused, with the reasons.
 *
 * Zeroed memory is an empty list.  Rows are added in ascending order.  Consecutive refusals with
 * the same reason share it, so that a batch of bad rows takes little memory.
 */
#ifndef HISTORIAND_REFUSALS_H
#define HISTORIAND_REFUSALS_H

#include "database/sql_failure.h"
#include "ingest/batch.h"

#include <stddef.h>

typedef struct RefusalReason
{
	char sqlstate[6];
	char *message;
} RefusalReason;

typedef struct Refusal
{
	uint64_t row; /* of the batch */
	uint32_t reason;
} Refusal;

typedef struct Refusals
{
	Refusal *rows;
	size_t count;
	RefusalReason *reasons;
	uint32_t reason_count;
} Refusals;

extern void refusals_add(Refusals *refusals, uint64_t row, const SqlFailure *failure);
extern void refusals_clear(Refusals *refusals);

static inline const RefusalReason *
refusals_reason(const Refusals *refusals, size_t at)
{
	return &refusals->reasons[refusals->rows[at].reason];
}

/* A walk over the refused rows, in the batch that they are in. */
typedef struct RefusedRows
{
	const Refusals *refusals;
	BatchCursor cursor; /* has the tag of the row that refused_rows_next() returned */
	uint64_t row;		/* where the cursor is */
	size_t next;		/* index among the refusals */
} RefusedRows;

extern RefusedRows refused_rows(const Refusals *refusals, const Batch *batch);

/* Returns the next refused row and sets *reason; NULL after the last one. */
extern const BatchRow *refused_rows_next(RefusedRows *rows, const RefusalReason **reason);

#endif /* HISTORIAND_REFUSALS_H */
