/*
 * tag_merge.h
 *	  Writing some segments of one tag anew, as segments of the kinds where their rows belong.
 */
#ifndef HISTORIAN_TAG_MERGE_H
#define HISTORIAN_TAG_MERGE_H

#include "postgres.h"

#include "read/tag_reader.h"
#include "store/directory.h"
#include "store/segment_list.h"
#include "store/segment_sink.h"
#include "store/summary_edit.h"

/* A segment with less than this has room for more rows. */
#define SEGMENT_FULL_BYTES (STORE_MAX_SEGMENT_BYTES * 9 / 10)

/* What merges of one table's tags, one after the other, have in common. */
typedef struct TagMerge
{
	Relation	rel;
	DirectoryCursor *cursor;
	TagReader  *reader;
	SegmentSink *sink;			/* NULL until something is written, in context */
	SummaryEdit *summaries;		/* likewise */
	MemoryContext context;
	CommandId	cid;
	text	   *tag;

	/* what was done */
	int64		segments_merged;
	int64		segments_written;
	int64		bytes_merged;
	int64		rows_written;
} TagMerge;

/*
 * A stretch of time that rows to merge fall on: from the beginning of a segment (compacted or
 * late) to that of the next of its kind, or what lies before the first segment.
 */
typedef struct Stretch
{
	SegmentRef	segment;
	bool		has_segment;
	int64		from;
	int64		until;
	uint32		rows;			/* that fall on it */
	bool		overlapped;		/* one of them lies within the segment */
	bool		chosen;			/* the segment is written anew, with those rows */
} Stretch;

typedef struct StretchList
{
	Stretch    *stretches;		/* in order of time */
	uint32		nstretches;
	uint32		capacity;
} StretchList;

/* Rows that may not go among the compacted ones yet, as others of their time may wait elsewhere. */
typedef struct RowsHeldBack
{
	int64		until;			/* rows up to here; only if any */
	bool		any;
	const SegmentList *within;	/* and those within one of these; may be NULL */
} RowsHeldBack;

/* How to merge. */
typedef struct TagMergePlan
{
	const SegmentList *sources; /* segments that are not compacted */
	const StretchList *compacted;	/* of the tag's compacted segments */
	bool		everything;		/* all rows go to those */
	bool		append;			/* those after a time do */
	int64		after;
	const RowsHeldBack *held;	/* NULL: none */
	uint8		rest_flags;		/* the kind of the segments that take the other rows */
	const StretchList *rest;	/* where they stand in order of time; NULL: for late runs */
} TagMergePlan;

/*
 * Finds the stretches between the segments under a name (the tag, or its late segments') that the
 * rows of the plan's sources fall on, and counts the rows, but those that are appended or held back.
 */
extern void tag_merge_find(TagMerge *merge, text *name, const TagMergePlan *plan,
						   StretchList *found);

/*
 * Merges the sources and the chosen stretches' segments, and deletes them.  Rows go to the compacted
 * segments where they fall on a chosen stretch, or as the plan says; the others to the rest.
 */
extern void tag_merge_run(TagMerge *merge, const TagMergePlan *plan);

#endif							/* HISTORIAN_TAG_MERGE_H */
