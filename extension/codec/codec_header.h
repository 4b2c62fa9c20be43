/*
 * codec_header.h
 *	  Reading the headers of streams.
 *
 * Whoever opens a block reads the headers of all its columns, of which a summary has over eighty, and may
 * then want one value.  So this is inline, for codec_column.c.  codec_stream.c writes headers.
 */
#ifndef HISTORIAN_CODEC_HEADER_H
#define HISTORIAN_CODEC_HEADER_H

#include "codec/codec_delta.h"

/* The code of a width of 64 bits; other widths are their own codes. */
#define CODEC_HEADER_WIDTH_64 63

/* What a header of coded differences begins with. */
#define CODEC_HEADER_HUFFMAN (CODEC_DELTA << 6 | 58)

/* The bytes of a step by its code. */
static const uint8_t codec_header_step_length[] = {0, 1, 2, 8};

static inline uint64_t
codec_header_step(ByteCursor *cursor)
{
	uint8_t		byte = cursor_byte(cursor);

	if (byte == 0)
		return 0;
	return cursor_signed(cursor, codec_header_step_length[byte >> 6]) << (byte & 0x3f);
}

/* codec_stream_parse() */
static inline bool
codec_header_parse(CodecStream *stream, ByteCursor *cursor, uint32_t nrows)
{
	uint64_t	count;
	unsigned	width;
	uint8_t		byte;

	/* a stream of one row has no header: it is a constant */
	byte = nrows == 1 ? 0 : cursor_byte(cursor);
	width = byte & 0x3f;
	*stream = (CodecStream) {
		.scheme = byte >> 6,
		.width = (uint8_t) (width == CODEC_HEADER_WIDTH_64 ? 64 : width),
		.nrows = nrows,
	};
	if (byte == CODEC_HEADER_HUFFMAN)
	{
		stream->scheme = CODEC_HUFFMAN;
		stream->width = 0;
	}
	if (!bits_width_is_valid(stream->width))
		return false;

	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_FOR:
			break;
		case CODEC_DELTA:
			stream->step = codec_header_step(cursor);
			if (codec_delta_has_high(stream))
				stream->high_width = cursor_byte(cursor);
			if (!bits_width_is_valid(stream->high_width))
				return false;
			break;
		case CODEC_RUNS:
			count = cursor_varint(cursor);
			if (count == 0 || count > nrows)
				return false;
			stream->count = (uint32_t) count;
			stream->index_width = (uint8_t) bits_needed(nrows - 1);
			break;
		case CODEC_DICT:
			count = cursor_varint(cursor);
			if (count == 0 || count > CODEC_MAX_DICT)
				return false;
			stream->count = (uint32_t) count;
			stream->index_width = (uint8_t) bits_needed(count - 1);
			break;
		case CODEC_HUFFMAN:
			stream->step = codec_header_step(cursor);
			count = cursor_varint(cursor);
			if (count > UINT32_MAX)
				return false;
			stream->count = (uint32_t) count;
			break;
	}
	return !cursor->overrun;
}

/* codec_stream_data_bytes() */
static inline size_t
codec_header_data_bytes(const CodecStream *stream)
{
	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_DELTA:
			return codec_delta_bytes(stream);
		case CODEC_RUNS:
			return bits_packed_bytes(stream->count - 1, stream->index_width) +
				bits_packed_bytes(stream->count, stream->width);
		case CODEC_DICT:
			return bits_packed_bytes(stream->count, stream->width) +
				bits_packed_bytes(stream->nrows, stream->index_width);
		case CODEC_HUFFMAN:
			return stream->count;
		case CODEC_FOR:
			break;
	}
	return bits_packed_bytes(stream->nrows, stream->width);
}

#endif							/* HISTORIAN_CODEC_HEADER_H */
