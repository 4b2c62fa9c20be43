/*
 * fuzz_line.c
 *	  Fuzz target: bodies of line protocol, whole and cut in two.
 *
 * Built with libFuzzer by line.mk.  The first byte says where the cut is.  Both ways must give the
 * same, and what was staged must be what the buffer may be given.  That the points are the right
 * ones is compared with another parser by tests/http/test_write.py.
 */
#include "ingest/body_decoder.h"
#include "base/number.h"
#include "base/utf8.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void
decode(BodyDecoder *decoder, Stage *stage, const char *body, size_t size, size_t cut)
{
	const TimestampRules times = timestamp_rules(1000, false);

	body_decoder_init(decoder, stage, BODY_POINTS, true, &times);
	decoder->points = (LineRules){.now_ns = 77};
	body_decoder_feed(decoder, body, cut);
	body_decoder_feed(decoder, body + cut, size - cut);
	body_decoder_finish(decoder);
}

static void
check(const Stage *stage)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;

	for (uint32_t i = 0; i < stage->count; i++, message = staged_next(message))
	{
		expect(message->tag_length > 0 && message->tag_length <= MESSAGE_MAX_TAG_BYTES,
			   "tag length");
		expect(utf8_valid(staged_tag(message), message->tag_length), "tag is not UTF-8");
		expect(memchr(staged_tag(message), '\0', message->tag_length) == NULL, "tag has a NUL");
		expect(message->value_count > 0 && message->value_count <= MESSAGE_MAX_VALUES, "count");
		for (uint32_t j = 0; j < message->value_count; j++)
			expect(isfinite(message->values[j]), "value is not finite");
	}
	expect(stage->data == NULL || (const char *) message == stage->data + stage->length, "length");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	Stage whole = {0};
	Stage pieces = {0};
	BodyDecoder first;
	BodyDecoder second;

	if (!ready)
		number_init();
	ready = true;
	if (size < 2)
		return 0;
	decode(&first, &whole, (const char *) data + 1, size - 1, size - 1);
	decode(&second, &pieces, (const char *) data + 1, size - 1, data[0] % size);
	expect(whole.count == pieces.count && whole.length == pieces.length &&
			   (whole.length == 0 || memcmp(whole.data, pieces.data, whole.length) == 0),
		   "a cut changes the points");
	expect(first.error_count == second.error_count, "a cut changes the errors");
	check(&whole);
	body_decoder_free(&first);
	body_decoder_free(&second);
	free(whole.data);
	free(pieces.data);
	return 0;
}
