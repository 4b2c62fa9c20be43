/*
 * http_content.c
 *	  Answers that a client may have compressed, or has already.
 *
 * The validator is a hash of the content, not of what it was made from: late messages, deletes and
 * other writers can change any window, so that only the answer itself can say whether it is the
 * same.  The compressed form is another representation and has a validator of its own (RFC 9110,
 * section 8.8.3).
 */
#include "http_content.h"

#include "gzip.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is shorter fits in a packet or two as it is. */
#define SHORTEST_GZIP 1024

/* Is value a list that has this name with a quality above 0? */
static bool
coding_accepted(const char *value, const char *name)
{
	size_t length = strlen(name);

	while (*value != '\0')
	{
		const char *end;

		value += strspn(value, " \t,");
		end = value + strcspn(value, ",");
		if (strncasecmp(value, name, length) == 0 && strchr(" \t;,", value[length]) != NULL)
		{
			const char *quality = value + length + strspn(value + length, " \t;");

			/* q=0, q=0.0 ..: not acceptable */
			if (quality >= end || strncasecmp(quality, "q=0", 3) != 0)
				return true;
			quality += 3;
			quality += strspn(quality, ".0");
			return quality < end && *quality >= '1' && *quality <= '9';
		}
		value = end;
	}
	return false;
}

bool
http_accepts_gzip(const HttpRequest *request)
{
	return coding_accepted(request->accept_encoding, "gzip");
}

void
http_etag(char *etag, uint64_t hash, bool gzip)
{
	snprintf(etag, HTTP_ETAG_BYTES, "\"%016llx%s\"", (unsigned long long) hash,
			 gzip ? "-gzip" : "");
}

bool
http_etag_known(const HttpRequest *request, const char *etag)
{
	const char *known = request->if_none_match;

	/* Tags have quotes around them, so that one cannot be found within another. */
	return strcmp(known, "*") == 0 || strstr(known, etag) != NULL;
}

/* Multiply and fold, a word at a time; 64 bits are plenty where nobody profits from a collision. */
static uint64_t
hash_content(const char *data, size_t length)
{
	uint64_t hash = length ^ UINT64_C(0x9E3779B97F4A7C15);

	while (length > 0)
	{
		uint64_t word = 0;
		size_t step = length < sizeof(word) ? length : sizeof(word);
		unsigned __int128 product;

		memcpy(&word, data, step);
		product = (unsigned __int128) (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
		hash = (uint64_t) product ^ (uint64_t) (product >> 64);
		data += step;
		length -= step;
	}
	return hash;
}

void
http_answer_content(Exchange *exchange, const char *content_type, Bytes *body)
{
	bool gzip = body->length >= SHORTEST_GZIP && http_accepts_gzip(&exchange->request);
	char etag[HTTP_ETAG_BYTES];
	char headers[160];

	http_etag(etag, hash_content(body->data, body->length), gzip);
	snprintf(headers, sizeof(headers),
			 "ETag: %s\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n%s", etag,
			 gzip ? "Content-Encoding: gzip\r\n" : "");
	if (http_etag_known(&exchange->request, etag))
	{
		*strstr(headers, "Vary") = '\0';
		http_answer(exchange, 304, NULL, headers, NULL, 0);
	}
	else if (gzip)
	{
		Bytes compressed = {0};

		gzip_whole(&compressed, body->data, body->length);
		http_answer(exchange, 200, content_type, headers, compressed.data, compressed.length);
		bytes_free(&compressed);
	}
	else
		http_answer(exchange, 200, content_type, headers, body->data, body->length);
	bytes_free(body);
}
