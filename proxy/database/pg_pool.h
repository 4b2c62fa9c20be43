/*
 * pg_pool.h
 *	  Reading connections to PostgreSQL and the bounded queue of queries before them.
 *
 * Lives on one loop; every function is for that loop's thread.
 */
#ifndef HISTORIAND_PG_POOL_H
#define HISTORIAND_PG_POOL_H

#include "base/budget.h"
#include "base/config.h"
#include "base/turn.h"
#include "database/query_queue.h"

#include <uv.h>

/* Connections that a pool opens at a time; each keeps a thread of libuv's, which others need too. */
#define PG_POOL_CONNECTING 2

typedef struct PgPool PgPool;

/*
 * The memory of results, until their callback has returned, is taken from the budget.  Rows are worked
 * on in fair turns.
 */
extern PgPool *pg_pool_new(uv_loop_t *loop, Turns *turns, const Config *config,
						   uint64_t connections, uint64_t queue_limit, Budget *budget);

/*
 * Queues a query; parameters are text and copied.  With on_row the outcome's result has no rows, without
 * it has all of them: for queries with few.  A traceparent, which has been checked, or NULL
 * goes before the SQL in a comment, for who looks at what PostgreSQL executes.  Returns NULL if the
 * queue is full; the callback is then never called.
 */
extern PgQuery *pg_pool_submit(PgPool *pool, const char *traceparent, const char *sql,
							   int parameter_count, const char *const *parameters,
							   RowCallback on_row, QueryCallback callback, void *argument);

/*
 * Queues a COPY; copy_sql is copied.  At most half of the connections are used for streams, as far
 * as there are two, so that other queries go on.  --query-timeout limits the time in which nothing
 * comes, not the whole.  Returns NULL if the queue is full; callbacks come from the loop, never from
 * within these functions.
 */
extern PgQuery *pg_pool_stream(PgPool *pool, const char *traceparent, const char *copy_sql,
							   const StreamHandler *handler, void *argument);
extern void pg_query_resume(PgQuery *query);

/* Cancels it in PostgreSQL, too.  No callback follows; not to be called after the callback. */
extern void pg_query_cancel(PgQuery *query);

/*
 * To be called some times a second: fails queries that wait too long for a connection or, PostgreSQL
 * not having ended them, for their result (--query-timeout); closes connections that are idle and old
 * (--read-connection-lifetime).
 */
extern void pg_pool_tick(PgPool *pool);

#endif /* HISTORIAND_PG_POOL_H */
