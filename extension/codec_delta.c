/*
 * codec_delta.c
 *	  Differences, with an anchor every 32 rows so that a number is at most 31 additions away.
 *
 * Every row has a slot of `width` bits.  In most rows it holds the difference from the row before,
 * less `step`, the smallest difference.  In rows 0, 32, 64, .. it holds the low bits of the number
 * itself, less `base`, the smallest of these anchors; their high bits stand in an array of their
 * own before the slots.  So an anchor costs only the bits by which it is wider than a difference.
 *
 * Where all differences are the same the width is 0, and there is no data: row r is
 * base + r * step.
 */
#include "codec_stream.h"

static uint32_t
mini_blocks(const CodecStream *stream)
{
	return (stream->nrows + CODEC_ANCHOR_ROWS - 1) / CODEC_ANCHOR_ROWS;
}

static const uint8_t *
slots(const CodecStream *stream)
{
	return stream->data + bits_packed_bytes(mini_blocks(stream), stream->high_width);
}

static uint64_t
anchor(const CodecStream *stream, const uint8_t *slot, uint32_t mini_block)
{
	uint64_t	high = bits_get(stream->data, stream->last, stream->high_width, mini_block);
	uint64_t	low = bits_get(slot, stream->last, stream->width,
							   (size_t) mini_block * CODEC_ANCHOR_ROWS);

	return stream->base + low + (stream->high_width == 0 ? 0 : high << stream->width);
}

uint64_t
codec_delta_get(const CodecStream *stream, uint32_t row)
{
	const uint8_t *slot = slots(stream);
	uint32_t	after = row % CODEC_ANCHOR_ROWS;
	uint64_t	number;

	if (stream->width == 0)
		return stream->base + row * stream->step;

	number = anchor(stream, slot, row / CODEC_ANCHOR_ROWS) + after * stream->step;
	for (uint32_t i = row - after + 1; i <= row; i++)
		number += bits_get(slot, stream->last, stream->width, i);
	return number;
}

/*
 * The last row whose number is at most the given one, in a stream that ascends from 0.
 */
uint32_t
codec_delta_find(const CodecStream *stream, uint64_t number)
{
	const uint8_t *slot = slots(stream);
	uint32_t	low = 0;
	uint32_t	high = mini_blocks(stream);
	uint32_t	row;
	uint32_t	end;
	uint64_t	at;

	if (stream->width == 0)
	{
		uint64_t	steps = stream->step == 0 ? stream->nrows : number / stream->step;

		return steps < stream->nrows ? (uint32_t) steps : stream->nrows - 1;
	}

	while (high - low > 1)
	{
		uint32_t	middle = (low + high) / 2;

		if (anchor(stream, slot, middle) <= number)
			low = middle;
		else
			high = middle;
	}

	at = anchor(stream, slot, low);
	row = low * CODEC_ANCHOR_ROWS;
	end = stream->nrows - row < CODEC_ANCHOR_ROWS ? stream->nrows : row + CODEC_ANCHOR_ROWS;
	while (row + 1 < end)
	{
		at += stream->step + bits_get(slot, stream->last, stream->width, row + 1);
		if (at > number)
			break;
		row++;
	}
	return row;
}

void
codec_delta_decode(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	const uint8_t *slot = slots(stream);

	if (stream->width == 0)
	{
		for (uint32_t i = 0; i < count; i++)
			dst[i] = stream->base + (first + i) * stream->step;
		return;
	}

	while (count > 0)
	{
		uint64_t	numbers[CODEC_ANCHOR_ROWS];
		uint32_t	skip = first % CODEC_ANCHOR_ROWS;
		uint32_t	here = CODEC_ANCHOR_ROWS - skip < count ? CODEC_ANCHOR_ROWS - skip : count;
		uint64_t	number = anchor(stream, slot, first / CODEC_ANCHOR_ROWS);

		bits_unpack(slot, stream->last, stream->width, first - skip, skip + here, numbers);
		numbers[0] = number;
		for (uint32_t i = 1; i < skip + here; i++)
		{
			number += numbers[i] + stream->step;
			numbers[i] = number;
		}
		memcpy(dst, numbers + skip, here * sizeof(*dst));
		dst += here;
		first += here;
		count -= here;
	}
}

void
codec_delta_plan(CodecStream *stream, const CodecStats *stats)
{
	uint64_t	range = (uint64_t) stats->greatest_step - (uint64_t) stats->least_step;

	*stream = (CodecStream) {
		.scheme = CODEC_DELTA,
		.nrows = stats->nrows,
		.base = stats->anchor_base,
		.step = (uint64_t) stats->least_step,
	};
	if (stats->line)
	{
		stream->base = stats->first;
		return;
	}

	/* a width of 0 would say that it is a line */
	stream->width = (uint8_t) bits_packed_width(range | 1);
	if (stream->width < 64)
		stream->high_width = (uint8_t) bits_packed_width(stats->anchor_range >> stream->width);
}

uint8_t *
codec_delta_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	uint64_t	chunk[256];
	uint32_t	count;

	if (stream->width == 0)
		return dst;

	count = 0;
	for (uint32_t row = 0; row < stream->nrows; row += CODEC_ANCHOR_ROWS)
		chunk[count++] = stream->high_width == 0 ? 0 :
			(numbers[row] - stream->base) >> stream->width;
	dst = bits_pack(dst, stream->high_width, chunk, count);

	for (uint32_t first = 0; first < stream->nrows; first += count)
	{
		count = stream->nrows - first < 256 ? stream->nrows - first : 256;
		for (uint32_t i = 0; i < count; i++)
		{
			uint32_t	row = first + i;

			chunk[i] = row % CODEC_ANCHOR_ROWS == 0 ? numbers[row] - stream->base :
				numbers[row] - numbers[row - 1] - stream->step;
		}
		dst = bits_pack(dst, stream->width, chunk, count);
	}
	return dst;
}
