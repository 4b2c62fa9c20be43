/*
 * compaction_horizon.c
 *	  The number in load order below which a table's segments may be merged.
 */
#include "postgres.h"

#include "store/compaction_horizon.h"

#include "miscadmin.h"
#include "storage/lmgr.h"

#include "compat.h"
#include "store/load_order.h"

CompactionHorizon
compaction_horizon_take(void)
{
	CompactionHorizon horizon;

	/*
	 * The sequence is taken first.  A load that has no number yet gets a higher one.  A load that
	 * has one had its transaction ID before that, which is lower than the next one.
	 */
	horizon.sequence = load_order_bound();
	horizon.next_xid = ReadNextFullTransactionId();
	return horizon;
}

bool
compaction_horizon_reached(Relation rel, const CompactionHorizon *horizon, bool wait)
{
	TransactionId next_xid = XidFromFullTransactionId(horizon->next_xid);
	LOCKTAG		tag;
	VirtualTransactionId *writers;

	/* a transaction this old cannot be running, and its ID could not be compared */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) -
		U64FromFullTransactionId(horizon->next_xid) > INT32_MAX)
		return true;

	/* a transaction that writes holds RowExclusiveLock until it ends */
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, RelationGetRelid(rel));
	writers = GetLockConflicts(&tag, ShareLock, NULL);
	for (VirtualTransactionId *writer = writers; VirtualTransactionIdIsValid(*writer); writer++)
	{
		TransactionId xid = historian_loader_xid(*writer);

		if (TransactionIdIsValid(xid) && TransactionIdPrecedes(xid, next_xid) &&
			!VirtualXactLock(*writer, wait))
			return false;
	}
	return true;
}
