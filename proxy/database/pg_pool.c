/*
 * pg_pool.c
 *	  Connections to PostgreSQL for queries, and the bounded queue of queries that wait for one.
 *
 * Connections are opened when there is work for them, and kept.  If a connection breaks while it
 * executes a query, the query fails, and the client decides whether to ask again.  There is one
 * exception: if an idle connection breaks as soon as a query is sent on it, a firewall or a time
 * limit of PostgreSQL had ended it before, and the query is sent once more, on a new connection.
 * If no connection can be made, the queued queries fail, so that no client waits for a database
 * that is away.
 *
 * The settings that a query needs are sent with it, in one round trip and one transaction, because
 * a pooler of connections (PgBouncer) may give the next transaction another session, and this
 * session to another client.  So a query is a pipeline of two statements with one Sync, and a
 * stream is a string of several statements.
 *
 * Queries that read ask the server in the statement of the settings how old its data are at most, and
 * whether it has the commit that they must see.  If it has not, that statement fails, and so the query
 * is not executed.  An extension without the function is noticed at the first failure; then only
 * queries with min_commit ask.
 *
 * Another thread cancels queries, since libpq blocks while it does so.  The connection is not used
 * again before the cancellation is done, because a late one would hit the next query.  If that
 * takes too long, the connection is given up.
 */
#include "database/pg_pool.h"

#include "base/assert.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "database/pg_cancel.h"
#include "database/pg_connection.h"
#include "database/sql_failure.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For so long after a failed attempt to connect, queries fail at once. */
static const Backoff connect_pause = {.first_ms = 125, .largest_ms = 500};

/*
 * The settings of every query, for its transaction alone ($1 is the time limit).  A role may have a
 * lower extra_float_digits, with which values would be rounded.
 */
#define SETTINGS_SQL                                                                               \
	"SELECT set_config('statement_timeout', $1, true), set_config('transaction_read_only', 'on', " \
	"true), set_config('extra_float_digits', '1', true)"

/*
 * A role, where the query has one.  Its time ends with the transaction, like that of the settings,
 * so that the next query has the role that has connected.  Nobody can leave the role within the
 * query, because no text of a client is SQL.
 */
#define ROLE_SQL  ", set_config('role', $2, true)"
#define ACTOR_SQL ", set_config('historian.actor', $%d, true)"

/*
 * The same for statements that write.  A transaction that the role's settings make READ ONLY could
 * not be changed here, behind the first snapshot.
 */
#define WRITE_SETTINGS_SQL                                                                         \
	"SELECT set_config('statement_timeout', $1, true), set_config('extra_float_digits', '1', "     \
	"true)"

/* What the server must tell and have.  The last two columns are those of take_gate(). */
#define GATE_COLUMNS 2
#define GATE_SQL                                                                                   \
	"pg_is_in_recovery(), historian.await_commit($%d::pg_lsn, $%d::bigint, $%d::bigint)"

/* The same for streams: a pipeline cannot have a COPY, and the pool limits their time. */
#define STREAM_SETTINGS_SQL                                                                        \
	"SET LOCAL statement_timeout = 0; SET LOCAL transaction_read_only = on; "                      \
	"SET LOCAL extra_float_digits = 1; "

/* How long after PostgreSQL's time limit the pool ends a query itself. */
#define GRACE_MS 1000

/* So long after it was made, a connection may lead to a primary that is none any more. */
#define OLD_CONNECTION_MS 1000

/* How long the pool waits for a cancellation. */
#define CANCEL_MS 2000

/* How long the first connection may take, before the pool counts as away. */
#define SLOW_CONNECT_MS 1000

/* An idle connection that breaks so soon after a query was sent had been lost before. */
#define LOST_BEFORE_MS 1000

typedef enum SlotState
{
	SLOT_CLOSED, /* there is no connection */
	SLOT_CONNECTING,
	SLOT_NEW,		 /* is connected, and has had no query yet */
	SLOT_IDLE,		 /* is connected, and has had one */
	SLOT_BUSY,		 /* executes its query */
	SLOT_CANCELLING, /* executes its query, which a thread asks PostgreSQL to end */
	SLOT_OVER,		 /* the query has ended, and the slot waits only for that thread */
} SlotState;

/* How far the query has come that is being executed. */
typedef enum QueryProgress
{
	PROGRESS_NONE,		/* nothing, or only rows that are collected */
	PROGRESS_PASSED,	/* rows were passed on */
	PROGRESS_TOO_LARGE, /* the budget was used up: the rest is thrown away */
	PROGRESS_COPYING,	/* PostgreSQL has begun to send a stream */
	PROGRESS_COPIED,	/* PostgreSQL has ended the stream */
} QueryProgress;

typedef struct PoolSlot
{
	PgPool *pool;
	SlotState state;
	QueryProgress progress;
	PgConnection *connection; /* NULL: SLOT_CLOSED */
	uint64_t opened_ms;
	bool was_idle;		 /* the connection had been idle before the query was sent */
	uint64_t sent_ms;	 /* when the query was sent */
	Query *query;		 /* from SLOT_BUSY on */
	PGresult *result;	 /* of the query */
	TurnTask task;		 /* goes on with the query's rows */
	int statements_over; /* how many statements (settings, query; or those of a stream) have ended */
	bool role_refused;	 /* the statement that takes the role has failed */
	bool gated;			 /* the first statement asks for what the query needs of the server */
	bool gate_failed;
	PgCancellation *cancellation;
	uint64_t cancel_deadline_ms;
	uint64_t deadline_ms; /* PostgreSQL should have answered by then; 0: no limit */
	size_t result_bytes;  /* taken from the budget */
} PoolSlot;

struct PgPool
{
	uv_loop_t *loop;
	Turns *turns;
	const Config *config;
	PgPoolKind kind;
	PgPoolSight *sight; /* NULL: nobody asks */
	bool away;			/* the last attempt to connect has failed */
	bool ungated;		/* the extension has no historian.await_commit() */
	PoolSlot *slots;
	uint64_t slot_count;
	uint64_t queue_limit;
	Budget *budget;
	PgCanceller *canceller;
	QueryQueue queue;
	uint64_t stream_limit; /* streams at a time */
	uint64_t streams;	   /* streams that are being executed */
	Backoff pause;
	uint64_t pause_until_ms;
	char *pause_reason;
	uv_timer_t fail_timer; /* fails queued queries from the loop */
};

static void assign(PgPool *pool);
static void execute(PoolSlot *slot, Query *query);
static void send_pipeline(PoolSlot *slot, Query *query);
static void send_stream(PoolSlot *slot, const Query *query);
static uint64_t wait_ms(const PoolSlot *slot, const Query *query);
static void advance_rows(PoolSlot *slot);
static void go_on(TurnTask *task);
static void add_row(PoolSlot *slot, const PGresult *row);
static void check_limits(PoolSlot *slot, uint64_t now_ms);
static void drop(PoolSlot *slot);
static void query_ended(PoolSlot *slot);
static void finish(PoolSlot *slot);
static void answer(PoolSlot *slot, const QueryOutcome *outcome);
static void advance_stream(PoolSlot *slot);
static void cancel(PoolSlot *slot);
static void on_cancelled(void *argument);
static void disconnect(PoolSlot *slot);
static bool lost_before(const PoolSlot *slot);
static void repeat(PoolSlot *slot);
static void requeue(PoolSlot *slot);
static void connect_slot(PoolSlot *slot);
static void take_gate(PoolSlot *slot, const PGresult *result);
static bool gate_is_missing(PoolSlot *slot);
static void fail_queued(uv_timer_t *timer);
static void on_open(void *owner);
static void on_input(void *owner);
static void on_lost(void *owner, const char *reason);

static const PgHandler handler = {on_open, on_input, on_lost};

PgPool *
pg_pool_new(uv_loop_t *loop, Turns *turns, const Config *config, PgPoolKind kind,
			uint64_t connections, uint64_t queue_limit, Budget *budget, PgPoolSight *sight)
{
	PgPool *pool = memory_new(sizeof(PgPool));

	pool->loop = loop;
	pool->turns = turns;
	pool->config = config;
	pool->kind = kind;
	pool->sight = sight;
	pool->slot_count = connections;
	pool->queue_limit = queue_limit;
	pool->budget = budget;
	pool->pause = connect_pause;
	query_queue_init(&pool->queue);
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

/* Changes a slot's state; the table has the states that may follow each. */
static void
set_state(PoolSlot *slot, SlotState state)
{
#define TO(state) (1u << (state))
	static const unsigned next[] = {
		[SLOT_CLOSED] = TO(SLOT_CONNECTING),
		[SLOT_CONNECTING] = TO(SLOT_NEW) | TO(SLOT_CLOSED),
		[SLOT_NEW] = TO(SLOT_BUSY) | TO(SLOT_CLOSED),
		[SLOT_IDLE] = TO(SLOT_BUSY) | TO(SLOT_CLOSED),
		[SLOT_BUSY] = TO(SLOT_IDLE) | TO(SLOT_CANCELLING) | TO(SLOT_CLOSED),
		[SLOT_CANCELLING] = TO(SLOT_BUSY) | TO(SLOT_OVER) | TO(SLOT_CLOSED),
		[SLOT_OVER] = TO(SLOT_IDLE) | TO(SLOT_CLOSED),
	};

	ASSERT((next[slot->state] & TO(state)) != 0);
	slot->state = state;
#undef TO
}

/* Is the slot's connection made? */
static bool
connected(const PoolSlot *slot)
{
	return slot->state >= SLOT_NEW;
}

/* Does a thread ask PostgreSQL to end the slot's query? */
static bool
cancelling(const PoolSlot *slot)
{
	return slot->state == SLOT_CANCELLING || slot->state == SLOT_OVER;
}

static void
enqueue(PgPool *pool, Query *query)
{
	query->pool = pool;
	query->queued_ms = uv_now(pool->loop);
	query->deadline_ms = query->queued_ms + pool->config->query_timeout_ms;
	query_queue_append(&pool->queue, query);
	assign(pool);
}

PgQuery *
pg_pool_submit(PgPool *pool, const QuerySource *source, const char *sql, int parameter_count,
			   const char *const *parameters, RowCallback on_row, QueryCallback callback,
			   void *argument)
{
	Query *query;

	if (pool->queue.count >= pool->queue_limit)
		return NULL;
	query = query_new(source, sql, parameter_count, parameters);
	query->on_row = on_row;
	query->callback = callback;
	query->argument = argument;
	enqueue(pool, query);
	return query;
}

PgQuery *
pg_pool_stream(PgPool *pool, const QuerySource *source, const char *copy_sql,
			   const StreamHandler *stream, void *argument)
{
	Query *query;

	if (pool->queue.count >= pool->queue_limit)
		return NULL;
	query = query_new_stream(source, STREAM_SETTINGS_SQL, copy_sql);
	query->stream = stream;
	query->callback = stream->on_end;
	query->argument = argument;
	enqueue(pool, query);
	return query;
}

void
pg_query_resume(PgQuery *query)
{
	if (!query->paused)
		return;
	query->paused = false;
	query->progress_ms = uv_now(query->pool->loop);
	/*
	 * Data that libpq has read already makes no event of the socket.  It is passed on before more is
	 * read, because libpq's buffer grows for what comes behind it.
	 */
	pg_connection_again(query->slot->connection);
}

bool
pg_query_lag(const PgQuery *query, int64_t *lag_ms)
{
	*lag_ms = query->lag_ms;
	return query->lag_known;
}

bool
pg_pool_away(PgPool *pool)
{
	uint64_t now_ms = uv_now(pool->loop);
	PoolSlot *closed = NULL;
	bool connecting = false;
	bool slow = false;

	for (uint64_t i = 0; i < pool->slot_count; i++)
	{
		PoolSlot *slot = &pool->slots[i];

		if (connected(slot))
			return false;
		if (slot->state == SLOT_CLOSED)
			closed = slot;
		connecting |= slot->state == SLOT_CONNECTING;
		slow |= slot->state == SLOT_CONNECTING && now_ms - slot->opened_ms >= SLOW_CONNECT_MS;
	}
	if (pool->away && !connecting && closed != NULL && now_ms >= pool->pause_until_ms)
		connect_slot(closed);
	return pool->away || slow;
}

/* How many queued queries could be executed if there were enough connections. */
static uint64_t
count_runnable(const PgPool *pool)
{
	uint64_t room = pool->stream_limit - pool->streams;

	return pool->queue.count - pool->queue.streams +
		   (pool->queue.streams < room ? pool->queue.streams : room);
}

void
pg_query_cancel(PgQuery *query)
{
	if (query->slot != NULL)
	{
		query->abandoned = true;
		pg_query_resume(query);
		cancel(query->slot);
		return;
	}
	query_queue_remove(&query->pool->queue, query);
	query_free(query);
}

/* Gives queued queries to idle connections, and opens connections for those left over. */
static void
assign(PgPool *pool)
{
	uint64_t connecting = 0;
	uint64_t wanted;

	for (uint64_t i = 0; i < pool->slot_count && pool->queue.count > 0; i++)
	{
		PoolSlot *slot = &pool->slots[i];

		if (slot->state == SLOT_NEW || slot->state == SLOT_IDLE)
		{
			Query *query = query_queue_take_runnable(
				&pool->queue, pool->streams < pool->stream_limit, slot->state == SLOT_NEW);

			if (query != NULL)
				execute(slot, query);
		}
		connecting += slot->state == SLOT_CONNECTING;
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

		if (slot->state != SLOT_CLOSED)
			continue;
		connect_slot(slot);
		connecting++;
	}
}

static void
connect_slot(PoolSlot *slot)
{
	PgPool *pool = slot->pool;
	const Config *config = pool->config;
	bool reads = pool->kind == PG_POOL_READS;
	const char *session_attrs = "";

	if (pool->kind == PG_POOL_PRIMARY)
		session_attrs = "primary";
	else if (reads && config->read_from != READ_FROM_ANY)
		session_attrs = "prefer-standby";
	set_state(slot, SLOT_CONNECTING);
	slot->opened_ms = uv_now(pool->loop);
	slot->connection =
		pg_connection_open(pool->loop, reads ? config->read_database : config->database,
						   session_attrs, config->database_password_file, &handler, slot);
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
	Query *query;

	for (uint64_t i = 0; i < pool->slot_count; i++)
	{
		if (connected(&pool->slots[i]))
			late = &busy;
	}
	while ((query = query_queue_first_late(&pool->queue, uv_now(pool->loop), late == &away)) !=
		   NULL)
	{
		query_queue_remove(&pool->queue, query);
		query->callback(query->argument, late);
		query_free(query);
	}
	for (uint64_t i = 0; i < pool->slot_count; i++)
		check_limits(&pool->slots[i], uv_now(pool->loop));
}

/* Ends a query, a cancellation or an idle connection that has lasted too long. */
static void
check_limits(PoolSlot *slot, uint64_t now_ms)
{
	const Config *config = slot->pool->config;
	Query *query = slot->query;

	switch (slot->state)
	{
		case SLOT_CLOSED:
		case SLOT_CONNECTING:
			break;
		case SLOT_NEW:
		case SLOT_IDLE:
			if (now_ms - slot->opened_ms > config->read_connection_lifetime_ms)
				disconnect(slot);
			break;
		case SLOT_BUSY:
			if (slot->deadline_ms > 0 && slot->deadline_ms <= now_ms)
				drop(slot);
			/* A deadline says that it was cancelled already: a further time would only defer that. */
			else if (query->stream != NULL && !query->paused && slot->deadline_ms == 0 &&
					 now_ms - query->progress_ms > config->query_timeout_ms)
				cancel(slot);
			break;
		case SLOT_CANCELLING:
			if (slot->cancel_deadline_ms <= now_ms || slot->deadline_ms <= now_ms)
				drop(slot);
			break;
		case SLOT_OVER:
			if (slot->cancel_deadline_ms > now_ms)
				break;
			disconnect(slot);
			finish(slot);
			break;
	}
}

/* Fails the queued queries because no connection can be made. */
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
		if (connected(&pool->slots[i]))
			return; /* there is a connection, for which the queries can wait */
	}
	for (uint64_t left = pool->queue.count; left > 0; left--)
	{
		Query *query = query_queue_take(&pool->queue);

		if (query == NULL)
			return;
		query->callback(query->argument, &outcome);
		query_free(query);
	}
}

/*
 * Sends a query on the slot's connection.  If that fails, the connection is broken: on_lost()
 * follows.
 */
static void
execute(PoolSlot *slot, Query *query)
{
	bool all;

	ASSERT(slot->query == NULL && slot->result == NULL && slot->result_bytes == 0);
	slot->was_idle = slot->state == SLOT_IDLE;
	set_state(slot, SLOT_BUSY);
	slot->query = query;
	query->slot = slot;
	slot->sent_ms = uv_now(slot->pool->loop);
	slot->progress = PROGRESS_NONE;
	slot->statements_over = 0;
	slot->role_refused = false;
	slot->gate_failed = false;
	slot->gated =
		slot->pool->kind != PG_POOL_WRITES && (!slot->pool->ungated || query->min_commit != NULL);
	slot->deadline_ms = 0;
	query->lag_known = false;
	query->standby = false;
	if (query->stream != NULL)
	{
		query->progress_ms = uv_now(slot->pool->loop);
		slot->pool->streams++;
		send_stream(slot, query);
		pg_connection_flush(slot->connection, &all);
		return;
	}
	send_pipeline(slot, query);
	slot->deadline_ms = uv_now(slot->pool->loop) + slot->pool->config->query_timeout_ms +
						wait_ms(slot, query) + GRACE_MS;
	pg_connection_flush(slot->connection, &all);
}

/* How long the server may wait until it has what the query needs. */
static uint64_t
wait_ms(const PoolSlot *slot, const Query *query)
{
	const Config *config = slot->pool->config;
	uint64_t longest_ms = config->query_timeout_ms / 2;

	if (query->min_commit == NULL)
		return 0;
	return config->min_commit_wait_ms < longest_ms ? config->min_commit_wait_ms : longest_ms;
}

/* The arguments of historian.await_commit() as text; NULL is NULL. */
typedef struct GateArguments
{
	char max_lag_ms[24];
	char wait_ms[24];
	const char *values[3];
} GateArguments;

static void
gate_arguments(GateArguments *arguments, const PoolSlot *slot, const Query *query)
{
	snprintf(arguments->max_lag_ms, sizeof(arguments->max_lag_ms), "%llu",
			 (unsigned long long) slot->pool->config->max_read_lag_ms);
	snprintf(arguments->wait_ms, sizeof(arguments->wait_ms), "%llu",
			 (unsigned long long) wait_ms(slot, query));
	arguments->values[0] = query->min_commit;
	arguments->values[1] = query->lag_bounded ? arguments->max_lag_ms : NULL;
	arguments->values[2] = arguments->wait_ms;
}

/* Sends the statements of a stream; what the server must have comes first, as the role that connected. */
static void
send_stream(PoolSlot *slot, const Query *query)
{
	GateArguments gate = {0};
	Bytes sql = {0};

	gate_arguments(&gate, slot, query);
	bytes_puts(&sql, query->comment);
	if (slot->gated)
		bytes_printf(&sql, "SELECT pg_is_in_recovery(), historian.await_commit(%s%s%s, %s, %s); ",
					 query->min_commit ? "'" : "", query->min_commit ? query->min_commit : "NULL",
					 query->min_commit ? "'" : "", gate.values[1] ? gate.values[1] : "NULL",
					 gate.values[2]);
	bytes_puts(&sql, query->sql);
	PQsendQuery(pg_connection_pq(slot->connection), bytes_text(&sql));
	bytes_free(&sql);
}

static void
send_pipeline(PoolSlot *slot, Query *query)
{
	PGconn *pq = pg_connection_pq(slot->connection);
	char timeout_ms[24];
	const char *settings[6] = {timeout_ms};
	GateArguments gate = {0};
	int count = 1;
	Bytes sql = {0};

	snprintf(timeout_ms, sizeof(timeout_ms), "%llu",
			 (unsigned long long) slot->pool->config->query_timeout_ms);
	bytes_puts(&sql, slot->pool->kind == PG_POOL_WRITES ? WRITE_SETTINGS_SQL : SETTINGS_SQL);
	if (query->role != NULL)
	{
		bytes_puts(&sql, ROLE_SQL);
		settings[count++] = query->role;
	}
	if (query->actor != NULL && slot->pool->kind == PG_POOL_WRITES)
	{
		bytes_printf(&sql, ACTOR_SQL, count + 1);
		settings[count++] = query->actor;
	}
	if (slot->gated)
	{
		gate_arguments(&gate, slot, query);
		bytes_printf(&sql, ", " GATE_SQL, count + 1, count + 2, count + 3);
		for (int i = 0; i < 3; i++)
			settings[count++] = gate.values[i];
	}
	PQenterPipelineMode(pq);
	PQsendQueryParams(pq, bytes_text(&sql), count, NULL, settings, NULL, NULL, 0);
	bytes_free(&sql);
	PQsendQueryParams(pq, query->sql, query->parameter_count, NULL,
					  (const char *const *) query->parameters, NULL, NULL, 0);
	PQpipelineSync(pq);
}

static void
on_open(void *owner)
{
	PoolSlot *slot = owner;

	set_state(slot, SLOT_NEW);
	slot->opened_ms = uv_now(slot->pool->loop);
	slot->pool->away = false;
	slot->pool->ungated = false; /* the extension may be another one by now */
	slot->pool->pause_until_ms = 0;
	backoff_reset(&slot->pool->pause);
	assign(slot->pool);
}

/* Goes on with the query at once, or queues a task if the turn's time is used up. */
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

/* The task of a slot. */
static void
go_on(TurnTask *task)
{
	PoolSlot *slot = (PoolSlot *) ((char *) task - offsetof(PoolSlot, task));

	pg_connection_pause(slot->connection, false);
	advance_rows(slot);
}

/*
 * Takes the rows that have come, until the slice ends.  The rest waits for a turn; no more is read
 * then.
 */
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
			/* After both statements comes the Sync's result, unless the connection is broken. */
			if (++slot->statements_over > 2)
				return;
			/* Otherwise libpq would collect the whole result before it returns any row. */
			if (slot->statements_over == 1)
				PQsetSingleRowMode(pq);
			continue;
		}
		if (status == PGRES_PIPELINE_SYNC)
		{
			PQclear(result);
			PQexitPipelineMode(pq);
			query_ended(slot);
			return;
		}
		if (status == PGRES_SINGLE_TUPLE)
			add_row(slot, result);
		else if (status == PGRES_FATAL_ERROR || (slot->statements_over > 0 && slot->result == NULL))
		{
			PQclear(slot->result);
			slot->result = result;
			slot->role_refused |= status == PGRES_FATAL_ERROR && slot->statements_over == 0;
			slot->gate_failed |= slot->role_refused && slot->gated;
			continue;
		}
		else if (slot->statements_over == 0 && slot->gated)
			take_gate(slot, result);
		PQclear(result);
		if (status == PGRES_SINGLE_TUPLE && turn_slice_over(slot->pool->turns))
		{
			pg_connection_pause(slot->connection, true);
			turn_queue(slot->pool->turns, &slot->task);
			return;
		}
	}
}

/* Answers the query, unless a thread is still cancelling it: that must end first. */
static void
query_ended(PoolSlot *slot)
{
	if (slot->state == SLOT_CANCELLING)
		set_state(slot, SLOT_OVER);
	else if (slot->state == SLOT_BUSY)
	{
		set_state(slot, SLOT_IDLE);
		finish(slot);
	}
}

/* The SQLSTATE of a result, or "". */
static const char *
sqlstate_of(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return sqlstate != NULL ? sqlstate : "";
}

/* Reads what the server has told of itself. */
static void
take_gate(PoolSlot *slot, const PGresult *result)
{
	Query *query = slot->query;
	PgPoolSight *sight = slot->pool->sight;
	int column = PQnfields(result) - GATE_COLUMNS;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return;
	query->standby = PQgetvalue(result, 0, column)[0] == 't';
	query->lag_known = !PQgetisnull(result, 0, column + 1);
	query->lag_ms = strtoll(PQgetvalue(result, 0, column + 1), NULL, 10);
	if (sight == NULL)
		return;
	atomic_store(&sight->role, query->standby ? SIGHT_STANDBY : SIGHT_PRIMARY);
	atomic_store(&sight->lag_ms, query->lag_known ? query->lag_ms : -1);
}

/*
 * If the extension is older than this server, sends the query again without asking for what it needs,
 * and returns true.  With min_commit it fails instead.
 */
static bool
gate_is_missing(PoolSlot *slot)
{
	const char *sqlstate = sqlstate_of(slot->result);
	bool missing =
		slot->gate_failed && (strcmp(sqlstate, "42883") == 0 || strcmp(sqlstate, "3F000") == 0);

	if (!missing || slot->connection == NULL || slot->query->abandoned ||
		slot->query->min_commit != NULL)
		return false;
	if (!slot->pool->ungated)
		log_warning("it is not known how far standbys are behind: %s; %s",
					PQresultErrorField(slot->result, PG_DIAG_MESSAGE_PRIMARY),
					sql_failure_cure(sqlstate));
	slot->pool->ungated = true;
	PQclear(slot->result);
	slot->result = NULL;
	requeue(slot);
	assign(slot->pool);
	return true;
}

/*
 * Closes the connection if it has led to a server that is read only, as after a failover: the next
 * one leads elsewhere.  Returns true if the query, which has changed nothing, is sent again on that.
 */
static bool
left_read_only(PoolSlot *slot)
{
	if (slot->connection == NULL || slot->pool->kind != PG_POOL_WRITES ||
		strcmp(sqlstate_of(slot->result), "25006") != 0)
		return false;
	disconnect(slot);
	if (slot->query->abandoned || slot->query->repeated)
		return false;
	PQclear(slot->result);
	slot->result = NULL;
	repeat(slot);
	assign(slot->pool);
	return true;
}

/* Passes a row to its query's on_row(); false if what that keeps exceeds the budget. */
static bool
pass_row(PoolSlot *slot, const PGresult *row)
{
	Query *query = slot->query;
	size_t bytes = query->on_row(query->argument, row);
	bool good = budget_take(slot->pool->budget, bytes);

	slot->progress = PROGRESS_PASSED;
	if (good)
		slot->result_bytes += bytes;
	return good;
}

/* Adds a row to the slot's result; false, with the result freed, if it exceeds the budget. */
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

/* Takes a row.  If it exceeds the budget, cancels the query. */
static void
add_row(PoolSlot *slot, const PGresult *row)
{
	if (slot->progress == PROGRESS_TOO_LARGE || slot->query->abandoned ||
		(slot->query->on_row != NULL ? pass_row(slot, row) : collect_row(slot, row)))
		return;
	slot->progress = PROGRESS_TOO_LARGE;
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

/* Passes on what has come of a stream, until it is paused. */
static void
advance_stream(PoolSlot *slot)
{
	PGconn *pq = pg_connection_pq(slot->connection);

	while (!slot->query->paused)
	{
		PGresult *result;

		if (slot->progress == PROGRESS_COPYING)
		{
			char *data;
			int length = PQgetCopyData(pq, &data, 1);

			if (length == 0)
				break;
			if (length > 0)
			{
				pass_on(slot, data, (size_t) length);
				PQfreemem(data);
				continue;
			}
			slot->progress = PROGRESS_COPIED; /* the next result says why */
		}
		if (PQisBusy(pq))
			break;
		result = PQgetResult(pq);
		if (result == NULL)
		{
			pg_connection_pause(slot->connection, false);
			query_ended(slot);
			return;
		}
		if (PQresultStatus(result) == PGRES_COPY_OUT)
			slot->progress = PROGRESS_COPYING;
		else if (slot->gated && slot->statements_over == 0 &&
				 PQresultStatus(result) == PGRES_TUPLES_OK)
			take_gate(slot, result);
		else if (slot->result == NULL &&
				 (slot->progress == PROGRESS_COPIED || PQresultStatus(result) != PGRES_COMMAND_OK))
		{
			slot->role_refused = slot->statements_over == slot->gated;
			slot->gate_failed = slot->gated && slot->statements_over == 0;
			slot->result = result;
			continue;
		}
		slot->statements_over++;
		PQclear(result);
	}
	if (!slot->query->paused)
		pg_connection_pause(slot->connection, false);
}

/* Has PostgreSQL asked to end the slot's query, which then ends with an error like any other. */
static void
cancel(PoolSlot *slot)
{
	if (cancelling(slot))
		return;
	set_state(slot, SLOT_CANCELLING);
	slot->cancel_deadline_ms = uv_now(slot->pool->loop) + CANCEL_MS;
	slot->deadline_ms = uv_now(slot->pool->loop) + slot->pool->config->query_timeout_ms + GRACE_MS;
	slot->cancellation =
		pg_cancel(slot->pool->canceller, pg_connection_pq(slot->connection), on_cancelled, slot);
}

static void
on_cancelled(void *argument)
{
	PoolSlot *slot = argument;

	if (slot->state == SLOT_CANCELLING)
		set_state(slot, SLOT_BUSY); /* the query has not ended yet */
	else
	{
		set_state(slot, SLOT_IDLE);
		finish(slot);
	}
}

/* Answers the slot's query, which has ended, with its result or its error. */
static void
finish(PoolSlot *slot)
{
	bool not_replicated =
		slot->connection != NULL && pg_connection_take_not_replicated(slot->connection);
	PGresult *result;

	if (left_read_only(slot) || gate_is_missing(slot))
		return;
	/* A primary that lacks a commit may be an old one: the next connection looks for the present one. */
	if (slot->connection != NULL && strcmp(sqlstate_of(slot->result), "RH003") == 0 &&
		uv_now(slot->pool->loop) - slot->opened_ms > OLD_CONNECTION_MS)
		disconnect(slot);
	result = slot->result;
	slot->result = NULL;
	if (slot->progress == PROGRESS_TOO_LARGE)
		answer(slot, &(QueryOutcome){
						 .sqlstate = "",
						 .message = "the results under way have more bytes than allowed "
									"(--max-result-bytes); ask for less, or later",
						 .limit = 503,
					 });
	else if (not_replicated)
		answer(slot,
			   &(QueryOutcome){
				   .sqlstate = "",
				   .message = "the change is committed, but PostgreSQL was told not to wait for "
							  "the synchronous standby, which may not have it; sending it "
							  "again is harmless",
				   .limit = 503,
			   });
	else if (PQresultStatus(result) == PGRES_TUPLES_OK ||
			 PQresultStatus(result) == PGRES_COMMAND_OK)
		answer(slot, &(QueryOutcome){.result = result});
	else
	{
		const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		bool role = slot->role_refused && slot->query->role != NULL && sqlstate != NULL &&
					(strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "42", 2) == 0);

		answer(slot, &(QueryOutcome){.sqlstate = sqlstate ? sqlstate : "",
									 .message = message ? message : "the query failed",
									 .limit = role ? 500 : 0,
									 .hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT)});
	}
	PQclear(result);
	assign(slot->pool);
}

/* Calls the query's callback, unless it is abandoned, and frees the query. */
static void
answer(PoolSlot *slot, const QueryOutcome *outcome)
{
	PgPool *pool = slot->pool;
	Query *query = slot->query;
	size_t bytes = slot->result_bytes;

	/* The callback may submit the next query, which the slot may then execute at once. */
	slot->query = NULL;
	slot->deadline_ms = 0;
	slot->result_bytes = 0;
	pool->streams -= query->stream != NULL;
	if (!query->abandoned)
	{
		QueryOutcome whole = *outcome;

		whole.standby = query->standby;
		whole.lag_known = query->lag_known;
		whole.lag_ms = query->lag_ms;
		query->callback(query->argument, &whole);
	}
	query_free(query);
	budget_return(pool->budget, bytes);
}

/* Gives up a connection on which PostgreSQL has neither answered nor ended the query. */
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

/* Closes the slot after its connection is gone, and forgets what was under way on that. */
static void
forget_connection(PoolSlot *slot)
{
	slot->connection = NULL;
	turn_unqueue(&slot->task);
	if (cancelling(slot))
		pg_cancellation_abandon(slot->cancellation);
	set_state(slot, SLOT_CLOSED);
}

static void
disconnect(PoolSlot *slot)
{
	pg_connection_close(slot->connection);
	forget_connection(slot);
}

/*
 * Repeats or fails the slot's query; after a failed attempt to connect, pauses before the next one.
 */
static void
on_lost(void *owner, const char *reason)
{
	PoolSlot *slot = owner;
	PgPool *pool = slot->pool;
	bool was_connected = connected(slot);

	log_warning("no connection to PostgreSQL for reading: %s", reason);
	forget_connection(slot);
	if (slot->query != NULL && lost_before(slot))
		repeat(slot);
	PQclear(slot->result);
	slot->result = NULL;
	if (slot->query != NULL)
		answer(slot, &(QueryOutcome){.sqlstate = "", .message = reason, .broken = true});
	if (was_connected)
	{
		assign(pool); /* a new connection may succeed */
		return;
	}
	pool->away = true;
	if (pool->sight != NULL)
		atomic_store(&pool->sight->role, SIGHT_AWAY);
	free(pool->pause_reason);
	pool->pause_reason = memory_strdup(reason);
	pool->pause_until_ms = uv_now(pool->loop) + backoff_next_ms(&pool->pause);
	if (pool->queue.count > 0)
		uv_timer_start(&pool->fail_timer, fail_queued, 0, 0);
}

/*
 * Was the connection probably lost before the query was sent?  If so, nothing of an answer has
 * come.
 */
static bool
lost_before(const PoolSlot *slot)
{
	const Query *query = slot->query;

	return slot->was_idle && !query->abandoned && !query->repeated &&
		   slot->progress == PROGRESS_NONE &&
		   (slot->result == NULL || PQresultStatus(slot->result) == PGRES_FATAL_ERROR) &&
		   uv_now(slot->pool->loop) - slot->sent_ms <= LOST_BEFORE_MS;
}

/* Queues the slot's query again, for a new connection. */
static void
repeat(PoolSlot *slot)
{
	slot->query->repeated = true;
	requeue(slot);
}

/* Queues the slot's query again, before all others. */
static void
requeue(PoolSlot *slot)
{
	PgPool *pool = slot->pool;
	Query *query = slot->query;

	slot->query = NULL;
	slot->deadline_ms = 0;
	pool->streams -= query->stream != NULL;
	query->slot = NULL;
	query->paused = false;
	budget_return(pool->budget, slot->result_bytes);
	slot->result_bytes = 0;
	query_queue_prepend(&pool->queue, query);
}
