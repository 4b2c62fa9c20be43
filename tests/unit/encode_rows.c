/*
 * encode_rows.c
 *	  A filter for test_read_block.py: rows in, blocks out.
 *
 * Standard input, all little-endian: uint32 rows, uint32 values, uint32 flags (1: widths follow,
 * 2: NULL flags follow); int64 times[rows]; uint16 widths[rows]; uint8 nulls[rows][values];
 * float64 values[rows][values]; and again.  Standard output: uint32 length and the block, for each.
 */
#include "codec/codec.h"
#include "codec_rows.h"

#include <stdio.h>
#include <stdlib.h>

#define WITH_WIDTHS 1
#define WITH_NULLS	2

static void
read_all(void *dst, size_t size, size_t count)
{
	if (fread(dst, size, count, stdin) != count)
	{
		fprintf(stderr, "encode_rows: input ends early\n");
		exit(1);
	}
}

int
main(void)
{
	static uint8_t block[CODEC_MAX_ROWS * 200];
	CodecEncoder *encoder = codec_encoder_new();
	uint32_t head[3];

	while (encoder != NULL && fread(head, sizeof(head), 1, stdin) == 1)
	{
		OwnedRows owned;
		size_t elements = (size_t) head[0] * head[1];
		uint32_t length;

		owned_rows_init(&owned, head[0], head[1], false, head[2] & WITH_WIDTHS,
						head[2] & WITH_NULLS);
		read_all(owned.time, sizeof(*owned.time), head[0]);
		if (head[2] & WITH_WIDTHS)
			read_all(owned.width, sizeof(*owned.width), head[0]);
		if (head[2] & WITH_NULLS)
			read_all(owned.isnull, 1, elements);
		read_all(owned.values, sizeof(*owned.values), elements);
		length = (uint32_t) codec_encode(encoder, &owned.rows, block, sizeof(block));
		owned_rows_free(&owned);
		if (length == 0 || fwrite(&length, sizeof(length), 1, stdout) != 1 ||
			fwrite(block, 1, length, stdout) != length)
			return 1;
	}
	codec_encoder_free(encoder);
	return 0;
}
