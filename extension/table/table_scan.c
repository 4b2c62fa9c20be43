/*
 * table_scan.c
 *	  The scan callbacks of the table access method.
 *
 * A sequential scan (of COPY TO, of ALTER TABLE's rewrite, or of a SELECT if historian.enable_scan
 * is off) reads tag by tag.  ANALYZE samples blocks, and reads their segments one by one.  It may
 * sample a row that a later load has replaced, beside the new one.  The few such rows hardly change
 * statistics.
 */
#include "postgres.h"

#include "table/table_scan.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "columns.h"
#include "command_work.h"
#include "read/row_scan.h"

typedef struct HistorianTableScan
{
	TableScanDescData base;
	RowScan    *rows;			/* NULL before the first row, in ANALYZE and in index builds */

	/* ANALYZE only: the block being sampled, and its segment being read */
	Buffer		buffer;
	OffsetNumber next_item;
	uint32		rows_of_block;	/* returned so far */
	double		live_rows;		/* of all segments so far, and their bytes */
	double		live_bytes;
	double		freed_bytes;	/* of pruned segments, not counted yet */
	bool		has_reader;		/* the segment is shared, and more of its tags are to be read */
	HeapTupleData shared;		/* that segment */
	SharedReader reader;
	ItemPointerData place;		/* of the stored segment whose rows are counted */
	Segment		segment;		/* its rows, or those of a tag of it; on the page, which is pinned */
	uint32		nrows;
	uint32		next_row;
	bool		is_decoded;		/* a row was chosen: they are in decoded, and their tag in tag */
	DecodedRows decoded;
	text	   *tag;
	MemoryContext row_context;
	TupleTableSlotOps slot_ops; /* of the slot that rows are sampled by */
} HistorianTableScan;

/* A parallel scan's shared state, for which the executor allots memory. */
typedef struct HistorianParallelScan
{
	ParallelTableScanDescData base;
	RowScanShared shared;
} HistorianParallelScan;

static RowScan *begin_rows(HistorianTableScan *scan);
static HeapTuple copy_sampled_row(TupleTableSlot *slot);
static bool analyze_next_segment(HistorianTableScan *scan, TransactionId oldest_xmin, double *dead);
static uint32 rows_of_tuple(HistorianTableScan *scan, HeapTuple tuple);
static Size pruned_bytes(Page page);
static bool analyze_load(HistorianTableScan *scan, HeapTuple tuple);
static bool analyze_load_next_tag(HistorianTableScan *scan);
static void analyze_take(HistorianTableScan *scan, HeapTuple tuple);
static void analyze_decode(HistorianTableScan *scan);

TableScanDesc
table_scan_begin(Relation rel, Snapshot snapshot, int nkeys, struct ScanKeyData *keys,
				 ParallelTableScanDesc parallel, uint32 flags)
{
	HistorianTableScan *scan = palloc0(sizeof(HistorianTableScan));

	Assert(nkeys == 0);
	scan->base.rs_rd = rel;
	scan->base.rs_snapshot = snapshot;
	scan->base.rs_flags = flags;
	scan->base.rs_parallel = parallel;
	RelationIncrementReferenceCount(rel);

	if (flags & SO_TYPE_ANALYZE)
	{
		scan->row_context = AllocSetContextCreate(CurrentMemoryContext, "historian sample",
												  ALLOCSET_DEFAULT_SIZES);
		return &scan->base;
	}
	if (flags & SO_TYPE_SAMPLESCAN)
		table_scan_refuse_sample(rel);
	if (!(flags & SO_TYPE_SEQSCAN))
		table_scan_refuse_ctid(RelationGetRelationName(rel));
	return &scan->base;
}

void
table_scan_end(TableScanDesc base)
{
	HistorianTableScan *scan = (HistorianTableScan *) base;

	if (scan->rows != NULL)
		row_scan_end(scan->rows);
	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
	RelationDecrementReferenceCount(base->rs_rd);
	if (base->rs_flags & SO_TEMP_SNAPSHOT)
		UnregisterSnapshot(base->rs_snapshot);
	pfree(scan);
}

void
table_scan_rescan(TableScanDesc base, struct ScanKeyData *keys, bool set_params, bool allow_strat,
				  bool allow_sync, bool allow_pagemode)
{
	HistorianTableScan *scan = (HistorianTableScan *) base;

	if (scan->rows != NULL)
		row_scan_start(scan->rows, &row_scan_everything);
}

bool
table_scan_next(TableScanDesc base, ScanDirection direction, TupleTableSlot *slot)
{
	HistorianTableScan *scan = (HistorianTableScan *) base;

	if (ScanDirectionIsBackward(direction))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("historian tables cannot be scanned backward"),
				errhint("Set historian.enable_scan to on before the cursor is declared."));
	if (scan->rows == NULL)
		scan->rows = begin_rows(scan);
	return row_scan_next(scan->rows, slot);
}

bool
table_scan_claim_all(TableScanDesc scan)
{
	return scan->rs_parallel == NULL ||
		row_scan_shared_claim_all(&((HistorianParallelScan *) scan->rs_parallel)->shared);
}

Size
table_scan_parallel_estimate(Relation rel)
{
	return MAXALIGN(sizeof(HistorianParallelScan));
}

Size
table_scan_parallel_initialize(Relation rel, ParallelTableScanDesc parallel)
{
	/* before the workers start, because they see only what is written */
	command_work_before_change(rel);
	historian_parallel_set_relation(parallel, rel);
	parallel->phs_syncscan = false;
	row_scan_shared_init(&((HistorianParallelScan *) parallel)->shared);
	return MAXALIGN(sizeof(HistorianParallelScan));
}

void
table_scan_parallel_reinitialize(Relation rel, ParallelTableScanDesc parallel)
{
	row_scan_shared_init(&((HistorianParallelScan *) parallel)->shared);
}

#if HISTORIAN_ANALYZE_BY_STREAM
bool
table_scan_analyze_block(TableScanDesc base, ReadStream *stream)
{
	HistorianTableScan *scan = (HistorianTableScan *) base;

	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
	scan->buffer = read_stream_next_buffer(stream, NULL);
	scan->next_item = FirstOffsetNumber;
	scan->rows_of_block = 0;
	return BufferIsValid(scan->buffer);
}
#else
bool
table_scan_analyze_block(TableScanDesc base, BlockNumber block, BufferAccessStrategy strategy)
{
	HistorianTableScan *scan = (HistorianTableScan *) base;

	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
	scan->buffer = ReadBufferExtended(base->rs_rd, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	scan->next_item = FirstOffsetNumber;
	scan->rows_of_block = 0;
	return true;
}
#endif

/*
 * Counts the next row, which the slot then stands for.  ANALYZE looks at each row of the blocks that it
 * chose, and copies few of them; only those are decoded, when they are copied.  Only the slot of
 * ANALYZE is changed so: others' rows are read where they are.
 */
bool
table_scan_analyze_row(TableScanDesc base, TransactionId oldest_xmin, double *live, double *dead,
					   TupleTableSlot *slot)
{
	HistorianTableScan *scan = (HistorianTableScan *) base;

	while (scan->next_row >= scan->nrows)
	{
		if (!analyze_next_segment(scan, oldest_xmin, dead))
		{
			ExecClearTuple(slot);
			return false;
		}
	}

	scan->next_row++;
	scan->rows_of_block = Min(scan->rows_of_block + 1, PG_UINT16_MAX);
	*live += 1;
	if (slot->tts_ops != &scan->slot_ops)
	{
		scan->slot_ops = TTSOpsVirtual;
		scan->slot_ops.copy_heap_tuple = copy_sampled_row;
		*(const TupleTableSlotOps **) &slot->tts_ops = &scan->slot_ops;
	}
	ExecStoreAllNullTuple(slot);	/* until it is copied */
	return true;
}

/*
 * Copies the row that a slot stands for, with a position within the table: ANALYZE orders its sample by
 * ctid, which a virtual slot does not copy.
 */
static HeapTuple
copy_sampled_row(TupleTableSlot *slot)
{
	HistorianTableScan *scan = (HistorianTableScan *)
		((char *) slot->tts_ops - offsetof(HistorianTableScan, slot_ops));
	HistorianColumns columns = columns_of(scan->base.rs_rd);
	uint32		row = scan->next_row - 1;
	MemoryContext caller;
	HeapTuple	copy;

	if (!scan->is_decoded)
		analyze_decode(scan);
	slot->tts_values[columns.time - 1] = Int64GetDatum(scan->decoded.time[row]);
	slot->tts_isnull[columns.time - 1] = false;
	slot->tts_values[columns.tag - 1] = PointerGetDatum(scan->tag);
	slot->tts_isnull[columns.tag - 1] = false;
	MemoryContextReset(scan->row_context);
	caller = MemoryContextSwitchTo(scan->row_context);
	slot->tts_values[columns.values - 1] =
		decoded_rows_array(&scan->decoded, row, &slot->tts_isnull[columns.values - 1]);
	MemoryContextSwitchTo(caller);

	copy = TTSOpsVirtual.copy_heap_tuple(slot);
	ItemPointerSet(&copy->t_self, BufferGetBlockNumber(scan->buffer), scan->rows_of_block);
	copy->t_tableOid = slot->tts_tableOid;
	return copy;
}

void
table_scan_refuse_ctid(const char *table_name)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot use ctid of historian table \"%s\"", table_name),
			errdetail("The ctid of a row changes whenever its segment is merged or written anew."),
			errhint("Identify rows by tag and time."));
}

void
table_scan_refuse_sample(Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("historian tables do not support TABLESAMPLE"),
			errdetail("Table \"%s\" is a historian table.", RelationGetRelationName(rel)),
			errhint("Use a condition on time."));
}

/* Opens the scan's rows when the first one is needed. */
static RowScan *
begin_rows(HistorianTableScan *scan)
{
	HistorianParallelScan *parallel = (HistorianParallelScan *) scan->base.rs_parallel;
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(scan));
	RowScan    *rows;

	if (!IsMVCCSnapshot(scan->base.rs_snapshot))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("historian table \"%s\" can only be read under an MVCC snapshot",
					   RelationGetRelationName(scan->base.rs_rd)),
				errhint("To fill a historian table by a subscription, publish only inserts: CREATE PUBLICATION ... WITH (publish = 'insert')."));
	rows = row_scan_begin(scan->base.rs_rd, scan->base.rs_snapshot, values_all,
						  parallel ? &parallel->shared : NULL);
	/* the scan may be for a DELETE or UPDATE, which the access method is not told */
	row_scan_give_places(rows);
	MemoryContextSwitchTo(caller);
	return rows;
}

/*
 * Takes the block's next live segment; false, with the block let go, when there is none.  Counts
 * dead rows, not segments: autovacuum goes by their number.  Of pruned segments only the room is
 * known, so their rows are estimated by those of the live ones.
 */
static bool
analyze_next_segment(HistorianTableScan *scan, TransactionId oldest_xmin, double *dead)
{
	HeapTupleData tuple;
	bool		found = false;

	if (scan->has_reader && analyze_load_next_tag(scan))
		return true;
	LockBuffer(scan->buffer, BUFFER_LOCK_SHARE);
	while (!found && store_next_tuple(scan->base.rs_rd, scan->buffer, &scan->next_item, &tuple))
	{
		TransactionId deleter;

		if (tuple.t_data == NULL)
			store_report(scan->base.rs_rd, &tuple.t_self, NULL, SEGMENT_NOT_A_SEGMENT);

		switch (HeapTupleSatisfiesVacuum(&tuple, oldest_xmin, scan->buffer))
		{
			case HEAPTUPLE_LIVE:
				found = true;
				break;
			case HEAPTUPLE_INSERT_IN_PROGRESS:
				/* ours: ANALYZE in the loading transaction; others' rows do not count yet */
				found = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple.t_data));
				break;
			case HEAPTUPLE_DELETE_IN_PROGRESS:
				deleter = HeapTupleHeaderGetUpdateXid(tuple.t_data);
				found = !TransactionIdIsCurrentTransactionId(deleter);
				break;
			case HEAPTUPLE_DEAD:
			case HEAPTUPLE_RECENTLY_DEAD:
				*dead += rows_of_tuple(scan, &tuple);
				break;
		}
		if (found)
		{
			scan->live_rows += rows_of_tuple(scan, &tuple);
			scan->live_bytes += tuple.t_len;
		}
		found = found && analyze_load(scan, &tuple);
	}
	if (!found)
		scan->freed_bytes += pruned_bytes(BufferGetPage(scan->buffer));
	LockBuffer(scan->buffer, BUFFER_LOCK_UNLOCK);

	if (scan->live_bytes > 0)
	{
		*dead += scan->freed_bytes * (scan->live_rows / scan->live_bytes);
		scan->freed_bytes = 0;
	}

	if (!found)
	{
		ReleaseBuffer(scan->buffer);
		scan->buffer = InvalidBuffer;
	}
	return found;
}

/* The rows of the table in a stored segment; 0 in what is none. */
static uint32
rows_of_tuple(HistorianTableScan *scan, HeapTuple tuple)
{
	const uint8 *bytes;
	Size		length;
	SegmentHeader header;

	bytes = store_segment_bytes(BufferGetPage(scan->buffer), tuple, &length);
	if (segment_read_header(&header, bytes, length) != SEGMENT_OK ||
		(header.flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT)))
		return 0;
	return header.nrows;
}

/* The room of a page if segments were pruned from it that VACUUM has not come to yet, or 0. */
static Size
pruned_bytes(Page page)
{
	OffsetNumber last = PageGetMaxOffsetNumber(page);

	for (OffsetNumber item = FirstOffsetNumber; item <= last; item++)
	{
		if (ItemIdIsDead(PageGetItemId(page, item)))
			return PageGetHeapFreeSpace(page);
	}
	return 0;
}

/* Returns false where the segment has no rows of the table. */
static bool
analyze_load(HistorianTableScan *scan, HeapTuple tuple)
{
	Relation	rel = scan->base.rs_rd;
	const uint8 *bytes;
	Size		length;
	Segment    *segment = &scan->segment;
	SegmentStatus status;

	bytes = store_segment_bytes(BufferGetPage(scan->buffer), tuple, &length);
	status = segment_read_header(&segment->header, bytes, length);
	if (status == SEGMENT_OK && (segment->header.flags & SEGMENT_SHARED))
	{
		scan->shared = *tuple;
		scan->has_reader = true;
		status = shared_reader_open(&scan->reader, bytes, length, true);
		if (status != SEGMENT_OK)
			store_report(rel, &tuple->t_self, NULL, status);
		return analyze_load_next_tag(scan);
	}
	if (status == SEGMENT_OK)
		status = segment_open(segment, bytes, length, true);
	if (status != SEGMENT_OK)
		store_report(rel, &tuple->t_self, NULL, status);
	if (segment->header.flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT))
		return false;
	analyze_take(scan, tuple);
	return true;
}

/* Takes the rows of the next tag of a shared segment; returns false at the end. */
static bool
analyze_load_next_tag(HistorianTableScan *scan)
{
	Relation	rel = scan->base.rs_rd;
	SegmentStatus status = SEGMENT_OK;
	Segment    *segment = &scan->segment;

	if (shared_reader_next(&scan->reader))
		status = shared_reader_rows(&scan->reader, segment);
	else
	{
		scan->has_reader = false;
		status = scan->reader.status;
	}
	if (status != SEGMENT_OK)
		store_report(rel, &scan->shared.t_self, NULL, status);
	if (scan->has_reader)
		analyze_take(scan, &scan->shared);
	return scan->has_reader;
}

/* The rows to count next. They are decoded when ANALYZE chooses one of them. */
static void
analyze_take(HistorianTableScan *scan, HeapTuple tuple)
{
	scan->place = tuple->t_self;
	scan->nrows = scan->segment.header.nrows;
	scan->next_row = 0;
	scan->is_decoded = false;
}

static void
analyze_decode(HistorianTableScan *scan)
{
	const SegmentHeader *header = &scan->segment.header;
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(scan));

	if (scan->tag != NULL)
		pfree(scan->tag);
	scan->tag = palloc(VARHDRSZ + header->tag_bytes);
	SET_VARSIZE(scan->tag, VARHDRSZ + header->tag_bytes);
	memcpy(VARDATA(scan->tag), header->tag, header->tag_bytes);
	if (!decoded_rows_load(&scan->decoded, &scan->segment, PG_INT64_MIN, PG_INT64_MAX, values_all))
		store_report(scan->base.rs_rd, &scan->place, header, SEGMENT_BAD_TIMES);
	Assert(scan->decoded.nrows == scan->nrows);
	scan->is_decoded = true;
	MemoryContextSwitchTo(caller);
}
