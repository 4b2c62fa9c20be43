/*
 * store.h
 *	  Segments as heap tuples in a historian table's own fork.
 */
#ifndef HISTORIAN_STORE_H
#define HISTORIAN_STORE_H

#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "utils/rel.h"

#include "compat.h"
#include "store/segment.h"

/* The header of every stored tuple: no NULL bitmap, so its size is fixed. */
#define STORE_TUPLE_HEADER MAXALIGN(SizeofHeapTupleHeader)

/* The longest segment: one tuple fills a page. */
#define STORE_MAX_SEGMENT_BYTES (MaxHeapTupleSize - STORE_TUPLE_HEADER)

/* The bytes of a tag and of values as they are, see CODEC_ROW_OVERHEAD, that fit a segment always. */
#define STORE_SURE_ROW_BYTES \
	(STORE_MAX_SEGMENT_BYTES - SEGMENT_HEADER_BYTES - CODEC_ROW_OVERHEAD)

/* A segment in a pinned buffer; its pointers hold until store_release(). */
typedef struct StoredSegment
{
	HeapTupleData tuple;
	Buffer		buffer;
	Segment		segment;		/* .rows is valid after store_open_rows() only */
} StoredSegment;

/*
 * Writes one segment with its WAL, and sets *tid.  xid must be the current (sub)transaction's:
 * replay takes it from the record.  options are TABLE_INSERT_*; bistate may be NULL.
 */
extern void store_insert(Relation rel, const uint8 *segment, Size length, TransactionId xid,
						 CommandId cid, int options, BulkInsertState bistate, ItemPointer tid);

/*
 * Deletes the segment at tid for the command cid, as heap_delete() does, waiting for whoever is
 * deleting it.  Returns false where somebody else has deleted it.
 */
extern bool store_delete(Relation rel, ItemPointer tid, CommandId cid);

/*
 * Counts the rows of a deleted segment for the statistics and for autovacuum, which compares dead
 * rows with pg_class.reltuples: rows that are gone, and rows that stand elsewhere now.
 */
extern void store_count_rows(Relation rel, uint32 deleted, uint32 moved);

/*
 * Reads the segment at tid and pins its buffer, if the snapshot sees it; its header is checked.
 * Returns false, with nothing pinned, where the snapshot does not see one; *all_dead (if not NULL)
 * then tells whether nobody can see one, so that the directory's entry may be marked so.
 */
extern bool store_fetch(Relation rel, Snapshot snapshot, ItemPointer tid, StoredSegment *stored,
						bool *all_dead);

/* Opens the rows of a fetched segment; with verify, compares its checksum first. */
extern void store_open_rows(Relation rel, StoredSegment *stored, bool verify);

extern void store_release(StoredSegment *stored);

/*
 * The segment's bytes in a tuple stored on a page.  A damaged line pointer may name more bytes than
 * the page has, or none of it: the length is that of what is there.
 */
static inline const uint8 *
store_segment_bytes(Page page, HeapTuple tuple, Size *length)
{
	Size		offset = (Size) ((char *) tuple->t_data - (char *) page);
	Size		bytes = offset < BLCKSZ ? Min(tuple->t_len, BLCKSZ - offset) : 0;

	*length = bytes > STORE_TUPLE_HEADER ? bytes - STORE_TUPLE_HEADER : 0;
	return (const uint8 *) tuple->t_data + STORE_TUPLE_HEADER;
}

/* Does a line pointer, if it is in use, name bytes of its page?  Heap's own code does not ask. */
extern bool store_item_is_within(Page page, OffsetNumber item);

/* The tag of a segment in a form that a message can show, whatever its bytes are. */
extern const char *store_tag_text(const SegmentHeader *header);

/* Raises ERRCODE_DATA_CORRUPTED that names the relation and the segment's place. */
pg_noreturn extern void store_report(Relation rel, ItemPointer tid, const SegmentHeader *header,
									 SegmentStatus status);

#endif							/* HISTORIAN_STORE_H */
