/*
 * pg_pool.c
 *	  Reading connections to PostgreSQL and the bounded queue of queries before them.
 *
 * Connections are opened when there is work for them and kept.  A query that was sent and whose
 * connection broke is answered as failed: the client decides about asking again.  Queries that
 * were only queued fail too once connecting fails, so that nobody waits for a database that is
 * away.
 */
#include "pg_pool.h"

#include "log.h"
#include "memory.h"
#include "pg_connection.h"

#include <stdlib.h>
#include <string.h>

/* After a failed attempt to connect, queries fail at once for this long. */
#define CONNECT_PAUSE_MS 500

/* Attempts at a time: each keeps a thread of libuv's pool, which others need too. */
#define CONNECT_AT_ONCE 2

typedef struct Query
{
	struct Query *next;
	const char *sql; /* static text of the caller */
	int parameter_count;
	char *parameters[QUERY_MAX_PARAMETERS];
	QueryCallback callback;
	void *argument;
	uint64_t deadline_ms; /* for getting a connection */
} Query;

typedef struct PoolSlot
{
	PgPool *pool;
	PgConnection *connection; /* NULL: not connected */
	bool open;
	Query *query;	  /* being executed */
	PGresult *result; /* its result; the connection is not free yet */
} PoolSlot;

struct PgPool
{
	uv_loop_t *loop;
	const Config *config;
	char *setup;
	PoolSlot *slots;
	uint64_t slot_count;
	uint64_t queue_limit;
	uint64_t queued;
	Query *first;
	Query *last;
	uint64_t pause_until_ms;
	char *pause_reason;
	uv_timer_t fail_timer; /* fails queued queries from the loop */
};

static void assign(PgPool *pool);
static void execute(PoolSlot *slot, Query *query);
static void finish(PoolSlot *slot);
static void answer(PoolSlot *slot, const QueryOutcome *outcome);
static void fail_queued(uv_timer_t *timer);
static void on_open(void *owner);
static void on_input(void *owner);
static void on_lost(void *owner, const char *reason);

static const PgHandler handler = {on_open, on_input, on_lost};

PgPool *
pg_pool_new(uv_loop_t *loop, const Config *config, uint64_t connections, uint64_t queue_limit)
{
	PgPool *pool = memory_new(sizeof(PgPool));
	Bytes setup = {0};

	pool->loop = loop;
	pool->config = config;
	pool->slot_count = connections;
	pool->queue_limit = queue_limit;
	pool->slots = memory_new(connections * sizeof(PoolSlot));
	for (uint64_t i = 0; i < connections; i++)
		pool->slots[i].pool = pool;
	bytes_printf(&setup, "SET statement_timeout = %llu; SET default_transaction_read_only = on",
				 (unsigned long long) config->query_timeout_ms);
	bytes_append(&setup, "", 1);
	pool->setup = setup.data;
	uv_timer_init(loop, &pool->fail_timer);
	pool->fail_timer.data = pool;
	return pool;
}

static void
free_query(Query *query)
{
	for (int i = 0; i < query->parameter_count; i++)
		free(query->parameters[i]);
	free(query);
}

bool
pg_pool_submit(PgPool *pool, const char *sql, int parameter_count, const char *const *parameters,
			   QueryCallback callback, void *argument)
{
	Query *query;

	if (pool->queued >= pool->queue_limit)
		return false;
	query = memory_new(sizeof(Query));
	query->sql = sql;
	query->parameter_count = parameter_count;
	for (int i = 0; i < parameter_count; i++)
		query->parameters[i] = memory_strdup(parameters[i]);
	query->callback = callback;
	query->argument = argument;
	query->deadline_ms = uv_now(pool->loop) + pool->config->query_timeout_ms;
	if (pool->last == NULL)
		pool->first = query;
	else
		pool->last->next = query;
	pool->last = query;
	pool->queued++;
	assign(pool);
	return true;
}

static Query *
dequeue(PgPool *pool)
{
	Query *query = pool->first;

	pool->first = query->next;
	if (pool->first == NULL)
		pool->last = NULL;
	pool->queued--;
	return query;
}

/* Gives queued queries to idle connections, and opens connections for those left over. */
static void
assign(PgPool *pool)
{
	uint64_t connecting = 0;

	for (uint64_t i = 0; i < pool->slot_count && pool->first != NULL; i++)
	{
		PoolSlot *slot = &pool->slots[i];

		if (slot->open && slot->query == NULL)
			execute(slot, dequeue(pool));
		connecting += slot->connection != NULL && !slot->open;
	}
	if (pool->first == NULL)
		return;
	if (uv_now(pool->loop) < pool->pause_until_ms)
	{
		uv_timer_start(&pool->fail_timer, fail_queued, 0, 0);
		return;
	}
	for (uint64_t i = 0;
		 i < pool->slot_count && connecting < pool->queued && connecting < CONNECT_AT_ONCE; i++)
	{
		PoolSlot *slot = &pool->slots[i];

		if (slot->connection != NULL)
			continue;
		slot->connection =
			pg_connection_open(pool->loop, pool->config->database, pool->setup, &handler, slot);
		connecting++;
	}
}

void
pg_pool_tick(PgPool *pool)
{
	const QueryOutcome late = {.sqlstate = "", .message = "no connection was free in time"};

	while (pool->first != NULL && pool->first->deadline_ms <= uv_now(pool->loop))
	{
		Query *query = dequeue(pool);

		query->callback(query->argument, &late);
		free_query(query);
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
	/* If sending fails the connection is broken and on_lost() follows. */
	PQsendQueryParams(pg_connection_pq(slot->connection), query->sql, query->parameter_count, NULL,
					  (const char *const *) query->parameters, NULL, NULL, 0);
	pg_connection_flush(slot->connection, &all);
}

static void
on_open(void *owner)
{
	PoolSlot *slot = owner;

	slot->open = true;
	slot->pool->pause_until_ms = 0;
	assign(slot->pool);
}

static void
on_input(void *owner)
{
	PoolSlot *slot = owner;
	PGconn *pq = pg_connection_pq(slot->connection);

	if (slot->query == NULL)
		return;
	while (!PQisBusy(pq))
	{
		PGresult *result = PQgetResult(pq);

		if (result == NULL)
		{
			finish(slot);
			return;
		}
		if (slot->result == NULL)
			slot->result = result;
		else
			PQclear(result);
	}
}

/* The query is over and the connection is free for the next one. */
static void
finish(PoolSlot *slot)
{
	PGresult *result = slot->result;

	slot->result = NULL;
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
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
	query->callback(query->argument, outcome);
	free_query(query);
}

static void
on_lost(void *owner, const char *reason)
{
	PoolSlot *slot = owner;
	PgPool *pool = slot->pool;

	log_warning("no connection to PostgreSQL for reading: %s", reason);
	slot->connection = NULL;
	slot->open = false;
	PQclear(slot->result);
	slot->result = NULL;
	if (slot->query != NULL)
		answer(slot, &(QueryOutcome){.sqlstate = "", .message = reason});

	free(pool->pause_reason);
	pool->pause_reason = memory_strdup(reason);
	pool->pause_until_ms = uv_now(pool->loop) + CONNECT_PAUSE_MS;
	if (pool->first != NULL)
		uv_timer_start(&pool->fail_timer, fail_queued, 0, 0);
}
