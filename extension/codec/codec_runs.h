/*
 * codec_runs.h
 *	  Runs of equal numbers: a scheme of streams.
 */
#ifndef HISTORIAN_CODEC_RUNS_H
#define HISTORIAN_CODEC_RUNS_H

#include "codec/codec_scheme.h"

extern uint64_t codec_runs_get(const CodecStream *stream, uint32_t row);
extern void codec_runs_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							  uint64_t *dst);

/* Do the runs begin one after the other?  Otherwise get and decode may disagree. */
extern bool codec_runs_ascend(const CodecStream *stream);
extern void codec_runs_plan(CodecStream *stream, const CodecStats *stats);
extern uint8_t *codec_runs_write(const CodecStream *stream, const uint64_t *numbers,
								 uint8_t *dst);

#endif							/* HISTORIAN_CODEC_RUNS_H */
