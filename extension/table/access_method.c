/*
 * access_method.c
 *	  The table access method "historian": every callback, in the order of TableAmRoutine.
 *
 * There are three kinds of callbacks: our own; the heap's, which look only at the file and at tuple
 * headers; and those that refuse.  The routine is filled in member by member, never copied from the
 * heap's, because a callback that a later PostgreSQL adds could write rows where segments belong.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "columns.h"
#include "command_work.h"
#include "compat.h"
#include "historian_table.h"
#include "store/change_log.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/relation_files.h"
#include "store/row_place.h"
#include "table/table_scan.h"
#include "write/deletion.h"
#include "write/writer.h"

PG_FUNCTION_INFO_V1(historian_handler);

static TM_Result remove_row(Relation rel, ItemPointer tid, CommandId cid, TM_FailureData *failure,
							bool update);
pg_noreturn static void refuse(Relation rel, const char *message);

static const TupleTableSlotOps *
slot_callbacks(Relation rel)
{
	return &TTSOpsVirtual;
}

/* No rows are read through an index: readers walk the directory, and fetch segments themselves. */
static IndexFetchTableData *
index_fetch_begin(Relation rel)
{
	IndexFetchTableData *fetch = palloc0(sizeof(IndexFetchTableData));

	fetch->rel = rel;
	return fetch;
}

static void
index_fetch_reset(IndexFetchTableData *fetch)
{
}

static void
index_fetch_end(IndexFetchTableData *fetch)
{
	pfree(fetch);
}

static bool
index_fetch_tuple(IndexFetchTableData *fetch, ItemPointer tid, Snapshot snapshot,
				  TupleTableSlot *slot, bool *call_again, bool *all_dead)
{
	refuse(fetch->rel, "rows of historian tables cannot be fetched through an index");
}

/*
 * Fetches a row that a DELETE, an UPDATE or EvalPlanQual has met, by the ctid that its scan gave
 * (row_place.h).  The snapshot is not looked at: the row stays where it is while the command runs,
 * deleted or not.
 */
static bool
tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot)
{
	HistorianColumns columns = columns_of(rel);
	StoredSegment stored;
	RowPlace	place;
	uint32		row;
	text	   *tag;
	Datum		values;
	bool		isnull;

	if (!ItemPointerIsValid(tid))
		row_place_report_none(rel);
	place = row_place_get(tid);
	if (!store_fetch(rel, SnapshotAny, NULL, &place.segment, &stored, NULL))
		return false;
	row = store_open_row(rel, &stored, place.row, &tag);
	ExecClearTuple(slot);
	slot->tts_values[columns.time - 1] =
		Int64GetDatum(codec_time_at(&stored.segment.rows, row));
	slot->tts_isnull[columns.time - 1] = false;
	slot->tts_values[columns.tag - 1] = PointerGetDatum(tag);
	slot->tts_isnull[columns.tag - 1] = false;
	values = decoded_rows_segment_array(&stored.segment, row, &isnull);
	slot->tts_values[columns.values - 1] = values;
	slot->tts_isnull[columns.values - 1] = isnull;
	store_release(&stored);
	ExecStoreVirtualTuple(slot);
	slot->tts_tid = *tid;
	slot->tts_tableOid = RelationGetRelid(rel);
	ExecMaterializeSlot(slot);
	/* the slot has copies, and the caller's context may live as long as its query */
	pfree(tag);
	if (!isnull)
		pfree(DatumGetPointer(values));
	return true;
}

static bool
tuple_tid_valid(TableScanDesc scan, ItemPointer tid)
{
	table_scan_refuse_ctid(RelationGetRelationName(scan->rs_rd));
}

static void
tuple_get_latest_tid(TableScanDesc scan, ItemPointer tid)
{
	table_scan_refuse_ctid(RelationGetRelationName(scan->rs_rd));
}

static bool
tuple_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	refuse(rel, "rows of historian tables cannot be checked for visibility one by one");
}

static void
multi_insert(Relation rel, TupleTableSlot **slots, int nslots, CommandId cid, int options,
			 BulkInsertStateData *bistate)
{
	HistorianColumns columns = columns_of(rel);

	if (rel->trigdesc != NULL && rel->trigdesc->trig_insert_after_row)
		historian_table_refuse_row_trigger(RelationGetRelationName(rel));
	writer_append(rel, &columns, slots, nslots, cid, options);
	for (int i = 0; i < nslots; i++)
	{
		slots[i]->tts_tableOid = RelationGetRelid(rel);

		/*
		 * The row has no place yet, but the executor asserts that it has a ctid before it finds
		 * that the directory does not index rows.
		 */
		ItemPointerSet(&slots[i]->tts_tid, 0, FirstOffsetNumber);
	}
}

static void
tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int options,
			 BulkInsertStateData *bistate)
{
	multi_insert(rel, &slot, 1, cid, options, bistate);
}

/* ON CONFLICT DO NOTHING inserts every row: without a unique index nothing conflicts. */
static void
tuple_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, int options,
						 BulkInsertStateData *bistate, uint32 token)
{
	tuple_insert(rel, slot, cid, options, bistate);
}

static void
tuple_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded)
{
	if (!succeeded)
		refuse(rel, "speculative insertions into historian tables cannot be undone");
}

static TM_Result
tuple_delete(Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot, Snapshot crosscheck,
			 bool wait, TM_FailureData *failure, bool changing_partition)
{
	return remove_row(rel, tid, cid, failure, false);
}

static TM_Result
tuple_update(Relation rel, ItemPointer tid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
			 Snapshot crosscheck, bool wait, TM_FailureData *failure, LockTupleMode *lock_mode,
			 HistorianUpdateIndexes *update_indexes)
{
	TM_Result	result = remove_row(rel, tid, cid, failure, true);

	/* the command deletes before it inserts, so a new row with the same tag and time stays */
	if (result == TM_Ok)
		tuple_insert(rel, slot, cid, 0, NULL);
	*lock_mode = LockTupleExclusive;
	*update_indexes = HISTORIAN_UPDATE_NO_INDEXES;
	return result;
}

/*
 * Fetches the row for a BEFORE trigger of DELETE or UPDATE.  Takes no lock: conflicts are found
 * when the command ends (deletion.c).  SELECT FOR UPDATE and the like do not come here, because
 * scan_node.c refuses them.
 */
static TM_Result
tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot, CommandId cid,
		   LockTupleMode mode, LockWaitPolicy wait_policy, uint8 flags, TM_FailureData *failure)
{
	failure->traversed = false;
	return tuple_fetch_row_version(rel, tid, snapshot, slot) ? TM_Ok : TM_Deleted;
}

static void
finish_bulk_insert(Relation rel, int options)
{
	command_work_write(RelationGetRelid(rel));
}

/* Makes a new file, for CREATE TABLE, TRUNCATE or a rewrite. */
static void
set_new_file(Relation rel, const HistorianFileId *file, char persistence,
			 TransactionId *freeze_xid, MultiXactId *min_multi)
{
	columns_of(rel);
	/* rows that were gathered for the old file must not be written to the new one */
	command_work_before_change(rel);
	/* a new table, and the transient one of a rewrite, have this file already */
	if (memcmp(file, &historian_rel_file(rel), sizeof(*file)) != 0)
		change_log_truncate(rel);
	GetHeapamTableAmRoutine()->HISTORIAN_SET_NEW_FILE(rel, file, persistence, freeze_xid,
													  min_multi);
}

static void
nontransactional_truncate(Relation rel)
{
	command_work_before_change(rel);
	change_log_truncate(rel);
	GetHeapamTableAmRoutine()->relation_nontransactional_truncate(rel);
}

/*
 * Enters all segments in a directory that is being built.  A scan comes from a parallel build, or
 * from amcheck, which compares the entries with those that it has found.
 */
static double
index_build_range_scan(Relation rel, Relation index, IndexInfo *info, bool allow_sync,
					   bool any_visible, bool progress, BlockNumber start_block,
					   BlockNumber nblocks, IndexBuildCallback callback, void *callback_state,
					   TableScanDesc scan)
{
	Snapshot	snapshot = scan != NULL ? scan->rs_snapshot : SnapshotAny;
	double		count = 0;

	/* amcheck says that its build is concurrent, but its scan has a snapshot already */
	if (info->ii_Concurrent && scan == NULL)
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
	command_work_before_change(rel);
	/* in a parallel build one participant makes all entries, because they are few */
	if (scan == NULL || table_scan_claim_all(scan))
		count = directory_build(rel, index, snapshot, callback, callback_state);
	if (scan != NULL)
		table_endscan(scan);
	else if (snapshot != SnapshotAny)
		UnregisterSnapshot(snapshot);
	return count;
}

static void
index_validate_scan(Relation rel, Relation index, IndexInfo *info, Snapshot snapshot,
					ValidateIndexState *state)
{
	directory_validate(rel, index, info, snapshot, state);
}

static bool
needs_toast_table(Relation rel)
{
	return false;
}

static bool
scan_sample_next_block(TableScanDesc scan, SampleScanState *state)
{
	table_scan_refuse_sample(scan->rs_rd);
}

static bool
scan_sample_next_tuple(TableScanDesc scan, SampleScanState *state, TupleTableSlot *slot)
{
	table_scan_refuse_sample(scan->rs_rd);
}

Datum
historian_handler(PG_FUNCTION_ARGS)
{
	static TableAmRoutine routine = {
		.type = T_TableAmRoutine,
		.slot_callbacks = slot_callbacks,

		.scan_begin = table_scan_begin,
		.scan_end = table_scan_end,
		.scan_rescan = table_scan_rescan,
		.scan_getnextslot = table_scan_next,
		/* without scan_set_tidrange no TID range scans are planned */

		.parallelscan_estimate = table_scan_parallel_estimate,
		.parallelscan_initialize = table_scan_parallel_initialize,
		.parallelscan_reinitialize = table_scan_parallel_reinitialize,

		.index_fetch_begin = index_fetch_begin,
		.index_fetch_reset = index_fetch_reset,
		.index_fetch_end = index_fetch_end,
		.index_fetch_tuple = index_fetch_tuple,

		.tuple_fetch_row_version = tuple_fetch_row_version,
		.tuple_tid_valid = tuple_tid_valid,
		.tuple_get_latest_tid = tuple_get_latest_tid,
		.tuple_satisfies_snapshot = tuple_satisfies_snapshot,

		.tuple_insert = tuple_insert,
		.tuple_insert_speculative = tuple_insert_speculative,
		.tuple_complete_speculative = tuple_complete_speculative,
		.multi_insert = multi_insert,
		.tuple_delete = tuple_delete,
		.tuple_update = tuple_update,
		.tuple_lock = tuple_lock,
		.finish_bulk_insert = finish_bulk_insert,

		.HISTORIAN_SET_NEW_FILE = set_new_file,
		.relation_nontransactional_truncate = nontransactional_truncate,
		.relation_copy_for_cluster = relation_files_copy,
		.scan_analyze_next_block = table_scan_analyze_block,
		.scan_analyze_next_tuple = table_scan_analyze_row,
		.index_build_range_scan = index_build_range_scan,
		.index_validate_scan = index_validate_scan,

		.relation_vacuum = relation_files_vacuum,
		.relation_size = table_block_relation_size,
		.relation_needs_toast_table = needs_toast_table,
		.relation_estimate_size = relation_files_estimate,

		/* without callbacks for bitmaps no bitmap scans are planned */
		.scan_sample_next_block = scan_sample_next_block,
		.scan_sample_next_tuple = scan_sample_next_tuple,
	};
	const TableAmRoutine *heap = GetHeapamTableAmRoutine();

	/* these look only at tuple headers and at the file */
	routine.index_delete_tuples = heap->index_delete_tuples;
	routine.relation_copy_data = heap->relation_copy_data;

	historian_table_set_routine(&routine);
	PG_RETURN_POINTER(&routine);
}

/* Raises the error for what historian tables do not do. */
static void
refuse(Relation rel, const char *message)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("%s", message),
			errdetail("Table \"%s\" is a historian table.", RelationGetRelationName(rel)));
}

/*
 * Notes a row that the command deletes or updates.  If the command has noted it before, tells the
 * executor so by this command's and transaction's IDs.
 */
static TM_Result
remove_row(Relation rel, ItemPointer tid, CommandId cid, TM_FailureData *failure, bool update)
{
	TM_Result	result = deletion_add(rel, tid, cid, update);

	if (result == TM_SelfModified)
	{
		failure->cmax = cid;
		failure->xmax = GetCurrentTransactionId();
	}
	return result;
}
