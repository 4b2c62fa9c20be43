/*
 * http_trace.c
 *	  The ids of requests, the traces that they belong to, and the log of requests and connections.
 *
 * To log every request would be the server's main work at 10,000 requests a second.  So answers of
 * 5xx and slow reads are warnings, of which each loop logs at most MAX_LINES_SECOND a second, and
 * all others have the level debug.  Query strings and bodies are not logged, because they have tags
 * and values.
 */
#include "http/http_trace.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINES_SECOND 100
#define MAX_ID_BYTES	 128
#define PARENT_BYTES	 55

static bool may_log(HttpLoop *loop);

/* Can the id be put into a header, a line of text and JSON as it is? */
static bool
sound_id(const char *id)
{
	size_t length = strlen(id);

	return length > 0 && length <= MAX_ID_BYTES &&
		   strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+/=@") ==
			   length;
}

const char *
trace_request_id(Exchange *exchange)
{
	static const char digits[] = "0123456789abcdef";
	HttpRequest *request = &exchange->request;
	uint64_t number;

	if (exchange->identified)
		return request->request_id;
	exchange->identified = true;
	if (sound_id(request->request_id))
		return request->request_id;

	/* Ids must be distinct but not secret: each loop counts up from a random number. */
	number = exchange->loop->next_request_id++;
	for (int i = 15; i >= 0; i--)
	{
		request->request_id[i] = digits[number & 15];
		number >>= 4;
	}
	request->request_id[16] = '\0';
	return request->request_id;
}

const char *
trace_parent(const Exchange *exchange)
{
	const char *text = exchange->request.traceparent;

	/* 00-32 digits-16 digits-02: version, trace, parent, flags; version ff is not allowed. */
	if (strlen(text) != PARENT_BYTES || strncmp(text, "ff", 2) == 0)
		return NULL;
	for (int i = 0; i < PARENT_BYTES; i++)
	{
		bool dash = i == 2 || i == 35 || i == 52;
		bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

		if (dash ? text[i] != '-' : !digit)
			return NULL;
	}
	/* An id of zeros means that there is none. */
	return strspn(text + 3, "0") == 32 || strspn(text + 36, "0") == 16 ? NULL : text;
}

/* Writes the client's address, or "" if it is not known. */
static void
put_peer(const HttpConnection *connection, char *address, size_t size)
{
	struct sockaddr_storage peer = {0};
	int length = sizeof(peer);

	address[0] = '\0';
	if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *) &peer, &length) == 0)
		uv_ip_name((struct sockaddr *) &peer, address, size);
}

void
trace_answered(Exchange *exchange, int status, uint64_t passed_ns)
{
	HttpConnection *connection = exchange->connection;
	const HttpRequest *request = &exchange->request;
	uint64_t passed_us = passed_ns / 1000;
	bool slow = exchange->route != NULL && exchange->route->alone && !exchange->streamed &&
				passed_us >= connection->loop->config->slow_request_ms * 1000;
	bool important = (status >= 500 && !exchange->awaited) || slow || exchange->refused;
	LogLevel level = important ? LOG_WARNING : LOG_DEBUG;
	const char *what = slow ? "slow request" : "request";
	char address[64];
	char path[128] = "";
	char number[16];
	char milliseconds[32];

	if (!log_enabled(level) || (important && !may_log(connection->loop)))
		return;
	if (status >= 500)
		what = exchange->streamed ? "an export was broken off" : "request failed";
	else if (exchange->refused)
		what = "request refused";
	snprintf(number, sizeof(number), "%d", status);
	snprintf(milliseconds, sizeof(milliseconds), "%" PRIu64 ".%03" PRIu64, passed_us / 1000,
			 passed_us % 1000);
	if (request->target.length > 0)
		snprintf(path, sizeof(path), "%.*s", (int) http_request_path_length(request),
				 request->target.data);
	put_peer(connection, address, sizeof(address));
	log_event(
		level,
		(const LogField[]){
			{.name = "method",
			 .value = request->method == HTTP_METHOD_UNKNOWN ? NULL
															 : llhttp_method_name(request->method)},
			{.name = "path", .value = path},
			{.name = "status", .value = number, .number = true},
			{.name = "duration_ms", .value = milliseconds, .number = true},
			{.name = "cause", .value = status >= 500 || exchange->refused ? exchange->cause : NULL},
			{.name = "sqlstate", .value = status >= 500 ? exchange->sqlstate : NULL},
			{.name = "token",
			 .value = exchange->principal != NULL ? exchange->principal->name : NULL},
			{.name = "peer", .value = address},
			{.name = "request_id", .value = trace_request_id(exchange)},
			{.name = "traceparent", .value = trace_parent(exchange)},
			{0},
		},
		"%s", what);
}

void
trace_audit(Exchange *exchange, const char *action, const char *tag, const char *to)
{
	char address[64] = "";

	/* The client may have left. */
	if (exchange->connection != NULL)
		put_peer(exchange->connection, address, sizeof(address));
	log_event(LOG_AUDIT,
			  (const LogField[]){
				  {.name = "action", .value = action},
				  {.name = "tag", .value = tag},
				  {.name = "to", .value = to},
				  {.name = "token", .value = exchange->principal->name},
				  {.name = "peer", .value = address},
				  {.name = "request_id", .value = trace_request_id(exchange)},
				  {0},
			  },
			  "audit");
}

void
trace_tls_failed(const HttpConnection *connection, const char *why)
{
	char address[64];

	if (!log_enabled(LOG_INFO) || !may_log(connection->loop))
		return;
	put_peer(connection, address, sizeof(address));
	log_event(LOG_INFO,
			  (const LogField[]){
				  {.name = "cause", .value = why},
				  {.name = "peer", .value = address},
				  {0},
			  },
			  "TLS failed");
}

void
trace_closed(const HttpConnection *connection)
{
	char address[64];

	if (!log_enabled(LOG_DEBUG))
		return;
	put_peer(connection, address, sizeof(address));
	log_event(LOG_DEBUG,
			  (const LogField[]){
				  {.name = "reason", .value = metrics_close_reason(connection->close_reason)},
				  {.name = "peer", .value = address},
				  {0},
			  },
			  "connection closed");
}

/*
 * Counts a line, and returns whether it may be logged.  The number of the others is logged later.
 */
static bool
may_log(HttpLoop *loop)
{
	uint64_t second = uv_now(loop->uv) / 1000;

	if (second != loop->log_second)
	{
		if (loop->log_lines > MAX_LINES_SECOND)
			log_warning("%" PRIu64 " more requests failed or were slow within a second",
						loop->log_lines - MAX_LINES_SECOND);
		loop->log_second = second;
		loop->log_lines = 0;
	}
	return ++loop->log_lines <= MAX_LINES_SECOND;
}

void
trace_cause(Exchange *exchange, const char *sqlstate, const char *message)
{
	if (exchange->cause[0] != '\0')
		return;
	snprintf(exchange->sqlstate, sizeof(exchange->sqlstate), "%s", sqlstate);
	snprintf(exchange->cause, sizeof(exchange->cause), "%s", message);
}
