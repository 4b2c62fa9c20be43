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
#include "http_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is shorter fits in a packet or two as it is. */
#define SHORTEST_GZIP 1024

/* What is longer takes over a millisecond: in a worker, the loop has others to serve. */
#define LONG_GZIP 131072

/* A body on its way to be compressed. */
typedef struct Content
{
	uv_work_t work;
	Exchange *exchange;
	const char *type; /* static */
	Bytes headers;
	Bytes body; /* counts against the results */
	Bytes compressed;
	Budget *results;
} Content;

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

static void
free_content(Content *content)
{
	budget_return(content->results, content->body.length);
	bytes_free(&content->body);
	bytes_free(&content->compressed);
	free(content);
}

static void
answer_compressed(Content *content)
{
	bytes_puts(&content->headers, "Content-Encoding: gzip\r\n");
	bytes_append(&content->headers, "", 1);
	http_answer(content->exchange, 200, content->type, content->headers.data,
				content->compressed.data, content->compressed.length);
	bytes_free(&content->headers);
	free_content(content);
}

static void
compress(Content *content)
{
	gzip_whole(&content->compressed, content->body.data, content->body.length);
}

static void
compress_in_worker(uv_work_t *work)
{
	compress(work->data);
}

static void
on_compressed(uv_work_t *work, int status)
{
	(void) status;
	answer_compressed(work->data);
}

void
http_answer_content(Exchange *exchange, const char *content_type, Bytes *body)
{
	bool gzip = body->length >= SHORTEST_GZIP && http_accepts_gzip(&exchange->request);
	HttpLoop *loop = exchange->connection->loop;
	char etag[HTTP_ETAG_BYTES];
	bool known;
	Bytes headers = {0};
	Content *content;

	http_etag(etag, hash_content(body->data, body->length), gzip);
	bytes_printf(&headers, "ETag: %s\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n",
				 etag);
	known = http_etag_known(&exchange->request, etag);
	if (!gzip || known)
	{
		bytes_append(&headers, "", 1);
		if (known)
			http_answer(exchange, 304, NULL, headers.data, NULL, 0);
		else
			http_answer(exchange, 200, content_type, headers.data, body->data, body->length);
		bytes_free(&headers);
		bytes_free(body);
		return;
	}
	content = memory_new(sizeof(Content));
	content->exchange = exchange;
	content->type = content_type;
	content->headers = headers;
	content->body = *body;
	content->results = loop->results;
	content->work.data = content;
	*body = (Bytes){0};
	budget_add(content->results, content->body.length);
	if (content->body.length < LONG_GZIP)
	{
		compress(content);
		answer_compressed(content);
		return;
	}
	exchange->waiting = true;
	uv_queue_work(loop->uv, &content->work, compress_in_worker, on_compressed);
}
