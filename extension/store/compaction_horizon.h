/*
 * compaction_horizon.h
 *	  The number in load order below which a table's segments may be merged.
 */
#ifndef HISTORIAN_COMPACTION_HORIZON_H
#define HISTORIAN_COMPACTION_HORIZON_H

#include "postgres.h"

#include "access/transam.h"
#include "utils/rel.h"

/*
 * Segments whose sequence is lower may be merged once all transactions that write to the table and
 * have a lower ID have ended.  Until then such a transaction may have a lower sequence and commit
 * after the merge, whose rows would have overtaken its own.  A horizon that is not yet reached may
 * be kept and tried again later.
 */
typedef struct CompactionHorizon
{
	uint64		sequence;
	FullTransactionId next_xid; /* loads with a lower sequence have a lower ID */
} CompactionHorizon;

/* Takes the horizon of now: it is above all loads that have a number. */
extern CompactionHorizon compaction_horizon_take(void);

/*
 * Have all transactions ended that may write below the horizon?  With wait, waits for them
 * (lock_timeout applies) and returns true.
 */
extern bool compaction_horizon_reached(Relation rel, const CompactionHorizon *horizon, bool wait);

#endif							/* HISTORIAN_COMPACTION_HORIZON_H */
