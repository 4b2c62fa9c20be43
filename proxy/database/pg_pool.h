/*
 * pg_pool.h
 *	  Connections to PostgreSQL for queries, and the bounded queue of queries that wait for one.
 *
 * A pool belongs to one loop; only that loop's thread may call its functions.
 */
#ifndef HISTORIAND_PG_POOL_H
#define HISTORIAND_PG_POOL_H

#include "base/budget.h"
#include "base/config.h"
#include "base/turn.h"
#include "database/query_queue.h"

#include <uv.h>

/* Connections that a pool opens at a time; each keeps a thread of libuv, which others need too. */
#define PG_POOL_CONNECTING 2

typedef struct PgPool PgPool;

/*
 * Reads go to --read-database or to the primary of --database, in transactions that are READ ONLY;
 * writes go to --database.
 */
typedef enum PgPoolKind
{
	PG_POOL_READS,
	PG_POOL_PRIMARY,
	PG_POOL_WRITES,
} PgPoolKind;

#define PG_POOL_SIGHTS PG_POOL_WRITES /* kinds that are told of */

/* What the pools of one kind have met last; any thread may read it. */
typedef struct PgPoolSight
{
	_Atomic enum {
		SIGHT_NONE,
		SIGHT_PRIMARY,
		SIGHT_STANDBY,
		SIGHT_AWAY, /* no connection can be made */
	} role;
	_Atomic int64_t lag_ms; /* -1: not known */
} PgPoolSight;

/*
 * Results take their memory from the budget until their callback has returned.  Rows are worked on
 * in fair turns.
 */
extern PgPool *pg_pool_new(uv_loop_t *loop, Turns *turns, const Config *config, PgPoolKind kind,
						   uint64_t connections, uint64_t queue_limit, Budget *budget,
						   PgPoolSight *sight);

/*
 * Can no connection be made, as far as is known?  If so, tries to make one from time to time, so that
 * it is noticed when that has changed.
 */
extern bool pg_pool_away(PgPool *pool);

/*
 * Queues a query; parameters are text and copied.  A statement that writes may be executed twice, as
 * pg_pool.c says, so it must be harmless then.  If on_row is NULL, the outcome's result has all
 * rows, which must be few; otherwise on_row is called for each row, and the result has none.  The
 * source is copied.  If PostgreSQL does not give the source's role, the query is not executed, and
 * fails with the limit 500.  Pools for reads ask the server first whether it meets the needs of the
 * source (historian.await_commit); if not, the query fails with the function's SQLSTATE.  Returns NULL if the queue is full; no callback
 * is called then.
 */
extern PgQuery *pg_pool_submit(PgPool *pool, const QuerySource *source, const char *sql,
							   int parameter_count, const char *const *parameters,
							   RowCallback on_row, QueryCallback callback, void *argument);

/*
 * Queues a COPY; copy_sql is copied.  At most half of the connections, but at least one, are used
 * for streams, so that other queries go on.  --query-timeout limits the time in which nothing
 * comes, not the whole time.  Returns NULL if the queue is full.  The loop calls the callbacks,
 * never these functions.
 */
extern PgQuery *pg_pool_stream(PgPool *pool, const QuerySource *source, const char *copy_sql,
							   const StreamHandler *handler, void *argument);
extern void pg_query_resume(PgQuery *query);

/* How old the data are at most, once the first row has come; false: that is not known. */
extern bool pg_query_lag(const PgQuery *query, int64_t *lag_ms);

/*
 * Cancels the query, in PostgreSQL too.  No callback follows.  Must not be called after the
 * callback.
 */
extern void pg_query_cancel(PgQuery *query);

/*
 * Must be called some times a second.  Fails queries that wait too long for a connection, and
 * queries that PostgreSQL has not ended in time (--query-timeout).  Closes idle connections that
 * are old (--read-connection-lifetime).
 */
extern void pg_pool_tick(PgPool *pool);

#endif /* HISTORIAND_PG_POOL_H */
