/*
 * tag_merge.c
 *	  Merges segments of one tag, and writes their rows as segments of one or two kinds.
 *
 * The sources are read as one stream in order of time, each time once.  The stream is written to
 * two outputs: compacted segments, and the rest (late runs or late segments).
 *
 * Compacted segments must stay disjoint, and so must late segments.  So a new segment must not
 * reach over an old one of its kind that is not among the sources.  An output therefore writes out
 * the rows that it has gathered before it takes a row from another stretch, unless the two
 * stretches are neighbours and the segment of the later one is a source too (enter_stretch()).
 *
 * compaction.c decides what is merged, and has the states of rows and the invariant of load order.
 * This file gives new segments their numbers: 0 to compacted segments, to others the greatest
 * number of the sources that are not compacted.
 */
#include "postgres.h"

#include "write/tag_merge.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "store/decoded_rows.h"
#include "store/row_buffer.h"
#include "store/store.h"

/* So many rows are gathered before segments are cut from them. */
#define STREAM_ROWS CODEC_MAX_ROWS

/* Writes rows to segments of one kind. */
typedef struct Output
{
	TagMerge   *merge;
	SegmentHeader header;
	const StretchList *stretches;	/* NULL: the segments may overlap others */
	uint32		at;				/* the stretch of the last row; PG_UINT32_MAX: no row yet */
	uint32		next;			/* compacted output: the stretch where the search begins */
	uint32		usual_rows;		/* the most rows of a full segment among the sources, or 0 */
	RowBuffer	rows;
} Output;

static void begin_writing(TagMerge *merge);
static Stretch *stretch_at(TagMerge *merge, text *key, StretchList *found, int64 time);
static bool is_held_back(const RowsHeldBack *held, int64 time);
static SegmentList all_sources(const TagMergePlan *plan);
static void append_row(Output *output, const DecodedRows *rows, uint32 row);
static void enter_stretch(Output *output, int64 time);
static void write_rows(Output *output, bool all);
static uint32 rows_to_try(const Output *output);
static void delete_sources(TagMerge *merge, const SegmentList *sources);

void
tag_merge_find(TagMerge *merge, text *key, const TagMergePlan *plan, StretchList *found)
{
	RowRun		run;

	tag_reader_start_segments(merge->reader, merge->tag, plan->sources, false);
	while (tag_reader_next(merge->reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
		{
			int64		time = run.rows->time[row];
			bool		appended = plan->append && time > plan->after;
			Stretch    *stretch;

			if (!appended && !plan->everything && is_held_back(plan->held, time))
				continue;
			stretch = stretch_at(merge, key, found, time);
			if (appended)
				continue;
			stretch->rows++;
			stretch->overlapped |= stretch->has_segment && time <= stretch->segment.last_time;
		}
	}
}

void
tag_merge_run(TagMerge *merge, const TagMergePlan *plan)
{
	SegmentList sources = all_sources(plan);
	Output		compacted = {
		.merge = merge,
		.header = {
			.flags = SEGMENT_COMPACTED,
			.tag = VARDATA_ANY(merge->tag),
			.tag_bytes = VARSIZE_ANY_EXHDR(merge->tag),
		},
		.stretches = plan->compacted,
		.at = PG_UINT32_MAX,
	};
	Output		rest = compacted;
	RowRun		run;

	rest.header.flags = plan->rest_flags;
	rest.stretches = plan->rest;
	for (uint32 i = 0; i < sources.nrefs; i++)
	{
		const SegmentRef *ref = &sources.refs[i];
		Output	   *kind = ref->flags & SEGMENT_COMPACTED ? &compacted : &rest;

		if (!(ref->flags & SEGMENT_COMPACTED))
			rest.header.sequence = Max(rest.header.sequence, ref->sequence);
		if (tag_merge_is_full(ref))
			kind->usual_rows = Max(kind->usual_rows, ref->nrows);
	}

	if (merge->sink == NULL)
		begin_writing(merge);
	tag_reader_start_segments(merge->reader, merge->tag, &sources, true);
	while (tag_reader_next(merge->reader, &run))
	{
		for (uint32 row = run.first; row < run.first + run.nrows; row++)
		{
			int64		time = run.rows->time[row];
			const StretchList *list = plan->compacted;

			while (compacted.next + 1 < list->nstretches &&
				   list->stretches[compacted.next].until < time)
				compacted.next++;
			if ((run.segment->flags & SEGMENT_COMPACTED) || plan->everything ||
				(plan->append && time > plan->after) ||
				(compacted.next < list->nstretches &&
				 (list->stretches[compacted.next].chosen || list->stretches[compacted.next].apart) &&
				 list->stretches[compacted.next].from <= time &&
				 time <= list->stretches[compacted.next].until &&
				 !is_held_back(plan->held, time)))
				append_row(&compacted, run.rows, row);
			else
				append_row(&rest, run.rows, row);
		}
	}
	write_rows(&compacted, true);
	write_rows(&rest, true);
	delete_sources(merge, &sources);
	summary_edit_finish_tag(merge->summaries, merge->tag, merge->sink);
}

/* Begins what writes segments and summaries, when the first tag has something to merge. */
static void
begin_writing(TagMerge *merge)
{
	MemoryContext caller = MemoryContextSwitchTo(merge->context);

	merge->sink = segment_sink_begin(merge->rel, GetCurrentTransactionId(), merge->cid, 0);
	merge->summaries = summary_edit_begin(merge->rel, merge->cid);
	segment_sink_note(merge->sink, summary_edit_added(merge->summaries));
	MemoryContextSwitchTo(caller);
}

/*
 * Returns the stretch that a time falls on: the last one of the list, or a later one, which is
 * added.
 */
static Stretch *
stretch_at(TagMerge *merge, text *key, StretchList *found, int64 time)
{
	Stretch    *stretch;
	StoredSegment stored;

	if (found->nstretches > 0 && time <= found->stretches[found->nstretches - 1].until)
		return &found->stretches[found->nstretches - 1];

	if (found->nstretches == found->capacity)
	{
		found->capacity = Max(16, found->capacity * 2);
		found->stretches = found->stretches == NULL
			? palloc_array(Stretch, found->capacity)
			: repalloc_huge(found->stretches, found->capacity * sizeof(Stretch));
	}
	stretch = &found->stretches[found->nstretches++];
	*stretch = (Stretch) {.from = PG_INT64_MIN, .until = PG_INT64_MAX};

	directory_seek_back(merge->cursor, key, time);
	stretch->has_segment = directory_next_back(merge->cursor, &stored);
	if (stretch->has_segment)
	{
		stretch->segment = segment_ref(&stored);
		stretch->from = stretch->segment.first_time;
		store_release(&stored);
	}
	directory_seek_forward(merge->cursor, key, time, PG_INT64_MAX);
	if (directory_next_forward(merge->cursor, &stored))
	{
		stretch->until = stored.segment.header.first_time - 1;
		store_release(&stored);
	}
	return stretch;
}

static bool
is_held_back(const RowsHeldBack *held, int64 time)
{
	if (held == NULL)
		return false;
	if (held->any && time <= held->until)
		return true;
	for (uint32 i = 0; held->within != NULL && i < held->within->nrefs; i++)
	{
		const SegmentRef *ref = &held->within->refs[i];

		if (ref->first_time <= time && time <= ref->last_time)
			return true;
	}
	return false;
}

/* Returns the plan's sources and the segments of the chosen stretches, in order of time. */
static SegmentList
all_sources(const TagMergePlan *plan)
{
	SegmentList sources = {0};

	for (uint32 i = 0; i < plan->sources->nrefs; i++)
		segment_list_add(&sources, &plan->sources->refs[i]);
	for (uint32 i = 0; i < plan->compacted->nstretches; i++)
	{
		const Stretch *stretch = &plan->compacted->stretches[i];

		if (stretch->chosen && stretch->has_segment)
			segment_list_add(&sources, &stretch->segment);
	}
	segment_list_sort(&sources);
	return sources;
}

static void
append_row(Output *output, const DecodedRows *rows, uint32 row)
{
	if (output->stretches != NULL)
		enter_stretch(output, rows->time[row]);
	Assert(output->rows.nrows == 0 ||
		   output->rows.time[output->rows.nrows - 1] < rows->time[row]);
	if (output->rows.nrows == STREAM_ROWS)
		write_rows(output, false);
	decoded_rows_append(rows, row, &output->rows);
}

/*
 * Moves to the stretch of the next row.  First writes out the gathered rows if a segment that stays
 * lies between them and that row.
 */
static void
enter_stretch(Output *output, int64 time)
{
	const Stretch *stretches = output->stretches->stretches;
	uint32		former = output->at;
	uint32		at = former == PG_UINT32_MAX ? 0 : former;
	bool		adjacent;

	while (stretches[at].until < time)
		at++;
	Assert(at < output->stretches->nstretches && stretches[at].from <= time);
	if (at == former)
		return;
	output->at = at;

	/* if the stretch is not chosen, its own segment stays, and lies before the row */
	adjacent = former != PG_UINT32_MAX && at == former + 1 &&
		stretches[former].until + 1 == stretches[at].from && stretches[at].chosen;
	if (!adjacent)
		write_rows(output, true);
}

/*
 * Cuts segments from the gathered rows: until none is left, or as long as there are twice as many
 * as the last segment took.
 */
static void
write_rows(Output *output, bool all)
{
	TagMerge   *merge = output->merge;
	RowBuffer  *rows = &output->rows;
	uint32		taken = 0;

	while (rows->nrows > 0 && (all || rows->nrows >= 2 * taken))
	{
		CodecRows	source = row_buffer_rows(rows, 0);

		source.nrows = rows_to_try(output);
		taken = segment_sink_write_one(merge->sink, &output->header, &source);
		row_buffer_shift(rows, taken);
		merge->segments_written++;
		merge->rows_written += taken;
	}
}

/*
 * Returns how many rows to offer for the next segment.  Where late rows have made a full segment a
 * little too large, two halves are better than a full segment and a small rest.  At the end of a
 * tag's rows they are not, because more rows will be appended to the rest.
 */
static uint32
rows_to_try(const Output *output)
{
	const RowBuffer *rows = &output->rows;
	const StretchList *list = output->stretches;

	if (list == NULL || list->stretches[output->at].until == PG_INT64_MAX)
		return rows->nrows;
	if (rows->nrows > output->usual_rows &&
		rows->nrows < output->usual_rows + output->usual_rows / 3)
		return (rows->nrows + 1) / 2;
	return rows->nrows;
}

/* Deletes what was merged, and counts it. */
static void
delete_sources(TagMerge *merge, const SegmentList *sources)
{
	for (uint32 i = 0; i < sources->nrefs; i++)
	{
		ItemPointerData tid = sources->refs[i].tid;

		/* does not fail while directory_lock() keeps other compactions and deletions away */
		if (!store_delete(merge->rel, &tid, merge->cid))
			ereport(ERROR,
					errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not compact historian table \"%s\" due to a concurrent change",
						   RelationGetRelationName(merge->rel)));
		emptied_blocks_add(merge->emptied, ItemPointerGetBlockNumber(&tid));
		store_count_rows(merge->rel, 0, sources->refs[i].nrows);
		merge->bytes_merged += sources->refs[i].bytes;
		summary_edit_removed(merge->summaries, &sources->refs[i]);
	}
	merge->segments_merged += sources->nrefs;
}
