/*
 * http_request.h
 *	  The head of an HTTP request, as far as it is kept, and its query parameters.
 */
#ifndef HISTORIAND_HTTP_REQUEST_H
#define HISTORIAND_HTTP_REQUEST_H

#include "base/memory.h"

#include <llhttp.h>

#include <stdbool.h>
#include <stdint.h>

#define HTTP_MAX_TARGET_BYTES		 8192
#define HTTP_MAX_AUTHORIZATION_BYTES 512
#define HTTP_METHOD_UNKNOWN			 UINT8_MAX /* the head is not complete */

typedef struct HttpRequest
{
	uint8_t method; /* an llhttp_method_t, or HTTP_METHOD_UNKNOWN */
	bool http_1_0;
	bool expect_continue;
	bool chunked;
	uint64_t content_length;
	Bytes target;
	char content_type[128];
	char content_encoding[32];
	char expect[32];
	char host[264];
	char authorization[HTTP_MAX_AUTHORIZATION_BYTES]; /* wiped by http_authorize() */
	char origin[264];
	char sec_fetch_site[16];
	char sec_fetch_mode[16];
	char sec_fetch_dest[16];
	char user_agent[16];   /* the beginning of the value */
	bool accepts_language; /* has Accept-Language, which may be empty */
	char accept_encoding[128];
	char if_none_match[256];
	char last_event_id[1088]; /* the times of 50 tags */
	char request_id[136];	  /* longer than a valid one, so that one that was cut is too long */
	char traceparent[60];

	/* while the head arrives */
	char name[24];
	uint8_t name_length; /* sizeof(name): longer than the names that are kept */
	bool in_value;
	bool head_complete;
	char *value; /* where the value goes; NULL: it is not kept */
	size_t value_size;
	size_t value_length;
} HttpRequest;

extern void http_request_reset(HttpRequest *request);

/*
 * The next three take pieces as llhttp finds them.  This one returns false if the target is too
 * long.
 */
extern bool http_request_target(HttpRequest *request, const char *data, size_t length);
extern void http_request_header_name(HttpRequest *request, const char *data, size_t length);
extern void http_request_header_value(HttpRequest *request, const char *data, size_t length);

/* Ends the head.  Fields that follow are trailers, which are ignored. */
extern void http_request_head_complete(HttpRequest *request);

extern bool http_request_has_body(const HttpRequest *request);

/*
 * Makes the target http://host/path, or https://host/path where the request is secure, to /path, and
 * replaces the header's host by that one (RFC 9112, 3.2.2).  Returns false if the target has none of
 * the forms that are served (RFC 9110, 7.4).
 */
extern bool http_request_resolve_target(HttpRequest *request, bool secure);

/* Is Host valid?  With HTTP/1.0 it may be missing. */
extern bool http_request_host_valid(const HttpRequest *request);

/* The length of the path in target, which ends there or before a question mark. */
extern size_t http_request_path_length(const HttpRequest *request);

/* Decodes the path from a place in it; false if it has a broken percent escape. */
extern bool http_request_path_rest(const HttpRequest *request, size_t from, Bytes *rest);

/*
 * Decodes the next query parameter into name and value, which are used again for each.  *position
 * is 0 at first.  Returns false after the last one.  *valid is false if the parameter has a broken
 * percent escape.
 */
extern bool http_request_parameter(const HttpRequest *request, size_t *position, Bytes *name,
								   Bytes *value, bool *valid);

/* Is a header value such as "application/json; charset=utf-8" of that type? */
extern bool http_media_type_is(const char *value, const char *type);

#endif /* HISTORIAND_HTTP_REQUEST_H */
