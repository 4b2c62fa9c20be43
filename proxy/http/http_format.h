/*
 * http_format.h
 *	  The text of HTTP answers and of problem details (RFC 9457).
 */
#ifndef HISTORIAND_HTTP_FORMAT_H
#define HISTORIAND_HTTP_FORMAT_H

#include "base/memory.h"

#include <stdbool.h>

typedef struct HttpAnswer
{
	int status;
	const char *content_type; /* NULL where there is no body */
	const char *headers;	  /* more header lines, each with its line end, or NULL */
	const char *request_id;
	const char *body;
	size_t length;
	bool streamed; /* in chunks; for HTTP/1.0 until the connection ends */
	bool close;
	bool http_1_0;	/* keep-alive must be said */
	bool head_only; /* HEAD: the length, but no body */
} HttpAnswer;

/* date is the value of the Date header. */
extern void http_format_answer(Bytes *out, const HttpAnswer *answer, const char *date);

/* "Wed, 21 Oct 2015 07:28:00 GMT" for now; size is at least 30. */
extern void http_format_date(char *date, size_t size);

/*
 * {"type":..,"title":..,"status":..,"detail":..  without the closing brace, so that the caller may
 * add members, each with a comma before it.
 */
extern void http_format_problem(Bytes *body, int status, const char *detail);

#endif /* HISTORIAND_HTTP_FORMAT_H */
