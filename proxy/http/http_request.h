/*
 * http_request.h
 *	  What is kept of an HTTP request's head, and its query parameters.
 */
#ifndef HISTORIAND_HTTP_REQUEST_H
#define HISTORIAND_HTTP_REQUEST_H

#include "base/memory.h"

#include <llhttp.h>

#include <stdbool.h>
#include <stdint.h>

#define HTTP_MAX_TARGET_BYTES 8192
#define HTTP_METHOD_UNKNOWN	  UINT8_MAX /* the head is not complete */

typedef struct HttpRequest
{
	uint8_t method; /* llhttp's number */
	bool http_1_0;
	bool expect_continue;
	bool chunked;
	uint64_t content_length;
	Bytes target;
	char content_type[128];
	char content_encoding[32];
	char expect[32];
	char host[264];
	char origin[264];
	char sec_fetch_site[16];
	char sec_fetch_mode[16];
	char sec_fetch_dest[16];
	char user_agent[16];   /* its beginning */
	bool accepts_language; /* has Accept-Language, perhaps an empty one */
	char accept_encoding[128];
	char if_none_match[256];
	char request_id[136]; /* longer than a sound one may be, so that a cut one is too long */
	char traceparent[60];

	/* while the head arrives */
	char name[24];
	uint8_t name_length; /* sizeof(name): too long to be one of ours */
	bool in_value;
	bool head_complete;
	char *value; /* where the value goes, or NULL */
	size_t value_size;
	size_t value_length;
} HttpRequest;

extern void http_request_reset(HttpRequest *request);

/* Pieces as llhttp finds them.  Returns false where the target is too long. */
extern bool http_request_target(HttpRequest *request, const char *data, size_t length);
extern void http_request_header_name(HttpRequest *request, const char *data, size_t length);
extern void http_request_header_value(HttpRequest *request, const char *data, size_t length);

/* What follows are trailers, which are ignored. */
extern void http_request_head_complete(HttpRequest *request);

extern bool http_request_has_body(const HttpRequest *request);

/*
 * http://host/path becomes /path, and host replaces the header's (RFC 9112, 3.2.2).  Returns false where
 * the target has none of the forms that are served.
 */
extern bool http_request_resolve_target(HttpRequest *request);

/* HTTP/1.0 may leave it out. */
extern bool http_request_host_valid(const HttpRequest *request);

/* Length of the path in target; a question mark may follow. */
extern size_t http_request_path_length(const HttpRequest *request);

/*
 * Visits the decoded query parameters.  *position starts as 0.  Returns false past the last one;
 * *valid is false where one has a broken percent escape.  name and value are reused each time.
 */
extern bool http_request_parameter(const HttpRequest *request, size_t *position, Bytes *name,
								   Bytes *value, bool *valid);

/* Is a header value such as "application/json; charset=utf-8" of that type? */
extern bool http_media_type_is(const char *value, const char *type);

#endif /* HISTORIAND_HTTP_REQUEST_H */
