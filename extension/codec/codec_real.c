/*
 * codec_real.c
 *	  Doubles that are no short decimals, stored by their bits: whole, split, or as float32.
 *
 * The bits are mapped to signed integers that ascend with the value (positive doubles compare as
 * their bits do, negative ones the other way round).  So near values become near integers, which
 * frame of reference and differences shorten.
 *
 * Split follows ALP-RD (ALP paper, section 3.4): sign, exponent and a few bits of the mantissa have
 * few different values, for which a dictionary is good; the other bits are noise and are stored as
 * they are.  Unlike ALP-RD it has no exceptions.
 */
#include "codec/codec_real.h"

#include "codec/codec_stream.h"

static inline uint64_t
ordered(uint64_t bits)
{
	/* inverts all bits but the sign if the sign is set; this is its own inverse */
	return bits ^ ((0 - (bits >> 63)) >> 1);
}

static inline double
float32_value(uint64_t number)
{
	uint32_t	bits = (uint32_t) number;
	float		value;

	bits ^= (0 - (bits >> 31)) >> 1;
	memcpy(&value, &bits, sizeof(value));
	return (double) value;
}

double
codec_real_value(const CodecColumn *column, uint64_t number, uint32_t row)
{
	if (column->rule == CODEC_RULE_FLOAT32)
		return float32_value(number);
	if (column->rule == CODEC_RULE_SPLIT)
		return bits_to_double(number << column->annex_width |
							  bits_get(column->annex, column->ints.last, column->annex_width,
									   row));
	return bits_to_double(ordered(number));
}

void
codec_real_values(const CodecColumn *column, const uint64_t *numbers,
				  uint32_t first, uint32_t count, double *dst)
{
	if (column->rule == CODEC_RULE_FLOAT32)
		for (uint32_t i = 0; i < count; i++)
			dst[i] = float32_value(numbers[i]);
	else if (column->rule == CODEC_RULE_SPLIT)
	{
		uint64_t	right[CODEC_DECODE_ROWS];

		for (uint32_t done = 0, here; done < count; done += here)
		{
			here = count - done < CODEC_DECODE_ROWS ? count - done : CODEC_DECODE_ROWS;
			bits_unpack(column->annex, column->ints.last, column->annex_width, first + done, here,
						right);
			for (uint32_t i = 0; i < here; i++)
				dst[done + i] = bits_to_double(numbers[done + i] << column->annex_width | right[i]);
		}
	}
	else
		for (uint32_t i = 0; i < count; i++)
			dst[i] = bits_to_double(ordered(numbers[i]));
}

bool
codec_real_plan_float32(CodecColumn *column, const double *values, uint32_t nrows, uint64_t *numbers)
{
	for (uint32_t i = 0; i < nrows; i++)
	{
		float		value = (float) values[i];
		uint32_t	bits;

		memcpy(&bits, &value, sizeof(bits));
		bits ^= (0 - (bits >> 31)) >> 1;
		numbers[i] = (uint64_t) (int64_t) (int32_t) bits;
		if (bits_of_double(float32_value(numbers[i])) != bits_of_double(values[i]))
			return false;
	}
	memset(column, 0, sizeof(*column));
	column->rule = CODEC_RULE_FLOAT32;
	codec_stream_plan_numbers(&column->ints, numbers, nrows, CODEC_VALUE_SCHEMES);
	return true;
}

void
codec_real_plan_bits(CodecColumn *column, const double *values, uint32_t nrows, uint64_t *numbers)
{
	for (uint32_t i = 0; i < nrows; i++)
		numbers[i] = ordered(bits_of_double(values[i]));
	memset(column, 0, sizeof(*column));
	column->rule = CODEC_RULE_BITS;
	codec_stream_plan_numbers(&column->ints, numbers, nrows, CODEC_VALUE_SCHEMES);
}

void
codec_real_plan_split(CodecColumn *column, const double *values, uint32_t nrows,
					  unsigned right_width, uint64_t *numbers)
{
	for (uint32_t i = 0; i < nrows; i++)
		numbers[i] = (uint64_t) ((int64_t) bits_of_double(values[i]) >> right_width);
	memset(column, 0, sizeof(*column));
	column->rule = CODEC_RULE_SPLIT;
	column->annex_width = (uint8_t) right_width;
	codec_stream_plan_numbers(&column->ints, numbers, nrows, CODEC_VALUE_SCHEMES);
}

uint8_t *
codec_real_write_split(const CodecColumn *column, const double *values, uint8_t *dst)
{
	uint64_t	chunk[256];
	uint32_t	nrows = column->ints.nrows;
	uint32_t	count;

	for (uint32_t first = 0; first < nrows; first += count)
	{
		count = nrows - first < 256 ? nrows - first : 256;
		for (uint32_t i = 0; i < count; i++)
			chunk[i] = bits_of_double(values[first + i]);
		dst = bits_pack(dst, column->annex_width, chunk, count);
	}
	return dst;
}
