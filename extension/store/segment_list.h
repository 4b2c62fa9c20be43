/*
 * segment_list.h
 *	  Lists of segments of one tag: where each is stored, and which times it covers.
 */
#ifndef HISTORIAN_SEGMENT_LIST_H
#define HISTORIAN_SEGMENT_LIST_H

#include "postgres.h"

#include "store/directory.h"

/* A segment's place and what its header says of it. */
typedef struct SegmentRef
{
	ItemPointerData tid;
	uint16		nrows;
	uint16		bytes;			/* of the segment, which takes at most a page */
	uint8		flags;
	bool		shared;			/* a part of a shared segment; bytes are those of its block */
	uint16		block_offset;	/* if shared: where the block is */
	uint16		first_row;		/* if shared: the number of the part's first row */
	uint16		run;			/* if shared: which of the cursor's runs had it */
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
 * Lists the tag's segments other than the compacted ones (pending, late runs, late) that the
 * cursor's snapshot sees and that overlap from..until.  The list is re-used from call to call; its
 * memory is of the context that is current at the first.  This and the next two functions use the
 * pending walk and the back walk, and sort the list by first_time.
 */
extern void segment_list_load(SegmentList *list, DirectoryCursor *cursor, text *tag, int64 from,
							  int64 until);

/*
 * The same for a reader that looks for the last rows at or before times in time..until: lists the
 * segments that begin at or before until, but of the late ones that end before time only the last.
 */
extern void segment_list_load_as_of(SegmentList *list, DirectoryCursor *cursor, text *tag,
									int64 time, int64 until);

/* Lists all pending segments, shared ones too, and late runs, for compaction. */
extern void segment_list_load_unplaced(SegmentList *list, DirectoryCursor *cursor, text *tag);

/* The same in two steps: lists those of the tag's own, unsorted, and adds those in shared segments. */
extern void segment_list_load_own(SegmentList *list, DirectoryCursor *cursor, text *tag);
extern void segment_list_add_shared(SegmentList *list, DirectoryCursor *cursor, text *tag);

/* Adds a segment at the end of the list. */
extern void segment_list_add(SegmentList *list, const SegmentRef *ref);

/* Sorts by first_time. */
extern void segment_list_sort(SegmentList *list);

/* Sorts by last_time, the greatest first, for reading backward. */
extern void segment_list_sort_backward(SegmentList *list);

/* Fetches a segment of the tag's list again, under the same snapshot. */
extern void segment_ref_fetch(Relation rel, Snapshot snapshot, const text *tag,
							  const SegmentRef *ref, StoredSegment *stored);

/*
 * The same for a reader that is done with the segment before the cursor is moved to another tag.  Rows
 * in shared segments are taken from the copy that the cursor has, if it has one.
 */
extern void segment_ref_look(Relation rel, Snapshot snapshot, DirectoryCursor *cursor,
							 const text *tag, const SegmentRef *ref, StoredSegment *stored);

extern SegmentRef segment_ref(const StoredSegment *stored);

/*
 * Which of two segments of a tag has the row that stays if both have one of the same time?
 * Positive means a.  The later load's row stays, and segments of one load are disjoint.  Loads by
 * version 0.2 or earlier may have equal numbers; then the place decides.
 */
static inline int
segment_ref_precedence(const SegmentRef *a, const SegmentRef *b)
{
	if (a->sequence != b->sequence)
		return a->sequence > b->sequence ? 1 : -1;
	return ItemPointerCompare((ItemPointer) &a->tid, (ItemPointer) &b->tid);
}

#endif							/* HISTORIAN_SEGMENT_LIST_H */
