/*
 * pg_cancel.h
 *	  Asking PostgreSQL to end queries, from threads that may hang in it.
 *
 * Until version 17 libpq can only do that with blocking calls, without a limit: a postmaster that is
 * stopped takes the connection and never answers.  So it has two threads of its own in the whole
 * process, which keep nobody else waiting; who waits for a cancellation gives up after a while.
 */
#ifndef HISTORIAND_PG_CANCEL_H
#define HISTORIAND_PG_CANCEL_H

#include <libpq-fe.h>
#include <uv.h>

typedef struct PgCanceller PgCanceller;
typedef struct PgCancellation PgCancellation;

/* One a loop. */
extern PgCanceller *pg_canceller_new(uv_loop_t *loop);

/*
 * Has the query of a connection cancelled.  done(argument) is called from the loop when PostgreSQL
 * was told, or cannot be; the cancellation is gone then.
 */
extern PgCancellation *pg_cancel(PgCanceller *canceller, PGconn *pq, void (*done)(void *),
								 void *argument);

/* done() is not called any more; PostgreSQL may still be told, if it is under way. */
extern void pg_cancellation_abandon(PgCancellation *cancellation);

#endif /* HISTORIAND_PG_CANCEL_H */
