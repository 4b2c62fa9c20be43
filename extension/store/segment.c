/*
 * segment.c
 *	  Building, opening and checking one segment's bytes.
 *
 * Layout, little-endian:
 *
 *	  0  uint16 magic		  8  uint64 sequence		32  uint16 rows
 *	  2  uint8  version		 16  int64  first time		34  uint16 bytes of the tag
 *	  3  uint8  flags		 24  int64  last time		36  the tag, then the block
 *	  4  uint32 CRC-32C of bytes 0..3 and 8..end
 *
 * Reads of many rows compare the checksum, and so does compaction, which must not copy damage into
 * new segments.  Lookups of single rows and of summaries rely on the page's checksum, where there
 * is one.  Neither checksum keeps out bytes that were made on purpose, so everything is bounded
 * before it indexes memory.
 */
#include "postgres.h"

#include "store/segment.h"

#include "port/pg_crc32c.h"

#include "store/segment_bytes.h"

#define CHECKSUM_OFFSET 4
#define CHECKSUM_END 8

static Size max_tag_bytes(const SegmentHeader *header);
static bool times_fit_header(const Segment *segment);
static pg_crc32c segment_checksum(const uint8 *bytes, Size length);

/* Of the flags that name a kind, at most one may be set. */
pg_attribute_unused() static inline bool
is_one_kind(uint8 flags)
{
	uint8		kind = flags & ~SEGMENT_SUMMARY_TOTALS;

	return (kind & (kind - 1)) == 0;
}

Size
segment_build(CodecEncoder *encoder, SegmentHeader *header, const CodecRows *rows,
			  const int64 *last_times, uint8 *dst, Size capacity, uint32 *guess)
{
	Size		prefix = SEGMENT_HEADER_BYTES + header->tag_bytes;
	uint32		taken;
	Size		block;

	Assert(is_one_kind(header->flags));
	if (capacity <= prefix)
		return 0;
	block = codec_encode_fit(encoder, rows, dst + prefix, capacity - prefix, guess, &taken);
	if (block == 0)
		return 0;

	header->nrows = taken;
	header->first_time = rows->time[0];
	header->last_time = (last_times != NULL ? last_times : rows->time)[taken - 1];

	segment_put_header(header, dst);
	segment_seal(dst, prefix + block);
	return prefix + block;
}

void
segment_put_header(const SegmentHeader *header, uint8 *dst)
{
	segment_bytes_put16(dst, SEGMENT_MAGIC);
	dst[2] = SEGMENT_VERSION;
	dst[3] = header->flags;
	segment_bytes_put64(dst + 8, header->sequence);
	segment_bytes_put64(dst + 16, header->first_time);
	segment_bytes_put64(dst + 24, header->last_time);
	segment_bytes_put16(dst + 32, header->nrows);
	segment_bytes_put16(dst + 34, header->tag_bytes);
	memcpy(dst + SEGMENT_HEADER_BYTES, header->tag, header->tag_bytes);
}

void
segment_seal(uint8 *bytes, Size length)
{
	segment_bytes_put32(bytes + CHECKSUM_OFFSET, segment_checksum(bytes, length));
}

Size
segment_build_renamed(const SegmentHeader *header, const uint8 *bytes, Size length, uint8 *dst,
					  Size capacity)
{
	Size		block = SEGMENT_HEADER_BYTES + segment_bytes_get16(bytes + 34);
	Size		new_block = SEGMENT_HEADER_BYTES + header->tag_bytes;
	Size		new_length = new_block + (length - block);

	if (new_length > capacity)
		return 0;
	segment_put_header(header, dst);
	memcpy(dst + new_block, bytes + block, length - block);
	segment_seal(dst, new_length);
	return new_length;
}

bool
segment_is_sealed(const uint8 *bytes, Size length)
{
	return segment_bytes_get32(bytes + CHECKSUM_OFFSET) == segment_checksum(bytes, length);
}

void
segment_mark(uint8 *bytes, Size length, uint8 flags, uint64 sequence)
{
	Assert(is_one_kind(flags));
	bytes[3] = flags;
	segment_bytes_put64(bytes + 8, sequence);
	segment_seal(bytes, length);
}

SegmentStatus
segment_read_header(SegmentHeader *header, const uint8 *bytes, Size length)
{
	if (length < SEGMENT_HEADER_BYTES || segment_bytes_get16(bytes) != SEGMENT_MAGIC)
		return SEGMENT_NOT_A_SEGMENT;
	if (bytes[2] != SEGMENT_VERSION || (bytes[3] & ~SEGMENT_KNOWN_FLAGS) != 0)
		return SEGMENT_NEWER_VERSION;

	header->flags = bytes[3];
	header->sequence = segment_bytes_get64(bytes + 8);
	header->first_time = segment_bytes_get64(bytes + 16);
	header->last_time = segment_bytes_get64(bytes + 24);
	header->nrows = segment_bytes_get16(bytes + 32);
	header->tag_bytes = segment_bytes_get16(bytes + 34);
	header->tag = (const char *) bytes + SEGMENT_HEADER_BYTES;

	if (header->nrows == 0 || header->nrows > CODEC_MAX_ROWS || header->tag_bytes == 0 ||
		header->tag_bytes > max_tag_bytes(header) ||
		header->tag_bytes > length - SEGMENT_HEADER_BYTES ||
		((header->flags & (SEGMENT_SHARED | SEGMENT_RUN_ROOT)) &&
		 header->tag_bytes < SEGMENT_RUN_NUMBER_BYTES) ||
		(header->flags & (SEGMENT_SUMMARY | SEGMENT_SUMMARY_TOTALS)) == SEGMENT_SUMMARY_TOTALS ||
		header->first_time > header->last_time)
		return SEGMENT_BAD_HEADER;

	return SEGMENT_OK;
}

SegmentStatus
segment_open(Segment *segment, const uint8 *bytes, Size length, bool verify)
{
	SegmentStatus status = segment_read_header(&segment->header, bytes, length);
	Size		prefix;

	if (status != SEGMENT_OK)
		return status;
	if (verify && !segment_is_sealed(bytes, length))
		return SEGMENT_BAD_CHECKSUM;
	if (segment->header.flags & SEGMENT_SHARED)
		return SEGMENT_BAD_ROWS;

	segment->shared = false;
	segment->first_row = 0;
	prefix = SEGMENT_HEADER_BYTES + segment->header.tag_bytes;
	switch (codec_open(&segment->rows, bytes + prefix, length - prefix, segment->header.nrows))
	{
		case CODEC_OK:
			return times_fit_header(segment) ? SEGMENT_OK : SEGMENT_BAD_TIMES;
		case CODEC_UNSUPPORTED:
			return SEGMENT_NEWER_VERSION;
		case CODEC_CORRUPT:
			break;
	}
	return SEGMENT_BAD_ROWS;
}

const char *
segment_status_text(SegmentStatus status)
{
	switch (status)
	{
		case SEGMENT_OK:
			return "The segment is intact.";
		case SEGMENT_NOT_A_SEGMENT:
			return "The stored tuple is not a segment.";
		case SEGMENT_NEWER_VERSION:
			return "The segment has a format version that this library does not know.";
		case SEGMENT_BAD_HEADER:
			return "The segment's header contradicts itself.";
		case SEGMENT_BAD_CHECKSUM:
			return "The segment's checksum does not match its bytes.";
		case SEGMENT_BAD_ROWS:
			return "The segment's compressed rows are malformed.";
		case SEGMENT_BAD_TIMES:
			return "The segment's times do not ascend from the header's first to its last.";
		case SEGMENT_NO_ROW:
			return "The segment does not have the row that was sought.";
		case SEGMENT_MISPLACED:
			return "The segment is not of the tag and time that the directory has for its place.";
	}
	return "Unknown status.";
}

/* The number of a run precedes the fence in the tag of a shared segment. */
static Size
max_tag_bytes(const SegmentHeader *header)
{
	return header->flags & SEGMENT_SHARED
		? SEGMENT_RUN_NUMBER_BYTES + SEGMENT_MAX_TAG_BYTES : SEGMENT_MAX_TAG_BYTES;
}

/*
 * Do the first and last row have the header's times?  A last summary covers more than its own time,
 * and so does the root of a run.
 */
static bool
times_fit_header(const Segment *segment)
{
	const SegmentHeader *header = &segment->header;

	return codec_time_at(&segment->rows, 0) == header->first_time &&
		((header->flags & (SEGMENT_SUMMARY | SEGMENT_RUN_ROOT)) ||
		 codec_time_at(&segment->rows, header->nrows - 1) == header->last_time);
}

static pg_crc32c
segment_checksum(const uint8 *bytes, Size length)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, bytes, CHECKSUM_OFFSET);
	COMP_CRC32C(crc, bytes + CHECKSUM_END, length - CHECKSUM_END);
	FIN_CRC32C(crc);
	return crc;
}
