/*
 * deletion.h
 *	  Deleting rows: their segments are written anew without them.
 */
#ifndef HISTORIAN_DELETION_H
#define HISTORIAN_DELETION_H

#include "postgres.h"

#include "access/tableam.h"

/*
 * Takes note of a row that the command cid deletes or updates, by the ctid of its scan.  It is gone
 * when the command ends.  TM_SelfModified where the command has deleted it already.
 */
extern TM_Result deletion_add(Relation rel, ItemPointer ctid, CommandId cid, bool update);

/*
 * Deletes the rows of a tag (NULL: of every tag) with from <= time <= until, and returns their
 * number.  What the current command sees is deleted.  The caller holds RowExclusiveLock.
 */
extern int64 deletion_delete_range(Relation rel, text *tag, int64 from, int64 until);

#endif							/* HISTORIAN_DELETION_H */
