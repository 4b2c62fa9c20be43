/*
 * deletion.c
 *	  Deletes rows: writes their segments anew without them.
 *
 * To delete a row means to remove all rows of its tag and time, from every segment that has one.
 * Otherwise an earlier load's row, which it had replaced, would appear again.  A segment that is
 * written anew keeps its kind and its number in load order, so that the invariant of compaction.c
 * holds.  A shared segment is written anew once, for all its tags; with the last segment of a run
 * its root is deleted.  directory_lock() keeps compactions and other deletions of the table away
 * until the transaction ends.
 *
 * DELETE and UPDATE note the rows that they meet, by ctid, and the rows are deleted when the
 * command ends (command_work.c).  Meanwhile compaction may have moved them, or other transactions
 * may have changed them.
 *
 * - Under READ COMMITTED the rows are deleted from the segments that a fresh snapshot sees.  If a
 *	 load has replaced a row since the command met it, a DELETE keeps the new row.  If another
 *	 transaction has updated the row, the DELETE fails with a serialization error.  An UPDATE has
 *	 computed its new row from the old one, so it fails in both cases, and if the row is gone.
 * - Under REPEATABLE READ and SERIALIZABLE the rows are deleted from the segments that the
 *	 transaction's snapshot sees.  If one of these was deleted since, by compaction too, or its
 *	 summary, the command fails with a serialization error.
 */
#include "postgres.h"

#include "write/deletion.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "command_work.h"
#include "read/tag_reader.h"
#include "store/change_log.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/row_buffer.h"
#include "store/row_place.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"
#include "store/serializable.h"
#include "store/summary_edit.h"
#include "tag.h"

/* So many times of rows that stay, because they are new, are allocated together. */
#define REPLACED_AT_ONCE 1024

/* The rows of one stored segment that a DELETE or UPDATE has met, or that are to be removed. */
typedef struct DeletedRows
{
	ItemPointerData segment;	/* hash key */
	uint8		rows[CODEC_MAX_ROWS / 8];	/* one bit each */
	bool		all;			/* a shared segment of which nothing is left */
} DeletedRows;

/* The part of them that one tag has: of a shared segment one of several. */
typedef struct DeletedPart
{
	text	   *tag;
	DeletedRows *deleted;
} DeletedPart;

/* What one command has met in one table. */
typedef struct DeletionWork
{
	CommandWork work;
	HTAB	   *segments;		/* of DeletedRows */
	bool		update;			/* the command is an UPDATE, and inserts new rows too */
} DeletionWork;

/* The times of the rows to delete: a closed range, or a list of times from first to last. */
typedef struct TimeSet
{
	int64		from;
	int64		until;
	const int64 *times;			/* [ntimes], ascending; NULL: the whole range */
	uint64		ntimes;
	bool	   *met;			/* [ntimes]: a segment has a row of this time; may be NULL */
} TimeSet;

/* A deletion in progress, under the active snapshot. */
typedef struct Deletion
{
	Relation	rel;
	CommandId	cid;
	DirectoryCursor *cursor;
	bool		update;			/* for an UPDATE */
	Snapshot	met_under;		/* the command's snapshot if the active one is newer, or NULL */
	DirectoryCursor *met_cursor;	/* under met_under; NULL until needed */
	SegmentSink *sink;			/* NULL until something is rewritten */
	SummaryEdit *summaries;
	HTAB	   *shared;			/* of DeletedRows: shared segments to write anew; NULL: none */
	bool		moves;			/* what leaves shared segments is written elsewhere */
	ChangeLog  *changes;		/* takes what is deleted, or NULL */
	bool		spared;			/* of the present tag: a row between those to delete has another
								 * time */
	int64	   *replaced;		/* [nreplaced] times of rows that the present tag keeps as new ones */
	uint64		nreplaced;
	int64		removed_segments;
	int64		removed_bytes;
	MemoryContext context;		/* for this struct's members */
	MemoryContext tag_context;	/* for the work on one tag */
} Deletion;

static ExpiryRule *rule_of_tag(ExpiryRule *rules, uint32 nrules, const text *tag);
static int64 net_bytes(const Deletion *deletion);
static HTAB *deleted_rows_create(MemoryContext context);
static DeletedRows *deleted_rows_of(HTAB *segments, const ItemPointerData *segment);
static void fetch_met(Relation rel, ItemPointer segment, const text *tag, StoredSegment *stored);
static void do_deletions(CommandWork *work);
static DeletedPart *list_parts(Relation rel, HTAB *segments, uint64 *nparts);
static void add_shared_parts(Relation rel, const StoredSegment *stored, DeletedRows *deleted,
							 DeletedPart **parts, uint64 *nparts, uint64 *capacity);
static void add_part(DeletedPart **parts, uint64 *nparts, uint64 *capacity, const char *tag,
					 Size tag_bytes, DeletedRows *deleted);
static int64 *collect_times(Relation rel, const DeletedPart *parts, uint64 nparts,
							uint64 *ntimes);
static Deletion begin_deletion(Relation rel, CommandId cid, Snapshot met_under, bool moves);
static void end_deletion(Deletion *deletion);
static void delete_from_tag(Deletion *deletion, text *tag, const TimeSet *set);
static void log_deleted(Deletion *deletion, const text *tag, const TimeSet *set);
static void check_none_newer(Deletion *deletion, text *tag, const TimeSet *set);
static SegmentList list_segments(Deletion *deletion, text *tag, int64 from, int64 until);
static void delete_from_segment(Deletion *deletion, text *tag, const SegmentRef *ref,
								const TimeSet *set);
static uint32 keep_replaced(Deletion *deletion, text *tag, const SegmentRef *ref,
							const Segment *segment, bool *kept);
static void note_replaced(Deletion *deletion, int64 time);
static bool is_in_place(Deletion *deletion, const SegmentRef *ref);
static bool find_row(Deletion *deletion, text *tag, int64 time, Datum values, bool isnull,
					 SegmentRef *place);
static bool has_row(const Segment *segment, int64 time, Datum values, bool isnull);
static bool is_changed_by_itself(Deletion *deletion, const ItemPointerData *tid);
pg_noreturn static void report_triggered_change(Relation rel);
pg_noreturn static void report_changed(Relation rel);
static uint32 mark_kept(const DecodedRows *rows, const TimeSet *set, bool *kept);
static void rewrite(Deletion *deletion, const Segment *segment, const bool *kept);
static SegmentSink *deletion_sink(Deletion *deletion);
static void delete_segment(Deletion *deletion, const SegmentRef *ref, uint32 nkept);
static int64 count_rows(Deletion *deletion, text *tag, int64 from, int64 until);
static void take_out_tag(Deletion *deletion, text *tag, uint64 horizon);
static void take_out(Deletion *deletion, text *tag, const SegmentRef *ref);
static void remove_shared(Deletion *deletion, const StoredSegment *stored, const bool *kept);
static bool rewrite_shared(Deletion *deletion, const DeletedRows *removed);
static void delete_empty_runs(Deletion *deletion);
static bool is_run_empty(Deletion *deletion, SortedRuns *runs, uint32 i);
static bool keep_entry(Deletion *deletion, const SharedReader *reader, const DeletedRows *removed,
					   SharedBuilder *builder, uint32 *nkept);
static void write_own(Deletion *deletion, const SharedReader *reader, const CodecRows *rows);
static int	compare_parts(const void *left, const void *right);
static int	compare_times(const void *left, const void *right);

static inline bool
is_noted(const DeletedRows *deleted, uint32 row)
{
	return (deleted->rows[row / 8] & (1 << (row % 8))) != 0;
}

static const CommandWorkKind deleting = {
	.work_do = do_deletions,
	.divisible = false,
};

TM_Result
deletion_add(Relation rel, ItemPointer ctid, CommandId cid, bool update)
{
	DeletionWork *work = (DeletionWork *) command_work_find(&deleting, RelationGetRelid(rel), cid,
															sizeof(DeletionWork));
	RowPlace	place;
	DeletedRows *deleted;
	uint8		bit;

	if (!ItemPointerIsValid(ctid))
		row_place_report_none(rel);
	place = row_place_get(ctid);
	bit = 1 << (place.row % 8);
	work->update |= update;
	if (work->segments == NULL)
		work->segments = deleted_rows_create(work->work.context);
	deleted = deleted_rows_of(work->segments, &place.segment);
	if (deleted->rows[place.row / 8] & bit)
		return TM_SelfModified;
	deleted->rows[place.row / 8] |= bit;
	return TM_Ok;
}

int64
deletion_delete_range(Relation rel, text *tag, int64 from, int64 until)
{
	Deletion	deletion;
	TimeSet		set = {.from = from, .until = until};
	int64		count = 0;

	if (from > until)
		return 0;

	deletion = begin_deletion(rel, GetCurrentCommandId(true), NULL, false);
	if (tag != NULL)
	{
		count = count_rows(&deletion, tag, from, until);
		if (count > 0)
			delete_from_tag(&deletion, tag, &set);
	}
	else
	{
		text	   *next = directory_next_tag(deletion.cursor, NULL);

		while (next != NULL)
		{
			text	   *former = next;

			int64		rows = count_rows(&deletion, next, from, until);

			count += rows;
			if (rows > 0)
				delete_from_tag(&deletion, next, &set);
			next = directory_next_tag(deletion.cursor, next);
			pfree(former);
		}
	}
	end_deletion(&deletion);
	CommandCounterIncrement();
	return count;
}

bool
deletion_expire(Relation rel, ExpiryRule *rules, uint32 nrules, int64 max_segments, text **after)
{
	Deletion	deletion;
	text	   *tag;

	if (!change_log_try_lock(rel) || !directory_lock(rel, false))
		return false;
	deletion = begin_deletion(rel, GetCurrentCommandId(true), NULL, false);
	tag = directory_next_tag(deletion.cursor, *after);
	while (tag != NULL && deletion.removed_segments < max_segments)
	{
		ExpiryRule *rule = rule_of_tag(rules, nrules, tag);

		CHECK_FOR_INTERRUPTS();
		if (rule != NULL && rule->until > PG_INT64_MIN)
		{
			TimeSet		set = {.from = PG_INT64_MIN, .until = rule->until};
			int64		rows = count_rows(&deletion, tag, set.from, set.until);
			int64		bytes = net_bytes(&deletion);

			if (rows > 0)
				delete_from_tag(&deletion, tag, &set);
			rule->rows += rows;
			rule->bytes += net_bytes(&deletion) - bytes;
		}
		*after = tag;
		tag = directory_next_tag(deletion.cursor, *after);
		if (tag != NULL && deletion.removed_segments < max_segments)
			pfree(*after);
	}
	if (tag == NULL)
		*after = NULL;
	end_deletion(&deletion);
	CommandCounterIncrement();
	return true;
}

void
deletion_take_out(Relation rel, text **tags, uint32 ntags, uint64 horizon)
{
	Deletion	deletion = begin_deletion(rel, GetCurrentCommandId(true), NULL, true);

	for (uint32 i = 0; i < ntags; i++)
	{
		CHECK_FOR_INTERRUPTS();
		take_out_tag(&deletion, tags[i], horizon);
	}
	end_deletion(&deletion);
	CommandCounterIncrement();
}

/* Returns the rule with the longest prefix of a tag, or NULL. */
static ExpiryRule *
rule_of_tag(ExpiryRule *rules, uint32 nrules, const text *tag)
{
	ExpiryRule *found = NULL;

	for (uint32 i = 0; i < nrules; i++)
	{
		const text *prefix = rules[i].prefix;
		Size		bytes = VARSIZE_ANY_EXHDR(prefix);

		if (bytes <= VARSIZE_ANY_EXHDR(tag) &&
			memcmp(VARDATA_ANY(prefix), VARDATA_ANY(tag), bytes) == 0 &&
			(found == NULL || bytes > VARSIZE_ANY_EXHDR(found->prefix)))
			found = &rules[i];
	}
	return found;
}

/* The bytes of the segments removed so far, less those written anew. */
static int64
net_bytes(const Deletion *deletion)
{
	return deletion->removed_bytes -
		(deletion->sink != NULL ? (int64) segment_sink_bytes(deletion->sink) : 0);
}

static HTAB *
deleted_rows_create(MemoryContext context)
{
	HASHCTL		control = {
		.keysize = sizeof(ItemPointerData),
		.entrysize = sizeof(DeletedRows),
		.hcxt = context,
	};

	return hash_create("historian deletions", 256, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Returns the entry of a segment; a new one has no rows. */
static DeletedRows *
deleted_rows_of(HTAB *segments, const ItemPointerData *segment)
{
	bool		found;
	DeletedRows *deleted = hash_search(segments, segment, HASH_ENTER, &found);

	if (!found)
	{
		memset(deleted->rows, 0, sizeof(deleted->rows));
		deleted->all = false;
	}
	return deleted;
}

/* Fetches a segment of which the command has met a row, or (unless NULL) the part of a tag. */
static void
fetch_met(Relation rel, ItemPointer segment, const text *tag, StoredSegment *stored)
{
	/* the command's snapshot has seen it, so it is still there, if perhaps deleted since */
	if (!store_fetch(rel, SnapshotAny, tag, segment, stored, NULL))
		store_report_vanished(rel, tag, segment);
}

/* Deletes all rows that a command has met, tag by tag.  An UPDATE must find all of them again. */
static void
do_deletions(CommandWork *work)
{
	Relation	rel = table_open(work->relid, RowExclusiveLock);
	uint64		nparts;
	DeletedPart *parts = list_parts(rel, ((DeletionWork *) work)->segments, &nparts);
	Snapshot	met_under = ActiveSnapshotSet() ? GetActiveSnapshot() : NULL;
	Deletion	deletion = begin_deletion(rel, work->cid, met_under, false);

	deletion.update = ((DeletionWork *) work)->update;
	for (uint64 first = 0, end; first < nparts; first = end)
	{
		TimeSet		set;

		end = first + 1;
		while (end < nparts && tag_compare(parts[first].tag, parts[end].tag) == 0)
			end++;
		set.times = collect_times(rel, parts + first, end - first, &set.ntimes);
		set.from = set.times[0];
		set.until = set.times[set.ntimes - 1];
		set.met = palloc0(set.ntimes);
		delete_from_tag(&deletion, parts[first].tag, &set);
		for (uint64 i = 0; deletion.update && i < set.ntimes; i++)
		{
			if (!set.met[i])
				report_changed(rel);
		}
		pfree(set.met);
		pfree((void *) set.times);
	}
	end_deletion(&deletion);
	table_close(rel, NoLock);
}

/* Lists the noted segments, shared ones tag by tag, in order of tags; palloc'd. */
static DeletedPart *
list_parts(Relation rel, HTAB *segments, uint64 *nparts)
{
	uint64		capacity = Max(hash_get_num_entries(segments), 1);
	DeletedPart *parts = palloc_extended(capacity * sizeof(DeletedPart), MCXT_ALLOC_HUGE);
	HASH_SEQ_STATUS status;
	DeletedRows *deleted;

	*nparts = 0;
	hash_seq_init(&status, segments);
	while ((deleted = hash_seq_search(&status)) != NULL)
	{
		StoredSegment stored;
		const SegmentHeader *header = &stored.segment.header;

		CHECK_FOR_INTERRUPTS();
		fetch_met(rel, &deleted->segment, NULL, &stored);
		if (header->flags & SEGMENT_SHARED)
			add_shared_parts(rel, &stored, deleted, &parts, nparts, &capacity);
		else
			add_part(&parts, nparts, &capacity, header->tag, header->tag_bytes, deleted);
		store_release(&stored);
	}
	qsort(parts, *nparts, sizeof(DeletedPart), compare_parts);
	return parts;
}

/* Adds a part for each tag of a shared segment of which rows are noted. */
static void
add_shared_parts(Relation rel, const StoredSegment *stored, DeletedRows *deleted,
				 DeletedPart **parts, uint64 *nparts, uint64 *capacity)
{
	SharedReader reader;

	store_open_shared(rel, stored, &reader, false);
	while (shared_reader_next(&reader))
	{
		for (uint32 row = reader.first_row; row < reader.first_row + reader.nrows; row++)
		{
			if (!is_noted(deleted, row))
				continue;
			add_part(parts, nparts, capacity, reader.tag, reader.tag_bytes, deleted);
			break;
		}
	}
	store_check_shared(rel, stored, &reader);
}

static void
add_part(DeletedPart **parts, uint64 *nparts, uint64 *capacity, const char *tag, Size tag_bytes,
		 DeletedRows *deleted)
{
	if (*nparts == *capacity)
	{
		*capacity *= 2;
		*parts = repalloc_huge(*parts, *capacity * sizeof(DeletedPart));
	}
	(*parts)[(*nparts)++] = (DeletedPart) {
		.tag = cstring_to_text_with_len(tag, tag_bytes),
		.deleted = deleted,
	};
}

/* Returns the times of a tag's noted rows, ascending, each once; palloc'd. */
static int64 *
collect_times(Relation rel, const DeletedPart *parts, uint64 nparts, uint64 *ntimes)
{
	uint64		capacity = 1024;
	uint64		unique = 0;
	int64	   *times = palloc(capacity * sizeof(int64));
	uint64		n = 0;

	for (uint64 i = 0; i < nparts; i++)
	{
		StoredSegment stored;

		fetch_met(rel, &parts[i].deleted->segment, parts[i].tag, &stored);
		store_open_rows(rel, &stored, false);
		for (uint32 row = 0; row < stored.segment.header.nrows; row++)
		{
			if (!is_noted(parts[i].deleted, stored.segment.first_row + row))
				continue;
			if (n == capacity)
			{
				capacity *= 2;
				times = repalloc_huge(times, capacity * sizeof(int64));
			}
			times[n++] = codec_time_at(&stored.segment.rows, row);
		}
		store_release(&stored);
	}
	qsort(times, n, sizeof(int64), compare_times);

	/*
	 * Two segments may have noted rows of one time, if a trigger or function of the command has
	 * changed rows between.
	 */
	for (uint64 i = 0; i < n; i++)
	{
		if (unique == 0 || times[unique - 1] != times[i])
			times[unique++] = times[i];
	}
	*ntimes = unique;
	return times;
}

/*
 * Takes the locks, and makes the snapshot under which rows are deleted the active one.  With moves,
 * what is deleted is written elsewhere, which is no change of the table's rows.
 */
static Deletion
begin_deletion(Relation rel, CommandId cid, Snapshot met_under, bool moves)
{
	Deletion	deletion = {
		.rel = rel,
		.cid = cid,
		.met_under = IsolationUsesXactSnapshot() ? NULL : met_under,
		.moves = moves,
		.changes = moves ? NULL : change_log_begin(rel),
		.context = CurrentMemoryContext,
	};

	change_log_deletes(deletion.changes, cid);
	(void) directory_lock(rel, true);
	serializable_note_write(rel, GetCurrentTransactionId(), cid);
	PushCopiedSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot()
					   : GetLatestSnapshot());
	GetActiveSnapshot()->curcid = cid;
	deletion.cursor = directory_begin(rel, GetActiveSnapshot());
	deletion.summaries = summary_edit_begin(rel, cid);
	deletion.tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian deletion",
												 ALLOCSET_DEFAULT_SIZES);
	return deletion;
}

static void
end_deletion(Deletion *deletion)
{
	if (deletion->shared != NULL)
	{
		HASH_SEQ_STATUS status;
		DeletedRows *removed;
		bool		any_empty = false;

		hash_seq_init(&status, deletion->shared);
		while ((removed = hash_seq_search(&status)) != NULL)
		{
			removed->all = !rewrite_shared(deletion, removed);
			any_empty |= removed->all;
		}
		if (any_empty)
			delete_empty_runs(deletion);
	}
	if (deletion->sink != NULL)
		segment_sink_end(deletion->sink);
	change_log_end(deletion->changes);
	summary_edit_end(deletion->summaries);
	directory_end(deletion->cursor);
	if (deletion->met_cursor != NULL)
		directory_end(deletion->met_cursor);
	MemoryContextDelete(deletion->tag_context);
	PopActiveSnapshot();
}

/* Deletes rows of a tag from all its segments. */
static void
delete_from_tag(Deletion *deletion, text *tag, const TimeSet *set)
{
	MemoryContext caller = MemoryContextSwitchTo(deletion->tag_context);

	if (deletion->changes != NULL && IsolationUsesXactSnapshot())
		check_none_newer(deletion, tag, set);

	/* all are listed first, so that the walk cannot meet segments that are written here */
	SegmentList segments = list_segments(deletion, tag, set->from, set->until);

	deletion->spared = false;
	deletion->nreplaced = 0;
	for (uint32 i = 0; i < segments.nrefs; i++)
	{
		CHECK_FOR_INTERRUPTS();
		delete_from_segment(deletion, tag, &segments.refs[i], set);
	}
	if (summary_edit_is_needed(deletion->summaries))
		summary_edit_finish_tag(deletion->summaries, tag, deletion_sink(deletion));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(deletion->tag_context);
	if (deletion->changes != NULL)
		log_deleted(deletion, tag, set);
}

/*
 * Logs what was deleted from a tag.  A list of times is logged as a range if the tag had no other
 * rows between.  The rows that replaced those which the command has met are not deleted.
 */
static void
log_deleted(Deletion *deletion, const text *tag, const TimeSet *set)
{
	uint64		begin = 0;

	if (set->times == NULL || (!deletion->spared && deletion->nreplaced == 0 && set->ntimes > 1))
	{
		change_log_range(deletion->changes, tag, set->from, set->until);
		return;
	}
	if (deletion->nreplaced > 0)
		qsort(deletion->replaced, deletion->nreplaced, sizeof(int64), compare_times);
	for (uint64 i = 0; i < deletion->nreplaced; i++)
	{
		uint64		end = begin;

		while (end < set->ntimes && set->times[end] < deletion->replaced[i])
			end++;
		if (end == set->ntimes || set->times[end] != deletion->replaced[i])
			continue;
		change_log_times(deletion->changes, tag, set->times + begin, end - begin);
		begin = end + 1;
	}
	change_log_times(deletion->changes, tag, set->times + begin, set->ntimes - begin);
}

/*
 * Raises an error if others have committed rows among those to delete since the transaction's
 * snapshot.  They stay, but whoever applies the published changes in the order of commits would
 * delete them.
 */
static void
check_none_newer(Deletion *deletion, text *tag, const TimeSet *set)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	DirectoryCursor *cursor = deletion->cursor;
	SegmentList segments;

	deletion->cursor = directory_begin(deletion->rel, latest);
	segments = list_segments(deletion, tag, set->from, set->until);
	directory_end(deletion->cursor);
	deletion->cursor = cursor;
	UnregisterSnapshot(latest);
	for (uint32 i = 0; i < segments.nrefs; i++)
	{
		if (!is_in_place(deletion, &segments.refs[i]))
			report_changed(deletion->rel);
	}
}

/* Lists all segments of a tag that the fresh snapshot sees and that overlap from..until. */
static SegmentList
list_segments(Deletion *deletion, text *tag, int64 from, int64 until)
{
	SegmentList segments = {0};
	StoredSegment stored;

	segment_list_load(&segments, deletion->cursor, tag, from, until);
	directory_seek_back(deletion->cursor, tag, from);
	if (directory_next_back(deletion->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		store_release(&stored);
		if (ref.last_time >= from)
			segment_list_add(&segments, &ref);
	}
	directory_seek_forward(deletion->cursor, tag, from, until);
	while (directory_next_forward(deletion->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		store_release(&stored);
		segment_list_add(&segments, &ref);
	}
	return segments;
}

/*
 * Deletes rows from one segment: deletes it, and writes it anew with the rows that are kept, if
 * any.
 */
static void
delete_from_segment(Deletion *deletion, text *tag, const SegmentRef *ref, const TimeSet *set)
{
	StoredSegment stored;
	DecodedRows rows = {0};
	bool		kept[CODEC_MAX_ROWS];
	uint32		nkept;

	if (!ref->shared && set->times == NULL && set->from <= ref->first_time &&
		ref->last_time <= set->until)
	{
		delete_segment(deletion, ref, 0);
		return;
	}

	segment_ref_fetch(deletion->rel, GetActiveSnapshot(), tag, ref, &stored);
	store_open_rows(deletion->rel, &stored, true);
	if (!decoded_rows_load(&rows, &stored.segment, PG_INT64_MIN, PG_INT64_MAX, values_none))
		store_report(deletion->rel, &stored.tuple.t_self, &stored.segment.header, SEGMENT_BAD_TIMES);
	nkept = mark_kept(&rows, set, kept);
	if (deletion->changes != NULL && set->times != NULL)
	{
		for (uint32 row = 0; row < rows.nrows; row++)
			deletion->spared |= kept[row] && rows.time[row] > set->from && rows.time[row] < set->until;
	}
	if (nkept < rows.nrows)
		nkept += keep_replaced(deletion, tag, ref, &stored.segment, kept);
	if (nkept < rows.nrows && ref->shared)
		remove_shared(deletion, &stored, kept);
	else if (nkept < rows.nrows)
	{
		if (nkept > 0)
			rewrite(deletion, &stored.segment, kept);
		delete_segment(deletion, ref, nkept);
	}
	decoded_rows_free(&rows);
	store_release(&stored);
}

/* Marks the rows whose times are not in the set, and returns their number. */
static uint32
mark_kept(const DecodedRows *rows, const TimeSet *set, bool *kept)
{
	uint32		nkept = 0;
	uint64		next = 0;

	for (uint32 row = 0; row < rows->nrows; row++)
	{
		int64		time = rows->time[row];

		if (set->times == NULL)
			kept[row] = time < set->from || time > set->until;
		else
		{
			while (next < set->ntimes && set->times[next] < time)
				next++;
			kept[row] = next == set->ntimes || set->times[next] != time;
			if (!kept[row] && set->met != NULL)
				set->met[next] = true;
		}
		nkept += kept[row];
	}
	return nkept;
}

/*
 * Among the rows to delete from a segment, looks for new rows, which another transaction has
 * written since the command met rows of these times.  Marks them as kept, and returns their number.
 * Raises an error if there is one and the command is an UPDATE, or if the row that the command has
 * met is gone: then it is not a load that has replaced it, but an UPDATE, whose new row the command
 * would have to check again.  The row is still there if only its neighbours have changed.
 *
 * Only a segment that the command's snapshot does not see can have new rows.  A row in it counts as
 * old if the values are the same, because compaction may have moved it there, and if the row that the
 * command has met comes after it in load order: then that had replaced it before.
 */
static uint32
keep_replaced(Deletion *deletion, text *tag, const SegmentRef *ref, const Segment *segment,
			  bool *kept)
{
	uint32		replaced = 0;
	ItemPointerData tid = ref->tid;
	StoredSegment stored;
	TagReader  *reader;

	if (deletion->met_under == NULL)
		return 0;
	if (store_fetch(deletion->rel, deletion->met_under, tag, &tid, &stored, NULL))
	{
		store_release(&stored);
		return 0;
	}

	if (deletion->met_cursor == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(deletion->context);

		deletion->met_cursor = directory_begin(deletion->rel, deletion->met_under);
		MemoryContextSwitchTo(caller);
	}
	reader = tag_reader_begin(deletion->rel, deletion->met_cursor, deletion->met_under);
	for (uint32 row = 0; row < segment->header.nrows; row++)
	{
		int64		time;
		RowRun		met;
		SegmentRef	place;
		Datum		met_values;
		Datum		values;
		bool		met_null;
		bool		isnull;

		if (kept[row])
			continue;
		time = codec_time_at(&segment->rows, row);
		tag_reader_start(reader, tag, time, time, true);
		if (!tag_reader_next(reader, &met))
			report_changed(deletion->rel);
		met_values = decoded_rows_array(met.rows, met.first, &met_null);
		values = decoded_rows_segment_array(segment, row, &isnull);
		if (met_null == isnull && (isnull || datumIsEqual(met_values, values, false, -1)))
			continue;
		if (is_in_place(deletion, met.segment))
			place = *met.segment;
		else if (!find_row(deletion, tag, time, met_values, met_null, &place))
			report_changed(deletion->rel);
		if (segment_ref_precedence(&place, ref) > 0)
			continue;
		if (deletion->update)
			report_changed(deletion->rel);
		kept[row] = true;
		replaced++;
		note_replaced(deletion, time);
	}
	tag_reader_end(reader);
	return replaced;
}

/* Notes the time of a row that is kept because it replaced the one to delete. */
static void
note_replaced(Deletion *deletion, int64 time)
{
	if (deletion->changes == NULL)
		return;
	if (deletion->replaced == NULL)
		deletion->replaced = MemoryContextAlloc(deletion->context, REPLACED_AT_ONCE * sizeof(int64));
	else if (deletion->nreplaced % REPLACED_AT_ONCE == 0)
		deletion->replaced = repalloc_huge(deletion->replaced,
										   (deletion->nreplaced + REPLACED_AT_ONCE) * sizeof(int64));
	deletion->replaced[deletion->nreplaced++] = time;
}

/* Does the fresh snapshot still see a segment that the command has met? */
static bool
is_in_place(Deletion *deletion, const SegmentRef *ref)
{
	ItemPointerData tid = ref->tid;
	StoredSegment stored;

	if (!store_fetch(deletion->rel, GetActiveSnapshot(), NULL, &tid, &stored, NULL))
		return false;
	store_release(&stored);
	return true;
}

/*
 * Finds a row with these values in any segment that the fresh snapshot sees, whether another row of its
 * tag and time has replaced it or not.  If there are several, sets *place to the last in load order.
 */
static bool
find_row(Deletion *deletion, text *tag, int64 time, Datum values, bool isnull, SegmentRef *place)
{
	SegmentList segments = list_segments(deletion, tag, time, time);
	bool		found = false;

	for (uint32 i = 0; i < segments.nrefs; i++)
	{
		const SegmentRef *ref = &segments.refs[i];
		StoredSegment stored;

		CHECK_FOR_INTERRUPTS();
		segment_ref_fetch(deletion->rel, GetActiveSnapshot(), tag, ref, &stored);
		store_open_rows(deletion->rel, &stored, true);
		if (has_row(&stored.segment, time, values, isnull) &&
			(!found || segment_ref_precedence(ref, place) > 0))
		{
			*place = *ref;
			found = true;
		}
		store_release(&stored);
	}
	return found;
}

static bool
has_row(const Segment *segment, int64 time, Datum values, bool isnull)
{
	for (uint32 row = 0; row < segment->header.nrows; row++)
	{
		Datum		own;
		bool		own_null;

		if (codec_time_at(&segment->rows, row) != time)
			continue;
		own = decoded_rows_segment_array(segment, row, &own_null);
		return own_null == isnull && (isnull || datumIsEqual(own, values, false, -1));
	}
	return false;
}

/* Writes the kept rows of a segment as a new one, or as several if they compress worse. */
static void
rewrite(Deletion *deletion, const Segment *segment, const bool *kept)
{
	DecodedRows rows = {0};
	RowBuffer	buffer = {0};
	SegmentHeader header = segment->header;
	CodecRows	source;

	/* delete_from_segment() has checked the times */
	(void) decoded_rows_load(&rows, segment, PG_INT64_MIN, PG_INT64_MAX, values_all);
	for (uint32 row = 0; row < rows.nrows; row++)
	{
		if (kept[row])
			decoded_rows_append(&rows, row, &buffer);
	}
	decoded_rows_free(&rows);

	source = row_buffer_rows(&buffer, 0);
	segment_sink_write(deletion_sink(deletion), &header, &source);
}

/* Moves the rows of a tag from shared segments to its own, at the same places in load order. */
static void
take_out_tag(Deletion *deletion, text *tag, uint64 horizon)
{
	MemoryContext caller = MemoryContextSwitchTo(deletion->tag_context);
	SegmentList segments = {0};

	segment_list_load_unplaced(&segments, deletion->cursor, tag);
	for (uint32 i = 0; i < segments.nrefs; i++)
	{
		if (segments.refs[i].shared && segments.refs[i].sequence < horizon)
			take_out(deletion, tag, &segments.refs[i]);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(deletion->tag_context);
}

static void
take_out(Deletion *deletion, text *tag, const SegmentRef *ref)
{
	StoredSegment stored;
	DecodedRows rows = {0};
	bool		kept[CODEC_MAX_ROWS];

	segment_ref_fetch(deletion->rel, GetActiveSnapshot(), tag, ref, &stored);
	store_open_rows(deletion->rel, &stored, true);
	if (!decoded_rows_load(&rows, &stored.segment, PG_INT64_MIN, PG_INT64_MAX, values_none))
		store_report(deletion->rel, &stored.tuple.t_self, &stored.segment.header, SEGMENT_BAD_TIMES);
	decoded_rows_free(&rows);
	memset(kept, true, sizeof(kept));
	rewrite(deletion, &stored.segment, kept);
	memset(kept, false, sizeof(kept));
	remove_shared(deletion, &stored, kept);
	store_release(&stored);
}

/* Notes the rows of a tag that are to be removed from a shared segment. */
static void
remove_shared(Deletion *deletion, const StoredSegment *stored, const bool *kept)
{
	const Segment *segment = &stored->segment;
	DeletedRows *removed;

	if (deletion->shared == NULL)
		deletion->shared = deleted_rows_create(deletion->context);
	removed = deleted_rows_of(deletion->shared, &stored->tuple.t_self);
	deletion->removed_segments++;
	deletion->removed_bytes += segment->block_bytes;
	for (uint32 i = 0; i < segment->header.nrows; i++)
	{
		uint32		row = segment->first_row + i;

		if (!kept[i])
			removed->rows[row / 8] |= 1 << (row % 8);
	}
}

/*
 * Writes a shared segment anew without the rows that were removed, for all its tags at once.  It
 * keeps its place in its run, as sorted_runs.h demands.  Returns whether anything is left of it.
 */
static bool
rewrite_shared(Deletion *deletion, const DeletedRows *removed)
{
	MemoryContext caller = MemoryContextSwitchTo(deletion->tag_context);
	ItemPointerData place = removed->segment;
	SharedBuilder *builder = palloc(sizeof(SharedBuilder));
	SegmentRef	ref = {.tid = place, .flags = SEGMENT_SHARED};
	const SegmentHeader *header;
	StoredSegment stored;
	SharedReader reader;
	uint32		nkept = 0;
	bool		left;

	CHECK_FOR_INTERRUPTS();
	if (!store_fetch(deletion->rel, GetActiveSnapshot(), NULL, &place, &stored, NULL))
		store_report_vanished(deletion->rel, NULL, &place);
	store_open_shared(deletion->rel, &stored, &reader, true);
	header = &reader.header;
	ref.nrows = header->nrows;
	shared_builder_begin(builder, segment_run_number(header), header->sequence,
						 header->tag + SEGMENT_RUN_NUMBER_BYTES,
						 header->tag_bytes - SEGMENT_RUN_NUMBER_BYTES, reader.base,
						 STORE_MAX_SEGMENT_BYTES);
	while (shared_reader_next(&reader))
	{
		if (!keep_entry(deletion, &reader, removed, builder, &nkept))
			store_report(deletion->rel, &place, &stored.segment.header, SEGMENT_BAD_ROWS);
	}
	store_check_shared(deletion->rel, &stored, &reader);
	left = builder->ntags > 0;
	if (left)
		segment_sink_write_shared(deletion_sink(deletion), builder);
	store_release(&stored);
	delete_segment(deletion, &ref, deletion->moves ? ref.nrows : nkept);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(deletion->tag_context);
	return left;
}

/* Deletes the roots of runs that have no segments any more, so that readers do not look for them. */
static void
delete_empty_runs(Deletion *deletion)
{
	SortedRuns *runs = directory_runs(deletion->cursor);

	for (uint32 i = 0; i < sorted_runs_count(runs); i++)
	{
		ItemPointerData root = sorted_runs_get(runs, i)->root;

		if (is_run_empty(deletion, runs, i) && !store_delete(deletion->rel, &root, deletion->cid))
			report_changed(deletion->rel);
	}
}

/* Is nothing left of all segments of a run that the snapshot sees? */
static bool
is_run_empty(Deletion *deletion, SortedRuns *runs, uint32 i)
{
	StoredSegment stored;

	sorted_runs_seek_segments(runs, i);
	while (sorted_runs_next_segment(runs, &stored))
	{
		const DeletedRows *removed = hash_search(deletion->shared, &stored.tuple.t_self, HASH_FIND,
												 NULL);

		store_release(&stored);
		if (removed == NULL || !removed->all)
			return false;
	}
	return true;
}

/*
 * Adds what is kept of an entry to the new segment or, if it has no room, to segments of the tag's
 * own.  Returns false if the entry is damaged.
 */
static bool
keep_entry(Deletion *deletion, const SharedReader *reader, const DeletedRows *removed,
		   SharedBuilder *builder, uint32 *nkept)
{
	DecodedRows decoded = {0};
	RowBuffer	rows = {0};
	Segment		segment;
	CodecRows	source;
	uint32		kept = 0;

	for (uint32 i = 0; i < reader->nrows; i++)
		kept += !is_noted(removed, reader->first_row + i);
	*nkept += kept;
	if (kept == 0 || (kept == reader->nrows && shared_builder_copy(builder, reader)))
		return true;
	if (shared_reader_rows(reader, &segment) != SEGMENT_OK ||
		!decoded_rows_load(&decoded, &segment, PG_INT64_MIN, PG_INT64_MAX, values_all))
		return false;
	for (uint32 i = 0; i < decoded.nrows; i++)
	{
		if (!is_noted(removed, reader->first_row + i))
			decoded_rows_append(&decoded, i, &rows);
	}
	source = row_buffer_rows(&rows, 0);
	if (!shared_builder_add(builder, segment_sink_encoder(), reader->tag, reader->tag_bytes,
							&source, STORE_MAX_SEGMENT_BYTES))
		write_own(deletion, reader, &source);
	decoded_rows_free(&decoded);
	return true;
}

/* Writes rows of a shared segment to segments of their tag's own, at the same place in load order. */
static void
write_own(Deletion *deletion, const SharedReader *reader, const CodecRows *rows)
{
	SegmentHeader header = {
		.sequence = reader->header.sequence,
		.tag = reader->tag,
		.tag_bytes = reader->tag_bytes,
	};

	segment_sink_write(deletion_sink(deletion), &header, rows);
}

/* Returns the sink, and opens it on the first call. */
static SegmentSink *
deletion_sink(Deletion *deletion)
{
	if (deletion->sink == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(deletion->context);

		deletion->sink = segment_sink_begin(deletion->rel, GetCurrentTransactionId(),
											deletion->cid, 0);
		segment_sink_note(deletion->sink, summary_edit_added(deletion->summaries));
		MemoryContextSwitchTo(caller);
	}
	return deletion->sink;
}

/* Deletes a segment; nkept of its rows have been written anew. */
static void
delete_segment(Deletion *deletion, const SegmentRef *ref, uint32 nkept)
{
	ItemPointerData tid = ref->tid;

	if (!store_delete(deletion->rel, &tid, deletion->cid))
	{
		if (is_changed_by_itself(deletion, &tid))
			report_triggered_change(deletion->rel);
		report_changed(deletion->rel);
	}
	deletion->removed_segments++;
	deletion->removed_bytes += ref->bytes;
	store_count_rows(deletion->rel, ref->nrows - nkept, nkept);
	summary_edit_removed(deletion->summaries, ref);
}

/*
 * Has the current transaction deleted the segment?  Then a command within this one did it, that of
 * a trigger or function.
 */
static bool
is_changed_by_itself(Deletion *deletion, const ItemPointerData *tid)
{
	ItemPointerData place = *tid;
	StoredSegment stored;
	bool		result;

	if (!store_fetch(deletion->rel, SnapshotAny, NULL, &place, &stored, NULL))
		return false;
	result = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(stored.tuple.t_data));
	store_release(&stored);
	return result;
}

static void
report_triggered_change(Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			errmsg("row to be changed was already modified by an operation triggered by the current command"),
			errdetail("Rows of one tag that are near in time are stored and changed together in historian table \"%s\".",
					  RelationGetRelationName(rel)),
			errhint("Consider an AFTER ... FOR EACH STATEMENT trigger instead of a BEFORE trigger to change other rows."));
}

static void
report_changed(Relation rel)
{
	ereport(ERROR,
			errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			errmsg("could not serialize access due to concurrent update"),
			errdetail("Rows of historian table \"%s\" were changed or moved since the command or transaction began.",
					  RelationGetRelationName(rel)),
			IsolationUsesXactSnapshot()
			? errhint("Repeat the transaction.")
			: errhint("Repeat the statement, or in a transaction block the transaction: rows that others have changed meanwhile are not checked again."));
}

/* Counts the rows of a tag as a reader sees them: of those with one time only the valid one. */
static int64
count_rows(Deletion *deletion, text *tag, int64 from, int64 until)
{
	TagReader  *reader = tag_reader_begin(deletion->rel, deletion->cursor, GetActiveSnapshot());
	RowRun		run;
	int64		count = 0;

	tag_reader_start(reader, tag, from, until, false);
	while (tag_reader_next(reader, &run))
		count += run.nrows;
	tag_reader_end(reader);
	return count;
}

static int
compare_parts(const void *left, const void *right)
{
	const DeletedPart *a = left;
	const DeletedPart *b = right;
	int			order = tag_compare(a->tag, b->tag);

	if (order != 0)
		return order;
	return ItemPointerCompare(&a->deleted->segment, &b->deleted->segment);
}

static int
compare_times(const void *left, const void *right)
{
	int64		a = *(const int64 *) left;
	int64		b = *(const int64 *) right;

	return a < b ? -1 : a > b;
}
