/*
 * test_message_scan.c
 *	  The scanner against json-c on random messages, and bodies cut into random pieces.
 *
 * Takes a seed as its argument; prints the one it uses.
 */
#include "ingest/body_decoder.h"
#include "message_oracle.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;
static int test_number;
static int failures;

static uint32_t
next_random(uint32_t below)
{
	/* splitmix64 */
	uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (uint32_t) ((z ^ (z >> 31)) % below);
}

static void
ok(bool passed, const char *name)
{
	test_number++;
	failures += !passed;
	printf("%sok %d - %s\n", passed ? "" : "not ", test_number, name);
}

static const char *
pick(const char *const *texts, size_t count)
{
	return texts[next_random((uint32_t) count)];
}

#define PICK(texts) pick(texts, sizeof(texts) / sizeof(texts[0]))

static void
put_value(Bytes *text)
{
	static const char *const odd[] = {"0",		"-0",	 "1e22", "1E-7",   "12345678901234567890",
									  "5e-324", "1e308", "-1.5", "0.1e+1", "9007199254740993"};

	switch (next_random(5))
	{
		case 0:
			bytes_puts(text, "null");
			break;
		case 1:
			bytes_printf(text, "%s", PICK(odd));
			break;
		case 2:
			bytes_printf(text, "%.2f", next_random(1000000) / 100.0 - 5000);
			break;
		case 3:
			bytes_printf(text, "%.17g", (next_random(1000000) - 5e5) / (next_random(1000) + 1));
			break;
		default:
			bytes_printf(text, "%d", (int) next_random(2000) - 1000);
	}
}

/* A valid message in one line, in random order and spacing. */
static void
put_message(Bytes *text)
{
	static const char *const spaces[] = {"", "", "", " ", "\t", " \r "};
	static const char *const tags[] = {"a",
									   "tag00042",
									   "\xc3\xa9",
									   "\\u00e9x",
									   "a\\/b\\\\",
									   "\\ud83d\\ude00",
									   "0123456789012345678",
									   "\\u00e9 \xc3\xa9"};
	static const char *const times[] = {"0",
										"-1",
										"1583748873",
										"1583748873000000000",
										"9223372036854775807",
										"-9223372036854775808",
										"\"2020-02-29T23:59:59Z\"",
										"\"1999-12-31t23:59:59.5-08:30\"",
										"\"2016-12-31 23:59:60.123456789z\"",
										"\"1677-09-21T00:12:43.145224192+00:00\"",
										"\"2262-04-11T23:47:16.85477580\\u0037Z\""};
	int first = (int) next_random(3);
	int step = 1 + (int) next_random(2);

	bytes_printf(text, "{%s", PICK(spaces));
	for (int i = 0; i < 3; i++)
	{
		if (i > 0)
			bytes_printf(text, ",%s", PICK(spaces));
		switch ((first + i * step) % 3)
		{
			case 0:
				bytes_printf(text, "\"time\"%s:%s%s", PICK(spaces), PICK(spaces), PICK(times));
				break;
			case 1:
				bytes_printf(text, "\"tag\":%s\"%s\"", PICK(spaces), PICK(tags));
				break;
			default:
				bytes_printf(text, "\"values\":%s[%s", PICK(spaces), PICK(spaces));
				for (uint32_t count = next_random(12), v = 0; v < count; v++)
				{
					bytes_puts(text, v > 0 ? "," : "");
					put_value(text);
					bytes_puts(text, PICK(spaces));
				}
				bytes_puts(text, "]");
		}
		bytes_puts(text, PICK(spaces));
	}
	bytes_puts(text, "}");
}

/* Changes, removes or doubles some bytes. */
static void
damage(Bytes *text)
{
	static const char alphabet[] = "{}[]\",:0123456789.eE+-\\u tagimevls\n\x80\xff\x7f\xc2";

	for (uint32_t times = 1 + next_random(3); times > 0 && text->length > 0; times--)
	{
		uint32_t at = next_random((uint32_t) text->length);

		switch (next_random(3))
		{
			case 0:
				text->data[at] = alphabet[next_random(sizeof(alphabet) - 1)];
				break;
			case 1:
				memmove(text->data + at, text->data + at + 1, text->length - at - 1);
				text->length--;
				break;
			default:
				bytes_reserve(text, 1);
				memmove(text->data + at + 1, text->data + at, text->length - at);
				text->length++;
		}
	}
}

static void
test_against_json_c(bool damaged, int rounds, const char *name)
{
	const char *problem = NULL;

	for (int i = 0; i < rounds && problem == NULL; i++)
	{
		Bytes text = {0};

		put_message(&text);
		if (damaged)
			damage(&text);
		problem = message_disagreement(text.data, text.length);
		if (problem != NULL)
			printf("# %s\n# %.*s\n", problem, (int) text.length, text.data);
		bytes_free(&text);
	}
	ok(problem == NULL, name);
}

/* A body decoded in pieces: its stage, its errors and where they are must not depend on them. */
static void
decode(const Bytes *body, BodyFormat format, bool partial, uint32_t largest, Stage *stage,
	   BodyDecoder *decoder)
{
	const TimestampRules nanoseconds = timestamp_rules(1, false);
	size_t done = 0;

	body_decoder_init(decoder, stage, format, partial, &nanoseconds);
	while (done < body->length)
	{
		size_t piece = largest == 0 ? body->length : 1 + next_random(largest);
		char *copy;

		if (piece > body->length - done)
			piece = body->length - done;
		/* A copy of just that size: a tool like valgrind sees reads past its end. */
		copy = memory_new_raw(piece);
		memcpy(copy, body->data + done, piece);
		body_decoder_feed(decoder, copy, piece);
		free(copy);
		done += piece;
	}
	body_decoder_finish(decoder);
}

static bool
same_errors(const BodyDecoder *a, const BodyDecoder *b)
{
	if (a->error_count != b->error_count)
		return false;
	for (uint64_t i = 0; i < a->error_count && i < BODY_MAX_LISTED_ERRORS; i++)
	{
		if (a->errors[i].position != b->errors[i].position ||
			strcmp(a->errors[i].message.field, b->errors[i].message.field) != 0)
			return false;
	}
	return true;
}

static void
test_pieces(BodyFormat format, bool partial, const char *name)
{
	bool good = true;

	for (int round = 0; round < 3000 && good; round++)
	{
		Bytes body = {0};
		Stage whole = {0};
		Stage pieces = {0};
		BodyDecoder first = {0};
		BodyDecoder second = {0};
		uint32_t count = next_random(20);

		bytes_puts(&body, format == BODY_JSON ? "[" : "");
		for (uint32_t i = 0; i < count; i++)
		{
			if (i > 0)
				bytes_puts(&body, format == BODY_JSON ? "," : "\n");
			put_message(&body);
		}
		bytes_puts(&body, format == BODY_JSON ? "]" : "");
		if (round % 2 == 1)
			damage(&body);
		decode(&body, format, partial, 0, &whole, &first);
		decode(&body, format, partial, 1 + next_random(300), &pieces, &second);
		good = whole.count == pieces.count && whole.length == pieces.length &&
			   (whole.length == 0 || memcmp(whole.data, pieces.data, whole.length) == 0) &&
			   same_errors(&first, &second);
		if (round % 2 == 0)
			good &= first.error_count == 0 && whole.count == count;
		if (!good)
			printf("# %u and %u messages, %d and %d errors (%s, %s) in:\n# %.*s\n", whole.count,
				   pieces.count, (int) first.error_count, (int) second.error_count,
				   first.error_count ? first.errors[0].message.detail : "",
				   second.error_count ? second.errors[0].message.detail : "", (int) body.length,
				   body.data);
		body_decoder_free(&first);
		body_decoder_free(&second);
		free(whole.data);
		free(pieces.data);
		bytes_free(&body);
	}
	ok(good, name);
}

/* Processor time of decoding an array of elements that are no messages, in pieces of a size. */
static double
time_of_refused(const Bytes *body, size_t piece)
{
	Stage stage = {0};
	BodyDecoder decoder = {0};
	const TimestampRules nanoseconds = timestamp_rules(1, false);
	clock_t start = clock();

	body_decoder_init(&decoder, &stage, BODY_JSON, true, &nanoseconds);
	for (size_t done = 0; done < body->length; done += piece)
		body_decoder_feed(&decoder, body->data + done,
						  piece < body->length - done ? piece : body->length - done);
	body_decoder_free(&decoder);
	free(stage.data);
	return (double) (clock() - start);
}

/* What follows a refused element must not be looked at to find its end. */
static void
test_refused_elements(void)
{
	Bytes body = {0};
	double large;
	double small;

	bytes_puts(&body, "[7");
	while (body.length < 65000)
		bytes_puts(&body, ",7");
	time_of_refused(&body, 1024);
	small = time_of_refused(&body, 1024);
	large = time_of_refused(&body, body.length);
	printf("# %.0f ms in pieces of 1 KiB, %.0f ms at once\n", small * 1000 / CLOCKS_PER_SEC,
		   large * 1000 / CLOCKS_PER_SEC);
	ok(large < 5 * small, "refused elements of an array take linear time");
	bytes_free(&body);
}

int
main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t) time(NULL);
	printf("# seed %" PRIu64 "\n", state);
	number_init();
	test_against_json_c(false, 5000, "valid messages: the scanner and json-c agree");
	test_against_json_c(true, 50000, "damaged messages: the scanner and json-c agree");
	test_pieces(BODY_NDJSON, false, "NDJSON in pieces");
	test_pieces(BODY_NDJSON, true, "NDJSON in pieces with partial=true");
	test_pieces(BODY_JSON, false, "arrays in pieces");
	test_pieces(BODY_JSON, true, "arrays in pieces with partial=true");
	test_refused_elements();
	printf("1..%d\n", test_number);
	return failures > 0;
}
