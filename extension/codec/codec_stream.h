/*
 * codec_stream.h
 *	  Streams: runs of 64-bit integers, each stored under one of five schemes.
 *
 * Everything in a block is a stream: times, widths, NULL flags, and the integers that values are
 * turned into.  Each scheme has its own file:
 *
 *	 frame of reference	codec_for.c		base + packed number
 *	 differences		codec_delta.c	anchors every 32 rows, packed differences between
 *	 runs				codec_runs.c	packed run starts and run values
 *	 dictionary			codec_dict.c	packed sorted distinct values, packed indexes
 *	 coded differences	codec_huffman.c	anchors every 128 rows, coded differences between
 *
 * All arithmetic is modulo 2^64, so no difference of two integers overflows.  A stream has a
 * header (parsed into CodecStream; codec_stream.c) and data (docs/format.md has both).
 */
#ifndef HISTORIAN_CODEC_STREAM_H
#define HISTORIAN_CODEC_STREAM_H

#include "codec/codec_scheme.h"

/*
 * Reads the header into all members of CodecStream but base, data and last.  Returns false if it is
 * not valid.  A stream of one row has no header.
 */
extern bool codec_stream_parse(CodecStream *stream, ByteCursor *cursor, uint32_t nrows);

extern size_t codec_stream_header_bytes(const CodecStream *stream);
extern size_t codec_stream_data_bytes(const CodecStream *stream);
extern uint64_t codec_stream_get(const CodecStream *stream, uint32_t row);
extern void codec_stream_decode(const CodecStream *stream, uint32_t first, uint32_t count,
								uint64_t *dst);

/* Measures numbers[nrows], which are compared as signed. */
extern void codec_stream_measure(CodecStats *stats, const uint64_t *numbers, uint32_t nrows);

/* Chooses the smallest of the given schemes for the numbers measured. */
extern void codec_stream_plan(CodecStream *stream, const CodecStats *stats,
							  const uint64_t *numbers, unsigned schemes);

/* Chooses the smallest of the given schemes for numbers[nrows]. */
extern void codec_stream_plan_numbers(CodecStream *stream, const uint64_t *numbers,
									  uint32_t nrows, unsigned schemes);

/* The bytes of header, base and data. */
extern size_t codec_stream_cost(const CodecStream *stream);
extern uint8_t *codec_stream_write_header(const CodecStream *stream, uint8_t *dst);
extern uint8_t *codec_stream_write_data(const CodecStream *stream, const uint64_t *numbers,
										uint8_t *dst);

#endif							/* HISTORIAN_CODEC_STREAM_H */
