/*
 * codec_code.h
 *	  The codes of coded differences: their parameters, which the data of a stream begins with.
 *
 * Differences less the stream's step are put into classes of equal width, from 0 on.  The symbols
 * that have codes are the classes and, after them, one for differences of no class.  docs/format.md
 * has the bytes.
 */
#ifndef HISTORIAN_CODEC_CODE_H
#define HISTORIAN_CODEC_CODE_H

#include "codec/codec_bits.h"

/* Rows from one number that is not coded, an anchor, to the next. */
#define CODEC_CODE_GROUP_ROWS 128

/* The most bits of a code, and the entries of a table by so many bits. */
#define CODEC_CODE_BITS 8
#define CODEC_CODE_ENTRIES (1 << CODEC_CODE_BITS)

#define CODEC_CODE_MAX_CLASSES 32
#define CODEC_CODE_MAX_SYMBOLS (CODEC_CODE_MAX_CLASSES + 1)

/*
 * The most bits after a code: the place within a class, or a difference of no class.  A code and
 * these fit into one read of 57 bits, and the differences less the step into 48 bits with a sign.
 */
#define CODEC_CODE_MAX_CLASS_BITS 40
#define CODEC_CODE_MAX_OTHER_BITS 48

/* More bits than the codes of a group can take. */
#define CODEC_CODE_MAX_SIZE (1 << 16)

typedef struct CodecCode
{
	uint8_t		class_bits;		/* the width of a class, as a power of 2 */
	uint8_t		other_bits;		/* of a difference of no class; 0: there is none */
	uint32_t	nclasses;
	uint8_t		anchor_width;	/* of an anchor's distance from the one before, less anchor_step */
	uint8_t		size_width;		/* of the bits that a group's codes take, less least_size */
	uint64_t	anchor_step;
	uint64_t	least_size;
	uint8_t		length[CODEC_CODE_MAX_SYMBOLS]; /* of the symbols' codes; 0: it has none */
} CodecCode;

/* Reads the parameters, and moves the cursor to the anchors.  Returns false if they are not valid. */
extern bool codec_code_parse(CodecCode *code, ByteCursor *cursor);
extern size_t codec_code_bytes(const CodecCode *code);
extern uint8_t *codec_code_write(const CodecCode *code, uint8_t *dst);

/*
 * Sets the lengths of codes that are as short as can be for symbols that occur so often.  order[n]
 * has those that do, rarest first, and at least two.
 */
extern void codec_code_set_lengths(CodecCode *code, const uint32_t *count, const uint8_t *order,
								   uint32_t n);

/* How many steps there are from one group to the next. */
static inline uint32_t
codec_code_group_steps(uint32_t nrows)
{
	return (nrows - 1) / CODEC_CODE_GROUP_ROWS;
}

static inline uint32_t
codec_code_symbols(const CodecCode *code)
{
	return code->nclasses + (code->other_bits > 0);
}

/* The least difference of a symbol, less the step. */
static inline int64_t
codec_code_base(const CodecCode *code, uint32_t symbol)
{
	if (symbol == code->nclasses)
		return -(INT64_C(1) << (code->other_bits - 1));
	return (int64_t) ((uint64_t) symbol << code->class_bits);
}

/* The bits after a symbol's code. */
static inline uint8_t
codec_code_rest_bits(const CodecCode *code, uint32_t symbol)
{
	return symbol == code->nclasses ? code->other_bits : code->class_bits;
}

/* A code as it is stored, with its first bit in the lowest one. */
static inline uint8_t
codec_code_stored(uint32_t code, uint32_t length)
{
	uint8_t		byte = (uint8_t) (code << (CODEC_CODE_BITS - length));

	byte = (uint8_t) (byte >> 4 | byte << 4);
	byte = (uint8_t) ((byte & 0xcc) >> 2 | (byte & 0x33) << 2);
	return (uint8_t) ((byte & 0xaa) >> 1 | (byte & 0x55) << 1);
}

#endif							/* HISTORIAN_CODEC_CODE_H */
