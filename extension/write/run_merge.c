/*
 * run_merge.c
 *	  Merges sorted runs, so that a table has few of them and a tag's rows come together.
 *
 * Each load of a plant leaves a run, and a look-up of a tag has to look into all runs.  When there
 * are MERGE_RUNS runs of one level, they are merged to one of the next level.  So a table has less
 * than MERGE_RUNS runs of each level, and a row is written once a level.  A tag leaves the runs
 * when its rows amount to OWN_BYTES: they become a pending segment of its own, which compaction
 * merges like any other.
 *
 * All rows are pending before and after.  Of two pending rows with one tag and time the one with
 * the greater number in load order is valid, and all rows that are merged get the greatest of their
 * numbers.  So that no row overtakes another, a merge takes all pending rows of each of its tags
 * whose numbers are within the range of the merged runs: those in these runs, which follow each
 * other in load order, and those in segments of the tag's own.
 */
#include "postgres.h"

#include "write/run_merge.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "read/tag_reader.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/load_order.h"
#include "store/run_writer.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"

/* So many runs of one level are merged. */
#define MERGE_RUNS 8

/* At most so many at once, because each takes a page of memory. */
#define MOST_RUNS 128

/* A tag whose rows take as much as this gets a segment of its own. */
#define OWN_BYTES 2048

/* So many merges are done, each of runs that are due, before others get a turn. */
#define MOST_MERGES 8

typedef struct RunMerge
{
	Relation	rel;
	DirectoryCursor *cursor;
	SortedRuns *runs;			/* those to merge */
	TagReader  *reader;
	SegmentSink *sink;
	RunWriter  *writer;
	EmptiedBlocks *emptied;		/* may be NULL */
	CommandId	cid;
	bool		everything;
	uint64		first_sequence;
	uint64		last_sequence;
	uint32		level;			/* of the new run */
	bool		more;			/* later runs are left for another merge */
	CompactionCounts done;
} RunMerge;

static bool merge_due(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
					  CompactionCounts *counts, bool *more);
static bool choose(RunMerge *merge, uint64 horizon);
static SortedRun *list_before(SortedRuns *runs, uint64 horizon, uint32 *nruns);
static bool any_tag_has_own(RunMerge *merge);
static bool is_in_runs(RunMerge *merge, text *tag);
static bool has_own(RunMerge *merge, text *tag);
static void merge_runs(RunMerge *merge);
static void merge_tag(RunMerge *merge, text *tag);
static SegmentList list_sources(RunMerge *merge, text *tag);
static void delete_runs(RunMerge *merge);
static void delete_stored(RunMerge *merge, ItemPointer tid, uint32 rows, Size bytes);
static int	compare_sequence(const void *left, const void *right);

bool
run_merge(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
		  CompactionCounts *counts)
{
	bool		any = false;

	for (int i = 0; i < MOST_MERGES || everything; i++)
	{
		bool		more = false;

		if (!merge_due(rel, horizon, everything, emptied, counts, &more))
			break;
		any = true;
		CommandCounterIncrement();
		if (everything && !more)
			break;
	}
	return any;
}

/*
 * Makes one merge.  Returns false, and does nothing, if none is due.  Sets *more if there are too
 * many runs for one merge.
 */
static bool
merge_due(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
		  CompactionCounts *counts, bool *more)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian run merge",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	RunMerge	merge = {.rel = rel, .everything = everything, .emptied = emptied};
	bool		due;

	merge.cursor = directory_begin(rel, snapshot);
	merge.runs = directory_runs(merge.cursor);
	due = choose(&merge, horizon);
	*more = merge.more;
	if (due)
	{
		merge.reader = tag_reader_begin(rel, merge.cursor, snapshot);
		merge.cid = GetCurrentCommandId(true);
		merge_runs(&merge);
		tag_reader_end(merge.reader);
		compaction_stat_add(RelationGetRelid(rel), &merge.done);
		counts->tags += merge.done.tags;
		counts->segments_merged += merge.done.segments_merged;
		counts->segments_written += merge.done.segments_written;
		counts->bytes_merged += merge.done.bytes_merged;
		counts->bytes_written += merge.done.bytes_written;
		counts->rows += merge.done.rows;
	}
	directory_end(merge.cursor);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return due;
}

/*
 * Chooses the runs to merge, which follow each other in load order, and restricts the cursor to
 * them.  Returns false if none are due.
 */
static bool
choose(RunMerge *merge, uint64 horizon)
{
	uint32		nruns;
	SortedRun  *runs = list_before(merge->runs, horizon, &nruns);
	uint32		first = 0;
	uint32		end = nruns;

	if (nruns == 0)
		return false;
	if (!merge->everything)
	{
		uint32		of_level = 0;

		/* the lowest level of which there are enough; older runs have higher levels */
		for (uint32 level = 0; of_level < MERGE_RUNS; level++)
		{
			uint32		begin = nruns;

			while (begin > 0 && runs[begin - 1].level <= level)
				begin--;
			of_level = 0;
			for (uint32 i = begin; i < nruns; i++)
			{
				if (runs[i].level == level)
				{
					first = of_level == 0 ? i : first;
					end = i + 1;
					of_level++;
				}
			}
			if (begin == 0 && of_level < MERGE_RUNS)
				return false;
		}
	}
	merge->more = end > first + MOST_RUNS;
	end = Min(end, first + MOST_RUNS);
	merge->first_sequence = runs[first].sequence;
	merge->last_sequence = runs[end - 1].sequence;
	for (uint32 i = first; i < end; i++)
		merge->level = Max(merge->level, Min(runs[i].level + 1, SORTED_RUN_MAX_LEVEL));
	sorted_runs_restrict(merge->runs, merge->first_sequence, merge->last_sequence);
	pfree(runs);
	return end - first > 1 || any_tag_has_own(merge);
}

/* Returns the runs before the horizon, in load order; palloc'd. */
static SortedRun *
list_before(SortedRuns *runs, uint64 horizon, uint32 *nruns)
{
	SortedRun  *list = palloc_array(SortedRun, Max(sorted_runs_count(runs), 1));

	*nruns = 0;
	for (uint32 i = 0; i < sorted_runs_count(runs); i++)
	{
		if (sorted_runs_get(runs, i)->sequence < horizon)
			list[(*nruns)++] = *sorted_runs_get(runs, i);
	}
	qsort(list, *nruns, sizeof(SortedRun), compare_sequence);
	return list;
}

/*
 * Has any tag of the runs segments of its own?  If not, nothing can be gained from a single run.
 * Goes through both in turn, so that the fewer tags of the two decide what it costs.
 */
static bool
any_tag_has_own(RunMerge *merge)
{
	text	   *own = directory_next_own_tag(merge->cursor, NULL);

	while (own != NULL)
	{
		text	   *shared;
		text	   *former = own;

		CHECK_FOR_INTERRUPTS();
		if (is_in_runs(merge, own) && has_own(merge, own))
			return true;
		shared = sorted_runs_next_tag(merge->runs, own);
		if (shared == NULL)
			return false;
		if (has_own(merge, shared))
			return true;
		own = directory_next_own_tag(merge->cursor, shared);
		pfree(shared);
		pfree(former);
	}
	return false;
}

static bool
is_in_runs(RunMerge *merge, text *tag)
{
	StoredSegment stored;

	sorted_runs_seek(merge->runs, tag, PG_INT64_MIN, PG_INT64_MAX);
	return sorted_runs_next(merge->runs, &stored);
}

/* Has the tag segments of its own? */
static bool
has_own(RunMerge *merge, text *tag)
{
	StoredSegment stored;
	text	   *late_tag;
	bool		found;

	directory_seek_back(merge->cursor, tag, PG_INT64_MAX);
	found = directory_next_back(merge->cursor, &stored);
	if (!found)
	{
		late_tag = directory_late_tag(tag);
		directory_seek_back(merge->cursor, late_tag, PG_INT64_MAX);
		found = directory_next_back(merge->cursor, &stored);
		pfree(late_tag);
	}
	if (!found)
	{
		directory_seek_pending(merge->cursor, tag);
		found = directory_next_pending(merge->cursor, &stored);
	}
	if (found)
		store_release(&stored);
	return found;
}

static void
merge_runs(RunMerge *merge)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian run merge tag",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	text	   *tag;

	merge->sink = segment_sink_begin(merge->rel, GetCurrentTransactionId(), merge->cid, 0);
	merge->writer = run_writer_begin(merge->sink, load_order_next(), merge->last_sequence,
									 merge->level);
	tag = sorted_runs_next_tag(merge->runs, NULL);
	while (tag != NULL)
	{
		text	   *former = tag;

		CHECK_FOR_INTERRUPTS();
		caller = MemoryContextSwitchTo(context);
		merge_tag(merge, tag);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		tag = sorted_runs_next_tag(merge->runs, tag);
		pfree(former);
		merge->done.tags++;
	}
	merge->done.segments_written += run_writer_end(merge->writer);
	merge->done.bytes_written = segment_sink_bytes(merge->sink);
	segment_sink_end(merge->sink);
	delete_runs(merge);
	MemoryContextDelete(context);
}

/* Writes the rows that a tag has in the runs to the new run, or to segments of its own. */
static void
merge_tag(RunMerge *merge, text *tag)
{
	SegmentList sources = list_sources(merge, tag);
	SegmentHeader header = {
		.sequence = merge->last_sequence,
		.tag = VARDATA_ANY(tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(tag),
	};
	RowBuffer	rows = {0};
	bool		own = merge->everything && has_own(merge, tag);
	CodecRows	source;
	RowRun		run;

	tag_reader_start_segments(merge->reader, tag, &sources, true);
	while (tag_reader_next(merge->reader, &run))
	{
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
			decoded_rows_append(run.rows, row, &rows);
		merge->done.rows += run.nrows;
		while (rows.nrows >= 2 * CODEC_MAX_ROWS)
		{
			source = row_buffer_rows(&rows, 0);
			row_buffer_shift(&rows, segment_sink_write_one(merge->sink, &header, &source));
			merge->done.segments_written++;
			own = true;
		}
	}
	if (rows.nrows == 0 && !own)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("cannot read a segment of historian table \"%s\"",
					   RelationGetRelationName(merge->rel)),
				errdetail("A sorted run has the tag \"%s\", but no rows of it.",
						  store_tag_text(&header)));
	source = row_buffer_rows(&rows, 0);
	if (own || rows.nrows > CODEC_MAX_ROWS ||
		!run_writer_add(merge->writer, header.tag, header.tag_bytes, &source, OWN_BYTES))
	{
		segment_sink_write(merge->sink, &header, &source);
		merge->done.segments_written++;
	}
	for (uint32 i = 0; i < sources.nrefs; i++)
	{
		if (!sources.refs[i].shared)
			delete_stored(merge, &sources.refs[i].tid, sources.refs[i].nrows,
						  sources.refs[i].bytes);
	}
}

/* Lists the tag's pending rows whose numbers in load order are within those of the runs. */
static SegmentList
list_sources(RunMerge *merge, text *tag)
{
	SegmentList all = {0};
	SegmentList sources = {0};

	segment_list_load_unplaced(&all, merge->cursor, tag);
	for (uint32 i = 0; i < all.nrefs; i++)
	{
		const SegmentRef *ref = &all.refs[i];

		if (ref->flags == 0 && ref->sequence >= merge->first_sequence &&
			ref->sequence <= merge->last_sequence)
			segment_list_add(&sources, ref);
	}
	return sources;
}

/* Deletes the merged runs: their shared segments and their roots. */
static void
delete_runs(RunMerge *merge)
{
	for (uint32 i = 0; i < sorted_runs_count(merge->runs); i++)
	{
		ItemPointerData root = sorted_runs_get(merge->runs, i)->root;
		StoredSegment stored;

		sorted_runs_seek_segments(merge->runs, i);
		while (sorted_runs_next_segment(merge->runs, &stored))
		{
			ItemPointerData place = stored.tuple.t_self;
			uint32		rows = stored.segment.header.nrows;
			Size		bytes = stored.tuple.t_len - STORE_TUPLE_HEADER;

			store_release(&stored);
			delete_stored(merge, &place, rows, bytes);
		}
		if (!store_delete(merge->rel, &root, merge->cid))
			elog(ERROR, "root of a run was deleted by another transaction");
	}
}

static void
delete_stored(RunMerge *merge, ItemPointer tid, uint32 rows, Size bytes)
{
	/* does not fail while directory_lock() keeps other compactions and deletions away */
	if (!store_delete(merge->rel, tid, merge->cid))
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not compact historian table \"%s\" due to a concurrent change",
					   RelationGetRelationName(merge->rel)));
	emptied_blocks_add(merge->emptied, ItemPointerGetBlockNumber(tid));
	store_count_rows(merge->rel, 0, rows);
	merge->done.segments_merged++;
	merge->done.bytes_merged += bytes;
}

static int
compare_sequence(const void *left, const void *right)
{
	const SortedRun *a = left;
	const SortedRun *b = right;

	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}
