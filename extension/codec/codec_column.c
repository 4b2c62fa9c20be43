/*
 * codec_column.c
 *	  Reads and writes the headers of columns, and chooses a rule.
 *
 * A header has one byte, with the rule in the upper 5 bits and the length of the base in the lower
 * 3; the base; and the stream's header (codec_stream.c).  For patched, the exponent follows, as a
 * decimal column has it as its rule, and a varint of twice the number of patches, plus 1 if all
 * have one value; for split, the width of the lower bits.  The bases of columns under a shared
 * header are in an array (codec_reader.c).
 */
#include "codec/codec_column.h"

#include "codec/codec_decimal.h"
#include "codec/codec_header.h"
#include "codec/codec_huffman.h"
#include "codec/codec_real.h"
#include "codec/codec_stream.h"

/* If decimal takes more bits for each value, other rules are tried too. */
#define DECIMAL_GOOD_BITS 24

/*
 * If no rule takes fewer bits for each value, splits are tried, which store about as many as they
 * are.
 */
#define BITS_GOOD_BITS 50

bool
codec_column_parse(CodecColumn *column, ByteCursor *cursor, uint32_t nrows, bool shared)
{
	uint8_t		byte = cursor_byte(cursor);
	unsigned	rule = byte >> 3;
	uint64_t	base = 0;
	uint64_t	count;

	if (!shared)
		base = cursor_signed(cursor, bits_signed_length(byte & 7));
	if (!codec_header_parse(&column->ints, cursor, nrows))
		return false;
	if (column->ints.scheme == CODEC_HUFFMAN && (shared || rule == CODEC_RULE_INTEGER))
		return false;
	column->ints.base = base;
	column->rule = (uint8_t) rule;
	column->exponent = 0;
	column->npatches = 0;

	if (codec_rule_is_decimal(rule))
		column->exponent = (int8_t) ((int) rule + CODEC_MIN_EXPONENT);
	else if (rule == CODEC_RULE_PATCHED)
	{
		byte = cursor_byte(cursor);
		count = cursor_varint(cursor);
		if (!codec_rule_is_decimal(byte) || count / 2 > nrows)
			return false;
		column->exponent = (int8_t) ((int) byte + CODEC_MIN_EXPONENT);
		column->annex_width = (uint8_t) bits_needed(nrows - 1);
		column->npatches = (uint32_t) (count / 2);
		column->one_patch = count & 1;
	}
	else if (rule == CODEC_RULE_SPLIT)
	{
		column->annex_width = cursor_byte(cursor);
		if (column->annex_width > BITS_MAX_PACKED)
			return false;
	}
	return !cursor->overrun;
}

void
codec_column_attach(CodecColumn *column, const uint8_t *data, const uint8_t *last)
{
	column->ints.data = data;
	column->ints.last = last;
	if (column->rule == CODEC_RULE_PATCHED || column->rule == CODEC_RULE_SPLIT)
		column->annex = data + codec_stream_data_bytes(&column->ints);
}

size_t
codec_column_header_bytes(const CodecColumn *column)
{
	size_t		bytes = 1 + bits_signed_length(bits_signed_code(column->ints.base)) +
		codec_stream_header_bytes(&column->ints);

	if (column->rule == CODEC_RULE_PATCHED)
		bytes += 1 + bits_varint_bytes((uint64_t) column->npatches * 2);
	else if (column->rule == CODEC_RULE_SPLIT)
		bytes += 1;
	return bytes;
}

size_t
codec_column_data_bytes(const CodecColumn *column)
{
	size_t		bytes = codec_header_data_bytes(&column->ints);

	if (column->rule == CODEC_RULE_PATCHED)
		bytes += codec_decimal_patches_bytes(column);
	else if (column->rule == CODEC_RULE_SPLIT)
		bytes += bits_packed_bytes(column->ints.nrows, column->annex_width);
	return bytes;
}

double
codec_column_get(const CodecColumn *column, uint32_t row)
{
	uint64_t	number = codec_stream_get(&column->ints, row);
	double		value;

	if (!codec_rule_is_decimal(column->rule) && column->rule != CODEC_RULE_PATCHED)
		return codec_real_value(column, number, row);
	value = codec_decimal_value(number, column->exponent);
	if (column->rule == CODEC_RULE_PATCHED)
		value = codec_decimal_patches_get(column, row, value);
	return value;
}

/* Turns the integers of rows first .. first + count - 1 into doubles, but for patches. */
static inline void
values_of(const CodecColumn *column, const uint64_t *numbers, uint32_t first, uint32_t count,
		  double *dst)
{
	if (codec_rule_is_decimal(column->rule) || column->rule == CODEC_RULE_PATCHED)
		codec_decimal_values(numbers, count, column->exponent, dst);
	else
		codec_real_values(column, numbers, first, count, dst);
}

/*
 * Decodes coded differences, many rows at a time.  It is a function of its own because its table on
 * the stack would cost other columns, of which a few rows are read, some of their time.
 */
static __attribute__((noinline))
void
decode_coded(const CodecColumn *column, uint32_t first, uint32_t count, double *dst)
{
	uint64_t	numbers[CODEC_HUFFMAN_DECODE_ROWS];
	CodecHuffman ready;

	codec_huffman_open(&ready, &column->ints);
	for (uint32_t done = 0, here; done < count; done += here)
	{
		uint32_t	row = first + done;

		here = CODEC_HUFFMAN_DECODE_ROWS - row % CODEC_HUFFMAN_GROUP_ROWS;
		if (here > count - done)
			here = count - done;
		codec_huffman_decode(&ready, row, here, numbers);
		values_of(column, numbers, row, here, dst + done);
	}
}

static inline void
decode_packed(const CodecColumn *column, uint32_t first, uint32_t count, double *dst)
{
	uint64_t	numbers[CODEC_DECODE_ROWS];

	for (uint32_t done = 0, here; done < count; done += here)
	{
		uint32_t	row = first + done;

		here = CODEC_DECODE_ROWS - row % CODEC_GROUP_ROWS;
		if (here > count - done)
			here = count - done;
		codec_stream_decode(&column->ints, row, here, numbers);
		values_of(column, numbers, row, here, dst + done);
	}
}

void
codec_column_decode(const CodecColumn *column, uint32_t first, uint32_t count, double *dst)
{
	if (column->ints.scheme == CODEC_HUFFMAN)
		decode_coded(column, first, count, dst);
	else
		decode_packed(column, first, count, dst);
	if (column->rule == CODEC_RULE_PATCHED)
		codec_decimal_patches_apply(column, first, count, dst);
}

static size_t
column_cost(const CodecColumn *column)
{
	return codec_column_header_bytes(column) + codec_column_data_bytes(column);
}

/* Replaces the best plan and its numbers by the candidate if that is smaller. */
static void
keep_smaller(CodecColumn *best, uint64_t *best_numbers,
			 const CodecColumn *candidate, const uint64_t *candidate_numbers, uint32_t nrows)
{
	if (column_cost(candidate) >= column_cost(best))
		return;
	*best = *candidate;
	memcpy(best_numbers, candidate_numbers, nrows * sizeof(*best_numbers));
}

void
codec_column_plan(CodecColumn *column, const double *values, uint32_t nrows,
				  uint64_t *numbers, uint64_t *spare)
{
	static const uint8_t right_widths[] = {52, 48};
	bool		decimal = codec_decimal_plan(column, values, nrows, numbers);
	CodecColumn candidate;

	if (decimal && codec_column_data_bytes(column) <= (size_t) nrows * DECIMAL_GOOD_BITS / 8)
		return;

	codec_real_plan_bits(&candidate, values, nrows, spare);
	if (decimal)
		keep_smaller(column, numbers, &candidate, spare, nrows);
	else
	{
		*column = candidate;
		memcpy(numbers, spare, nrows * sizeof(*numbers));
	}
	if (codec_real_plan_float32(&candidate, values, nrows, spare))
		keep_smaller(column, numbers, &candidate, spare, nrows);

	if (nrows == 1 || codec_column_data_bytes(column) <= (size_t) nrows * BITS_GOOD_BITS / 8)
		return;
	for (size_t i = 0; i < sizeof(right_widths); i++)
	{
		codec_real_plan_split(&candidate, values, nrows, right_widths[i], spare);
		keep_smaller(column, numbers, &candidate, spare, nrows);
	}
}

uint8_t *
codec_column_write_header(const CodecColumn *column, uint8_t *dst, bool shared)
{
	unsigned	length = shared ? 0 : bits_signed_code(column->ints.base);

	*dst++ = (uint8_t) (column->rule << 3 | length);
	if (!shared)
		dst = bits_put_signed(dst, column->ints.base, length);
	dst = codec_stream_write_header(&column->ints, dst);
	if (column->rule == CODEC_RULE_PATCHED)
	{
		*dst++ = (uint8_t) (column->exponent - CODEC_MIN_EXPONENT);
		dst = bits_put_varint(dst, (uint64_t) column->npatches * 2 + column->one_patch);
	}
	else if (column->rule == CODEC_RULE_SPLIT)
		*dst++ = column->annex_width;
	return dst;
}

uint8_t *
codec_column_write_data(const CodecColumn *column, const double *values,
						const uint64_t *numbers, uint8_t *dst)
{
	dst = codec_stream_write_data(&column->ints, numbers, dst);
	if (column->rule == CODEC_RULE_PATCHED)
		dst = codec_decimal_patches_write(column, values, numbers, dst);
	else if (column->rule == CODEC_RULE_SPLIT)
		dst = codec_real_write_split(column, values, dst);
	return dst;
}
