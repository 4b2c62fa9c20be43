/*
 * summary_edit.c
 *	  Keeps the summaries of a tag true while its compacted segments are replaced.
 *
 * A *stored summary* is a stored segment of summaries.  It takes the summaries of segments that
 * begin in its range: from its first time to that of the tag's next stored summary or, for the
 * tag's last one, to its own last time.
 *
 * A stored summary in whose range a segment was removed or written is replaced: without the
 * summaries of removed segments, and with those of segments written.  If it is not complete
 * (summary.h), all others are computed anew.  That keeps the invariant of
 * summary.h.  Segments before the tag's first stored summary and after its last are summarized once
 * there are SUMMARY_SEGMENTS of them.  So the tag's end, to which each round of compaction adds a
 * segment or two, is not summarized again and again.
 *
 * Stored summaries are found by the times of segments removed and written, and replaced one at a
 * time.  So those that do not change are not read, and the memory needed depends on how much
 * changes in the tag, not on how far apart the changes are.
 *
 * All is read under SnapshotSelf, as it is now and with this transaction's own changes.  The
 * directory's lock keeps other transactions from changing compacted segments, and those that the
 * transaction's snapshot does not see matter too.
 *
 * A REPEATABLE READ transaction goes on to read by its snapshot, which does not see what others have
 * compacted since, but sees the summaries that it has written itself.  So these must not describe
 * segments that it does not see.  A stored summary that others have replaced cannot be replaced
 * again, which is a serialization error, and the ends of a tag wait for the next compaction.
 */
#include "postgres.h"

#include "store/summary_edit.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/summary.h"

struct SummaryEdit
{
	Relation	rel;
	CommandId	cid;
	DirectoryCursor *cursor;	/* sees what is committed and what this transaction did */
	Snapshot	repeated;		/* as the transaction's next command sees it, if it is REPEATABLE
								 * READ */

	/* the current tag */
	MemoryContext tag_context;
	RowBuffer	added;			/* the summaries of segments written */
	int64	   *added_last;		/* the last times of these segments */
	uint32		next_added;		/* the first of them that is not yet taken or left apart */
	SegmentList removed;
	uint32		next_removed;	/* the first whose stored summary is not yet replaced */
	int64	   *apart;			/* first times of those added that no stored summary takes */
	uint32		napart;

	MemoryContext summary_context;	/* of one stored summary's replacement */
};

typedef struct StoredSummary
{
	ItemPointerData tid;
	SummaryBlock block;
	bool		is_last;		/* of the tag */
	int64		until;			/* the end of its range */
} StoredSummary;

static void replace_summaries(SummaryEdit *edit, text *tag, text *key, SegmentSink *sink);
static bool next_touched(const SummaryEdit *edit, int64 *time);
static bool find_summary(SummaryEdit *edit, text *key, int64 time, StoredSummary *summary);
static void load_summary(SummaryEdit *edit, StoredSegment *stored, StoredSummary *summary);
static void replace_summary(SummaryEdit *edit, text *tag, StoredSummary *summary,
							SegmentSink *sink);
static void leave_apart(SummaryEdit *edit);
static void append_added(const SummaryEdit *edit, uint32 row, RowBuffer *summaries);
static uint32 find_added(const SummaryEdit *edit, int64 first_time);
static uint32 first_from(int64 time, uint32 n, int64 (*time_of) (const SummaryEdit *, uint32),
						 const SummaryEdit *edit);
static int64 removed_time(const SummaryEdit *edit, uint32 i);
static int64 added_time(const SummaryEdit *edit, uint32 i);
static bool is_concerned(const SummaryEdit *edit, int64 from, int64 until);
static void append_remaining(SummaryEdit *edit, text *tag, int64 from, int64 until,
							 RowBuffer *summaries);
static void list_remaining(SummaryEdit *edit, StoredSegment *stored, SegmentList *segments);
static void summarize_segment(SummaryEdit *edit, text *tag, const SegmentRef *ref,
							  RowBuffer *summaries);
static bool is_seen_later(const SummaryEdit *edit, text *tag, const ItemPointerData *tid);
static int64 summarize_around(SummaryEdit *edit, text *tag, text *key, int64 time,
							  SegmentSink *sink);
static void summarize_segments(SummaryEdit *edit, text *tag, const SegmentList *segments,
							   uint32 first, uint32 n, SegmentSink *sink);

SummaryEdit *
summary_edit_begin(Relation rel, CommandId cid)
{
	SummaryEdit *edit = palloc0(sizeof(SummaryEdit));

	edit->rel = rel;
	edit->cid = cid;
	edit->cursor = directory_begin(rel, SnapshotSelf);
	if (IsolationUsesXactSnapshot())
	{
		PushCopiedSnapshot(GetTransactionSnapshot());
		GetActiveSnapshot()->curcid = cid + 1;
		edit->repeated = RegisterSnapshot(GetActiveSnapshot());
		PopActiveSnapshot();
	}
	edit->tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian summaries of a tag",
											  ALLOCSET_DEFAULT_SIZES);
	edit->summary_context = AllocSetContextCreate(CurrentMemoryContext, "historian summary",
												  ALLOCSET_DEFAULT_SIZES);
	return edit;
}

void
summary_edit_end(SummaryEdit *edit)
{
	directory_end(edit->cursor);
	if (edit->repeated != NULL)
		UnregisterSnapshot(edit->repeated);
	MemoryContextDelete(edit->summary_context);
	MemoryContextDelete(edit->tag_context);
	pfree(edit);
}

void
summary_edit_removed(SummaryEdit *edit, const SegmentRef *ref)
{
	MemoryContext caller = MemoryContextSwitchTo(edit->tag_context);

	if (ref->flags & SEGMENT_COMPACTED)
		segment_list_add(&edit->removed, ref);
	MemoryContextSwitchTo(caller);
}

RowBuffer *
summary_edit_added(SummaryEdit *edit)
{
	return &edit->added;
}

bool
summary_edit_is_needed(const SummaryEdit *edit)
{
	return edit->added.nrows > 0 || edit->removed.nrefs > 0;
}

void
summary_edit_finish_tag(SummaryEdit *edit, text *tag, SegmentSink *sink)
{
	MemoryContext caller = MemoryContextSwitchTo(edit->tag_context);

	if (summary_edit_is_needed(edit))
	{
		text	   *key = directory_summary_tag(tag);
		int64		until = PG_INT64_MIN;

		row_buffer_sort(&edit->added);
		segment_list_sort(&edit->removed);
		edit->added_last = summary_last_times(&edit->added);
		edit->apart = palloc(Max(edit->added.nrows, 1) * sizeof(int64));
		replace_summaries(edit, tag, key, sink);

		/* usually several of them lie together, and the first call has dealt with all of these */
		for (uint32 i = 0; i < edit->napart; i++)
		{
			if (i == 0 || edit->apart[i] > until)
				until = summarize_around(edit, tag, key, edit->apart[i], sink);
		}
	}

	MemoryContextSwitchTo(caller);
	MemoryContextReset(edit->tag_context);
	memset(&edit->added, 0, sizeof(edit->added));
	memset(&edit->removed, 0, sizeof(edit->removed));
	edit->next_added = 0;
	edit->next_removed = 0;
	edit->napart = 0;
}

/* Leaves the next segment added to summarize_around(), as no stored summary takes it. */
static void
leave_apart(SummaryEdit *edit)
{
	edit->apart[edit->napart++] = edit->added.time[edit->next_added++];
}

/*
 * Replaces the stored summaries in whose range a segment was added or removed, in order of time.
 * Each round deals with all changes in one range, so the next search does not find its replacement.
 */
static void
replace_summaries(SummaryEdit *edit, text *tag, text *key, SegmentSink *sink)
{
	MemoryContext caller = MemoryContextSwitchTo(edit->summary_context);
	StoredSummary summary = {0};
	int64		time;

	while (!summary.is_last && next_touched(edit, &time) &&
		   find_summary(edit, key, time, &summary))
	{
		replace_summary(edit, tag, &summary, sink);
		while (edit->next_removed < edit->removed.nrefs &&
			   removed_time(edit, edit->next_removed) <= summary.until)
			edit->next_removed++;
		MemoryContextReset(edit->summary_context);
	}
	while (edit->next_added < edit->added.nrows)
		leave_apart(edit);
	MemoryContextSwitchTo(caller);
}

/*
 * Sets *time to the first time of what is left of added and removed; returns false if nothing is.
 */
static bool
next_touched(const SummaryEdit *edit, int64 *time)
{
	bool		added = edit->next_added < edit->added.nrows;
	bool		removed = edit->next_removed < edit->removed.nrefs;

	*time = PG_INT64_MAX;
	if (added)
		*time = added_time(edit, edit->next_added);
	if (removed)
		*time = Min(*time, removed_time(edit, edit->next_removed));
	return added || removed;
}

/*
 * Loads the last stored summary that begins at or before a time.  If there is none, loads the first
 * of the tag, because a segment that begins before it may reach into it.
 */
static bool
find_summary(SummaryEdit *edit, text *key, int64 time, StoredSummary *summary)
{
	StoredSegment stored;

	directory_seek_back(edit->cursor, key, time);
	directory_seek_forward(edit->cursor, key, time, PG_INT64_MAX);
	if (!directory_next_back(edit->cursor, &stored) &&
		!directory_next_forward(edit->cursor, &stored))
		return false;
	load_summary(edit, &stored, summary);
	store_release(&stored);

	/* its range ends where the next one begins */
	summary->is_last = !directory_next_forward(edit->cursor, &stored);
	if (!summary->is_last)
	{
		summary->until = stored.segment.header.first_time - 1;
		store_release(&stored);
	}
	return true;
}

static void
load_summary(SummaryEdit *edit, StoredSegment *stored, StoredSummary *summary)
{
	CHECK_FOR_INTERRUPTS();
	memset(summary, 0, sizeof(*summary));
	store_open_rows(edit->rel, stored, true);
	summary->tid = stored->tuple.t_self;
	summary->until = stored->segment.header.last_time;
	if (!summary_block_load(&summary->block, &stored->segment, ~0, values_all))
		store_report(edit->rel, &summary->tid, &stored->segment.header, SEGMENT_BAD_ROWS);
}

/*
 * Replaces a stored summary by one without removed segments and with those added in its range, or
 * leaves it if there are neither.
 */
static void
replace_summary(SummaryEdit *edit, text *tag, StoredSummary *summary, SegmentSink *sink)
{
	const SummaryBlock *block = &summary->block;
	int64		first_time = block->first_time[0];
	RowBuffer	rows = {0};
	uint32		taken;
	bool		changed = false;

	while (edit->next_added < edit->added.nrows &&
		   edit->added_last[edit->next_added] < first_time)
		leave_apart(edit);
	for (taken = edit->next_added;
		 taken < edit->added.nrows && edit->added.time[taken] <= summary->until; taken++)
		changed = true;
	for (uint32 i = 0; i < block->nsegments; i++)
		changed |= is_concerned(edit, block->first_time[i], block->last_time[i]);
	if (!changed)
		return;
	if (!is_seen_later(edit, tag, &summary->tid))
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not serialize access due to concurrent update"),
				errdetail("Rows near those to be changed were stored anew in historian table \"%s\" since the transaction began.",
						  RelationGetRelationName(edit->rel)),
				errhint("The transaction might succeed if retried."));

	for (uint32 i = 0; i < block->nsegments; i++)
	{
		if (!block->complete || is_concerned(edit, block->first_time[i], block->last_time[i]))
			append_remaining(edit, tag, block->first_time[i], block->last_time[i], &rows);
		else
			summary_block_append(block, i, &rows);
	}
	for (; edit->next_added < taken; edit->next_added++)
		append_added(edit, edit->next_added, &rows);
	row_buffer_sort(&rows);

	/* the lock keeps other transactions away, but not commands within this one */
	if (!store_delete(edit->rel, &summary->tid, edit->cid))
		ereport(ERROR,
				errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				errmsg("rows to be changed were already moved by an operation triggered by the current command"),
				errdetail("A command within this one has loaded, deleted or compacted rows of historian table \"%s\".",
						  RelationGetRelationName(edit->rel)));
	if (rows.nrows > 0)
		segment_sink_write_summaries(sink, tag, &rows);
}

/* Adds the summary of a segment written to a buffer. */
static void
append_added(const SummaryEdit *edit, uint32 row, RowBuffer *summaries)
{
	uint32		width = edit->added.width ? edit->added.width[row] : edit->added.stride;
	RowSlot		slot = row_buffer_add(summaries, edit->added.time[row], width, false);

	memcpy(slot.values, edit->added.values + (Size) row * edit->added.stride,
		   width * sizeof(double));
}

/* Returns the number of the segment written with this first time, or added.nrows. */
static uint32
find_added(const SummaryEdit *edit, int64 first_time)
{
	uint32		row = first_from(first_time, edit->added.nrows, added_time, edit);

	return row < edit->added.nrows && added_time(edit, row) == first_time ? row
		: edit->added.nrows;
}

/* Summarizes those segments that shared a summary again, unless they were removed or added. */
static void
append_remaining(SummaryEdit *edit, text *tag, int64 from, int64 until, RowBuffer *summaries)
{
	SegmentList segments = {0};
	StoredSegment stored;

	directory_seek_back_within(edit->cursor, tag, from, from);
	if (directory_next_back(edit->cursor, &stored))
		list_remaining(edit, &stored, &segments);
	directory_seek_forward(edit->cursor, tag, from, until);
	while (directory_next_forward(edit->cursor, &stored))
		list_remaining(edit, &stored, &segments);
	for (uint32 i = 0; i < segments.nrefs; i++)
		summarize_segment(edit, tag, &segments.refs[i], summaries);
}

/* Lists a segment unless it is one of those added, and releases it. */
static void
list_remaining(SummaryEdit *edit, StoredSegment *stored, SegmentList *segments)
{
	SegmentRef	ref = segment_ref(stored);

	store_release(stored);
	if (find_added(edit, ref.first_time) == edit->added.nrows)
		segment_list_add(segments, &ref);
}

/* Has a segment that begins between these times been removed or added? */
static bool
is_concerned(const SummaryEdit *edit, int64 from, int64 until)
{
	uint32		removed = first_from(from, edit->removed.nrefs, removed_time, edit);
	uint32		added = first_from(from, edit->added.nrows, added_time, edit);

	return (removed < edit->removed.nrefs && removed_time(edit, removed) <= until) ||
		(added < edit->added.nrows && added_time(edit, added) <= until);
}

static int64
removed_time(const SummaryEdit *edit, uint32 i)
{
	return edit->removed.refs[i].first_time;
}

static int64
added_time(const SummaryEdit *edit, uint32 i)
{
	return edit->added.time[i];
}

/* The first of n ascending times that is at or after the given one, or n. */
static uint32
first_from(int64 time, uint32 n, int64 (*time_of) (const SummaryEdit *, uint32),
		   const SummaryEdit *edit)
{
	uint32		low = 0;
	uint32		high = n;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (time_of(edit, middle) < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Summarizes segments before the tag's first stored summary, or after its last one, whichever the
 * time is at, in groups of SUMMARY_SEGMENTS.  Leaves out the tag's last segment, because it will
 * grow.  Returns the time up to which it has looked.
 */
static int64
summarize_around(SummaryEdit *edit, text *tag, text *key, int64 time, SegmentSink *sink)
{
	SegmentList segments = {0};
	StoredSegment stored;
	int64		after = PG_INT64_MIN;
	int64		until = PG_INT64_MAX;
	bool		is_end = true;
	uint32		done = 0;

	directory_seek_back(edit->cursor, key, time);
	if (directory_next_back(edit->cursor, &stored))
	{
		after = stored.segment.header.last_time;
		store_release(&stored);
	}
	directory_seek_forward(edit->cursor, key, time, PG_INT64_MAX);
	if (directory_next_forward(edit->cursor, &stored))
	{
		until = stored.segment.header.first_time - 1;
		is_end = false;
		store_release(&stored);
	}

	directory_seek_forward(edit->cursor, tag, after, until);
	while (directory_next_forward(edit->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		store_release(&stored);
		if (!is_seen_later(edit, tag, &ref.tid))
			return until;
		segment_list_add(&segments, &ref);
	}
	if (is_end && segments.nrefs > 0)
		segments.nrefs--;
	else
		done = segments.nrefs % SUMMARY_SEGMENTS;	/* the first ones are left over */
	for (; segments.nrefs - done >= SUMMARY_SEGMENTS; done += SUMMARY_SEGMENTS)
		summarize_segments(edit, tag, &segments, done, SUMMARY_SEGMENTS, sink);
	return until;
}

static void
summarize_segments(SummaryEdit *edit, text *tag, const SegmentList *segments, uint32 first,
				   uint32 n, SegmentSink *sink)
{
	MemoryContext caller = MemoryContextSwitchTo(edit->summary_context);
	RowBuffer	summaries = {0};

	for (uint32 i = first; i < first + n; i++)
		summarize_segment(edit, tag, &segments->refs[i], &summaries);
	segment_sink_write_summaries(sink, tag, &summaries);
	MemoryContextReset(edit->summary_context);
	MemoryContextSwitchTo(caller);
}

/* Will later commands of a REPEATABLE READ transaction see a segment?  Others see all. */
static bool
is_seen_later(const SummaryEdit *edit, text *tag, const ItemPointerData *tid)
{
	ItemPointerData place = *tid;
	StoredSegment stored;

	if (edit->repeated == NULL)
		return true;
	if (!store_fetch(edit->rel, edit->repeated, tag, &place, &stored, NULL))
		return false;
	store_release(&stored);
	return true;
}

/* Adds the summary of a segment to a buffer; one of those added has been summarized already. */
static void
summarize_segment(SummaryEdit *edit, text *tag, const SegmentRef *ref, RowBuffer *summaries)
{
	uint32		added = find_added(edit, ref->first_time);
	DecodedRows rows = {0};
	StoredSegment stored;
	CodecRows	source;

	CHECK_FOR_INTERRUPTS();
	if (added < edit->added.nrows)
	{
		append_added(edit, added, summaries);
		return;
	}
	segment_ref_fetch(edit->rel, SnapshotSelf, tag, ref, &stored);
	store_open_rows(edit->rel, &stored, true);
	if (!decoded_rows_load(&rows, &stored.segment, PG_INT64_MIN, PG_INT64_MAX, values_all))
		store_report(edit->rel, &stored.tuple.t_self, &stored.segment.header, SEGMENT_BAD_TIMES);
	store_release(&stored);
	source = decoded_rows_source(&rows);
	summary_add(summaries, &source, ref->bytes - SEGMENT_HEADER_BYTES - VARSIZE_ANY_EXHDR(tag));
	decoded_rows_free(&rows);
}
