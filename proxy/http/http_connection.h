/*
 * http_connection.h
 *	  A client's connection, and what the connections of one loop share: the state that the files
 *	  above work on.
 *
 * Three enums say where a connection is.  They change only through the functions below, which assert
 * that the change is legal:
 *
 *	- Phase: how much of the current request has come, and what is awaited.
 *	- Input: what becomes of what is read.
 *	- Life: how far the connection is on its way to the end.  It only grows.
 */
#ifndef HISTORIAND_HTTP_CONNECTION_H
#define HISTORIAND_HTTP_CONNECTION_H

#include "base/budget.h"
#include "base/config.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/turn.h"
#include "http/http_framing.h"
#include "http/http_output.h"
#include "http/http_site.h"

#include <llhttp.h>
#include <stdatomic.h>
#include <uv.h>

typedef struct HttpConnection HttpConnection;

/* What the connections of one loop share; zeroed, then filled in by the server. */
typedef struct HttpLoop
{
	uv_loop_t *uv;
	const Config *config;
	Metrics *metrics;
	const struct Route *(*find_route)(const char *path, size_t length);
	atomic_int *open_connections; /* of all loops */
	atomic_bool *draining;
	Budget *results; /* long answers count until they are sent */
	Budget *memory;	 /* requests and short answers count against it, as messages do */

	/* Of http_loop.c: writes the answers, then does what waited for them to be away. */
	void (*flush)(HttpConnection *connection);

	List connections; /* of HttpConnection.link */
	List unflushed;	  /* of HttpConnection.unflushed: those that have answers to be written */
	uv_check_t after_reading;
	Turns turns;
	uv_idle_t awake;	  /* while it runs the loop does not sleep */
	uint64_t worked_ns;	  /* the last turn with requests */
	uint64_t apart_ns;	  /* how far such turns are apart, a moving mean */
	Stack free_exchanges; /* of Exchange.link */
	int free_exchange_count;
	char *read_buffer;
	char date[32];
	uint64_t next_request_id;

	/* of http_trace.c */
	uint64_t log_second;
	uint64_t log_lines;
} HttpLoop;

typedef enum Phase
{
	PHASE_IDLE, /* no request is under way */
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_BLOCKED,	 /* in a body that its route cannot take now; INPUT_WITHHELD */
	PHASE_ANSWERING, /* received; the answer is not there yet */
} Phase;

typedef enum Input
{
	INPUT_PARSED,	/* is parsed at once */
	INPUT_PAUSED,	/* is kept in unparsed */
	INPUT_WITHHELD, /* the same, and the current request's route has not taken all that came of it */
} Input;

typedef enum Life
{
	LIFE_OPEN,
	LIFE_LAST,	 /* no further request is taken: it ends after its answers */
	LIFE_BROKEN, /* an answer broke off: it ends once what is pending is written */
	LIFE_LINGER, /* our side is shut: what comes is ignored until the client closes */
	LIFE_CLOSED, /* is freed by on_closed() */
} Life;

struct HttpConnection
{
	uv_tcp_t tcp;
	HttpLoop *loop;
	ListLink link;
	Framing framing;
	llhttp_t parser;
	KnownHost known_host;

	Phase phase;
	Input input;
	Life life;
	CloseReason close_reason; /* why it does not stay LIFE_OPEN */
	uint64_t phase_start_ms;  /* or of LIFE_LINGER */
	uint64_t body_bytes;	  /* received of the current request's body */

	struct Exchange *current; /* being received; the last of the queue */
	List exchanges;			  /* of Exchange.link, in the order of the requests */
	int exchange_count;

	TurnTask task;		   /* goes on with what was read */
	uint64_t turn;		   /* the last one with input */
	uint64_t slice_end_ns; /* in that turn */

	ListLink unflushed;
	bool parsing;  /* the reader is on the stack: nothing is flushed */
	bool ended;	   /* the client has sent its last byte */
	bool unframed; /* only its end ends the last answer */
	Bytes unparsed;
	Bytes blocked; /* of the body, not taken by its route yet */

	HttpOutput output;	  /* formatted answers */
	size_t counted_bytes; /* of long answers, in HttpLoop.results */
	size_t held_bytes;	  /* of all else, in HttpLoop.memory */
	uv_shutdown_t shutdown;
};

/* A phase begins, perhaps the same again. */
extern void connection_set_phase(HttpConnection *connection, Phase phase);

extern void connection_set_input(HttpConnection *connection, Input input);

/* Goes on to a later state of its life; it may be LIFE_LAST already.  The first reason stays. */
extern void connection_set_life(HttpConnection *connection, Life life, CloseReason reason);

/* Does it take further requests? */
static inline bool
connection_open(const HttpConnection *connection)
{
	return connection->life == LIFE_OPEN;
}

/* Does the server want its connections to end? */
extern bool connection_draining(const HttpLoop *loop);

/* Has it flushed once, in this turn of the loop, after everything was read. */
extern void connection_flush_later(HttpConnection *connection);

#endif /* HISTORIAND_HTTP_CONNECTION_H */
