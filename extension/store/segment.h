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
 * The flags name the kind of a segment; at most one of the first six is set.  A segment without any
 * is *pending*: a load wrote it, and compaction has not merged it yet.  compaction.c describes what
 * becomes of it, directory.h how each kind is keyed.
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

/*
 * The segment has pending rows of many tags, a few of each (shared_segment.h).  It belongs to a
 * sorted run (sorted_runs.h).  Its tag is the number of the run, then its *fence*: a tag that is at
 * most the first one in it, and greater than all tags in the run's segments before it.
 */
#define SEGMENT_SHARED 0x10

/*
 * The rows are no samples: the one row describes a sorted run, whose number is the tag.  first_time
 * and last_time are those of the run.
 */
#define SEGMENT_RUN_ROOT 0x20

/*
 * Only with SEGMENT_SUMMARY: the summaries have all facets, and the sequence holds what they amount to
 * together (summary.h).  Release 0.2 and earlier ones wrote summaries without it.
 */
#define SEGMENT_SUMMARY_TOTALS 0x40

#define SEGMENT_KNOWN_FLAGS \
	(SEGMENT_COMPACTED | SEGMENT_SUMMARY | SEGMENT_LATE_RUN | SEGMENT_LATE | SEGMENT_SHARED | \
	 SEGMENT_RUN_ROOT | SEGMENT_SUMMARY_TOTALS)

/* The bytes of a run's number: most significant first, so that they are in order as text. */
#define SEGMENT_RUN_NUMBER_BYTES 8

/* A segment's identity and range, apart from its rows. */
typedef struct SegmentHeader
{
	uint8		flags;
	uint16		nrows;
	uint16		tag_bytes;
	uint64		sequence;		/* load order: of two rows with one time the higher wins; of
								 * summaries see summary.h */
	int64		first_time;
	int64		last_time;
	const char *tag;			/* points into the segment, not terminated */
} SegmentHeader;

/*
 * An opened segment, or the part of a shared segment that one tag has.  Points into the caller's
 * bytes.
 */
typedef struct Segment
{
	SegmentHeader header;
	bool		shared;			/* the stored tuple has rows of other tags too */
	uint32		first_row;		/* the number of the first row among all rows of the stored tuple */
	uint32		block_offset;	/* if shared: where the block is, from the first byte of the whole */
	uint32		block_bytes;
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
	SEGMENT_NO_ROW,				/* a row was sought that is not there */
	SEGMENT_MISPLACED,			/* not of the tag and time of its entry in the directory */
} SegmentStatus;

/*
 * Builds a segment from as many of the first rows as fit into capacity bytes at dst.  Sets
 * header->nrows, first_time and last_time from the rows taken; the caller sets the other members.
 * last_times has the last time that each row covers; NULL: its own time.  Returns the segment's
 * length, or 0 if not even one row fits.  guess is that of codec_encode_fit().
 */
extern Size segment_build(CodecEncoder *encoder, SegmentHeader *header, const CodecRows *rows,
						  const int64 *last_times, uint8 *dst, Size capacity, uint32 *guess);

/* Changes the flags and the sequence of a segment that was just built. */
extern void segment_mark(uint8 *bytes, Size length, uint8 flags, uint64 sequence);

/*
 * The two steps by which bytes become a segment, for other files that build some: puts the header
 * and the tag at dst; and, when all other bytes are in place, the checksum.
 */
extern void segment_put_header(const SegmentHeader *header, uint8 *dst);
extern void segment_seal(uint8 *bytes, Size length);

/*
 * Builds the same segment with another tag, whose text and length header has; the checksum must
 * match.  Returns its length, or 0 if it does not fit into capacity bytes at dst.
 */
extern Size segment_build_renamed(const SegmentHeader *header, const uint8 *bytes, Size length,
								  uint8 *dst, Size capacity);

/* Does the checksum match? */
extern bool segment_is_sealed(const uint8 *bytes, Size length);

/* Reads and checks the header only, which is cheap. */
extern SegmentStatus segment_read_header(SegmentHeader *header, const uint8 *bytes, Size length);

/*
 * Reads the header and opens the rows.  With verify, the checksum over all bytes is compared first.
 * Whatever the bytes are, SEGMENT_OK promises the bounds that codec.h states, and that the first
 * row has the header's first time and, unless the rows are summaries, the last row its last time.
 * The rows of a shared segment are opened tag by tag (shared_segment.h).
 */
extern SegmentStatus segment_open(Segment *segment, const uint8 *bytes, Size length, bool verify);

/* The number of a run, in the tag of a shared segment or of a root. */
static inline void
segment_put_run_number(char *dst, uint64 number)
{
	for (int i = 0; i < SEGMENT_RUN_NUMBER_BYTES; i++)
		dst[i] = (char) (number >> (8 * (SEGMENT_RUN_NUMBER_BYTES - 1 - i)));
}

static inline uint64
segment_run_number(const SegmentHeader *header)
{
	uint64		number = 0;

	for (int i = 0; i < SEGMENT_RUN_NUMBER_BYTES; i++)
		number = number << 8 | (uint8) header->tag[i];
	return number;
}

/* A sentence that explains the status, for an error's detail. */
extern const char *segment_status_text(SegmentStatus status);

#endif							/* HISTORIAN_SEGMENT_H */
