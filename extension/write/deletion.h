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

/* Which rows of some tags expire, and what has been removed of them. */
typedef struct ExpiryRule
{
	text	   *prefix;			/* of the tags; of several rules the longest prefix decides */
	int64		until;			/* the last time that expires; PG_INT64_MIN: none */
	int64		rows;
	int64		bytes;			/* of the segments removed, less those written anew */
} ExpiryRule;

/*
 * Deletes the rows of the tags after *after (NULL: from the first on) that expire by the rules, and
 * adds what it has removed to these.  Stops after the tag with which it has removed max_segments.
 * Sets *after to the last tag done, palloc'd, from which another transaction is to go on, or to NULL
 * if all are done.  Returns false if another deletion or a compaction of the table is under way.
 * Otherwise it is like deletion_delete_range().
 */
extern bool deletion_expire(Relation rel, ExpiryRule *rules, uint32 nrules, int64 max_segments,
							text **after);

/*
 * Moves the rows that tags have in shared segments, with numbers below the horizon, to pending
 * segments of their own.  The caller holds directory_lock(), and its next command sees them.
 */
extern void deletion_take_out(Relation rel, text **tags, uint32 ntags, uint64 horizon);

#endif							/* HISTORIAN_DELETION_H */
