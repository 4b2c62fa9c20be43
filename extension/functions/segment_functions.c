/*
 * segment_functions.c
 *	  historian.segments() and tag_info(): how a tag is stored.
 *
 * Segments that overlap in time may have rows of one time, of which one counts.  So they are shown
 * together, as one range, and their times are read.  Of all others the headers tell everything, and
 * of those that are summarized the summaries do, which are fewer.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "functions/time_arguments.h"
#include "nanoseconds.h"
#include "read/leaves.h"
#include "read/period_reader.h"
#include "read/tag_reader.h"
#include "store/segment_list.h"
#include "store/summary.h"

PG_FUNCTION_INFO_V1(historian_segments);
PG_FUNCTION_INFO_V1(historian_segments_within);
PG_FUNCTION_INFO_V1(historian_tag_info);

#define SEGMENTS_NCOLUMNS 5
#define TAG_INFO_NCOLUMNS 7

/* What a time and a value take uncompressed. */
#define NUMBER_BYTES 8

/* Segments that overlap, or one; where only the total counts, also several that follow each other. */
typedef struct SegmentRange
{
	int64		first_time;
	int64		last_time;
	int64		rows;
	int64		segments;
	int64		bytes;
} SegmentRange;

typedef struct SegmentRanges
{
	SegmentRange *ranges;		/* in order of time */
	uint64		nranges;
	uint64		capacity;
	bool		total_only;		/* summaries that are stored together may become one range */
} SegmentRanges;

/* A tag in one table, and the part of it that is listed. */
typedef struct Listing
{
	SegmentRanges *list;
	const Leaf *leaf;
	Snapshot	snapshot;
	text	   *tag;
	int64		from;
	int64		until;
	SegmentList others;			/* the segments that are not compacted */
	SummaryBlock block;
} Listing;

static void put_segments(FunctionCallInfo fcinfo, int64 from, int64 until, bool reverse);
static HeapTuple form_row(TupleDesc desc);
static SegmentRanges list_ranges(const Leaves *leaves, text *tag, int64 from, int64 until,
								 bool total_only);
static bool list_segments(SegmentRanges *list, const Leaves *leaves, text *tag, int64 *from,
						  int64 *until);
static void add_leaf(SegmentRanges *list, const Leaf *leaf, Snapshot snapshot, text *tag, int64 from,
					 int64 until);
static void add_foreign(SegmentRanges *list, const Leaf *leaf, text *tag);
static SegmentList list_summaries(const Listing *listing);
static void add_summaries(Listing *listing, const SegmentList *summaries);
static void add_compacted(const Listing *listing, int64 not_before, int64 from, int64 until);
static bool add_total(const Listing *listing, const SegmentRef *summaries);
static void add_summarized(Listing *listing, const SegmentRef *summaries);
static int64 segment_bytes(const Listing *listing, int64 nsegments, int64 block_bytes);
static void add_segment(SegmentRanges *list, const SegmentRef *ref);
static void add_range(SegmentRanges *list, const SegmentRange *range);
static void merge_overlapping(SegmentRanges *list, const Leaves *leaves, text *tag);
static int64 count_rows(const Leaves *leaves, text *tag, int64 from, int64 until);
static uint32 last_width(const Leaves *leaves, text *tag);
static int	compare_ranges(const void *left, const void *right);
static Datum time_datum(int64 time, Oid type);

/*
 * historian.segments(table regclass, tag text, reverse boolean) returns setof (first_time, last_time,
 * samples bigint, segments bigint, bytes bigint)
 */
Datum
historian_segments(PG_FUNCTION_ARGS)
{
	put_segments(fcinfo, PG_INT64_MIN, PG_INT64_MAX, PG_GETARG_BOOL(2));
	return (Datum) 0;
}

/* historian.segments(table regclass, tag text, start, "end", reverse boolean) returns setof the same */
Datum
historian_segments_within(PG_FUNCTION_ARGS)
{
	int64		from;
	int64		until;

	if (time_argument_range(fcinfo, 2, false, &from, &until))
		put_segments(fcinfo, from, until, PG_GETARG_BOOL(4));
	else
		InitMaterializedSRF(fcinfo, 0);
	return (Datum) 0;
}

/*
 * historian.tag_info(table regclass, tag text) returns record (first_time bigint, last_time bigint,
 * samples bigint, segments bigint, bytes bigint, width integer, compression float8)
 */
Datum
historian_tag_info(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	Leaves	   *with_tag = leaves_for_tag(leaves, tag);
	SegmentRanges list = list_ranges(with_tag, tag, PG_INT64_MIN, PG_INT64_MAX, true);
	SegmentRange all = {0};
	uint32		width = last_width(with_tag, tag);
	bool		none = list.nranges == 0;
	Datum		values[TAG_INFO_NCOLUMNS];
	bool		isnull[TAG_INFO_NCOLUMNS] = {none, none, false, false, false, none, false};
	TupleDesc	desc;

	for (uint64 i = 0; i < list.nranges; i++)
	{
		all.rows += list.ranges[i].rows;
		all.segments += list.ranges[i].segments;
		all.bytes += list.ranges[i].bytes;
	}
	if (!none)
	{
		all.first_time = list.ranges[0].first_time;
		all.last_time = list.ranges[list.nranges - 1].last_time;
	}
	leaves_close(leaves);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(all.first_time);
	values[1] = Int64GetDatum(all.last_time);
	values[2] = Int64GetDatum(all.rows);
	values[3] = Int64GetDatum(all.segments);
	values[4] = Int64GetDatum(all.bytes);
	values[5] = Int32GetDatum(width);
	/* the bytes of foreign partitions are not known */
	isnull[6] = all.bytes == 0;
	values[6] = isnull[6] ? (Datum) 0
		: Float8GetDatum((double) all.rows * NUMBER_BYTES * (1 + width) / all.bytes);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/* Puts the ranges that meet from..until. */
static void
put_segments(FunctionCallInfo fcinfo, int64 from, int64 until, bool reverse)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	SegmentRanges list;
	HeapTuple	row;
	int64	   *columns;
	Oid			type;

	InitMaterializedSRF(fcinfo, 0);
	type = TupleDescAttr(result->setDesc, 0)->atttypid;
	row = form_row(result->setDesc);
	columns = (int64 *) ((char *) row->t_data + row->t_data->t_hoff);
	list = list_ranges(leaves_for_tag(leaves, tag), tag, from, until, false);
	for (uint64 i = 0; i < list.nranges; i++)
	{
		const SegmentRange *range = &list.ranges[reverse ? list.nranges - 1 - i : i];

		if (range->first_time > until || range->last_time < from)
			continue;
		columns[0] = DatumGetInt64(time_datum(range->first_time, type));
		columns[1] = DatumGetInt64(time_datum(range->last_time, type));
		columns[2] = range->rows;
		columns[3] = range->segments;
		columns[4] = range->bytes;
		tuplestore_puttuple(result->setResult, row);
	}
	leaves_close(leaves);
}

/*
 * Forms a row of segments() whose numbers are yet to be set.  They have 8 bytes each and are never NULL,
 * so that one row is formed for all; forming each would take a fifth of the time.
 */
static HeapTuple
form_row(TupleDesc desc)
{
	Datum		zeros[SEGMENTS_NCOLUMNS] = {0};
	bool		isnull[SEGMENTS_NCOLUMNS] = {false};

	for (int i = 0; i < SEGMENTS_NCOLUMNS; i++)
		Assert(TupleDescAttr(desc, i)->attlen == sizeof(int64));
	return heap_form_tuple(desc, zeros, isnull);
}

/*
 * Lists the ranges of a tag that meet from..until, in order of time.  What meets it may overlap
 * segments that do not, which belong to the same range.
 */
static SegmentRanges
list_ranges(const Leaves *leaves, text *tag, int64 from, int64 until, bool total_only)
{
	SegmentRanges list = {.total_only = total_only};

	while (list_segments(&list, leaves, tag, &from, &until))
		list.nranges = 0;
	if (list.nranges > 0)
	{
		qsort(list.ranges, list.nranges, sizeof(SegmentRange), compare_ranges);
		merge_overlapping(&list, leaves, tag);
	}
	return list;
}

/*
 * Lists the segments that meet *from..*until, each as a range of its own.  Returns whether there are
 * any that reach beyond, and sets these times to theirs.
 */
static bool
list_segments(SegmentRanges *list, const Leaves *leaves, text *tag, int64 *from, int64 *until)
{
	int64		first_time = *from;
	int64		last_time = *until;

	for (uint32 i = 0; i < leaves->nleaves; i++)
		add_leaf(list, &leaves->leaves[i], leaves->snapshot, tag, *from, *until);
	for (uint64 i = 0; i < list->nranges; i++)
	{
		first_time = Min(first_time, list->ranges[i].first_time);
		last_time = Max(last_time, list->ranges[i].last_time);
	}
	if (first_time == *from && last_time == *until)
		return false;
	*from = first_time;
	*until = last_time;
	return true;
}

/*
 * Adds the segments of a leaf that meet from..until.  Between those that are summarized there are no
 * compacted segments without a summary.
 */
static void
add_leaf(SegmentRanges *list, const Leaf *leaf, Snapshot snapshot, text *tag, int64 from, int64 until)
{
	Listing		listing = {
		.list = list,
		.leaf = leaf,
		.snapshot = snapshot,
		.tag = tag,
		.from = from,
		.until = until,
	};
	SegmentList summaries;

	CHECK_FOR_INTERRUPTS();
	if (leaf_is_by_sql(leaf))
	{
		add_foreign(list, leaf, tag);
		return;
	}
	segment_list_load(&listing.others, leaf->cursor, tag, from, until);
	for (uint32 i = 0; i < listing.others.nrefs; i++)
		add_segment(list, &listing.others.refs[i]);

	summaries = list_summaries(&listing);
	if (summaries.nrefs == 0)
		add_compacted(&listing, PG_INT64_MIN, from, until);
	else
	{
		int64		first_time = summaries.refs[0].first_time;
		int64		last_time = summaries.refs[summaries.nrefs - 1].last_time;

		if (first_time > from)
			add_compacted(&listing, PG_INT64_MIN, from, first_time - 1);
		add_summaries(&listing, &summaries);
		if (last_time < until)
			add_compacted(&listing, last_time + 1, Max(from, last_time + 1), until);
		pfree(summaries.refs);
	}
	if (listing.others.refs != NULL)
		pfree(listing.others.refs);
	summary_block_free(&listing.block);
}

/* Adds all rows of a leaf that is read by SQL as one range. */
static void
add_foreign(SegmentRanges *list, const Leaf *leaf, text *tag)
{
	uint32		ntags;
	ForeignTag *foreign = foreign_rows_tags(leaf->rel, tag, &ntags);

	if (ntags > 0)
		add_range(list, &(SegmentRange) {
			.first_time = foreign->first_time,
			.last_time = foreign->last_time,
			.rows = foreign->rows,
		});
}

/* Lists the stored summaries in whose range from..until is, or a part of it; the first may end before. */
static SegmentList
list_summaries(const Listing *listing)
{
	DirectoryCursor *cursor = listing->leaf->cursor;
	SegmentList summaries = {0};
	StoredSegment stored;
	text	   *key;
	bool		found;

	if (!historian_enable_summaries)
		return summaries;
	key = directory_summary_tag(listing->tag);
	directory_seek_back(cursor, key, listing->from);
	directory_seek_forward(cursor, key, listing->from, listing->until);
	found = directory_next_back(cursor, &stored) || directory_next_forward(cursor, &stored);
	while (found)
	{
		SegmentRef	ref = segment_ref(&stored);

		CHECK_FOR_INTERRUPTS();
		store_release(&stored);
		segment_list_add(&summaries, &ref);
		found = directory_next_forward(cursor, &stored);
	}
	return summaries;
}

/* Adds the segments of stored summaries that meet from..until.  Those of incomplete ones are looked at. */
static void
add_summaries(Listing *listing, const SegmentList *summaries)
{
	for (uint32 i = 0; i < summaries->nrefs; i++)
	{
		const SegmentRef *ref = &summaries->refs[i];
		int64		first_time = ref->first_time;

		CHECK_FOR_INTERRUPTS();
		if (ref->flags & SEGMENT_SUMMARY_TOTALS)
		{
			if (!listing->list->total_only || !add_total(listing, ref))
				add_summarized(listing, ref);
			continue;
		}
		while (i + 1 < summaries->nrefs &&
			   !(summaries->refs[i + 1].flags & SEGMENT_SUMMARY_TOTALS))
			ref = &summaries->refs[++i];
		if (ref->last_time >= listing->from)
			add_compacted(listing, first_time, Max(listing->from, first_time),
						  Min(listing->until, ref->last_time));
	}
}

/*
 * Adds the compacted segments that meet from..until, by looking at each.  None of them begins before
 * not_before.
 */
static void
add_compacted(const Listing *listing, int64 not_before, int64 from, int64 until)
{
	DirectoryCursor *cursor = listing->leaf->cursor;
	StoredSegment stored;

	directory_seek_back_within(cursor, listing->tag, not_before, from);
	if (directory_next_back(cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		store_release(&stored);
		if (ref.last_time >= from)
			add_segment(listing->list, &ref);
	}
	directory_seek_forward(cursor, listing->tag, from, until);
	while (directory_next_forward(cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		CHECK_FOR_INTERRUPTS();
		store_release(&stored);
		add_segment(listing->list, &ref);
	}
}

/*
 * Adds what stored summaries amount to as one range.  Returns false if some of their segments may overlap
 * others or be outside of from..until.
 */
static bool
add_total(const Listing *listing, const SegmentRef *summaries)
{
	SegmentHeader header = {.flags = summaries->flags, .sequence = summaries->sequence};
	SummaryTotals totals;

	if (!summary_read_totals(&header, &totals) || summaries->first_time < listing->from ||
		summaries->last_time > listing->until)
		return false;
	for (uint32 i = 0; i < listing->others.nrefs; i++)
	{
		const SegmentRef *other = &listing->others.refs[i];

		if (other->first_time > summaries->last_time)
			break;
		if (other->last_time >= summaries->first_time)
			return false;
	}
	add_range(listing->list, &(SegmentRange) {
		.first_time = summaries->first_time,
		.last_time = summaries->last_time,
		.rows = totals.nrows,
		.segments = totals.nsegments,
		.bytes = segment_bytes(listing, totals.nsegments, totals.block_bytes),
	});
	return true;
}

/* Adds the segments of stored summaries that meet from..until, each as a range of its own. */
static void
add_summarized(Listing *listing, const SegmentRef *summaries)
{
	SummaryBlock *block = &listing->block;
	Relation	rel = listing->leaf->rel;
	StoredSegment stored;

	/* without the tag, by which summaries are not keyed */
	segment_ref_fetch(rel, listing->snapshot, NULL, summaries, &stored);
	store_open_rows(rel, &stored, false);
	if (!summary_block_load(block, &stored.segment, SUMMARY_WANT_STORED, values_all))
		store_report(rel, &stored.tuple.t_self, &stored.segment.header, SEGMENT_BAD_ROWS);
	store_release(&stored);
	for (uint32 i = 0; i < block->nsegments && block->first_time[i] <= listing->until; i++)
	{
		if (block->last_time[i] < listing->from)
			continue;
		if (block->nstored[i] == 1)
			add_range(listing->list, &(SegmentRange) {
				.first_time = block->first_time[i],
				.last_time = block->last_time[i],
				.rows = block->nrows[i],
				.segments = 1,
				.bytes = segment_bytes(listing, 1, block->block_bytes[i]),
			});
		else
			add_compacted(listing, block->first_time[i],
						  Max(listing->from, block->first_time[i]),
						  Min(listing->until, block->last_time[i]));
	}
}

/* The bytes of segments of the tag whose blocks have so many. */
static int64
segment_bytes(const Listing *listing, int64 nsegments, int64 block_bytes)
{
	return block_bytes + nsegments * (int64) (SEGMENT_HEADER_BYTES + VARSIZE_ANY_EXHDR(listing->tag));
}

static void
add_segment(SegmentRanges *list, const SegmentRef *ref)
{
	add_range(list, &(SegmentRange) {
		.first_time = ref->first_time,
		.last_time = ref->last_time,
		.rows = ref->nrows,
		.segments = 1,
		.bytes = ref->bytes,
	});
}

static void
add_range(SegmentRanges *list, const SegmentRange *range)
{
	if (list->nranges == list->capacity)
	{
		list->capacity = Max(2 * list->capacity, 64);
		list->ranges = list->ranges == NULL
			? palloc_extended(list->capacity * sizeof(SegmentRange), MCXT_ALLOC_HUGE)
			: repalloc_huge(list->ranges, list->capacity * sizeof(SegmentRange));
	}
	list->ranges[list->nranges++] = *range;
}

/* Makes one range of those that overlap, and counts the rows of that. */
static void
merge_overlapping(SegmentRanges *list, const Leaves *leaves, text *tag)
{
	uint64		merged = 0;
	bool		overlap = false;

	for (uint64 i = 1; i <= list->nranges; i++)
	{
		SegmentRange *last = &list->ranges[merged];
		const SegmentRange *next = &list->ranges[i];

		if (i < list->nranges && next->first_time <= last->last_time)
		{
			last->last_time = Max(last->last_time, next->last_time);
			last->segments += next->segments;
			last->bytes += next->bytes;
			overlap = true;
			continue;
		}
		if (overlap)
			last->rows = count_rows(leaves, tag, last->first_time, last->last_time);
		overlap = false;
		if (i < list->nranges)
			list->ranges[++merged] = *next;
	}
	list->nranges = merged + 1;
}

/* Counts the rows of a tag in a range of time, by reading their times. */
static int64
count_rows(const Leaves *leaves, text *tag, int64 from, int64 until)
{
	TagReader  *reader = tag_reader_begin_leaves(leaves);
	int64		rows = 0;
	RowRun		run;

	tag_reader_start(reader, tag, from, until, false);
	while (tag_reader_next(reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		rows += run.nrows;
	}
	tag_reader_end(reader);
	return rows;
}

/* The number of values of the widest row in the segment that has the tag's last row; or 0. */
static uint32
last_width(const Leaves *leaves, text *tag)
{
	TagReader  *reader = tag_reader_begin_leaves(leaves);
	uint32		width = 0;
	RowRun		run;

	tag_reader_start_backward(reader, tag, PG_INT64_MIN, PG_INT64_MAX, false);
	if (tag_reader_next(reader, &run))
		width = run.rows->widest;
	tag_reader_end(reader);
	return width;
}

static int
compare_ranges(const void *left, const void *right)
{
	const SegmentRange *a = left;
	const SegmentRange *b = right;

	return a->first_time < b->first_time ? -1 : a->first_time > b->first_time;
}

static Datum
time_datum(int64 time, Oid type)
{
	return type == TIMESTAMPTZOID ? TimestampTzGetDatum(nanoseconds_to_timestamptz(time))
		: Int64GetDatum(time);
}
