/*
 * http_connection.h
 *	  The state of a client's connection, and what the connections of one loop share.
 *
 * Three enums are the state of a connection.  They change only through the functions below, which
 * assert that the change is legal:
 *
 *	- Phase: how much of the current request has come, and what is awaited.
 *	- Input: what becomes of the bytes that are read.
 *	- Life: how far the connection is on its way to the end.  It only grows.
 */
#ifndef HISTORIAND_HTTP_CONNECTION_H
#define HISTORIAND_HTTP_CONNECTION_H

#include "base/budget.h"
#include "base/config.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/quota.h"
#include "base/tokens.h"
#include "base/turn.h"
#include "http/http_framing.h"
#include "http/http_output.h"
#include "http/http_site.h"

#include <llhttp.h>
#include <stdatomic.h>
#include <uv.h>

typedef struct HttpConnection HttpConnection;

/* Whom a connection's last header Authorization named, or its certificate where there was none. */
typedef struct KnownClient
{
	Principal *principal; /* NULL: nothing is known */
	uint32_t version;	  /* tokens_version() at that time */
	char *header;		  /* wiped when it is freed */
	size_t length;
	Quota *quota; /* of the principal's name; NULL: not looked up yet */
} KnownClient;

/* What the connections of one loop share; zeroed, then filled in by the server. */
typedef struct HttpLoop
{
	uv_loop_t *uv;
	const Config *config;
	Tokens *tokens;	 /* NULL: none are asked for */
	TlsContext *tls; /* NULL: connections are plain */
	Metrics *metrics;
	const struct Route *(*find_route)(const char *path, size_t length);
	void (*put_paths)(Bytes *json); /* appends a list of the paths that have routes */
	atomic_int *open_connections;	/* of all loops */
	Quotas *quotas;					/* of clients, for all loops */
	atomic_bool *draining;
	Budget *results; /* counts long answers until they are sent */
	Budget *memory;	 /* counts requests and short answers, and also messages */
	Budget *states;	 /* counts the connections themselves, which --max-connections bounds */

	/* of http_loop.c: writes the answers, then does what waited for that */
	void (*flush)(HttpConnection *connection);

	List connections; /* of HttpConnection.link */
	List unflushed;	  /* of HttpConnection.unflushed: connections with answers to be written */
	uv_check_t after_reading;
	Turns turns;
	uv_idle_t awake;	  /* while it runs the loop does not sleep */
	uint64_t worked_ns;	  /* the last turn with requests */
	uint64_t apart_ns;	  /* how far such turns are apart, a moving mean */
	Stack free_exchanges; /* of Exchange.link */
	int free_exchange_count;
	char *read_buffer;
	char *open_buffer; /* for what TLS makes of the other one */
	char date[32];
	uint64_t next_request_id;

	/* of http_trace.c */
	uint64_t log_second;
	uint64_t log_lines;
} HttpLoop;

typedef enum Phase
{
	PHASE_IDLE,		 /* no request is under way */
	PHASE_HEAD,		 /* the head of a request is being received */
	PHASE_BODY,		 /* the body is being received */
	PHASE_BLOCKED,	 /* the route cannot take more of the body now; INPUT_WITHHELD */
	PHASE_ANSWERING, /* the request is received, and not answered yet */
} Phase;

typedef enum Input
{
	INPUT_PARSED,	/* it is parsed at once */
	INPUT_PAUSED,	/* it is kept in unparsed, or left in the kernel */
	INPUT_WITHHELD, /* the same; and the route has not taken all of the current request */
} Input;

typedef enum Life
{
	LIFE_OPEN,
	LIFE_LAST,	 /* no further request is taken: it ends after its answers */
	LIFE_BROKEN, /* an answer was broken off: it ends after its pending output */
	LIFE_LINGER, /* its sending side is shut: input is ignored until the client closes */
	LIFE_CLOSED, /* on_closed() frees it */
} Life;

struct HttpConnection
{
	uv_tcp_t tcp;
	HttpLoop *loop;
	ListLink link;
	Framing framing;
	llhttp_t parser;
	KnownHost known_host;
	bool health; /* it came by --listen-health */
	KnownClient known_client;
	Quota *quota;  /* of the address that it comes from */
	char *subject; /* the verified name of the client's certificate, or NULL; freed at the end */

	Phase phase;
	Input input;
	Life life;
	CloseReason close_reason; /* why it does not stay LIFE_OPEN */
	uint64_t phase_start_ms;  /* when the phase began, or LIFE_LINGER */
	uint64_t body_bytes;	  /* of the current request's body, so far */

	struct Exchange *current; /* the request that is being received: the last of the queue */
	List exchanges;			  /* of Exchange.link, in the order of the requests */
	int exchange_count;

	TurnTask task;		   /* goes on with input that was kept */
	uint64_t turn;		   /* the last turn with input */
	uint64_t slice_end_ns; /* end of the slice in that turn */

	ListLink unflushed;
	bool parsing; /* the reader is on the stack: nothing is flushed */
	bool ended;	  /* the client has sent its last byte */
	bool unread;  /* input waits in the kernel for the task */
	bool
		closing; /* by TLS the client has said that it sends no more; what came before it is read first */
	bool unframed; /* the last answer ends with the connection */
	Bytes unparsed;
	Bytes blocked; /* the part of the body that the route has not taken yet */

	HttpOutput output;	  /* formatted answers */
	size_t counted_bytes; /* its long answers, as HttpLoop.results counts them */
	size_t held_bytes;	  /* all else, as HttpLoop.memory counts it */
	uv_shutdown_t shutdown;
};

/* What a connection takes, also while it is idle: malloc adds a word, and rounds. */
#define CONNECTION_STATE_BYTES ((sizeof(HttpConnection) + 8 + 15) / 16 * 16)

/* Begins a phase, which may be the same as before. */
extern void connection_set_phase(HttpConnection *connection, Phase phase);

extern void connection_set_input(HttpConnection *connection, Input input);

/*
 * Goes on to a later state of the life; LIFE_LAST may be asked for at any time, and changes only
 * LIFE_OPEN.  If there is a reason already, that one stays.
 */
extern void connection_set_life(HttpConnection *connection, Life life, CloseReason reason);

/* Does the connection take further requests? */
static inline bool
connection_open(const HttpConnection *connection)
{
	return connection->life == LIFE_OPEN;
}

/* Forgets what known_client has. */
extern void connection_forget_client(HttpConnection *connection);

/* Does the server want its connections to end? */
extern bool connection_draining(const HttpLoop *loop);

/* Has the connection flushed in this turn of the loop, once, after all input was read. */
extern void connection_flush_later(HttpConnection *connection);

#endif /* HISTORIAND_HTTP_CONNECTION_H */
