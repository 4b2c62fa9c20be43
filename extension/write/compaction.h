/*
 * compaction.h
 *	  Merging a table's pending segments into full, disjoint ones.
 */
#ifndef HISTORIAN_COMPACTION_H
#define HISTORIAN_COMPACTION_H

#include "postgres.h"

#include "access/transam.h"
#include "utils/rel.h"

/*
 * Segments of a lower sequence than this may be merged, once all transactions with a lower ID that
 * write to the table have ended: such a load may commit, after the merge, rows that are earlier in
 * load order than what was merged.  It may be kept, and tried again later.
 */
typedef struct CompactionHorizon
{
	uint64		sequence;
	FullTransactionId next_xid; /* of who begins to write after the sequence was taken */
} CompactionHorizon;

/* Takes the horizon of now. */
extern CompactionHorizon compaction_horizon_take(void);

/*
 * Has everyone ended who was writing then?  With wait, waits until then (lock_timeout applies)
 * and returns true.
 */
extern bool compaction_horizon_reached(Relation rel, const CompactionHorizon *horizon, bool wait);

typedef struct CompactionCounts
{
	int64		tags;
	int64		segments_merged;
	int64		segments_written;
	int64		bytes_merged;
	int64		bytes_written;
	int64		rows;
} CompactionCounts;

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
extern bool compact_table(Relation rel, const CompactionOptions *options, text **after,
						  CompactionCounts *counts);

#endif							/* HISTORIAN_COMPACTION_H */
