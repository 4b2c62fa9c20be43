/*
 * pg_connection.h
 *	  A libpq connection on a libuv loop.
 *
 * The connection is made in libuv's thread pool, because libpq resolves names and negotiates TLS
 * with blocking calls; after that it is nonblocking, and the loop watches its socket.
 *
 * The first call to the owner is on_open or on_lost.  After on_open there may be any number of
 * on_input, and then one on_lost.  The object is gone after on_lost, as it is after
 * pg_connection_close().
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
 * password_file names a file with the password, for a conninfo without one; it may be "".  No SET
 * is sent, because a pooler may give the session to another client: each transaction sets what it
 * needs.  session_attrs replaces target_session_attrs of the conninfo, unless it is "".
 */
extern PgConnection *pg_connection_open(uv_loop_t *loop, const char *conninfo,
										const char *session_attrs, const char *password_file,
										const PgHandler *handler, void *owner);
/*
 * The same without a loop: blocks.  If it fails, returns NULL and the reason, which the caller
 * frees.
 */
extern PGconn *pg_connect_now(const char *conninfo, const char *session_attrs,
							  const char *password_file, char **failure);

extern void pg_connection_close(PgConnection *connection);

/* The libpq connection, after on_open. */
extern PGconn *pg_connection_pq(PgConnection *connection);

/*
 * Sends what libpq has queued.  Returns false if the connection is lost; on_lost is then called
 * from the loop, not from here.  *all says whether everything was sent; if not, on_input follows
 * when the socket has taken the rest.
 */
extern bool pg_connection_flush(PgConnection *connection, bool *all);

/*
 * Stops or starts reading from the socket, so that a server waits that sends faster than its data
 * can be passed on.  If the connection breaks during a pause, that is noticed after it.
 */
extern void pg_connection_pause(PgConnection *connection, bool pause);

/* What an operator can do about a connection that was not made, without names of hosts; or NULL. */
extern const char *pg_connection_cure(const char *reason);

/* Asks for on_input in the loop's next turn even though nothing is left to send. */
extern void pg_connection_again(PgConnection *connection);

/*
 * Has PostgreSQL said, since the last call, that a commit has given up waiting for a synchronous
 * standby?  It then answers COMMIT as if the standby had it, although only its own disk does.
 */
extern bool pg_connection_take_not_replicated(PgConnection *connection);

/*
 * How far the WAL reaches after a commit.  That was flushed before it was answered, unless
 * synchronous_commit is off.  What others insert meanwhile is not flushed yet, and no standby has it.
 */
#define PG_POSITION_SQL                                                                            \
	"SELECT CASE WHEN current_setting('synchronous_commit') = 'off' "                              \
	"THEN pg_current_wal_insert_lsn() ELSE pg_current_wal_flush_lsn() END"

/* Commits and asks for it, in one message, which a pooler gives to one session. */
#define PG_COMMIT_SQL "COMMIT; " PG_POSITION_SQL

/* The position of such a result; 0: it has none. */
extern uint64_t pg_read_position(const PGresult *result);

/* Appends a string constant that means the same whatever standard_conforming_strings is. */
extern void pg_put_literal(Bytes *sql, const char *text);

#endif /* HISTORIAND_PG_CONNECTION_H */
