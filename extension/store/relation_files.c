/*
 * relation_files.c
 *	  Work on the file of a historian table as a whole: copying, vacuuming, estimating its rows.
 *
 * The copy follows PostgreSQL's rewriteheap.c: tuples keep their xmin and xmax, so that old
 * snapshots see what they saw, old ones are frozen, and whole pages are logged.  Segments are
 * never updated, so there are no update chains to preserve.
 *
 * A segment may take a third of a page, and the next one half of it.  So that pages are full,
 * several are filled at a time: a segment goes to the one that has the least room for it.
 */
#include "postgres.h"

#include "store/relation_files.h"

#include "access/heapam.h"
#include "access/multixact.h"
#include "access/relscan.h"
#include "access/visibilitymap.h"
#include "access/xloginsert.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "store/compaction_queue.h"
#include "store/compaction_stat.h"
#include "store/store.h"

/* How many pages an estimate reads. */
#define ESTIMATE_PAGES 16

/* How many pages a copy fills at a time. */
#define OPEN_PAGES 32

/*
 * The pages being filled.  They are in local memory, because a locked buffer would hold off
 * interrupts for as long as the copy takes.
 */
typedef struct CopyTarget
{
	Relation	rel;
	BlockNumber next_block;		/* of the new table */
	PGAlignedBlock page[OPEN_PAGES];
	bool		used[OPEN_PAGES];
} CopyTarget;

static void append_tuple(CopyTarget *target, HeapTuple tuple);
static int	page_for(const CopyTarget *target, HeapTuple tuple);
static Size page_room(const CopyTarget *target, int i);
static void finish_page(CopyTarget *target, int i);
static double rows_on_page(Relation rel, BlockNumber block);
static void count_dead_rows(Relation rel);
static int	dead_rows_on_page(Relation rel, BlockNumber block, TransactionId oldest);

void
relation_files_copy(Relation old_table, Relation new_table, Relation old_index, bool use_sort,
					TransactionId oldest_xmin, TransactionId *xid_cutoff,
					MultiXactId *multi_cutoff, double *num_tuples, double *tups_vacuumed,
					double *tups_recently_dead)
{
	TableScanDesc scan = heap_beginscan(old_table, SnapshotAny, 0, NULL, NULL,
										SO_TYPE_SEQSCAN | SO_ALLOW_STRAT | SO_ALLOW_PAGEMODE);
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(old_table), &TTSOpsBufferHeapTuple);
	CopyTarget *target = palloc0(sizeof(CopyTarget));

	target->rel = new_table;
	target->next_block = RelationGetNumberOfBlocks(new_table);

	while (heap_getnextslot(scan, ForwardScanDirection, slot))
	{
		BufferHeapTupleTableSlot *stored = (BufferHeapTupleTableSlot *) slot;
		HTSV_Result state;
		HeapTuple	copy;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(stored->buffer, BUFFER_LOCK_SHARE);
		state = HeapTupleSatisfiesVacuum(stored->base.tuple, oldest_xmin, stored->buffer);
		LockBuffer(stored->buffer, BUFFER_LOCK_UNLOCK);
		if (state == HEAPTUPLE_DEAD)
		{
			*tups_vacuumed += 1;
			continue;
		}
		if (state == HEAPTUPLE_RECENTLY_DEAD)
			*tups_recently_dead += 1;
		*num_tuples += 1;

		copy = heap_copytuple(stored->base.tuple);
		heap_freeze_tuple(copy->t_data, old_table->rd_rel->relfrozenxid,
						  old_table->rd_rel->relminmxid, *xid_cutoff, *multi_cutoff);
		append_tuple(target, copy);
		heap_freetuple(copy);
	}
	for (int i = 0; i < OPEN_PAGES; i++)
	{
		if (target->used[i])
			finish_page(target, i);
	}
	pfree(target);
	ExecDropSingleTupleTableSlot(slot);
	heap_endscan(scan);
}

void
relation_files_vacuum(Relation rel, HistorianVacuumParams params, BufferAccessStrategy strategy)
{
	BlockNumber pages;
	double		rows;
	double		all_visible;

	GetHeapamTableAmRoutine()->relation_vacuum(rel, params, strategy);
	relation_files_estimate(rel, NULL, &pages, &rows, &all_visible);
	historian_update_relstats(rel, pages, rows);
	count_dead_rows(rel);

	/* VACUUM cannot move segments itself: snapshots pass over its transaction */
	if (!RelationUsesLocalBuffers(rel))
	{
		compaction_stat_set_room(RelationGetRelid(rel), COMPACTION_ROOM_NEW);
		compaction_queue_add(MyDatabaseId, 0);
	}
}

void
relation_files_estimate(Relation rel, int32 *attr_widths, BlockNumber *pages, double *tuples,
						double *allvisfrac)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	uint32		sampled = Min(nblocks, ESTIMATE_PAGES);
	double		rows = 0;

	/* spread evenly, without the last page where possible, as that is still being filled */
	for (uint32 i = 0; i < sampled; i++)
		rows += rows_on_page(rel, (BlockNumber) ((uint64) nblocks * i / sampled));

	*pages = nblocks;
	*tuples = sampled > 0 ? rows / sampled * nblocks : 0;
	*allvisfrac = 0;
}

/* Puts a tuple on one of the pages being filled, or on a new one. */
static void
append_tuple(CopyTarget *target, HeapTuple tuple)
{
	int			i = page_for(target, tuple);
	Page		page = target->page[i].data;

	if (target->used[i] && page_room(target, i) < MAXALIGN(tuple->t_len))
		finish_page(target, i);
	if (!target->used[i])
	{
		PageInit(page, BLCKSZ, 0);
		target->used[i] = true;
	}
	if (PageAddItem(page, (Item) tuple->t_data, tuple->t_len, InvalidOffsetNumber, false, true) ==
		InvalidOffsetNumber)
		elog(ERROR, "failed to add a segment to a new page");
}

/*
 * Returns the page where a tuple goes, which is finished first if it has too little room: the one
 * with the least room that suffices, or one that is not used yet, or the fullest one.
 *
 * Of two pending segments of one number, which version 0.2 has written, the place tells the later
 * one (segment_ref_precedence()).  So all but compacted segments, which are disjoint, go to the
 * first page, and thereby stay in their order.
 */
static int
page_for(const CopyTarget *target, HeapTuple tuple)
{
	const uint8 *bytes = (const uint8 *) tuple->t_data + tuple->t_data->t_hoff;
	SegmentHeader header;
	int			best = -1;
	int			fullest = 0;

	if (segment_read_header(&header, bytes, tuple->t_len - tuple->t_data->t_hoff) != SEGMENT_OK ||
		!(header.flags & SEGMENT_COMPACTED))
		return 0;
	for (int i = 0; i < OPEN_PAGES; i++)
	{
		if (page_room(target, i) < page_room(target, fullest))
			fullest = i;
		if (page_room(target, i) >= MAXALIGN(tuple->t_len) &&
			(best < 0 || page_room(target, i) < page_room(target, best)))
			best = i;
	}
	return best >= 0 ? best : fullest;
}

/* The room for one more tuple. */
static Size
page_room(const CopyTarget *target, int i)
{
	return target->used[i] ? PageGetHeapFreeSpace((Page) target->page[i].data) : MaxHeapTupleSize;
}

/* Appends a filled page to the table. */
static void
finish_page(CopyTarget *target, int i)
{
	Buffer		buffer = ReadBufferExtended(target->rel, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK,
											NULL);
	Page		page = target->page[i].data;

	Assert(BufferGetBlockNumber(buffer) == target->next_block);
	for (OffsetNumber item = FirstOffsetNumber; item <= PageGetMaxOffsetNumber(page); item++)
		ItemPointerSet(&((HeapTupleHeader) PageGetItem(page, PageGetItemId(page, item)))->t_ctid,
					   target->next_block, item);
	START_CRIT_SECTION();
	memcpy(BufferGetPage(buffer), page, BLCKSZ);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(target->rel))
		log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	target->used[i] = false;
	target->next_block++;
}

/* Rows in the segments of a page, dead ones included. */
static double
rows_on_page(Relation rel, BlockNumber block)
{
	Buffer		buffer = ReadBuffer(rel, block);
	OffsetNumber next = FirstOffsetNumber;
	HeapTupleData tuple;
	SegmentHeader header;
	double		rows = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	while (store_next_segment(rel, buffer, &next, &tuple, &header))
		rows += (header.flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT)) ? 0 : header.nrows;
	UnlockReleaseBuffer(buffer);
	return rows;
}

/*
 * Has the statistics count the rows that VACUUM had to leave because a snapshot may see them.  It
 * has counted each segment as one dead row, and by that autovacuum would not come again.
 */
static void
count_dead_rows(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
	Buffer		map = InvalidBuffer;

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!VM_ALL_VISIBLE(rel, block, &map))
			pgstat_update_heap_dead_tuples(rel, -dead_rows_on_page(rel, block, oldest));
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
}

/* Rows in the dead segments of a page, less one for each segment. */
static int
dead_rows_on_page(Relation rel, BlockNumber block, TransactionId oldest)
{
	Buffer		buffer = ReadBuffer(rel, block);
	OffsetNumber next = FirstOffsetNumber;
	HeapTupleData tuple;
	SegmentHeader header;
	int			rows = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	while (store_next_segment(rel, buffer, &next, &tuple, &header))
	{
		HTSV_Result state;

		if (header.flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT))
			continue;
		state = HeapTupleSatisfiesVacuum(&tuple, oldest, buffer);
		if (state == HEAPTUPLE_RECENTLY_DEAD || state == HEAPTUPLE_DEAD)
			rows += Max(header.nrows, 1) - 1;
	}
	UnlockReleaseBuffer(buffer);
	return rows;
}
