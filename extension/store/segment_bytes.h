/*
 * segment_bytes.h
 *	  Numbers in the bytes of segments: little-endian and unaligned.
 */
#ifndef HISTORIAN_SEGMENT_BYTES_H
#define HISTORIAN_SEGMENT_BYTES_H

#include "postgres.h"

#include "port/pg_bswap.h"

#ifdef WORDS_BIGENDIAN
#define SEGMENT_LE16(x) pg_bswap16(x)
#define SEGMENT_LE32(x) pg_bswap32(x)
#define SEGMENT_LE64(x) pg_bswap64(x)
#else
#define SEGMENT_LE16(x) (x)
#define SEGMENT_LE32(x) (x)
#define SEGMENT_LE64(x) (x)
#endif

static inline void
segment_bytes_put16(uint8 *dst, uint16 value)
{
	uint16		stored = SEGMENT_LE16(value);

	memcpy(dst, &stored, sizeof(stored));
}

static inline void
segment_bytes_put32(uint8 *dst, uint32 value)
{
	uint32		stored = SEGMENT_LE32(value);

	memcpy(dst, &stored, sizeof(stored));
}

static inline void
segment_bytes_put64(uint8 *dst, uint64 value)
{
	uint64		stored = SEGMENT_LE64(value);

	memcpy(dst, &stored, sizeof(stored));
}

static inline uint16
segment_bytes_get16(const uint8 *src)
{
	uint16		value;

	memcpy(&value, src, sizeof(value));
	return SEGMENT_LE16(value);
}

static inline uint32
segment_bytes_get32(const uint8 *src)
{
	uint32		value;

	memcpy(&value, src, sizeof(value));
	return SEGMENT_LE32(value);
}

static inline uint64
segment_bytes_get64(const uint8 *src)
{
	uint64		value;

	memcpy(&value, src, sizeof(value));
	return SEGMENT_LE64(value);
}

#endif							/* HISTORIAN_SEGMENT_BYTES_H */
