/*
 * shared_segment.c
 *	  The bytes of a shared segment: the rows of many tags, a few of each.
 *
 * After the header and the segment's tag:
 *
 *	  int64 base of the times, uint16 number of tags, the entries, the restarts
 *
 * An entry has four parts:
 *
 *	  varint	how many bytes of the tag before begin this tag
 *	  varint	how many bytes follow, and these; or 0 and a varint d: the length that is d bytes
 *				before this entry, and the bytes that follow it there, are meant
 *	  varint	twice the bytes of the block, plus 1 if a varint with the number of rows follows
 *				(without it there is one row)
 *	  block		of the codec, whose times are less the base
 *
 * Every SHARED_SEGMENT_RESTART-th entry, from the first on, has a whole tag.  For each of these a
 * restart has the uint16 offset in the entries, and the uint16 number of rows before it.  A search
 * halves the restarts and then steps.
 *
 * A plant's tags often end alike (pump-7/flow, pump-7/level, pump-8/flow, ...), which is why an entry
 * may name the end of another one.  It names a place and not an entry, so that a reader that comes
 * from a restart needs to know nothing of what is before it.
 */
#include "postgres.h"

#include "store/shared_segment.h"

#include "port/pg_bitutils.h"

#include "store/segment_bytes.h"
#include "tag.h"

#define BASE_BYTES 8
#define COUNT_BYTES 2
#define RESTART_BYTES 4

/*
 * Four varints of numbers below 2^14, and one more byte for the doubled one.  An entry that names the
 * end of another one has a varint more, and no bytes of the tag.
 */
#define MAX_ENTRY_OVERHEAD 9

/* The end of a tag is named elsewhere only if it is longer than the name. */
#define LEAST_NAMED_BYTES 3

static SegmentStatus open_block(Segment *segment, const SegmentHeader *whole, const uint8 *block,
								uint32 block_bytes, uint32 nrows, int64 base);
static bool damaged(SharedReader *reader);
static bool get_varint(const uint8 **from, const uint8 *end, uint32 *value);
static bool get_named_end(const uint8 **from, const SharedReader *reader, const uint8 **end,
						  uint32 *end_bytes);
static uint8 *put_varint(uint8 *dst, uint32 value);
static void go_to_restart(SharedReader *reader, uint32 restart);
static uint32 restart_row(const SharedReader *reader, uint32 restart);
static bool read_restart_tag(SharedReader *reader, uint32 restart);
static uint32 common_bytes(const char *a, const char *b, uint32 most);
static bool begin_entry(SharedBuilder *builder, const char *tag, Size tag_bytes, uint32 nrows,
						uint32 *kept, uint8 **dst);
static uint8 *put_tag_end(SharedBuilder *builder, uint8 *dst, const char *end, Size end_bytes);
static uint8 *put_block(uint8 *dst, const uint8 *block, uint32 block_bytes, uint32 nrows);
static void end_entry(SharedBuilder *builder, const char *tag, Size tag_bytes, uint32 kept,
					  uint32 nrows, int64 first_time, int64 last_time, const uint8 *end);

SegmentStatus
shared_reader_open(SharedReader *reader, const uint8 *bytes, Size length, bool verify)
{
	SegmentStatus status = segment_read_header(&reader->header, bytes, length);
	Size		prefix;
	Size		restarts;

	if (status != SEGMENT_OK)
		return reader->status = status;
	if (verify && !segment_is_sealed(bytes, length))
		return reader->status = SEGMENT_BAD_CHECKSUM;
	prefix = SEGMENT_HEADER_BYTES + reader->header.tag_bytes;
	if (!(reader->header.flags & SEGMENT_SHARED) || length < prefix + BASE_BYTES + COUNT_BYTES)
		return reader->status = SEGMENT_BAD_ROWS;

	reader->bytes = bytes;
	reader->base = segment_bytes_get64(bytes + prefix);
	reader->ntags = segment_bytes_get16(bytes + prefix + BASE_BYTES);
	reader->nrestarts = (reader->ntags + SHARED_SEGMENT_RESTART - 1) / SHARED_SEGMENT_RESTART;
	reader->entries = bytes + prefix + BASE_BYTES + COUNT_BYTES;
	restarts = reader->nrestarts * RESTART_BYTES;
	if (reader->ntags == 0 || restarts > length - (reader->entries - bytes))
		return reader->status = SEGMENT_BAD_ROWS;
	reader->end = bytes + length - restarts;

	reader->valid = false;
	reader->tag_bytes = 0;
	reader->next = reader->entries;
	reader->next_index = 0;
	reader->next_row = 0;
	return reader->status = SEGMENT_OK;
}

bool
shared_reader_next(SharedReader *reader)
{
	const uint8 *from = reader->next;
	const uint8 *suffix;
	uint32		kept;
	uint32		suffix_bytes;
	uint32		block;

	reader->valid = false;
	if (reader->status != SEGMENT_OK || reader->next_index == reader->ntags)
		return false;
	if (!get_varint(&from, reader->end, &kept) || !get_varint(&from, reader->end, &suffix_bytes))
		return damaged(reader);
	if (suffix_bytes == 0)
	{
		if (!get_named_end(&from, reader, &suffix, &suffix_bytes))
			return damaged(reader);
	}
	else
	{
		if (suffix_bytes > reader->end - from)
			return damaged(reader);
		suffix = from;
		from += suffix_bytes;
	}
	if (kept > reader->tag_bytes || suffix_bytes > SEGMENT_MAX_TAG_BYTES - kept ||
		tag_compare_bytes((const char *) suffix, suffix_bytes, reader->tag + kept,
						  reader->tag_bytes - kept) <= 0)
		return damaged(reader);
	memcpy(reader->tag + kept, suffix, suffix_bytes);
	reader->tag_bytes = kept + suffix_bytes;

	reader->nrows = 1;
	if (!get_varint(&from, reader->end, &block) ||
		((block & 1) && !get_varint(&from, reader->end, &reader->nrows)))
		return damaged(reader);
	reader->block_bytes = block >> 1;
	reader->first_row = reader->next_row;
	if (reader->nrows == 0 || reader->block_bytes > reader->end - from ||
		reader->nrows > reader->header.nrows - reader->first_row)
		return damaged(reader);
	reader->block = from;

	reader->next = from + reader->block_bytes;
	reader->next_index++;
	reader->next_row = reader->first_row + reader->nrows;
	reader->valid = true;
	return true;
}

bool
shared_reader_seek(SharedReader *reader, const char *tag, Size tag_bytes)
{
	uint32		low = 0;
	uint32		high = reader->nrestarts;

	if (reader->status != SEGMENT_OK)
		return false;
	/* the last restart whose tag is not after the one sought, or else the first */
	while (low + 1 < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (!read_restart_tag(reader, middle))
			return false;
		if (tag_compare_bytes(reader->tag, reader->tag_bytes, tag, tag_bytes) <= 0)
			low = middle;
		else
			high = middle;
	}
	go_to_restart(reader, low);
	while (shared_reader_next(reader))
	{
		if (tag_compare_bytes(reader->tag, reader->tag_bytes, tag, tag_bytes) >= 0)
			return true;
	}
	return false;
}

bool
shared_reader_seek_row(SharedReader *reader, uint32 row)
{
	uint32		low = 0;
	uint32		high = reader->nrestarts;

	if (reader->status != SEGMENT_OK)
		return false;
	while (low + 1 < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (restart_row(reader, middle) <= row)
			low = middle;
		else
			high = middle;
	}
	go_to_restart(reader, low);
	while (shared_reader_next(reader))
	{
		if (row < reader->next_row)
			return row >= reader->first_row || damaged(reader);
	}
	return false;
}

SegmentStatus
shared_reader_rows(const SharedReader *reader, Segment *segment)
{
	Assert(reader->valid);
	segment->shared = true;
	segment->first_row = reader->first_row;
	segment->block_offset = reader->block - reader->bytes;
	segment->block_bytes = reader->block_bytes;
	segment->header.tag = reader->tag;
	segment->header.tag_bytes = reader->tag_bytes;
	return open_block(segment, &reader->header, reader->block, reader->block_bytes, reader->nrows,
					  reader->base);
}

SegmentStatus
shared_segment_open_part(const uint8 *bytes, Size length, Segment *segment)
{
	SharedReader reader;

	if (shared_reader_open(&reader, bytes, length, false) != SEGMENT_OK)
		return reader.status;
	if (segment->block_offset > length || segment->block_bytes > length - segment->block_offset)
		return SEGMENT_BAD_ROWS;
	return open_block(segment, &reader.header, bytes + segment->block_offset, segment->block_bytes,
					  segment->header.nrows, reader.base);
}

void
shared_builder_begin(SharedBuilder *builder, uint64 run, uint64 sequence, const char *fence,
					 Size fence_bytes, int64 base, Size capacity)
{
	Assert(capacity <= BLCKSZ);
	segment_put_run_number(builder->run_tag, run);
	memcpy(builder->run_tag + SEGMENT_RUN_NUMBER_BYTES, fence, fence_bytes);
	builder->header = (SegmentHeader) {
		.flags = SEGMENT_SHARED,
		.sequence = sequence,
		.tag = builder->run_tag,
		.tag_bytes = SEGMENT_RUN_NUMBER_BYTES + fence_bytes,
		.first_time = PG_INT64_MAX,
		.last_time = PG_INT64_MIN,
	};
	builder->base = base;
	builder->ntags = 0;
	builder->tag_bytes = 0;
	builder->nrestarts = 0;
	memset(builder->tag_end, 0, sizeof(builder->tag_end));
	builder->capacity = capacity;
	builder->length = SEGMENT_HEADER_BYTES + builder->header.tag_bytes + BASE_BYTES + COUNT_BYTES;
}

bool
shared_builder_add(SharedBuilder *builder, CodecEncoder *encoder, const char *tag, Size tag_bytes,
				   const CodecRows *rows, Size most_bytes)
{
	CodecRows	relative = *rows;
	uint8	   *dst;
	uint8	   *block;
	Size		length;
	uint32		kept;

	if (!begin_entry(builder, tag, tag_bytes, rows->nrows, &kept, &dst))
		return false;
	for (uint32 i = 0; i < rows->nrows; i++)
		builder->time[i] = (int64) ((uint64) rows->time[i] - (uint64) builder->base);
	/* where the difference overflows, the times would not ascend */
	for (uint32 i = 1; i < rows->nrows; i++)
	{
		if (builder->time[i] <= builder->time[i - 1])
			return false;
	}
	relative.time = builder->time;
	/* most blocks, of few rows, are where they belong: behind two numbers of a byte, or one */
	block = dst + (rows->nrows > 1 ? 2 : 1);
	length = codec_encode(encoder, &relative, block, Min(most_bytes, BLCKSZ - MAX_ENTRY_OVERHEAD));
	if (length == 0 ||
		(dst - builder->bytes) + MAX_ENTRY_OVERHEAD + length +
		(builder->nrestarts + 1) * RESTART_BYTES > builder->capacity)
		return false;
	dst = put_block(dst, block, length, rows->nrows);
	end_entry(builder, tag, tag_bytes, kept, rows->nrows, rows->time[0],
			  rows->time[rows->nrows - 1], dst);
	return true;
}

bool
shared_builder_copy(SharedBuilder *builder, const SharedReader *reader)
{
	Segment		segment;
	uint8	   *dst;
	uint32		kept;

	Assert(reader->base == builder->base);
	if (shared_reader_rows(reader, &segment) != SEGMENT_OK ||
		!begin_entry(builder, reader->tag, reader->tag_bytes, reader->nrows, &kept, &dst) ||
		(dst - builder->bytes) + MAX_ENTRY_OVERHEAD + reader->block_bytes +
		(builder->nrestarts + 1) * RESTART_BYTES > builder->capacity)
		return false;
	dst = put_block(dst, reader->block, reader->block_bytes, reader->nrows);
	end_entry(builder, reader->tag, reader->tag_bytes, kept, reader->nrows,
			  segment.header.first_time, segment.header.last_time, dst);
	return true;
}

Size
shared_builder_finish(SharedBuilder *builder)
{
	Size		prefix = SEGMENT_HEADER_BYTES + builder->header.tag_bytes;
	uint8	   *restarts = builder->bytes + builder->length;
	Size		length = builder->length + builder->nrestarts * RESTART_BYTES;

	Assert(builder->ntags > 0);
	segment_put_header(&builder->header, builder->bytes);
	segment_bytes_put64(builder->bytes + prefix, builder->base);
	segment_bytes_put16(builder->bytes + prefix + BASE_BYTES, builder->ntags);
	for (uint32 i = 0; i < builder->nrestarts; i++)
	{
		segment_bytes_put16(restarts + i * RESTART_BYTES, builder->restart_offset[i]);
		segment_bytes_put16(restarts + i * RESTART_BYTES + 2, builder->restart_row[i]);
	}
	segment_seal(builder->bytes, length);
	return length;
}

/* Opens the rows of one tag in a block; whole is the header of the shared segment. */
static SegmentStatus
open_block(Segment *segment, const SegmentHeader *whole, const uint8 *block, uint32 block_bytes,
		   uint32 nrows, int64 base)
{
	SegmentHeader *header = &segment->header;

	switch (codec_open(&segment->rows, block, block_bytes, nrows))
	{
		case CODEC_OK:
			break;
		case CODEC_UNSUPPORTED:
			return SEGMENT_NEWER_VERSION;
		case CODEC_CORRUPT:
			return SEGMENT_BAD_ROWS;
	}
	codec_rebase(&segment->rows, base);
	header->flags = 0;
	header->sequence = whole->sequence;
	header->nrows = nrows;
	header->first_time = codec_time_at(&segment->rows, 0);
	header->last_time = nrows > 1
		? codec_time_at(&segment->rows, nrows - 1) : header->first_time;
	if (header->first_time > header->last_time || header->first_time < whole->first_time ||
		header->last_time > whole->last_time)
		return SEGMENT_BAD_TIMES;
	return SEGMENT_OK;
}

/* Notes that the bytes are damaged.  Returns false, for the caller to return. */
static bool
damaged(SharedReader *reader)
{
	reader->status = SEGMENT_BAD_ROWS;
	reader->valid = false;
	return false;
}

/* Reads a number below 2^21, 7 bits a byte, the least first. */
static bool
get_varint(const uint8 **from, const uint8 *end, uint32 *value)
{
	*value = 0;
	for (int shift = 0; shift < 21; shift += 7)
	{
		uint8		byte;

		if (*from >= end)
			return false;
		byte = *(*from)++;
		*value |= (uint32) (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/*
 * Reads how far before the reader's next entry the end of its tag is, and finds it.  Returns false if
 * it is not within the entries before that.
 */
static bool
get_named_end(const uint8 **from, const SharedReader *reader, const uint8 **end, uint32 *end_bytes)
{
	uint32		back;

	if (!get_varint(from, reader->end, &back) || back > reader->next - reader->entries)
		return false;
	*end = reader->next - back;
	return get_varint(end, reader->next, end_bytes) && *end_bytes > 0 &&
		*end_bytes <= reader->next - *end;
}

static uint8 *
put_varint(uint8 *dst, uint32 value)
{
	while (value >= 0x80)
	{
		*dst++ = (uint8) (value | 0x80);
		value >>= 7;
	}
	*dst++ = (uint8) value;
	return dst;
}

/* Moves before the entry of a restart. */
static void
go_to_restart(SharedReader *reader, uint32 restart)
{
	uint32		offset = segment_bytes_get16(reader->end + restart * RESTART_BYTES);

	reader->valid = false;
	reader->tag_bytes = 0;
	/* at the end of the entries, no entry can be read, which counts as damage */
	reader->next = reader->entries + Min(offset, (uint32) (reader->end - reader->entries));
	reader->next_index = restart * SHARED_SEGMENT_RESTART;
	reader->next_row = Min(restart_row(reader, restart), reader->header.nrows);
}

static uint32
restart_row(const SharedReader *reader, uint32 restart)
{
	return segment_bytes_get16(reader->end + restart * RESTART_BYTES + 2);
}

/* Reads the tag of a restart into the reader's. */
static bool
read_restart_tag(SharedReader *reader, uint32 restart)
{
	go_to_restart(reader, restart);
	return shared_reader_next(reader);
}

/* How many of the first most bytes of two tags are the same. */
static uint32
common_bytes(const char *a, const char *b, uint32 most)
{
	uint32		same = 0;

	/* eight at a time, as neighbours begin alike */
	for (; same + sizeof(uint64) <= most; same += sizeof(uint64))
	{
		uint64		difference = segment_bytes_get64((const uint8 *) a + same) ^
			segment_bytes_get64((const uint8 *) b + same);

		if (difference != 0)
			return same + pg_rightmost_one_pos64(difference) / BITS_PER_BYTE;
	}
	while (same < most && a[same] == b[same])
		same++;
	return same;
}

/*
 * Puts the tag of a new entry, and sets *dst behind it, and *kept to the bytes that are those of the
 * tag before.  Returns false if the tag alone may not fit, or there would be too many rows.
 */
static inline bool
begin_entry(SharedBuilder *builder, const char *tag, Size tag_bytes, uint32 nrows, uint32 *kept,
			uint8 **dst)
{
	uint8	   *to = builder->bytes + builder->length;

	Assert(builder->ntags == 0 ||
		   tag_compare_bytes(builder->tag, builder->tag_bytes, tag, tag_bytes) < 0);
	if (nrows > CODEC_MAX_ROWS - builder->header.nrows ||
		builder->length + MAX_ENTRY_OVERHEAD + tag_bytes +
		(builder->nrestarts + 1) * RESTART_BYTES > builder->capacity)
		return false;
	*kept = builder->ntags % SHARED_SEGMENT_RESTART == 0 ? 0 :
		common_bytes(tag, builder->tag, Min(tag_bytes, builder->tag_bytes));
	to = put_varint(to, *kept);
	*dst = put_tag_end(builder, to, tag + *kept, tag_bytes - *kept);
	return true;
}

/* The place in the table of ends for the bytes by which a tag ends, LEAST_NAMED_BYTES or more. */
static inline uint32
hash_end(const uint8 *end, Size end_bytes)
{
	const uint64 factor = UINT64CONST(0x9E3779B97F4A7C15);	/* 2^64 by the golden ratio */
	uint64		hash = end_bytes;

	/* words, of which the last overlaps the one before */
	if (end_bytes >= sizeof(uint64))
	{
		for (Size i = 0; i + sizeof(uint64) < end_bytes; i += sizeof(uint64))
			hash = (hash ^ segment_bytes_get64(end + i)) * factor;
		hash ^= segment_bytes_get64(end + end_bytes - sizeof(uint64));
	}
	else if (end_bytes >= sizeof(uint32))
		hash ^= (uint64) segment_bytes_get32(end) << 32 |
			segment_bytes_get32(end + end_bytes - sizeof(uint32));
	else
		hash ^= (uint64) segment_bytes_get16(end) << 16 | end[end_bytes - 1] << 8;
	return hash * factor >> (64 - SHARED_SEGMENT_TAG_END_BITS);
}

/*
 * Puts the bytes by which a tag ends, or where an earlier entry has them.  Returns the place behind.
 * The builder's table of such places may have one of an entry that was not added after all, where
 * other bytes are now.  So what is found there is compared.
 */
static uint8 *
put_tag_end(SharedBuilder *builder, uint8 *dst, const char *end, Size end_bytes)
{
	const uint8 *next = builder->bytes + builder->length;
	uint16	   *place;

	if (end_bytes >= LEAST_NAMED_BYTES)
	{
		const uint8 *there;
		uint32		bytes;

		place = &builder->tag_end[hash_end((const uint8 *) end, end_bytes)];
		there = builder->bytes + *place;
		if (*place > 0 && there < next && get_varint(&there, next, &bytes) && bytes == end_bytes &&
			bytes <= next - there && memcmp(there, end, end_bytes) == 0)
		{
			dst = put_varint(dst, 0);
			return put_varint(dst, next - builder->bytes - *place);
		}
		*place = dst - builder->bytes;
	}
	dst = put_varint(dst, end_bytes);
	memcpy(dst, end, end_bytes);
	return dst + end_bytes;
}

static inline uint32
varint_bytes(uint32 value)
{
	return 1 + (value >= 1 << 7) + (value >= 1 << 14);
}

/*
 * Puts what follows the tag of an entry: how long the block is, how many rows it has, and the block, which may
 * be there already.  Returns the place behind.
 */
static uint8 *
put_block(uint8 *dst, const uint8 *block, uint32 block_bytes, uint32 nrows)
{
	uint32		doubled = block_bytes << 1 | (nrows > 1);
	uint32		numbers = varint_bytes(doubled) + (nrows > 1 ? varint_bytes(nrows) : 0);

	if (block != dst + numbers)
		memmove(dst + numbers, block, block_bytes);
	dst = put_varint(dst, doubled);
	if (nrows > 1)
		dst = put_varint(dst, nrows);
	return dst + block_bytes;
}

/* Counts a new entry, which ends at end.  The first kept bytes of its tag are those of the tag before. */
static void
end_entry(SharedBuilder *builder, const char *tag, Size tag_bytes, uint32 kept, uint32 nrows,
		  int64 first_time, int64 last_time, const uint8 *end)
{
	Size		prefix = SEGMENT_HEADER_BYTES + builder->header.tag_bytes + BASE_BYTES + COUNT_BYTES;

	if (builder->ntags % SHARED_SEGMENT_RESTART == 0)
	{
		builder->restart_offset[builder->nrestarts] = builder->length - prefix;
		builder->restart_row[builder->nrestarts] = builder->header.nrows;
		builder->nrestarts++;
	}
	builder->ntags++;
	builder->header.nrows += nrows;
	builder->header.first_time = Min(builder->header.first_time, first_time);
	builder->header.last_time = Max(builder->header.last_time, last_time);
	memcpy(builder->tag + kept, tag + kept, tag_bytes - kept);
	builder->tag_bytes = tag_bytes;
	builder->length = end - builder->bytes;
}
