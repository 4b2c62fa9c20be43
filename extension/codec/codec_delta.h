/*
 * codec_delta.h
 *	  Differences: a scheme of streams.
 */
#ifndef HISTORIAN_CODEC_DELTA_H
#define HISTORIAN_CODEC_DELTA_H

#include "codec/codec_scheme.h"

extern uint64_t codec_delta_get(const CodecStream *stream, uint32_t row);

/* Can anchors have high bits?  They can if there are groups, and slots that may be narrower. */
static inline bool
codec_delta_has_high(const CodecStream *stream)
{
	return stream->nrows > CODEC_GROUP_ROWS && stream->width > 0 && stream->width < 64;
}

static inline size_t
codec_delta_bytes(const CodecStream *stream)
{
	if (stream->nrows <= CODEC_GROUP_ROWS)
		return bits_packed_bytes(stream->nrows - 1, stream->width);
	return bits_packed_bytes((stream->nrows + CODEC_GROUP_ROWS - 1) / CODEC_GROUP_ROWS,
							 stream->high_width) +
		bits_packed_bytes(stream->nrows, stream->width);
}

/* The last row whose number is at most the given one, in a stream that ascends from 0. */
extern uint32_t codec_delta_find(const CodecStream *stream, uint64_t number);
extern void codec_delta_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							   uint64_t *dst);
extern void codec_delta_plan(CodecStream *stream, const CodecStats *stats);

/* The base that a planned stream takes from the statistics. */
extern uint64_t codec_delta_base(const CodecStream *stream, const CodecStats *stats);
extern uint8_t *codec_delta_write(const CodecStream *stream, const uint64_t *numbers,
								  uint8_t *dst);

#endif							/* HISTORIAN_CODEC_DELTA_H */
