/*
 * chosen_rows.h
 *	  The rows that a method keeps as they are.
 */
#ifndef HISTORIAN_CHOSEN_ROWS_H
#define HISTORIAN_CHOSEN_ROWS_H

#include "postgres.h"

#include "read/method_call.h"
#include "read/slice_reader.h"

/* Zero it to start; it allocates in the memory context that is current at each call. */
typedef struct ChosenRows
{
	int64	   *times;			/* in ascending order */
	uint32		ntimes;
	uint32		capacity;

	/* of all rows that the method has seen */
	bool		has_array;
	bool		has_value;		/* an array reaches to the value by which rows are judged */
} ChosenRows;

/* Chooses the row of a time, which is later than those chosen before. */
extern void chosen_rows_add(ChosenRows *chosen, int64 time);

/* Tells of rows that the method has seen. */
extern void chosen_rows_see(ChosenRows *chosen, const MethodCall *call, const RowSlice *slice);

/*
 * Puts the chosen rows.  Raises an error if the call asks for a value that no row of the window
 * has, though there are rows.
 */
extern void chosen_rows_put(const ChosenRows *chosen, const MethodCall *call);

/* The value by which the call judges rows, to decode no others. */
static inline ValueRange
chosen_rows_values(const MethodCall *call)
{
	return (ValueRange) {call->value, call->value + 1};
}

/* Has a row the value by which the call judges rows?  Then it is set. */
static inline bool
chosen_rows_value(const MethodCall *call, const DecodedRows *rows, uint32 row, double *value)
{
	uint32		v = call->value - rows->first_value;

	if (!decoded_rows_has_value(rows, row, v))
		return false;
	*value = rows->values[(Size) v * rows->nrows + row];
	return true;
}

#endif							/* HISTORIAN_CHOSEN_ROWS_H */
