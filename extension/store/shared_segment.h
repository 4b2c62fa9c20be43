/*
 * shared_segment.h
 *	  The bytes of a shared segment: the rows of many tags, a few of each.
 *
 * A plant's load brings one row of each of its tags.  In a segment of its own such a row would take
 * a hundred bytes for the tuple, the tag and the entry in the directory.  A shared segment has one
 * of these for hundreds of tags.
 *
 * It has the header of a segment, with the rows and times of all its tags.  Then follow, in order
 * of the tags, an *entry* for each tag: the tag, and a block of the codec with the tag's rows.  Of the
 * tag only the bytes are stored that differ from the tag before, or where another entry has these.
 * docs/format.md describes the bytes.
 */
#ifndef HISTORIAN_SHARED_SEGMENT_H
#define HISTORIAN_SHARED_SEGMENT_H

#include "postgres.h"

#include "store/segment.h"

/* The most entries from one whole tag to the next. */
#define SHARED_SEGMENT_RESTART 64

/* The places that a builder remembers where the end of a tag is: two to this power. */
#define SHARED_SEGMENT_TAG_END_BITS 8

#define SHARED_SEGMENT_MAX_RESTARTS (CODEC_MAX_ROWS / SHARED_SEGMENT_RESTART + 1)

/* Reads entries.  Points into the caller's bytes, which must stay. */
typedef struct SharedReader
{
	SegmentHeader header;		/* of the whole segment */
	SegmentStatus status;		/* SEGMENT_BAD_ROWS: the bytes are damaged, and no entry is valid */
	const uint8 *bytes;
	const uint8 *entries;
	const uint8 *end;			/* of the entries, where the restarts are */
	int64		base;			/* what to add to the times of all blocks */
	uint32		ntags;
	uint32		nrestarts;

	/* the present entry */
	bool		valid;
	char		tag[SEGMENT_MAX_TAG_BYTES];
	uint32		tag_bytes;
	uint32		first_row;		/* among the rows of the segment */
	uint32		nrows;
	const uint8 *block;
	uint32		block_bytes;

	/* behind it */
	const uint8 *next;
	uint32		next_index;
	uint32		next_row;
} SharedReader;

/*
 * Opens a shared segment before its first entry; with verify, compares the checksum first.
 * Whatever the bytes are, the functions below read nothing outside of them.
 */
extern SegmentStatus shared_reader_open(SharedReader *reader, const uint8 *bytes, Size length,
										bool verify);

/* Steps to the next entry.  Returns false at the end, or if the bytes are damaged (status). */
extern bool shared_reader_next(SharedReader *reader);

/* Moves to the first entry whose tag is not before the given one; false as above. */
extern bool shared_reader_seek(SharedReader *reader, const char *tag, Size tag_bytes);

/* Moves to the entry that has this row of the segment; false as above. */
extern bool shared_reader_seek_row(SharedReader *reader, uint32 row);

/*
 * Opens the rows of the present entry, as a pending segment of its tag.  The segment's tag points
 * to the reader's.
 */
extern SegmentStatus shared_reader_rows(const SharedReader *reader, Segment *segment);

/*
 * Opens the same rows again, whose place in the bytes and number the segment has (block_offset,
 * block_bytes, header.nrows); the other members of its header are overwritten, but for the tag.
 */
extern SegmentStatus shared_segment_open_part(const uint8 *bytes, Size length, Segment *segment);

/* Builds a shared segment; some 50 kB.  Behind the longest segment there is room for a block. */
typedef struct SharedBuilder
{
	SegmentHeader header;
	char		run_tag[SEGMENT_RUN_NUMBER_BYTES + SEGMENT_MAX_TAG_BYTES];
	int64		base;
	uint32		ntags;
	char		tag[SEGMENT_MAX_TAG_BYTES]; /* the last one */
	uint32		tag_bytes;
	uint32		capacity;
	uint32		length;			/* of the bytes so far, without the restarts */
	uint32		nrestarts;
	uint16		restart_offset[SHARED_SEGMENT_MAX_RESTARTS];
	uint16		restart_row[SHARED_SEGMENT_MAX_RESTARTS];
	uint16		tag_end[1 << SHARED_SEGMENT_TAG_END_BITS];	/* offsets in bytes, by hash; 0: none */
	int64		time[CODEC_MAX_ROWS];	/* scratch */
	uint8		bytes[2 * BLCKSZ];
} SharedBuilder;

/*
 * Begins a segment of at most capacity bytes, which are at most BLCKSZ.  All its rows have the
 * given number in load order.
 * base is near their times; it only matters for the size.
 */
extern void shared_builder_begin(SharedBuilder *builder, uint64 run, uint64 sequence,
								 const char *fence, Size fence_bytes, int64 base, Size capacity);

/*
 * Adds an entry; tags must ascend.  Returns false, and adds nothing, if there is no room for it,
 * or its block takes more than most_bytes.  The second form adds a copy of the reader's present entry, if the builder has the reader's base.
 */
extern bool shared_builder_add(SharedBuilder *builder, CodecEncoder *encoder, const char *tag,
							   Size tag_bytes, const CodecRows *rows, Size most_bytes);
extern bool shared_builder_copy(SharedBuilder *builder, const SharedReader *reader);

/* Ends a segment, which has an entry, and returns its length in builder->bytes. */
extern Size shared_builder_finish(SharedBuilder *builder);

#endif							/* HISTORIAN_SHARED_SEGMENT_H */
