/*
 * codec_bits.c
 *	  Packs and unpacks arrays of equally wide numbers.
 *
 * Decoding waits mostly for unpacking, and compilers do not vectorise its shifts, each of which is
 * different.  So there is a kernel for AVX2, which is used where the processor has it.
 */
#include "codec/codec_bits.h"

#include "codec/codec_cpu.h"

#ifdef CODEC_HAVE_AVX2
#include <immintrin.h>

/*
 * Unpacks numbers in groups of eight, as long as the block has 16 bytes from the first byte of the
 * group's last pair on.  Returns how many numbers it has unpacked.
 *
 * Two numbers of up to 57 bits, and up to 7 bits before them, lie within 16 bytes.  So each pair is
 * loaded into one half of a vector, a byte shuffle moves the 8 bytes of each number into a lane,
 * and a shift drops the bits before it.  Eight numbers take a whole number of bytes, so that
 * shuffles and shifts stay the same from one group to the next.
 */
CODEC_AVX2 static uint32_t
unpack_avx2(const uint8_t *src, const uint8_t *last, unsigned width, uint32_t first,
			uint32_t count, uint64_t *dst)
{
	const __m256i mask = _mm256_set1_epi64x((int64_t) bits_mask(width));
	size_t		bit = (size_t) first * width;
	const uint8_t *p = src + (bit >> 3);
	unsigned	phase = bit & 7;
	size_t		pair[4];
	uint64_t	shuffle[8];
	uint64_t	shift[8];
	__m256i		shuffle_low;
	__m256i		shuffle_high;
	__m256i		shift_low;
	__m256i		shift_high;
	uint32_t	done = 0;

	for (unsigned i = 0; i < 8; i++)
	{
		unsigned	at = phase + i * width;

		if (i % 2 == 0)
			pair[i / 2] = at / 8;
		shuffle[i] = UINT64_C(0x0706050403020100) +
			(at / 8 - pair[i / 2]) * UINT64_C(0x0101010101010101);
		shift[i] = at % 8;
	}
	shuffle_low = _mm256_loadu_si256((const __m256i *) &shuffle[0]);
	shuffle_high = _mm256_loadu_si256((const __m256i *) &shuffle[4]);
	shift_low = _mm256_loadu_si256((const __m256i *) &shift[0]);
	shift_high = _mm256_loadu_si256((const __m256i *) &shift[4]);

	for (; count - done >= 8 && p + pair[3] + 8 <= last; done += 8, p += width)
	{
		__m256i		low = _mm256_loadu2_m128i((const __m128i *) (p + pair[1]),
											  (const __m128i *) (p + pair[0]));
		__m256i		high = _mm256_loadu2_m128i((const __m128i *) (p + pair[3]),
											   (const __m128i *) (p + pair[2]));

		low = _mm256_srlv_epi64(_mm256_shuffle_epi8(low, shuffle_low), shift_low);
		high = _mm256_srlv_epi64(_mm256_shuffle_epi8(high, shuffle_high), shift_high);
		_mm256_storeu_si256((__m256i *) (dst + done), _mm256_and_si256(low, mask));
		_mm256_storeu_si256((__m256i *) (dst + done + 4), _mm256_and_si256(high, mask));
	}
	return done;
}

#endif							/* CODEC_HAVE_AVX2 */

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
#ifdef CODEC_HAVE_AVX2
	if (count >= 16 && width <= BITS_MAX_PACKED && codec_cpu_has_avx2())
		i = unpack_avx2(src, last, width, first, count, dst);
#endif

	/* numbers whose 8 bytes lie within the block are simple reads */
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
			/* the bits that did not fit; filled is less than width, so the shift is less than 64 */
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
