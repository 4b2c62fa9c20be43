/*
 * http_exchange.h
 *	  One request with its answer, on which routes work, and a connection's queue of them.
 *
 * A route is called when the head is complete (begin), for each piece of the body (body) and at the
 * end of the request (end).  In one of these calls, or later from the same loop, it answers exactly
 * once, with one of the functions of http_answer.h.
 */
#ifndef HISTORIAND_HTTP_EXCHANGE_H
#define HISTORIAND_HTTP_EXCHANGE_H

#include "http/http_connection.h"
#include "http/http_request.h"

typedef struct Exchange Exchange;

#define EXCHANGE_MAX_OUTPUT_BYTES 1048576 /* unwritten answers that stop the parsing */
#define EXCHANGE_MAX_STREAM_BYTES 262144  /* unwritten bytes that pause a streamed answer */

/* What a request needs of who makes it, where tokens are asked for. */
typedef enum Access
{
	ACCESS_ADMIN, /* first, so that a route that says nothing is not open */
	ACCESS_OPEN,  /* nothing: it shows and changes nothing that is stored */
	ACCESS_NAMED, /* a token of any scope */
	ACCESS_READ,
	ACCESS_WRITE,
} Access;

typedef struct Route
{
	const char *path;
	MetricRoute metric;
	Access access;		  /* of GET, HEAD and POST */
	Access change_access; /* of the other methods */
	bool post;			  /* takes POST; without this and the next two, GET and HEAD */
	bool put;			  /* takes PUT */
	bool remove;		  /* takes DELETE */
	bool get;			  /* takes GET and HEAD besides others */
	bool linked; /* pages of other sites may link to it, because it shows nothing that is stored */
	bool health; /* --listen-health serves it, too */
	bool brings_messages; /* --limit-messages holds for it */
	bool alone; /* reads stored rows: waits for earlier requests, and later ones wait for it */
	void (*begin)(Exchange *exchange);
	/*
	 * Returns how much of the data it took.  If that is not all, and http_turn_over() has not told
	 * it to stop, the request is blocked: the rest is offered again after http_loop_resume().
	 */
	size_t (*body)(Exchange *exchange, const char *data, size_t length);
	/* Returns false if the request is blocked or was told to stop; it is called again then. */
	bool (*end)(Exchange *exchange);
	/* Frees state.  Is called once after begin, even if there was no answer. */
	void (*release)(Exchange *exchange);
	/* A streamed answer may go on, after http_stream_send() has returned false. */
	void (*drained)(Exchange *exchange);
	/* Answers a request that has been blocked for too long. */
	void (*block_timeout)(Exchange *exchange);
} Route;

struct Exchange
{
	ListLink link;				/* in HttpConnection.exchanges, or HttpLoop.free_exchanges */
	HttpLoop *loop;				/* from which loop_of() of loop.h finds what routes need */
	HttpConnection *connection; /* NULL after the client has left */
	HttpRequest request;
	const Route *route;	  /* NULL until the head is complete */
	Principal *principal; /* who asks; NULL until then, and if that is not known */
	Quota *query_of;	  /* whose read it is, which counts there until it is freed; or NULL */
	void *state;		  /* belongs to the route */
	size_t route_bytes;	  /* what the route holds besides, and counts nowhere else */
	Bytes response;		  /* output that waits for the answers before it */
	uint64_t started_ns;
	bool received; /* the request is complete */
	bool answered;
	bool waiting;	   /* the route will answer even if the client leaves */
	bool alone;		   /* later requests of the connection wait for the answer */
	bool turned;	   /* the route was told to go on in another turn */
	CloseReason close; /* why the connection ends after the answer; CLOSE_NONE: it does not */
	bool full;		   /* the route waits for drained() */
	bool streamed;
	bool refused;	 /* for who asks: it is logged */
	bool awaited;	 /* an answer of 5xx is what a client that waits expects */
	bool invited;	 /* the page that asks is of --cors-origin, and may see the answer */
	bool identified; /* request.request_id is final */
	char notes[64];	 /* header lines for whatever the answer is; http_answer.h writes them */
	char cause[256]; /* why the request failed, for the log */
	char sqlstate[6];
};

/*
 * Has the request had its share of this turn of the loop?  body() and end() ask this after each
 * piece of work.  If so they return, having taken what they have worked on, and are called again in
 * a later turn, body() perhaps with a length of 0.
 */
extern bool http_turn_over(Exchange *exchange);

/*
 * A connection's queue, for the files of http/
 */

/* The exchange whose answer is next, or NULL. */
static inline Exchange *
exchange_first(const HttpConnection *connection)
{
	ListLink *link = list_first(&connection->exchanges);

	return link == NULL ? NULL : LIST_ITEM(link, Exchange, link);
}

extern Exchange *exchange_new(HttpConnection *connection);

/* Frees an exchange that is in no queue any more. */
extern void exchange_free(Exchange *exchange);

/*
 * Removes finished exchanges from the front of the queue, and moves the next answer to the output.
 */
extern void exchange_advance(HttpConnection *connection);

/*
 * Must the request wait for the answers before its own?  A read must: otherwise it would not see an
 * earlier save that still waits for its commit.
 */
extern bool exchange_too_early(const Exchange *exchange);

/* Must parsing wait, because too many requests are not answered, or too many answers not sent? */
extern bool exchange_too_far_ahead(const HttpConnection *connection);

/* Counts the memory that the connection holds now. */
extern void exchange_count_memory(HttpConnection *connection);

/* Returns the long answers' memory to its budget after all of them are sent. */
extern void exchange_settle(HttpConnection *connection);

/* Calls drained() of a streamed answer if there is room for more of it. */
extern void exchange_offer_room(HttpConnection *connection);

#endif /* HISTORIAND_HTTP_EXCHANGE_H */
