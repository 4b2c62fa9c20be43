/*
 * compaction.c
 *	  Merges the pending segments of each tag into full ones that are disjoint in time.
 *
 * A row is in one of four states.  The flags of its segment (segment.h) tell which.
 *
 *                  appended, or dense
 *       pending ------------------------> compacted
 *          |                                  ^
 *          | came late                        | dense
 *          v            not dense             |
 *       late run --------------------> late segment
 *
 *   pending       A load has written it.  It may overlap any segment in time.  Where a load had few
 *                 rows of many tags, these share segments, as sorted runs (run_merge.c).
 *   late run      It holds rows that came late.  It may overlap any segment in time.
 *   late segment  It holds rows that came late.  The late segments of a tag are disjoint.
 *   compacted     The compacted segments of a tag are disjoint.
 *
 * Compaction merges a tag once its pending segments amount to a page (FRESH_BYTES).  There are three merges, of
 * which each may take a row along several arrows at once:
 *
 * - merge_fresh() takes the pending segments.  It appends the rows that are later in time than all
 *	 others of the tag.  If the last compacted segment is not full, these rows fill it first.  The
 *	 other rows came late.  Most of them wait in a late run, because a merge of only one row with
 *	 a compacted segment would still write a full segment.  Dense rows are merged with compacted
 *	 segments at once, unless a late run or late segment spans their time (the last rule below).
 *	 When there are MAX_PARTIAL_RUNS late runs that are not full, they are merged with the new one.
 * - merge_late() takes all late runs, and the late segments that their rows fall on.  It needs a
 *	 full run and at most one that is not full.  It waits until the late segments are at most
 *	 LATE_FACTOR times as large as the runs.  It does not wait when there are MAX_FULL_RUNS full
 *	 runs.  Dense rows go to compacted segments, the others to late segments.
 * - merge_everything() brings all rows of a tag to compacted segments (historian.compact()).
 *
 * Rows are dense if they are more than 1/COMPACTED_FACTOR of the rows of the compacted segments
 * that they fall on.  docs/adr/0006 has the reasons for these factors.
 *
 * Of all rows with one tag and time the latest load's is the valid one.  Readers find it by the
 * numbers of the segments (segment_ref_precedence()): a pending segment has the number of its load,
 * a late run or late segment the greatest number of what was merged into it, a compacted segment 0.
 * This is right because of the invariant:
 *
 *		Of two rows with one tag and time, the one that is further along the arrows is from the
 *		earlier load.
 *
 * So no row may overtake one of an earlier load.  Four rules keep it from that:
 *
 * - A merge of pending segments takes all of them that are before the horizon, and no other load
 *	 can still commit rows before the horizon (compaction_horizon.h).  Where the tag has rows in
 *	 sorted runs, the horizon is before the first of these.
 * - A merge that takes a late run takes all late runs with greater numbers too.
 * - A merge that writes late segments takes all late runs.
 * - A merge brings a row to a compacted segment only if none of the late runs and late segments
 *	 that it leaves spans the row's time.
 *
 * A tag is merged within one transaction, so that every snapshot sees either the old segments or
 * the new ones.  Compactions and deletions of one table exclude each other (directory_lock()); no
 * load or read waits for them.
 */
#include "postgres.h"

#include "write/compaction.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "priority.h"
#include "store/compaction_notes.h"
#include "store/compaction_queue.h"
#include "store/compaction_stat.h"
#include "store/directory.h"
#include "store/segment_list.h"
#include "tag.h"
#include "write/deletion.h"
#include "write/run_merge.h"
#include "write/tag_merge.h"

/*
 * How much is written for late rows, as a multiple of them: a merge with late segments writes at
 * most LATE_FACTOR times their bytes (more only when MAX_FULL_RUNS forces it), a merge with
 * compacted segments COMPACTED_FACTOR times their number of rows.
 */
#define LATE_FACTOR 16
#define COMPACTED_FACTOR 32

/* A tag is left as it is until its pending segments have so many bytes. */
#define FRESH_BYTES STORE_MAX_SEGMENT_BYTES

/* A tag has at most about so many late runs, because a read may have to look into each of them. */
#define MAX_PARTIAL_RUNS 8
#define MAX_FULL_RUNS 64

/* The time before the first compacted segment counts as a segment of so many rows. */
#define NO_SEGMENT_ROWS 512

/*
 * Rows that lie between two segments of which the first is full need a segment of their own if they
 * are so many that it takes this part of the first one.
 */
#define APART_PART 8

/* choose() ends a group when its gain has fallen by so many rows below the best so far. */
#define GROUP_SLACK_ROWS (16 * NO_SEGMENT_ROWS)

typedef struct Compaction
{
	TagMerge	merge;
	const CompactionOptions *options;
	uint32		next_tag;		/* of options->tags */
	text	   *late_tag;		/* the key of the tag's late segments */

	/* segments of the current tag */
	SegmentList fresh;			/* pending ones that may be merged */
	SegmentList runs;			/* late runs */
	Size		held_bytes;		/* of pending ones that wait for rows in sorted runs */

	/* tags that have too many that wait */
	text	  **waiting;
	uint32		nwaiting;
	uint32		waiting_capacity;
} Compaction;

static void compact_tag(Compaction *compaction);
static void add_waiting(Compaction *compaction);
static void end_writing(TagMerge *merge, int64 tags, CompactionCounts *counts);
static text *next_tag(Compaction *compaction, text *after);
static void list_segments(Compaction *compaction);
static uint64 first_shared(const SegmentList *list, uint64 horizon);
static void look_again(Compaction *compaction, const SegmentRef *ref);
static bool last_placed(Compaction *compaction, text *key, SegmentRef *last);
static Size total_bytes(const SegmentList *list);
static void merge_fresh(Compaction *compaction);
static bool merge_late(Compaction *compaction);
static void merge_everything(Compaction *compaction);
static void take_partial_runs(Compaction *compaction, SegmentList *taken, SegmentList *left);
static void choose(StretchList *found, bool appends);
static bool is_apart(const Stretch *stretch);
static void remove_after_horizon(SegmentList *list, uint64 horizon);

bool
compaction_run(Relation rel, const CompactionOptions *options, text **after,
			   CompactionCounts *counts)
{
	Compaction	compaction = {.options = options};
	TagMerge   *merge = &compaction.merge;
	text	   *tag = *after;
	int64		tags = 0;
	Snapshot	snapshot;
	MemoryContext context;
	MemoryContext caller;
	MemoryContext tag_context;

	/* held until the transaction ends, because others do not see the new segments before */
	if (!directory_lock(rel, options->wait))
		return false;

	context = AllocSetContextCreate(CurrentMemoryContext, "historian compaction",
									ALLOCSET_DEFAULT_SIZES);
	tag_context = AllocSetContextCreate(context, "historian compaction tag",
										ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);

	if (*after == NULL)
		(void) run_merge(rel, options->horizon, options->everything, options->emptied,
						 options->parts, counts);
	if (options->parts != NULL && options->parts->under_way)
	{
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
		return true;
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	merge->rel = rel;
	merge->context = context;
	merge->cursor = directory_begin(rel, snapshot);
	merge->reader = tag_reader_begin(rel, merge->cursor, snapshot);
	merge->cid = GetCurrentCommandId(true);
	merge->emptied = options->emptied;

	while ((tag = next_tag(&compaction, tag)) != NULL)
	{
		int64		merged = merge->segments_merged;

		CHECK_FOR_INTERRUPTS();
		priority_nap(false);
		MemoryContextSwitchTo(tag_context);
		merge->tag = tag;
		compact_tag(&compaction);
		tags += merge->segments_merged > merged;
		MemoryContextSwitchTo(context);
		MemoryContextReset(tag_context);
		if (options->max_rows > 0 && merge->rows_written >= options->max_rows)
			break;
	}

	if (merge->sink != NULL)
		end_writing(merge, tags, counts);
	tag_reader_end(merge->reader);
	directory_end(merge->cursor);
	UnregisterSnapshot(snapshot);
	CommandCounterIncrement();
	if (compaction.nwaiting > 0)
		deletion_take_out(rel, compaction.waiting, compaction.nwaiting, options->horizon);
	MemoryContextSwitchTo(caller);
	*after = tag ? DatumGetTextPCopy(PointerGetDatum(tag)) : NULL;
	MemoryContextDelete(context);
	return true;
}

/* Merges what is due of the current tag, or everything. */
static void
compact_tag(Compaction *compaction)
{
	list_segments(compaction);
	if (compaction->options->everything)
		merge_everything(compaction);
	else if (total_bytes(&compaction->fresh) >= FRESH_BYTES)
	{
		/*
		 * Only one of the two is done in a transaction, because the snapshot does not see what the
		 * first writes.
		 */
		if (merge_late(compaction))
			look_again(compaction, &compaction->fresh.refs[0]);
		else
			merge_fresh(compaction);
	}
	if (compaction->held_bytes >= FRESH_BYTES)
		add_waiting(compaction);
}

/*
 * Notes that the current tag's rows are to leave the sorted runs, so that the next round can merge
 * its pending segments.
 */
static void
add_waiting(Compaction *compaction)
{
	MemoryContext caller = MemoryContextSwitchTo(compaction->merge.context);

	if (compaction->nwaiting == compaction->waiting_capacity)
	{
		compaction->waiting_capacity = Max(16, compaction->waiting_capacity * 2);
		compaction->waiting = compaction->waiting == NULL
			? palloc_array(text *, compaction->waiting_capacity)
			: repalloc_huge(compaction->waiting, compaction->waiting_capacity * sizeof(text *));
	}
	compaction->waiting[compaction->nwaiting++] =
		DatumGetTextPCopy(PointerGetDatum(compaction->merge.tag));
	MemoryContextSwitchTo(caller);
}

/* Finishes the segments and summaries of these many tags, and counts what was merged. */
static void
end_writing(TagMerge *merge, int64 tags, CompactionCounts *counts)
{
	CompactionCounts done = {
		.tags = tags,
		.segments_merged = merge->segments_merged,
		.segments_written = merge->segments_written,
		.bytes_merged = merge->bytes_merged,
		.bytes_written = segment_sink_bytes(merge->sink),
		.rows = merge->rows_written,
	};

	summary_edit_end(merge->summaries);
	segment_sink_end(merge->sink);
	compaction_stat_add(RelationGetRelid(merge->rel), &done);
	counts->tags += done.tags;
	counts->segments_merged += done.segments_merged;
	counts->segments_written += done.segments_written;
	counts->bytes_merged += done.bytes_merged;
	counts->bytes_written += done.bytes_written;
	counts->rows += done.rows;
}

/* Returns the first tag to compact after the given one (NULL: the first of all), or NULL. */
static text *
next_tag(Compaction *compaction, text *after)
{
	const CompactionOptions *options = compaction->options;

	if (options->tags == NULL)
		return directory_next_own_tag(compaction->merge.cursor, after);
	while (after != NULL && compaction->next_tag < options->ntags &&
		   tag_compare(options->tags[compaction->next_tag], after) <= 0)
		compaction->next_tag++;
	return compaction->next_tag < options->ntags ? options->tags[compaction->next_tag] : NULL;
}

/*
 * Lists the tag's late runs, and its pending segments before the horizon.  Of a look at all tags,
 * pending segments beyond the horizon are noted for the next round; noted_tags() has already noted
 * those that it leaves for later.
 */
static void
list_segments(Compaction *compaction)
{
	SegmentList all = {0};
	uint64		horizon = compaction->options->horizon;

	memset(&compaction->fresh, 0, sizeof(SegmentList));
	memset(&compaction->runs, 0, sizeof(SegmentList));
	compaction->held_bytes = 0;
	segment_list_load_unplaced(&all, compaction->merge.cursor, compaction->merge.tag);
	horizon = first_shared(&all, horizon);
	for (uint32 i = 0; i < all.nrefs; i++)
	{
		if (all.refs[i].shared)
			continue;
		if (all.refs[i].flags & SEGMENT_LATE_RUN)
			segment_list_add(&compaction->runs, &all.refs[i]);
		else if (all.refs[i].sequence < horizon)
			segment_list_add(&compaction->fresh, &all.refs[i]);
		else if (all.refs[i].sequence < compaction->options->horizon)
			compaction->held_bytes += all.refs[i].bytes;
		else if (compaction->options->tags == NULL)
			look_again(compaction, &all.refs[i]);
	}
	compaction->late_tag = directory_late_tag(compaction->merge.tag);
}

/*
 * Returns the least number in load order of the rows that a tag has in sorted runs, if that is
 * below the horizon, or else the horizon.  Later rows must not be merged before these.
 */
static uint64
first_shared(const SegmentList *list, uint64 horizon)
{
	for (uint32 i = 0; i < list->nrefs; i++)
	{
		if (list->refs[i].shared)
			horizon = Min(horizon, list->refs[i].sequence);
	}
	return horizon;
}

/* Makes the next round of compaction look at the tag of a pending segment again. */
static void
look_again(Compaction *compaction, const SegmentRef *ref)
{
	BlockNumber block = ItemPointerGetBlockNumber(&ref->tid);
	NotedBlocks one = {.first = block, .last = block};

	compaction_notes_add(compaction->merge.rel, &one, 1);
	compaction_queue_add(MyDatabaseId, 0);
}

/* Finds the last compacted segment (key: the tag) or the last late segment (key: late_tag). */
static bool
last_placed(Compaction *compaction, text *key, SegmentRef *last)
{
	StoredSegment stored;

	directory_seek_back(compaction->merge.cursor, key, PG_INT64_MAX);
	if (!directory_next_back(compaction->merge.cursor, &stored))
		return false;
	*last = segment_ref(&stored);
	store_release(&stored);
	return true;
}

static Size
total_bytes(const SegmentList *list)
{
	Size		bytes = 0;

	for (uint32 i = 0; i < list->nrefs; i++)
		bytes += list->refs[i].bytes;
	return bytes;
}

/*
 * Merges the tag's pending segments: appends the rows that are later in time than all others,
 * merges dense rows with compacted segments, and writes the rest as a late run.
 */
static void
merge_fresh(Compaction *compaction)
{
	TagMerge   *merge = &compaction->merge;
	SegmentList sources = {0};
	SegmentList left = {0};
	SegmentRef	last = {.last_time = PG_INT64_MIN};
	SegmentRef	last_late = {.last_time = PG_INT64_MIN};
	bool		has_last = last_placed(compaction, merge->tag, &last);
	bool		has_late = last_placed(compaction, compaction->late_tag, &last_late);
	RowsHeldBack held = {.any = has_late, .until = last_late.last_time, .within = &left};
	StretchList found = {0};
	TagMergePlan plan = {
		.sources = &sources,
		.compacted = &found,
		.append = true,
		.after = Max(last.last_time, last_late.last_time),
		.held = &held,
		.rest_flags = SEGMENT_LATE_RUN,
	};
	int64		newest = PG_INT64_MIN;

	take_partial_runs(compaction, &sources, &left);
	for (uint32 i = 0; i < compaction->runs.nrefs; i++)
		plan.after = Max(plan.after, compaction->runs.refs[i].last_time);
	for (uint32 i = 0; i < compaction->fresh.nrefs; i++)
		segment_list_add(&sources, &compaction->fresh.refs[i]);
	segment_list_sort(&sources);

	/* where the tag has no other segments, nothing is late */
	plan.everything = !has_last && !has_late && compaction->runs.nrefs == 0;
	tag_merge_find(merge, merge->tag, &plan, &found);
	for (uint32 i = 0; i < sources.nrefs; i++)
		newest = Max(newest, sources.refs[i].last_time);
	choose(&found, newest > plan.after);
	tag_merge_run(merge, &plan);
}

/*
 * Merges the tag's late runs with its late segments, and dense rows of both with compacted
 * segments.  Returns false, and does nothing, if it is too early for that.
 */
static bool
merge_late(Compaction *compaction)
{
	TagMerge   *merge = &compaction->merge;
	SegmentList sources = {0};
	StretchList late = {0};
	StretchList found = {0};
	TagMergePlan plan = {
		.sources = &compaction->runs,
		.compacted = &found,
		.rest_flags = SEGMENT_LATE,
		.rest = &late,
	};
	uint32		full = 0;
	Size		rewritten = 0;

	for (uint32 i = 0; i < compaction->runs.nrefs; i++)
		full += tag_merge_is_full(&compaction->runs.refs[i]);

	/*
	 * The search below reads all runs.  It is made only just after partial runs have been merged
	 * to full ones, which leaves at most one partial run.
	 */
	if (full == 0 || (full < MAX_FULL_RUNS && compaction->runs.nrefs > full + 1))
		return false;
	tag_merge_find(merge, compaction->late_tag, &plan, &late);
	for (uint32 i = 0; i < late.nstretches; i++)
	{
		late.stretches[i].chosen = true;
		if (late.stretches[i].has_segment)
			rewritten += late.stretches[i].segment.bytes;
	}
	if (full < MAX_FULL_RUNS && total_bytes(&compaction->runs) * LATE_FACTOR < rewritten)
		return false;

	for (uint32 i = 0; i < compaction->runs.nrefs; i++)
		segment_list_add(&sources, &compaction->runs.refs[i]);
	for (uint32 i = 0; i < late.nstretches; i++)
	{
		if (late.stretches[i].has_segment)
			segment_list_add(&sources, &late.stretches[i].segment);
	}
	segment_list_sort(&sources);
	plan.sources = &sources;
	tag_merge_find(merge, merge->tag, &plan, &found);
	choose(&found, false);
	tag_merge_run(merge, &plan);
	return true;
}

/* Brings all rows of the tag to compacted segments. */
static void
merge_everything(Compaction *compaction)
{
	TagMerge   *merge = &compaction->merge;
	SegmentList sources = {0};
	StretchList found = {0};
	TagMergePlan plan = {
		.sources = &sources,
		.compacted = &found,
		.everything = true,
		.rest_flags = SEGMENT_LATE_RUN,
	};

	segment_list_load(&sources, merge->cursor, merge->tag, PG_INT64_MIN, PG_INT64_MAX);
	remove_after_horizon(&sources, first_shared(&sources, compaction->options->horizon));
	if (sources.nrefs == 0)
		return;
	tag_merge_find(merge, merge->tag, &plan, &found);
	for (uint32 i = 0; i < found.nstretches; i++)
	{
		Stretch    *stretch = &found.stretches[i];

		stretch->chosen = !stretch->has_segment || stretch->overlapped ||
			(stretch->until == PG_INT64_MAX && !tag_merge_is_full(&stretch->segment));
	}
	tag_merge_run(merge, &plan);
}

/*
 * Tells which late runs are to be merged with the pending segments, and which are left: where there
 * are many partial runs, takes the oldest of them and all runs after it, full ones too.
 */
static void
take_partial_runs(Compaction *compaction, SegmentList *taken, SegmentList *left)
{
	const SegmentList *runs = &compaction->runs;
	uint32		partial = 0;
	uint64		oldest = PG_UINT64_MAX;

	for (uint32 i = 0; i < runs->nrefs; i++)
	{
		if (!tag_merge_is_full(&runs->refs[i]))
		{
			partial++;
			oldest = Min(oldest, runs->refs[i].sequence);
		}
	}
	for (uint32 i = 0; i < runs->nrefs; i++)
	{
		bool		take = partial >= MAX_PARTIAL_RUNS && runs->refs[i].sequence >= oldest;

		segment_list_add(take ? taken : left, &runs->refs[i]);
	}
}

/*
 * Chooses the compacted segments to write anew.  The gain of a segment is the number of rows that
 * fall on it, times COMPACTED_FACTOR, less the rows that it has.  Chosen are groups of neighbours
 * whose gain together is the greatest and positive: within a group, new segments can be filled
 * regardless of where the old ones end.  If rows are appended, the last segment costs nothing
 * unless it is full, because it is written anew anyway.  Enough rows that lie apart from full
 * segments are not worth writing these anew: bulk loads leave such rows (placement.c).
 */
static void
choose(StretchList *found, bool appends)
{
	Stretch    *stretches = found->stretches;
	uint32		start = 0;

	for (uint32 i = 0; i < found->nstretches; i++)
		stretches[i].apart = is_apart(&stretches[i]);
	while (start < found->nstretches)
	{
		int64		sum = 0;
		int64		best = 0;
		uint32		end = start;	/* of the best group, exclusive */

		for (uint32 i = start; i < found->nstretches; i++)
		{
			const Stretch *stretch = &stretches[i];
			bool		is_last = stretch->until == PG_INT64_MAX && stretch->has_segment;
			bool		is_free = appends && is_last &&
				!tag_merge_is_full(&stretch->segment);
			int64		rows = stretch->has_segment ? stretch->segment.nrows : NO_SEGMENT_ROWS;

			if (stretch->apart || (i > start && stretches[i - 1].until + 1 != stretch->from))
				break;
			sum += is_free ? rows : (int64) stretch->rows * COMPACTED_FACTOR - rows;
			if (sum > best)
			{
				best = sum;
				end = i + 1;
			}
			if (sum <= 0 || sum < best - GROUP_SLACK_ROWS)
				break;
		}
		for (uint32 i = start; i < end; i++)
			stretches[i].chosen = true;
		start = Max(end, start + 1);
	}
}

static bool
is_apart(const Stretch *stretch)
{
	return stretch->has_segment && !stretch->overlapped &&
		tag_merge_is_full(&stretch->segment) &&
		stretch->rows * APART_PART >= stretch->segment.nrows;
}

/* Removes shared rows, and the pending segments that are not before the horizon. */
static void
remove_after_horizon(SegmentList *list, uint64 horizon)
{
	uint32		kept = 0;

	for (uint32 i = 0; i < list->nrefs; i++)
	{
		if (list->refs[i].flags != 0 ||
			(!list->refs[i].shared && list->refs[i].sequence < horizon))
			list->refs[kept++] = list->refs[i];
	}
	list->nrefs = kept;
}
