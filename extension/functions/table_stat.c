/*
 * table_stat.c
 *	  historian.stat_get_table(), stat_get_runs(): the segments of a table, those that wait for
 *	  compaction, and its sorted runs.
 *
 * Pending segments are counted, and so are shared ones: the function walks through all tags.  Compacted
 * and late segments may be very many, so their numbers are estimated from SAMPLED_PAGES pages.  If
 * the table has no more pages than that, the numbers are exact.
 */
#include "postgres.h"

#include "access/relation.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "historian_table.h"
#include "store/directory.h"
#include "store/sorted_runs.h"
#include "store/store.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_stat_get_table);
PG_FUNCTION_INFO_V1(historian_stat_get_runs);

/* The pages that an estimate reads, which takes some milliseconds from a disk. */
#define SAMPLED_PAGES 128

#define STAT_NCOLUMNS 11
#define RUN_NCOLUMNS 6

typedef struct SegmentTotals
{
	double		segments;
	double		bytes;
	double		rows;
} SegmentTotals;

static Relation open_without_waiting(Oid relid);
static void estimate(Relation rel, Snapshot snapshot, SegmentTotals *compacted,
					 SegmentTotals *late);
static void add_page(Relation rel, Snapshot snapshot, BlockNumber block, SegmentTotals *compacted,
					 SegmentTotals *late);
static void add_segment(SegmentTotals *totals, Size bytes, uint32 rows);
static void multiply(SegmentTotals *totals, double factor);
static void add_run(SortedRuns *runs, uint32 i, SegmentTotals *totals);
static SegmentTotals count_pending(Relation rel, Snapshot snapshot, int64 *tags);
static bool add_own_pending(DirectoryCursor *cursor, text *tag, SegmentTotals *totals);

/*
 * historian.stat_get_table(table regclass) returns record (total_bytes, compacted_segments,
 * compacted_bytes, compacted_rows, pending_segments, pending_bytes, pending_rows, pending_tags,
 * late_segments, late_bytes, late_rows)
 *
 * Returns NULL for a table that is not a historian table, is another session's temporary table, is
 * unlogged and this is a standby, or is locked in ACCESS EXCLUSIVE mode.
 */
Datum
historian_stat_get_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Snapshot	snapshot = GetActiveSnapshot();
	Relation	rel = open_without_waiting(relid);
	SegmentTotals compacted = {0};
	SegmentTotals late = {0};
	SegmentTotals pending;
	int64		tags = 0;
	TupleDesc	desc;
	Datum		values[STAT_NCOLUMNS];
	bool		isnull[STAT_NCOLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (rel == NULL)
		PG_RETURN_NULL();

	estimate(rel, snapshot, &compacted, &late);
	values[0] = DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(relid));
	values[1] = Int64GetDatum((int64) compacted.segments);
	values[2] = Int64GetDatum((int64) compacted.bytes);
	values[3] = Int64GetDatum((int64) compacted.rows);
	if (OidIsValid(directory_oid(rel)))
	{
		pending = count_pending(rel, snapshot, &tags);
		values[4] = Int64GetDatum((int64) pending.segments);
		values[5] = Int64GetDatum((int64) pending.bytes);
		values[6] = Int64GetDatum((int64) pending.rows);
		values[7] = Int64GetDatum(tags);
	}
	else
		isnull[4] = isnull[5] = isnull[6] = isnull[7] = true;
	values[8] = Int64GetDatum((int64) late.segments);
	values[9] = Int64GetDatum((int64) late.bytes);
	values[10] = Int64GetDatum((int64) late.rows);
	relation_close(rel, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/*
 * historian.stat_get_runs(table regclass) returns setof (level integer, segments bigint,
 * bytes bigint, rows bigint, first_time bigint, last_time bigint)
 *
 * A row for each sorted run that the snapshot sees.  Returns none where stat_get_table() returns
 * NULL.
 */
Datum
historian_stat_get_runs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Relation	rel = open_without_waiting(PG_GETARG_OID(0));
	DirectoryCursor *cursor;
	SortedRuns *runs;

	InitMaterializedSRF(fcinfo, 0);
	if (rel == NULL)
		return (Datum) 0;
	if (OidIsValid(directory_oid(rel)))
	{
		cursor = directory_begin(rel, GetActiveSnapshot());
		runs = directory_runs(cursor);
		for (uint32 i = 0; i < sorted_runs_count(runs); i++)
		{
			const SortedRun *run = sorted_runs_get(runs, i);
			SegmentTotals totals = {0};
			Datum		values[RUN_NCOLUMNS];
			bool		isnull[RUN_NCOLUMNS] = {false};

			add_run(runs, i, &totals);
			values[0] = Int32GetDatum((int32) run->level);
			values[1] = Int64GetDatum((int64) totals.segments);
			values[2] = Int64GetDatum((int64) totals.bytes);
			values[3] = Int64GetDatum((int64) totals.rows);
			values[4] = Int64GetDatum(run->first_time);
			values[5] = Int64GetDatum(run->last_time);
			tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
		}
		directory_end(cursor);
	}
	relation_close(rel, AccessShareLock);
	return (Datum) 0;
}

/*
 * Opens a historian table, or returns NULL.  Does not wait for a lock, because a view of statistics
 * must not wait for ALTER TABLE.
 */
static Relation
open_without_waiting(Oid relid)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return NULL;
	rel = try_relation_open(relid, NoLock);
	if (rel != NULL && historian_table_is(rel) && !RELATION_IS_OTHER_TEMP(rel) &&
		historian_table_is_readable(rel))
		return rel;
	if (rel != NULL)
		relation_close(rel, NoLock);
	UnlockRelationOid(relid, AccessShareLock);
	return NULL;
}

/* Estimates the numbers of compacted and of late segments from pages at equal distances. */
static void
estimate(Relation rel, Snapshot snapshot, SegmentTotals *compacted, SegmentTotals *late)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	uint32		sampled = Min(nblocks, SAMPLED_PAGES);

	for (uint32 i = 0; i < sampled; i++)
		add_page(rel, snapshot, (BlockNumber) ((uint64) nblocks * i / sampled), compacted, late);
	if (sampled > 0)
	{
		multiply(compacted, (double) nblocks / sampled);
		multiply(late, (double) nblocks / sampled);
	}
}

/* Adds the segments of one page that the snapshot sees. */
static void
add_page(Relation rel, Snapshot snapshot, BlockNumber block, SegmentTotals *compacted,
		 SegmentTotals *late)
{
	Buffer		buffer = ReadBuffer(rel, block);
	OffsetNumber next = FirstOffsetNumber;
	HeapTupleData tuple;
	SegmentHeader header;

	CHECK_FOR_INTERRUPTS();
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	while (store_next_segment(rel, buffer, &next, &tuple, &header))
	{
		Size		length;

		if (!HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer))
			continue;
		(void) store_segment_bytes(BufferGetPage(buffer), &tuple, &length);
		if (header.flags & SEGMENT_COMPACTED)
			add_segment(compacted, length, header.nrows);
		else if (header.flags & (SEGMENT_LATE | SEGMENT_LATE_RUN))
			add_segment(late, length, header.nrows);
	}
	UnlockReleaseBuffer(buffer);
}

static void
add_segment(SegmentTotals *totals, Size bytes, uint32 rows)
{
	totals->segments++;
	totals->bytes += bytes;
	totals->rows += rows;
}

static void
multiply(SegmentTotals *totals, double factor)
{
	totals->segments *= factor;
	totals->bytes *= factor;
	totals->rows *= factor;
}

/* Adds the segments of one sorted run. */
static void
add_run(SortedRuns *runs, uint32 i, SegmentTotals *totals)
{
	StoredSegment stored;

	sorted_runs_seek_segments(runs, i);
	while (sorted_runs_next_segment(runs, &stored))
	{
		CHECK_FOR_INTERRUPTS();
		add_segment(totals, stored.tuple.t_len - STORE_TUPLE_HEADER,
					stored.segment.header.nrows);
		store_release(&stored);
	}
}

/*
 * Counts the pending segments, and sets *tags to the number of tags that have any.  Tags that are
 * only in shared segments, which may be very many, are not looked up: a walk through the sorted runs
 * tells them.
 */
static SegmentTotals
count_pending(Relation rel, Snapshot snapshot, int64 *tags)
{
	DirectoryCursor *cursor = directory_begin(rel, snapshot);
	SortedRuns *runs = directory_runs(cursor);
	SegmentTotals totals = {0};
	text	   *own = directory_next_own_tag(cursor, NULL);
	text	   *shared = sorted_runs_next_tag(runs, NULL);

	*tags = 0;
	while (own != NULL || shared != NULL)
	{
		int			order = own == NULL ? 1 : shared == NULL ? -1 : tag_compare(own, shared);
		bool		found = order >= 0;

		CHECK_FOR_INTERRUPTS();
		if (order <= 0)
		{
			text	   *former = own;

			found |= add_own_pending(cursor, own, &totals);
			own = directory_next_own_tag(cursor, own);
			pfree(former);
		}
		if (order >= 0)
		{
			text	   *former = shared;

			shared = sorted_runs_next_tag(runs, shared);
			pfree(former);
		}
		*tags += found;
	}
	for (uint32 i = 0; i < sorted_runs_count(runs); i++)
		add_run(runs, i, &totals);
	directory_end(cursor);
	return totals;
}

/* Adds a tag's pending segments that are not shared; returns whether there are any. */
static bool
add_own_pending(DirectoryCursor *cursor, text *tag, SegmentTotals *totals)
{
	StoredSegment stored;
	bool		found = false;

	directory_seek_pending(cursor, tag);
	while (directory_next_pending(cursor, &stored))
	{
		const SegmentHeader *header = &stored.segment.header;

		if (!(header->flags & SEGMENT_LATE_RUN))
		{
			add_segment(totals, stored.tuple.t_len - STORE_TUPLE_HEADER, header->nrows);
			found = true;
		}
		store_release(&stored);
	}
	return found;
}
