/*
 * segment_list.c
 *	  Lists of segments of one tag: where each is stored, and which times it covers.
 */
#include "postgres.h"

#include "store/segment_list.h"

static void add_unplaced(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from,
						 int64 until);
static void add_shared(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from,
					   int64 until, bool last_before);
static void add_late(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from,
					 int64 until, bool last_before);
static void name_part(Segment *segment, const SegmentRef *ref);
static int	compare_first_time(const void *left, const void *right);
static int	compare_last_time_descending(const void *left, const void *right);

void
segment_list_load(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from, int64 until)
{
	list->nrefs = 0;
	add_unplaced(list, cursor, tag, from, until);
	add_shared(list, cursor, tag, from, until, false);
	add_late(list, cursor, tag, from, until, false);
	segment_list_sort(list);
}

void
segment_list_load_as_of(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 time,
						int64 until)
{
	list->nrefs = 0;
	add_unplaced(list, cursor, tag, PG_INT64_MIN, until);
	add_shared(list, cursor, tag, time, until, true);
	add_late(list, cursor, tag, time, until, true);
	segment_list_sort(list);
}

void
segment_list_load_unplaced(SegmentList *list, DirectoryCursor *cursor, text *tag)
{
	segment_list_load_own(list, cursor, tag);
	segment_list_add_shared(list, cursor, tag);
}

void
segment_list_load_own(SegmentList *list, DirectoryCursor *cursor, text *tag)
{
	list->nrefs = 0;
	add_unplaced(list, cursor, tag, PG_INT64_MIN, PG_INT64_MAX);
}

void
segment_list_add_shared(SegmentList *list, DirectoryCursor *cursor, text *tag)
{
	add_shared(list, cursor, tag, PG_INT64_MIN, PG_INT64_MAX, false);
	segment_list_sort(list);
}

/* Adds the tag's own pending segments, and its late runs, that overlap from..until. */
static void
add_unplaced(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from, int64 until)
{
	StoredSegment stored;

	directory_seek_pending(cursor, tag);
	while (directory_next_pending(cursor, &stored))
	{
		const SegmentHeader *header = &stored.segment.header;

		if (header->first_time <= until && header->last_time >= from)
		{
			SegmentRef	ref = segment_ref(&stored);

			segment_list_add(list, &ref);
		}
		store_release(&stored);
	}
}

/*
 * Adds the tag's rows in shared segments, run by run, if they overlap from..until.  With
 * last_before, adds those before them too, but not runs that end before a row that is at or before
 * `from`.
 */
static void
add_shared(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from, int64 until,
		   bool last_before)
{
	SortedRuns *runs = directory_runs(cursor);
	uint32		first = list->nrefs;
	StoredSegment stored;

	sorted_runs_seek(runs, tag, last_before ? PG_INT64_MIN : from, until);
	while (sorted_runs_next(runs, &stored))
	{
		const SegmentHeader *header = &stored.segment.header;

		if (header->first_time <= until && (header->last_time >= from || last_before))
		{
			SegmentRef	ref = segment_ref(&stored);

			ref.run = Min(sorted_runs_last(runs), PG_UINT16_MAX);
			segment_list_add(list, &ref);
		}
		if (last_before && header->last_time <= from)
			sorted_runs_skip_before(runs, header->last_time);
		else if (last_before && header->first_time <= from)
			sorted_runs_skip_before(runs, header->first_time);
		store_release(&stored);
	}

	/* the run that ends last came first; the sort takes no time if all are in order */
	for (uint32 end = list->nrefs; first + 1 < end; first++, end--)
	{
		SegmentRef	ref = list->refs[first];

		list->refs[first] = list->refs[end - 1];
		list->refs[end - 1] = ref;
	}
}

/*
 * Adds the tag's late segments that overlap from..until and, with last_before, the last one before
 * them.  Late segments are disjoint, so these follow each other backward from `until`.
 */
static void
add_late(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from, int64 until,
		 bool last_before)
{
	text	   *late_tag = directory_late_tag(tag);
	StoredSegment stored;
	bool		more = true;

	directory_seek_back(cursor, late_tag, until);
	while (more && directory_next_back(cursor, &stored))
	{
		SegmentRef	ref = segment_ref(&stored);

		store_release(&stored);
		more = ref.first_time > from;
		if (ref.last_time >= from || last_before)
			segment_list_add(list, &ref);
	}
	pfree(late_tag);
}

void
segment_list_add(SegmentList *list, const SegmentRef *ref)
{
	if (list->nrefs == list->capacity)
	{
		list->capacity = Max(16, list->capacity * 2);
		list->refs = list->refs == NULL
			? palloc_array(SegmentRef, list->capacity)
			: repalloc_huge(list->refs, list->capacity * sizeof(SegmentRef));
	}
	list->refs[list->nrefs++] = *ref;
}

void
segment_list_sort(SegmentList *list)
{
	qsort(list->refs, list->nrefs, sizeof(SegmentRef), compare_first_time);
}

void
segment_list_sort_backward(SegmentList *list)
{
	qsort(list->refs, list->nrefs, sizeof(SegmentRef), compare_last_time_descending);
}

void
segment_ref_fetch(Relation rel, Snapshot snapshot, const text *tag, const SegmentRef *ref,
				  StoredSegment *stored)
{
	ItemPointerData tid = ref->tid;

	/* VACUUM cannot remove what a registered snapshot has seen */
	if (!store_fetch(rel, snapshot, ref->shared ? NULL : tag, &tid, stored, NULL))
		store_report_vanished(rel, tag, &tid);
	if (ref->shared)
	{
		name_part(&stored->segment, ref);
		store_open_part(rel, stored, tag, NULL, 0);
	}
}

void
segment_ref_look(Relation rel, Snapshot snapshot, DirectoryCursor *cursor, const text *tag,
				 const SegmentRef *ref, StoredSegment *stored)
{
	Size		length;
	const uint8 *bytes = ref->shared
		? sorted_runs_held(directory_runs(cursor), ref->run, &ref->tid, &length) : NULL;

	if (bytes == NULL)
	{
		segment_ref_fetch(rel, snapshot, tag, ref, stored);
		return;
	}
	stored->buffer = InvalidBuffer;
	stored->tuple.t_self = ref->tid;
	stored->tuple.t_data = NULL;
	stored->tuple.t_len = STORE_TUPLE_HEADER + ref->bytes;
	name_part(&stored->segment, ref);
	store_open_part(rel, stored, tag, bytes, length);
}

/* Says which part of a shared segment is meant. */
static void
name_part(Segment *segment, const SegmentRef *ref)
{
	segment->first_row = ref->first_row;
	segment->block_offset = ref->block_offset;
	segment->block_bytes = ref->bytes;
	segment->header.nrows = ref->nrows;
}

SegmentRef
segment_ref(const StoredSegment *stored)
{
	const Segment *segment = &stored->segment;
	const SegmentHeader *header = &segment->header;

	return (SegmentRef) {
		.tid = stored->tuple.t_self,
		.nrows = header->nrows,
		.bytes = segment->shared ? segment->block_bytes : stored->tuple.t_len - STORE_TUPLE_HEADER,
		.flags = header->flags,
		.shared = segment->shared,
		.block_offset = segment->shared ? segment->block_offset : 0,
		.first_row = segment->first_row,
		.sequence = header->sequence,
		.first_time = header->first_time,
		.last_time = header->last_time,
	};
}

static int
compare_first_time(const void *left, const void *right)
{
	const SegmentRef *a = left;
	const SegmentRef *b = right;

	if (a->first_time != b->first_time)
		return a->first_time < b->first_time ? -1 : 1;
	return segment_ref_precedence(a, b);
}

static int
compare_last_time_descending(const void *left, const void *right)
{
	const SegmentRef *a = left;
	const SegmentRef *b = right;

	if (a->last_time != b->last_time)
		return a->last_time > b->last_time ? -1 : 1;
	return segment_ref_precedence(a, b);
}
