/*
 * http_internal.h
 *	  A connection as http_connection, http_reader and http_exchange share it.
 */
#ifndef HISTORIAND_HTTP_INTERNAL_H
#define HISTORIAND_HTTP_INTERNAL_H

#include "http/http_connection.h"
#include "http/http_framing.h"
#include "http/http_output.h"
#include "http/http_site.h"

#include <llhttp.h>

typedef enum Phase
{
	PHASE_IDLE, /* no request under way */
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_BLOCKED,	 /* in a body that its route cannot take now */
	PHASE_ANSWERING, /* received; the answer is not there yet */
	PHASE_LINGER,	 /* shut down; reads and ignores until the client closes */
} Phase;

struct HttpConnection
{
	uv_tcp_t tcp;
	HttpLoop *loop;
	HttpConnection *previous;
	HttpConnection *next;
	Framing framing;
	llhttp_t parser;
	KnownHost known_host;
	Phase phase;
	uint64_t phase_start_ms;
	uint64_t body_bytes; /* received of the current request's body */

	Exchange *current; /* being received; the last of the queue */
	Exchange *first;
	Exchange *last;
	int exchange_count;

	TurnTask task;		   /* goes on with what was read */
	uint64_t turn;		   /* the last one with input */
	uint64_t slice_end_ns; /* in that turn */

	HttpConnection *next_unflushed;
	bool flush_later; /* is in that list */
	bool parsing;	  /* the reader is on the stack: no flushing */
	bool paused;	  /* by us: unparsed holds what follows */
	bool withheld;	  /* the current request's route has not taken all that came of it */
	bool closing;	  /* no further request is taken */
	bool ended;		  /* the client has sent its last byte */
	bool broken;	  /* ends once what is pending is written */
	bool unframed;	  /* only its end ends the last answer */
	bool closed;
	Bytes unparsed;
	Bytes blocked; /* of the body, not taken by its route yet */

	HttpOutput output;	  /* formatted answers */
	size_t counted_bytes; /* of long answers, in HttpLoop.results */
	size_t held_bytes;	  /* of all else, in HttpLoop.memory */
	uv_shutdown_t shutdown;
};

/*
 * http_connection.c
 */

extern void connection_set_phase(HttpConnection *connection, Phase phase);

/* Does the server want its connections to end? */
extern bool connection_draining(const HttpLoop *loop);

/* Writes the answers, then does what waited for them to be away. */
extern void connection_flush(HttpConnection *connection);

/* Has it flushed once, in this turn of the loop, after everything was read. */
extern void connection_flush_later(HttpConnection *connection);

extern void connection_close(HttpConnection *connection);

/*
 * http_reader.c
 */

extern void reader_init(HttpLoop *loop);
extern void reader_start(HttpConnection *connection);

/* Reads again after uv_read_stop(). */
extern void reader_continue(HttpConnection *connection);

/* The connection's task: offers what was withheld again, then parses on. */
extern void reader_go_on(TurnTask *task);

/* Answers the blocked request. */
extern void reader_give_up_blocked(HttpConnection *connection);

/*
 * http_exchange.c
 */

extern Exchange *exchange_new(HttpConnection *connection);

/* Keeps it for reuse in loop, or frees it where that is NULL. */
extern void exchange_free(Exchange *exchange, HttpLoop *loop);

/* Answers the request being received, or one that could not even begin, and ends the connection. */
extern void exchange_refuse(HttpConnection *connection, int status, const char *detail);

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

#endif /* HISTORIAND_HTTP_INTERNAL_H */
