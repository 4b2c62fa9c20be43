/*
 * codec_reader.h
 *	  The open block.  Only codec_reader.c uses its members; others call codec.h's functions.
 *
 * A reader has what codec_open() has found out about a block: the parsed headers of times, of
 * widths and of the first columns, and the places of the header and data of each column.  So the
 * first columns are ready for use, and the reader of a block of a thousand columns still fits on
 * the stack.
 */
#ifndef HISTORIAN_CODEC_READER_H
#define HISTORIAN_CODEC_READER_H

#include "codec/codec.h"
#include "codec/codec_rule.h"
#include "codec/codec_time.h"

/*
 * A block's first byte has the format's version in the upper 4 bits, and these flags.  Blocks with
 * both a shared header and NULL elements have version 2, those with coded differences version 3, and
 * all others version 1.  No block is of two of these kinds.
 */
#define CODEC_BLOCK_VERSION 1
#define CODEC_BLOCK_VERSION_SHARED_NULLS 2
#define CODEC_BLOCK_VERSION_CODED 3
#define CODEC_BLOCK_SHARED	0x01	/* all columns have the same header */
#define CODEC_BLOCK_RAGGED	0x02	/* rows differ in width */
#define CODEC_BLOCK_NULLS	0x04	/* there are NULL elements */
#define CODEC_BLOCK_FLAGS	0x07

/* The least length of a block, which zeros fill up, so that 8 bytes can always be read. */
#define CODEC_BLOCK_MIN_BYTES 8

/* The bytes of the NULL flags of a block with a shared header. */
static inline size_t
codec_shared_null_bytes(uint8_t flags, uint32_t nvalues, uint32_t nrows)
{
	return flags & CODEC_BLOCK_NULLS ? bits_packed_bytes((size_t) nvalues * nrows, 1) : 0;
}

/* The version of a block with these flags, which may have coded differences. */
static inline uint8_t
codec_block_version(uint8_t flags, bool coded)
{
	if (coded)
		return CODEC_BLOCK_VERSION_CODED;
	return (flags & CODEC_BLOCK_SHARED) && (flags & CODEC_BLOCK_NULLS)
		? CODEC_BLOCK_VERSION_SHARED_NULLS : CODEC_BLOCK_VERSION;
}

/* How many columns, the first ones, a reader keeps open. */
#define CODEC_OPEN_COLUMNS 16

struct CodecReader
{
	const uint8_t *block;
	const uint8_t *last;		/* the last address at which 8 bytes may be read */
	uint32_t	nrows;
	uint32_t	nvalues;
	uint8_t		flags;			/* CODEC_BLOCK_* */

	CodecTimes	times;
	CodecColumn widths;			/* with CODEC_BLOCK_RAGGED */

	/* with CODEC_BLOCK_SHARED: the header of all columns, and the arrays of their bases and data */
	CodecColumn shared;
	const uint8_t *shared_bases;
	const uint8_t *shared_nulls;	/* with CODEC_BLOCK_NULLS too: a bit for each row of each
									 * column */
	const uint8_t *shared_data;
	uint32_t	shared_bytes;	/* of one column's data */
	uint8_t		shared_base_width;

	/* otherwise: the first columns, unless the block has NULL flags, */
	CodecColumn column[CODEC_OPEN_COLUMNS];

	/* and, of all columns, the offsets in the block of header and data */
	uint32_t	column_header[CODEC_MAX_VALUES];
	uint32_t	column_data[CODEC_MAX_VALUES];
};

#endif							/* HISTORIAN_CODEC_READER_H */
