/*
 * codec_scheme.h
 *	  What the schemes of streams share: the parsed stream, and what its size depends on.
 */
#ifndef HISTORIAN_CODEC_SCHEME_H
#define HISTORIAN_CODEC_SCHEME_H

#include "codec/codec_bits.h"

typedef enum CodecScheme
{
	CODEC_FOR = 0,
	CODEC_DELTA = 1,
	CODEC_RUNS = 2,
	CODEC_DICT = 3,
	CODEC_HUFFMAN = 4,
} CodecScheme;

/* Sets of schemes from which a plan may choose. */
#define CODEC_FIXED_SCHEMES ((1u << CODEC_FOR) | (1u << CODEC_DELTA))
#define CODEC_ALL_SCHEMES	(CODEC_FIXED_SCHEMES | (1u << CODEC_RUNS) | (1u << CODEC_DICT))
#define CODEC_VALUE_SCHEMES (CODEC_ALL_SCHEMES | (1u << CODEC_HUFFMAN))

/* CODEC_DELTA: the rows of a group, and the row within it that is its anchor. */
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
	uint32_t	count;			/* runs; dictionary entries; bytes of coded differences */
	uint64_t	base;			/* added to every packed number or anchor */
	uint64_t	step;			/* delta, coded: added to every difference */
	const uint8_t *data;
	const uint8_t *last;		/* the last address at which 8 bytes may be read */
} CodecStream;

/* What the size of a stream of given numbers depends on. */
typedef struct CodecStats
{
	uint32_t	nrows;
	uint32_t	nruns;
	uint64_t	first;
	uint64_t	base;			/* the smallest number */
	uint64_t	range;			/* the largest number, less base */
	uint64_t	anchor_base;	/* the same of the groups' anchors */
	uint64_t	anchor_range;
	int64_t		least_step;		/* from a row to the next of its group */
	int64_t		greatest_step;
	bool		line;			/* all steps are the same, between groups too */
} CodecStats;

#endif							/* HISTORIAN_CODEC_SCHEME_H */
