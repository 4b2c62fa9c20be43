/*
 * fuzz_codec_decode.c
 *	  Hostile blocks: whatever codec_open() accepts must be readable without straying.
 *
 * Input: the number of rows in 2 bytes, and the block.
 */
#include "codec_check.h"

#include <stdlib.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t nrows;

	if (size < 2)
		return 0;
	nrows = (uint32_t) (data[0] | data[1] << 8) % (CODEC_MAX_ROWS + 2);

	/* rows and columns without data cost time, not memory; most is found with few */
	if (nrows > 300 && data[1] % 8 != 0)
		nrows %= 300;
	if (codec_exercise_block(data + 2, size - 2, nrows) != NULL)
		abort();
	return 0;
}
