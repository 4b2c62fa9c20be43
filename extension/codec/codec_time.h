/*
 * codec_time.h
 *	  The times of a block: the first time, a common divisor, and a stream that ascends from 0.
 */
#ifndef HISTORIAN_CODEC_TIME_H
#define HISTORIAN_CODEC_TIME_H

#include "codec/codec_scheme.h"

/* A time in a header takes so many bytes at most. */
#define CODEC_TIME_BYTES 9

typedef struct CodecTimes
{
	CodecStream units;			/* (time - first) / scale */
	int64_t		first;
	uint64_t	scale;			/* greatest common divisor of the differences */

	/* of planned times: both as the header has them */
	uint8_t		head[2 * CODEC_TIME_BYTES];
	uint8_t		head_bytes;
} CodecTimes;

extern bool codec_times_parse(CodecTimes *times, ByteCursor *cursor, uint32_t nrows);

/* The last row at or before time, or -1. */
extern int32_t codec_times_find(const CodecTimes *times, int64_t time);
extern int64_t codec_times_get(const CodecTimes *times, uint32_t row);
extern void codec_times_decode(const CodecTimes *times, uint32_t first, uint32_t count,
							   int64_t *dst);

/* Plans the times, and sets numbers[nrows] to the numbers of their stream. */
extern void codec_times_plan(CodecTimes *times, const int64_t *time, uint32_t nrows,
							 uint64_t *numbers);
extern size_t codec_times_header_bytes(const CodecTimes *times);
extern uint8_t *codec_times_write_header(const CodecTimes *times, uint8_t *dst);

/*
 * Writes what stands before the header of the times' stream, CODEC_TIME_BYTES twice at most; with
 * more than one row, sets numbers[nrows] to the numbers of the stream.
 */
extern uint8_t *codec_times_put(const int64_t *time, uint32_t nrows, uint64_t *numbers,
								uint8_t *dst);

#endif							/* HISTORIAN_CODEC_TIME_H */
