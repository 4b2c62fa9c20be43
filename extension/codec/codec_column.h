/*
 * codec_column.h
 *	  A column: doubles as a stream of integers and the rule that turns them back.
 *
 * The rules, the smallest of which is chosen by exact size:
 *
 *	 decimal	n / 10^e, for values that were written in decimal			codec_decimal.c
 *	 patched	the same, but for a few rows that hold other doubles		codec_decimal.c
 *	 float32	single precision, widened									codec_real.c
 *	 split		upper bits in the stream, lower bits packed as they are		codec_real.c
 *	 bits		the double's bits, in an order that ascends with its value	codec_real.c
 *
 * Every rule returns each double bit for bit; encoding verifies it with the arithmetic that
 * decoding uses.
 */
#ifndef HISTORIAN_CODEC_COLUMN_H
#define HISTORIAN_CODEC_COLUMN_H

#include "codec/codec_stream.h"

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

/* Integers of decimals are -2^51 .. 2^51 - 1, all exact as doubles. */
#define CODEC_DECIMAL_BITS	52
#define CODEC_DECIMAL_LIMIT (INT64_C(1) << (CODEC_DECIMAL_BITS - 1))

/* Columns are decoded so many rows at a time, or fewer. */
#define CODEC_DECODE_ROWS 256

typedef struct CodecColumn
{
	CodecStream ints;
	uint8_t		rule;			/* the byte's upper 5 bits: a decimal exponent or CodecRule */
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

/* codec_column.c: header, data, and the choice of a rule */
extern bool codec_column_parse(CodecColumn *column, ByteCursor *cursor, uint32_t nrows,
							   bool shared);
extern void codec_column_attach(CodecColumn *column, const uint8_t *data, const uint8_t *last);
extern size_t codec_column_header_bytes(const CodecColumn *column);
extern size_t codec_column_data_bytes(const CodecColumn *column);
extern double codec_column_get(const CodecColumn *column, uint32_t row);
extern void codec_column_decode(const CodecColumn *column, uint32_t first, uint32_t count,
								double *dst);

/*
 * Chooses rule and scheme for values[nrows] and leaves their integers in numbers[nrows].
 * spare[nrows] is scratch.
 */
extern void codec_column_plan(CodecColumn *column, const double *values, uint32_t nrows,
							  uint64_t *numbers, uint64_t *spare);

/* Chooses a scheme for numbers[nrows] of a rule that is settled. */
extern void codec_column_plan_ints(CodecColumn *column, const uint64_t *numbers, uint32_t nrows);
extern uint8_t *codec_column_write_header(const CodecColumn *column, uint8_t *dst, bool shared);
extern uint8_t *codec_column_write_data(const CodecColumn *column, const double *values,
										const uint64_t *numbers, uint8_t *dst);

/* codec_decimal.c */
extern double codec_decimal_value(uint64_t number, int exponent);
extern void codec_decimal_values(const uint64_t *numbers, uint32_t count, int exponent,
								 double *dst);
extern bool codec_decimal_plan(CodecColumn *column, const double *values, uint32_t nrows,
							   uint64_t *numbers);
extern void codec_patches_apply(const CodecColumn *column, uint32_t first, uint32_t count,
								double *dst);
extern double codec_patches_get(const CodecColumn *column, uint32_t row, double unpatched);
extern size_t codec_patches_bytes(const CodecColumn *column);
extern uint8_t *codec_patches_write(const CodecColumn *column, const double *values,
									const uint64_t *numbers, uint8_t *dst);

/* codec_real.c; at most CODEC_DECODE_ROWS at a time */
extern double codec_real_value(const CodecColumn *column, uint64_t number, uint32_t row);
extern void codec_real_values(const CodecColumn *column, const uint64_t *numbers,
							  uint32_t first, uint32_t count, double *dst);
extern bool codec_float32_plan(CodecColumn *column, const double *values, uint32_t nrows,
							   uint64_t *numbers);
extern void codec_bits_plan(CodecColumn *column, const double *values, uint32_t nrows,
							uint64_t *numbers);
extern void codec_split_plan(CodecColumn *column, const double *values, uint32_t nrows,
							 unsigned right_width, uint64_t *numbers);
extern uint8_t *codec_split_write(const CodecColumn *column, const double *values, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_COLUMN_H */
