/*
 * codec_for.h
 *	  Frame of reference: a scheme of streams.
 */
#ifndef HISTORIAN_CODEC_FOR_H
#define HISTORIAN_CODEC_FOR_H

#include "codec/codec_scheme.h"

extern uint64_t codec_for_get(const CodecStream *stream, uint32_t row);
extern void codec_for_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							 uint64_t *dst);
extern void codec_for_plan(CodecStream *stream, const CodecStats *stats);
extern uint8_t *codec_for_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_FOR_H */
