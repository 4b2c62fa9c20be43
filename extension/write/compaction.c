/*
 * compaction.c
 *	  Merging a table's pending segments into full, disjoint ones.
 *
 * Rows that come in order of time are appended: a tag's pending segments are merged with its last
 * compacted one, while that is not full, once they amount to a page.
 *
 * Rows that come late would each have a full segment written anew.  So they are gathered until
 * enough of them fall on a compacted segment, in three steps (docs/adr/0006):
 *
 * - What a merge meets of them becomes a late run, a segment beside the pending ones.
 * - A tag's late runs are merged with its late segments, which are disjoint in time, once that
 *	 multiplies the runs' bytes by LATE_FACTOR at most.
 * - At that occasion rows go to the compacted segments where that multiplies theirs by
 *	 COMPACTED_FACTOR at most.
 *
 * Rows that fall densely on few segments, and no late ones of the same times are waiting, take the
 * last step at once.
 *
 * A tag's merge is within one transaction, so that every snapshot sees either the old or the new.
 * The directory's lock keeps compactions and deletions of one table apart; no load or read waits
 * for it.
 *
 * Of all rows of one tag and time the latest load's stays, so no row may overtake a later one on its
 * way (tag_merge.c): pending segments are merged all together, as far as the horizon allows; late
 * runs from one on with all that came after it, or all together; and no row goes to a compacted
 * segment past a late run or segment that spans its time.
 */
#include "postgres.h"

#include "write/compaction.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "store/compaction_notes.h"
#include "store/compaction_queue.h"
#include "store/compaction_stat.h"
#include "store/directory.h"
#include "store/segment_list.h"
#include "tag.h"
#include "write/tag_merge.h"

/* By how much the bytes of late rows may be multiplied where they are merged. */
#define LATE_FACTOR 16
#define COMPACTED_FACTOR 32

/* A tag has at most about so many late runs: reading meets all of them. */
#define MAX_PARTIAL_RUNS 8
#define MAX_FULL_RUNS 64

/* What is before the first compacted segment weighs as if it were a segment of so many rows. */
#define NO_SEGMENT_ROWS 512

/* How much a group of neighbours may lose again until it is taken to have ended. */
#define GROUP_SLACK_ROWS (16 * NO_SEGMENT_ROWS)

typedef struct Compaction
{
	TagMerge	merge;
	const CompactionOptions *options;
	uint32		next_tag;		/* of options->tags */
	text	   *late_tag;

	/* the tag's segments */
	SegmentList fresh;			/* pending ones before the horizon */
	SegmentList runs;			/* late runs */
} Compaction;

static text *next_tag(Compaction *compaction, text *after);
static void list_segments(Compaction *compaction);
static void look_again(Compaction *compaction, const SegmentRef *ref);
static bool last_placed(Compaction *compaction, text *name, SegmentRef *last);
static Size total_bytes(const SegmentList *list);
static void merge_fresh(Compaction *compaction);
static bool merge_late(Compaction *compaction);
static void merge_everything(Compaction *compaction);
static void take_partial_runs(Compaction *compaction, SegmentList *taken, SegmentList *left);
static void choose(StretchList *found, bool appends);
static void remove_after_horizon(SegmentList *list, uint64 horizon);

bool
compaction_run(Relation rel, const CompactionOptions *options, text **after,
			   CompactionCounts *counts)
{
	Compaction	compaction = {.options = options};
	TagMerge   *merge = &compaction.merge;
	CompactionCounts done = {0};
	text	   *tag = *after;
	Snapshot	snapshot;
	MemoryContext context;
	MemoryContext caller;
	MemoryContext tag_context;

	/* held until the transaction ends: only then do others see what was merged */
	if (!directory_lock(rel, options->wait))
		return false;

	context = AllocSetContextCreate(CurrentMemoryContext, "historian compaction",
									ALLOCSET_DEFAULT_SIZES);
	tag_context = AllocSetContextCreate(context, "historian compaction tag",
										ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	merge->rel = rel;
	merge->context = context;
	merge->cursor = directory_begin(rel, snapshot);
	merge->reader = tag_reader_begin(rel, merge->cursor, snapshot);
	merge->cid = GetCurrentCommandId(true);

	while ((tag = next_tag(&compaction, tag)) != NULL)
	{
		int64		merged = merge->segments_merged;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(tag_context);
		merge->tag = tag;
		list_segments(&compaction);
		if (options->everything)
			merge_everything(&compaction);
		else if (total_bytes(&compaction.fresh) >= STORE_MAX_SEGMENT_BYTES)
		{
			/*
			 * one of the two in a transaction: what the first has written, the snapshot does not
			 * see
			 */
			if (merge_late(&compaction))
				look_again(&compaction, &compaction.fresh.refs[0]);
			else
				merge_fresh(&compaction);
		}
		done.tags += merge->segments_merged > merged;
		MemoryContextSwitchTo(context);
		MemoryContextReset(tag_context);
		if (options->max_rows > 0 && merge->rows_written >= options->max_rows)
			break;
	}

	if (merge->sink != NULL)
	{
		done.segments_merged = merge->segments_merged;
		done.segments_written = merge->segments_written;
		done.bytes_merged = merge->bytes_merged;
		done.bytes_written = segment_sink_bytes(merge->sink);
		done.rows = merge->rows_written;
		summary_edit_end(merge->summaries);
		segment_sink_end(merge->sink);
		compaction_stat_add(RelationGetRelid(rel), &done);
	}
	counts->tags += done.tags;
	counts->segments_merged += done.segments_merged;
	counts->segments_written += done.segments_written;
	counts->bytes_merged += done.bytes_merged;
	counts->bytes_written += done.bytes_written;
	counts->rows += done.rows;
	tag_reader_end(merge->reader);
	directory_end(merge->cursor);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(caller);
	*after = tag ? DatumGetTextPCopy(PointerGetDatum(tag)) : NULL;
	MemoryContextDelete(context);
	CommandCounterIncrement();
	return true;
}

/* The first tag to see to after the given one (NULL: of all), or NULL. */
static text *
next_tag(Compaction *compaction, text *after)
{
	const CompactionOptions *options = compaction->options;

	if (options->tags == NULL)
		return directory_next_tag(compaction->merge.cursor, after);
	while (after != NULL && compaction->next_tag < options->ntags &&
		   tag_compare(options->tags[compaction->next_tag], after) <= 0)
		compaction->next_tag++;
	return compaction->next_tag < options->ntags ? options->tags[compaction->next_tag] : NULL;
}

/* Lists the tag's segments that may be merged, but the late and compacted ones. */
static void
list_segments(Compaction *compaction)
{
	SegmentList all = {0};

	memset(&compaction->fresh, 0, sizeof(SegmentList));
	memset(&compaction->runs, 0, sizeof(SegmentList));
	segment_list_load_unplaced(&all, compaction->merge.cursor, compaction->merge.tag);
	for (uint32 i = 0; i < all.nrefs; i++)
	{
		if (all.refs[i].flags & SEGMENT_LATE_RUN)
			segment_list_add(&compaction->runs, &all.refs[i]);
		else if (all.refs[i].sequence < compaction->options->horizon)
			segment_list_add(&compaction->fresh, &all.refs[i]);
		else if (compaction->options->tags == NULL)
			look_again(compaction, &all.refs[i]);
	}
	compaction->late_tag = directory_late_tag(compaction->merge.tag);
}

/* Has the next round look at the tag of a pending segment again. */
static void
look_again(Compaction *compaction, const SegmentRef *ref)
{
	BlockNumber block = ItemPointerGetBlockNumber(&ref->tid);
	NotedBlocks one = {.first = block, .last = block};

	compaction_notes_add(compaction->merge.rel, &one, 1);
	compaction_queue_add(MyDatabaseId);
}

/* Finds the last segment of those that stand in the directory under a name by their first time. */
static bool
last_placed(Compaction *compaction, text *name, SegmentRef *last)
{
	StoredSegment stored;

	directory_seek_back(compaction->merge.cursor, name, PG_INT64_MAX);
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
 * Merges the tag's pending segments: what comes after all that the tag has is appended, the rest
 * becomes a late run, but for rows that may be merged at once.
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

	/* of a tag without anything else there is nothing to come after */
	plan.everything = !has_last && !has_late && compaction->runs.nrefs == 0;
	tag_merge_find(merge, merge->tag, &plan, &found);
	for (uint32 i = 0; i < sources.nrefs; i++)
		newest = Max(newest, sources.refs[i].last_time);
	choose(&found, newest > plan.after);
	tag_merge_run(merge, &plan);
}

/*
 * Merges the tag's late runs with its late segments, and what pays of both with the compacted ones.
 * False, with nothing done, where it is too early for that.
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
		full += compaction->runs.refs[i].bytes >= SEGMENT_FULL_BYTES;

	/* worth a look when another full run has just been written */
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

/* Merges all that the tag has with the compacted segments that its rows fall on. */
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
	remove_after_horizon(&sources, compaction->options->horizon);
	if (sources.nrefs == 0)
		return;
	tag_merge_find(merge, merge->tag, &plan, &found);
	for (uint32 i = 0; i < found.nstretches; i++)
	{
		Stretch    *stretch = &found.stretches[i];

		stretch->chosen = !stretch->has_segment || stretch->overlapped ||
			(stretch->until == PG_INT64_MAX && stretch->segment.bytes < SEGMENT_FULL_BYTES);
	}
	tag_merge_run(merge, &plan);
}

/*
 * Where there are many small late runs, takes them to be merged.  Full ones that came after the first
 * of them must go along.
 */
static void
take_partial_runs(Compaction *compaction, SegmentList *taken, SegmentList *left)
{
	const SegmentList *runs = &compaction->runs;
	uint32		partial = 0;
	uint64		oldest = PG_UINT64_MAX;

	for (uint32 i = 0; i < runs->nrefs; i++)
	{
		if (runs->refs[i].bytes < SEGMENT_FULL_BYTES)
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
 * Chooses the segments to write anew: groups of neighbours, as large as they pay, so that new
 * segments can be cut regardless of the old ones' ends.  What a segment gains is the rows that fall
 * on it times the factor, less those that it has.  When rows are appended, the last segment is
 * written anyway, unless it is full.
 */
static void
choose(StretchList *found, bool appends)
{
	Stretch    *stretches = found->stretches;
	uint32		start = 0;

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
				stretch->segment.bytes < SEGMENT_FULL_BYTES;
			int64		rows = stretch->has_segment ? stretch->segment.nrows : NO_SEGMENT_ROWS;

			if (i > start && stretches[i - 1].until + 1 != stretch->from)
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

/* Leaves out what the horizon keeps from being merged. */
static void
remove_after_horizon(SegmentList *list, uint64 horizon)
{
	uint32		kept = 0;

	for (uint32 i = 0; i < list->nrefs; i++)
	{
		if (list->refs[i].flags != 0 || list->refs[i].sequence < horizon)
			list->refs[kept++] = list->refs[i];
	}
	list->nrefs = kept;
}
