/*
 * codec_column.h
 *	  Columns: doubles, stored as a stream of integers and the rule that turns these into doubles.
 *
 * The rule whose column is the smallest is chosen, by exact size, of these:
 *
 *	 decimal	n / 10^e, for values that were written in decimal			codec_decimal.c
 *	 patched	the same, but for a few rows that hold other doubles		codec_decimal.c
 *	 float32	single precision, widened									codec_real.c
 *	 split		upper bits in the stream, lower bits packed as they are		codec_real.c
 *	 bits		the double's bits, in an order that ascends with its value	codec_real.c
 *
 * Every rule returns each double bit for bit.  Encoding verifies it with the arithmetic of
 * decoding.
 */
#ifndef HISTORIAN_CODEC_COLUMN_H
#define HISTORIAN_CODEC_COLUMN_H

#include "codec/codec_rule.h"

extern bool codec_column_parse(CodecColumn *column, ByteCursor *cursor, uint32_t nrows,
							   bool shared);
extern void codec_column_attach(CodecColumn *column, const uint8_t *data, const uint8_t *last);
extern size_t codec_column_header_bytes(const CodecColumn *column);
extern size_t codec_column_data_bytes(const CodecColumn *column);
extern double codec_column_get(const CodecColumn *column, uint32_t row);
extern void codec_column_decode(const CodecColumn *column, uint32_t first, uint32_t count,
								double *dst);

/*
 * Chooses a rule and a scheme for values[nrows], and sets numbers[nrows] to their integers.
 * spare[nrows] is scratch memory.
 */
extern void codec_column_plan(CodecColumn *column, const double *values, uint32_t nrows,
							  uint64_t *numbers, uint64_t *spare);

extern uint8_t *codec_column_write_header(const CodecColumn *column, uint8_t *dst, bool shared);
extern uint8_t *codec_column_write_data(const CodecColumn *column, const double *values,
										const uint64_t *numbers, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_COLUMN_H */
