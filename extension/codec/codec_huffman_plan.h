/*
 * codec_huffman_plan.h
 *	  Coded differences, planned and written.
 */
#ifndef HISTORIAN_CODEC_HUFFMAN_PLAN_H
#define HISTORIAN_CODEC_HUFFMAN_PLAN_H

#include "codec/codec_scheme.h"

/*
 * Plans a stream.  Returns false if it would not be worth its slower decoding: if it is not a tenth
 * smaller than one of so many bytes, or has few rows.
 */
extern bool codec_huffman_plan(CodecStream *stream, const CodecStats *stats,
							   const uint64_t *numbers, size_t bytes);

/* Writes the data of a planned stream of the numbers measured. */
extern uint8_t *codec_huffman_write(const CodecStream *stream, const uint64_t *numbers,
									const CodecStats *stats, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_HUFFMAN_PLAN_H */
