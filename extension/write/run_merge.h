/*
 * run_merge.h
 *	  Merges sorted runs, so that a table has few of them and a tag's rows come together.
 */
#ifndef HISTORIAN_RUN_MERGE_H
#define HISTORIAN_RUN_MERGE_H

#include "postgres.h"

#include "utils/rel.h"

#include "store/compaction_stat.h"
#include "store/emptied_blocks.h"

/*
 * A merge that takes several transactions, each of which merges some of the tags and leaves the
 * sources without these, so that the next one can use their room.  Zero it to start; it allocates in
 * context.  If one of the transactions is not committed, forget it: what is done of the merge stays,
 * and another merge will take the rest.
 */
typedef struct RunMergeInParts
{
	MemoryContext context;
	bool		under_way;
	uint64		number;			/* of the new run */
	uint64		first_sequence; /* of the runs that are merged */
	uint64		last_sequence;
	text	   *after;			/* the last tag done */
	uint64		later_horizon;	/* later loads before this one may be merged between two parts; the
								 * caller sets it before each of them, or leaves it 0 */
} RunMergeInParts;

/*
 * Merges the runs before the horizon that are due or, with everything, all of them.  With
 * everything, rows of tags that have segments of their own go to segments of their own too, so that
 * compaction can take them.  Adds what it has done to *counts, and notes in emptied (unless it is
 * NULL) what it empties.  With parts, a large merge goes no further than to the end of its next part;
 * and before the next part the loads are merged that have come since, if they are due.  Returns
 * whether it has done anything; the caller's next command sees it.
 *
 * The caller holds directory_lock().
 */
extern bool run_merge(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
					  RunMergeInParts *parts, CompactionCounts *counts);

#endif							/* HISTORIAN_RUN_MERGE_H */
