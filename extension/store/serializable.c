/*
 * serializable.c
 *	  What transactions under SERIALIZABLE must know of each other.
 *
 * PostgreSQL's predicate.c finds dangerous structures among transactions if it is told of each pair
 * of which one has read what the other, side by side with it, has written.  Here that is told by
 * table, as a read looks at the gaps between rows too.
 *
 * - The read came first: it has locked the table (PredicateLockRelation()), and each write looks for
 *	 such locks (CheckForSerializableConflictIn(), in store_insert() and heap_delete()).
 * - The write came first: in a heap, the reader learns of it from the xmin and xmax of the rows that
 *	 it meets.  Those of segments do not tell: where compaction, which is nobody's transaction, has
 *	 merged a segment since the reader's snapshot, the reader goes on to read the old one, while
 *	 others change or delete the new one, which it need not even meet.  So every command that writes
 *	 leaves a mark in the table, a tuple of its own, which compaction does not touch, and a reader
 *	 looks at all marks.
 *
 * A mark is inserted and deleted by the same command.  PostgreSQL keeps it for as long as a snapshot
 * is in use for which its transaction has not ended, which is how long it matters.
 */
#include "postgres.h"

#include "store/serializable.h"

#include "access/xact.h"
#include "storage/predicate.h"

#include "store/directory.h"
#include "store/segment_sink.h"

void
serializable_note_read(Relation rel, Snapshot snapshot)
{
	DirectoryCursor *cursor;
	StoredSegment stored;

	PredicateLockRelation(rel, snapshot);

	/* after that, so that a write which this does not meet meets the lock */
	if (!CheckForSerializableConflictOutNeeded(rel, snapshot))
		return;
	cursor = directory_begin(rel, snapshot);
	directory_seek_marks(cursor);
	/* store_fetch() reports what it fetches, seen or not */
	while (directory_next_pending(cursor, &stored))
		store_release(&stored);
	directory_end(cursor);
}

void
serializable_note_write(Relation rel, TransactionId xid, CommandId cid)
{
	SegmentSink *sink;

	/* nobody else reads a temporary table */
	if (!IsolationIsSerializable() || RelationUsesLocalBuffers(rel))
		return;
	sink = segment_sink_begin(rel, xid, cid, 0);
	segment_sink_write_mark(sink);
	segment_sink_end(sink);
}
