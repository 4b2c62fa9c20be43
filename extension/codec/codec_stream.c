/*
 * codec_stream.c
 *	  Reads and writes the headers of streams, and chooses a scheme.
 *
 * The header begins with one byte: the scheme in the upper 2 bits and the width in the lower 6,
 * where 63 means 64.  For delta the step follows and, if anchors have high bits, one byte with the
 * width of these; for runs and dictionary their count follows, as a varint.  For coded differences
 * the byte is one that means no width of delta, and the step and the bytes of the data follow, the
 * latter as a varint.
 *
 * A step has one byte, with the number of its trailing zero bits in the lower 6 bits and a code in
 * the upper 2, and then the rest of the step as a signed number of 0, 1, 2 or 8 bytes, as the code
 * says.
 */
#include "codec/codec_stream.h"

#include "codec/codec_cpu.h"
#include "codec/codec_delta.h"
#include "codec/codec_dict.h"
#include "codec/codec_for.h"
#include "codec/codec_header.h"
#include "codec/codec_huffman.h"
#include "codec/codec_huffman_plan.h"
#include "codec/codec_runs.h"

static uint8_t
width_code(unsigned width)
{
	return (uint8_t) (width == 64 ? CODEC_HEADER_WIDTH_64 : width);
}

/* Strips the step of its trailing zeros, and returns the code for the bytes of the rest. */
static unsigned
step_code(uint64_t *step, unsigned *zeros)
{
	int64_t		number = (int64_t) *step;

	*zeros = number == 0 ? 0 : (unsigned) __builtin_ctzll(*step);
	number >>= *zeros;
	*step = (uint64_t) number;
	if (number == 0)
		return 0;
	if (number >= INT8_MIN && number <= INT8_MAX)
		return 1;
	return number >= INT16_MIN && number <= INT16_MAX ? 2 : 3;
}

static size_t
step_bytes(uint64_t step)
{
	unsigned	zeros;

	return 1 + codec_header_step_length[step_code(&step, &zeros)];
}

static uint8_t *
put_step(uint8_t *dst, uint64_t step)
{
	unsigned	zeros;
	unsigned	code = step_code(&step, &zeros);

	*dst++ = (uint8_t) (code << 6 | zeros);
	for (unsigned i = 0; i < codec_header_step_length[code]; i++)
		*dst++ = (uint8_t) (step >> (8 * i));
	return dst;
}

bool
codec_stream_parse(CodecStream *stream, ByteCursor *cursor, uint32_t nrows)
{
	return codec_header_parse(stream, cursor, nrows);
}

size_t
codec_stream_data_bytes(const CodecStream *stream)
{
	return codec_header_data_bytes(stream);
}

size_t
codec_stream_header_bytes(const CodecStream *stream)
{
	if (stream->nrows == 1)
		return 0;
	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_DELTA:
			return 1 + step_bytes(stream->step) + codec_delta_has_high(stream);
		case CODEC_RUNS:
		case CODEC_DICT:
			return 1 + bits_varint_bytes(stream->count);
		case CODEC_HUFFMAN:
			return 1 + step_bytes(stream->step) + bits_varint_bytes(stream->count);
		case CODEC_FOR:
			break;
	}
	return 1;
}

uint64_t
codec_stream_get(const CodecStream *stream, uint32_t row)
{
	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_DELTA:
			return codec_delta_get(stream, row);
		case CODEC_RUNS:
			return codec_runs_get(stream, row);
		case CODEC_DICT:
			return codec_dict_get(stream, row);
		case CODEC_HUFFMAN:
			return codec_huffman_get(stream, row);
		case CODEC_FOR:
			break;
	}
	return codec_for_get(stream, row);
}

void
codec_stream_decode(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	if (count == 0)
		return;
	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_FOR:
			codec_for_decode(stream, first, count, dst);
			break;
		case CODEC_DELTA:
			codec_delta_decode(stream, first, count, dst);
			break;
		case CODEC_RUNS:
			codec_runs_decode(stream, first, count, dst);
			break;
		case CODEC_DICT:
			codec_dict_decode(stream, first, count, dst);
			break;
		case CODEC_HUFFMAN:
			codec_huffman_decode_once(stream, first, count, dst);
			break;
	}
}

/* Measures by groups, whose first rows have no step in them, as codec_delta.c stores them. */
CODEC_KERNEL void
measure_kernel(CodecStats *stats, const uint64_t *numbers, uint32_t nrows)
{
	int64_t		smallest = INT64_MAX;
	int64_t		largest = INT64_MIN;
	int64_t		smallest_anchor = INT64_MAX;
	int64_t		largest_anchor = INT64_MIN;
	int64_t		least_step = INT64_MAX;
	int64_t		greatest_step = INT64_MIN;
	uint64_t	nruns = 1;
	bool		line = nrows > 1;

	for (uint32_t first = 0, rows; first < nrows; first += rows)
	{
		const int64_t *group = (const int64_t *) numbers + first;
		int64_t		anchor;

		rows = nrows - first < CODEC_GROUP_ROWS ? nrows - first : CODEC_GROUP_ROWS;
		anchor = group[rows > CODEC_ANCHOR_AT ? CODEC_ANCHOR_AT : rows - 1];
		smallest_anchor = anchor < smallest_anchor ? anchor : smallest_anchor;
		largest_anchor = anchor > largest_anchor ? anchor : largest_anchor;
		if (first > 0)
		{
			nruns += numbers[first] != numbers[first - 1];
			line = line && numbers[first] - numbers[first - 1] == (uint64_t) least_step;
		}
		for (size_t i = 0; i < rows; i++)
		{
			smallest = group[i] < smallest ? group[i] : smallest;
			largest = group[i] > largest ? group[i] : largest;
		}
		for (size_t i = 1; i < rows; i++)
		{
			int64_t		step = (int64_t) ((uint64_t) group[i] - (uint64_t) group[i - 1]);

			least_step = step < least_step ? step : least_step;
			greatest_step = step > greatest_step ? step : greatest_step;
			nruns += step != 0;
		}
	}
	*stats = (CodecStats) {
		.nrows = nrows,
		.nruns = (uint32_t) nruns,
		.first = numbers[0],
		.base = (uint64_t) smallest,
		.range = (uint64_t) largest - (uint64_t) smallest,
		.anchor_base = (uint64_t) smallest_anchor,
		.anchor_range = (uint64_t) largest_anchor - (uint64_t) smallest_anchor,
		.least_step = least_step,
		.greatest_step = greatest_step,
		.line = line && least_step == greatest_step,
	};
}

CODEC_AVX2 static void
measure_avx2(CodecStats *stats, const uint64_t *numbers, uint32_t nrows)
{
	measure_kernel(stats, numbers, nrows);
}

void
codec_stream_measure(CodecStats *stats, const uint64_t *numbers, uint32_t nrows)
{
	if (codec_cpu_has_avx2())
		measure_avx2(stats, numbers, nrows);
	else
		measure_kernel(stats, numbers, nrows);
}

size_t
codec_stream_cost(const CodecStream *stream)
{
	return codec_stream_header_bytes(stream) + codec_stream_data_bytes(stream) +
		bits_signed_length(bits_signed_code(stream->base));
}

static void
keep_smaller(CodecStream *best, const CodecStream *candidate)
{
	if (codec_stream_cost(candidate) < codec_stream_cost(best))
		*best = *candidate;
}

void
codec_stream_plan(CodecStream *stream, const CodecStats *stats, const uint64_t *numbers,
				  unsigned schemes)
{
	CodecStream candidate;

	codec_for_plan(stream, stats);
	if (stats->nrows == 1 || stream->width == 0)
		return;

	if (schemes & (1u << CODEC_DELTA))
	{
		codec_delta_plan(&candidate, stats);
		keep_smaller(stream, &candidate);
	}
	if (schemes & (1u << CODEC_RUNS))
	{
		codec_runs_plan(&candidate, stats);
		keep_smaller(stream, &candidate);
	}
	if (schemes & (1u << CODEC_DICT) &&
		codec_dict_plan(&candidate, stats, numbers, codec_stream_cost(stream)))
		keep_smaller(stream, &candidate);
	if (schemes & (1u << CODEC_HUFFMAN) &&
		codec_huffman_plan(&candidate, stats, numbers, codec_stream_data_bytes(stream)))
		*stream = candidate;
}

void
codec_stream_plan_numbers(CodecStream *stream, const uint64_t *numbers, uint32_t nrows,
						  unsigned schemes)
{
	CodecStats	stats;

	/* one number needs no measuring, and a row of a plant has no more in a column */
	if (nrows == 1)
	{
		*stream = (CodecStream) {.scheme = CODEC_FOR, .nrows = 1, .base = numbers[0]};
		return;
	}
	codec_stream_measure(&stats, numbers, nrows);
	codec_stream_plan(stream, &stats, numbers, schemes);
}

uint8_t *
codec_stream_write_header(const CodecStream *stream, uint8_t *dst)
{
	if (stream->nrows == 1)
		return dst;
	if (stream->scheme == CODEC_HUFFMAN)
		*dst++ = CODEC_HEADER_HUFFMAN;
	else
		*dst++ = (uint8_t) (stream->scheme << 6 | width_code(stream->width));
	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_FOR:
			break;
		case CODEC_DELTA:
			dst = put_step(dst, stream->step);
			if (codec_delta_has_high(stream))
				*dst++ = stream->high_width;
			break;
		case CODEC_RUNS:
		case CODEC_DICT:
			dst = bits_put_varint(dst, stream->count);
			break;
		case CODEC_HUFFMAN:
			dst = put_step(dst, stream->step);
			dst = bits_put_varint(dst, stream->count);
			break;
	}
	return dst;
}

uint8_t *
codec_stream_write_data(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	CodecStats	stats;

	switch ((CodecScheme) stream->scheme)
	{
		case CODEC_FOR:
			break;
		case CODEC_DELTA:
			return codec_delta_write(stream, numbers, dst);
		case CODEC_RUNS:
			return codec_runs_write(stream, numbers, dst);
		case CODEC_DICT:
			return codec_dict_write(stream, numbers, dst);
		case CODEC_HUFFMAN:
			codec_stream_measure(&stats, numbers, stream->nrows);
			return codec_huffman_write(stream, numbers, &stats, dst);
	}
	return codec_for_write(stream, numbers, dst);
}
