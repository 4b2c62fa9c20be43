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
	const PGresult *result; /* NULL: the query has failed, and the other members say why */
	const char *sqlstate;	/* "": the error is not PostgreSQL's */
	const char *message;
	const char *hint; /* PostgreSQL's; NULL: there is none */
	bool standby;	  /* a standby has answered, or failed */
	bool broken;	  /* the connection was lost while the query was executed */
	bool lag_known;
	int64_t lag_ms; /* how old the data are at most */
	int limit; /* HTTP status if a limit or setting of this server, which message names, is why; else 0 */
} QueryOutcome;

/* For whom a query is; each may be NULL. */
typedef struct QuerySource
{
	const char *traceparent; /* whose syntax the caller has checked */
	const char *role;		 /* of PostgreSQL, whose privileges and policies then hold */
	const char *actor;		 /* who asked, for historian.audit; only for pools that write */

	/* of reads */
	const char *min_commit; /* a position of the WAL: the commit before it must be seen */
	bool lag_bounded;		/* the data must not be older than --max-read-lag */
	bool hasty;				/* another pool can be asked, if this one gets no connection soon */
} QuerySource;

/* Called once, from the loop, never from within pg_pool_submit().  The result is freed after it. */
typedef void (*QueryCallback)(void *argument, const QueryOutcome *outcome);

/*
 * Called for each row as it comes, as a result of one row.  Returns how many bytes of it the callee
 * keeps; they count until the QueryCallback has returned.
 */
typedef size_t (*RowCallback)(void *argument, const PGresult *row);

/* A COPY TO STDOUT, whose rows are passed on as they come. */
typedef struct StreamHandler
{
	/*
	 * Called for each piece that COPY sends: a row, or the header or trailer of the format.
	 * Returns false if no more may come until pg_query_resume() is called.
	 */
	bool (*on_data)(void *argument, const char *data, size_t length);
	/* Called once, after the last piece; the outcome's result says only that all was sent. */
	QueryCallback on_end;
} StreamHandler;

/* A query.  Those that submit it use it only as a PgQuery, with the functions of pg_pool.h. */
typedef struct Query
{
	ListLink link; /* while it is queued */
	struct PgPool *pool;
	char *sql;
	char *comment; /* of a stream: goes before all of its statements */
	char *role;	   /* NULL: the one that has connected */
	char *actor;
	char *min_commit;
	bool lag_bounded;
	bool hasty;
	int parameter_count;
	char *parameters[QUERY_MAX_PARAMETERS];
	RowCallback on_row; /* NULL: the rows are collected */
	QueryCallback callback;
	void *argument;
	uint64_t deadline_ms;  /* it must have a connection by then */
	struct PoolSlot *slot; /* NULL: queued */
	bool abandoned;		   /* pg_query_cancel() was called: no callback follows */
	bool repeated;		   /* it is sent again, on a new connection only */
	uint64_t queued_ms;

	/* what the server has told of itself */
	bool standby;
	bool lag_known;
	int64_t lag_ms;

	/* of streams */
	const StreamHandler *stream; /* NULL: an ordinary query */
	uint64_t progress_ms;		 /* when data came last, or was asked for */
	bool paused;
} Query;

typedef Query PgQuery;

/*
 * The traceparent becomes a comment before the SQL, where it is seen even if the text of a long
 * query is cut.  Everything is copied.
 */
extern Query *query_new(const QuerySource *source, const char *sql, int parameter_count,
						const char *const *parameters);

/* Makes a stream, whose settings and COPY are sent as one string. */
extern Query *query_new_stream(const QuerySource *source, const char *settings,
							   const char *copy_sql);
extern void query_free(Query *query);

typedef struct QueryQueue
{
	List queries; /* of Query.link */
	uint64_t count;
	uint64_t streams; /* how many of them are streams */
} QueryQueue;

extern void query_queue_init(QueryQueue *queue);
extern void query_queue_append(QueryQueue *queue, Query *query);
extern void query_queue_prepend(QueryQueue *queue, Query *query);
extern void query_queue_remove(QueryQueue *queue, Query *query);

/* The first query that is to be given up, or NULL: at its deadline, or, with away, if it is hasty. */
extern Query *query_queue_first_late(const QueryQueue *queue, uint64_t now_ms, bool away);

/* The first query, or NULL; query_queue_take() also removes it from the queue. */
extern Query *query_queue_first(const QueryQueue *queue);
extern Query *query_queue_take(QueryQueue *queue);

/*
 * Takes the first query that may be executed: only with streams a stream, only with repeated one
 * again.
 */
extern Query *query_queue_take_runnable(QueryQueue *queue, bool streams, bool repeated);

#endif /* HISTORIAND_QUERY_QUEUE_H */
