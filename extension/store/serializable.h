/*
 * serializable.h
 *	  Tells PostgreSQL of conflicts between SERIALIZABLE transactions.
 */
#ifndef HISTORIAN_SERIALIZABLE_H
#define HISTORIAN_SERIALIZABLE_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

/* Call before the first read of the table under a snapshot. */
extern void serializable_note_read(Relation rel, Snapshot snapshot);

/*
 * Call before the command cid writes, in the subtransaction whose ID is xid.  Compaction does not
 * call it, because it changes no rows.
 */
extern void serializable_note_write(Relation rel, TransactionId xid, CommandId cid);

#endif							/* HISTORIAN_SERIALIZABLE_H */
