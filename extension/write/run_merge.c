/*
 * run_merge.c
 *	  Merges sorted runs, so that a table has few of them and a tag's rows come together.
 *
 * Each load of a plant leaves a run, and a look-up of a tag has to look into all runs.  When
 * MERGE_LOADS loads have left runs, or two large ones, these are merged with all later runs and with
 * those earlier ones that have at most MERGE_FACTOR times the rows of all that is merged with them.
 * So each run has more than MERGE_FACTOR times the rows of all later ones, but for the last loads;
 * there are few of them, and nearly all rows are in the first one, where they take the fewest bytes.
 * A row is written about MERGE_FACTOR / 2 times before the run that has it is MERGE_FACTOR times as
 * large.  A tag leaves the runs when its rows amount to OWN_BYTES: they become a pending segment of
 * its own, which compaction merges like any other.
 *
 * If FLOOD_LOADS wait, loads come faster than one a second.  Then merges leave the processor to them
 * (priority.c), and one merge will take many of them.  If MANY_LOADS wait, merges fall behind.  Then
 * they take their share, and MERGE_FACTOR_BEHIND counts.
 *
 * What is merged is stored twice until no snapshot sees the old segments any more.  So that the file
 * need not have room for the largest run twice, the background worker merges in parts.  A part takes
 * tags in order until it has written one PART_OF_FILE-th of the file, and ends its transaction.
 * The old runs lose the segments that have none but these tags, and the segment at the end of the
 * part is written anew without them, as a deletion does it.  Loads that come meanwhile are merged with
 * each other between two parts, because a row takes most room in a load's run.
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
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "priority.h"
#include "read/tag_reader.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/load_order.h"
#include "store/run_writer.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"
#include "tag.h"

/* So many loads are merged, or two of them where they have so many rows together. */
#define MERGE_LOADS 4
#define MERGE_LOAD_ROWS 100000

/* An earlier run is merged with later ones if it has at most so many times their rows. */
#define MERGE_FACTOR 6

/* The load of each second leaves fewer than this, also where a merge takes some rounds of two seconds. */
#define FLOOD_LOADS 16

/* If so many loads wait, a row is to be written less often, so that merges catch up. */
#define MANY_LOADS 64
#define MERGE_FACTOR_BEHIND 1

/* A part of a merge ends when it has written one PART_OF_FILE-th of the file, or so many pages. */
#define PART_OF_FILE 32
#define LEAST_PART_PAGES 32

/* At most so many at once, because each takes a page of memory. */
#define MOST_RUNS 128

/* A tag whose rows take as much as this gets a segment of its own. */
#define OWN_BYTES 2048

/* Of a tag with more rows than these, full segments are written before all rows are read. */
#define MOST_ROWS (2 * CODEC_MAX_ROWS)

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
	RunMergeInParts *parts;		/* may be NULL */
	CommandId	cid;
	bool		everything;
	text	   *after;			/* the last tag of the part before, or NULL */
	uint64		first_sequence;
	uint64		last_sequence;
	SortedRun	run;			/* the new one, as far as it is known before */
	Size		part_bytes;		/* to write in this transaction; 0: all */
	text	   *until;			/* the last tag of this part; NULL: the merge is done */
	bool		more;			/* later runs are left for another merge */
	bool		flooded;		/* loads come fast, but are not too many yet */
	CompactionCounts done;
} RunMerge;

static bool merge_due(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
					  RunMergeInParts *parts, CompactionCounts *counts, bool *more);
static bool is_flooded(SortedRuns *runs);
static bool choose(RunMerge *merge, uint64 from, uint64 horizon);
static uint32 first_to_merge(const SortedRun *runs, uint32 nruns);
static bool choose_later(RunMerge *merge);
static bool go_on(RunMerge *merge);
static void note_part(RunMerge *merge);
static SortedRun *list_between(SortedRuns *runs, uint64 from, uint64 horizon, uint32 *nruns);
static bool any_tag_has_own(RunMerge *merge);
static bool is_in_runs(RunMerge *merge, text *tag);
static bool has_own(RunMerge *merge, text *tag);
static void merge_runs(RunMerge *merge);
static void merge_tag(RunMerge *merge, text *tag);
static bool take_rows(RunMerge *merge, RowBuffer *rows);
static void append_rows(RunMerge *merge, const Segment *segment, const ItemPointerData *place,
						DecodedRows *decoded, RowBuffer *rows);
static bool merge_sources(RunMerge *merge, text *tag, SegmentList *sources, SegmentHeader *header,
						  RowBuffer *rows);
static bool root_covers(const RunMerge *merge, const CodecRows *rows);
static SegmentList list_own(RunMerge *merge, text *tag);
static void delete_runs(RunMerge *merge);
static bool take_tags_out(RunMerge *merge, const StoredSegment *stored);
static void write_left(RunMerge *merge, const StoredSegment *stored, SharedReader *reader);
static void write_own(RunMerge *merge, const StoredSegment *stored, const SharedReader *reader);
static void delete_stored(RunMerge *merge, ItemPointer tid, uint32 rows, Size bytes);
static int	compare_sequence(const void *left, const void *right);

bool
run_merge(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
		  RunMergeInParts *parts, CompactionCounts *counts)
{
	bool		any = false;

	for (int i = 0; i < MOST_MERGES || everything; i++)
	{
		bool		more = false;

		if (!merge_due(rel, horizon, everything, emptied, parts, counts, &more))
			break;
		any = true;
		CommandCounterIncrement();
		if ((everything && !more) || (parts != NULL && parts->under_way))
			break;
	}
	return any;
}

/*
 * Makes one merge, or one part of it.  Returns false, and does nothing, if none is due.  Sets *more
 * if there are too many runs for one merge.
 */
static bool
merge_due(Relation rel, uint64 horizon, bool everything, EmptiedBlocks *emptied,
		  RunMergeInParts *parts, CompactionCounts *counts, bool *more)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian run merge",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	RunMerge	merge = {.rel = rel, .everything = everything, .emptied = emptied, .parts = parts};
	bool		due;

	merge.cursor = directory_begin(rel, snapshot);
	merge.runs = directory_runs(merge.cursor);
	if (parts != NULL)
		merge.part_bytes = Max(RelationGetNumberOfBlocks(rel) / PART_OF_FILE, LEAST_PART_PAGES) *
			(Size) BLCKSZ;
	merge.flooded = is_flooded(merge.runs);
	due = choose_later(&merge) || go_on(&merge) || choose(&merge, 0, horizon);
	*more = merge.more;
	if (due)
	{
		merge.reader = tag_reader_begin(rel, merge.cursor, snapshot);
		merge.cid = GetCurrentCommandId(true);
		merge_runs(&merge);
		note_part(&merge);
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

static bool
is_flooded(SortedRuns *runs)
{
	uint32		loads = 0;

	for (uint32 i = 0; i < sorted_runs_count(runs); i++)
		loads += sorted_runs_get(runs, i)->level == 0;
	return loads >= FLOOD_LOADS && loads < MANY_LOADS;
}

/*
 * Chooses the runs to merge, which follow each other in load order from `from` on, and restricts the
 * cursor to them.  Returns false if none are due.
 */
static bool
choose(RunMerge *merge, uint64 from, uint64 horizon)
{
	uint32		nruns;
	SortedRun  *runs = list_between(merge->runs, from, horizon, &nruns);
	uint32		first = 0;
	uint32		end = nruns;
	uint32		level = 0;

	if (nruns == 0)
		return false;
	if (!merge->everything)
		first = first_to_merge(runs, nruns);
	if (first == end)
		return false;
	merge->more = end > first + MOST_RUNS;
	end = Min(end, first + MOST_RUNS);
	merge->first_sequence = runs[first].sequence;
	merge->last_sequence = runs[end - 1].sequence;
	merge->run = (SortedRun) {.first_time = PG_INT64_MAX, .last_time = PG_INT64_MIN};
	for (uint32 i = first; i < end; i++)
	{
		if (i > first)
			level = Max(level, runs[i].level);
		merge->run.first_time = Min(merge->run.first_time, runs[i].first_time);
		merge->run.last_time = Max(merge->run.last_time, runs[i].last_time);
		merge->run.rows += runs[i].rows;
	}
	/* what takes in smaller runs is of the same level as before */
	merge->run.level = Min(Max(level + 1, runs[first].level), SORTED_RUN_MAX_LEVEL);
	sorted_runs_restrict(merge->runs, merge->first_sequence, merge->last_sequence);
	pfree(runs);
	return end - first > 1 || any_tag_has_own(merge);
}

/* Returns the first of the runs to merge with all later ones; nruns if none are due. */
static uint32
first_to_merge(const SortedRun *runs, uint32 nruns)
{
	uint32		loads = 0;
	uint32		first = nruns;
	uint64		load_rows = 0;
	uint64		rows = 0;
	uint64		factor = MERGE_FACTOR;

	for (uint32 i = 0; i < nruns; i++)
	{
		if (runs[i].level != 0)
			continue;
		if (loads++ == 0)
			first = i;
		load_rows += runs[i].rows;
	}
	if (loads < 2 || (loads < MERGE_LOADS && load_rows < MERGE_LOAD_ROWS))
		return nruns;
	for (uint32 i = first; i < nruns; i++)
		rows += runs[i].rows;
	if (loads >= MANY_LOADS)
		factor = MERGE_FACTOR_BEHIND;
	while (first > 0 && nruns - first < MOST_RUNS && runs[first - 1].rows <= factor * rows)
		rows += runs[--first].rows;
	return first;
}

/*
 * Chooses the loads that have come since the merge that is under way began, which takes none of them.
 * They have few rows beside those of that merge, so theirs is not made in parts.
 */
static bool
choose_later(RunMerge *merge)
{
	const RunMergeInParts *parts = merge->parts;

	if (parts == NULL || !parts->under_way ||
		!choose(merge, parts->last_sequence + 1, parts->later_horizon))
		return false;
	merge->part_bytes = 0;
	return true;
}

/*
 * Goes on with the merge that is under way, if there is one.  Returns false if its new run is there no
 * more, because others have merged or deleted it.
 */
static bool
go_on(RunMerge *merge)
{
	RunMergeInParts *parts = merge->parts;
	bool		found = false;

	if (parts == NULL || !parts->under_way)
		return false;
	parts->under_way = false;
	for (uint32 i = 0; !found && i < sorted_runs_count(merge->runs); i++)
	{
		merge->run = *sorted_runs_get(merge->runs, i);
		found = merge->run.number == parts->number;
	}
	if (!found)
		return false;
	merge->first_sequence = parts->first_sequence;
	merge->last_sequence = parts->last_sequence;
	merge->after = parts->after;
	sorted_runs_restrict(merge->runs, merge->first_sequence, merge->last_sequence);
	sorted_runs_forget(merge->runs, parts->number);
	return true;
}

/* Notes where the next part of the merge begins. */
static void
note_part(RunMerge *merge)
{
	RunMergeInParts *parts = merge->parts;
	MemoryContext caller;

	if (merge->until == NULL)
		return;
	caller = MemoryContextSwitchTo(parts->context);
	*parts = (RunMergeInParts) {
		.context = parts->context,
		.under_way = true,
		.number = merge->run.number,
		.first_sequence = merge->first_sequence,
		.last_sequence = merge->last_sequence,
		.after = DatumGetTextPCopy(PointerGetDatum(merge->until)),
	};
	MemoryContextSwitchTo(caller);
}

/* Returns the runs from `from` on and before the horizon, in load order; palloc'd. */
static SortedRun *
list_between(SortedRuns *runs, uint64 from, uint64 horizon, uint32 *nruns)
{
	SortedRun  *list = palloc_array(SortedRun, Max(sorted_runs_count(runs), 1));

	*nruns = 0;
	for (uint32 i = 0; i < sorted_runs_count(runs); i++)
	{
		const SortedRun *run = sorted_runs_get(runs, i);

		if (run->sequence >= from && run->sequence < horizon)
			list[(*nruns)++] = *run;
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
	bool		begins = merge->run.number == 0;
	MemoryContext caller;
	text	   *last = NULL;
	text	   *tag;

	if (begins)
		merge->run.number = load_order_next();
	merge->sink = segment_sink_begin(merge->rel, GetCurrentTransactionId(), merge->cid, 0);
	merge->writer = run_writer_begin(merge->sink, merge->run.number, merge->last_sequence,
									 merge->run.level);
	sorted_runs_walk(merge->runs, merge->after);
	tag = sorted_runs_walk_tag(merge->runs);
	while (tag != NULL)
	{
		if (merge->part_bytes > 0 && segment_sink_bytes(merge->sink) >= merge->part_bytes)
		{
			merge->until = last;
			break;
		}
		CHECK_FOR_INTERRUPTS();
		priority_nap(merge->flooded);
		caller = MemoryContextSwitchTo(context);
		merge_tag(merge, tag);
		directory_look_ahead(merge->cursor, tag);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		if (last != NULL)
			pfree(last);
		last = tag;
		tag = sorted_runs_walk_tag(merge->runs);
		merge->done.tags++;
	}
	if (merge->until != NULL && begins)
		run_writer_expect(merge->writer, &merge->run);
	merge->done.segments_written += run_writer_end(merge->writer, begins);
	delete_runs(merge);
	merge->done.bytes_written = segment_sink_bytes(merge->sink);
	segment_sink_end(merge->sink);
	MemoryContextDelete(context);
}

/* Writes the rows that a tag has in the runs to the new run, or to segments of its own. */
static void
merge_tag(RunMerge *merge, text *tag)
{
	SegmentHeader header = {
		.sequence = merge->last_sequence,
		.tag = VARDATA_ANY(tag),
		.tag_bytes = VARSIZE_ANY_EXHDR(tag),
	};
	RowBuffer	rows = {0};
	bool		own = merge->everything && has_own(merge, tag);
	SegmentList sources = list_own(merge, tag);
	CodecRows	source;

	if (sources.nrefs > 0 || !take_rows(merge, &rows))
		own |= merge_sources(merge, tag, &sources, &header, &rows);
	merge->done.rows += rows.nrows;
	if (rows.nrows == 0 && !own)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("cannot read a segment of historian table \"%s\"",
					   RelationGetRelationName(merge->rel)),
				errdetail("A sorted run has the tag \"%s\", but no rows of it.",
						  store_tag_text(&header)));
	source = row_buffer_rows(&rows, 0);
	if (own || rows.nrows > CODEC_MAX_ROWS || !root_covers(merge, &source) ||
		!run_writer_add(merge->writer, header.tag, header.tag_bytes, &source, OWN_BYTES))
	{
		segment_sink_write(merge->sink, &header, &source);
		merge->done.segments_written++;
	}
}

/*
 * Takes the rows that the runs have of the present tag, which come in load order.  Returns false, and
 * takes none, if they are too many to have them in memory at once.
 */
static bool
take_rows(RunMerge *merge, RowBuffer *rows)
{
	DecodedRows decoded = {0};
	StoredSegment stored;

	while (sorted_runs_walk_rows(merge->runs, &stored))
	{
		if (rows->nrows + stored.segment.header.nrows > MOST_ROWS)
		{
			row_buffer_empty(rows);
			return false;
		}
		append_rows(merge, &stored.segment, &stored.tuple.t_self, &decoded, rows);
	}
	row_buffer_sort(rows);
	return true;
}

/* Decodes the rows of an opened segment into a buffer. */
static void
append_rows(RunMerge *merge, const Segment *segment, const ItemPointerData *place,
			DecodedRows *decoded, RowBuffer *rows)
{
	if (!decoded_rows_load(decoded, segment, PG_INT64_MIN, PG_INT64_MAX, values_all))
		store_report(merge->rel, (ItemPointer) place, &segment->header, SEGMENT_BAD_TIMES);
	for (uint32 row = 0; row < decoded->nrows; row++)
		decoded_rows_append(decoded, row, rows);
}

/*
 * Merges the rows that a tag has in the runs with those in sources, its own pending segments, which are
 * deleted.  Writes as many as fill segments of its own, and returns whether there were any; the rest
 * is left in rows.
 */
static bool
merge_sources(RunMerge *merge, text *tag, SegmentList *sources, SegmentHeader *header,
			  RowBuffer *rows)
{
	bool		own = false;
	RowRun		run;

	segment_list_add_shared(sources, merge->cursor, tag);
	tag_reader_start_segments(merge->reader, tag, sources, true);
	while (tag_reader_next(merge->reader, &run))
	{
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
			decoded_rows_append(run.rows, row, rows);
		while (rows->nrows >= MOST_ROWS)
		{
			CodecRows	source = row_buffer_rows(rows, 0);
			uint32		written = segment_sink_write_one(merge->sink, header, &source);

			row_buffer_shift(rows, written);
			merge->done.rows += written;
			merge->done.segments_written++;
			own = true;
		}
	}
	for (uint32 i = 0; i < sources->nrefs; i++)
	{
		const SegmentRef *ref = &sources->refs[i];

		if (!ref->shared)
			delete_stored(merge, (ItemPointer) &ref->tid, ref->nrows, ref->bytes);
	}
	return own;
}

/*
 * Would readers find the rows in the new run?  Its root is there since the first part.  It covers the
 * old runs, but rows that a tag has in segments of its own may be before or after these.
 */
static bool
root_covers(const RunMerge *merge, const CodecRows *rows)
{
	return merge->after == NULL ||
		(rows->time[0] >= merge->run.first_time &&
		 rows->time[rows->nrows - 1] <= merge->run.last_time);
}

/* Lists the tag's own pending segments whose numbers in load order are within those of the runs. */
static SegmentList
list_own(RunMerge *merge, text *tag)
{
	SegmentList all = {0};
	SegmentList own = {0};

	segment_list_load_own(&all, merge->cursor, tag);
	for (uint32 i = 0; i < all.nrefs; i++)
	{
		const SegmentRef *ref = &all.refs[i];

		if (ref->flags == 0 && ref->sequence >= merge->first_sequence &&
			ref->sequence <= merge->last_sequence)
			segment_list_add(&own, ref);
	}
	return own;
}

/*
 * Deletes what is merged of the old runs: their shared segments and their roots or, if the merge goes
 * on after a tag, the tags until that.
 */
static void
delete_runs(RunMerge *merge)
{
	for (uint32 i = 0; i < sorted_runs_count(merge->runs); i++)
	{
		ItemPointerData root = sorted_runs_get(merge->runs, i)->root;
		bool		more = true;
		StoredSegment stored;

		sorted_runs_seek_segments(merge->runs, i);
		while (more && sorted_runs_next_segment(merge->runs, &stored))
		{
			ItemPointerData place = stored.tuple.t_self;
			uint32		rows = stored.segment.header.nrows;
			Size		bytes = stored.tuple.t_len - STORE_TUPLE_HEADER;

			more = merge->until == NULL || take_tags_out(merge, &stored);
			store_release(&stored);
			if (more)
				delete_stored(merge, &place, rows, bytes);
		}
		if (merge->until == NULL && !store_delete(merge->rel, &root, merge->cid))
			elog(ERROR, "root of a run was deleted by another transaction");
	}
}

/*
 * Writes a shared segment anew without the tags until merge->until, if it has later ones.  Returns
 * false, and does nothing, if it has later ones only; then so have all segments after it.
 */
static bool
take_tags_out(RunMerge *merge, const StoredSegment *stored)
{
	const char *until = VARDATA_ANY(merge->until);
	Size		until_bytes = VARSIZE_ANY_EXHDR(merge->until);
	SharedReader reader;

	store_open_shared(merge->rel, stored, &reader, true);
	if (shared_reader_next(&reader) &&
		tag_compare_bytes(reader.tag, reader.tag_bytes, until, until_bytes) > 0)
		return false;
	while (reader.valid && tag_compare_bytes(reader.tag, reader.tag_bytes, until, until_bytes) <= 0)
		(void) shared_reader_next(&reader);
	store_check_shared(merge->rel, stored, &reader);
	if (reader.valid)
		write_left(merge, stored, &reader);
	return true;
}

/*
 * Writes the reader's present entry and those after it to a segment that has the old one's key.  An
 * entry that has no room, because its tag is whole now, gets a segment of its own.
 */
static void
write_left(RunMerge *merge, const StoredSegment *stored, SharedReader *reader)
{
	const SegmentHeader *header = &reader->header;
	SharedBuilder *builder = palloc(sizeof(SharedBuilder));

	shared_builder_begin(builder, segment_run_number(header), header->sequence,
						 header->tag + SEGMENT_RUN_NUMBER_BYTES,
						 header->tag_bytes - SEGMENT_RUN_NUMBER_BYTES, reader->base,
						 STORE_MAX_SEGMENT_BYTES);
	do
	{
		if (!shared_builder_copy(builder, reader))
			write_own(merge, stored, reader);
	} while (shared_reader_next(reader));
	store_check_shared(merge->rel, stored, reader);
	if (builder->ntags > 0)
		segment_sink_write_shared(merge->sink, builder);
	merge->done.segments_written += builder->ntags > 0;
	pfree(builder);
}

/* Writes the rows of the reader's present entry to a segment of its tag's own. */
static void
write_own(RunMerge *merge, const StoredSegment *stored, const SharedReader *reader)
{
	DecodedRows decoded = {0};
	RowBuffer	rows = {0};
	Segment		segment;
	CodecRows	source;
	SegmentHeader header = {
		.sequence = reader->header.sequence,
		.tag = reader->tag,
		.tag_bytes = reader->tag_bytes,
	};
	SegmentStatus status = shared_reader_rows(reader, &segment);

	if (status != SEGMENT_OK)
		store_report(merge->rel, (ItemPointer) &stored->tuple.t_self, &header, status);
	append_rows(merge, &segment, &stored->tuple.t_self, &decoded, &rows);
	source = row_buffer_rows(&rows, 0);
	segment_sink_write(merge->sink, &header, &source);
	merge->done.segments_written++;
	decoded_rows_free(&decoded);
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
