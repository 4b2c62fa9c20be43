/*
 * http_exchange.c
 *	  Requests and their answers, in order.
 *
 * An answer whose turn has come goes straight to the connection's output; one that is ready sooner
 * is kept aside in its exchange.
 */
#include "http/http_internal.h"
#include "http/http_trace.h"

#include <stdarg.h>
#include <stdlib.h>

#define MAX_OUTPUT_BYTES	 1048576 /* unwritten answers that stop the parsing */
#define MAX_EXCHANGES		 256	 /* unanswered requests of one connection */
#define KEPT_BYTES			 16384	 /* larger buffers are given back when they are empty */
#define KEPT_TARGET_BYTES	 1024
#define KEPT_EXCHANGES		 64		 /* of a loop, for the next requests */
#define EXCHANGE_STATE_BYTES 640	 /* about what a route keeps, and who waits for a commit */
#define MAX_STREAM_BYTES	 262144	 /* unwritten bytes that pause a streamed answer */
#define LONG_ANSWER_BYTES	 16384	 /* from here on an answer counts against the results */
#define MAX_IGNORED_BODY	 1048576 /* a body read only to keep the connection */

static size_t aside_bytes(const HttpConnection *connection);
static void answer(Exchange *exchange, int status, const char *content_type, const char *headers,
				   const char *body, size_t length, Bytes *taken);

Exchange *
exchange_new(HttpConnection *connection)
{
	HttpLoop *loop = connection->loop;
	Exchange *exchange = loop->free_exchanges;

	if (exchange != NULL)
	{
		loop->free_exchanges = exchange->next;
		loop->free_exchange_count--;
	}
	else
		exchange = memory_new(sizeof(Exchange));
	http_request_reset(&exchange->request);
	exchange->next = NULL;
	exchange->connection = connection;
	exchange->server_loop = loop->server_loop;
	exchange->route = NULL;
	exchange->state = NULL;
	/* The clock was read when the bytes came, or in the request before it. */
	exchange->started_ns = loop->turns.now_ns;
	exchange->received = false;
	exchange->answered = false;
	exchange->waiting = false;
	exchange->alone = false;
	exchange->turned = false;
	exchange->close = false;
	exchange->full = false;
	exchange->streamed = false;
	exchange->identified = false;
	exchange->cause[0] = '\0';
	exchange->sqlstate[0] = '\0';
	if (connection->last == NULL)
		connection->first = exchange;
	else
		connection->last->next = exchange;
	connection->last = exchange;
	connection->exchange_count++;
	return exchange;
}

void
exchange_free(Exchange *exchange, HttpLoop *loop)
{
	if (exchange->route != NULL && exchange->route->release != NULL)
		exchange->route->release(exchange);
	exchange->route = NULL;
	if (loop == NULL || loop->free_exchange_count == KEPT_EXCHANGES)
	{
		bytes_free(&exchange->response);
		bytes_free(&exchange->request.target);
		free(exchange);
		return;
	}
	if (exchange->response.capacity > KEPT_BYTES)
		bytes_free(&exchange->response);
	if (exchange->request.target.capacity > KEPT_TARGET_BYTES)
		bytes_free(&exchange->request.target);
	exchange->response.length = 0;
	loop->free_exchange_count++;
	exchange->next = loop->free_exchanges;
	loop->free_exchanges = exchange;
}

void
exchange_advance(HttpConnection *connection)
{
	Exchange *exchange;

	while ((exchange = connection->first) != NULL && exchange->answered && exchange->received)
	{
		connection->first = exchange->next;
		if (connection->first == NULL)
			connection->last = NULL;
		connection->exchange_count--;
		connection->closing |= exchange->close;
		exchange_free(exchange, connection->loop);
		if (connection->first != NULL)
		{
			/* What was formatted while others stood before it. */
			Bytes *response = &connection->first->response;

			bytes_append(&connection->output.pending, response->data, response->length);
			response->length = 0;
		}
	}
	if (connection->first == NULL && connection->phase != PHASE_LINGER)
		connection_set_phase(connection, PHASE_IDLE);
}

bool
exchange_too_early(const Exchange *exchange)
{
	return exchange->alone && exchange != exchange->connection->first;
}

bool
exchange_too_far_ahead(const HttpConnection *connection)
{
	const Exchange *last = connection->last;
	size_t unsent = http_output_unsent(&connection->output);

	if (last == NULL)
		return unsent > MAX_OUTPUT_BYTES;
	if (last == connection->current && last->received)
		return exchange_too_early(last);
	if (!last->answered && last->received && last->alone)
		return true;
	/* Where memory is short, one at a time. */
	if (last->received && budget_full(connection->loop->memory))
		return true;
	return connection->exchange_count >= MAX_EXCHANGES ||
		   unsent + aside_bytes(connection) > MAX_OUTPUT_BYTES;
}

/* Bytes of answers that wait for those before them. */
static size_t
aside_bytes(const HttpConnection *connection)
{
	size_t bytes = 0;

	for (const Exchange *exchange = connection->first; exchange != NULL; exchange = exchange->next)
		bytes += exchange->response.length;
	return bytes;
}

void
exchange_count_memory(HttpConnection *connection)
{
	Budget *memory = connection->loop->memory;
	size_t bytes = connection->unparsed.capacity + connection->blocked.capacity;

	for (const Exchange *exchange = connection->first; exchange != NULL; exchange = exchange->next)
	{
		bytes += sizeof(Exchange) + EXCHANGE_STATE_BYTES + exchange->request.target.capacity;
		if (connection->counted_bytes == 0)
			bytes += exchange->response.capacity;
	}
	if (connection->counted_bytes == 0)
		bytes += connection->output.pending.capacity + connection->output.writing.capacity;
	if (connection->closed)
		bytes = 0;
	if (bytes > connection->held_bytes)
		budget_add(memory, bytes - connection->held_bytes);
	else if (bytes < connection->held_bytes)
		budget_return(memory, connection->held_bytes - bytes);
	connection->held_bytes = bytes;
}

void
exchange_settle(HttpConnection *connection)
{
	if (connection->counted_bytes == 0 ||
		(!connection->closed &&
		 (!http_output_idle(&connection->output) || aside_bytes(connection) > 0)))
		return;
	budget_return(connection->loop->results, connection->counted_bytes);
	connection->counted_bytes = 0;
}

bool
http_turn_over(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	exchange->turned = turn_slice_over(&connection->loop->turns);
	return exchange->turned;
}

/*
 * Answering
 */

/* Counts and logs it; the clock is read once, since many requests take little longer than that. */
static void
note_answer(Exchange *exchange, int status)
{
	uint64_t passed_ns = turn_clock(&exchange->connection->loop->turns) - exchange->started_ns;

	metric_http(exchange->connection->loop->metrics,
				exchange->route ? exchange->route->metric : ROUTE_OTHER, status, passed_ns);
	trace_answered(exchange, status, passed_ns);
}

void
http_answer(Exchange *exchange, int status, const char *content_type, const char *headers,
			const char *body, size_t length)
{
	answer(exchange, status, content_type, headers, body, length, NULL);
}

/*
 * A body of more than MAX_OUTPUT_BYTES stops the parsing until it is nearly sent.  So behind a request
 * that is alone, and hence first, nothing is answered before the output has begun with the long body.
 */
void
http_answer_bytes(Exchange *exchange, int status, const char *content_type, const char *headers,
				  Bytes *body)
{
	answer(exchange, status, content_type, headers, body->data, body->length,
		   exchange->alone && body->length > MAX_OUTPUT_BYTES ? body : NULL);
	bytes_free(body);
}

/* taken: the body, where it is to be handed over. */
static void
answer(Exchange *exchange, int status, const char *content_type, const char *headers,
	   const char *body, size_t length, Bytes *taken)
{
	HttpConnection *connection = exchange->connection;
	const HttpRequest *request = &exchange->request;
	HttpLoop *loop;

	if (connection == NULL)
	{
		/* The client is gone.  exchange_free() needs no loop to free all of it. */
		exchange_free(exchange, NULL);
		return;
	}
	loop = connection->loop;
	exchange->answered = true;
	note_answer(exchange, status);

	/*
	 * A body that nobody needs is read to keep the connection, unless that may cost too much or
	 * the client may not send it at all.
	 */
	if (!exchange->received && http_request_has_body(request) &&
		(request->expect_continue || request->chunked ||
		 request->content_length > MAX_IGNORED_BODY))
		exchange->close = true;
	if (connection_draining(loop) && exchange->next == NULL)
		exchange->close = true;

	http_format_answer(exchange == connection->first ? &connection->output.pending
													 : &exchange->response,
					   &(HttpAnswer){
						   .status = status,
						   .content_type = content_type,
						   .headers = headers,
						   .request_id = trace_request_id(exchange),
						   .body = body,
						   .length = length,
						   .close = exchange->close,
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
	if (exchange->close && !exchange->received)
	{
		exchange->received = true;
		connection->current = NULL;
		connection->closing = true;
	}
	if (exchange->received)
		exchange_advance(connection);
	if (!connection->parsing)
		connection_flush(connection);
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
	bytes_puts(body, "}");
	http_answer(exchange, status, "application/problem+json",
				status == 503 ? "Retry-After: 1\r\n" : NULL, body->data, body->length);
	bytes_free(body);
}

void
exchange_refuse(HttpConnection *connection, int status, const char *detail)
{
	Exchange *exchange = connection->current;

	connection->closing = true;
	uv_read_stop((uv_stream_t *) &connection->tcp);
	if (exchange == NULL)
		exchange = exchange_new(connection);
	connection->current = NULL;
	exchange->received = true;
	exchange->close = true;
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

	if (exchange->request.http_1_0 ||
		(connection_draining(connection->loop) && exchange->next == NULL))
		exchange->close = true;
	connection->unframed |= exchange->request.http_1_0;
	exchange->streamed = true;
	http_format_answer(&connection->output.pending,
					   &(HttpAnswer){
						   .status = 200,
						   .content_type = content_type,
						   .headers = headers,
						   .request_id = trace_request_id(exchange),
						   .streamed = true,
						   .close = exchange->close,
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
	exchange->full = http_output_unsent(&connection->output) >= MAX_STREAM_BYTES;
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
	connection->closing = true;
	connection->broken = true;
	connection_flush_later(connection);
}

void
exchange_offer_room(HttpConnection *connection)
{
	Exchange *exchange = connection->first;

	if (exchange == NULL || !exchange->full ||
		http_output_unsent(&connection->output) > MAX_STREAM_BYTES / 2)
		return;
	exchange->full = false;
	exchange->route->drained(exchange);
}
