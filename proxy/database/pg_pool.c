/*
 * pg_pool.c
 *	  Reading connections to PostgreSQL and the bounded queue of queries before them.
 *
 * Connections are opened when there is work for them and kept.  A query that was sent and whose
 * connection broke is answered as failed: the client decides about asking again.  Only where a connection
 * that had been idle breaks at once, without an answer, was it lost before, to a firewall or a time limit
 * of PostgreSQL's: then the query is sent once more, on a new connection.  Queries that
 * were only queued fail too once connecting fails, so that nobody waits for a database that is
 * away.
 *
 * What a query needs set is set with it, in one round trip and one transaction that ends with the
 * query: a pooler of connections (PgBouncer) may give the next transaction another server, and this
 * server to another client.  So a query is a pipeline of two statements up to one Sync, and a stream a
 * string of several statements.
 *
 * A query is cancelled from another thread, since libpq blocks in it.  The connection is not used again
 * before that is done, since a late cancellation would hit the next query; where it hangs, the connection
 * is given up instead.
 */
#include "database/pg_pool.h"

#include "base/log.h"
#include "base/memory.h"
#include "database/pg_cancel.h"
#include "database/pg_connection.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After a failed attempt to connect, queries fail at once for this long. */
#define CONNECT_PAUSE_MS 500

/*
 * What every query has set, for its transaction alone ($1 is the time limit).  A role may have
 * extra_float_digits lower, and then values would be rounded.
 */
#define SETTINGS_SQL                                                                               \
	"SELECT set_config('statement_timeout', $1, true), set_config('transaction_read_only', 'on', " \
	"true), set_config('extra_float_digits', '1', true)"

/* The same for streams, which COPY keeps from pipelines; the pool limits their time. */
#define STREAM_SETTINGS_SQL                                                                        \
	"SET LOCAL statement_timeout = 0; SET LOCAL transaction_read_only = on; "                      \
	"SET LOCAL extra_float_digits = 1; "

/* How much later than PostgreSQL we end a query. */
#define GRACE_MS 1000

/* PostgreSQL takes a cancellation within this, or is not waited for. */
#define CANCEL_MS 2000

/* A connection that breaks so soon after a query was sent was lost before. */
#define LOST_BEFORE_MS 1000

typedef struct Query
{
	struct Query *next;
	PgPool *pool;
	const char *sql; /* static text of the caller, or own_sql */
	char *own_sql;
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

typedef struct PoolSlot
{
	PgPool *pool;
	PgConnection *connection; /* NULL: not connected */
	bool open;
	uint64_t opened_ms;
	bool used;			 /* has had a query */
	bool was_idle;		 /* before the one that is being executed */
	uint64_t sent_ms;	 /* when that was sent */
	Query *query;		 /* being executed */
	PGresult *result;	 /* its result; the connection is not free yet */
	bool passed;		 /* rows of it were */
	TurnTask task;		 /* goes on with its rows */
	int statements_over; /* of the pipeline: the settings, the query */
	bool copied;		 /* the server has begun to send a stream */
	bool copying;		 /* and has not ended */
	bool cancelling;	 /* another thread is about it */
	bool over;			 /* only that is waited for */
	PgCancellation *cancellation;
	uint64_t cancel_deadline_ms;
	uint64_t deadline_ms; /* PostgreSQL should have answered by then; 0: no limit */
	size_t result_bytes;  /* taken from the budget */
	bool too_large;		  /* the budget was used up; the rest is thrown away */
} PoolSlot;

struct PgPool
{
	uv_loop_t *loop;
	Turns *turns;
	const Config *config;
	PoolSlot *slots;
	uint64_t slot_count;
	uint64_t queue_limit;
	Budget *budget;
	PgCanceller *canceller;
	uint64_t queued;
	Query *first;
	Query *last;
	uint64_t stream_limit; /* streams at a time */
	uint64_t streams;	   /* being executed */
	uint64_t queued_streams;
	uint64_t pause_until_ms;
	char *pause_reason;
	uv_timer_t fail_timer; /* fails queued queries from the loop */
};

static void assign(PgPool *pool);
static void execute(PoolSlot *slot, Query *query);
static void send_pipeline(PoolSlot *slot, Query *query);
static void advance_rows(PoolSlot *slot);
static void go_on(TurnTask *task);
static void add_row(PoolSlot *slot, const PGresult *row);
static void drop(PoolSlot *slot);
static void finish(PoolSlot *slot);
static void answer(PoolSlot *slot, const QueryOutcome *outcome);
static void advance_stream(PoolSlot *slot);
static void cancel(PoolSlot *slot);
static void on_cancelled(void *argument);
static void disconnect(PoolSlot *slot);
static bool lost_before(const PoolSlot *slot);
static void repeat(PoolSlot *slot);
static void fail_queued(uv_timer_t *timer);
static void on_open(void *owner);
static void on_input(void *owner);
static void on_lost(void *owner, const char *reason);

static const PgHandler handler = {on_open, on_input, on_lost};

PgPool *
pg_pool_new(uv_loop_t *loop, Turns *turns, const Config *config, uint64_t connections,
			uint64_t queue_limit, Budget *budget)
{
	PgPool *pool = memory_new(sizeof(PgPool));

	pool->loop = loop;
	pool->turns = turns;
	pool->config = config;
	pool->slot_count = connections;
	pool->queue_limit = queue_limit;
	pool->budget = budget;
	pool->stream_limit = connections > 1 ? connections / 2 : 1;
	pool->slots = memory_new(connections * sizeof(PoolSlot));
	for (uint64_t i = 0; i < connections; i++)
	{
		pool->slots[i].pool = pool;
		pool->slots[i].task.run = go_on;
	}
	pool->canceller = pg_canceller_new(loop);
	uv_timer_init(loop, &pool->fail_timer);
	pool->fail_timer.data = pool;
	return pool;
}

static void
free_query(Query *query)
{
	for (int i = 0; i < query->parameter_count; i++)
		free(query->parameters[i]);
	free(query->own_sql);
	free(query);
}

static void
enqueue(PgPool *pool, Query *query)
{
	query->pool = pool;
	query->deadline_ms = uv_now(pool->loop) + pool->config->query_timeout_ms;
	if (pool->last == NULL)
		pool->first = query;
	else
		pool->last->next = query;
	pool->last = query;
	pool->queued++;
	pool->queued_streams += query->stream != NULL;
	assign(pool);
}

/* As sqlcommenter writes it, but in front: there it is seen however long the query is. */
static char *
commented(const char *traceparent, const char *settings, const char *sql)
{
	Bytes text = {0};

	if (traceparent != NULL)
		bytes_printf(&text, "/*traceparent='%s'*/ ", traceparent);
	bytes_puts(&text, settings);
	bytes_puts(&text, sql);
	return bytes_take_text(&text);
}

PgQuery *
pg_pool_submit(PgPool *pool, const char *traceparent, const char *sql, int parameter_count,
			   const char *const *parameters, RowCallback on_row, QueryCallback callback,
			   void *argument)
{
	Query *query;

	if (pool->queued >= pool->queue_limit)
		return NULL;
	query = memory_new(sizeof(Query));
	if (traceparent != NULL)
		query->own_sql = commented(traceparent, "", sql);
	query->sql = traceparent != NULL ? query->own_sql : sql;
	query->parameter_count = parameter_count;
	for (int i = 0; i < parameter_count; i++)
		query->parameters[i] = memory_strdup(parameters[i]);
	query->on_row = on_row;
	query->callback = callback;
	query->argument = argument;
	enqueue(pool, query);
	return query;
}

PgQuery *
pg_pool_stream(PgPool *pool, const char *traceparent, const char *copy_sql,
			   const StreamHandler *stream, void *argument)
{
	Query *query;

	if (pool->queued >= pool->queue_limit)
		return NULL;
	query = memory_new(sizeof(Query));
	query->own_sql = commented(traceparent, STREAM_SETTINGS_SQL, copy_sql);
	query->sql = query->own_sql;
	query->stream = stream;
	query->callback = stream->on_end;
	query->argument = argument;
	enqueue(pool, query);
	return query;
}

void
pg_query_resume(PgQuery *query)
{
	PgConnection *connection;

	if (!query->paused)
		return;
	query->paused = false;
	query->progress_ms = uv_now(query->pool->loop);
	connection = query->slot->connection;
	pg_connection_pause(connection, false);
	/* What libpq has read already makes no event. */
	pg_connection_again(connection);
}

/* Takes a query out of the queue; before is the one before it, or NULL. */
static Query *
unlink_after(PgPool *pool, Query *before)
{
	Query **link = before ? &before->next : &pool->first;
	Query *query = *link;

	*link = query->next;
	if (pool->last == query)
		pool->last = before;
	query->next = NULL;
	pool->queued--;
	pool->queued_streams -= query->stream != NULL;
	return query;
}

static Query *
dequeue(PgPool *pool)
{
	return unlink_after(pool, NULL);
}

/* The first query that may be executed now, on a connection that is new or not, or NULL. */
static Query *
dequeue_runnable(PgPool *pool, bool new)
{
	Query *before = NULL;

	for (Query *query = pool->first; query != NULL; before = query, query = query->next)
	{
		if ((query->stream == NULL || pool->streams < pool->stream_limit) &&
			(new || !query->repeated))
			return unlink_after(pool, before);
	}
	return NULL;
}

/* How many queries of the queue could be executed with enough connections. */
static uint64_t
count_runnable(const PgPool *pool)
{
	uint64_t room = pool->stream_limit - pool->streams;

	return pool->queued - pool->queued_streams +
		   (pool->queued_streams < room ? pool->queued_streams : room);
}

void
pg_query_cancel(PgQuery *query)
{
	Query *before = NULL;

	if (query->slot != NULL)
	{
		query->abandoned = true;
		pg_query_resume(query);
		cancel(query->slot);
		return;
	}
	for (Query *other = query->pool->first; other != query; other = other->next)
		before = other;
	free_query(unlink_after(query->pool, before));
}

/* Gives queued queries to idle connections, and opens connections for those left over. */
static void
assign(PgPool *pool)
{
	uint64_t connecting = 0;
	uint64_t wanted;

	for (uint64_t i = 0; i < pool->slot_count && pool->first != NULL; i++)
	{
		PoolSlot *slot = &pool->slots[i];

		if (slot->open && slot->query == NULL && !slot->cancelling)
		{
			Query *query = dequeue_runnable(pool, !slot->used);

			if (query != NULL)
				execute(slot, query);
		}
		connecting += slot->connection != NULL && !slot->open;
	}
	wanted = count_runnable(pool);
	if (wanted == 0)
		return;
	if (uv_now(pool->loop) < pool->pause_until_ms)
	{
		uv_timer_start(&pool->fail_timer, fail_queued, 0, 0);
		return;
	}
	for (uint64_t i = 0;
		 i < pool->slot_count && connecting < wanted && connecting < PG_POOL_CONNECTING; i++)
	{
		PoolSlot *slot = &pool->slots[i];

		if (slot->connection != NULL || slot->cancelling)
			continue;
		slot->connection = pg_connection_open(pool->loop, pool->config->read_database,
											  pool->config->database_password_file, &handler, slot);
		connecting++;
	}
}

void
pg_pool_tick(PgPool *pool)
{
	static const QueryOutcome away = {.sqlstate = "", .message = "no connection in time"};
	static const QueryOutcome busy = {
		.sqlstate = "",
		.message = "no connection for reading was free in time (--max-queries, --query-timeout)",
		.limit = 503,
	};
	const QueryOutcome *late = &away;

	for (uint64_t i = 0; i < pool->slot_count; i++)
	{
		if (pool->slots[i].open)
			late = &busy;
	}
	while (pool->first != NULL && pool->first->deadline_ms <= uv_now(pool->loop))
	{
		Query *query = dequeue(pool);

		query->callback(query->argument, late);
		free_query(query);
	}
	for (uint64_t i = 0; i < pool->slot_count; i++)
	{
		PoolSlot *slot = &pool->slots[i];
		Query *query = slot->query;

		if (slot->cancelling && slot->over && slot->cancel_deadline_ms <= uv_now(pool->loop))
		{
			disconnect(slot);
			finish(slot);
			continue;
		}
		if (query != NULL && slot->cancelling && slot->cancel_deadline_ms <= uv_now(pool->loop))
		{
			drop(slot);
			continue;
		}
		if (query != NULL && slot->deadline_ms > 0 && slot->deadline_ms <= uv_now(pool->loop))
		{
			drop(slot);
			continue;
		}
		if (slot->open && query == NULL && !slot->cancelling &&
			uv_now(pool->loop) - slot->opened_ms > pool->config->read_connection_lifetime_ms)
		{
			disconnect(slot);
			continue;
		}
		if (query == NULL || query->stream == NULL || query->paused || slot->cancelling ||
			uv_now(pool->loop) - query->progress_ms <= pool->config->query_timeout_ms)
			continue;
		query->progress_ms = uv_now(pool->loop);
		cancel(slot);
	}
}

static void
fail_queued(uv_timer_t *timer)
{
	PgPool *pool = timer->data;
	const QueryOutcome outcome = {
		.sqlstate = "",
		.message = pool->pause_reason ? pool->pause_reason : "no connection",
	};

	for (uint64_t i = 0; i < pool->slot_count; i++)
	{
		if (pool->slots[i].open)
			return; /* others get through: theirs is a question of time */
	}
	for (uint64_t left = pool->queued; left > 0 && pool->first != NULL; left--)
	{
		Query *query = dequeue(pool);

		query->callback(query->argument, &outcome);
		free_query(query);
	}
}

static void
execute(PoolSlot *slot, Query *query)
{
	bool all;

	slot->query = query;
	query->slot = slot;
	slot->was_idle = slot->used;
	slot->used = true;
	slot->sent_ms = uv_now(slot->pool->loop);
	slot->copied = false;
	slot->passed = false;
	slot->deadline_ms = 0;
	if (query->stream != NULL)
	{
		query->progress_ms = uv_now(slot->pool->loop);
		slot->pool->streams++;
		slot->copying = false;
		PQsendQuery(pg_connection_pq(slot->connection), query->sql);
		pg_connection_flush(slot->connection, &all);
		return;
	}
	send_pipeline(slot, query);
	slot->deadline_ms = uv_now(slot->pool->loop) + slot->pool->config->query_timeout_ms + GRACE_MS;
	pg_connection_flush(slot->connection, &all);
}

/* If sending fails the connection is broken and on_lost() follows. */
static void
send_pipeline(PoolSlot *slot, Query *query)
{
	PGconn *pq = pg_connection_pq(slot->connection);
	char timeout_ms[24];
	const char *settings[] = {timeout_ms};

	snprintf(timeout_ms, sizeof(timeout_ms), "%llu",
			 (unsigned long long) slot->pool->config->query_timeout_ms);
	slot->statements_over = 0;
	PQenterPipelineMode(pq);
	PQsendQueryParams(pq, SETTINGS_SQL, 1, NULL, settings, NULL, NULL, 0);
	PQsendQueryParams(pq, query->sql, query->parameter_count, NULL,
					  (const char *const *) query->parameters, NULL, NULL, 0);
	PQpipelineSync(pq);
}

static void
on_open(void *owner)
{
	PoolSlot *slot = owner;

	slot->open = true;
	slot->used = false;
	slot->opened_ms = uv_now(slot->pool->loop);
	slot->pool->pause_until_ms = 0;
	assign(slot->pool);
}

static void
on_input(void *owner)
{
	PoolSlot *slot = owner;
	Turns *turns = slot->pool->turns;

	if (slot->query == NULL || turn_queued(&slot->task))
		return;
	if (slot->query->stream != NULL)
		advance_stream(slot);
	else if (turn_over(turns))
	{
		pg_connection_pause(slot->connection, true);
		turn_queue_fresh(turns, &slot->task);
	}
	else
	{
		turn_slice(turns);
		advance_rows(slot);
	}
}

/* A slot's task. */
static void
go_on(TurnTask *task)
{
	PoolSlot *slot = (PoolSlot *) ((char *) task - offsetof(PoolSlot, task));

	pg_connection_pause(slot->connection, false);
	advance_rows(slot);
}

/* Takes what has come, up to the end of the slice; no more is read until the rest has had its turn. */
static void
advance_rows(PoolSlot *slot)
{
	PGconn *pq = pg_connection_pq(slot->connection);

	while (!PQisBusy(pq))
	{
		PGresult *result = PQgetResult(pq);
		ExecStatusType status = PQresultStatus(result);

		if (result == NULL)
		{
			/* The next one is the Sync's; without it the connection is broken. */
			if (++slot->statements_over > 2)
				return;
			/* Row by row: libpq would collect a result of any size before it shows it. */
			if (slot->statements_over == 1)
				PQsetSingleRowMode(pq);
			continue;
		}
		if (status == PGRES_PIPELINE_SYNC)
		{
			PQclear(result);
			PQexitPipelineMode(pq);
			if (slot->cancelling)
				slot->over = true;
			else
				finish(slot);
			return;
		}
		if (status == PGRES_SINGLE_TUPLE)
			add_row(slot, result);
		else if (status == PGRES_FATAL_ERROR || (slot->statements_over > 0 && slot->result == NULL))
		{
			PQclear(slot->result);
			slot->result = result;
			continue;
		}
		PQclear(result);
		if (status == PGRES_SINGLE_TUPLE && turn_slice_over(slot->pool->turns))
		{
			pg_connection_pause(slot->connection, true);
			turn_queue(slot->pool->turns, &slot->task);
			return;
		}
	}
}

/* Passes a row on; false where what is kept of it is more than the budget allows. */
static bool
pass_row(PoolSlot *slot, const PGresult *row)
{
	Query *query = slot->query;
	size_t bytes = query->on_row(query->argument, row);
	bool good = budget_take(slot->pool->budget, bytes);

	slot->passed = true;
	if (good)
		slot->result_bytes += bytes;
	return good;
}

/* The same for a row that is added to the slot's result. */
static bool
collect_row(PoolSlot *slot, const PGresult *row)
{
	int columns = PQnfields(row);
	int number = slot->result ? PQntuples(slot->result) : 0;
	size_t bytes = 64;
	bool good;

	for (int i = 0; i < columns; i++)
		bytes += 32 + (size_t) PQgetlength(row, 0, i);
	good = budget_take(slot->pool->budget, bytes);
	if (good)
		slot->result_bytes += bytes;
	if (good && slot->result == NULL)
		slot->result = PQcopyResult(row, PG_COPYRES_ATTRS);
	for (int i = 0; good && i < columns; i++)
		good = PQsetvalue(slot->result, number, i,
						  PQgetisnull(row, 0, i) ? NULL : PQgetvalue(row, 0, i),
						  PQgetisnull(row, 0, i) ? -1 : PQgetlength(row, 0, i));
	if (good)
		return true;
	PQclear(slot->result);
	slot->result = NULL;
	budget_return(slot->pool->budget, slot->result_bytes);
	slot->result_bytes = 0;
	return false;
}

/* Takes a row, as far as the budget allows; past it the query is cancelled. */
static void
add_row(PoolSlot *slot, const PGresult *row)
{
	if (slot->too_large || slot->query->abandoned ||
		(slot->query->on_row != NULL ? pass_row(slot, row) : collect_row(slot, row)))
		return;
	slot->too_large = true;
	cancel(slot);
}

static void
pass_on(PoolSlot *slot, const char *data, size_t length)
{
	Query *query = slot->query;

	if (query->abandoned)
		return;
	query->progress_ms = uv_now(slot->pool->loop);
	if (!query->stream->on_data(query->argument, data, length))
	{
		query->paused = true;
		pg_connection_pause(slot->connection, true);
	}
}

static void
advance_stream(PoolSlot *slot)
{
	PGconn *pq = pg_connection_pq(slot->connection);

	while (!slot->query->paused)
	{
		PGresult *result;

		if (slot->copying)
		{
			char *data;
			int length = PQgetCopyData(pq, &data, 1);

			if (length == 0)
				return;
			if (length > 0)
			{
				pass_on(slot, data, (size_t) length);
				PQfreemem(data);
				continue;
			}
			slot->copying = false; /* the next result says why */
		}
		if (PQisBusy(pq))
			return;
		result = PQgetResult(pq);
		if (result == NULL)
		{
			if (slot->cancelling)
				slot->over = true;
			else
				finish(slot);
			return;
		}
		if (PQresultStatus(result) == PGRES_COPY_OUT)
			slot->copied = slot->copying = true;
		else if (slot->result == NULL &&
				 (slot->copied || PQresultStatus(result) != PGRES_COMMAND_OK))
		{
			slot->result = result;
			continue;
		}
		PQclear(result);
	}
}

/* Asks the server to end a query, which then ends with an error as others do. */
static void
cancel(PoolSlot *slot)
{
	if (slot->cancelling)
		return;
	slot->cancelling = true;
	slot->cancel_deadline_ms = uv_now(slot->pool->loop) + CANCEL_MS;
	slot->deadline_ms = uv_now(slot->pool->loop) + slot->pool->config->query_timeout_ms + GRACE_MS;
	slot->cancellation =
		pg_cancel(slot->pool->canceller, pg_connection_pq(slot->connection), on_cancelled, slot);
}

static void
on_cancelled(void *argument)
{
	PoolSlot *slot = argument;

	slot->cancelling = false;
	if (slot->over)
	{
		slot->over = false;
		finish(slot);
	}
	else
		assign(slot->pool);
}

/* The query is over and the connection is free for the next one. */
static void
finish(PoolSlot *slot)
{
	PGresult *result = slot->result;

	slot->result = NULL;
	if (slot->too_large)
		answer(slot, &(QueryOutcome){
						 .sqlstate = "",
						 .message = "the results under way have more bytes than allowed "
									"(--max-result-bytes); ask for less, or later",
						 .limit = 503,
					 });
	else if (PQresultStatus(result) == PGRES_TUPLES_OK ||
			 PQresultStatus(result) == PGRES_COMMAND_OK)
		answer(slot, &(QueryOutcome){.result = result});
	else
	{
		const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

		answer(slot, &(QueryOutcome){.sqlstate = sqlstate ? sqlstate : "",
									 .message = message ? message : "the query failed"});
	}
	PQclear(result);
	assign(slot->pool);
}

static void
answer(PoolSlot *slot, const QueryOutcome *outcome)
{
	Query *query = slot->query;

	slot->query = NULL;
	slot->deadline_ms = 0;
	slot->pool->streams -= query->stream != NULL;
	if (!query->abandoned)
		query->callback(query->argument, outcome);
	free_query(query);
	budget_return(slot->pool->budget, slot->result_bytes);
	slot->result_bytes = 0;
	slot->too_large = false;
}

/* PostgreSQL has neither answered nor ended the query: neither will it end the next one. */
static void
drop(PoolSlot *slot)
{
	log_warning("PostgreSQL did not answer a query in time (--query-timeout)");
	disconnect(slot);
	PQclear(slot->result);
	slot->result = NULL;
	answer(slot, &(QueryOutcome){
					 .sqlstate = "",
					 .message = "PostgreSQL did not answer in time (--query-timeout)",
					 .limit = 504,
				 });
	assign(slot->pool);
}

/* The slot has no connection any more, and nothing that was under way on one. */
static void
forget_connection(PoolSlot *slot)
{
	slot->connection = NULL;
	slot->open = false;
	slot->over = false;
	turn_unqueue(&slot->task);
	if (slot->cancelling)
		pg_cancellation_abandon(slot->cancellation);
	slot->cancelling = false;
}

static void
disconnect(PoolSlot *slot)
{
	pg_connection_close(slot->connection);
	forget_connection(slot);
}

static void
on_lost(void *owner, const char *reason)
{
	PoolSlot *slot = owner;
	PgPool *pool = slot->pool;
	bool connected = slot->open;

	log_warning("no connection to PostgreSQL for reading: %s", reason);
	forget_connection(slot);
	if (slot->query != NULL && lost_before(slot))
		repeat(slot);
	PQclear(slot->result);
	slot->result = NULL;
	if (slot->query != NULL)
		answer(slot, &(QueryOutcome){.sqlstate = "", .message = reason});
	if (connected)
	{
		assign(pool); /* PostgreSQL may well be there */
		return;
	}
	free(pool->pause_reason);
	pool->pause_reason = memory_strdup(reason);
	pool->pause_until_ms = uv_now(pool->loop) + CONNECT_PAUSE_MS;
	if (pool->first != NULL)
		uv_timer_start(&pool->fail_timer, fail_queued, 0, 0);
}

/* Was the connection lost before the query was sent?  Then PostgreSQL has not answered anything of it. */
static bool
lost_before(const PoolSlot *slot)
{
	const Query *query = slot->query;

	return slot->was_idle && !query->abandoned && !query->repeated && !slot->copied &&
		   !slot->passed && !slot->too_large &&
		   (slot->result == NULL || PQresultStatus(slot->result) == PGRES_FATAL_ERROR) &&
		   uv_now(slot->pool->loop) - slot->sent_ms <= LOST_BEFORE_MS;
}

/* Puts the slot's query before all others. */
static void
repeat(PoolSlot *slot)
{
	PgPool *pool = slot->pool;
	Query *query = slot->query;

	slot->query = NULL;
	slot->deadline_ms = 0;
	pool->streams -= query->stream != NULL;
	query->slot = NULL;
	query->repeated = true;
	query->paused = false;
	query->next = pool->first;
	pool->first = query;
	if (pool->last == NULL)
		pool->last = query;
	pool->queued++;
	pool->queued_streams += query->stream != NULL;
}
