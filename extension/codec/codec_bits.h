/*
 * codec_bits.h
 *	  Reads and writes bytes and bits of a block: little-endian words, varints, packed arrays.
 *
 * A packed array holds unsigned numbers of one width, 0 to 57 bits or 64, the first in the least
 * significant bits of the first byte.  One unaligned 8-byte read covers 57 bits at whichever bit
 * they start; wider numbers are stored in 64 bits, which start at a byte.
 *
 * No read leaves the block.  The parameter `last` is the last address at which 8 bytes may be read.
 * bits_get() reads numbers that begin beyond it from there, and shifts further.  A block has at
 * least 8 bytes.
 */
#ifndef HISTORIAN_CODEC_BITS_H
#define HISTORIAN_CODEC_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BITS_MAX_PACKED 57

/* The bytes left to read, and whether a read has asked for more than there were. */
typedef struct ByteCursor
{
	const uint8_t *at;
	const uint8_t *end;
	bool		overrun;
} ByteCursor;

static inline uint64_t
bits_to_little_endian(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(word);
#else
	return word;
#endif
}

static inline uint64_t
bits_load64(const uint8_t *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
	return bits_to_little_endian(word);
}

static inline void
bits_store64(uint8_t *p, uint64_t word)
{
	word = bits_to_little_endian(word);
	memcpy(p, &word, sizeof(word));
}

static inline uint64_t
bits_of_double(double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline double
bits_to_double(uint64_t bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* How many bits the number takes; 0 takes none. */
static inline unsigned
bits_needed(uint64_t number)
{
	return number == 0 ? 0 : 64 - (unsigned) __builtin_clzll(number);
}

/* The width of a packed array of numbers up to largest. */
static inline unsigned
bits_packed_width(uint64_t largest)
{
	unsigned	width = bits_needed(largest);

	return width <= BITS_MAX_PACKED ? width : 64;
}

static inline bool
bits_width_is_valid(unsigned width)
{
	return width <= BITS_MAX_PACKED || width == 64;
}

static inline uint64_t
bits_mask(unsigned width)
{
	return width == 0 ? 0 : UINT64_MAX >> (64 - width);
}

static inline size_t
bits_packed_bytes(size_t count, unsigned width)
{
	return (count * width + 7) / 8;
}

/* Number index of the packed array at src. */
static inline uint64_t
bits_get(const uint8_t *src, const uint8_t *last, unsigned width, size_t index)
{
	size_t		bit = index * width;
	ptrdiff_t	beyond = (src + (bit >> 3)) - last;
	unsigned	shift = bit & 7;

	if (beyond > 0)
		return (bits_load64(last) >> ((shift + 8 * (size_t) beyond) & 63)) & bits_mask(width);
	return (bits_load64(last + beyond) >> shift) & bits_mask(width);
}

/* Unpacks numbers first .. first + count - 1 of the packed array at src. */
extern void bits_unpack(const uint8_t *src, const uint8_t *last, unsigned width,
						uint32_t first, uint32_t count, uint64_t *dst);

/* Packs the low width bits of each number into bits_packed_bytes() bytes; returns their end. */
extern uint8_t *bits_pack(uint8_t *dst, unsigned width, const uint64_t *numbers, uint32_t count);

static inline uint8_t
cursor_byte(ByteCursor *cursor)
{
	if (cursor->at >= cursor->end)
	{
		cursor->overrun = true;
		return 0;
	}
	return *cursor->at++;
}

/*
 * A varint has 7 bits in each byte, least significant first, and the top bit set in all but the
 * last.
 */
static inline uint64_t
cursor_varint(ByteCursor *cursor)
{
	uint64_t	number = 0;

	for (unsigned shift = 0; shift < 64; shift += 7)
	{
		uint8_t		byte = cursor_byte(cursor);

		number |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return number;
	}
	cursor->overrun = true;
	return 0;
}

/* The low width bits of number, taken as a signed number. */
static inline uint64_t
bits_sign_extend(uint64_t number, unsigned width)
{
	return width == 0 ? 0 : (uint64_t) ((int64_t) (number << (64 - width)) >> (64 - width));
}

/* A signed number in length bytes (0 to 8). */
static inline uint64_t
cursor_signed(ByteCursor *cursor, unsigned length)
{
	const uint8_t *at = cursor->at;
	uint64_t	number = 0;

	if ((size_t) (cursor->end - at) < length)
	{
		cursor->overrun = true;
		return 0;
	}
	cursor->at += length;
	if (cursor->end - at >= 8)
		number = bits_load64(at);
	else
		for (unsigned i = 0; i < length; i++)
			number |= (uint64_t) at[i] << (8 * i);
	return bits_sign_extend(number, 8 * length);
}

static inline size_t
bits_varint_bytes(uint64_t number)
{
	return number == 0 ? 1 : (bits_needed(number) + 6) / 7;
}

static inline uint8_t *
bits_put_varint(uint8_t *p, uint64_t number)
{
	while (number >= 0x80)
	{
		*p++ = (uint8_t) (number | 0x80);
		number >>= 7;
	}
	*p++ = (uint8_t) number;
	return p;
}

/* The length of a signed number has a code of 3 bits: 7 means 8 bytes, and no number takes 7. */
static inline unsigned
bits_signed_length(unsigned code)
{
	return code == 7 ? 8 : code;
}

static inline unsigned
bits_signed_code(uint64_t number)
{
	/* the magnitude needs its bits, and the sign one more */
	uint64_t	magnitude = (int64_t) number < 0 ? ~number : number;
	unsigned	length = number == 0 ? 0 : (bits_needed(magnitude) + 8) / 8;

	return length >= 7 ? 7 : length;
}

static inline uint8_t *
bits_put_signed(uint8_t *p, uint64_t number, unsigned code)
{
	unsigned	length = bits_signed_length(code);

	for (unsigned i = 0; i < length; i++)
		*p++ = (uint8_t) (number >> (8 * i));
	return p;
}

/* The same where there is room for 8 bytes, which it may overwrite. */
static inline uint8_t *
bits_put_signed_roomy(uint8_t *p, uint64_t number, unsigned code)
{
	bits_store64(p, number);
	return p + bits_signed_length(code);
}

#endif							/* HISTORIAN_CODEC_BITS_H */
