/*
 * codec_few.c
 *	  Blocks of few rows with one decimal each, encoded without a plan.
 *
 * These are the commonest blocks of a plant, whose loads have hundreds of thousands of them.  A plan
 * tries what other columns need, and costs several times what it is about here.  So all that the
 * size depends on is found in a few loops over the rows, and what is chosen is what codec_encode.c
 * chooses: the bytes are the same.  Rows for which that is not certain are left to it.
 */
#include "codec/codec_few.h"

#include "codec/codec_decimal.h"
#include "codec/codec_delta.h"
#include "codec/codec_reader.h"
#include "codec/codec_stream.h"
#include "codec/codec_time.h"

/* So many rows are one group, and the numbers of runs and of entries take one byte. */
#define MOST_ROWS CODEC_GROUP_ROWS

/* The bytes of a stream's header: of one without step, and of runs or a dictionary. */
#define PLAIN_HEADER_BYTES 1
#define COUNTED_HEADER_BYTES 2

/* If the numbers take more bits for each value, they may not be the smallest (codec_column.c). */
#define MOST_BITS 24

/*
 * The most bytes of a block: version, number of values, times and the header of their stream, rule
 * and base, a stream with a step, the data of both streams, and zeros behind.
 */
#define MOST_BYTES \
	(1 + 1 + 2 * CODEC_TIME_BYTES + 10 + 1 + 8 + 10 + 2 * 8 * MOST_ROWS + CODEC_BLOCK_MIN_BYTES)

static inline size_t
base_bytes(uint64_t base)
{
	return bits_signed_length(bits_signed_code(base));
}

/* Measures two or more numbers, as codec_stream_measure() does, but for the anchor. */
static inline CodecStats
measure(const uint64_t *numbers, uint32_t nrows)
{
	int64_t		smallest = (int64_t) numbers[0];
	int64_t		largest = smallest;
	int64_t		least_step = INT64_MAX;
	int64_t		greatest_step = INT64_MIN;
	uint32_t	nruns = 1;

	for (uint32_t i = 1; i < nrows; i++)
	{
		int64_t		number = (int64_t) numbers[i];
		int64_t		step = (int64_t) (numbers[i] - numbers[i - 1]);

		smallest = number < smallest ? number : smallest;
		largest = number > largest ? number : largest;
		least_step = step < least_step ? step : least_step;
		greatest_step = step > greatest_step ? step : greatest_step;
		nruns += step != 0;
	}
	return (CodecStats) {
		.nrows = nrows,
		.nruns = nruns,
		.first = numbers[0],
		.base = (uint64_t) smallest,
		.range = (uint64_t) largest - (uint64_t) smallest,
		.least_step = least_step,
		.greatest_step = greatest_step,
		.line = least_step == greatest_step,
	};
}

/*
 * Counts the distinct numbers as long as a dictionary of them takes less than so many bytes; returns
 * 0 if it does not.
 */
static uint32_t
count_entries(const CodecStream *packed, const uint64_t *numbers, size_t bytes)
{
	size_t		other_bytes = COUNTED_HEADER_BYTES + base_bytes(packed->base);
	uint64_t	entry[MOST_ROWS];
	uint32_t	count = 0;

	for (uint32_t i = 0; i < packed->nrows; i++)
	{
		uint32_t	at = 0;

		while (at < count && entry[at] != numbers[i])
			at++;
		if (at < count)
			continue;
		entry[count++] = numbers[i];
		if (other_bytes + bits_packed_bytes(count, packed->width) +
			bits_packed_bytes(packed->nrows, bits_needed(count - 1)) >= bytes)
			return 0;
	}
	return count;
}

/* Chooses a scheme for two or more numbers, as codec_stream_plan() does. */
static CodecStream
plan(const uint64_t *numbers, uint32_t nrows, unsigned schemes)
{
	CodecStats	stats = measure(numbers, nrows);
	CodecStream packed = {
		.scheme = CODEC_FOR,
		.width = (uint8_t) bits_packed_width(stats.range),
		.nrows = nrows,
		.base = stats.base,
	};
	CodecStream best = packed;
	CodecStream delta;
	size_t		bytes;
	size_t		other;

	if (packed.width == 0)
		return packed;
	bytes = PLAIN_HEADER_BYTES + bits_packed_bytes(nrows, packed.width) + base_bytes(packed.base);
	/* no other header takes less than that */
	if (bytes <= COUNTED_HEADER_BYTES)
		return packed;
	codec_delta_plan(&delta, &stats);
	other = codec_stream_header_bytes(&delta) + bits_packed_bytes(nrows - 1, delta.width) +
		base_bytes(delta.base);
	if (other < bytes)
	{
		bytes = other;
		best = delta;
	}
	/* two different numbers are two runs, and two entries of a dictionary */
	if (schemes == CODEC_FIXED_SCHEMES || nrows == 2)
		return best;

	packed.scheme = CODEC_RUNS;
	packed.count = stats.nruns;
	packed.index_width = (uint8_t) bits_needed(nrows - 1);
	other = COUNTED_HEADER_BYTES + bits_packed_bytes(stats.nruns - 1, packed.index_width) +
		bits_packed_bytes(stats.nruns, packed.width) + base_bytes(packed.base);
	if (other < bytes)
	{
		bytes = other;
		best = packed;
	}
	packed.scheme = CODEC_DICT;
	packed.count = count_entries(&packed, numbers, bytes);
	packed.index_width = (uint8_t) bits_needed(packed.count - 1);
	return packed.count > 0 ? packed : best;
}

size_t
codec_few_encode(const CodecRows *rows, uint8_t *dst, size_t capacity)
{
	uint32_t	nrows = rows->nrows;
	uint64_t	unit[MOST_ROWS];
	uint64_t	number[MOST_ROWS];
	CodecStream units;
	CodecStream ints;
	uint64_t	base;
	int			exponent;
	unsigned	length;
	uint8_t    *end = dst;

	if (nrows == 0 || nrows > MOST_ROWS || rows->nvalues != 1 || rows->width != NULL ||
		rows->isnull != NULL || capacity < MOST_BYTES ||
		!codec_decimal_of_few(rows->values, rows->row_stride, nrows, &exponent, number))
		return 0;
	base = number[0];
	if (nrows > 1)
	{
		ints = plan(number, nrows, CODEC_VALUE_SCHEMES);
		if (codec_stream_data_bytes(&ints) > (size_t) nrows * MOST_BITS / 8)
			return 0;
		base = ints.base;
	}

	*end++ = (uint8_t) (codec_block_version(0, false) << 4);
	*end++ = 1;
	end = codec_times_put(rows->time, nrows, unit, end);
	if (nrows > 1)
	{
		units = unit[nrows - 1] > INT64_MAX
			? (CodecStream) {.scheme = CODEC_FOR, .width = 64, .nrows = nrows}
			: plan(unit, nrows, CODEC_FIXED_SCHEMES);
		end = codec_stream_write_header(&units, end);
	}
	length = bits_signed_code(base);
	*end++ = (uint8_t) ((unsigned) (exponent - CODEC_MIN_EXPONENT) << 3 | length);
	end = bits_put_signed_roomy(end, base, length);
	if (nrows > 1)
	{
		end = codec_stream_write_header(&ints, end);
		end = codec_stream_write_data(&units, unit, end);
		end = codec_stream_write_data(&ints, number, end);
	}
	bits_store64(end, 0);
	return end - dst < CODEC_BLOCK_MIN_BYTES ? CODEC_BLOCK_MIN_BYTES : (size_t) (end - dst);
}
