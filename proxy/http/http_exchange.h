/*
 * http_exchange.h
 *	  One request and its answer: what routes work with, and a connection's queue of them.
 *
 * A route is called when the head is complete (begin), for each piece of the body (body) and at
 * its end (end); in one of them, or later from the same loop, it answers exactly once with one of the
 * functions of http_answer.h.
 */
#ifndef HISTORIAND_HTTP_EXCHANGE_H
#define HISTORIAND_HTTP_EXCHANGE_H

#include "http/http_connection.h"
#include "http/http_request.h"

typedef struct Exchange Exchange;

#define EXCHANGE_MAX_OUTPUT_BYTES 1048576 /* unwritten answers that stop the parsing */
#define EXCHANGE_MAX_STREAM_BYTES 262144  /* unwritten bytes that pause a streamed answer */

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
	ListLink link;				/* in HttpConnection.exchanges, or HttpLoop.free_exchanges */
	HttpLoop *loop;				/* from which loop_of() of loop.h finds what routes need */
	HttpConnection *connection; /* NULL once the client is gone */
	HttpRequest request;
	const Route *route; /* NULL until the head is complete */
	void *state;		/* the route's */
	Bytes response;		/* waits for the answers before it */
	uint64_t started_ns;
	bool received; /* the request is complete */
	bool answered;
	bool waiting;	   /* the route answers later, even if the client is gone */
	bool alone;		   /* what follows in the connection waits for the answer */
	bool turned;	   /* the route left something for another turn */
	CloseReason close; /* why the connection ends after the answer; CLOSE_NONE: it does not */
	bool full;		   /* the route waits for drained() */
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
 * A connection's queue, for the files of http/
 */

/* The one whose answer is next, or NULL. */
static inline Exchange *
exchange_first(const HttpConnection *connection)
{
	ListLink *link = list_first(&connection->exchanges);

	return link == NULL ? NULL : LIST_ITEM(link, Exchange, link);
}

extern Exchange *exchange_new(HttpConnection *connection);

/* It is in no queue any more. */
extern void exchange_free(Exchange *exchange);

/* Passes finished exchanges on, in order. */
extern void exchange_advance(HttpConnection *connection);

/*
 * Must the request wait for the answers before its own?  A save that waits for its commit would not be
 * seen by a read behind it.
 */
extern bool exchange_too_early(const Exchange *exchange);

/* Are requests parsed faster than their answers get away? */
extern bool exchange_too_far_ahead(const HttpConnection *connection);

/* Counts what the connection holds now. */
extern void exchange_count_memory(HttpConnection *connection);

/* Gives back what the long answers took, once all are sent. */
extern void exchange_settle(HttpConnection *connection);

/* Lets the route go on whose answer is being streamed. */
extern void exchange_offer_room(HttpConnection *connection);

#endif /* HISTORIAND_HTTP_EXCHANGE_H */
