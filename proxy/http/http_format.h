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
	const char *content_type; /* NULL if there is no body */
	const char *headers;	  /* more header lines, each with its line end, or NULL */
	const char *notes;		  /* the same, never NULL */
	const char *request_id;
	const char *allow_origin; /* of a page that may see the answer, or NULL */
	bool vary_origin;		  /* other pages get other headers */
	const char *body;
	size_t length;
	bool streamed; /* the body follows, in chunks; with HTTP/1.0 it ends with the connection */
	bool close;
	bool http_1_0;	/* keep-alive must be stated */
	bool head_only; /* the length without the body, as for HEAD */
} HttpAnswer;

/* Appends an answer; date is the value of the header Date. */
extern void http_format_answer(Bytes *out, const HttpAnswer *answer, const char *date);

/* Writes the current time as "Wed, 21 Oct 2015 07:28:00 GMT"; size is at least 30. */
extern void http_format_date(char *date, size_t size);

/*
 * Appends {"type":..,"title":..,"status":..,"detail":.. without the closing brace, so that the
 * caller may append members, each after a comma.
 */
extern void http_format_problem(Bytes *body, int status, const char *detail);

#endif /* HISTORIAND_HTTP_FORMAT_H */
