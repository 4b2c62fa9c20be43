/*
 * compaction.h
 *	  Merging a table's pending segments into full, disjoint ones.
 */
#ifndef HISTORIAN_COMPACTION_H
#define HISTORIAN_COMPACTION_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/compaction_stat.h"

typedef struct CompactionOptions
{
	uint64		horizon;		/* that has been reached */
	bool		everything;		/* also tags with less than a page's worth of pending segments */
	bool		wait;			/* for another compaction or deletion of the table to end */
	int64		max_rows;		/* stop at the tag after so many rows; 0: never */
	text	  **tags;			/* in order: these alone; NULL: all */
	uint32		ntags;
} CompactionOptions;

/*
 * Merges pending segments of the tags after *after (NULL: of all), and sets *after to the tag to go
 * on from in another transaction, palloc'd, or to NULL at the end.  Without wait, returns false
 * where another compaction or deletion is under way.  The caller holds RowExclusiveLock.
 */
extern bool compaction_run(Relation rel, const CompactionOptions *options, text **after,
						   CompactionCounts *counts);

#endif							/* HISTORIAN_COMPACTION_H */
