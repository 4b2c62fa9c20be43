/*
 * store.h
 *	  Segments as heap tuples in the main fork of a historian table.
 */
#ifndef HISTORIAN_STORE_H
#define HISTORIAN_STORE_H

#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "utils/rel.h"

#include "compat.h"
#include "store/segment.h"
#include "store/shared_segment.h"

/* The bytes of a stored tuple's header, which has no NULL bitmap. */
#define STORE_TUPLE_HEADER MAXALIGN(SizeofHeapTupleHeader)

/* The longest segment: one tuple fills a page. */
#define STORE_MAX_SEGMENT_BYTES (MaxHeapTupleSize - STORE_TUPLE_HEADER)

/* A row always fits if its tag and its uncompressed values take no more (CODEC_ROW_OVERHEAD). */
#define STORE_SURE_ROW_BYTES \
	(STORE_MAX_SEGMENT_BYTES - SEGMENT_HEADER_BYTES - CODEC_ROW_OVERHEAD)

/*
 * A segment in a pinned buffer, or the part of a shared segment that one tag has.  Its pointers
 * hold until store_release().
 */
typedef struct StoredSegment
{
	HeapTupleData tuple;
	Buffer		buffer;
	Segment		segment;		/* .rows is valid after store_open_rows() or store_open_row() only */
} StoredSegment;

/*
 * Writes one segment with its WAL record, and sets *tid.  xid must be that of the current
 * (sub)transaction, because replay takes it from the record.  options are TABLE_INSERT_*; bistate
 * may be NULL.
 */
extern void store_insert(Relation rel, const uint8 *segment, Size length, TransactionId xid,
						 CommandId cid, int options, BulkInsertState bistate, ItemPointer tid);

/* The bytes of a segment for which the page has room that the next insert tries first, or 0. */
extern Size store_room(BulkInsertState bistate);

/*
 * Deletes the segment at tid for the command cid, as heap_delete() does.  Waits for a transaction
 * that is deleting it, and returns false if that or another one has deleted it.
 */
extern bool store_delete(Relation rel, ItemPointer tid, CommandId cid);

/*
 * Counts the rows of a deleted segment in the table's statistics: those that are gone, and those
 * that are stored in another segment now.  Autovacuum compares dead rows with pg_class.reltuples,
 * which counts rows too.
 */
extern void store_count_rows(Relation rel, uint32 deleted, uint32 moved);

/* Why store_fetch() finds no segment. */
typedef enum StoreAbsence
{
	STORE_UNSEEN,				/* the snapshot does not see it */
	STORE_DEAD,					/* no transaction can see it any more */
	STORE_EMPTY,				/* nothing is stored there, not even what is dead */
} StoreAbsence;

/*
 * Fetches the segment at tid: pins its buffer, and reads and checks its header.  tag is the one by
 * which the directory has the segment, or NULL if it is not known.  Of a shared segment, fetches
 * the rows of tag, which must stay as long as *stored, or (NULL) only the header.  Returns false,
 * with nothing pinned, if the snapshot does not see a segment there; *absence (if not NULL) then
 * says why.  Raises an error if the file ends before the block, or the block was never written.
 */
extern bool store_fetch(Relation rel, Snapshot snapshot, const text *tag, ItemPointer tid,
						StoredSegment *stored, StoreAbsence *absence);

/*
 * Is nothing stored at tid, not even what is dead?  VACUUM removes a segment's entries from the
 * directory before it makes the place free, so that such an entry has lost its segment.
 */
extern bool store_is_empty(Relation rel, ItemPointer tid);

/* Opens the rows of a fetched segment; with verify, compares the checksum first. */
extern void store_open_rows(Relation rel, StoredSegment *stored, bool verify);

/*
 * Of a segment that was fetched without a tag, opens the rows of the tag that has this row.  row is
 * the number among all rows of the stored tuple; returns the number among those opened.  Sets *tag
 * to the tag, palloc'd, which must stay as long as *stored.
 */
extern uint32 store_open_row(Relation rel, StoredSegment *stored, uint32 row, text **tag);

/*
 * Of a shared segment that was fetched without a tag, opens the part that stored->segment names
 * (shared_segment_open_part()), which is of this tag.  Of one that was not fetched, the caller has the
 * bytes; otherwise these are NULL.
 */
extern void store_open_part(Relation rel, StoredSegment *stored, const text *tag,
							const uint8 *bytes, Size length);

/*
 * Of a shared segment that was fetched without a tag, begins to read the entries.  At their end,
 * raises an error if the reader has met damage.
 */
extern void store_open_shared(Relation rel, const StoredSegment *stored, SharedReader *reader,
							  bool verify);
extern void store_check_shared(Relation rel, const StoredSegment *stored,
							   const SharedReader *reader);

extern void store_release(StoredSegment *stored);

/*
 * Returns the segment's bytes in a tuple on a page.  A damaged line pointer may reach beyond the
 * page, so *length counts only bytes of the page.
 */
static inline const uint8 *
store_segment_bytes(Page page, HeapTuple tuple, Size *length)
{
	Size		offset = (Size) ((char *) tuple->t_data - (char *) page);
	Size		bytes = offset < BLCKSZ ? Min(tuple->t_len, BLCKSZ - offset) : 0;

	*length = bytes > STORE_TUPLE_HEADER ? bytes - STORE_TUPLE_HEADER : 0;
	return (const uint8 *) tuple->t_data + STORE_TUPLE_HEADER;
}

/*
 * Finds the next tuple of a buffer that the caller has locked, from item *next on, and advances
 * *next.  Returns false at the end.  Where a damaged line pointer points out of its page, which the
 * heap's own code does not check, t_data is NULL.
 */
extern bool store_next_tuple(Relation rel, Buffer buffer, OffsetNumber *next, HeapTuple tuple);

/* The same for tuples that have the header of a segment, whether or not a snapshot sees them. */
extern bool store_next_segment(Relation rel, Buffer buffer, OffsetNumber *next, HeapTuple tuple,
							   SegmentHeader *header);

/* The tag of a segment in a form that a message can show, whatever its bytes are; palloc'd. */
extern const char *store_tag_text(const SegmentHeader *header);

/*
 * Raises the error for a segment that cannot be read: its relation and place and, where the header
 * can be trusted so far (not NULL), its tag and times.
 */
pg_noreturn extern void store_report(Relation rel, ItemPointer tid, const SegmentHeader *header,
									 SegmentStatus status);

/* Raises the error for a segment that is not there any more; tag as in store_fetch(). */
pg_noreturn extern void store_report_vanished(Relation rel, const text *tag, ItemPointer tid);

#endif							/* HISTORIAN_STORE_H */
