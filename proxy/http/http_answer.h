/*
 * http_answer.h
 *	  Answers to requests.
 */
#ifndef HISTORIAND_HTTP_ANSWER_H
#define HISTORIAND_HTTP_ANSWER_H

#include "http/http_exchange.h"

/*
 * Answers.  content_type may be NULL where there is no body, headers (whole lines) NULL where there
 * are no more.  The exchange must not be used afterwards.
 */
extern void http_answer(Exchange *exchange, int status, const char *content_type,
						const char *headers, const char *body, size_t length);

/* The same with a body that is taken: of a route that is alone, a long one is not copied on its way. */
extern void http_answer_bytes(Exchange *exchange, int status, const char *content_type,
							  const char *headers, Bytes *body);
extern void http_problem(Exchange *exchange, int status, const char *detail, ...)
	__attribute__((format(printf, 3, 4)));

/* A problem's beginning, without the closing brace; the detail is also what the log says. */
extern void http_problem_begin(Exchange *exchange, Bytes *body, int status, const char *detail);

/* The same with members added to the problem: {"type":.. without its closing brace; consumed. */
extern void http_problem_body(Exchange *exchange, int status, Bytes *body);

/*
 * A streamed answer with status 200, of a route that is alone: begin, any number of pieces, then end
 * or break.  If the client
 * leaves before the end, release() is called and the exchange must not be used any more; this
 * happens from the loop, never from within these functions.
 */
extern void http_stream_begin(Exchange *exchange, const char *content_type, const char *headers);

/* Returns false where that is enough until drained() is called. */
extern bool http_stream_send(Exchange *exchange, const char *data, size_t length);

/* All was sent.  The exchange must not be used afterwards. */
extern void http_stream_end(Exchange *exchange);

/* Ends the connection after what was sent, so that the client sees that the end is missing. */
extern void http_stream_break(Exchange *exchange);

/* Answers the request being received, or one that could not even begin, and ends the connection. */
extern void http_refuse(HttpConnection *connection, int status, CloseReason reason,
						const char *detail);

#endif /* HISTORIAND_HTTP_ANSWER_H */
