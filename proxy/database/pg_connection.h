/*
 * pg_connection.h
 *	  A libpq connection on a libuv loop.
 *
 * Connecting happens in libuv's thread pool, because libpq resolves names and negotiates TLS with
 * blocking calls; from then on the connection is nonblocking and the loop watches its socket.
 *
 * The owner gets exactly one of on_open and on_lost first; after on_open any number of on_input,
 * then perhaps on_lost.  After on_lost the object is gone, as after pg_connection_close().
 */
#ifndef HISTORIAND_PG_CONNECTION_H
#define HISTORIAND_PG_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <uv.h>

#include "base/memory.h"

typedef struct PgConnection PgConnection;

typedef struct PgHandler
{
	void (*on_open)(void *owner);
	void (*on_input)(void *owner); /* input was read, or output was sent */
	void (*on_lost)(void *owner, const char *reason);
} PgHandler;

/*
 * password_file holds the password, for conninfo that has none, or is "".  Behind a pooler
 * a session is not ours, so nothing is set in it: each transaction sets what it needs.
 */
extern PgConnection *pg_connection_open(uv_loop_t *loop, const char *conninfo,
										const char *password_file, const PgHandler *handler,
										void *owner);
/* The same without a loop; blocks.  Returns NULL and the reason, which the caller frees. */
extern PGconn *pg_connect_now(const char *conninfo, const char *password_file, char **failure);

extern void pg_connection_close(PgConnection *connection);

/* The libpq connection, after on_open. */
extern PGconn *pg_connection_pq(PgConnection *connection);

/*
 * Sends what libpq has queued.  Returns false if the connection is lost; on_lost is then called
 * from the loop, not from here.  *all says whether everything went out; if not, on_input follows
 * when the socket has taken it.
 */
extern bool pg_connection_flush(PgConnection *connection, bool *all);

/*
 * Stops or starts reading from the socket, so that a server that sends faster than its data can be
 * passed on has to wait.  A connection that breaks meanwhile is seen later.
 */
extern void pg_connection_pause(PgConnection *connection, bool pause);

/* Asks for on_input in the loop's next turn even though nothing is left to send. */
extern void pg_connection_again(PgConnection *connection);

/* Appends a string constant that means the same whatever standard_conforming_strings is. */
extern void pg_put_literal(Bytes *sql, const char *text);

#endif /* HISTORIAND_PG_CONNECTION_H */
