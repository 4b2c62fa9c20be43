/*
 * codec_for.c
 *	  Frame of reference: each number is stored as its packed distance from the smallest one.
 *
 * Equal numbers have width 0 and no data.  One read finds any number.
 */
#include "codec/codec_for.h"

uint64_t
codec_for_get(const CodecStream *stream, uint32_t row)
{
	return stream->base + bits_get(stream->data, stream->last, stream->width, row);
}

void
codec_for_decode(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	bits_unpack(stream->data, stream->last, stream->width, first, count, dst);
	for (uint32_t i = 0; i < count; i++)
		dst[i] += stream->base;
}

void
codec_for_plan(CodecStream *stream, const CodecStats *stats)
{
	*stream = (CodecStream) {
		.scheme = CODEC_FOR,
		.width = (uint8_t) bits_packed_width(stats->range),
		.nrows = stats->nrows,
		.base = stats->base,
	};
}

/* Writes numbers that one word has room for: those of a block of few rows. */
static uint8_t *
put_word(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	uint64_t	word = 0;
	unsigned	filled = 0;

	for (uint32_t i = 0; i < stream->nrows; i++, filled += stream->width)
		word |= (numbers[i] - stream->base) << filled;
	for (uint8_t *end = dst + (filled + 7) / 8; dst < end; word >>= 8)
		*dst++ = (uint8_t) word;
	return dst;
}

uint8_t *
codec_for_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	uint64_t	chunk[256];
	uint32_t	count;

	if (stream->width == 0)
		return dst;
	if (stream->nrows * stream->width <= 64)
		return put_word(stream, numbers, dst);

	/* the numbers of a full chunk take whole bytes, whatever the width */
	for (uint32_t first = 0; first < stream->nrows; first += count)
	{
		const uint64_t *number = numbers + first;

		count = stream->nrows - first < 256 ? stream->nrows - first : 256;
		for (size_t i = 0; i < count; i++)
			chunk[i] = number[i] - stream->base;
		dst = bits_pack(dst, stream->width, chunk, count);
	}
	return dst;
}
