/*
 * tag_totals.h
 *	  Reduces all rows of a tag within a range of time.
 */
#ifndef HISTORIAN_TAG_TOTALS_H
#define HISTORIAN_TAG_TOTALS_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

#include "store/directory.h"
#include "store/reduction.h"

typedef struct TagTotals
{
	int64		count;			/* rows */
	int64		first_time;		/* if count > 0 */
	int64		last_time;

	/* the values to reduce, to these facets, which do not include the spread */
	int			facets;
	uint32		nvalues;
	const uint32 *value;		/* [nvalues]: the number of each value in a row, from 0 */
	Reduction  *reduced;		/* [nvalues] */
} TagTotals;

/* Empties the totals.  The caller has set facets, nvalues, value and reduced. */
extern void tag_totals_clear(TagTotals *totals);

/*
 * Adds the rows of a tag with from <= time <= until.  Whole segments are counted by their
 * summaries, where they have any.
 */
extern void tag_totals_add(TagTotals *totals, Relation rel, DirectoryCursor *cursor,
						   Snapshot snapshot, text *tag, int64 from, int64 until);

#endif							/* HISTORIAN_TAG_TOTALS_H */
