/*
 * decode_points.c
 *	  Prints what the decoder makes of bodies of line protocol, for test_write.py to compare.
 *
 * Standard input: for each body its length and the size of the pieces it is fed in, as text and a
 * line feed, then its bytes.  Output: the messages, one a line (time, hexadecimal tag, values in
 * hexadecimal), then "errors" and the number of the bad lines.
 */
#include "ingest/body_decoder.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print_stage(const Stage *stage)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;

	for (uint32_t i = 0; i < stage->count; i++, message = staged_next(message))
	{
		const unsigned char *tag = (const unsigned char *) staged_tag(message);

		printf("%" PRId64 " ", message->time_ns);
		for (uint32_t j = 0; j < message->tag_length; j++)
			printf("%02x", tag[j]);
		for (uint32_t j = 0; j < message->value_count; j++)
			printf(" %a", message->values[j]);
		printf("\n");
	}
}

int
main(void)
{
	const TimestampRules times = timestamp_rules(1000, false);
	size_t length;
	size_t piece;

	number_init();
	while (scanf("%zu %zu", &length, &piece) == 2 && getchar() == '\n')
	{
		char *body = malloc(length + 1);
		Stage stage = {0};
		BodyDecoder decoder;

		if (fread(body, 1, length, stdin) != length)
			return 1;
		body_decoder_init(&decoder, &stage, BODY_POINTS, true, &times);
		decoder.points = (LineRules){.now_ns = 77};
		for (size_t at = 0; at < length; at += piece)
		{
			/* A copy of just this size, so that reading past its end is seen. */
			size_t size = length - at < piece ? length - at : piece;
			char *copy = malloc(size);

			memcpy(copy, body + at, size);
			body_decoder_feed(&decoder, copy, size);
			free(copy);
		}
		body_decoder_finish(&decoder);
		print_stage(&stage);
		printf("errors");
		for (uint64_t i = 0; i < decoder.error_count && i < BODY_MAX_LISTED_ERRORS; i++)
			printf(" %" PRId64, decoder.errors[i].position);
		printf("\n");
		fflush(stdout);
		body_decoder_free(&decoder);
		free(stage.data);
		free(body);
	}
	return 0;
}
