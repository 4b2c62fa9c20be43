/*
 * sliding_sums.h
 *	  Keeps sums over a span of time that slides forward.
 *
 * A *cut* has the rows between two neighbouring times at which the span may begin or end.  So the
 * span is a queue of whole cuts.
 */
#ifndef HISTORIAN_SLIDING_SUMS_H
#define HISTORIAN_SLIDING_SUMS_H

#include "postgres.h"

#include "read/slice_reader.h"
#include "store/reduction.h"

typedef struct ColumnSum
{
	int64		count;
	DoubleSum	sum;
} ColumnSum;

/* The sums over some rows. */
typedef struct Sums
{
	bool		has_array;
	uint32		width;
	ColumnSum  *columns;		/* [width], palloc'd for capacity */
	uint32		capacity;
} Sums;

typedef struct SlidingSums SlidingSums;

/* Where rows are read once more if not all cuts of a span fit into memory. */
typedef struct SlidingSource
{
	const Leaves *leaves;
	text	   *tag;
	const int64 *bounds;		/* where cuts end, ascending */
	uint32		nbounds;
	int64		from;			/* the first time of the first cut */
} SlidingSource;

/*
 * All functions allocate in the context that is current, which must outlive the sums; sliding_sums.c
 * tells how much.  sliding_sums_end() leaves most of the memory to that context.
 */
extern SlidingSums *sliding_sums_begin(const SlidingSource *source);
extern void sliding_sums_end(SlidingSums *sliding);

/* Adds the rows of a slice, which lie in the cut that ends at bounds[slice->period]. */
extern void sliding_sums_enter(SlidingSums *sliding, const RowSlice *slice);

/* Drops the cuts that end at or before a time. */
extern void sliding_sums_leave(SlidingSums *sliding, int64 until);

/* The sums over the rows that have entered and not left; valid until the next call. */
extern const Sums *sliding_sums_total(SlidingSums *sliding);

#endif							/* HISTORIAN_SLIDING_SUMS_H */
