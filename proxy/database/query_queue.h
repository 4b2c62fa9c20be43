/*
 * query_queue.h
 *	  A query of pg_pool.h, and the queue in which queries wait for a connection.
 */
#ifndef HISTORIAND_QUERY_QUEUE_H
#define HISTORIAND_QUERY_QUEUE_H

#include "base/list.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define QUERY_MAX_PARAMETERS 8

typedef struct QueryOutcome
{
	const PGresult *result; /* the rows, or NULL */
	const char *sqlstate;	/* why there are none; "" where PostgreSQL was not reached */
	const char *message;
	int limit; /* where a limit of this server is why: the HTTP status, message names the limit */
} QueryOutcome;

/* Called once, from the loop, never from within pg_pool_submit().  The result is freed after. */
typedef void (*QueryCallback)(void *argument, const QueryOutcome *outcome);

/*
 * Called for each row as it comes, a result of one row.  Returns how many bytes it keeps of it, which
 * count until the QueryCallback has returned.
 */
typedef size_t (*RowCallback)(void *argument, const PGresult *row);

/* A COPY TO STDOUT, whose rows are passed on as they come. */
typedef struct StreamHandler
{
	/*
	 * A piece as COPY sends it: a row, or the header or trailer of the format.  Returns false where
	 * that is enough until pg_query_resume() is called.
	 */
	bool (*on_data)(void *argument, const char *data, size_t length);
	/* Once, after the last piece; the outcome's result says only that all was sent. */
	QueryCallback on_end;
} StreamHandler;

/* What its submitter has of it is a PgQuery, which only pg_pool.h works with. */
typedef struct Query
{
	ListLink link; /* while it is queued */
	struct PgPool *pool;
	char *sql;
	int parameter_count;
	char *parameters[QUERY_MAX_PARAMETERS];
	RowCallback on_row; /* NULL: the rows are collected */
	QueryCallback callback;
	void *argument;
	uint64_t deadline_ms;  /* for getting a connection */
	struct PoolSlot *slot; /* NULL: queued */
	bool abandoned;		   /* nobody wants the rest */
	bool repeated;		   /* for a new connection only */

	/* Of streams. */
	const StreamHandler *stream; /* NULL: an ordinary query */
	uint64_t progress_ms;		 /* when something came, or might have begun to */
	bool paused;
} Query;

typedef Query PgQuery;

/*
 * The traceparent, or NULL, becomes a comment in front of the SQL: there it is seen however long the
 * query is.  Everything is copied.
 */
extern Query *query_new(const char *traceparent, const char *sql, int parameter_count,
						const char *const *parameters);

/* A stream's settings and its COPY, in one string. */
extern Query *query_new_stream(const char *traceparent, const char *settings, const char *copy_sql);
extern void query_free(Query *query);

typedef struct QueryQueue
{
	List queries; /* of Query.link */
	uint64_t count;
	uint64_t streams; /* of those */
} QueryQueue;

extern void query_queue_init(QueryQueue *queue);
extern void query_queue_append(QueryQueue *queue, Query *query);
extern void query_queue_prepend(QueryQueue *queue, Query *query);
extern void query_queue_remove(QueryQueue *queue, Query *query);

/* The first one, or NULL; taken, it is no longer in the queue. */
extern Query *query_queue_first(const QueryQueue *queue);
extern Query *query_queue_take(QueryQueue *queue);

/* Takes the first one that a connection may execute: perhaps no stream, and on an old one nothing again. */
extern Query *query_queue_take_runnable(QueryQueue *queue, bool streams, bool repeated);

#endif /* HISTORIAND_QUERY_QUEUE_H */
