/*
 * tag_reader.h
 *	  Reads the rows of one tag in order of time, each time only once.
 */
#ifndef HISTORIAN_TAG_READER_H
#define HISTORIAN_TAG_READER_H

#include "postgres.h"

#include "read/leaves.h"
#include "store/decoded_rows.h"
#include "store/directory.h"
#include "store/segment_list.h"

typedef struct TagReader TagReader;

/*
 * Consecutive rows of one segment: rows[first .. first + nrows - 1].  They ascend in time; of a
 * reader that goes backward, the last of them comes first.
 */
typedef struct RowRun
{
	const SegmentRef *segment;
	const DecodedRows *rows;
	uint32		first;
	uint32		nrows;
} RowRun;

/* What a reader has decoded, for EXPLAIN. */
typedef struct TagReaderCounts
{
	uint64		segments;
	uint64		rows;			/* with those that a later load's rows replace */
} TagReaderCounts;

/*
 * A reader may serve many tags, one after the other.  It uses the cursor, which must outlive it,
 * and allocates in the memory context that is current at tag_reader_begin().
 */
extern TagReader *tag_reader_begin(Relation rel, DirectoryCursor *cursor, Snapshot snapshot);

/* The same for several tables, no two of which have rows of the same tag and time. */
extern TagReader *tag_reader_begin_leaves(const Leaves *leaves);
extern void tag_reader_end(TagReader *reader);

/* Restricts the values that are decoded where values are wanted. */
extern void tag_reader_restrict_values(TagReader *reader, ValueRange values);

/*
 * Starts to read the rows of tag with from <= time <= until, from the first on or, backward, from
 * the last on.  tag must stay valid until the last row.  Values are decoded only if wanted.
 */
extern void tag_reader_start(TagReader *reader, text *tag, int64 from, int64 until,
							 bool want_values);
extern void tag_reader_start_backward(TagReader *reader, text *tag, int64 from, int64 until,
									  bool want_values);

/*
 * One table only: the rows of a part of what the caller reads, after one part the next.  pending
 * lists the tag's pending segments, at least those that meet from..until.  after_segment tells that
 * no compacted segment which begins before `from` reaches it.
 */
extern void tag_reader_start_part(TagReader *reader, text *tag, int64 from, int64 until,
								  const SegmentList *pending, bool after_segment,
								  bool want_values);

/* The same for all rows of the given segments of a tag, which are in order of first_time. */
extern void tag_reader_start_segments(TagReader *reader, text *tag, const SegmentList *segments,
									  bool want_values);

/* Returns the next rows, or false at the end.  A run is valid until the next call. */
extern bool tag_reader_next(TagReader *reader, RowRun *run);

extern TagReaderCounts tag_reader_counts(const TagReader *reader);

#endif							/* HISTORIAN_TAG_READER_H */
