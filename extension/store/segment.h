/*
 * segment.h
 *	  One segment: a header, the tag's text and one block of compressed rows.
 *
 * A segment is what one tuple of a historian table's fork holds.  All numbers are little-endian
 * and unaligned; docs/format.md describes the bytes.
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
 * Set in a segment that compaction wrote.  Such segments of one tag are disjoint in time and
 * stand in the directory by their first time; the others ("pending") are found by tag alone.
 */
#define SEGMENT_COMPACTED 0x01

/*
 * Set in a segment whose rows are no samples but tell of compacted segments of the tag, one row of
 * each (summary.h): nrows, first and last time are of those segments.
 */
#define SEGMENT_SUMMARY 0x02

/*
 * Set in the two kinds of segments in which compaction gathers rows that came late, until enough of
 * them fall on a compacted segment to write it anew (compaction.c).  A late run stands in the
 * directory among the pending ones and may overlap anything.  Late segments of one tag are disjoint
 * in time and stand there by their first time, apart from the compacted ones.
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
	SEGMENT_MISPLACED,			/* not what the directory has at its place */
} SegmentStatus;

/*
 * Builds a segment from the first rows that fit into capacity bytes at dst.  header->nrows,
 * first_time and last_time are set from the rows taken; the other members are the caller's.
 * last_times tells how far each row reaches; NULL: no further than its time.
 * Returns the segment's length, or 0 when not even one row fits.
 */
extern Size segment_build(CodecEncoder *encoder, SegmentHeader *header, const CodecRows *rows,
						  const int64 *last_times, uint8 *dst, Size capacity);

/* Reads and checks the header alone: cheap, touches no row. */
extern SegmentStatus segment_read_header(SegmentHeader *header, const uint8 *bytes, Size length);

/*
 * Opens the rows too.  With verify the checksum over all bytes is compared first.  Without, the bytes
 * may be anything: all that is read of them later is within the bounds that codec.h tells, and the
 * first and the last row have the times that the header has.
 */
extern SegmentStatus segment_open(Segment *segment, const uint8 *bytes, Size length, bool verify);

/* What a status other than SEGMENT_OK means, for an error's detail. */
extern const char *segment_status_text(SegmentStatus status);

#endif							/* HISTORIAN_SEGMENT_H */
