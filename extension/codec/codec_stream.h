/*
 * codec_stream.h
 *	  A stream: a run of 64-bit integers under one of four schemes.
 *
 * Everything in a block is a stream: times, widths, NULL flags, and the integers that values are
 * turned into.  The schemes, each in its own file:
 *
 *	 frame of reference	codec_for.c		base + packed number
 *	 differences		codec_delta.c	anchors every 32 rows, packed differences between
 *	 runs				codec_runs.c	packed run starts and run values
 *	 dictionary			codec_dict.c	packed sorted distinct values, packed indexes
 *
 * All arithmetic is modulo 2^64, so no difference of two integers overflows.  A stream has a
 * header (parsed into CodecStream; codec_stream.c) and data (docs/format.md has both).
 */
#ifndef HISTORIAN_CODEC_STREAM_H
#define HISTORIAN_CODEC_STREAM_H

#include "codec/codec_bits.h"

typedef enum CodecScheme
{
	CODEC_FOR = 0,
	CODEC_DELTA = 1,
	CODEC_RUNS = 2,
	CODEC_DICT = 3,
} CodecScheme;

/* Sets of schemes, to plan among. */
#define CODEC_FIXED_SCHEMES ((1u << CODEC_FOR) | (1u << CODEC_DELTA))
#define CODEC_ALL_SCHEMES	(CODEC_FIXED_SCHEMES | (1u << CODEC_RUNS) | (1u << CODEC_DICT))

/* CODEC_DELTA: the rows of a group, and which of them is its anchor. */
#define CODEC_GROUP_ROWS 32
#define CODEC_ANCHOR_AT	 16

/* The most entries of a dictionary. */
#define CODEC_MAX_DICT 256

typedef struct CodecStream
{
	uint8_t		scheme;			/* CodecScheme */
	uint8_t		width;			/* of the packed numbers, differences, run or distinct values */
	uint8_t		high_width;		/* delta: of the anchors' high bits */
	uint8_t		index_width;	/* runs: of a row number; dictionary: of an index */
	uint32_t	nrows;
	uint32_t	count;			/* runs; dictionary entries */
	uint64_t	base;			/* added to every packed number or anchor */
	uint64_t	step;			/* delta: added to every difference */
	const uint8_t *data;
	const uint8_t *last;		/* the last address at which 8 bytes may be read */
} CodecStream;

/* What decides over a stream's size. */
typedef struct CodecStats
{
	uint32_t	nrows;
	uint32_t	nruns;
	uint64_t	first;
	uint64_t	base;			/* the smallest number, */
	uint64_t	range;			/* and how much greater the largest is */
	uint64_t	anchor_base;	/* the same of the groups' anchors */
	uint64_t	anchor_range;
	int64_t		least_step;		/* between two rows of a group */
	int64_t		greatest_step;
	bool		line;			/* all steps are the same, those between groups too */
} CodecStats;

/*
 * Reads the header: what CodecStream has but for base, data and last.  False if it is none.
 * A stream of one row has no header.
 */
extern bool codec_stream_parse(CodecStream *stream, ByteCursor *cursor, uint32_t nrows);

extern size_t codec_stream_header_bytes(const CodecStream *stream);
extern size_t codec_stream_data_bytes(const CodecStream *stream);
extern uint64_t codec_stream_get(const CodecStream *stream, uint32_t row);
extern void codec_stream_decode(const CodecStream *stream, uint32_t first, uint32_t count,
								uint64_t *dst);

/* Numbers are compared as signed. */
extern void codec_stream_measure(CodecStats *stats, const uint64_t *numbers, uint32_t nrows);

/* Finds the smallest of the given schemes. */
extern void codec_stream_plan(CodecStream *stream, const CodecStats *stats,
							  const uint64_t *numbers, unsigned schemes);

/* The bytes of header, base and data. */
extern size_t codec_stream_cost(const CodecStream *stream);
extern uint8_t *codec_stream_write_header(const CodecStream *stream, uint8_t *dst);
extern uint8_t *codec_stream_write_data(const CodecStream *stream, const uint64_t *numbers,
										uint8_t *dst);

/* The schemes. */
extern uint64_t codec_for_get(const CodecStream *stream, uint32_t row);
extern void codec_for_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							 uint64_t *dst);
extern void codec_for_plan(CodecStream *stream, const CodecStats *stats);
extern uint8_t *codec_for_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst);

extern uint64_t codec_delta_get(const CodecStream *stream, uint32_t row);

/* Can anchors have high bits: are there anchors, and narrower slots? */
static inline bool
codec_delta_has_high(const CodecStream *stream)
{
	return stream->nrows > CODEC_GROUP_ROWS && stream->width > 0 && stream->width < 64;
}

extern size_t codec_delta_bytes(const CodecStream *stream);

/* The last row whose number is at most the given one, in a stream that ascends from 0. */
extern uint32_t codec_delta_find(const CodecStream *stream, uint64_t number);
extern void codec_delta_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							   uint64_t *dst);
extern void codec_delta_plan(CodecStream *stream, const CodecStats *stats);

/* The base that a planned stream takes from the statistics. */
extern uint64_t codec_delta_base(const CodecStream *stream, const CodecStats *stats);
extern uint8_t *codec_delta_write(const CodecStream *stream, const uint64_t *numbers,
								  uint8_t *dst);

extern uint64_t codec_runs_get(const CodecStream *stream, uint32_t row);
extern void codec_runs_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							  uint64_t *dst);

/* Do the runs begin one after the other?  Only then do get and decode always agree. */
extern bool codec_runs_ascend(const CodecStream *stream);
extern void codec_runs_plan(CodecStream *stream, const CodecStats *stats);
extern uint8_t *codec_runs_write(const CodecStream *stream, const uint64_t *numbers,
								 uint8_t *dst);

extern uint64_t codec_dict_get(const CodecStream *stream, uint32_t row);
extern void codec_dict_decode(const CodecStream *stream, uint32_t first, uint32_t count,
							  uint64_t *dst);

/* false if there are too many distinct numbers */
extern bool codec_dict_plan(CodecStream *stream, const CodecStats *stats,
							const uint64_t *numbers);
extern uint8_t *codec_dict_write(const CodecStream *stream, const uint64_t *numbers,
								 uint8_t *dst);

#endif							/* HISTORIAN_CODEC_STREAM_H */
