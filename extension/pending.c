/*
 * pending.c
 *	  The pending segments of one tag: written by loads, not yet compacted.
 */
#include "postgres.h"

#include "pending.h"

static int	compare_first_time(const void *left, const void *right);
static int	compare_last_time_descending(const void *left, const void *right);

void
pending_list_load(PendingList *list, DirectoryCursor *cursor, text *tag, int64 from, int64 until)
{
	StoredSegment stored;

	list->nrefs = 0;
	directory_seek_pending(cursor, tag);
	while (directory_next_pending(cursor, &stored))
	{
		const SegmentHeader *header = &stored.segment.header;

		if (header->first_time <= until && header->last_time >= from)
		{
			SegmentRef	ref = segment_ref(&stored);

			pending_list_add(list, &ref);
		}
		store_release(&stored);
	}
	pending_list_sort(list);
}

void
pending_list_add(PendingList *list, const SegmentRef *ref)
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
pending_list_sort(PendingList *list)
{
	qsort(list->refs, list->nrefs, sizeof(SegmentRef), compare_first_time);
}

void
pending_list_sort_backward(PendingList *list)
{
	qsort(list->refs, list->nrefs, sizeof(SegmentRef), compare_last_time_descending);
}

void
pending_fetch(Relation rel, Snapshot snapshot, const SegmentRef *ref, StoredSegment *stored)
{
	ItemPointerData tid = ref->tid;

	/* what a registered snapshot has seen once cannot be vacuumed away */
	if (!store_fetch(rel, snapshot, &tid, stored, NULL))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("a segment of historian table \"%s\" has vanished",
					   RelationGetRelationName(rel)),
				errdetail("Block %u, item %u.", ItemPointerGetBlockNumber(&tid),
						  ItemPointerGetOffsetNumber(&tid)));
}

SegmentRef
segment_ref(const StoredSegment *stored)
{
	const SegmentHeader *header = &stored->segment.header;

	return (SegmentRef) {
		.tid = stored->tuple.t_self,
		.nrows = header->nrows,
		.bytes = stored->tuple.t_len - STORE_TUPLE_HEADER,
		.compacted = (header->flags & SEGMENT_COMPACTED) != 0,
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
