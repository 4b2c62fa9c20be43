/*
 * segment.h
 *	  One segment: a header, the tag's text and one block of compressed rows.
 *
 * One heap tuple of a historian table holds one segment.  All numbers are little-endian and
 * unaligned; docs/format.md describes the bytes.
 */
#ifndef HISTORIAN_SEGMENT_H
#define HISTORIAN_SEGMENT_H

#include "postgres.h"

#include "codec/codec_reader.h"

#define SEGMENT_MAGIC 0x5348	/* "HS" */
#define SEGMENT_VERSION 1

/* Bytes before the tag's text. */
#define SEGMENT_HEADER_BYTES 36

/* The longest tag, in bytes. */
#define SEGMENT_MAX_TAG_BYTES 256

/*
 * The flags name the kind of a segment; at most one is set.  A segment without any is *pending*: a
 * load wrote it, and compaction has not merged it yet.  compaction.c describes what becomes of it,
 * directory.h how each kind is keyed.
 */

/* Compaction wrote the segment.  Compacted segments of one tag are disjoint in time. */
#define SEGMENT_COMPACTED 0x01

/*
 * The rows are no samples: they describe compacted segments of the tag (summary.h).  first_time and
 * last_time are those of the segments described.
 */
#define SEGMENT_SUMMARY 0x02

/*
 * Compaction has gathered rows in it that came late.  Late runs may overlap any other segment; late
 * segments of one tag are disjoint in time from each other.
 */
#define SEGMENT_LATE_RUN 0x04
#define SEGMENT_LATE 0x08

#define SEGMENT_KNOWN_FLAGS \
	(SEGMENT_COMPACTED | SEGMENT_SUMMARY | SEGMENT_LATE_RUN | SEGMENT_LATE)

/* A segment's identity and range, apart from its rows. */
typedef struct SegmentHeader
{
	uint8		flags;
	uint16		nrows;
	uint16		tag_bytes;
	uint64		sequence;		/* load order: of two rows with one time the higher wins */
	int64		first_time;
	int64		last_time;
	const char *tag;			/* points into the segment, not terminated */
} SegmentHeader;

/* An opened segment.  Points into the caller's bytes. */
typedef struct Segment
{
	SegmentHeader header;
	CodecReader rows;
} Segment;

typedef enum SegmentStatus
{
	SEGMENT_OK = 0,
	SEGMENT_NOT_A_SEGMENT,
	SEGMENT_NEWER_VERSION,
	SEGMENT_BAD_HEADER,
	SEGMENT_BAD_CHECKSUM,
	SEGMENT_BAD_ROWS,
	SEGMENT_BAD_TIMES,
	SEGMENT_MISPLACED,			/* not of the tag and time of its entry in the directory */
} SegmentStatus;

/*
 * Builds a segment from as many of the first rows as fit into capacity bytes at dst.  Sets
 * header->nrows, first_time and last_time from the rows taken; the caller sets the other members.
 * last_times has the last time that each row covers; NULL: its own time.  Returns the segment's
 * length, or 0 if not even one row fits.
 */
extern Size segment_build(CodecEncoder *encoder, SegmentHeader *header, const CodecRows *rows,
						  const int64 *last_times, uint8 *dst, Size capacity);

/* Changes the flags and the sequence of a segment that was just built. */
extern void segment_mark(uint8 *bytes, Size length, uint8 flags, uint64 sequence);

/* Reads and checks the header only, which is cheap. */
extern SegmentStatus segment_read_header(SegmentHeader *header, const uint8 *bytes, Size length);

/*
 * Reads the header and opens the rows.  With verify, the checksum over all bytes is compared first.
 * Whatever the bytes are, SEGMENT_OK promises the bounds that codec.h states, and that the first
 * row has the header's first time and, unless the rows are summaries, the last row its last time.
 */
extern SegmentStatus segment_open(Segment *segment, const uint8 *bytes, Size length, bool verify);

/* A sentence that explains the status, for an error's detail. */
extern const char *segment_status_text(SegmentStatus status);

#endif							/* HISTORIAN_SEGMENT_H */
