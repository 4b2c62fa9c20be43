/*
 * route_file.c
 *	  GET / and /page/.., the web page, and GET /openapi.json: files that the program contains.
 *
 * The files are kept compressed, and are decompressed for clients that do not accept gzip.  The
 * validator is gzip's trailer, which has the checksum and the length of the file.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "base/assert.h"
#include "ingest/gunzip.h"
#include "http/http_content.h"
#include "page/static_file.h"

#include <stdio.h>
#include <string.h>

/* The page may load nothing from other servers, and other pages may not show it in a frame. */
#define HEADERS                                                                                    \
	"Cache-Control: no-cache\r\n"                                                                  \
	"Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'none'; "           \
	"frame-ancestors 'none'; object-src 'none'\r\n"

static bool file_end(Exchange *exchange);

const Route route_file = {
	.path = "/", .metric = ROUTE_FILE, .access = ACCESS_OPEN, .linked = true, .end = file_end};

static const StaticFile *
find_file(const char *path, size_t length)
{
	for (int i = 0; i < static_file_count; i++)
	{
		if (strlen(static_files[i].path) == length &&
			memcmp(static_files[i].path, path, length) == 0)
			return &static_files[i];
	}
	return NULL;
}

bool
route_file_serves(const char *path, size_t length)
{
	return find_file(path, length) != NULL;
}

static void
inflate_file(const StaticFile *file, Bytes *body)
{
	Gunzip *gunzip = gunzip_new();
	const char *data = (const char *) file->gzip;
	size_t length = file->gzip_length;
	const char *piece;
	size_t piece_length;

	while (gunzip != NULL &&
		   gunzip_step(gunzip, &data, &length, &piece, &piece_length) == GUNZIP_MORE)
		bytes_append(body, piece, piece_length);
	gunzip_free(gunzip);
}

/* Answers with a file, or with 304 if the client has it. */
static bool
file_end(Exchange *exchange)
{
	const HttpRequest *request = &exchange->request;
	const StaticFile *file = find_file(request->target.data, http_request_path_length(request));
	bool gzip = http_accepts_gzip(request);
	bool known;
	uint64_t trailer;
	char etag[HTTP_ETAG_BYTES];
	char headers[512];
	Bytes body = {0};

	ASSERT(file != NULL);
	memcpy(&trailer, file->gzip + file->gzip_length - sizeof(trailer), sizeof(trailer));
	http_etag(etag, trailer, gzip);
	known = http_etag_known(request, etag);
	snprintf(headers, sizeof(headers), "ETag: %s\r\nVary: Accept-Encoding\r\n" HEADERS "%s", etag,
			 gzip && !known ? "Content-Encoding: gzip\r\n" : "");
	if (known)
	{
		http_answer(exchange, 304, NULL, headers, NULL, 0);
		return true;
	}
	if (gzip)
		bytes_append(&body, (const char *) file->gzip, file->gzip_length);
	else
		inflate_file(file, &body);
	http_answer(exchange, 200, file->content_type, headers, body.data, body.length);
	bytes_free(&body);
	return true;
}
