/*
 * route_status.c
 *	  GET /livez, /healthz, /readyz and /metrics.
 */
#include "routes.h"

#include "server.h"

#include <stdio.h>
#include <string.h>

static bool livez_end(Exchange *exchange);
static bool readyz_end(Exchange *exchange);
static bool metrics_end(Exchange *exchange);

const Route route_livez = {.path = "/livez", .metric = ROUTE_STATUS, .end = livez_end};
const Route route_healthz = {.path = "/healthz", .metric = ROUTE_STATUS, .end = livez_end};
const Route route_readyz = {.path = "/readyz", .metric = ROUTE_STATUS, .end = readyz_end};
const Route route_metrics = {.path = "/metrics", .metric = ROUTE_STATUS, .end = metrics_end};

static bool
livez_end(Exchange *exchange)
{
	http_answer(exchange, 200, "text/plain", NULL, "alive\n", 6);
	return true;
}

static bool
readyz_end(Exchange *exchange)
{
	Server *server = ((ServerLoop *) exchange->server_loop)->server;
	char why[512];

	if (atomic_load(&server->draining))
		http_problem(exchange, 503, "the server is stopping");
	else if (!atomic_load(&server->database_connected))
	{
		char trouble[sizeof(server->trouble)];

		pthread_mutex_lock(&server->trouble_lock);
		snprintf(trouble, sizeof(trouble), "%s", server->trouble);
		pthread_mutex_unlock(&server->trouble_lock);
		http_problem(exchange, 503, "PostgreSQL does not take rows now: %s", trouble);
	}
	else if (!table_check_good(server->table_check, why, sizeof(why)))
		http_problem(exchange, 503, "%s", why);
	else if (ingest_full(server->ingest))
		http_problem(exchange, 503, "the buffer is full (--max-buffered-bytes)");
	else
		http_answer(exchange, 200, "text/plain", NULL, "ready\n", 6);
	return true;
}

static bool
metrics_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	Server *server = loop->server;
	Metrics *all[CONFIG_MAX_THREADS + 1];
	MetricGauges gauges = {
		.buffer_bytes = ingest_bytes(server->ingest),
		.buffer_limit_bytes = server->config->max_buffered_bytes,
		.spool_bytes = atomic_load(&server->spool_bytes),
		.oldest_age_ms = atomic_load(&server->oldest_age_ms),
		.table = server->config->table,
		.database_connected = atomic_load(&server->database_connected),
	};
	Bytes text = {0};

	for (int i = 0; i < server->loop_count; i++)
		all[i] = &server->loops[i].metrics;
	all[server->loop_count] = &server->writer_metrics;
	metrics_expose(&text, all, server->loop_count + 1, &gauges);
	database_metrics_expose(server->database_metrics, &text);
	http_answer(exchange, 200, "text/plain; version=0.0.4", NULL, text.data, text.length);
	bytes_free(&text);
	return true;
}
