/*
 * fuzz_shared_segment.c
 *	  Hostile shared segments, read as the table's readers do: whatever shared_reader_open() takes without its
 *	  checksum must be readable tag by tag, by tag, by row and in parts, within bounds and in bounded time; and
 *	  what is copied to a new segment must be read from that as it was.
 *
 * Input: the bytes of a segment.
 */
#include "postgres.h"

#include "store/shared_segment.h"
#include "tag.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool what)
{
	if (!what)
		abort();
}

/* The rows of the present entry: opened as a whole and as a part, they are the same. */
static bool
check_entry(const SharedReader *reader, const uint8 *data, size_t size)
{
	Segment segment;
	Segment part;

	expect(reader->tag_bytes > 0 && reader->tag_bytes <= SEGMENT_MAX_TAG_BYTES);
	expect(reader->nrows > 0 && reader->next_row <= reader->header.nrows);
	expect(reader->block >= data && reader->block + reader->block_bytes <= data + size);
	if (shared_reader_rows(reader, &segment) != SEGMENT_OK)
		return false;
	expect(segment.header.first_time >= reader->header.first_time &&
		   segment.header.last_time <= reader->header.last_time);
	part = segment;
	expect(shared_segment_open_part(data, size, &part) == SEGMENT_OK);
	for (uint32 row = 0; row < reader->nrows; row += 1 + reader->nrows / 8)
		expect(codec_time_at(&segment.rows, row) == codec_time_at(&part.rows, row));
	return true;
}

/* A part whose place and number of rows are not those of an entry is refused or read within bounds. */
static void
check_parts(const uint8 *data, size_t size)
{
	for (int i = 0; i < 4; i++)
	{
		Segment part = {.block_offset = size * i / 3 + i, .block_bytes = i < 2 ? size : size / 4};

		part.header.nrows = 1 + 7 * i;
		if (shared_segment_open_part(data, size, &part) == SEGMENT_OK)
			(void) codec_time_at(&part.rows, part.header.nrows - 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static SharedReader reader;
	static SharedReader copied;
	static SharedBuilder builder;
	char tag[SEGMENT_MAX_TAG_BYTES];
	uint32 tag_bytes = 0;
	uint32 steps = 0;
	bool ascend = true;
	uint32 ncopied = 0;

	check_parts(data, size);
	if (shared_reader_open(&reader, data, size, false) != SEGMENT_OK)
		return 0;
	shared_builder_begin(&builder, 1, reader.header.sequence, "", 0, reader.base, BLCKSZ);
	while (shared_reader_next(&reader))
	{
		int order = tag_compare_bytes(tag, tag_bytes, reader.tag, reader.tag_bytes);
		bool readable = check_entry(&reader, data, size);

		expect(++steps <= reader.ntags);
		ascend &= order < 0;
		if (ascend && readable && ncopied == steps - 1)
			ncopied += shared_builder_copy(&builder, &reader);
		tag_bytes = reader.tag_bytes;
		memcpy(tag, reader.tag, tag_bytes);
	}
	expect(!reader.valid && (reader.status == SEGMENT_OK) == (steps == reader.ntags));

	for (uint32 row = 0; row < reader.header.nrows + 2; row += 1 + reader.header.nrows / 32)
	{
		if (shared_reader_open(&reader, data, size, false) == SEGMENT_OK &&
			shared_reader_seek_row(&reader, row))
		{
			expect(row >= reader.first_row && row < reader.next_row);
			(void) check_entry(&reader, data, size);
		}
	}
	for (size_t at = 0; at < size; at += 1 + size / 16)
	{
		const char *sought = (const char *) data + at;
		size_t sought_bytes = Min(size - at, at % 5 == 0 ? 256 : 1 + at % 30);

		if (shared_reader_open(&reader, data, size, false) == SEGMENT_OK &&
			shared_reader_seek(&reader, sought, sought_bytes))
		{
			expect(tag_compare_bytes(reader.tag, reader.tag_bytes, sought, sought_bytes) >= 0);
			(void) check_entry(&reader, data, size);
		}
	}

	if (ncopied == 0)
		return 0;
	expect(shared_reader_open(&copied, builder.bytes, shared_builder_finish(&builder), true) ==
		   SEGMENT_OK);
	expect(shared_reader_open(&reader, data, size, false) == SEGMENT_OK);
	for (uint32 i = 0; i < ncopied; i++)
	{
		expect(shared_reader_next(&reader) && shared_reader_next(&copied));
		expect(tag_compare_bytes(reader.tag, reader.tag_bytes, copied.tag, copied.tag_bytes) == 0);
		expect(reader.nrows == copied.nrows && reader.block_bytes == copied.block_bytes &&
			   memcmp(reader.block, copied.block, reader.block_bytes) == 0);
		expect(shared_reader_seek(&copied, reader.tag, reader.tag_bytes) &&
			   copied.nrows == reader.nrows);
	}
	expect(!shared_reader_next(&copied) && copied.status == SEGMENT_OK);
	return 0;
}
