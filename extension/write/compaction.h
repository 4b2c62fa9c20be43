/*
 * compaction.h
 *	  Merges the pending segments of each tag into full ones that are disjoint in time.
 */
#ifndef HISTORIAN_COMPACTION_H
#define HISTORIAN_COMPACTION_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/compaction_stat.h"
#include "store/emptied_blocks.h"
#include "write/run_merge.h"

typedef struct CompactionOptions
{
	uint64		horizon;		/* only pending segments with lower numbers are merged */
	bool		everything;		/* bring all rows to compacted segments */
	bool		wait;			/* for another compaction or deletion of the table to end */
	int64		max_rows;		/* stop after the tag that reaches so many rows; 0: never */
	text	  **tags;			/* only these, in order; NULL: all */
	uint32		ntags;
	EmptiedBlocks *emptied;		/* where to note what is emptied, or NULL */
	RunMergeInParts *parts;		/* merges of runs may be left under way, or NULL */
} CompactionOptions;

/*
 * Compacts the tags after *after (NULL: from the first on), and adds what it has done to *counts.
 * Sets *after to the last tag done, palloc'd, from which another transaction is to go on, or to
 * NULL if all are done, but for a merge of runs that options->parts says is under way: then it is to be
 * called again with NULL.  Without wait, returns false if another compaction or deletion of the table
 * is under way.  The horizon must have been reached (compaction_horizon.h), and the caller holds
 * RowExclusiveLock.
 */
extern bool compaction_run(Relation rel, const CompactionOptions *options, text **after,
						   CompactionCounts *counts);

#endif							/* HISTORIAN_COMPACTION_H */
