/*
 * http_answer.h
 *	  Answers to requests.
 */
#ifndef HISTORIAND_HTTP_ANSWER_H
#define HISTORIAND_HTTP_ANSWER_H

#include "http/http_exchange.h"

/*
 * Answers a request.  content_type may be NULL if there is no body; headers is more header lines,
 * or NULL.  Whichever function answers, the exchange must not be used any more after it.
 */
extern void http_answer(Exchange *exchange, int status, const char *content_type,
						const char *headers, const char *body, size_t length);

/* Does the same and takes the body; a long one is not copied if the route is alone. */
extern void http_answer_bytes(Exchange *exchange, int status, const char *content_type,
							  const char *headers, Bytes *body);

/*
 * Notes for the answer, whichever it will be, where the WAL is after a commit, or how old the data are
 * at most that it is made of; -1: that is not known.  The last note counts.
 */
extern void http_note_commit(Exchange *exchange, uint64_t position);
extern void http_note_lag(Exchange *exchange, int64_t lag_ms);

/* Answers with problem details (RFC 9457). */
extern void http_problem(Exchange *exchange, int status, const char *detail, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Does the same in two steps, between which the caller may append members to the body, each after a
 * comma.  The detail is also logged.  http_problem_body() takes the body.
 */
extern void http_problem_begin(Exchange *exchange, Bytes *body, int status, const char *detail);
extern void http_problem_body(Exchange *exchange, int status, Bytes *body);

/*
 * A streamed answer has the status 200, and its route is alone.  The route calls begin, then send
 * any number of times, then end or break.  If the client leaves before the end, release() is
 * called, and the exchange must not be used any more; the loop does this, never one of these
 * functions.
 */
extern void http_stream_begin(Exchange *exchange, const char *content_type, const char *headers);

/* Returns false if nothing more should be sent until drained() is called. */
extern bool http_stream_send(Exchange *exchange, const char *data, size_t length);

/* Ends the answer.  The exchange must not be used any more. */
extern void http_stream_end(Exchange *exchange);

/*
 * Ends the connection after the pieces sent so far, so that the client sees that the end is
 * missing.
 */
extern void http_stream_break(Exchange *exchange);

/*
 * Answers the request that is being received, or one that could not even begin, and ends the
 * connection for that reason.
 */
extern void http_refuse(HttpConnection *connection, int status, CloseReason reason,
						const char *detail);

#endif /* HISTORIAND_HTTP_ANSWER_H */
