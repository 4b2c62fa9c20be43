/*
 * segment_functions.c
 *	  historian.segments() and tag_info(): how a tag is stored.
 *
 * Segments that overlap in time may have rows of one time, of which one counts.  So they are shown
 * together, as one range, and their times are read.  Of all others the headers tell everything.
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
#include "read/tag_reader.h"
#include "store/segment_list.h"

PG_FUNCTION_INFO_V1(historian_segments);
PG_FUNCTION_INFO_V1(historian_segments_within);
PG_FUNCTION_INFO_V1(historian_tag_info);

#define SEGMENTS_NCOLUMNS 5
#define TAG_INFO_NCOLUMNS 7

/* What a time and a value take uncompressed. */
#define NUMBER_BYTES 8

/* Segments that overlap, or one. */
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
} SegmentRanges;

static void put_segments(FunctionCallInfo fcinfo, int64 from, int64 until, bool reverse);
static SegmentRanges list_ranges(const Leaves *leaves, text *tag, int64 from, int64 until);
static bool list_segments(SegmentRanges *list, const Leaves *leaves, text *tag, int64 *from,
						  int64 *until);
static void add_leaf(SegmentRanges *list, const Leaf *leaf, text *tag, int64 from, int64 until);
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
	SegmentRanges list = list_ranges(with_tag, tag, PG_INT64_MIN, PG_INT64_MAX);
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
	Oid			type;

	InitMaterializedSRF(fcinfo, 0);
	type = TupleDescAttr(result->setDesc, 0)->atttypid;
	list = list_ranges(leaves_for_tag(leaves, tag), tag, from, until);
	for (uint64 i = 0; i < list.nranges; i++)
	{
		const SegmentRange *range = &list.ranges[reverse ? list.nranges - 1 - i : i];
		bool		isnull[SEGMENTS_NCOLUMNS] = {0};
		Datum		row[SEGMENTS_NCOLUMNS] = {
			time_datum(range->first_time, type),
			time_datum(range->last_time, type),
			Int64GetDatum(range->rows),
			Int64GetDatum(range->segments),
			Int64GetDatum(range->bytes),
		};

		if (range->first_time <= until && range->last_time >= from)
			tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
	}
	leaves_close(leaves);
}

/*
 * Lists the ranges of a tag that meet from..until, in order of time.  What meets it may overlap
 * segments that do not, which belong to the same range.
 */
static SegmentRanges
list_ranges(const Leaves *leaves, text *tag, int64 from, int64 until)
{
	SegmentRanges list = {0};

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
		add_leaf(list, &leaves->leaves[i], tag, *from, *until);
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

/* Adds the segments of a leaf that meet from..until; of a foreign one all rows as one range. */
static void
add_leaf(SegmentRanges *list, const Leaf *leaf, text *tag, int64 from, int64 until)
{
	SegmentList segments = {0};
	StoredSegment stored;

	CHECK_FOR_INTERRUPTS();
	if (leaf_is_by_sql(leaf))
	{
		uint32		ntags;
		ForeignTag *foreign = foreign_rows_tags(leaf->rel, tag, &ntags);

		if (ntags > 0)
			add_range(list, &(SegmentRange) {
				.first_time = foreign->first_time,
				.last_time = foreign->last_time,
				.rows = foreign->rows,
			});
		return;
	}
	segment_list_load(&segments, leaf->cursor, tag, from, until);
	for (uint32 i = 0; i < segments.nrefs; i++)
		add_segment(list, &segments.refs[i]);
	if (segments.refs != NULL)
		pfree(segments.refs);

	directory_seek_back(leaf->cursor, tag, from);
	if (directory_next_back(leaf->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		store_release(&stored);
		if (ref.last_time >= from)
			add_segment(list, &ref);
	}
	directory_seek_forward(leaf->cursor, tag, from, until);
	while (directory_next_forward(leaf->cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		CHECK_FOR_INTERRUPTS();
		store_release(&stored);
		add_segment(list, &ref);
	}
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
