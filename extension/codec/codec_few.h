/*
 * codec_few.h
 *	  Blocks of few rows with one decimal each, encoded without a plan.
 */
#ifndef HISTORIAN_CODEC_FEW_H
#define HISTORIAN_CODEC_FEW_H

#include "codec/codec.h"

/*
 * Encodes rows that are few and have one value each, a decimal.  Returns the bytes of the block, or 0
 * if it must be planned (codec_encode.c).
 */
extern size_t codec_few_encode(const CodecRows *rows, uint8_t *dst, size_t capacity);

#endif							/* HISTORIAN_CODEC_FEW_H */
