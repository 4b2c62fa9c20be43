/*
 * tag_totals.h
 *	  What the rows of a tag within a range of time amount to, all together.
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
	int64		first_time;		/* where count > 0 */
	int64		last_time;

	/* some values of the rows, each reduced by these facets, of which none is the spread */
	int			facets;
	uint32		nvalues;
	const uint32 *value;		/* [nvalues]: which value of a row, from 0 */
	Reduction  *reduced;		/* [nvalues] */
} TagTotals;

/* Empties the totals; facets, nvalues, value and reduced are the caller's. */
extern void tag_totals_clear(TagTotals *totals);

/*
 * Adds the rows of a tag with from <= time <= until.  Whole segments are counted by their
 * summaries, where they have any.
 */
extern void tag_totals_add(TagTotals *totals, Relation rel, DirectoryCursor *cursor,
						   Snapshot snapshot, text *tag, int64 from, int64 until);

#endif							/* HISTORIAN_TAG_TOTALS_H */
