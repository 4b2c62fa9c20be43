/*
 * serializable.h
 *	  What transactions under SERIALIZABLE must know of each other.
 */
#ifndef HISTORIAN_SERIALIZABLE_H
#define HISTORIAN_SERIALIZABLE_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

/* Call before the first look at the table under a snapshot. */
extern void serializable_note_read(Relation rel, Snapshot snapshot);

/*
 * Call before a command writes, in the subtransaction whose ID is xid.  Not for compaction, which
 * changes nothing that anybody reads.
 */
extern void serializable_note_write(Relation rel, TransactionId xid, CommandId cid);

#endif							/* HISTORIAN_SERIALIZABLE_H */
