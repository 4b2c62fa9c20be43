/*
 * tags_function.c
 *	  historian.tags(): the tags of a table, with their times and numbers of rows.
 *
 * Segment headers tell all of it, except where segments overlap and may hold rows of one time:
 * there the times are read.  Compacted segments do not overlap each other.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "read_access.h"
#include "tag_reader.h"

PG_FUNCTION_INFO_V1(historian_tags);

#define TAGS_NCOLUMNS 4

typedef struct TagRows
{
	int64		first_time;
	int64		last_time;
	int64		rows;
} TagRows;

/* What the tags are read with. */
typedef struct TagsReader
{
	DirectoryCursor *cursor;
	TagReader  *reader;
	PendingList segments;
} TagsReader;

static bool tag_rows(TagsReader *tags, text *tag, TagRows *found);
static int64 count_rows(TagsReader *tags, text *tag);
static int64 count_merged(TagsReader *tags, text *tag, int64 from, int64 until);

/*
 * historian.tags(table regclass) returns setof (tag text, first_time bigint, last_time bigint,
 * samples bigint)
 */
Datum
historian_tags(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Snapshot	snapshot = GetActiveSnapshot();
	Relation	rel = read_access_open(PG_GETARG_OID(0));
	TagsReader	tags = {0};
	text	   *tag;

	InitMaterializedSRF(fcinfo, 0);
	tags.cursor = directory_begin(rel, snapshot);
	tags.reader = tag_reader_begin(rel, tags.cursor, snapshot);
	tag = directory_next_tag(tags.cursor, NULL);
	while (tag != NULL)
	{
		text	   *former = tag;
		TagRows		found;

		CHECK_FOR_INTERRUPTS();
		if (tag_rows(&tags, tag, &found))
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
		tag = directory_next_tag(tags.cursor, tag);
		pfree(former);
	}
	tag_reader_end(tags.reader);
	directory_end(tags.cursor);
	table_close(rel, NoLock);
	return (Datum) 0;
}

/* Returns false where the snapshot sees no row of the tag. */
static bool
tag_rows(TagsReader *tags, text *tag, TagRows *found)
{
	PendingList *segments = &tags->segments;
	StoredSegment stored;
	bool		has_pending;

	*found = (TagRows) {.first_time = PG_INT64_MAX, .last_time = PG_INT64_MIN};
	pending_list_load(segments, tags->cursor, tag, PG_INT64_MIN, PG_INT64_MAX);
	has_pending = segments->nrefs > 0;
	for (uint32 i = 0; i < segments->nrefs; i++)
	{
		found->first_time = Min(found->first_time, segments->refs[i].first_time);
		found->last_time = Max(found->last_time, segments->refs[i].last_time);
	}

	directory_seek_back(tags->cursor, tag, PG_INT64_MAX);
	while (directory_next_back(tags->cursor, &stored))
	{
		const SegmentHeader *header = &stored.segment.header;

		CHECK_FOR_INTERRUPTS();
		found->first_time = Min(found->first_time, header->first_time);
		found->last_time = Max(found->last_time, header->last_time);
		found->rows += header->nrows;
		if (has_pending)
		{
			SegmentRef	ref = segment_ref(&stored);

			pending_list_add(segments, &ref);
		}
		store_release(&stored);
	}
	if (has_pending)
		found->rows = count_rows(tags, tag);
	return found->rows > 0;
}

/* Counts the rows of all segments of a tag: groups of overlapping ones by merging their times. */
static int64
count_rows(TagsReader *tags, text *tag)
{
	PendingList *segments = &tags->segments;
	int64		rows = 0;
	uint32		next;

	pending_list_sort(segments);
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

static int64
count_merged(TagsReader *tags, text *tag, int64 from, int64 until)
{
	int64		rows = 0;
	RowRun		run;

	tag_reader_start(tags->reader, tag, from, until, false);
	while (tag_reader_next(tags->reader, &run))
	{
		CHECK_FOR_INTERRUPTS();
		rows += run.nrows;
	}
	return rows;
}
