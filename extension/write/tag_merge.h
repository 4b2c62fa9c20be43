/*
 * tag_merge.h
 *	  Merges segments of one tag, and writes their rows as segments of one or two kinds.
 */
#ifndef HISTORIAN_TAG_MERGE_H
#define HISTORIAN_TAG_MERGE_H

#include "postgres.h"

#include "read/tag_reader.h"
#include "store/directory.h"
#include "store/emptied_blocks.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"
#include "store/summary_edit.h"

/* A segment with less than this has room for more rows, unless it has as many as there can be. */
#define SEGMENT_FULL_BYTES (STORE_MAX_SEGMENT_BYTES * 9 / 10)

static inline bool
tag_merge_is_full(const SegmentRef *ref)
{
	return ref->bytes >= SEGMENT_FULL_BYTES || ref->nrows == CODEC_MAX_ROWS;
}

/* What the merges of one table share; the tags are merged one after the other. */
typedef struct TagMerge
{
	Relation	rel;
	DirectoryCursor *cursor;
	TagReader  *reader;
	SegmentSink *sink;			/* NULL until something is written */
	SummaryEdit *summaries;		/* likewise */
	MemoryContext context;		/* of the sink and of summaries */
	CommandId	cid;
	EmptiedBlocks *emptied;		/* may be NULL */
	text	   *tag;

	/* what was done */
	int64		segments_merged;
	int64		segments_written;
	int64		bytes_merged;
	int64		rows_written;
} TagMerge;

/*
 * A stretch is the time from the beginning of a segment to just before the next of its kind
 * (compacted or late), or all time before the first segment.  So stretches are disjoint, and each
 * time is in one of them.
 */
typedef struct Stretch
{
	SegmentRef	segment;
	bool		has_segment;
	int64		from;
	int64		until;
	uint32		rows;			/* to merge, that fall on the stretch */
	bool		overlapped;		/* one of them is within the segment's range of time */
	bool		chosen;			/* the segment is to be written anew, together with the rows */
	bool		apart;			/* the segment stays, and the rows go to compacted ones behind it */
} Stretch;

typedef struct StretchList
{
	Stretch    *stretches;		/* in order of time; only those that rows fall on */
	uint32		nstretches;
	uint32		capacity;
} StretchList;

/*
 * Rows that must not go to compacted segments yet, because a late run or late segment that is not
 * merged may have an earlier row of the same time (see the invariant in compaction.c).
 */
typedef struct RowsHeldBack
{
	int64		until;			/* if any: rows at or before this time are held back */
	bool		any;
	const SegmentList *within;	/* rows within the range of one of these are; may be NULL */
} RowsHeldBack;

/* What to merge, and which rows go to compacted segments.  The others are called the rest. */
typedef struct TagMergePlan
{
	const SegmentList *sources; /* no compacted ones */
	const StretchList *compacted;	/* stretches of the tag's compacted segments */
	bool		everything;		/* all rows go to compacted segments */
	bool		append;			/* rows later than `after` do */
	int64		after;
	const RowsHeldBack *held;	/* NULL: none are held back */
	uint8		rest_flags;		/* the kind of the rest's segments */
	const StretchList *rest;	/* stretches of the tag's late segments, for that kind; NULL: for
								 * late runs, which may overlap others */
} TagMergePlan;

/*
 * Finds the stretches on which the rows of the plan's sources fall: those of the compacted segments
 * (key: the tag) or of the late segments (key: directory_late_tag()).  Skips rows that are held
 * back.  Counts the rows of each stretch, without those that are appended.
 */
extern void tag_merge_find(TagMerge *merge, text *key, const TagMergePlan *plan,
						   StretchList *found);

/*
 * Merges the sources with the compacted segments of the chosen stretches, and deletes all of these.
 * A row goes to a compacted segment if it falls on a stretch that is chosen or apart and is not held
 * back, or if the plan says so; otherwise it goes to the rest.
 */
extern void tag_merge_run(TagMerge *merge, const TagMergePlan *plan);

#endif							/* HISTORIAN_TAG_MERGE_H */
