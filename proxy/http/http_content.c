/*
 * http_content.c
 *	  Answers that may be compressed, or that the client has already.
 *
 * The validator is a hash of the answer: late messages, deletes and other writers can change any
 * window, so that only the answer itself shows whether it is the same.  The compressed form is
 * another representation and has a validator of its own (RFC 9110, section 8.8.3).
 */
#include "http/http_content.h"

#include "http/gzip.h"
#include "http/http_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A shorter body fits in a packet or two as it is. */
#define SHORTEST_GZIP 1024

/*
 * A longer body takes milliseconds to prepare, and is left to a worker, so that the loop can serve
 * others.
 */
#define LONG_CONTENT 131072

/* A body that is being prepared for an answer. */
typedef struct Content
{
	uv_work_t work;
	Exchange *exchange;
	const char *type; /* static */
	Bytes *pieces;
	int piece_count;
	size_t length; /* of all pieces; the budget results counts it */
	Budget *results;

	/* set by prepare() */
	Bytes body;
	Bytes compressed;
	bool gzip;
	bool known;
	char etag[HTTP_ETAG_BYTES];
} Content;

/* Does a list have this name with a quality above 0? */
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

/*
 * Multiplies and folds a word at a time.  64 bits suffice, because no one profits from a collision.
 */
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

/* Makes the body of the pieces. */
static void
join(Content *content)
{
	if (content->piece_count == 1)
	{
		content->body = content->pieces[0];
		content->pieces[0] = (Bytes){0};
		return;
	}
	bytes_reserve(&content->body, content->length);
	for (int i = 0; i < content->piece_count; i++)
	{
		bytes_append(&content->body, content->pieces[i].data, content->pieces[i].length);
		bytes_free(&content->pieces[i]);
	}
}

/* Makes body, ETag and compressed form.  While a worker does so, nothing else uses the request. */
static void
prepare(Content *content)
{
	const HttpRequest *request = &content->exchange->request;

	content->gzip = content->length >= SHORTEST_GZIP && http_accepts_gzip(request);
	join(content);
	http_etag(content->etag, hash_content(content->body.data, content->body.length), content->gzip);
	content->known = http_etag_known(request, content->etag);
	if (!content->gzip || content->known)
		return;
	gzip_whole(&content->compressed, content->body.data, content->body.length);
	bytes_free(&content->body);
}

/* Answers with a body that is prepared, and frees it. */
static void
answer(Content *content)
{
	Exchange *exchange = content->exchange;
	Bytes headers = {0};

	bytes_printf(&headers, "ETag: %s\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n",
				 content->etag);
	if (content->gzip && !content->known)
		bytes_puts(&headers, "Content-Encoding: gzip\r\n");
	if (content->known)
		http_answer(exchange, 304, NULL, bytes_text(&headers), NULL, 0);
	else
		http_answer_bytes(exchange, 200, content->type, bytes_text(&headers),
						  content->gzip ? &content->compressed : &content->body);
	bytes_free(&headers);
	bytes_free(&content->body);
	bytes_free(&content->compressed);
	budget_return(content->results, content->length);
	free(content->pieces);
	free(content);
}

static void
prepare_in_worker(uv_work_t *work)
{
	prepare(work->data);
}

static void
on_prepared(uv_work_t *work, int status)
{
	(void) status;
	answer(work->data);
}

void
http_answer_content(Exchange *exchange, const char *content_type, Bytes *pieces, int count)
{
	HttpLoop *loop = exchange->connection->loop;
	Content *content = memory_new(sizeof(Content));

	content->exchange = exchange;
	content->type = content_type;
	content->results = loop->results;
	content->work.data = content;
	content->piece_count = count;
	content->pieces = memory_new((size_t) count * sizeof(Bytes));
	for (int i = 0; i < count; i++)
	{
		content->length += pieces[i].length;
		content->pieces[i] = pieces[i];
		pieces[i] = (Bytes){0};
	}
	budget_add(content->results, content->length);
	if (content->length < LONG_CONTENT)
	{
		prepare(content);
		answer(content);
		return;
	}
	exchange->waiting = true;
	uv_queue_work(loop->uv, &content->work, prepare_in_worker, on_prepared);
}
