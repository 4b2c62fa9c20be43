/*
 * codec_check.c
 *	  The oracle of the codec's tests: plain loops over the rows that were encoded.
 */
#include "codec_check.h"
#include "codec/codec_reader.h"

#include <stdlib.h>

static uint16_t
width_of(const CodecRows *rows, uint32_t row)
{
	return rows->width == NULL ? (uint16_t) rows->nvalues : rows->width[row];
}

static bool
is_absent(const CodecRows *rows, uint32_t row, uint32_t v)
{
	uint16_t width = width_of(rows, row);

	return width == CODEC_WIDTH_NULL || v >= width ||
		   (rows->isnull != NULL &&
			rows->isnull[row * rows->row_stride + v * rows->value_stride] != 0);
}

/* The bits that reading must return: those of 0.0 where there is no value. */
static uint64_t
expected_bits(const CodecRows *rows, uint32_t row, uint32_t v)
{
	double value = 0.0;
	uint64_t bits;

	if (!is_absent(rows, row, v))
		value = rows->values[row * rows->row_stride + v * rows->value_stride];
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static bool
same_bits(double value, uint64_t expected)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits == expected;
}

/* Ranges of a block to decode: all of it, single rows, odd pieces. */
static void
nth_range(uint32_t n, uint32_t nrows, uint32_t *first, uint32_t *count)
{
	*first = n == 0 ? 0 : (n * 37 + n * n) % nrows;
	*count = n == 0 ? nrows : 1 + (n * 61) % (nrows - *first);
	if (n == 1)
		*first = nrows - 1, *count = 1;
}

#define RANGES 6

static const char *
check_times(const CodecReader *reader, const CodecRows *rows, uint32_t nrows)
{
	static int64_t time[CODEC_MAX_ROWS];

	for (uint32_t n = 0; n < RANGES; n++)
	{
		uint32_t first;
		uint32_t count;

		nth_range(n, nrows, &first, &count);
		codec_decode_times(reader, first, count, time);
		if (memcmp(time, rows->time + first, count * sizeof(*time)) != 0)
			return "codec_decode_times";
	}
	for (uint32_t r = 0; r < nrows; r++)
		if (codec_time_at(reader, r) != rows->time[r])
			return "codec_time_at";
	return NULL;
}

/* Every time, and those just before and after it, against counting the rows. */
static const char *
check_find(const CodecReader *reader, const CodecRows *rows, uint32_t nrows)
{
	if (codec_find(reader, INT64_MAX) != (int32_t) nrows - 1)
		return "codec_find at the end of time";
	if (codec_find(reader, INT64_MIN) != (rows->time[0] == INT64_MIN ? 0 : -1))
		return "codec_find at the beginning of time";
	for (uint32_t r = 0; r < nrows; r++)
	{
		int64_t time = rows->time[r];
		int64_t next = r + 1 < nrows ? rows->time[r + 1] : INT64_MAX;
		int64_t middle = (int64_t) ((uint64_t) time + ((uint64_t) next - (uint64_t) time) / 2);

		if (codec_find(reader, time) != (int32_t) r)
			return "codec_find";
		if (time > INT64_MIN && codec_find(reader, time - 1) != (int32_t) r - 1)
			return "codec_find just before a row";
		if (middle < next && codec_find(reader, middle) != (int32_t) r)
			return "codec_find between rows";
	}
	return NULL;
}

static const char *
check_column(const CodecReader *reader, const CodecRows *rows, uint32_t nrows, uint32_t v)
{
	static double values[CODEC_MAX_ROWS];
	static uint8_t nulls[CODEC_MAX_ROWS];
	bool isnull;

	for (uint32_t n = 0; n < RANGES; n++)
	{
		uint32_t first;
		uint32_t count;

		nth_range(n, nrows, &first, &count);
		codec_decode_column(reader, v, first, count, values);
		codec_decode_nulls(reader, v, first, count, nulls);
		for (uint32_t i = 0; i < count; i++)
		{
			if (!same_bits(values[i], expected_bits(rows, first + i, v)))
				return "codec_decode_column";
			if (nulls[i] != is_absent(rows, first + i, v))
				return "codec_decode_nulls";
		}
	}
	for (uint32_t r = 0; r < nrows; r++)
	{
		if (!same_bits(codec_value_at(reader, r, v, &isnull), expected_bits(rows, r, v)))
			return "codec_value_at";
		if (isnull != is_absent(rows, r, v))
			return "codec_value_at's isnull";
	}
	return NULL;
}

static const char *
check_shape(const CodecReader *reader, const CodecRows *rows, uint32_t nrows)
{
	uint32_t widest = rows->width == NULL ? rows->nvalues : 0;
	bool ragged = false;
	bool nulls = false;

	for (uint32_t r = 0; rows->width != NULL && r < nrows; r++)
		if (rows->width[r] != CODEC_WIDTH_NULL && rows->width[r] > widest)
			widest = rows->width[r];
	if (codec_nvalues(reader) != widest)
		return "codec_nvalues";
	for (uint32_t r = 0; r < nrows; r++)
	{
		uint16_t width = width_of(rows, r);

		if (codec_width_at(reader, r) != width)
			return "codec_width_at";
		ragged = ragged || width != widest;
		for (uint32_t v = 0; width != CODEC_WIDTH_NULL && v < width; v++)
			nulls = nulls || is_absent(rows, r, v);
	}
	if (codec_is_ragged(reader) != ragged)
		return "codec_is_ragged";
	return codec_has_nulls(reader) == nulls ? NULL : "codec_has_nulls";
}

const char *
codec_check_block(const CodecRows *rows, uint32_t nrows, const uint8_t *block, size_t length)
{
	static CodecReader reader;
	uint8_t *copy = malloc(length);
	const char *wrong = NULL;

	if (copy == NULL)
		return "out of memory";
	memcpy(copy, block, length);

	/* nothing that an earlier block left behind may matter */
	memset(&reader, 0xa5, sizeof(reader));
	if (codec_open(&reader, copy, length, nrows) != CODEC_OK)
		wrong = "codec_open";
	if (wrong == NULL)
		wrong = check_shape(&reader, rows, nrows);
	if (wrong == NULL)
		wrong = check_times(&reader, rows, nrows);
	if (wrong == NULL)
		wrong = check_find(&reader, rows, nrows);
	for (uint32_t v = 0; wrong == NULL && v < codec_nvalues(&reader); v++)
		wrong = check_column(&reader, rows, nrows, v);
	free(copy);
	return wrong;
}

const char *
codec_exercise_block(const uint8_t *block, size_t length, uint32_t nrows)
{
	static CodecReader reader;
	static int64_t time[CODEC_MAX_ROWS];
	static double values[CODEC_MAX_ROWS];
	static uint8_t nulls[CODEC_MAX_ROWS];
	uint32_t stride = 1 + nrows / 64;

	if (codec_open(&reader, block, length, nrows) != CODEC_OK)
		return NULL;
	if (codec_nvalues(&reader) > CODEC_MAX_VALUES)
		return "codec_nvalues";
	codec_decode_times(&reader, 0, nrows, time);
	for (uint32_t r = 0; r < nrows; r += stride)
	{
		int32_t row = codec_find(&reader, time[r]);

		if (row < -1 || row >= (int32_t) nrows)
			return "codec_find";
		if (codec_time_at(&reader, r) != time[r])
			return "codec_time_at";
		if (codec_width_at(&reader, r) > codec_nvalues(&reader) &&
			codec_width_at(&reader, r) != CODEC_WIDTH_NULL)
			return "codec_width_at";
	}
	for (uint32_t v = 0; v < codec_nvalues(&reader); v++)
	{
		codec_decode_column(&reader, v, 0, nrows, values);
		codec_decode_nulls(&reader, v, 0, nrows, nulls);
		for (uint32_t r = 0; r < nrows; r += stride)
		{
			bool isnull;

			/* runs and patches that are out of order are found or not, depending on the way */
			codec_value_at(&reader, r, v, &isnull);
		}
	}
	return NULL;
}
