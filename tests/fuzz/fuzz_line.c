/*
 * fuzz_line.c
 *	  Fuzz target: bodies of lines, whole and cut in two.
 *
 * Built with libFuzzer by line.mk.  The first byte says whether the lines are line protocol (even) or
 * NDJSON (odd), and where the cut is.  Both ways must give the same, and what was staged must be what
 * the buffer may be given.  NDJSON must give the same with a space at the end of each line too,
 * because good lines without one are decoded in a way of their own.  That the points are the right ones
 * is compared with another parser by tests/http/test_write.py, and messages by fuzz_message.c.
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
decode(BodyDecoder *decoder, BodyFormat format, Stage *stage, const char *body, size_t size,
	   size_t cut)
{
	const TimestampRules times = timestamp_rules(1000, false);

	body_decoder_init(decoder, stage, format, true, &times);
	decoder->points = (LineRules){.now_ns = 77};
	body_decoder_feed(decoder, body, cut);
	body_decoder_feed(decoder, body + cut, size - cut);
	body_decoder_finish(decoder);
}

static void
check(BodyFormat format, const Stage *stage)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;

	for (uint32_t i = 0; i < stage->count; i++, message = staged_next(message))
	{
		expect(message->tag_length > 0 && message->tag_length <= MESSAGE_MAX_TAG_BYTES,
			   "tag length");
		expect(utf8_valid(staged_tag(message), message->tag_length), "tag is not UTF-8");
		expect(memchr(staged_tag(message), '\0', message->tag_length) == NULL, "tag has a NUL");
		expect(message->value_count <= MESSAGE_MAX_VALUES, "count");
		if (format == BODY_NDJSON)
			continue; /* which may have no value, and NULLs */
		expect(message->value_count > 0, "no value");
		for (uint32_t j = 0; j < message->value_count; j++)
			expect(isfinite(message->values[j]), "value is not finite");
	}
	expect(stage->data == NULL || (const char *) message == stage->data + stage->length, "length");
}

static void
expect_same(const BodyDecoder *a, const Stage *as, const BodyDecoder *b, const Stage *bs,
			const char *what)
{
	expect(as->count == bs->count && as->length == bs->length &&
			   (as->length == 0 || memcmp(as->data, bs->data, as->length) == 0),
		   what);
	expect(a->error_count == b->error_count, what);
}

/* Decodes the body with a space at the end of each line. */
static void
decode_spaced(BodyDecoder *decoder, Stage *stage, const char *body, size_t size)
{
	char *spaced = malloc(2 * size);
	size_t length = 0;

	for (size_t i = 0; i < size; i++)
	{
		if (body[i] == '\n')
			spaced[length++] = ' ';
		spaced[length++] = body[i];
	}
	decode(decoder, BODY_NDJSON, stage, spaced, length, length);
	free(spaced);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	Stage whole = {0};
	Stage pieces = {0};
	Stage spaced = {0};
	BodyDecoder first;
	BodyDecoder second;
	BodyDecoder third;
	const char *body = (const char *) data + 1;
	BodyFormat format;

	if (!ready)
		number_init();
	ready = true;
	if (size < 2)
		return 0;
	format = data[0] % 2 == 0 ? BODY_POINTS : BODY_NDJSON;
	decode(&first, format, &whole, body, size - 1, size - 1);
	decode(&second, format, &pieces, body, size - 1, data[0] / 2 % size);
	expect_same(&first, &whole, &second, &pieces, "a cut changes what is staged");
	if (format == BODY_NDJSON)
	{
		decode_spaced(&third, &spaced, body, size - 1);
		expect_same(&first, &whole, &third, &spaced, "a space changes what is staged");
		body_decoder_free(&third);
	}
	check(format, &whole);
	body_decoder_free(&first);
	body_decoder_free(&second);
	free(whole.data);
	free(pieces.data);
	free(spaced.data);
	return 0;
}
