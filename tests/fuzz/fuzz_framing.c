/*
 * fuzz_framing.c
 *	  Fuzz target: the gate before the parser against llhttp, and against itself in other pieces.
 *
 * What the gate lets through has to be requests that end where llhttp has them end; the same requests
 * once more have to pass again, and be refused at the same byte.  Built with libFuzzer by framing.mk.  Stops at the first input on which they disagree.
 */
#include "http/http_framing.h"

#include <llhttp.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REQUESTS 256

typedef struct Ends
{
	size_t count;
	size_t at[MAX_REQUESTS];
} Ends;

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
disagree(const char *what, const uint8_t *data, size_t size)
{
	fprintf(stderr, "%s\n%.*s\n", what, (int) size, data);
	abort();
}

static int
on_headers_complete(llhttp_t *parser)
{
	if (parser->method != HTTP_CONNECT)
		parser->upgrade = 0;
	return 0;
}

static int
on_message_complete(llhttp_t *parser)
{
	*(bool *) parser->data = llhttp_should_keep_alive(parser) != 0;
	return HPE_PAUSED;
}

/* Where llhttp has requests end; *done is how far it came, at most to the last of the connection. */
static void
ends_of_llhttp(const char *data, size_t size, Ends *ends, size_t *done)
{
	llhttp_settings_t settings;
	llhttp_t parser;
	size_t at = 0;
	bool more = true;

	llhttp_settings_init(&settings);
	settings.on_headers_complete = on_headers_complete;
	settings.on_message_complete = on_message_complete;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &more;
	for (;;)
	{
		llhttp_errno_t error = llhttp_execute(&parser, data + at, size - at);

		*done = error == HPE_OK ? size : (size_t) (llhttp_get_error_pos(&parser) - data);
		if (error != HPE_PAUSED || ends->count == MAX_REQUESTS)
			return;
		at = *done;
		ends->at[ends->count++] = at;
		if (!more)
			return;
		llhttp_resume(&parser);
	}
}

/* Is it where a request begins, whatever came before? */
static bool
at_start(const Framing *framing)
{
	static const Framing start;

	return memcmp(framing, &start, offsetof(Framing, opening)) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	Framing whole = {0};
	Framing bytes = {0};
	Framing again = {0};
	Ends theirs = {0};
	Ends ours = {0};
	size_t right = framing_check(&whole, text, size);
	size_t count = 0;
	size_t done = 0;

	while (count < size && framing_check(&bytes, text + count, 1) == 1)
	{
		count++;
		if (at_start(&bytes) && ours.count < MAX_REQUESTS)
			ours.at[ours.count++] = count;
	}
	if (count != right || bytes.status != whole.status)
		disagree("in single bytes it is another request", data, size);
	if (ours.count > 0)
		framing_check(&again, text, ours.at[ours.count - 1]);
	if (framing_check(&again, text, size) != right || again.status != whole.status)
		disagree("behind the same requests it is another one", data, size);

	ends_of_llhttp(text, right, &theirs, &done);
	for (size_t i = 0; i < ours.count || i < theirs.count; i++)
	{
		if (i < ours.count && ours.at[i] > done)
			break; /* llhttp refused it before its end */
		if (i >= ours.count || i >= theirs.count || ours.at[i] != theirs.at[i])
			disagree("the parser has a request end elsewhere", data, size);
	}
	return 0;
}
