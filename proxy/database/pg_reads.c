/*
 * pg_reads.c
 *	  Queries that read, each executed by the server that should answer it, or else by another one.
 *
 * There are two pools, that of --read-database and that of the primary.  A read goes to one after the
 * other in the order of --read-from, until one answers.  A pool is passed over if it is away.  A read
 * goes on to the next pool if no connection can be made, if the server does not have what the read
 * needs, or if a standby breaks the query off because of what it has to replay; but not after rows
 * were passed on.  If the connection breaks while the query is executed, the read fails: a query that
 * ends servers must not go from one to the next.
 *
 *		primary				the primary; a standby
 *		standby-preferred	a standby within --max-read-lag; the primary; a standby, however old
 *		any					the same, with whatever server --read-database leads to as the standby
 */
#include "database/pg_reads.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ATTEMPTS 3

struct PgReads
{
	PgPool *pools[PG_POOL_SIGHTS];
	const Config *config;
};

typedef struct Attempt
{
	PgPoolKind pool;
	bool lag_bounded;
} Attempt;

typedef struct Order
{
	int count;
	Attempt attempts[MAX_ATTEMPTS];
} Order;

static const Order primary_first = {2, {{PG_POOL_PRIMARY, false}, {PG_POOL_READS, false}}};
static const Order standby_first = {
	3,
	{{PG_POOL_READS, true}, {PG_POOL_PRIMARY, false}, {PG_POOL_READS, false}},
};

struct PgRead
{
	PgReads *reads;
	const Order *order;
	int attempt; /* the one under way */
	PgQuery *query;
	bool passed;		/* the caller has got rows */
	char *unknown;		/* what the primary has said of a commit that it does not have, or NULL */
	char *unknown_hint; /* the same */

	char *traceparent;
	char *role;
	char *actor;
	char *min_commit;
	char *sql;
	int parameter_count;
	char *parameters[QUERY_MAX_PARAMETERS];
	RowCallback on_row;
	const StreamHandler *stream; /* NULL: an ordinary query */
	QueryCallback callback;
	void *argument;
};

static PgRead *read_new(PgReads *reads, const QuerySource *source, const char *min_commit,
						const char *sql);
static void read_free(PgRead *read);
static bool attempt(PgRead *read, int first);
static size_t on_row(void *argument, const PGresult *row);
static bool on_data(void *argument, const char *data, size_t length);
static void on_outcome(void *argument, const QueryOutcome *outcome);

static const StreamHandler stream_handler = {on_data, on_outcome};

PgReads *
pg_reads_new(PgPool *reads, PgPool *primary, const Config *config)
{
	PgReads *all = memory_new(sizeof(PgReads));

	all->pools[PG_POOL_READS] = reads;
	all->pools[PG_POOL_PRIMARY] = primary;
	all->config = config;
	return all;
}

PgRead *
pg_reads_submit(PgReads *reads, const QuerySource *source, const char *min_commit, const char *sql,
				int parameter_count, const char *const *parameters, RowCallback row_callback,
				QueryCallback callback, void *argument)
{
	PgRead *read = read_new(reads, source, min_commit, sql);

	ASSERT(parameter_count <= QUERY_MAX_PARAMETERS);
	read->parameter_count = parameter_count;
	for (int i = 0; i < parameter_count; i++)
		read->parameters[i] = memory_strdup(parameters[i]);
	read->on_row = row_callback;
	read->callback = callback;
	read->argument = argument;
	if (attempt(read, 0))
		return read;
	read_free(read);
	return NULL;
}

PgRead *
pg_reads_stream(PgReads *reads, const QuerySource *source, const char *min_commit,
				const char *copy_sql, const StreamHandler *handler, void *argument)
{
	PgRead *read = read_new(reads, source, min_commit, copy_sql);

	read->stream = handler;
	read->callback = handler->on_end;
	read->argument = argument;
	if (attempt(read, 0))
		return read;
	read_free(read);
	return NULL;
}

void
pg_read_resume(PgRead *read)
{
	pg_query_resume(read->query);
}

void
pg_read_cancel(PgRead *read)
{
	pg_query_cancel(read->query);
	read_free(read);
}

bool
pg_read_lag(const PgRead *read, int64_t *lag_ms)
{
	return pg_query_lag(read->query, lag_ms);
}

static char *
copy(const char *text)
{
	return text != NULL ? memory_strdup(text) : NULL;
}

static PgRead *
read_new(PgReads *reads, const QuerySource *source, const char *min_commit, const char *sql)
{
	PgRead *read = memory_new(sizeof(PgRead));

	read->reads = reads;
	read->order = reads->config->read_from == READ_FROM_PRIMARY ? &primary_first : &standby_first;
	read->traceparent = copy(source->traceparent);
	read->role = copy(source->role);
	read->actor = copy(source->actor);
	read->min_commit = copy(min_commit);
	read->sql = memory_strdup(sql);
	return read;
}

static void
read_free(PgRead *read)
{
	for (int i = 0; i < read->parameter_count; i++)
		free(read->parameters[i]);
	free(read->traceparent);
	free(read->role);
	free(read->actor);
	free(read->min_commit);
	free(read->sql);
	free(read->unknown);
	free(read->unknown_hint);
	free(read);
}

/*
 * Submits the read to the first pool, of the attempts from this one on, that is not away, or else to
 * the last one; false if its queue is full.
 */
static bool
attempt(PgRead *read, int first)
{
	const Order *order = read->order;
	const Attempt *chosen;
	PgPool *pool;
	QuerySource source = {
		.traceparent = read->traceparent,
		.role = read->role,
		.actor = read->actor,
		.min_commit = read->min_commit,
	};

	read->attempt = first;
	while (read->attempt < order->count - 1 &&
		   pg_pool_away(read->reads->pools[order->attempts[read->attempt].pool]))
		read->attempt++;
	chosen = &order->attempts[read->attempt];
	pool = read->reads->pools[chosen->pool];
	source.lag_bounded = chosen->lag_bounded;
	source.hasty = read->attempt < order->count - 1;
	if (read->stream != NULL)
		read->query = pg_pool_stream(pool, &source, read->sql, &stream_handler, read);
	else
		read->query = pg_pool_submit(pool, &source, read->sql, read->parameter_count,
									 (const char *const *) read->parameters,
									 read->on_row != NULL ? on_row : NULL, on_outcome, read);
	return read->query != NULL;
}

static size_t
on_row(void *argument, const PGresult *row)
{
	PgRead *read = argument;

	read->passed = true;
	return read->on_row(read->argument, row);
}

static bool
on_data(void *argument, const char *data, size_t length)
{
	PgRead *read = argument;

	read->passed = true;
	return read->stream->on_data(read->argument, data, length);
}

/* May another server answer what this one has not? */
static bool
others_may(const QueryOutcome *outcome)
{
	const char *sqlstate = outcome->sqlstate;

	if (outcome->result != NULL || outcome->limit != 0 || outcome->broken)
		return false;
	return sqlstate[0] == '\0' || strncmp(sqlstate, "RH", 2) == 0 ||
		   (strcmp(sqlstate, "40001") == 0 && outcome->standby);
}

static void
on_outcome(void *argument, const QueryOutcome *outcome)
{
	PgRead *read = argument;
	QueryOutcome last = *outcome;
	bool unknown = strcmp(outcome->result == NULL ? outcome->sqlstate : "", "RH003") == 0;

	read->query = NULL;
	if (unknown && read->unknown == NULL &&
		read->order->attempts[read->attempt].pool == PG_POOL_PRIMARY)
	{
		read->unknown = memory_strdup(outcome->message);
		read->unknown_hint = copy(outcome->hint);
	}
	if (others_may(outcome) && !read->passed && read->attempt < read->order->count - 1)
	{
		if (attempt(read, read->attempt + 1))
			return;
		last = (QueryOutcome){
			.sqlstate = "",
			.message = "too many queries are waiting (--max-queued-queries)",
			.limit = 503,
		};
	}
	else if (read->unknown != NULL && others_may(outcome))
	{
		last.sqlstate = "RH003";
		last.message = read->unknown;
		last.hint = read->unknown_hint;
	}
	else if (unknown)
		last.sqlstate = "RH001"; /* the primary, which would know, was not reached */
	read->callback(read->argument, &last);
	read_free(read);
}
