/*
 * http_answer.c
 *	  Answers to requests.
 */
#include "http/http_answer.h"

#include "base/assert.h"
#include "http/http_format.h"
#include "http/http_trace.h"

#include <stdarg.h>
#include <stdio.h>

#define LONG_ANSWER_BYTES 16384	  /* answers from this size on count in HttpLoop.results */
#define MAX_IGNORED_BODY  1048576 /* the largest body that is read only to keep the connection */

static void answer(Exchange *exchange, int status, const char *content_type, const char *headers,
				   const char *body, size_t length, Bytes *taken);

/*
 * Counts and logs an answer.  The clock is read only once, because many requests take little
 * longer.
 */
static void
note_answer(Exchange *exchange, int status)
{
	uint64_t passed_ns = turn_clock(&exchange->connection->loop->turns) - exchange->started_ns;

	metric_http(exchange->connection->loop->metrics,
				exchange->route ? exchange->route->metric : ROUTE_OTHER, status, passed_ns);
	trace_answered(exchange, status, passed_ns);
}

/* Has the connection end after this answer.  If there is a reason already, that one stays. */
static void
close_after(Exchange *exchange, CloseReason reason)
{
	if (exchange->close == CLOSE_NONE)
		exchange->close = reason;
}

/* Is it the last request that has begun to come? */
static bool
is_last(const Exchange *exchange)
{
	return list_last(&exchange->connection->exchanges) == &exchange->link;
}

/* Counts the request as received.  What follows on the connection is ignored. */
static void
receive_no_more(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	exchange->received = true;
	connection->current = NULL;
	connection_set_phase(connection, PHASE_ANSWERING);
	connection_set_life(connection, LIFE_LAST, exchange->close);
}

void
http_answer(Exchange *exchange, int status, const char *content_type, const char *headers,
			const char *body, size_t length)
{
	answer(exchange, status, content_type, headers, body, length, NULL);
}

/*
 * A body of more than EXCHANGE_MAX_OUTPUT_BYTES stops the parsing until it is nearly sent.  So
 * after a request that is alone, and therefore first, nothing is answered before the output has
 * begun with the long body.
 */
void
http_answer_bytes(Exchange *exchange, int status, const char *content_type, const char *headers,
				  Bytes *body)
{
	answer(exchange, status, content_type, headers, body->data, body->length,
		   exchange->alone && body->length > EXCHANGE_MAX_OUTPUT_BYTES ? body : NULL);
	bytes_free(body);
}

/* Answers a request.  taken is the body if the output is to take it, else NULL. */
static void
answer(Exchange *exchange, int status, const char *content_type, const char *headers,
	   const char *body, size_t length, Bytes *taken)
{
	HttpConnection *connection = exchange->connection;
	const HttpRequest *request = &exchange->request;
	HttpLoop *loop;

	if (connection == NULL)
	{
		/* The client has left. */
		exchange_free(exchange);
		return;
	}
	ASSERT(!exchange->answered);
	loop = connection->loop;
	exchange->answered = true;
	note_answer(exchange, status);

	/*
	 * A body that the route does not need is read to keep the connection, unless that may cost too
	 * much, or the client may not send it at all.
	 */
	if (!exchange->received && http_request_has_body(request) &&
		(request->expect_continue || request->chunked ||
		 request->content_length > MAX_IGNORED_BODY))
		close_after(exchange, CLOSE_UNREAD_BODY);
	if (connection_draining(loop) && is_last(exchange))
		close_after(exchange, CLOSE_STOPPING);

	http_format_answer(exchange == exchange_first(connection) ? &connection->output.pending
															  : &exchange->response,
					   &(HttpAnswer){
						   .status = status,
						   .content_type = content_type,
						   .headers = headers,
						   .notes = exchange->notes,
						   .request_id = trace_request_id(exchange),
						   .allow_origin = exchange->invited ? request->origin : NULL,
						   .vary_origin = loop->config->cors_origin[0] != '\0',
						   .body = body,
						   .length = length,
						   .close = exchange->close != CLOSE_NONE,
						   .http_1_0 = request->http_1_0,
						   .head_only = request->method == HTTP_HEAD || taken != NULL,
					   },
					   loop->date);
	if (taken != NULL && request->method != HTTP_HEAD)
	{
		connection->output.long_body = *taken;
		*taken = (Bytes){0};
	}
	if (length >= LONG_ANSWER_BYTES && request->method != HTTP_HEAD)
	{
		budget_add(loop->results, length);
		connection->counted_bytes += length;
	}
	if (exchange->close != CLOSE_NONE && !exchange->received)
		receive_no_more(exchange);
	if (exchange->received)
		exchange_advance(connection);
	if (!connection->parsing)
		loop->flush(connection);
}

void
http_note_commit(Exchange *exchange, uint64_t position)
{
	snprintf(exchange->notes, sizeof(exchange->notes), "X-Historian-Commit: %X/%X\r\n",
			 (unsigned) (position >> 32), (unsigned) position);
}

void
http_note_lag(Exchange *exchange, int64_t lag_ms)
{
	exchange->notes[0] = '\0';
	if (lag_ms >= 0)
		snprintf(exchange->notes, sizeof(exchange->notes), "X-Historian-Lag-Ms: %lld\r\n",
				 (long long) lag_ms);
}

void
http_problem(Exchange *exchange, int status, const char *format, ...)
{
	Bytes detail = {0};
	Bytes body = {0};
	va_list args;

	va_start(args, format);
	bytes_vprintf(&detail, format, args);
	va_end(args);
	http_problem_begin(exchange, &body, status, bytes_text(&detail));
	bytes_free(&detail);
	http_problem_body(exchange, status, &body);
}

void
http_problem_begin(Exchange *exchange, Bytes *body, int status, const char *detail)
{
	trace_cause(exchange, "", detail);
	http_format_problem(body, status, detail);
}

void
http_problem_body(Exchange *exchange, int status, Bytes *body)
{
	bytes_puts(body, "}\n");
	http_answer(exchange, status, "application/problem+json",
				status == 503 || status == 429 ? "Retry-After: 1\r\n" : NULL, body->data,
				body->length);
	bytes_free(body);
}

void
http_refuse(HttpConnection *connection, int status, CloseReason reason, const char *detail)
{
	Exchange *exchange = connection->current;

	uv_read_stop((uv_stream_t *) &connection->tcp);
	if (exchange == NULL)
		exchange = exchange_new(connection);
	close_after(exchange, reason);
	receive_no_more(exchange);
	if (!exchange->answered)
		http_problem(exchange, status, "%s", detail);
	else
		exchange_advance(connection);
}

/*
 * Streamed answers
 */

void
http_stream_begin(Exchange *exchange, const char *content_type, const char *headers)
{
	HttpConnection *connection = exchange->connection;

	if (exchange->request.http_1_0)
		close_after(exchange, CLOSE_ASKED);
	if (connection_draining(connection->loop) && is_last(exchange))
		close_after(exchange, CLOSE_STOPPING);
	connection->unframed |= exchange->request.http_1_0;
	exchange->streamed = true;
	http_format_answer(&connection->output.pending,
					   &(HttpAnswer){
						   .status = 200,
						   .content_type = content_type,
						   .headers = headers,
						   .notes = exchange->notes,
						   .request_id = trace_request_id(exchange),
						   .allow_origin = exchange->invited ? exchange->request.origin : NULL,
						   .vary_origin = exchange->loop->config->cors_origin[0] != '\0',
						   .streamed = true,
						   .close = exchange->close != CLOSE_NONE,
						   .http_1_0 = exchange->request.http_1_0,
					   },
					   connection->loop->date);
	connection_flush_later(connection);
}

bool
http_stream_send(Exchange *exchange, const char *data, size_t length)
{
	HttpConnection *connection = exchange->connection;
	Bytes *out = &connection->output.pending;
	bool chunked = !exchange->request.http_1_0;

	if (exchange->request.method == HTTP_HEAD || length == 0)
		return true;
	if (chunked)
		bytes_printf(out, "%zx\r\n", length);
	bytes_append(out, data, length);
	if (chunked)
		bytes_append(out, "\r\n", 2);
	connection_flush_later(connection);
	exchange->full = http_output_unsent(&connection->output) >= EXCHANGE_MAX_STREAM_BYTES;
	return !exchange->full;
}

void
http_stream_end(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	if (exchange->request.method != HTTP_HEAD && !exchange->request.http_1_0)
		bytes_puts(&connection->output.pending, "0\r\n\r\n");
	note_answer(exchange, 200);
	exchange->answered = true;
	exchange->full = false;
	if (exchange->received)
		exchange_advance(connection);
	connection_flush_later(connection);
}

void
http_stream_break(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	note_answer(exchange, 500);
	exchange->full = false;
	connection_set_life(connection, LIFE_BROKEN, CLOSE_BROKEN_ANSWER);
	connection_flush_later(connection);
}
