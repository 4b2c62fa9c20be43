/*
 * segment_list.h
 *	  Lists of segments of one tag: where each is stored, and what it covers.
 */
#ifndef HISTORIAN_SEGMENT_LIST_H
#define HISTORIAN_SEGMENT_LIST_H

#include "postgres.h"

#include "store/directory.h"

/* Where a segment is and what it covers. */
typedef struct SegmentRef
{
	ItemPointerData tid;
	uint16		nrows;
	uint16		bytes;			/* of the segment, at most a page */
	uint8		flags;
	uint64		sequence;
	int64		first_time;
	int64		last_time;
} SegmentRef;

typedef struct SegmentList
{
	SegmentRef *refs;			/* in the order of the last sort */
	uint32		nrefs;
	uint32		capacity;
} SegmentList;

/*
 * Lists the tag's segments beside the compacted ones (pending, late runs, late) that the cursor's
 * snapshot sees and that overlap from..until.  The list is re-used from call to call; its memory is
 * of the context current at the first.  These use the pending and the back walk.
 */
extern void segment_list_load(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from,
							  int64 until);

/*
 * The same for who wants the last row at or before times of time..until: what begins at or before
 * until, but of the late segments that end before time only the last one.
 */
extern void segment_list_load_as_of(SegmentList *list, DirectoryCursor *cursor, text *tag,
									int64 time, int64 until);

/* Lists all pending segments and late runs, for compaction. */
extern void segment_list_load_unplaced(SegmentList *list, DirectoryCursor *cursor, text *tag);

/* Adds a segment; the caller sees to the order. */
extern void segment_list_add(SegmentList *list, const SegmentRef *ref);
extern void segment_list_sort(SegmentList *list);

/* In descending order of last_time, for reading backward. */
extern void segment_list_sort_backward(SegmentList *list);

/* Fetches a segment of the list again, under the same snapshot. */
extern void segment_ref_fetch(Relation rel, Snapshot snapshot, const SegmentRef *ref,
							  StoredSegment *stored);

extern SegmentRef segment_ref(const StoredSegment *stored);

/*
 * Which of two segments holds the row that stays when both have one of the same time: positive
 * if a does.  Later loads win, and segments of one load and tag are disjoint.  Only where version 0.2
 * or earlier loaded the table may different loads have equal numbers, and the place decides.
 */
static inline int
segment_ref_precedence(const SegmentRef *a, const SegmentRef *b)
{
	if (a->sequence != b->sequence)
		return a->sequence > b->sequence ? 1 : -1;
	return ItemPointerCompare((ItemPointer) &a->tid, (ItemPointer) &b->tid);
}

#endif							/* HISTORIAN_SEGMENT_LIST_H */
