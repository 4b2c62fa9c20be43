/*
 * period_reader.c
 *	  Reads consecutive periods of a tag, as rows or as summaries of whole segments.
 *
 * The reader walks along the tag's summaries.  A summary is used in place of its segment's rows if
 * the segment lies wholly in one period, if the summary has what is wanted of values, and if no
 * pending or late segment overlaps it, whose rows may replace some of its own.  Everything between
 * such segments is read row by row: segments that a period's end cuts, those not summarized yet, and
 * pending and late ones.
 */
#include "postgres.h"

#include "read/period_reader.h"

#include "miscadmin.h"

#include "store/directory.h"
#include "store/segment_list.h"

bool		historian_enable_summaries = true;

/*
 * A closed range of time that pending and late segments ("pending" below) cover.  These ranges are
 * disjoint and in order.
 */
typedef struct TimeSpan
{
	int64		from;
	int64		until;
} TimeSpan;

struct PeriodReader
{
	Relation	rel;
	DirectoryCursor *cursor;
	text	   *tag;
	const int64 *ends;
	uint32		nends;
	int			facets;
	ValueRange	values;
	MemoryContext context;

	SegmentList pending;
	TimeSpan   *spans;
	uint32		nspans;

	/* what is returned next: rows first, then segments */
	SliceReader *rows;
	bool		in_rows;
	bool		has_segment;	/* segment `next` of the block can be returned */
	bool		at_end;			/* nothing comes after the rows */
	uint32		period;			/* of that segment */
	int64		position;		/* everything before it has been returned, or is among the rows */
	bool		after_segment;	/* a segment was returned that ends just before position */

	/* the walk along the summaries */
	DirectoryCursor *summaries;
	SummaryBlock block;
	uint32		next;
};

static void list_spans(PeriodReader *reader);
static void find_segment(PeriodReader *reader);
static bool next_block(PeriodReader *reader);
static bool load_block(PeriodReader *reader, StoredSegment *stored);
static bool is_counted_whole(const PeriodReader *reader, const SegmentHeader *header);
static bool is_usable(PeriodReader *reader, uint32 segment);
static bool has_deviations(const PeriodReader *reader, uint32 segment);
static bool pending_meets(const PeriodReader *reader, int64 from, int64 until);
static void take_segments(PeriodReader *reader, PeriodPart *part);

static inline int64
last_end(const PeriodReader *reader)
{
	return reader->ends[reader->nends - 1];
}

PeriodReader *
period_reader_begin(Relation rel, DirectoryCursor *cursor, Snapshot snapshot, text *tag,
					int64 from, const int64 *ends, uint32 nends, int facets, ValueRange values)
{
	PeriodReader *reader = palloc0(sizeof(PeriodReader));
	StoredSegment stored;
	text	   *key;

	reader->rel = rel;
	reader->cursor = cursor;
	reader->tag = tag;
	reader->ends = ends;
	reader->nends = nends;
	reader->facets = facets;
	reader->values = values;
	reader->context = CurrentMemoryContext;
	reader->position = from;

	segment_list_load(&reader->pending, cursor, tag, from, last_end(reader));
	list_spans(reader);
	reader->rows = slice_reader_begin_parts(rel, cursor, snapshot, tag, ends, nends,
											facets != PERIOD_COUNTS_ONLY && facets != PERIOD_WIDTHS_ONLY);
	slice_reader_restrict_values(reader->rows, values);
	if (!historian_enable_summaries || facets == PERIOD_ROWS_ONLY)
	{
		slice_reader_start_part(reader->rows, from, last_end(reader), &reader->pending, false);
		reader->in_rows = true;
		reader->at_end = true;
		return reader;
	}

	reader->summaries = directory_begin(rel, snapshot);
	key = directory_summary_tag(tag);
	directory_seek_back(reader->summaries, key, from);
	if (directory_next_back(reader->summaries, &stored))
		load_block(reader, &stored);
	directory_end_back(reader->summaries);
	directory_seek_forward(reader->summaries, key, from, last_end(reader));
	find_segment(reader);
	return reader;
}

void
period_reader_end(PeriodReader *reader)
{
	slice_reader_end(reader->rows);
	if (reader->summaries != NULL)
		directory_end(reader->summaries);
	if (reader->pending.refs != NULL)
		pfree(reader->pending.refs);
	summary_block_free(&reader->block);
	pfree(reader->spans);
	pfree(reader);
}

bool
period_reader_next(PeriodReader *reader, PeriodPart *part)
{
	for (;;)
	{
		if (reader->in_rows)
		{
			if (slice_reader_next(reader->rows, &part->rows))
			{
				part->period = part->rows.period;
				part->summarized = false;
				return true;
			}
			reader->in_rows = false;
		}
		if (reader->has_segment)
		{
			take_segments(reader, part);
			return true;
		}
		if (reader->at_end)
			return false;
		find_segment(reader);
	}
}

int
period_reader_facets(int facets)
{
	int			wanted = 0;

	if (facets & REDUCTION_SPREAD)
		wanted |= 1 << SUMMARY_SUM | 1 << SUMMARY_REST | 1 << SUMMARY_DEVIATION | 1 << SUMMARY_MIN;
	if (facets & REDUCTION_SUM)
		wanted |= 1 << SUMMARY_SUM;
	if (facets & REDUCTION_EXTREMES)
		wanted |= 1 << SUMMARY_MIN | 1 << SUMMARY_MAX;
	if (facets & REDUCTION_ENDS)
		wanted |= 1 << SUMMARY_FIRST | 1 << SUMMARY_LAST;
	return wanted;
}

void
summary_slice_reduce(const SummarySlice *slice, uint32 v, int64 count, int facets,
					 Reduction *reduction)
{
	ReducedParts parts = {
		.nparts = slice->nsegments,
		.count = count,
		.counts = slice->block->nrows + slice->first,
		.sum = summary_slice_values(slice, SUMMARY_SUM, v),
		.min = summary_slice_values(slice, SUMMARY_MIN, v),
		.max = summary_slice_values(slice, SUMMARY_MAX, v),
		.first = summary_slice_values(slice, SUMMARY_FIRST, v),
		.last = summary_slice_values(slice, SUMMARY_LAST, v),
		.rest = summary_slice_values(slice, SUMMARY_REST, v),
		.deviation = summary_slice_values(slice, SUMMARY_DEVIATION, v),
	};

	reduction_add_parts(reduction, facets, &parts);
}

/* Sets the ranges that pending segments cover, from their list in order of first_time. */
static void
list_spans(PeriodReader *reader)
{
	const SegmentList *pending = &reader->pending;

	reader->spans = palloc_extended(Max(pending->nrefs, 1) * sizeof(TimeSpan), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < pending->nrefs; i++)
	{
		TimeSpan   *last = reader->spans + reader->nspans - 1;

		if (reader->nspans > 0 && pending->refs[i].first_time <= last->until)
			last->until = Max(last->until, pending->refs[i].last_time);
		else
			reader->spans[reader->nspans++] = (TimeSpan) {
				.from = pending->refs[i].first_time,
				.until = pending->refs[i].last_time,
			};
	}
}

/*
 * Finds the next segment that can be returned, and starts to read the rows between position and it,
 * or the end if there is no such segment, unless it is known that there are no rows.
 */
static void
find_segment(PeriodReader *reader)
{
	const SummaryBlock *block = &reader->block;
	bool		has_rows = !reader->after_segment;
	int64		until = last_end(reader);

	for (;; reader->next++)
	{
		if (reader->next == block->nsegments)
		{
			if (!next_block(reader))
			{
				/* segments without a summary may follow; there are none between two summaries */
				has_rows = true;
				break;
			}
		}
		if (block->first_time[reader->next] < reader->position)
			continue;
		if (block->first_time[reader->next] > until)
			break;
		if (is_usable(reader, reader->next))
		{
			reader->has_segment = true;
			until = block->first_time[reader->next];
			break;
		}
		has_rows = true;
	}

	reader->at_end = !reader->has_segment;
	if (reader->has_segment)
	{
		/* there is no row before it, and until - 1 might overflow */
		if (until == reader->position)
			return;
		until--;
	}
	if (reader->position <= until &&
		(has_rows || pending_meets(reader, reader->position, until)))
	{
		slice_reader_start_part(reader->rows, reader->position, until, &reader->pending,
								reader->after_segment);
		reader->in_rows = true;
	}
}

static bool
next_block(PeriodReader *reader)
{
	StoredSegment stored;

	return directory_next_forward(reader->summaries, &stored) && load_block(reader, &stored);
}

/* Loads a stored segment of summaries, and releases it. */
static bool
load_block(PeriodReader *reader, StoredSegment *stored)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);

	if (!is_counted_whole(reader, &stored->segment.header) ||
		!summary_block_load_whole(&reader->block, &stored->segment.header))
	{
		store_open_rows(reader->rel, stored, false);
		if (!summary_block_load(&reader->block, &stored->segment, Max(reader->facets, 0),
								reader->values))
			store_report(reader->rel, &stored->tuple.t_self, &stored->segment.header,
						 SEGMENT_BAD_ROWS);
	}
	store_release(stored);
	MemoryContextSwitchTo(caller);
	reader->next = 0;
	return true;
}

/*
 * Is it enough to know what all summaries of a stored segment amount to?  It is where rows are counted,
 * all of them in one period, and nothing pending is between them.
 */
static bool
is_counted_whole(const PeriodReader *reader, const SegmentHeader *header)
{
	uint32		period = reader->period;

	if (reader->facets != PERIOD_COUNTS_ONLY || header->first_time < reader->position ||
		header->last_time > last_end(reader))
		return false;
	while (reader->ends[period] < header->first_time)
		period++;
	return header->last_time <= reader->ends[period] &&
		!pending_meets(reader, header->first_time, header->last_time);
}

/* Can the segment be returned?  Moves on to the period in which it begins. */
static bool
is_usable(PeriodReader *reader, uint32 segment)
{
	const SummaryBlock *block = &reader->block;

	while (reader->ends[reader->period] < block->first_time[segment])
		reader->period++;
	return (block->width[segment] > 0 || reader->facets == PERIOD_COUNTS_ONLY) &&
		block->last_time[segment] <= reader->ends[reader->period] &&
		has_deviations(reader, segment) &&
		!pending_meets(reader, block->first_time[segment], block->last_time[segment]);
}

/* Are the deviations of all values of a segment known that are wanted? */
static bool
has_deviations(const PeriodReader *reader, uint32 segment)
{
	const SummaryBlock *block = &reader->block;
	const double *deviation = block->facet[SUMMARY_DEVIATION];
	uint32		width = block->width[segment];

	if (deviation == NULL)
		return true;
	width = width > reader->values.first ? Min(width - reader->values.first, block->nvalues) : 0;
	for (uint32 v = 0; v < width; v++)
	{
		if (deviation[(Size) v * block->nsegments + segment] == SUMMARY_UNKNOWN)
			return false;
	}
	return true;
}

/*
 * Does the span of any pending segment overlap the range?  None of its rows need be in the range.
 */
static bool
pending_meets(const PeriodReader *reader, int64 from, int64 until)
{
	uint32		low = 0;
	uint32		high = reader->nspans;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (reader->spans[middle].until < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < reader->nspans && reader->spans[low].from <= until;
}

/* Returns the segment found, and those after it that can be returned with it. */
static void
take_segments(PeriodReader *reader, PeriodPart *part)
{
	const SummaryBlock *block = &reader->block;
	uint32		first = reader->next;
	uint32		end = first + 1;

	while (end < block->nsegments && block->width[end] == block->width[first] &&
		   block->last_time[end] <= reader->ends[reader->period] && has_deviations(reader, end) &&
		   !pending_meets(reader, block->last_time[end - 1], block->last_time[end]))
		end++;

	part->period = reader->period;
	part->summarized = true;
	part->summaries.block = block;
	part->summaries.first = first;
	part->summaries.nsegments = end - first;

	CHECK_FOR_INTERRUPTS();
	reader->has_segment = false;
	reader->next = end;
	reader->at_end = block->last_time[end - 1] >= last_end(reader);
	if (!reader->at_end)
		reader->position = block->last_time[end - 1] + 1;
	reader->after_segment = true;
}
