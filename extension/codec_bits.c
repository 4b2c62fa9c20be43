/*
 * codec_bits.c
 *	  Packing and unpacking of arrays of equally wide numbers.
 */
#include "codec_bits.h"

void
bits_unpack(const uint8_t *src, const uint8_t *last, unsigned width,
			uint32_t first, uint32_t count, uint64_t *dst)
{
	uint64_t	mask = bits_mask(width);
	uint32_t	i = 0;

	if (width == 0)
	{
		memset(dst, 0, count * sizeof(*dst));
		return;
	}

	/* the numbers whose 8 bytes lie within the block need no care */
	for (; i < count; i++)
	{
		size_t		bit = ((size_t) first + i) * width;
		const uint8_t *p = src + (bit >> 3);

		if (p > last)
			break;
		dst[i] = (bits_load64(p) >> (bit & 7)) & mask;
	}
	for (; i < count; i++)
		dst[i] = bits_get(src, last, width, (size_t) first + i);
}

uint8_t *
bits_pack(uint8_t *dst, unsigned width, const uint64_t *numbers, uint32_t count)
{
	uint64_t	mask = bits_mask(width);
	uint64_t	word = 0;
	unsigned	filled = 0;

	if (width == 64)
	{
		for (uint32_t i = 0; i < count; i++, dst += 8)
			bits_store64(dst, numbers[i]);
		return dst;
	}

	for (uint32_t i = 0; i < count; i++)
	{
		uint64_t	number = numbers[i] & mask;

		word |= number << filled;
		filled += width;
		if (filled >= 64)
		{
			bits_store64(dst, word);
			dst += 8;
			filled -= 64;
			/* what did not fit; filled is less than width here, so the shift is less than 64 */
			word = filled == 0 ? 0 : number >> (width - filled);
		}
	}
	for (; filled > 0; filled = filled > 8 ? filled - 8 : 0)
	{
		*dst++ = (uint8_t) word;
		word >>= 8;
	}
	return dst;
}
