/*
 * codec_real.h
 *	  Doubles that are no short decimals: the rules float32, split and bits of columns.
 */
#ifndef HISTORIAN_CODEC_REAL_H
#define HISTORIAN_CODEC_REAL_H

#include "codec/codec_rule.h"

extern double codec_real_value(const CodecColumn *column, uint64_t number, uint32_t row);

/* At most CODEC_DECODE_ROWS at a time. */
extern void codec_real_values(const CodecColumn *column, const uint64_t *numbers,
							  uint32_t first, uint32_t count, double *dst);
extern bool codec_real_plan_float32(CodecColumn *column, const double *values, uint32_t nrows,
									uint64_t *numbers);
extern void codec_real_plan_bits(CodecColumn *column, const double *values, uint32_t nrows,
								 uint64_t *numbers);
extern void codec_real_plan_split(CodecColumn *column, const double *values, uint32_t nrows,
								  unsigned right_width, uint64_t *numbers);
extern uint8_t *codec_real_write_split(const CodecColumn *column, const double *values, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_REAL_H */
