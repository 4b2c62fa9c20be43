/*
 * near_rows.h
 *	  The values of single rows, for callers whose rows may be near each other.
 */
#ifndef HISTORIAN_NEAR_ROWS_H
#define HISTORIAN_NEAR_ROWS_H

#include "postgres.h"

#include "store/store.h"

typedef struct NearRows NearRows;

/* Memory is of the current context. */
extern NearRows *near_rows_begin(void);
extern void near_rows_end(NearRows *near);

/* Forgets the rows so far.  Must be called before rows of another tag. */
extern void near_rows_forget(NearRows *near);

/*
 * The values of a row of a segment, whose rows are opened, as a palloc'd float8[]; sets *isnull if the
 * array itself is NULL.
 */
extern Datum near_rows_array(NearRows *near, Relation rel, const StoredSegment *stored, uint32 row,
							 bool *isnull);

#endif							/* HISTORIAN_NEAR_ROWS_H */
