/*
 * tags_function.c
 *	  historian.tags(), tag_stat() and last_times(): the tags of a table, or some of them, with their
 *	  times and numbers of rows.
 *
 * The headers of segments have all of it, unless segments overlap.  Overlapping segments may have
 * rows of one time, which count once, so their times are read.  Compacted segments never overlap
 * each other.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "read/leaves.h"
#include "read/tag_reader.h"
#include "tag.h"

PG_FUNCTION_INFO_V1(historian_tags);
PG_FUNCTION_INFO_V1(historian_tag_stat);
PG_FUNCTION_INFO_V1(historian_last_times);

#define TAGS_NCOLUMNS 4
#define TAG_STAT_NCOLUMNS 4
#define LAST_TIMES_NCOLUMNS 2

typedef struct TagRows
{
	int64		first_time;
	int64		last_time;
	int64		rows;
	int64		bytes;			/* of the segments */
} TagRows;

#define NO_ROWS ((TagRows) {.first_time = PG_INT64_MAX, .last_time = PG_INT64_MIN})

/* What is needed to read the tags of one leaf. */
typedef struct TagsReader
{
	Relation	rel;
	Snapshot	snapshot;
	DirectoryCursor *cursor;
	SegmentList *segments;		/* of the present tag; its memory is used again for the next */
} TagsReader;

static void put_last_time(ReturnSetInfo *result, const Leaves *with_tag, SegmentList *segments,
						  text *tag);
static bool last_time_in(const Leaf *leaf, SegmentList *segments, text *tag, int64 *last_time);
static TagRows rows_of(const Leaves *with_tag, Snapshot snapshot, SegmentList *segments, text *tag);
static void add_foreign_rows(const Leaf *leaf, text *tag, TagRows *found);
static void add_rows(const TagsReader *tags, text *tag, TagRows *found);
static int64 count_rows(const TagsReader *tags, text *tag);
static int64 count_merged(const TagsReader *tags, text *tag, int64 from, int64 until);

/*
 * historian.tags(table regclass) returns setof (tag text, first_time bigint, last_time bigint,
 * samples bigint)
 */
Datum
historian_tags(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	SegmentList segments = {0};
	TagWalk    *walk;
	Leaves	   *with_tag;
	text	   *tag;

	InitMaterializedSRF(fcinfo, 0);
	walk = tag_walk_begin(leaves);
	while ((tag = tag_walk_next(walk, &with_tag)) != NULL)
	{
		TagRows		found = rows_of(with_tag, leaves->snapshot, &segments, tag);

		if (found.rows > 0)
		{
			Datum		row[TAGS_NCOLUMNS] = {
				PointerGetDatum(tag),
				Int64GetDatum(found.first_time),
				Int64GetDatum(found.last_time),
				Int64GetDatum(found.rows),
			};
			bool		isnull[TAGS_NCOLUMNS] = {0};

			tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
		}
		leaves_free(with_tag);
		pfree(tag);
	}
	leaves_close(leaves);
	return (Datum) 0;
}

/*
 * historian.tag_stat(table regclass, tag text) returns record (first_time bigint, last_time bigint,
 * samples bigint, bytes bigint)
 */
Datum
historian_tag_stat(PG_FUNCTION_ARGS)
{
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Leaves	   *leaves = leaves_open(PG_GETARG_OID(0));
	SegmentList segments = {0};
	TagRows		found = rows_of(leaves_for_tag(leaves, tag), leaves->snapshot, &segments, tag);
	bool		none = found.rows == 0;
	Datum		values[TAG_STAT_NCOLUMNS] = {
		Int64GetDatum(found.first_time),
		Int64GetDatum(found.last_time),
		Int64GetDatum(found.rows),
		Int64GetDatum(found.bytes),
	};
	bool		isnull[TAG_STAT_NCOLUMNS] = {none, none, false, false};
	TupleDesc	desc;

	leaves_close(leaves);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/*
 * historian.last_times(table regclass, tags text[]) returns setof (tag text, last_time bigint)
 *
 * Without tags (NULL) it returns all.
 */
Datum
historian_last_times(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SegmentList segments = {0};
	Leaves	   *leaves;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	leaves = leaves_open(PG_GETARG_OID(0));
	if (!PG_ARGISNULL(1))
	{
		uint32		ntags;
		text	  **tags = tag_sort_distinct(PG_GETARG_ARRAYTYPE_P(1), &ntags);

		for (uint32 i = 0; i < ntags; i++)
		{
			Leaves	   *with_tag = leaves_for_tag(leaves, tags[i]);

			put_last_time(result, with_tag, &segments, tags[i]);
			leaves_free(with_tag);
		}
	}
	else
	{
		TagWalk    *walk = tag_walk_begin(leaves);
		Leaves	   *with_tag;
		text	   *tag;

		while ((tag = tag_walk_next(walk, &with_tag)) != NULL)
		{
			put_last_time(result, with_tag, &segments, tag);
			leaves_free(with_tag);
			pfree(tag);
		}
	}
	leaves_close(leaves);
	return (Datum) 0;
}

/* Puts the time of a tag's last row, if the snapshot sees one in the leaves. */
static void
put_last_time(ReturnSetInfo *result, const Leaves *with_tag, SegmentList *segments, text *tag)
{
	int64		last_time = PG_INT64_MIN;
	bool		found = false;

	CHECK_FOR_INTERRUPTS();
	for (uint32 i = 0; i < with_tag->nleaves; i++)
		found |= last_time_in(&with_tag->leaves[i], segments, tag, &last_time);
	if (found)
	{
		Datum		row[LAST_TIMES_NCOLUMNS] = {PointerGetDatum(tag), Int64GetDatum(last_time)};
		bool		isnull[LAST_TIMES_NCOLUMNS] = {0};

		tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
	}
}

/*
 * Raises *last_time to that of a tag in one leaf; returns false if it has no rows there.  Compacted
 * segments are disjoint, so that the last of them has their last row.
 */
static bool
last_time_in(const Leaf *leaf, SegmentList *segments, text *tag, int64 *last_time)
{
	TagRows		foreign = NO_ROWS;
	StoredSegment stored;
	bool		found;

	if (leaf_is_by_sql(leaf))
	{
		add_foreign_rows(leaf, tag, &foreign);
		*last_time = Max(*last_time, foreign.last_time);
		return foreign.rows > 0;
	}
	segment_list_load_as_of(segments, leaf->cursor, tag, PG_INT64_MAX, PG_INT64_MAX);
	found = segments->nrefs > 0;
	for (uint32 i = 0; i < segments->nrefs; i++)
		*last_time = Max(*last_time, segments->refs[i].last_time);
	directory_seek_back(leaf->cursor, tag, PG_INT64_MAX);
	if (directory_next_back(leaf->cursor, &stored))
	{
		*last_time = Max(*last_time, stored.segment.header.last_time);
		store_release(&stored);
		found = true;
	}
	return found;
}

/* Adds up the rows of a tag that the snapshot sees in some leaves. */
static TagRows
rows_of(const Leaves *with_tag, Snapshot snapshot, SegmentList *segments, text *tag)
{
	TagRows		found = NO_ROWS;

	for (uint32 i = 0; i < with_tag->nleaves; i++)
	{
		const Leaf *leaf = &with_tag->leaves[i];
		TagsReader	tags = {
			.rel = leaf->rel,
			.snapshot = snapshot,
			.cursor = leaf->cursor,
			.segments = segments,
		};

		CHECK_FOR_INTERRUPTS();
		if (leaf_is_by_sql(leaf))
			add_foreign_rows(leaf, tag, &found);
		else
			add_rows(&tags, tag, &found);
	}
	return found;
}

/* Adds the rows of a tag in a foreign leaf, the bytes of which are not known. */
static void
add_foreign_rows(const Leaf *leaf, text *tag, TagRows *found)
{
	const ForeignTag *foreign = leaf->foreign;
	uint32		ntags = 1;

	if (foreign == NULL)
		foreign = foreign_rows_tags(leaf->rel, tag, &ntags);
	if (ntags == 0)
		return;
	found->first_time = Min(found->first_time, foreign->first_time);
	found->last_time = Max(found->last_time, foreign->last_time);
	found->rows += foreign->rows;
}

/* Adds the rows of a tag that the snapshot sees in one leaf. */
static void
add_rows(const TagsReader *tags, text *tag, TagRows *found)
{
	SegmentList *segments = tags->segments;
	StoredSegment stored;
	int64		rows = 0;
	bool		has_pending;

	segment_list_load(segments, tags->cursor, tag, PG_INT64_MIN, PG_INT64_MAX);
	has_pending = segments->nrefs > 0;
	for (uint32 i = 0; i < segments->nrefs; i++)
	{
		found->first_time = Min(found->first_time, segments->refs[i].first_time);
		found->last_time = Max(found->last_time, segments->refs[i].last_time);
		found->bytes += segments->refs[i].bytes;
	}

	directory_seek_back(tags->cursor, tag, PG_INT64_MAX);
	while (directory_next_back(tags->cursor, &stored))
	{
		const SegmentHeader *header = &stored.segment.header;
		SegmentRef	ref;

		CHECK_FOR_INTERRUPTS();
		found->first_time = Min(found->first_time, header->first_time);
		found->last_time = Max(found->last_time, header->last_time);
		rows += header->nrows;
		ref = segment_ref(&stored);
		found->bytes += ref.bytes;
		if (has_pending)
			segment_list_add(segments, &ref);
		store_release(&stored);
	}
	found->rows += has_pending ? count_rows(tags, tag) : rows;
}

/* Counts the rows of all segments of a tag.  Merges the times of segments that overlap. */
static int64
count_rows(const TagsReader *tags, text *tag)
{
	SegmentList *segments = tags->segments;
	int64		rows = 0;
	uint32		next;

	segment_list_sort(segments);
	for (uint32 i = 0; i < segments->nrefs; i = next)
	{
		int64		last_time = segments->refs[i].last_time;

		for (next = i + 1; next < segments->nrefs; next++)
		{
			if (segments->refs[next].first_time > last_time)
				break;
			last_time = Max(last_time, segments->refs[next].last_time);
		}
		rows += next == i + 1
			? segments->refs[i].nrows
			: count_merged(tags, tag, segments->refs[i].first_time, last_time);
	}
	return rows;
}

/* Counts the rows of a tag in a range of time, by reading their times. */
static int64
count_merged(const TagsReader *tags, text *tag, int64 from, int64 until)
{
	TagReader  *reader = tag_reader_begin(tags->rel, tags->cursor, tags->snapshot);
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
