/*
 * pg_cancel.h
 *	  Asking PostgreSQL to end queries, from threads of their own.
 *
 * Before version 17, libpq can cancel only with a call that blocks without a time limit: a
 * postmaster that is stopped takes the connection and never answers.  So the process has up to two
 * threads that do nothing else and may hang.  A caller that has waited long enough abandons its
 * cancellation.
 */
#ifndef HISTORIAND_PG_CANCEL_H
#define HISTORIAND_PG_CANCEL_H

#include <libpq-fe.h>
#include <uv.h>

typedef struct PgCanceller PgCanceller;
typedef struct PgCancellation PgCancellation;

/* A canceller of a loop, for as long as the loop is there. */
extern PgCanceller *pg_canceller_new(uv_loop_t *loop);

/*
 * Has the query of a connection cancelled.  done(argument) is called from the loop when PostgreSQL
 * was told or cannot be told; the cancellation is freed after that.
 */
extern PgCancellation *pg_cancel(PgCanceller *canceller, PGconn *pq, void (*done)(void *),
								 void *argument);

/* done() is not called any more.  PostgreSQL may still be told if a thread is about to do so. */
extern void pg_cancellation_abandon(PgCancellation *cancellation);

#endif /* HISTORIAND_PG_CANCEL_H */
