/*
 * deletion.h
 *	  Deletes rows: writes their segments anew without them.
 */
#ifndef HISTORIAN_DELETION_H
#define HISTORIAN_DELETION_H

#include "postgres.h"

#include "access/tableam.h"

/*
 * Notes a row that the command cid deletes or updates, by the ctid that its scan gave.  The row is
 * deleted when the command ends.  Returns TM_SelfModified if the command has noted it before,
 * otherwise TM_Ok.
 */
extern TM_Result deletion_add(Relation rel, ItemPointer ctid, CommandId cid, bool update);

/*
 * Deletes the rows of a tag (NULL: of every tag) with from <= time <= until, and returns how many
 * rows a reader would have seen.  Deletes under a fresh snapshot, or under the transaction's from
 * REPEATABLE READ on.  The caller holds RowExclusiveLock.
 */
extern int64 deletion_delete_range(Relation rel, text *tag, int64 from, int64 until);

#endif							/* HISTORIAN_DELETION_H */
