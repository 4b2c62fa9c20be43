/*
 * serializable.c
 *	  Tells PostgreSQL of conflicts between SERIALIZABLE transactions.
 *
 * PostgreSQL's predicate.c finds dangerous structures among concurrent transactions if it is told
 * of each pair of which one has read what the other has written.  Here it is told by table, because
 * a read depends on the gaps between rows too.
 *
 * - If the read comes first, the reader has locked the table (PredicateLockRelation()), and each
 *	 write looks for such locks (CheckForSerializableConflictIn(), in store_insert() and
 *	 heap_delete()).
 * - If the write comes first, a reader of a heap learns of it from the xmin and xmax of the rows
 *	 that it meets.  Those of segments do not suffice.  Compaction, whose transactions are no
 *	 user's, may have merged a segment since the reader's snapshot was taken; then the reader still
 *	 reads the old segment, while other transactions change or delete the new one, which the reader
 *	 may never meet.  So every command that writes leaves a mark in the table, a segment that
 *	 compaction does not touch, and a reader looks at all marks.
 *
 * A mark is deleted by the transaction that inserts it.  PostgreSQL keeps it while a snapshot is in
 * use that sees this transaction as running, and the mark does not matter for longer than that.
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

	/* comes after the lock, so that a write whose mark is not met here meets the lock */
	if (!CheckForSerializableConflictOutNeeded(rel, snapshot))
		return;
	cursor = directory_begin(rel, snapshot);
	directory_seek_marks(cursor);
	/* store_fetch() tells predicate.c of each mark, whether the snapshot sees it or not */
	while (directory_next_pending(cursor, &stored))
		store_release(&stored);
	directory_end(cursor);
}

void
serializable_note_write(Relation rel, TransactionId xid, CommandId cid)
{
	SegmentSink *sink;

	/* no other session reads a temporary table */
	if (!IsolationIsSerializable() || RelationUsesLocalBuffers(rel))
		return;
	sink = segment_sink_begin(rel, xid, cid, 0);
	segment_sink_write_mark(sink);
	segment_sink_end(sink);
}
