/*
 * route_status.c
 *	  GET /livez, /healthz, /readyz, /metrics, and InfluxDB's /health.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "loop.h"

#include <stdio.h>
#include <string.h>

static bool livez_end(Exchange *exchange);
static bool readyz_end(Exchange *exchange);
static bool metrics_end(Exchange *exchange);
static bool health_end(Exchange *exchange);

const Route route_livez = {.path = "/livez",
						   .metric = ROUTE_STATUS,
						   .health = true,
						   .access = ACCESS_OPEN,
						   .end = livez_end};
const Route route_healthz = {.path = "/healthz",
							 .metric = ROUTE_STATUS,
							 .health = true,
							 .access = ACCESS_OPEN,
							 .end = livez_end};
const Route route_readyz = {.path = "/readyz",
							.metric = ROUTE_STATUS,
							.health = true,
							.access = ACCESS_OPEN,
							.end = readyz_end};
const Route route_health = {.path = "/health",
							.metric = ROUTE_STATUS,
							.health = true,
							.access = ACCESS_OPEN,
							.end = health_end};
const Route route_metrics = {.path = "/metrics",
							 .metric = ROUTE_STATUS,
							 .health = true,
							 .access = ACCESS_READ,
							 .end = metrics_end};

/* Room for why the server is not ready. */
#define FOUND_BYTES (SQL_FAILURE_TEXT_BYTES + 64)

static bool
livez_end(Exchange *exchange)
{
	http_answer(exchange, 200, "text/plain", NULL, "alive\n", 6);
	return true;
}

/* Returns why the server should get no messages now, or NULL.  found is room for the reason. */
static const char *
why_not_ready(LoopShared *shared, char *found, size_t size)
{
	if (atomic_load(&shared->draining))
		return "the server is stopping";
	if (!atomic_load(&shared->writer.connected))
	{
		char trouble[sizeof(shared->writer.trouble)];

		pthread_mutex_lock(&shared->writer.trouble_lock);
		snprintf(trouble, sizeof(trouble), "%s", shared->writer.trouble);
		pthread_mutex_unlock(&shared->writer.trouble_lock);
		snprintf(found, size, "PostgreSQL does not take rows now: %s", trouble);
		return found;
	}
	if (!table_check_good(shared->table_check, found, size))
		return found;
	if (ingest_full(shared->ingest))
		return "the buffer is full (--max-buffered-bytes)";
	return NULL;
}

/*
 * Does the server still find out whether it is ready?  Whoever starts it asks until it is, so that such an answer is no
 * failure; where PostgreSQL cannot be reached, or does not have the table, the attempt itself is logged.
 */
static bool
starting(LoopShared *shared)
{
	return !atomic_load(&shared->draining) &&
		   (atomic_load(&shared->writer.starting) || table_check_starting(shared->table_check));
}

/* The reason names the table and perhaps a role, which are not for everybody where tokens are asked for. */
static const char *
shown(const Exchange *exchange, const char *why)
{
	return exchange->principal != NULL
			   ? why
			   : "the server is not ready; its log says why, and so does this answer to a token";
}

static const char *const pool_names[PG_POOL_SIGHTS] = {"reads", "primary"};
static const char *const role_names[] = {"not asked yet", "primary", "standby", "away"};

/*
 * Appends for each pool of connections for reads what answered last, and how far behind it was: as
 * lines, or as members of JSON.
 */
static void
put_pools(Bytes *body, LoopShared *shared, bool json)
{
	for (int i = 0; i < PG_POOL_SIGHTS; i++)
	{
		const PgPoolSight *sight = &shared->sights[i];
		int role = (int) atomic_load(&sight->role);
		long long lag_ms = (long long) atomic_load(&sight->lag_ms);

		bytes_printf(body, json ? ",\"%s\":\"%s" : "%s: %s", pool_names[i], role_names[role]);
		if (role == SIGHT_STANDBY && lag_ms >= 0)
			bytes_printf(body, ", %lld ms behind", lag_ms);
		bytes_puts(body, json ? "\"" : "\n");
	}
}

/* Appends the same as metrics, of the pools that have been used. */
static void
expose_pools(Bytes *text, LoopShared *shared)
{
	bytes_puts(text,
			   "# HELP historiand_read_pool_role 1 for what answered the last read of a pool of "
			   "connections: the pool of --read-database, or that of the primary.\n"
			   "# TYPE historiand_read_pool_role gauge\n");
	for (int i = 0; i < PG_POOL_SIGHTS; i++)
	{
		int role = (int) atomic_load(&shared->sights[i].role);

		for (int j = SIGHT_PRIMARY; role != SIGHT_NONE && j <= SIGHT_AWAY; j++)
			bytes_printf(text, "historiand_read_pool_role{pool=\"%s\",role=\"%s\"} %d\n",
						 pool_names[i], role_names[j], role == j);
	}
	bytes_puts(text,
			   "# HELP historiand_read_pool_lag_seconds How old the data were at most of which "
			   "the last read was answered.\n"
			   "# TYPE historiand_read_pool_lag_seconds gauge\n");
	for (int i = 0; i < PG_POOL_SIGHTS; i++)
	{
		int role = (int) atomic_load(&shared->sights[i].role);
		long long lag_ms = (long long) atomic_load(&shared->sights[i].lag_ms);

		if ((role == SIGHT_PRIMARY || role == SIGHT_STANDBY) && lag_ms >= 0)
			bytes_printf(text, "historiand_read_pool_lag_seconds{pool=\"%s\"} %lld.%03lld\n",
						 pool_names[i], lag_ms / 1000, lag_ms % 1000);
	}
}

static bool
readyz_end(Exchange *exchange)
{
	char found[FOUND_BYTES];
	LoopShared *shared = loop_of(exchange)->shared;
	const char *why = why_not_ready(shared, found, sizeof(found));
	Bytes body = {0};

	exchange->awaited = starting(loop_of(exchange)->shared);
	if (why != NULL)
	{
		http_problem_begin(exchange, &body, 503, shown(exchange, why));
		put_pools(&body, shared, true);
		http_problem_body(exchange, 503, &body);
		return true;
	}
	bytes_puts(&body, "ready\n");
	put_pools(&body, shared, false);
	http_answer(exchange, 200, "text/plain", NULL, body.data, body.length);
	bytes_free(&body);
	return true;
}

/* Answers the same in the form that clients of InfluxDB 2 expect. */
static bool
health_end(Exchange *exchange)
{
	char found[FOUND_BYTES];
	const char *why = why_not_ready(loop_of(exchange)->shared, found, sizeof(found));
	Bytes body = {0};

	exchange->awaited = starting(loop_of(exchange)->shared);
	if (why != NULL)
		why = shown(exchange, why);
	bytes_puts(&body, "{\"name\":\"historiand\",\"message\":");
	bytes_json_string(&body, why != NULL ? why : "ready for writes",
					  strlen(why != NULL ? why : "ready for writes"));
	bytes_printf(&body, ",\"status\":\"%s\",\"checks\":[],\"version\":\"%s\"}\n",
				 why != NULL ? "fail" : "pass", historiand_version);
	http_answer(exchange, why != NULL ? 503 : 200, "application/json", NULL, body.data,
				body.length);
	bytes_free(&body);
	return true;
}

/* Answers with the metrics of the server, and with those of the database. */
static bool
metrics_end(Exchange *exchange)
{
	LoopShared *shared = loop_of(exchange)->shared;
	bool all = exchange->principal->prefix_length == 0; /* of the database, tags and tokens */
	MetricGauges gauges = {
		.buffer_bytes = ingest_bytes(shared->ingest),
		.buffer_limit_bytes = shared->config->max_buffered_bytes,
		.request_bytes = ingest_other_bytes(shared->ingest),
		.result_bytes = budget_used(shared->results),
		.result_limit_bytes = shared->config->max_result_bytes,
		.connection_bytes = budget_used(shared->states),
		.set_aside = atomic_load(&shared->writer.set_aside),
		.spool_bytes = atomic_load(&shared->writer.spool_bytes),
		.oldest_age_ms = atomic_load(&shared->writer.oldest_age_ms),
		.clients = quotas_count(shared->quotas),
		.table = shared->config->table,
		.tokens = shared->tokens != NULL && all,
		.database_connected = atomic_load(&shared->writer.connected),
	};
	Bytes text = {0};

	metrics_expose(&text, shared->metrics, shared->metrics_count, &gauges);
	expose_pools(&text, shared);
	if (all)
	{
		database_metrics_expose(shared->database_metrics, &text);
		watchdog_expose(shared->watchdog, &text);
	}
	http_answer(exchange, 200, "text/plain; version=0.0.4", NULL, text.data, text.length);
	bytes_free(&text);
	return true;
}
