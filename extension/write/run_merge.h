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
 * Merges the runs before the horizon that are due or, with everything, all of them.  With
 * everything, rows of tags that have segments of their own go to segments of their own too, so that
 * compaction can take them.  Adds what it has done to *counts, and notes in emptied (unless it is
 * NULL) what it empties.  Returns whether it has done anything; the caller's next command sees it.
 *
 * The caller holds directory_lock().
 */
extern bool run_merge(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
					  CompactionCounts *counts);

#endif							/* HISTORIAN_RUN_MERGE_H */
