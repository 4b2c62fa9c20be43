/*
 * codec_dict.h
 *	  Dictionary: a scheme of streams.
 */
#ifndef HISTORIAN_CODEC_DICT_H
#define HISTORIAN_CODEC_DICT_H

#include "codec/codec_scheme.h"

extern uint64_t codec_dict_get(const CodecStream *stream, uint32_t row);
extern void codec_dict_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							  uint64_t *dst);

/*
 * Returns false if there are too many distinct numbers: in a sample, for a dictionary, or for one that
 * takes less than so many bytes.
 */
extern bool codec_dict_plan(CodecStream *stream, const CodecStats *stats,
							const uint64_t *numbers, size_t bytes);
extern uint8_t *codec_dict_write(const CodecStream *stream, const uint64_t *numbers,
								 uint8_t *dst);

#endif							/* HISTORIAN_CODEC_DICT_H */
