/*
 * relocation.c
 *	  Moves segments from the end of a table's file into free pages, so that VACUUM can cut it off.
 *
 * Merges and deletions leave free pages wherever the old segments were, and VACUUM gives only those
 * at the end of the file back.  Loads fill the others, but a table may be loaded no more, or have
 * more free pages than its loads fill for a long time: after a bulk load was compacted, after a
 * deletion of old rows.  Then its last segments are moved forward.
 *
 * To move a segment is to merge it alone: the transaction inserts the same bytes elsewhere, with
 * their entry in the directory, and deletes the former tuple.  So each snapshot sees one of the
 * two, and directory_lock() keeps compactions and deletions of the table away.  The kind, number
 * and times of the segment stay, so its summary stays true.
 *
 * Segments of one number are ordered by their places where version 0.2 has written them
 * (segment_ref_precedence()).  A segment that may be one of them stays where it is.
 */
#include "postgres.h"

#include "write/relocation.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "store/directory.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"
#include "store/store.h"

/* A smaller part of the file at its end is not worth it: VACUUM leaves less than 1/16. */
#define LEAST_PAGES 16

/* A tag with more pending segments than this is left to compaction. */
#define MAX_COMPARED 64

/* A page has this much free space if it is empty, but for rounding in the free space map. */
#define EMPTY_PAGE_BYTES (MaxHeapTupleSize - 32)

typedef struct Mover
{
	Relation	rel;
	Relocation *relocation;
	DirectoryCursor *cursor;
	SegmentSink *sink;
	CommandId	cid;
	TransactionId oldest;
	Size		moved;
	SegmentList unplaced;		/* of a tag */
} Mover;

static void move_page(Mover *mover, BlockNumber block);
static void move_segment(Mover *mover, HeapTuple tuple);
static bool is_intact(const uint8 *bytes, Size length, SegmentHeader *header);
static bool has_rival(Mover *mover, const SegmentHeader *header, ItemPointer tid);
static Buffer find_target(Mover *mover, Size bytes);
static bool next_empty_page(Mover *mover, RelocationTarget *target);
static Size free_bytes(Page page);

bool
relocation_plan(Relation rel, double least, Relocation *relocation)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	BlockNumber front = 0;
	BlockNumber back = nblocks;
	uint64		room = 0;		/* in empty pages of 0..front */
	uint64		used = 0;		/* in pages of back..nblocks */

	while (front < back)
	{
		CHECK_FOR_INTERRUPTS();
		/* segments do not fill pages to the last byte */
		if (room >= used + used / 32 + RELOCATION_TARGETS * MaxHeapTupleSize)
		{
			Size		free_room = GetRecordedFreeSpace(rel, --back);

			used += MaxHeapTupleSize - Min(free_room, MaxHeapTupleSize);
		}
		else if (GetRecordedFreeSpace(rel, front++) >= EMPTY_PAGE_BYTES)
			room += MaxHeapTupleSize;
	}
	*relocation = (Relocation) {.boundary = back, .source = nblocks};
	return nblocks - back >= LEAST_PAGES && nblocks - back >= nblocks * least;
}

void
relocation_run(Relation rel, Relocation *relocation, Size max_bytes)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian relocation",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext page_context = AllocSetContextCreate(context, "historian page to relocate",
													   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Mover		mover = {
		.rel = rel,
		.relocation = relocation,
		.cursor = directory_begin(rel, snapshot),
		.cid = GetCurrentCommandId(true),
		.oldest = GetOldestNonRemovableTransactionId(rel),
	};

	mover.sink = segment_sink_begin(rel, GetCurrentTransactionId(), mover.cid, 0);
	while (!relocation->ended && (max_bytes == 0 || mover.moved < max_bytes))
	{
		if (relocation->source <= relocation->boundary)
		{
			relocation->ended = true;
			break;
		}
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(page_context);
		memset(&mover.unplaced, 0, sizeof(SegmentList));
		move_page(&mover, --relocation->source);
		MemoryContextReset(page_context);
	}
	MemoryContextSwitchTo(context);
	segment_sink_end(mover.sink);
	directory_end(mover.cursor);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	CommandCounterIncrement();
}

/* Moves the segments of a page, as far as they are committed and nobody has deleted them. */
static void
move_page(Mover *mover, BlockNumber block)
{
	Buffer		buffer = ReadBuffer(mover->rel, block);
	OffsetNumber next = FirstOffsetNumber;
	HeapTuple	tuples[MaxHeapTuplesPerPage];
	int			ntuples = 0;
	HeapTupleData tuple;
	SegmentHeader header;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	while (store_next_segment(mover->rel, buffer, &next, &tuple, &header))
	{
		if (HeapTupleSatisfiesVacuum(&tuple, mover->oldest, buffer) == HEAPTUPLE_LIVE)
			tuples[ntuples++] = heap_copytuple(&tuple);
	}
	UnlockReleaseBuffer(buffer);

	for (int i = 0; i < ntuples && !mover->relocation->ended; i++)
		move_segment(mover, tuples[i]);
}

static void
move_segment(Mover *mover, HeapTuple tuple)
{
	const uint8 *bytes = (const uint8 *) tuple->t_data + STORE_TUPLE_HEADER;
	Size		length = tuple->t_len - STORE_TUPLE_HEADER;
	ItemPointerData tid = tuple->t_self;
	SegmentHeader header;
	Buffer		target;

	/* damage stays where it is, for historian.check() to find */
	if (!is_intact(bytes, length, &header) || has_rival(mover, &header, &tid))
		return;
	target = find_target(mover, tuple->t_len);
	if (!BufferIsValid(target))
	{
		mover->relocation->ended = true;
		return;
	}
	segment_sink_copy(mover->sink, &header, bytes, length, target);

	/* does not fail while directory_lock() keeps other compactions and deletions away */
	if (!store_delete(mover->rel, &tid, mover->cid))
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not compact historian table \"%s\" due to a concurrent change",
					   RelationGetRelationName(mover->rel)));
	if (!(header.flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT)))
		store_count_rows(mover->rel, 0, header.nrows);
	mover->moved += length;
}

static bool
is_intact(const uint8 *bytes, Size length, SegmentHeader *header)
{
	SharedReader reader;
	Segment		segment;

	if (segment_read_header(header, bytes, length) != SEGMENT_OK)
		return false;
	return header->flags & SEGMENT_SHARED
		? shared_reader_open(&reader, bytes, length, true) == SEGMENT_OK
		: segment_open(&segment, bytes, length, true) == SEGMENT_OK;
}

/*
 * May another segment of the tag have the same number, so that the place decides which row of one
 * time stays?
 */
static bool
has_rival(Mover *mover, const SegmentHeader *header, ItemPointer tid)
{
	SegmentList *unplaced = &mover->unplaced;
	text	   *tag;

	if (header->flags & (SEGMENT_COMPACTED | SEGMENT_SUMMARY | SEGMENT_LATE | SEGMENT_SHARED |
						 SEGMENT_RUN_ROOT))
		return false;
	tag = cstring_to_text_with_len(header->tag, header->tag_bytes);
	unplaced->nrefs = 0;
	segment_list_load(unplaced, mover->cursor, tag, header->first_time, header->last_time);
	pfree(tag);
	if (unplaced->nrefs > MAX_COMPARED)
		return true;
	for (uint32 i = 0; i < unplaced->nrefs; i++)
	{
		if (unplaced->refs[i].sequence == header->sequence &&
			!ItemPointerEquals(&unplaced->refs[i].tid, tid))
			return true;
	}
	return false;
}

/*
 * Returns a page before the boundary with room for a tuple of so many bytes, pinned, or
 * InvalidBuffer.
 */
static Buffer
find_target(Mover *mover, Size bytes)
{
	RelocationTarget *targets = mover->relocation->targets;
	Size		needed = MAXALIGN(bytes) + sizeof(ItemIdData);

	for (;;)
	{
		RelocationTarget *fullest = &targets[0];
		RelocationTarget *best = NULL;
		Buffer		buffer;
		Size		room;

		for (int i = 0; i < RELOCATION_TARGETS; i++)
		{
			if (targets[i].room >= needed && (best == NULL || targets[i].room < best->room))
				best = &targets[i];
			if (targets[i].room < fullest->room)
				fullest = &targets[i];
		}
		if (best == NULL)
		{
			if (!next_empty_page(mover, fullest))
				return InvalidBuffer;
			best = fullest;
		}

		/* loads may have filled it meanwhile */
		buffer = ReadBuffer(mover->rel, best->block);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		room = free_bytes(BufferGetPage(buffer));
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		best->room = room >= needed ? room - needed : 0;
		if (room >= needed)
			return buffer;
		ReleaseBuffer(buffer);
	}
}

/* Finds the next page before the boundary that is empty by the free space map. */
static bool
next_empty_page(Mover *mover, RelocationTarget *target)
{
	Relocation *relocation = mover->relocation;

	while (relocation->next_target < relocation->boundary)
	{
		BlockNumber block = relocation->next_target++;

		CHECK_FOR_INTERRUPTS();
		if (GetRecordedFreeSpace(mover->rel, block) >= EMPTY_PAGE_BYTES)
		{
			*target = (RelocationTarget) {.block = block, .room = BLCKSZ};
			return true;
		}
	}
	return false;
}

/* The bytes for tuples and their line pointers on a page; 0 on one that is not initialized. */
static Size
free_bytes(Page page)
{
	Size		bytes = PageIsNew(page) ? 0 : PageGetHeapFreeSpace(page);

	return bytes > 0 ? bytes + sizeof(ItemIdData) : 0;
}
