/*
 * codec_rule.h
 *	  What the rules of columns share: the parsed column, and the rules' numbers.
 */
#ifndef HISTORIAN_CODEC_RULE_H
#define HISTORIAN_CODEC_RULE_H

#include "codec/codec_scheme.h"

typedef enum CodecRule
{
	/* 0 .. 26 are decimal exponents, from CODEC_MIN_EXPONENT */
	CODEC_RULE_INTEGER = 27,	/* not a column of doubles: widths, NULL flags */
	CODEC_RULE_PATCHED = 28,
	CODEC_RULE_FLOAT32 = 29,
	CODEC_RULE_SPLIT = 30,
	CODEC_RULE_BITS = 31,
} CodecRule;

#define CODEC_MIN_EXPONENT (-4)
#define CODEC_MAX_EXPONENT 22	/* the last power of ten that a double holds exactly */

/* The integers of decimals are -2^51 .. 2^51 - 1, which are all exact as doubles. */
#define CODEC_DECIMAL_BITS	52
#define CODEC_DECIMAL_LIMIT (INT64_C(1) << (CODEC_DECIMAL_BITS - 1))

/* The most rows of a column that are decoded at a time. */
#define CODEC_DECODE_ROWS 256

typedef struct CodecColumn
{
	CodecStream ints;
	uint8_t		rule;			/* CodecRule, or of a decimal exponent - CODEC_MIN_EXPONENT */
	int8_t		exponent;		/* decimal, patched */
	uint8_t		annex_width;	/* split: of the packed lower bits; patched: of a row number */
	bool		one_patch;		/* patched: all rows hold the same double */
	uint32_t	npatches;
	const uint8_t *annex;		/* split: lower bits; patched: row numbers, then doubles */
} CodecColumn;

_Static_assert(sizeof(CodecColumn) <= 64, "an open column should fit into a cache line");

static inline bool
codec_rule_is_decimal(unsigned rule)
{
	return rule < CODEC_RULE_INTEGER;
}

#endif							/* HISTORIAN_CODEC_RULE_H */
