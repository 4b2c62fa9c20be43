/*
 * store.c
 *	  Segments as heap tuples in the main fork of a historian table.
 *
 * A stored tuple is an ordinary heap tuple header (no NULL bitmap) followed by a segment's bytes,
 * so that PostgreSQL's heap code does visibility, locking, vacuum, freezing and WAL replay.  Only
 * the insert is our own code, because heap_insert() would hand a tuple of this size to TOAST by the
 * table's column descriptor.  It follows heap_insert() of PostgreSQL's heapam.c step by step and
 * writes the same XLOG_HEAP_INSERT record, which any standby can replay without this library.
 *
 * Nothing is logged for logical decoding, which would take a segment for a row:
 * XLH_INSERT_CONTAINS_NEW_TUPLE is never set, and deletions log no old tuple.
 */
#include "postgres.h"

#include "store/store.h"

#include "access/heapam_xlog.h"
#include "access/visibilitymap.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "mb/pg_wchar.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "tag.h"

static SegmentStatus find_part(StoredSegment *stored, const text *tag);
static bool item_is_within(Page page, OffsetNumber item);
static bool item_is_empty(Page page, OffsetNumber item);
static void prepare_header(HeapTuple tuple, Relation rel, TransactionId xid, CommandId cid,
						   int options);
static XLogRecPtr log_insert(HeapTuple tuple, Buffer buffer, bool all_visible_cleared);
pg_noreturn static void report_sought(Relation rel, const text *tag, ItemPointer tid,
									  SegmentStatus status);
static const char *sought_tag_text(const text *tag);
static int	report_code(SegmentStatus status);

void
store_insert(Relation rel, const uint8 *segment, Size length, TransactionId xid, CommandId cid,
			 int options, BulkInsertState bistate, ItemPointer tid)
{
	/*
	 * RelationPutHeapTuple() copies one piece of memory, so the header and the bytes are adjacent
	 */
	union
	{
		HeapTupleHeaderData header;
		char		bytes[MaxHeapTupleSize];
	}			image;
	HeapTupleData tuple;
	Buffer		buffer;
	Buffer		vmbuffer = InvalidBuffer;
	Page		page;
	bool		all_visible_cleared = false;

	Assert(length <= STORE_MAX_SEGMENT_BYTES);
	Assert(TransactionIdEquals(xid, GetCurrentTransactionId()));

	memset(&image, 0, STORE_TUPLE_HEADER);
	memcpy(image.bytes + STORE_TUPLE_HEADER, segment, length);
	tuple.t_data = &image.header;
	tuple.t_len = STORE_TUPLE_HEADER + length;
	prepare_header(&tuple, rel, xid, cid, options);

	buffer = historian_buffer_for_tuple(rel, tuple.t_len, options, bistate, &vmbuffer);
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);

	START_CRIT_SECTION();

	RelationPutHeapTuple(rel, buffer, &tuple, false);
	page = BufferGetPage(buffer);
	if (PageIsAllVisible(page))
	{
		all_visible_cleared = true;
		PageClearAllVisible(page);
		visibilitymap_clear(rel, BufferGetBlockNumber(buffer), vmbuffer,
							VISIBILITYMAP_VALID_BITS);
	}
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
	{
		/* PageSetLSN() is a macro that evaluates its argument twice */
		XLogRecPtr	lsn = log_insert(&tuple, buffer, all_visible_cleared);

		PageSetLSN(page, lsn);
	}

	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);

	*tid = tuple.t_self;
}

Size
store_room(BulkInsertState bistate)
{
	Buffer		buffer = bistate->current_buf;
	Size		room;

	if (!BufferIsValid(buffer))
		return 0;
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	room = MAXALIGN_DOWN(PageGetHeapFreeSpace(BufferGetPage(buffer)));
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return room > STORE_TUPLE_HEADER ? room - STORE_TUPLE_HEADER : 0;
}

bool
store_delete(Relation rel, ItemPointer tid, CommandId cid)
{
	char		replica_identity = rel->rd_rel->relreplident;
	TM_FailureData failure;
	TM_Result	result;

	/*
	 * Under REPLICA IDENTITY FULL heap_delete() would log the segment as the old row for logical
	 * decoding.  The setting is allowed: where a publication of all tables includes this one,
	 * PostgreSQL demands it for UPDATE and DELETE.
	 */
	rel->rd_rel->relreplident = REPLICA_IDENTITY_NOTHING;
	PG_TRY();
	{
		result = heap_delete(rel, tid, cid, InvalidSnapshot, true, &failure, false);
	}
	PG_FINALLY();
	{
		rel->rd_rel->relreplident = replica_identity;
	}
	PG_END_TRY();
	return result == TM_Ok;
}

void
store_count_rows(Relation rel, uint32 deleted, uint32 moved)
{
	/* heap_delete() has counted one row, as deleted */
	uint32		more_deleted = deleted > 0 ? deleted - 1 : 0;
	uint32		more_moved = deleted > 0 || moved == 0 ? moved : moved - 1;

	if (more_deleted > 0)
		pgstat_count_heap_delete(rel);
	if (more_moved > 0)
		historian_count_moved_row(rel);
	/* one by one, millions of rows would take longer than their segments */
	if (rel->pgstat_info != NULL && rel->pgstat_info->trans != NULL)
	{
		rel->pgstat_info->trans->tuples_deleted += more_deleted - Min(more_deleted, 1);
		rel->pgstat_info->trans->tuples_updated += more_moved - Min(more_moved, 1);
	}
}

bool
store_fetch(Relation rel, Snapshot snapshot, const text *tag, ItemPointer tid,
			StoredSegment *stored, StoreAbsence *absence)
{
	ItemPointerData place = *tid;
	const uint8 *bytes;
	Size		length;
	SegmentStatus status;
	Page		page;
	bool		found;
	bool		all_dead = false;

	stored->buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(tid));
	heap_page_prune_opt(rel, stored->buffer);
	LockBuffer(stored->buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(stored->buffer);
	if (!item_is_within(page, ItemPointerGetOffsetNumber(tid)))
		report_sought(rel, tag, tid, SEGMENT_NOT_A_SEGMENT);
	/* a page that had a segment is cut off, if VACUUM has emptied it, but never new again */
	if (PageIsNew(page))
		store_report_vanished(rel, tag, tid);
	found = heap_hot_search_buffer(&place, rel, stored->buffer, snapshot, &stored->tuple, &all_dead,
								   true);
	/* of an empty place the heap says that all is dead */
	if (!found && absence != NULL)
		*absence = item_is_empty(page, ItemPointerGetOffsetNumber(tid)) ? STORE_EMPTY
			: all_dead ? STORE_DEAD : STORE_UNSEEN;
	LockBuffer(stored->buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
	{
		store_release(stored);
		return false;
	}

	bytes = store_segment_bytes(BufferGetPage(stored->buffer), &stored->tuple, &length);
	stored->segment.shared = false;
	stored->segment.first_row = 0;
	status = segment_read_header(&stored->segment.header, bytes, length);
	if (status == SEGMENT_OK && tag != NULL &&
		(stored->segment.header.flags & SEGMENT_SHARED))
		status = find_part(stored, tag);
	if (status != SEGMENT_OK)
		report_sought(rel, tag, tid, status);
	return true;
}

bool
store_is_empty(Relation rel, ItemPointer tid)
{
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	Buffer		buffer;
	bool		empty;

	if (block >= RelationGetNumberOfBlocks(rel))
		return true;
	buffer = ReadBuffer(rel, block);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	empty = item_is_empty(BufferGetPage(buffer), ItemPointerGetOffsetNumber(tid));
	UnlockReleaseBuffer(buffer);
	return empty;
}

void
store_open_rows(Relation rel, StoredSegment *stored, bool verify)
{
	const uint8 *bytes;
	Size		length;
	SegmentStatus status;

	/*
	 * The rows of a tag in a shared segment are open.  Its checksum covers hundreds of tags, so it
	 * is compared when the tag is looked up (sorted_runs.c), once for all that follow.
	 */
	if (stored->segment.shared)
		return;
	bytes = store_segment_bytes(BufferGetPage(stored->buffer), &stored->tuple, &length);
	status = segment_open(&stored->segment, bytes, length, verify);
	if (status != SEGMENT_OK)
		store_report(rel, &stored->tuple.t_self, &stored->segment.header, status);
}

uint32
store_open_row(Relation rel, StoredSegment *stored, uint32 row, text **tag)
{
	SegmentHeader whole = stored->segment.header;
	SegmentStatus status;
	SharedReader reader;
	const uint8 *bytes;
	Size		length;

	if (!(whole.flags & SEGMENT_SHARED))
	{
		store_open_rows(rel, stored, false);
		if (row >= whole.nrows)
			store_report(rel, &stored->tuple.t_self, &whole, SEGMENT_NO_ROW);
		*tag = cstring_to_text_with_len(whole.tag, whole.tag_bytes);
		return row;
	}
	bytes = store_segment_bytes(BufferGetPage(stored->buffer), &stored->tuple, &length);
	status = shared_reader_open(&reader, bytes, length, false);
	if (status == SEGMENT_OK)
		status = shared_reader_seek_row(&reader, row)
			? shared_reader_rows(&reader, &stored->segment)
			: reader.status != SEGMENT_OK ? reader.status : SEGMENT_NO_ROW;
	if (status != SEGMENT_OK)
		store_report(rel, &stored->tuple.t_self, &whole, status);
	*tag = cstring_to_text_with_len(reader.tag, reader.tag_bytes);
	stored->segment.header.tag = VARDATA_ANY(*tag);
	return row - stored->segment.first_row;
}

void
store_open_part(Relation rel, StoredSegment *stored, const text *tag, const uint8 *bytes,
				Size length)
{
	SegmentStatus status;

	if (bytes == NULL)
		bytes = store_segment_bytes(BufferGetPage(stored->buffer), &stored->tuple, &length);
	stored->segment.shared = true;
	stored->segment.header.tag = VARDATA_ANY(tag);
	stored->segment.header.tag_bytes = VARSIZE_ANY_EXHDR(tag);
	status = shared_segment_open_part(bytes, length, &stored->segment);
	if (status != SEGMENT_OK)
		report_sought(rel, tag, &stored->tuple.t_self, status);
}

void
store_open_shared(Relation rel, const StoredSegment *stored, SharedReader *reader, bool verify)
{
	HeapTupleData tuple = stored->tuple;
	const uint8 *bytes;
	Size		length;

	bytes = store_segment_bytes(BufferGetPage(stored->buffer), &tuple, &length);
	(void) shared_reader_open(reader, bytes, length, verify);
	store_check_shared(rel, stored, reader);
}

void
store_check_shared(Relation rel, const StoredSegment *stored, const SharedReader *reader)
{
	ItemPointerData place = stored->tuple.t_self;

	if (reader->status != SEGMENT_OK)
		store_report(rel, &place, &stored->segment.header, reader->status);
}

void
store_release(StoredSegment *stored)
{
	if (BufferIsValid(stored->buffer))
		ReleaseBuffer(stored->buffer);
	stored->buffer = InvalidBuffer;
}

void
store_report(Relation rel, ItemPointer tid, const SegmentHeader *header, SegmentStatus status)
{
	if (header != NULL)
		ereport(ERROR,
				errcode(report_code(status)),
				errmsg("cannot read a segment of historian table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("It is stored in block %u, item %u, with tag \"%s\" and times " INT64_FORMAT
						  " to " INT64_FORMAT ". %s",
						  ItemPointerGetBlockNumberNoCheck(tid),
						  ItemPointerGetOffsetNumberNoCheck(tid), store_tag_text(header),
						  header->first_time, header->last_time,
						  segment_status_text(status)));
	ereport(ERROR,
			errcode(report_code(status)),
			errmsg("cannot read a segment of historian table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail("It is stored in block %u, item %u. %s", ItemPointerGetBlockNumberNoCheck(tid),
					  ItemPointerGetOffsetNumberNoCheck(tid), segment_status_text(status)));
}

void
store_report_vanished(Relation rel, const text *tag, ItemPointer tid)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("a segment of historian table \"%s\" has vanished",
				   RelationGetRelationName(rel)),
			tag != NULL
			? errdetail("It was stored in block %u, item %u, where the directory has tag \"%s\".",
						ItemPointerGetBlockNumberNoCheck(tid),
						ItemPointerGetOffsetNumberNoCheck(tid), sought_tag_text(tag))
			: errdetail("It was stored in block %u, item %u.", ItemPointerGetBlockNumberNoCheck(tid),
						ItemPointerGetOffsetNumberNoCheck(tid)));
}

const char *
store_tag_text(const SegmentHeader *header)
{
	/* of a shared segment, the first tag that it may have */
	Size		skipped = header->flags & (SEGMENT_SHARED | SEGMENT_RUN_ROOT)
		? SEGMENT_RUN_NUMBER_BYTES : 0;
	const char *tag = header->tag + skipped;
	Size		tag_bytes = header->tag_bytes - skipped;

	if (!pg_verify_mbstr(GetDatabaseEncoding(), tag, tag_bytes, true))
		return "(not valid text)";
	return pnstrdup(tag, tag_bytes);
}

bool
store_next_tuple(Relation rel, Buffer buffer, OffsetNumber *next, HeapTuple tuple)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);

	while (*next <= last)
	{
		OffsetNumber item = (*next)++;
		ItemId		id = PageGetItemId(page, item);

		if (!ItemIdIsNormal(id))
			continue;
		tuple->t_tableOid = RelationGetRelid(rel);
		tuple->t_data = item_is_within(page, item) ? (HeapTupleHeader) PageGetItem(page, id) : NULL;
		tuple->t_len = ItemIdGetLength(id);
		ItemPointerSet(&tuple->t_self, BufferGetBlockNumber(buffer), item);
		return true;
	}
	return false;
}

bool
store_next_segment(Relation rel, Buffer buffer, OffsetNumber *next, HeapTuple tuple,
				   SegmentHeader *header)
{
	while (store_next_tuple(rel, buffer, next, tuple))
	{
		const uint8 *bytes;
		Size		length;

		if (tuple->t_data == NULL)
			continue;
		bytes = store_segment_bytes(BufferGetPage(buffer), tuple, &length);
		if (segment_read_header(header, bytes, length) == SEGMENT_OK)
			return true;
	}
	return false;
}

/* Opens the rows that a shared segment has of a tag. */
static SegmentStatus
find_part(StoredSegment *stored, const text *tag)
{
	SegmentStatus status;
	SharedReader reader;
	const uint8 *bytes;
	Size		length;

	bytes = store_segment_bytes(BufferGetPage(stored->buffer), &stored->tuple, &length);
	status = shared_reader_open(&reader, bytes, length, false);
	if (status != SEGMENT_OK)
		return status;
	if (!shared_reader_seek(&reader, VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag)) ||
		tag_compare_bytes(reader.tag, reader.tag_bytes, VARDATA_ANY(tag),
						  VARSIZE_ANY_EXHDR(tag)) != 0)
		return reader.status != SEGMENT_OK ? reader.status : SEGMENT_MISPLACED;
	status = shared_reader_rows(&reader, &stored->segment);
	stored->segment.header.tag = VARDATA_ANY(tag);
	return status;
}

/* Does a line pointer, if it is in use, name bytes of its page? */
static bool
item_is_within(Page page, OffsetNumber item)
{
	ItemId		id;

	if (item > PageGetMaxOffsetNumber(page))
		return true;
	id = PageGetItemId(page, item);
	return !ItemIdIsNormal(id) ||
		(ItemIdGetOffset(id) >= SizeOfPageHeaderData &&
		 ItemIdGetOffset(id) + STORE_TUPLE_HEADER <= BLCKSZ);
}

/* Does a page, which may be new, have nothing at an item? */
static bool
item_is_empty(Page page, OffsetNumber item)
{
	return item < FirstOffsetNumber || item > PageGetMaxOffsetNumber(page) ||
		!ItemIdIsUsed(PageGetItemId(page, item));
}

/* Fills in the tuple's header, as heap_prepare_insert() does for a tuple of one column. */
static void
prepare_header(HeapTuple tuple, Relation rel, TransactionId xid, CommandId cid, int options)
{
	HeapTupleHeader header = tuple->t_data;

	HeapTupleHeaderSetNatts(header, 1);
	header->t_infomask = HEAP_HASVARWIDTH | HEAP_XMAX_INVALID;
	header->t_hoff = STORE_TUPLE_HEADER;
	HeapTupleHeaderSetXmin(header, xid);
	if (options & HEAP_INSERT_FROZEN)
		HeapTupleHeaderSetXminFrozen(header);
	HeapTupleHeaderSetCmin(header, cid);
	HeapTupleHeaderSetXmax(header, InvalidTransactionId);
	tuple->t_tableOid = RelationGetRelid(rel);
	ItemPointerSetInvalid(&tuple->t_self);
}

/* Writes the record that heap_insert() would write, without what logical decoding needs. */
static XLogRecPtr
log_insert(HeapTuple tuple, Buffer buffer, bool all_visible_cleared)
{
	xl_heap_insert record;
	xl_heap_header header;
	uint8		info = XLOG_HEAP_INSERT;
	int			flags = REGBUF_STANDARD;

	/* with the first tuple of a page, replay starts from an empty page and needs no full image */
	if (ItemPointerGetOffsetNumber(&tuple->t_self) == FirstOffsetNumber &&
		PageGetMaxOffsetNumber(BufferGetPage(buffer)) == FirstOffsetNumber)
	{
		info |= XLOG_HEAP_INIT_PAGE;
		flags |= REGBUF_WILL_INIT;
	}

	record.offnum = ItemPointerGetOffsetNumber(&tuple->t_self);
	record.flags = all_visible_cleared ? XLH_INSERT_ALL_VISIBLE_CLEARED : 0;
	header.t_infomask2 = tuple->t_data->t_infomask2;
	header.t_infomask = tuple->t_data->t_infomask;
	header.t_hoff = tuple->t_data->t_hoff;

	XLogBeginInsert();
	XLogRegisterData((char *) &record, SizeOfHeapInsert);
	XLogRegisterBuffer(0, buffer, flags);
	XLogRegisterBufData(0, (char *) &header, SizeOfHeapHeader);
	XLogRegisterBufData(0, (char *) tuple->t_data + SizeofHeapTupleHeader,
						tuple->t_len - SizeofHeapTupleHeader);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	return XLogInsert(RM_HEAP_ID, info);
}

/* Reports a segment whose header cannot be trusted, with the tag by which it was sought. */
static void
report_sought(Relation rel, const text *tag, ItemPointer tid, SegmentStatus status)
{
	if (tag == NULL)
		store_report(rel, tid, NULL, status);
	ereport(ERROR,
			errcode(report_code(status)),
			errmsg("cannot read a segment of historian table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail("It is stored in block %u, item %u, where the directory has tag \"%s\". %s",
					  ItemPointerGetBlockNumberNoCheck(tid), ItemPointerGetOffsetNumberNoCheck(tid),
					  sought_tag_text(tag), segment_status_text(status)));
}

/* The tag of a key of the directory, without the NULs that are at the end of some. */
static const char *
sought_tag_text(const text *tag)
{
	SegmentHeader header = {
		.tag = VARDATA_ANY(tag),
		.tag_bytes = strnlen(VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag)),
	};

	return store_tag_text(&header);
}

static int
report_code(SegmentStatus status)
{
	return status == SEGMENT_NEWER_VERSION ? ERRCODE_FEATURE_NOT_SUPPORTED
		: ERRCODE_DATA_CORRUPTED;
}
