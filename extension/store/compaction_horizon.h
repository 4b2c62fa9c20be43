/*
 * compaction_horizon.h
 *	  Up to where in load order a table's segments may be merged.
 */
#ifndef HISTORIAN_COMPACTION_HORIZON_H
#define HISTORIAN_COMPACTION_HORIZON_H

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

#endif							/* HISTORIAN_COMPACTION_HORIZON_H */
