/*
 * directory.c
 *	  The directory of a historian table: one internal btree that finds segments by tag and time.
 *
 * The btree is an ordinary index in the catalogs, with three peculiarities: its predicate is the
 * constant false, its entries are made here and point at segments, and it depends on the access
 * method, which marks it as a directory.  A tag's compacted segments are disjoint in time, so one
 * descent finds the segment that holds a time.  Its pending segments share the key (tag, NULL),
 * which the btree stores as one posting list.
 *
 * The name ends in a random number because pg_dump writes the index like any other: on restore
 * CREATE TABLE has already made a directory, CREATE INDEX makes the dumped one under its own name,
 * and directory_adopt() drops the former.
 */
#include "postgres.h"

#include "store/directory.h"

#include "access/heapam.h"
#include "access/nbtree.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/pg_prng.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "columns.h"
#include "compat.h"
#include "historian_table.h"
#include "store/directory_key.h"
#include "store/directory_walk.h"
#include "store/sorted_runs.h"
#include "tag.h"

/* Where no gap was found, directory_look_ahead() looks again after so many tags. */
#define TAGS_TO_WAIT 16

/* A directory in which segments are entered. */
typedef struct Entered
{
	Relation	index;
	IndexInfo  *info;
} Entered;

/* A shared segment that is entered later. */
typedef struct Waiting
{
	ItemPointerData tid;
	text	   *tag;
} Waiting;

/* So many wait at most: what fills some ten pages of the directory. */
#define MAX_WAITING 1024

struct DirectoryWriter
{
	Relation	rel;
	MemoryContext context;
	Waiting    *waiting;		/* NULL until needed */
	uint32		nwaiting;
	uint32		nindexes;
	Entered		indexes[FLEXIBLE_ARRAY_MEMBER];
};

struct DirectoryCursor
{
	DirectoryView view;
	IdleScans	idle;
	SortedRuns *runs;			/* NULL until needed */
	DirectoryWalk pending;
	DirectoryWalk back;
	DirectoryWalk forward;
	DirectoryWalk after_tag;
	DirectoryTag after;			/* what the keys of after_tag must exceed */

	/*
	 * A gap, if has_gap: no entry that the snapshot may see has a tag after gap_after and before
	 * gap_until (if not empty, which stands for no end).  A reader of many tags that have rows in
	 * shared segments alone so needs no descent for each of them.
	 */
	bool		has_gap;
	DirectoryTag gap_after;
	DirectoryTag gap_until;
	uint32		tags_to_wait;	/* before directory_look_ahead() looks again */
};

static SegmentHeader read_header(Relation rel, TupleTableSlot *slot);
static void fill_for_rewrite(Relation rel, Relation directory);
static void enter(DirectoryWriter *writer, ItemPointer tid, Datum *values, bool *isnull);
static void enter_waiting(DirectoryWriter *writer);
static bool next_place(ValidateIndexState *state, ItemPointer place);
static text *suffixed_tag(text *tag, Size suffix_bytes);
static void start_walk(DirectoryCursor *cursor, DirectoryWalk *walk, const text *tag);
static bool is_in_gap(const DirectoryCursor *cursor, const text *tag, bool after);
static void note_gap(DirectoryCursor *cursor, const text *until);
static void put_after_tag(DirectoryCursor *cursor, const text *tag);
static void seek_after(DirectoryCursor *cursor);
static void drop_directories(Relation rel, Oid keep);
static void depend_on_access_method(Oid index_oid);
static bool walk_seeks(const DirectoryCursor *cursor, const DirectoryWalk *walk,
					   const SegmentHeader *header);
static bool walk_next(DirectoryCursor *cursor, DirectoryWalk *walk, ScanDirection direction,
					  StoredSegment *stored);

void
directory_create(Relation rel)
{
	HistorianColumns columns = columns_of(rel);
	TupleDesc	row = RelationGetDescr(rel);
	IndexInfo  *info;
	List	   *names;
	Oid			collations[DIRECTORY_NKEYS] = {C_COLLATION_OID, InvalidOid};
	Oid			opclasses[DIRECTORY_NKEYS];
	int16		options[DIRECTORY_NKEYS] = {0, 0};
	char	   *name;
	char		label[32];

	info = historian_index_info(DIRECTORY_NKEYS, BTREE_AM_OID,
								list_make1(makeBoolConst(false, false)));
	info->ii_IndexAttrNumbers[0] = columns.tag;
	info->ii_IndexAttrNumbers[1] = columns.time;
	opclasses[0] = GetDefaultOpClass(TEXTOID, BTREE_AM_OID);
	opclasses[1] = GetDefaultOpClass(INT8OID, BTREE_AM_OID);
	names = list_make2(NameStr(TupleDescAttr(row, columns.tag - 1)->attname),
					   NameStr(TupleDescAttr(row, columns.time - 1)->attname));

	snprintf(label, sizeof(label), "directory_%08x",
			 (unsigned) pg_prng_uint32(&pg_global_prng_state));
	name = ChooseRelationName(RelationGetRelationName(rel), NULL, label, RelationGetNamespace(rel),
							  false);

	/* ddl.c's hook calls directory_adopt() for the new index */
	historian_index_create(rel, name, info, names, BTREE_AM_OID, collations, opclasses, options,
						   true);
	CommandCounterIncrement();
}

bool
directory_is(Relation index)
{
	List	   *predicate;
	Const	   *condition;

	if (index->rd_rel->relam != BTREE_AM_OID ||
		IndexRelationGetNumberOfKeyAttributes(index) != DIRECTORY_NKEYS ||
		index->rd_att->natts != DIRECTORY_NKEYS || index->rd_index->indisunique ||
		TupleDescAttr(index->rd_att, 0)->atttypid != TEXTOID ||
		TupleDescAttr(index->rd_att, 1)->atttypid != INT8OID ||
		index->rd_indcollation[0] != C_COLLATION_OID ||
		index->rd_indoption[0] != 0 || index->rd_indoption[1] != 0)
		return false;

	predicate = RelationGetIndexPredicate(index);
	if (list_length(predicate) != 1 || !IsA(linitial(predicate), Const))
		return false;
	condition = linitial_node(Const, predicate);
	return !condition->constisnull && condition->consttype == BOOLOID &&
		!DatumGetBool(condition->constvalue);
}

Oid
directory_oid(Relation rel)
{
	return directory_beside(rel, InvalidOid);
}

Oid
directory_beside(Relation rel, Oid index_oid)
{
	Oid			found = InvalidOid;
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (lfirst_oid(cell) != index_oid && index->rd_index->indisvalid && directory_is(index))
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

Relation
directory_open(Relation rel, LOCKMODE lockmode)
{
	Oid			index_oid = directory_oid(rel);
	Relation	directory;

	if (!OidIsValid(index_oid))
	{
		HistorianColumns columns = columns_of(rel);
		TupleDesc	desc = RelationGetDescr(rel);

		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("historian table \"%s\" has no directory", RelationGetRelationName(rel)),
				errhint("Make one with CREATE INDEX ON %s (%s COLLATE \"C\", %s) WHERE false.",
						quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												   RelationGetRelationName(rel)),
						quote_identifier(NameStr(TupleDescAttr(desc, columns.tag - 1)->attname)),
						quote_identifier(NameStr(TupleDescAttr(desc, columns.time - 1)->attname))));
	}
	directory = index_open(index_oid, lockmode);
	if (directory->rd_createSubid != InvalidSubTransactionId)
		fill_for_rewrite(rel, directory);
	return directory;
}

void
directory_adopt(Relation rel, Oid index_oid)
{
	drop_directories(rel, index_oid);
	depend_on_access_method(index_oid);
}

void
directory_adopt_beside(Oid index_oid)
{
	depend_on_access_method(index_oid);
}

void
directory_drop(Relation rel)
{
	drop_directories(rel, InvalidOid);
}

bool
directory_lock(Relation rel, bool wait)
{
	/*
	 * A heavyweight lock on a page, as GIN takes for its pending list.  The page is the table's,
	 * because REINDEX CONCURRENTLY may replace the directory meanwhile; nothing else takes such
	 * locks on a table's pages.
	 */
	if (!wait)
		return ConditionalLockPage(rel, 0, ExclusiveLock);
	LockPage(rel, 0, ExclusiveLock);
	return true;
}

DirectoryWriter *
directory_writer_begin(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	DirectoryWriter *writer = palloc0(offsetof(DirectoryWriter, indexes) +
									  list_length(indexes) * sizeof(Entered));
	ListCell   *cell;

	writer->rel = rel;
	writer->context = CurrentMemoryContext;
	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), RowExclusiveLock);

		/* one that is ready gets entries though it may not be valid yet, as any index does */
		if (index->rd_index->indisready && directory_is(index))
			writer->indexes[writer->nindexes++] = (Entered) {
				.index = index,
				.info = BuildIndexInfo(index),
			};
		else
			index_close(index, RowExclusiveLock);
	}
	list_free(indexes);
	return writer;
}

void
directory_writer_enter(DirectoryWriter *writer, const SegmentHeader *header, ItemPointer tid)
{
	DirectoryTag tag;
	Datum		values[DIRECTORY_NKEYS];
	bool		isnull[DIRECTORY_NKEYS];
	MemoryContext caller;

	if (writer->nindexes == 0)
		return;
	directory_key(header, &tag, values, isnull);
	if (!(header->flags & SEGMENT_SHARED) || (header->flags & SEGMENT_RUN_ROOT))
	{
		enter(writer, tid, values, isnull);
		return;
	}

	caller = MemoryContextSwitchTo(writer->context);
	if (writer->waiting == NULL)
		writer->waiting = palloc(MAX_WAITING * sizeof(Waiting));
	writer->waiting[writer->nwaiting++] = (Waiting) {
		.tid = *tid,
		.tag = DatumGetTextPCopy(values[KEY_TAG - 1]),
	};
	MemoryContextSwitchTo(caller);
	if (writer->nwaiting == MAX_WAITING)
		enter_waiting(writer);
}

void
directory_writer_end(DirectoryWriter *writer)
{
	enter_waiting(writer);
	for (uint32 i = 0; i < writer->nindexes; i++)
		index_close(writer->indexes[i].index, NoLock);
	if (writer->waiting != NULL)
		pfree(writer->waiting);
	pfree(writer);
}

double
directory_build(Relation rel, Relation index, Snapshot snapshot, IndexBuildCallback callback,
				void *callback_state)
{
	TransactionId oldest = InvalidTransactionId;
	TableScanDesc scan;
	TupleTableSlot *slot;
	double		count = 0;

	if (!directory_is(index))
		historian_table_refuse_index(RelationGetRelationName(rel));
	if (snapshot == SnapshotAny)
		oldest = GetOldestNonRemovableTransactionId(rel);

	/* the heap's own scan will do: the file has heap tuples, whose contents alone are peculiar */
	scan = heap_beginscan(rel, snapshot, 0, NULL, NULL,
						  SO_TYPE_SEQSCAN | SO_ALLOW_STRAT | SO_ALLOW_PAGEMODE);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsBufferHeapTuple);
	while (heap_getnextslot(scan, ForwardScanDirection, slot))
	{
		BufferHeapTupleTableSlot *stored = (BufferHeapTupleTableSlot *) slot;
		HeapTuple	tuple = stored->base.tuple;
		SegmentHeader header;
		DirectoryTag tag;
		Datum		values[DIRECTORY_NKEYS];
		bool		isnull[DIRECTORY_NKEYS];
		HTSV_Result state = HEAPTUPLE_LIVE;

		CHECK_FOR_INTERRUPTS();
		if (snapshot == SnapshotAny)
		{
			LockBuffer(stored->buffer, BUFFER_LOCK_SHARE);
			state = HeapTupleSatisfiesVacuum(tuple, oldest, stored->buffer);
			LockBuffer(stored->buffer, BUFFER_LOCK_UNLOCK);
			if (state == HEAPTUPLE_DEAD)
				continue;
		}

		header = read_header(rel, slot);
		directory_key(&header, &tag, values, isnull);
		callback(index, &tuple->t_self, values, isnull, state != HEAPTUPLE_RECENTLY_DEAD,
				 callback_state);
		count++;
	}
	ExecDropSingleTupleTableSlot(slot);
	heap_endscan(scan);
	return count;
}

/* Merges the segments with the places in the index, as heapam_index_validate_scan() does. */
void
directory_validate(Relation rel, Relation index, IndexInfo *info, Snapshot snapshot,
				   ValidateIndexState *state)
{
	TableScanDesc scan = heap_beginscan(rel, snapshot, 0, NULL, NULL,
										SO_TYPE_SEQSCAN | SO_ALLOW_STRAT | SO_ALLOW_PAGEMODE);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsBufferHeapTuple);
	ItemPointerData place;
	bool		more = next_place(state, &place);

	while (heap_getnextslot(scan, ForwardScanDirection, slot))
	{
		HeapTuple	tuple = ((BufferHeapTupleTableSlot *) slot)->base.tuple;
		SegmentHeader header;
		DirectoryTag tag;
		Datum		values[DIRECTORY_NKEYS];
		bool		isnull[DIRECTORY_NKEYS];

		CHECK_FOR_INTERRUPTS();
		state->htups += 1;
		while (more && ItemPointerCompare(&place, &tuple->t_self) < 0)
			more = next_place(state, &place);
		if (more && ItemPointerEquals(&place, &tuple->t_self))
			continue;

		header = read_header(rel, slot);
		directory_key(&header, &tag, values, isnull);
		index_insert(index, values, isnull, &tuple->t_self, rel, UNIQUE_CHECK_NO, false, info);
		state->tups_inserted += 1;
	}
	ExecDropSingleTupleTableSlot(slot);
	heap_endscan(scan);
}

DirectoryCursor *
directory_begin(Relation rel, Snapshot snapshot)
{
	DirectoryCursor *cursor = palloc0(sizeof(DirectoryCursor));

	cursor->view.rel = rel;
	cursor->view.directory = directory_open(rel, AccessShareLock);
	cursor->view.snapshot = snapshot;
	cursor->view.context = CurrentMemoryContext;
	cursor->view.idle = &cursor->idle;

	directory_walk_compare_tag(&cursor->pending, BTEqualStrategyNumber, F_TEXTEQ);
	directory_walk_null_time(&cursor->pending);

	directory_walk_compare_tag(&cursor->back, BTEqualStrategyNumber, F_TEXTEQ);
	directory_walk_compare_time(&cursor->back, BTGreaterEqualStrategyNumber, F_INT8GE);
	directory_walk_compare_time(&cursor->back, BTLessEqualStrategyNumber, F_INT8LE);

	directory_walk_compare_tag(&cursor->forward, BTEqualStrategyNumber, F_TEXTEQ);
	directory_walk_compare_time(&cursor->forward, BTGreaterStrategyNumber, F_INT8GT);
	directory_walk_compare_time(&cursor->forward, BTLessEqualStrategyNumber, F_INT8LE);

	cursor->after_tag.want_key = true;
	directory_walk_compare_tag(&cursor->after_tag, BTGreaterStrategyNumber, F_TEXT_GT);
	return cursor;
}

void
directory_end(DirectoryCursor *cursor)
{
	if (cursor->runs != NULL)
		sorted_runs_end(cursor->runs);
	directory_walk_end(&cursor->pending, &cursor->view);
	directory_walk_end(&cursor->back, &cursor->view);
	directory_walk_end(&cursor->forward, &cursor->view);
	directory_walk_end(&cursor->after_tag, &cursor->view);
	directory_walk_close(&cursor->idle);
	index_close(cursor->view.directory, AccessShareLock);
	pfree(cursor);
}

void
directory_seek_pending(DirectoryCursor *cursor, text *tag)
{
	cursor->pending.keys[0].sk_argument = PointerGetDatum(tag);
	start_walk(cursor, &cursor->pending, tag);
}

bool
directory_next_pending(DirectoryCursor *cursor, StoredSegment *stored)
{
	return walk_next(cursor, &cursor->pending, ForwardScanDirection, stored);
}

void
directory_seek_back(DirectoryCursor *cursor, text *tag, int64 time)
{
	directory_seek_back_within(cursor, tag, PG_INT64_MIN, time);
}

void
directory_seek_back_within(DirectoryCursor *cursor, text *tag, int64 not_before, int64 time)
{
	cursor->back.keys[0].sk_argument = PointerGetDatum(tag);
	cursor->back.keys[1].sk_argument = Int64GetDatum(not_before);
	cursor->back.keys[2].sk_argument = Int64GetDatum(time);
	start_walk(cursor, &cursor->back, tag);
}

bool
directory_next_back(DirectoryCursor *cursor, StoredSegment *stored)
{
	return walk_next(cursor, &cursor->back, BackwardScanDirection, stored);
}

void
directory_end_back(DirectoryCursor *cursor)
{
	directory_walk_end(&cursor->back, &cursor->view);
}

void
directory_seek_forward(DirectoryCursor *cursor, text *tag, int64 after, int64 until)
{
	cursor->forward.keys[0].sk_argument = PointerGetDatum(tag);
	cursor->forward.keys[1].sk_argument = Int64GetDatum(after);
	cursor->forward.keys[2].sk_argument = Int64GetDatum(until);
	start_walk(cursor, &cursor->forward, tag);
}

bool
directory_next_forward(DirectoryCursor *cursor, StoredSegment *stored)
{
	return walk_next(cursor, &cursor->forward, ForwardScanDirection, stored);
}

SortedRuns *
directory_runs(DirectoryCursor *cursor)
{
	if (cursor->runs == NULL)
		cursor->runs = sorted_runs_begin(&cursor->view);
	return cursor->runs;
}

bool
directory_any_between(DirectoryCursor *cursor, text *tag, int64 after, int64 before)
{
	StoredSegment stored;

	if (after >= before)
		return false;
	directory_seek_forward(cursor, tag, after, before - 1);
	if (!directory_next_forward(cursor, &stored))
		return false;
	store_release(&stored);
	return true;
}

text *
directory_summary_tag(text *tag)
{
	return suffixed_tag(tag, SUMMARY_SUFFIX_BYTES);
}

text *
directory_late_tag(text *tag)
{
	return suffixed_tag(tag, LATE_SUFFIX_BYTES);
}

void
directory_seek_marks(DirectoryCursor *cursor)
{
	directory_seek_pending(cursor, cstring_to_text_with_len("\0", MARK_TAG_BYTES));
}

SegmentHeader
directory_mark_header(void)
{
	return (SegmentHeader) {.tag = "\0", .tag_bytes = MARK_TAG_BYTES};
}

bool
directory_has_tag(DirectoryCursor *cursor, text *tag)
{
	StoredSegment stored;
	bool		found;

	directory_seek_back(cursor, tag, PG_INT64_MAX);
	found = directory_next_back(cursor, &stored);
	if (!found)
	{
		directory_seek_pending(cursor, tag);
		found = directory_next_pending(cursor, &stored);
	}
	if (!found)
	{
		text	   *late_tag = directory_late_tag(tag);

		directory_seek_back(cursor, late_tag, PG_INT64_MAX);
		found = directory_next_back(cursor, &stored);
		pfree(late_tag);
	}
	if (!found)
	{
		sorted_runs_seek(directory_runs(cursor), tag, PG_INT64_MIN, PG_INT64_MAX);
		found = sorted_runs_next(directory_runs(cursor), &stored);
	}
	if (found)
		store_release(&stored);
	return found;
}

void
directory_seek_entries(DirectoryCursor *cursor)
{
	SET_VARSIZE(directory_tag_text(&cursor->after), VARHDRSZ);
	seek_after(cursor);
}

bool
directory_next_entry(DirectoryCursor *cursor, DirectoryEntry *entry)
{
	DirectoryWalk *walk = &cursor->after_tag;
	ItemPointer tid = directory_walk_step(walk, &cursor->view, ForwardScanDirection);
	bool		isnull;
	Datum		value;

	if (tid == NULL)
		return false;
	entry->place = *tid;
	value = index_getattr(walk->scan->xs_itup, KEY_TAG, walk->scan->xs_itupdesc, &isnull);
	entry->tag = DatumGetTextPP(value);
	value = index_getattr(walk->scan->xs_itup, KEY_TIME, walk->scan->xs_itupdesc, &isnull);
	entry->placed = !isnull;
	entry->first_time = isnull ? 0 : DatumGetInt64(value);
	return true;
}

const char *
directory_entry_tag(const DirectoryEntry *entry, Size *bytes)
{
	const char *tag = VARDATA_ANY(entry->tag);
	Size		length = VARSIZE_ANY_EXHDR(entry->tag);

	if (length > RUN_PREFIX_BYTES + SEGMENT_RUN_NUMBER_BYTES && tag[0] == '\0')
		return directory_key_fence(entry->tag, bytes);
	/* the NULs of summaries and late segments follow the tag; marks and roots begin with one */
	*bytes = strnlen(tag, length);
	return tag;
}

bool
directory_entry_fits(const DirectoryEntry *entry, const SegmentHeader *header)
{
	DirectoryTag tag;
	Datum		values[DIRECTORY_NKEYS];
	bool		isnull[DIRECTORY_NKEYS];

	directory_key(header, &tag, values, isnull);
	return tag_compare(entry->tag, directory_tag_text(&tag)) == 0 && entry->placed == !isnull[1] &&
		(isnull[1] || entry->first_time == header->first_time);
}

text *
directory_next_tag(DirectoryCursor *cursor, text *tag)
{
	text	   *own = directory_next_own_tag(cursor, tag);
	text	   *shared = sorted_runs_next_tag(directory_runs(cursor), tag);

	if (own == NULL || shared == NULL)
		return own != NULL ? own : shared;
	if (tag_compare(own, shared) <= 0)
	{
		pfree(shared);
		return own;
	}
	pfree(own);
	return shared;
}

text *
directory_next_own_tag(DirectoryCursor *cursor, text *tag)
{
	DirectoryEntry entry;
	text	   *copy;

	if (tag != NULL && VARSIZE_ANY_EXHDR(tag) > 0)
		put_after_tag(cursor, tag);
	else
		directory_key_first_user_tag(&cursor->after);
	if (is_in_gap(cursor, directory_tag_text(&cursor->after), true))
		return VARSIZE(directory_tag_text(&cursor->gap_until)) == VARHDRSZ
			? NULL : DatumGetTextPCopy(PointerGetDatum(directory_tag_text(&cursor->gap_until)));
	seek_after(cursor);
	if (!directory_next_entry(cursor, &entry))
	{
		note_gap(cursor, NULL);
		return NULL;
	}
	copy = DatumGetTextPCopy(PointerGetDatum(entry.tag));

	/* the tag's first entry may be that of summaries or late segments: their NULs are cut off */
	if (VARSIZE_ANY_EXHDR(copy) > 0 &&
		VARDATA_ANY(copy)[VARSIZE_ANY_EXHDR(copy) - 1] == '\0')
	{
		text	   *trimmed = cstring_to_text(VARDATA_ANY(copy));

		pfree(copy);
		copy = trimmed;
	}
	directory_walk_end(&cursor->after_tag, &cursor->view);
	note_gap(cursor, copy);
	return copy;
}

void
directory_look_ahead(DirectoryCursor *cursor, text *tag)
{
	text	   *own;

	if (is_in_gap(cursor, tag, false))
		cursor->tags_to_wait = 0;
	else if (cursor->tags_to_wait > 0)
		cursor->tags_to_wait--;
	else
	{
		own = directory_next_own_tag(cursor, tag);
		if (own != NULL)
			pfree(own);
		cursor->tags_to_wait = TAGS_TO_WAIT;
	}
}

/* The header of the stored segment in a slot of the heap's; it points into the slot's buffer. */
static SegmentHeader
read_header(Relation rel, TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *stored = (BufferHeapTupleTableSlot *) slot;
	HeapTuple	tuple = stored->base.tuple;
	SegmentHeader header;
	SegmentStatus status;
	const uint8 *bytes;
	Size		length;

	bytes = store_segment_bytes(BufferGetPage(stored->buffer), tuple, &length);
	status = segment_read_header(&header, bytes, length);
	if (status != SEGMENT_OK)
		store_report(rel, &tuple->t_self, NULL, status);
	return header;
}

/*
 * Builds a directory that is still empty.  An ALTER TABLE that changes the type of one of its
 * columns creates a new directory before it reads the table to rewrite it, and builds it after
 * that.  The read needs a directory of the table as it is.
 */
static void
fill_for_rewrite(Relation rel, Relation directory)
{
	if (RelationGetNumberOfBlocks(directory) == 0)
		index_build(rel, directory, BuildIndexInfo(directory), false, false);
}

/* Enters a key in all directories. */
static void
enter(DirectoryWriter *writer, ItemPointer tid, Datum *values, bool *isnull)
{
	for (uint32 i = 0; i < writer->nindexes; i++)
		index_insert(writer->indexes[i].index, values, isnull, tid, writer->rel, UNIQUE_CHECK_NO,
					 false, writer->indexes[i].info);
}

/*
 * Enters the shared segments that wait.  A run has its own stretch of the btree, and its segments come
 * in order.  The btree splits a full page there into halves; entered in order, the next ones would all
 * go to the second half, and each page would stay half empty.  So three of five are entered first, and
 * then the other two, which fill the halves to five sixths.
 */
static void
enter_waiting(DirectoryWriter *writer)
{
	for (uint32 pass = 0; pass < 2; pass++)
	{
		for (uint32 i = 0; i < writer->nwaiting; i++)
		{
			Datum		values[DIRECTORY_NKEYS] = {PointerGetDatum(writer->waiting[i].tag)};
			bool		isnull[DIRECTORY_NKEYS] = {false, true};

			if (i % 5 % 2 == pass)
				enter(writer, &writer->waiting[i].tid, values, isnull);
		}
	}
	for (uint32 i = 0; i < writer->nwaiting; i++)
		pfree(writer->waiting[i].tag);
	writer->nwaiting = 0;
}

/* Sets *place to the next place that the index has; returns false if there is none. */
static bool
next_place(ValidateIndexState *state, ItemPointer place)
{
	Datum		value;
	bool		isnull;

	if (!historian_next_datum(state->tuplesort, &value, &isnull))
		return false;
	itemptr_decode(place, DatumGetInt64(value));
	return true;
}

static text *
suffixed_tag(text *tag, Size suffix_bytes)
{
	Size		length = VARSIZE_ANY_EXHDR(tag);
	text	   *suffixed = palloc(VARHDRSZ + length + suffix_bytes);

	SET_VARSIZE(suffixed, VARHDRSZ + length + suffix_bytes);
	memcpy(VARDATA(suffixed), VARDATA_ANY(tag), length);
	memset(VARDATA(suffixed) + length, 0, suffix_bytes);
	return suffixed;
}

/* Starts the walk for a tag, unless it is known to find nothing. */
static void
start_walk(DirectoryCursor *cursor, DirectoryWalk *walk, const text *tag)
{
	if (is_in_gap(cursor, tag, false))
		walk->nothing = true;
	else
		directory_walk_start(walk, &cursor->view);
}

/* Is it known that no entry has this tag or, with after, one from it to gap_until? */
static bool
is_in_gap(const DirectoryCursor *cursor, const text *tag, bool after)
{
	int			order;

	if (!cursor->has_gap)
		return false;
	order = tag_compare(tag, directory_tag_text(&cursor->gap_after));
	return (order > 0 || (order == 0 && after)) &&
		(VARSIZE(directory_tag_text(&cursor->gap_until)) == VARHDRSZ ||
		 tag_compare(tag, directory_tag_text(&cursor->gap_until)) < 0);
}

/* Notes that the first entry after cursor->after is of this tag (NULL: that there is none). */
static void
note_gap(DirectoryCursor *cursor, const text *until)
{
	/* others may enter what this snapshot does not see, but an MVCC snapshot stays as it is */
	cursor->has_gap = IsMVCCSnapshot(cursor->view.snapshot);
	cursor->gap_after = cursor->after;
	SET_VARSIZE(directory_tag_text(&cursor->gap_until), VARHDRSZ);
	if (until != NULL)
	{
		SET_VARSIZE(directory_tag_text(&cursor->gap_until), VARSIZE_ANY_EXHDR(until) + VARHDRSZ);
		memcpy(VARDATA(directory_tag_text(&cursor->gap_until)), VARDATA_ANY(until), VARSIZE_ANY_EXHDR(until));
	}
}

/* Sets cursor->after to what follows all that belongs to a tag. */
static void
put_after_tag(DirectoryCursor *cursor, const text *tag)
{
	char	   *after = VARDATA(directory_tag_text(&cursor->after));
	Size		length = VARSIZE_ANY_EXHDR(tag);

	memcpy(after, VARDATA_ANY(tag), length);
	memset(after + length, 0, LATE_SUFFIX_BYTES);
	SET_VARSIZE(directory_tag_text(&cursor->after), VARHDRSZ + length + LATE_SUFFIX_BYTES);
}

/* Starts a walk over the entries after cursor->after. */
static void
seek_after(DirectoryCursor *cursor)
{
	cursor->after_tag.keys[0].sk_argument = PointerGetDatum(directory_tag_text(&cursor->after));
	directory_walk_start(&cursor->after_tag, &cursor->view);
}

/*
 * Drops the table's directories but for one.  An index of a heap table may look like a directory,
 * but only a directory depends on the access method.
 */
static void
drop_directories(Relation rel, Oid keep)
{
	Oid			access_method = get_table_am_oid("historian", true);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		ObjectAddress address;

		if (lfirst_oid(cell) == keep ||
			deleteDependencyRecordsForSpecific(RelationRelationId, lfirst_oid(cell),
											   DEPENDENCY_NORMAL, AccessMethodRelationId,
											   access_method) == 0)
			continue;
		CommandCounterIncrement();
		ObjectAddressSet(address, RelationRelationId, lfirst_oid(cell));
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	list_free(indexes);
}

static void
depend_on_access_method(Oid index_oid)
{
	ObjectAddress index;
	ObjectAddress access_method;

	ObjectAddressSet(index, RelationRelationId, index_oid);
	ObjectAddressSet(access_method, AccessMethodRelationId, get_table_am_oid("historian", false));
	recordDependencyOn(&index, &access_method, DEPENDENCY_NORMAL);
}

/*
 * Does a segment have the tag and time by which it was sought?  Readers rely on its header before
 * they open its rows, which is when the checksum may be compared.
 */
static bool
walk_seeks(const DirectoryCursor *cursor, const DirectoryWalk *walk, const SegmentHeader *header)
{
	DirectoryTag tag;
	Datum		values[DIRECTORY_NKEYS];
	bool		isnull[DIRECTORY_NKEYS];

	directory_key(header, &tag, values, isnull);
	if (tag_compare((const text *) DatumGetPointer(walk->keys[0].sk_argument), directory_tag_text(&tag)) != 0)
		return false;
	if (isnull[1] || walk == &cursor->pending)
		return isnull[1] && walk == &cursor->pending;
	return header->first_time >= DatumGetInt64(walk->keys[1].sk_argument) &&
		header->first_time <= DatumGetInt64(walk->keys[2].sk_argument);
}

/* Steps to the next visible segment, and marks the entries of segments that are dead to all. */
static bool
walk_next(DirectoryCursor *cursor, DirectoryWalk *walk, ScanDirection direction, StoredSegment *stored)
{
	const text *tag = (const text *) DatumGetPointer(walk->keys[0].sk_argument);
	ItemPointer tid;

	while ((tid = directory_walk_step(walk, &cursor->view, direction)) != NULL)
	{
		ItemPointerData place = *tid;
		StoreAbsence absence;

		CHECK_FOR_INTERRUPTS();
		if (store_fetch(cursor->view.rel, cursor->view.snapshot, tag, &place, stored, &absence))
		{
			if (!walk_seeks(cursor, walk, &stored->segment.header))
				store_report(cursor->view.rel, &stored->tuple.t_self, &stored->segment.header,
							 SEGMENT_MISPLACED);
			return true;
		}
		directory_walk_absent(walk, &cursor->view, tag, &place, absence);
	}
	return false;
}
