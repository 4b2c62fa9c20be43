/*
 * http_limit.c
 *	  Limits on clients: what is answered 429 (RFC 6585).
 *
 * A request counts for the name of its token or certificate, wherever it comes from, and without a
 * name for the address.  A connection counts for its address, because it has no name yet.
 *
 * What asks whether the server is alive or ready is never refused: a load balancer in front of the
 * server has the address of all of its clients, and would take a refusal for a server that is down.
 */
#include "http/http_limit.h"

#include "http/http_answer.h"
#include "http/http_trace.h"

#include <stdio.h>

#define SECOND_NS UINT64_C(1000000000)

uint64_t
http_limit_connection(HttpConnection *connection)
{
	HttpLoop *loop = connection->loop;
	struct sockaddr_storage peer = {.ss_family = AF_UNIX};
	int length = sizeof(peer);
	uint64_t limit = connection->health ? 0 : loop->config->limit_connections;
	uint64_t count;

	if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *) &peer, &length) != 0)
		peer.ss_family = AF_UNIX; /* it has left already */
	connection->quota = quotas_of_address(loop->quotas, (const struct sockaddr *) &peer);
	count = quota_begin(connection->quota, QUOTA_CONNECTIONS);
	if (limit == 0 || count <= limit)
		return 0;
	metric_add(&loop->metrics->limited[LIMIT_COUNTERS - 1][LIMIT_CONNECTIONS], 1);
	return count - limit;
}

/* Has the request a name? */
static bool
named(const Exchange *exchange)
{
	return exchange->principal != NULL && exchange->principal->name[0] != '\0';
}

/* For whom a request counts.  The connection holds it. */
static Quota *
quota_of(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;
	KnownClient *known = &connection->known_client;

	if (!named(exchange))
		return connection->quota;
	/* The connection may have had a request of another client since. */
	if (known->principal != exchange->principal)
		return NULL;
	if (known->quota == NULL)
		known->quota = quotas_of_name(connection->loop->quotas, exchange->principal->name);
	return known->quota;
}

/* The limit that the request would exceed, or LIMIT_KINDS; *setting is what it is set to. */
static LimitKind
exceeded(Exchange *exchange, const Route *route, Quota *quota, uint64_t *setting)
{
	const Config *config = exchange->loop->config;
	uint64_t now_ns = exchange->loop->turns.now_ns;
	bool writes = route != NULL && route->brings_messages;

	*setting = config->limit_requests;
	if (*setting != 0)
	{
		if (quota_wait_ns(quota, QUOTA_REQUESTS, *setting, now_ns) > 0)
			return LIMIT_REQUESTS;
		quota_spend(quota, QUOTA_REQUESTS, 1, *setting, now_ns);
	}
	*setting = config->limit_messages;
	if (writes && *setting != 0 && quota_wait_ns(quota, QUOTA_MESSAGES, *setting, now_ns) > 0)
		return LIMIT_MESSAGES;
	*setting = config->limit_queries;
	if (route == NULL || !route->alone || *setting == 0)
		return LIMIT_KINDS;
	if (quota_begin(quota, QUOTA_QUERIES) > *setting)
	{
		quota_end(quota, QUOTA_QUERIES);
		return LIMIT_QUERIES;
	}
	exchange->query_of = quota_hold(quota);
	return LIMIT_KINDS;
}

/* Has the client to be served, whatever it does? */
static bool
exempt(const Exchange *exchange, const Route *route)
{
	return exchange->connection->health ||
		   (route != NULL && route->health && route->access == ACCESS_OPEN);
}

bool
http_limit_request(Exchange *exchange, const Route *route)
{
	static const char *const units[LIMIT_KINDS] = {
		[LIMIT_REQUESTS] = "requests a second",
		[LIMIT_MESSAGES] = "messages a second",
		[LIMIT_QUERIES] = "reads at a time",
	};
	static const char *const hints[LIMIT_KINDS] = {
		[LIMIT_REQUESTS] = "send more messages in each request, or wait",
		[LIMIT_MESSAGES] = "wait, and send this body again",
		[LIMIT_QUERIES] = "wait for an answer before the next read",
	};
	const Config *config = exchange->loop->config;
	Bytes headers = {0};
	Bytes detail = {0};
	Bytes body = {0};
	LimitKind kind;
	uint64_t setting;

	if ((config->limit_requests | config->limit_messages | config->limit_queries) == 0 ||
		exempt(exchange, route))
		return true;
	kind = exceeded(exchange, route, quota_of(exchange), &setting);
	if (kind == LIMIT_KINDS)
		return true;

	http_limit_refused(exchange, kind, &headers);
	if (named(exchange))
		bytes_printf(&detail, "the token \"%s\"", exchange->principal->name);
	else
		bytes_puts(&detail, "this address");
	bytes_printf(&detail, " may have %llu %s (--limit-%s); %s", (unsigned long long) setting,
				 units[kind], metrics_limit_name(kind), hints[kind]);
	http_problem_begin(exchange, &body, 429, bytes_text(&detail));
	bytes_printf(&body, ",\"limit\":\"%s\"}\n", metrics_limit_name(kind));
	http_answer(exchange, 429, "application/problem+json", bytes_text(&headers), body.data,
				body.length);
	bytes_free(&headers);
	bytes_free(&detail);
	bytes_free(&body);
	return false;
}

bool
http_limit_messages(Exchange *exchange, uint64_t count)
{
	uint64_t limit = exchange->loop->config->limit_messages;
	uint64_t now_ns = exchange->loop->turns.now_ns;
	Quota *quota;

	if (limit == 0 || exchange->connection == NULL)
		return true;
	quota = quota_of(exchange);
	if (quota == NULL)
		return true;
	quota_spend(quota, QUOTA_MESSAGES, count, limit, now_ns);
	return quota_wait_ns(quota, QUOTA_MESSAGES, limit, now_ns) == 0;
}

void
http_limit_refused(Exchange *exchange, LimitKind kind, Bytes *headers)
{
	const Config *config = exchange->loop->config;
	uint64_t now_ns = exchange->loop->turns.now_ns;
	uint64_t requests = config->limit_requests;
	uint64_t messages = config->limit_messages;
	Quota *quota = quota_of(exchange);
	uint64_t wait_ns = 0;

	if (quota != NULL && kind == LIMIT_REQUESTS && requests != 0)
		wait_ns = quota_wait_ns(quota, QUOTA_REQUESTS, requests, now_ns);
	if (quota != NULL && kind == LIMIT_MESSAGES && messages != 0)
		wait_ns = quota_wait_ns(quota, QUOTA_MESSAGES, messages, now_ns);
	bytes_printf(
		headers, "Retry-After: %llu\r\n",
		(unsigned long long) (wait_ns <= SECOND_NS ? 1 : (wait_ns + SECOND_NS - 1) / SECOND_NS));
	metric_add(&exchange->loop->metrics->limited[named(exchange) ? exchange->principal->counter
																 : LIMIT_COUNTERS - 1][kind],
			   1);
	exchange->refused = true;
}
