/*
 * pg_pool.h
 *	  Reading connections to PostgreSQL and the bounded queue of queries before them.
 *
 * Lives on one loop; every function is for that loop's thread.
 */
#ifndef HISTORIAND_PG_POOL_H
#define HISTORIAND_PG_POOL_H

#include "config.h"

#include <libpq-fe.h>
#include <uv.h>

#define QUERY_MAX_PARAMETERS 8

typedef struct PgPool PgPool;

typedef struct QueryOutcome
{
	const PGresult *result; /* the rows, or NULL */
	const char *sqlstate;	/* why there are none; "" where PostgreSQL was not reached */
	const char *message;
} QueryOutcome;

/* Called once, from the loop, never from within pg_pool_submit().  The result is freed after. */
typedef void (*QueryCallback)(void *argument, const QueryOutcome *outcome);

extern PgPool *pg_pool_new(uv_loop_t *loop, const Config *config, uint64_t connections,
						   uint64_t queue_limit);

/*
 * Queues a query; parameters are text and copied.  Returns false if the queue is full; the
 * callback is then never called.
 */
extern bool pg_pool_submit(PgPool *pool, const char *sql, int parameter_count,
						   const char *const *parameters, QueryCallback callback, void *argument);

/* To be called some times a second: fails queries that wait too long (--query-timeout). */
extern void pg_pool_tick(PgPool *pool);

#endif /* HISTORIAND_PG_POOL_H */
