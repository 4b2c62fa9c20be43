/*
 * http_exchange.h
 *	  One request and its answer: what routes work with.
 *
 * A route is called when the head is complete (begin), for each piece of the body (body) and at
 * its end (end); in one of them, or later from the same loop, it answers exactly once with
 * http_answer(), http_problem() or http_stream_begin().
 */
#ifndef HISTORIAND_HTTP_EXCHANGE_H
#define HISTORIAND_HTTP_EXCHANGE_H

#include "http/http_format.h"
#include "http/http_request.h"
#include "base/metrics.h"

typedef struct HttpConnection HttpConnection;
typedef struct Exchange Exchange;

typedef struct Route
{
	const char *path;
	MetricRoute metric;
	bool post;	 /* else GET and HEAD */
	bool get;	 /* these too, where it takes POST */
	bool linked; /* pages of other sites may link to it: it tells nothing of what is stored */
	bool
		alone; /* reads what is stored: it comes after what stands before it, and before what follows */
	void (*begin)(Exchange *exchange);
	/*
	 * Returns how much it took.  Where that is less than length, and http_turn_over() has not told it
	 * to stop, it is blocked: the rest is offered after a resume.
	 */
	size_t (*body)(Exchange *exchange, const char *data, size_t length);
	/* Returns false where it is blocked, or was told to stop: it is called again. */
	bool (*end)(Exchange *exchange);
	/* Frees state.  Called once after begin, also where there is no answer. */
	void (*release)(Exchange *exchange);
	/* A streamed answer may go on: http_stream_send() had returned false. */
	void (*drained)(Exchange *exchange);
	/* How long it may stay blocked, answered by a problem it writes itself. */
	void (*block_timeout)(Exchange *exchange);
} Route;

struct Exchange
{
	Exchange *next;
	HttpConnection *connection; /* NULL once the client is gone */
	void *server_loop;			/* the ServerLoop that routes work with */
	HttpRequest request;
	const Route *route; /* NULL until the head is complete */
	void *state;		/* the route's */
	Bytes response;		/* waits for the answers before it */
	uint64_t started_ns;
	bool received; /* the request is complete */
	bool answered;
	bool waiting; /* the route answers later, even if the client is gone */
	bool alone;	  /* what follows in the connection waits for the answer */
	bool turned;  /* the route left something for another turn */
	bool close;	  /* the connection ends after the answer */
	bool full;	  /* the route waits for drained() */
	bool streamed;
	bool identified; /* the request's id is settled */
	char cause[256]; /* why it failed, for the log */
	char sqlstate[6];
};

/*
 * For body() and end(), after each piece of work: has the request had its share of this turn of the
 * loop?  Then they return, having taken what they did, and are called again in a later turn, body()
 * perhaps with a length of 0.
 */
extern bool http_turn_over(Exchange *exchange);

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

#endif /* HISTORIAND_HTTP_EXCHANGE_H */
