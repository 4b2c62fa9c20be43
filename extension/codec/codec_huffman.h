/*
 * codec_huffman.h
 *	  Coded differences: a scheme of streams.
 */
#ifndef HISTORIAN_CODEC_HUFFMAN_H
#define HISTORIAN_CODEC_HUFFMAN_H

#include "codec/codec_scheme.h"

/* Rows from an anchor to the next. */
#define CODEC_HUFFMAN_GROUP_ROWS 128

/* So many groups are decoded side by side. */
#define CODEC_HUFFMAN_WAYS 4

/* The rows that are best decoded at a time. */
#define CODEC_HUFFMAN_DECODE_ROWS (CODEC_HUFFMAN_WAYS * CODEC_HUFFMAN_GROUP_ROWS)

/* A stream that is ready to be decoded. */
typedef struct CodecHuffman
{
	uint64_t	base;
	uint64_t	step;
	const uint8_t *anchors;		/* each but the first, less the one before and anchor_step */
	const uint8_t *sizes;		/* bits of each group but the last, less least_size */
	const uint8_t *codes;
	const uint8_t *last;		/* the last address at which 8 bytes may be read */
	uint64_t	code_bits;
	uint64_t	anchor_step;
	uint64_t	least_size;
	uint8_t		anchor_width;
	uint8_t		size_width;
	uint8_t		table_bits;		/* the most of a code */
	uint8_t		rest_bits;		/* the most after a code */

	/*
	 * By the next table_bits bits: what the code in them adds to the step, from bit 16 on; the
	 * bits after the code, from bit 8 on; and the bits of the code.
	 */
	uint64_t	entry[256];
} CodecHuffman;

/* Can the stream's data, of stream->count bytes, be decoded without straying? */
extern bool codec_huffman_is_valid(const CodecStream *stream);

/* Prepares a stream that is valid. */
extern void codec_huffman_open(CodecHuffman *ready, const CodecStream *stream);
extern void codec_huffman_decode(const CodecHuffman *ready, uint32_t first, uint32_t count,
								 uint64_t *dst);

/* The same for a stream that is decoded only once, and for one number. */
extern void codec_huffman_decode_once(const CodecStream *stream, uint32_t first, uint32_t count,
									  uint64_t *dst);
extern uint64_t codec_huffman_get(const CodecStream *stream, uint32_t row);

#endif							/* HISTORIAN_CODEC_HUFFMAN_H */
