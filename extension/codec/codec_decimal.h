/*
 * codec_decimal.h
 *	  Doubles that were written in decimal: the rules decimal and patched of columns.
 */
#ifndef HISTORIAN_CODEC_DECIMAL_H
#define HISTORIAN_CODEC_DECIMAL_H

#include "codec/codec_rule.h"

extern double codec_decimal_value(uint64_t number, int exponent);
extern void codec_decimal_values(const uint64_t *numbers, uint32_t count, int exponent,
								 double *dst);

/*
 * Sets *number and the exponent by which one value takes the fewest digits.  Returns false if it is
 * no decimal.
 */
extern bool codec_decimal_of(double value, int *exponent, uint64_t *number);

/*
 * The same of at most CODEC_GROUP_ROWS values: sets *exponent to the one that codec_decimal_plan()
 * chooses.  Returns false if not all are exact, or if that is not certain to be cheapest.
 */
extern bool codec_decimal_of_few(const double *values, uint32_t stride, uint32_t nrows,
								 int *exponent, uint64_t *numbers);
extern bool codec_decimal_plan(CodecColumn *column, const double *values, uint32_t nrows,
							   uint64_t *numbers);
extern void codec_decimal_patches_apply(const CodecColumn *column, uint32_t first, uint32_t count,
										double *dst);
extern double codec_decimal_patches_get(const CodecColumn *column, uint32_t row, double unpatched);
extern size_t codec_decimal_patches_bytes(const CodecColumn *column);
extern uint8_t *codec_decimal_patches_write(const CodecColumn *column, const double *values,
											const uint64_t *numbers, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_DECIMAL_H */
