/*
 * http_connection.c
 *	  HTTP/1.1 connections: requests in, answers out in their order.
 *
 * Reading: all connections of a loop read into one buffer, and what was read is parsed at once.
 * Only where parsing must pause (a blocked body, too many unanswered requests) is the rest copied
 * aside and reading stopped, which in the end slows the client down.
 *
 * Writing: answers are formatted into one buffer a connection and written once after everything
 * that was read has been parsed, so that many pipelined requests cost one write.
 *
 * Ownership: a connection is freed in its close callback.  An exchange belongs to its connection's
 * queue until it is answered and received; if the client goes away while the route still waits for
 * something, the exchange lives on alone until it is answered to nobody.
 */
#include "http_connection.h"

#include "http_output.h"
#include "log.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BUFFER_BYTES	 65536
#define MAX_OUTPUT_BYTES	 1048576 /* unwritten answers that stop the parsing */
#define MAX_EXCHANGES		 256	 /* unanswered requests of one connection */
#define KEPT_BYTES			 16384	 /* larger buffers are given back when they are empty */
#define MAX_STREAM_BYTES	 262144	 /* unwritten bytes that pause a streamed answer */
#define LONG_ANSWER_BYTES	 16384	 /* from here on an answer counts against the results */
#define LINGER_MS			 2000
#define MAX_IGNORED_BODY	 1048576 /* a body read only to keep the connection */
#define SLOWEST_BYTES_SECOND 1024

typedef enum Phase
{
	PHASE_IDLE, /* no request under way */
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_BLOCKED,	 /* in a body that its route cannot take now */
	PHASE_ANSWERING, /* received; the answer is not there yet */
	PHASE_LINGER,	 /* shut down; reads and ignores until the client closes */
} Phase;

struct HttpConnection
{
	uv_tcp_t tcp;
	HttpLoop *loop;
	HttpConnection *previous;
	HttpConnection *next;
	llhttp_t parser;
	Phase phase;
	uint64_t phase_start_ms;
	uint64_t body_bytes; /* received of the current request's body */

	Exchange *current; /* being received; the last of the queue */
	Exchange *first;
	Exchange *last;
	int exchange_count;

	HttpConnection *next_unflushed;
	bool flush_later; /* is in that list */
	bool parsing;	  /* parse() or offer_blocked() is on the stack: no flushing */
	bool paused;	  /* by us: unparsed holds what follows */
	bool closing;	  /* no further request is taken */
	bool ended;		  /* the client has sent its last byte */
	bool broken;	  /* ends once what is pending is written */
	bool unframed;	  /* only its end ends the last answer */
	bool closed;
	int refusal; /* the status a callback wants the request refused with */
	Bytes unparsed;
	Bytes blocked; /* of the body, not taken by its route yet */

	HttpOutput output;	  /* formatted answers */
	size_t counted_bytes; /* of long answers, in HttpLoop.results */
	uv_shutdown_t shutdown;
};

static void set_phase(HttpConnection *connection, Phase phase);
static void parse(HttpConnection *connection, const char *data, size_t length);
static void resume_parsing(HttpConnection *connection);
static bool offer_blocked(HttpConnection *connection);
static bool take_blocked(HttpConnection *connection);
static void give_up_blocked(HttpConnection *connection);
static void message_received(HttpConnection *connection);
static bool has_body(const HttpRequest *request);
static bool too_far_ahead(const HttpConnection *connection);
static void refuse(HttpConnection *connection, int status, const char *detail);
static void advance_queue(HttpConnection *connection);
static void flush(HttpConnection *connection);
static void flush_later(HttpConnection *connection);
static void close_connection(HttpConnection *connection);
static Exchange *new_exchange(HttpConnection *connection);
static void free_exchange(Exchange *exchange, HttpLoop *loop);

static int on_message_begin(llhttp_t *parser);
static int on_url(llhttp_t *parser, const char *data, size_t length);
static int on_header_field(llhttp_t *parser, const char *data, size_t length);
static int on_header_value(llhttp_t *parser, const char *data, size_t length);
static int on_headers_complete(llhttp_t *parser);
static int on_body(llhttp_t *parser, const char *data, size_t length);
static int on_message_complete(llhttp_t *parser);

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
static void on_output_done(HttpOutput *output, bool failed);
static void on_closed(uv_handle_t *handle);
static void on_after_reading(uv_check_t *check);

static llhttp_settings_t parser_settings;

void
http_loop_init(HttpLoop *loop)
{
	llhttp_settings_init(&parser_settings);
	parser_settings.on_message_begin = on_message_begin;
	parser_settings.on_url = on_url;
	parser_settings.on_header_field = on_header_field;
	parser_settings.on_header_value = on_header_value;
	parser_settings.on_headers_complete = on_headers_complete;
	parser_settings.on_body = on_body;
	parser_settings.on_message_complete = on_message_complete;
	loop->read_buffer = memory_new_raw(READ_BUFFER_BYTES);
	uv_check_init(loop->uv, &loop->after_reading);
	loop->after_reading.data = loop;
	uv_check_start(&loop->after_reading, on_after_reading);
	http_format_date(loop->date, sizeof(loop->date));
}

void
http_connection_accept(HttpLoop *loop, uv_stream_t *listener)
{
	HttpConnection *connection = memory_new(sizeof(HttpConnection));
	int64_t over;

	connection->loop = loop;
	uv_tcp_init(loop->uv, &connection->tcp);
	connection->tcp.data = connection;
	connection->output.stream = (uv_stream_t *) &connection->tcp;
	connection->output.on_done = on_output_done;
	connection->next = loop->connections;
	if (loop->connections != NULL)
		loop->connections->previous = connection;
	loop->connections = connection;
	metric_add(&loop->metrics->connections_opened, 1);

	if (uv_accept(listener, (uv_stream_t *) &connection->tcp) != 0)
	{
		atomic_fetch_add(loop->open_connections, 1);
		close_connection(connection);
		return;
	}
	uv_tcp_nodelay(&connection->tcp, 1);
	llhttp_init(&connection->parser, HTTP_REQUEST, &parser_settings);
	connection->parser.data = connection;
	set_phase(connection, PHASE_IDLE);
	uv_read_start((uv_stream_t *) &connection->tcp, on_allocate, on_read);
	over = atomic_fetch_add(loop->open_connections, 1) - (int64_t) loop->config->max_connections;
	if (over < 0)
		return;
	metric_add(&loop->metrics->connections_refused, 1);
	if (over < HTTP_REFUSED_CONNECTIONS)
		refuse(connection, 503, "too many connections (--max-connections)");
	else
		close_connection(connection);
}

static void
set_phase(HttpConnection *connection, Phase phase)
{
	connection->phase = phase;
	connection->phase_start_ms = uv_now(connection->loop->uv);
}

/*
 * Time limits
 */

static void
check_limits(HttpConnection *connection, uint64_t now_ms)
{
	const Config *config = connection->loop->config;
	uint64_t passed_ms = now_ms - connection->phase_start_ms;

	if (http_output_stuck(&connection->output, now_ms, config->write_timeout_ms))
	{
		metric_add(&connection->loop->metrics->connections_timed_out, 1);
		close_connection(connection);
		return;
	}
	switch (connection->phase)
	{
		case PHASE_IDLE:
			if (passed_ms > config->idle_timeout_ms)
				close_connection(connection);
			break;
		case PHASE_HEAD:
			if (passed_ms <= config->header_timeout_ms)
				break;
			metric_add(&connection->loop->metrics->connections_timed_out, 1);
			refuse(connection, 408, "the request's headers took too long (--header-timeout)");
			break;
		case PHASE_BODY:
			if (passed_ms <=
				config->body_timeout_ms + connection->body_bytes * 1000 / SLOWEST_BYTES_SECOND)
				break;
			metric_add(&connection->loop->metrics->connections_timed_out, 1);
			refuse(connection, 408, "the request's body took too long (--body-timeout)");
			break;
		case PHASE_BLOCKED:
			if (passed_ms > config->commit_timeout_ms)
				give_up_blocked(connection);
			break;
		case PHASE_ANSWERING:
			break; /* queries and commits have their own limits */
		case PHASE_LINGER:
			if (passed_ms > LINGER_MS)
				close_connection(connection);
			break;
	}
}

void
http_loop_tick(HttpLoop *loop)
{
	uint64_t now_ms = uv_now(loop->uv);
	HttpConnection *next;

	http_format_date(loop->date, sizeof(loop->date));
	for (HttpConnection *connection = loop->connections; connection != NULL; connection = next)
	{
		next = connection->next;
		if (!connection->closed)
			check_limits(connection, now_ms);
	}
}

void
http_loop_resume(HttpLoop *loop)
{
	HttpConnection *next;

	for (HttpConnection *connection = loop->connections; connection != NULL; connection = next)
	{
		next = connection->next;
		if (!connection->closed && connection->phase == PHASE_BLOCKED && offer_blocked(connection))
			resume_parsing(connection);
	}
}

void
http_loop_drain(HttpLoop *loop)
{
	HttpConnection *next;

	for (HttpConnection *connection = loop->connections; connection != NULL; connection = next)
	{
		next = connection->next;
		if (!connection->closed && connection->phase == PHASE_IDLE &&
			http_output_idle(&connection->output))
			close_connection(connection);
	}
}

void
http_loop_close(HttpLoop *loop)
{
	HttpConnection *next;

	for (HttpConnection *connection = loop->connections; connection != NULL; connection = next)
	{
		next = connection->next;
		close_connection(connection);
	}
}

/*
 * Reading
 */

static void
on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	HttpConnection *connection = handle->data;

	(void) suggested;
	*buffer = uv_buf_init(connection->loop->read_buffer, READ_BUFFER_BYTES);
}

static void
on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	HttpConnection *connection = stream->data;

	if (count == 0)
		return;
	if (count > 0 && connection->paused && !connection->closing)
	{
		bytes_append(&connection->unparsed, buffer->base, (size_t) count);
		uv_read_stop(stream);
		return;
	}
	if (count > 0)
	{
		if (!connection->closing)
			parse(connection, buffer->base, (size_t) count);
		return;
	}
	/* The client will send no more.  What it has asked for it may still read: flush() closes. */
	connection->ended = true;
	uv_read_stop(stream);
	if (count != UV_EOF || connection->current != NULL ||
		(connection->first == NULL && http_output_idle(&connection->output)))
		close_connection(connection);
}

static void
parse(HttpConnection *connection, const char *data, size_t length)
{
	llhttp_t *parser = &connection->parser;
	llhttp_errno_t error;
	char detail[160];

	connection->parsing = true;
	error = llhttp_execute(parser, data, length);
	connection->parsing = false;

	if (connection->closed)
		return;
	if (connection->closing)
		; /* whatever follows the last request is ignored */
	else if (error == HPE_PAUSED)
	{
		const char *rest = llhttp_get_error_pos(parser);

		bytes_append(&connection->unparsed, rest, (size_t) (data + length - rest));
		connection->paused = true;
		/* Between requests reading goes on until something comes: it tells that a client left. */
		if (connection->current != NULL || connection->unparsed.length > 0)
			uv_read_stop((uv_stream_t *) &connection->tcp);
	}
	else if (error == HPE_PAUSED_UPGRADE)
		refuse(connection, 400, "the protocol cannot be changed");
	else if (error != HPE_OK)
	{
		int status = connection->refusal != 0 ? connection->refusal : 400;

		if (status == 414)
			snprintf(detail, sizeof(detail), "the request target is longer than %d bytes",
					 HTTP_MAX_TARGET_BYTES);
		else if (status == 431)
			snprintf(detail, sizeof(detail), "the headers are longer than %d bytes",
					 HTTP_MAX_HEADER_BYTES);
		else
			snprintf(detail, sizeof(detail), "the request is not valid HTTP/1.1: %s",
					 llhttp_get_error_reason(parser));
		refuse(connection, status, detail);
	}
	flush_later(connection);
}

/* Has it flushed once, in this turn of the loop, after everything was read. */
static void
flush_later(HttpConnection *connection)
{
	if (connection->flush_later)
		return;
	connection->flush_later = true;
	connection->next_unflushed = connection->loop->unflushed;
	connection->loop->unflushed = connection;
}

/* After all connections that had input were read: writes what was answered. */
static void
on_after_reading(uv_check_t *check)
{
	HttpLoop *loop = check->data;
	HttpConnection *connection;

	while ((connection = loop->unflushed) != NULL)
	{
		loop->unflushed = connection->next_unflushed;
		connection->flush_later = false;
		flush(connection);
	}
}

/* The reason for a pause is gone. */
static void
resume_parsing(HttpConnection *connection)
{
	Bytes unparsed = connection->unparsed;

	if (!connection->paused || connection->closing || connection->closed)
		return;
	connection->paused = false;
	connection->unparsed = (Bytes){0};
	llhttp_resume(&connection->parser);
	/*
	 * Also without data: the end of a message may be all that is left.  Never with NULL, by which
	 * llhttp would forget that it is in the middle of a body.
	 */
	parse(connection, unparsed.length > 0 ? unparsed.data : "", unparsed.length);
	bytes_free(&unparsed);
	if (!connection->paused && !connection->closed && !connection->ended)
		uv_read_start((uv_stream_t *) &connection->tcp, on_allocate, on_read);
}

/*
 * Offers the blocked part of the body again.  Returns true where parsing may go on.
 *
 * As in the parser's callbacks, an answer given meanwhile must not be flushed at once: that could
 * begin the next request while this one is still the current one.
 */
static bool
offer_blocked(HttpConnection *connection)
{
	bool taken;

	if (connection->current == NULL || connection->current->answered)
		return false;
	connection->parsing = true;
	taken = take_blocked(connection);
	connection->parsing = false;
	flush_later(connection);
	return taken;
}

/* Does so for offer_blocked(), which keeps the answers back. */
static bool
take_blocked(HttpConnection *connection)
{
	Exchange *exchange = connection->current;
	Bytes *blocked = &connection->blocked;

	if (blocked->length > 0)
	{
		size_t taken = exchange->route->body(exchange, blocked->data, blocked->length);

		if (connection->closing)
			return false;
		bytes_consume(blocked, taken);
		if (blocked->length > 0)
			return false;
	}
	if (exchange->received)
	{
		/* It was the end that was blocked. */
		if (!exchange->route->end(exchange))
			return false;
		message_received(connection);
	}
	else
		set_phase(connection, PHASE_BODY);
	return true;
}

/*
 * Answers the blocked request.  It may have to wait for the answers before it, so from here on it
 * is no longer the current one: nothing more of it is offered, and nothing behind it is parsed.
 */
static void
give_up_blocked(HttpConnection *connection)
{
	Exchange *exchange = connection->current;

	connection->current = NULL;
	connection->closing = true;
	bytes_free(&connection->blocked);
	set_phase(connection, PHASE_ANSWERING);
	exchange->received = true;
	exchange->close = true;
	exchange->route->block_timeout(exchange);
}

/*
 * The parser's callbacks.  A nonzero return stops the parser; see parse().
 */

static int
on_message_begin(llhttp_t *parser)
{
	HttpConnection *connection = parser->data;

	connection->current = new_exchange(connection);
	connection->body_bytes = 0;
	set_phase(connection, PHASE_HEAD);
	return 0;
}

static int
head_piece(HttpConnection *connection, int refusal)
{
	connection->refusal = refusal;
	return refusal == 0 ? 0 : HPE_USER;
}

static int
on_url(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;

	return head_piece(connection, http_request_target(&connection->current->request, data, length));
}

static int
on_header_field(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;

	return head_piece(connection,
					  http_request_header_name(&connection->current->request, data, length));
}

static int
on_header_value(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;

	return head_piece(connection,
					  http_request_header_value(&connection->current->request, data, length));
}

static void
method_not_allowed(Exchange *exchange, const Route *route)
{
	Bytes body = {0};

	http_format_problem(&body, 405,
						route->post ? "this path takes POST only"
									: "this path takes GET and HEAD only");
	bytes_puts(&body, "}");
	http_answer(exchange, 405, "application/problem+json",
				route->post ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n", body.data, body.length);
	bytes_free(&body);
}

/* Finds the route, or answers why there is none. */
static void
dispatch(Exchange *exchange)
{
	HttpRequest *request = &exchange->request;
	const Route *route;

	http_request_drop_authority(request);
	route = exchange->connection->loop->find_route(request->target.data,
												   http_request_path_length(request));

	if (!request->http_1_0 && request->hosts == 0)
		http_problem(exchange, 400, "the header Host is missing");
	else if (request->hosts > 1)
	{
		exchange->close = true;
		http_problem(exchange, 400, "the header Host is given twice");
	}
	else if (request->chunked && strcasecmp(request->transfer_encoding, "chunked") != 0)
		http_problem(exchange, 501, "the only Transfer-Encoding that is supported is chunked");
	else if (request->expect[0] != '\0' && !request->expect_continue)
		http_problem(exchange, 417, "the header Expect may only ask for 100-continue");
	else if (route == NULL)
		http_problem(exchange, 404, "there is nothing at this path");
	else if (route->post ? request->method != HTTP_POST
						 : request->method != HTTP_GET && request->method != HTTP_HEAD)
		method_not_allowed(exchange, route);
	else
	{
		exchange->route = route;
		if (route->begin != NULL)
			route->begin(exchange);
	}
}

static int
on_headers_complete(llhttp_t *parser)
{
	HttpConnection *connection = parser->data;
	Exchange *exchange = connection->current;
	HttpRequest *request = &exchange->request;

	/* An offer to change the protocol may be ignored, and is. */
	if (parser->method != HTTP_CONNECT)
		parser->upgrade = 0;
	if (parser->http_major != 1)
		return head_piece(connection, 505);
	request->method = parser->method;
	request->http_1_0 = parser->http_minor == 0;
	request->chunked = (parser->flags & F_CHUNKED) != 0;
	request->content_length = request->chunked ? 0 : parser->content_length;
	if (request->http_1_0)
		request->expect[0] = '\0'; /* RFC 9110, 10.1.1 */
	request->expect_continue = strcasecmp(request->expect, "100-continue") == 0;
	exchange->close = !llhttp_should_keep_alive(parser) || parser->method == HTTP_CONNECT;

	set_phase(connection, PHASE_BODY);
	dispatch(exchange);
	if (connection->closing)
		return HPE_PAUSED;
	if (!exchange->answered && request->expect_continue && has_body(request))
		bytes_puts(exchange == connection->first ? &connection->output.pending
												 : &exchange->response,
				   "HTTP/1.1 100 Continue\r\n\r\n");
	return 0;
}

static int
on_body(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;
	Exchange *exchange = connection->current;
	size_t taken;

	connection->body_bytes += length;
	/* Without a route for it, a body is read only to get to the next request. */
	if (exchange->answered || exchange->route->body == NULL)
		return 0;
	taken = exchange->route->body(exchange, data, length);
	if (connection->closing)
		return HPE_PAUSED;
	if (taken == length)
		return 0;
	bytes_append(&connection->blocked, data + taken, length - taken);
	set_phase(connection, PHASE_BLOCKED);
	return HPE_PAUSED;
}

static int
on_message_complete(llhttp_t *parser)
{
	HttpConnection *connection = parser->data;
	Exchange *exchange = connection->current;

	exchange->received = true;
	if (!exchange->answered && !exchange->route->end(exchange))
	{
		set_phase(connection, PHASE_BLOCKED);
		return HPE_PAUSED;
	}
	message_received(connection);
	if (too_far_ahead(connection))
		return HPE_PAUSED;
	return 0;
}

static void
message_received(HttpConnection *connection)
{
	connection->current = NULL;
	set_phase(connection, PHASE_ANSWERING);
	advance_queue(connection);
}

/*
 * Answering
 */

static bool
is_draining(const HttpLoop *loop)
{
	return atomic_load_explicit(loop->draining, memory_order_relaxed);
}

static bool
has_body(const HttpRequest *request)
{
	return request->chunked || request->content_length > 0;
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

/* Gives back what the long answers took, once all are sent. */
static void
settle(HttpConnection *connection)
{
	if (connection->counted_bytes == 0 ||
		(!connection->closed &&
		 (!http_output_idle(&connection->output) || aside_bytes(connection) > 0)))
		return;
	budget_return(connection->loop->results, connection->counted_bytes);
	connection->counted_bytes = 0;
}

/* Requests are parsed faster than their answers get away. */
static bool
too_far_ahead(const HttpConnection *connection)
{
	const Exchange *last = connection->last;
	size_t unsent = http_output_unsent(&connection->output);

	if (last == NULL)
		return unsent > MAX_OUTPUT_BYTES;
	if (!last->answered && last->received && last->route != NULL && last->route->alone)
		return true;
	return connection->exchange_count >= MAX_EXCHANGES ||
		   unsent + aside_bytes(connection) > MAX_OUTPUT_BYTES;
}

void
http_answer(Exchange *exchange, int status, const char *content_type, const char *headers,
			const char *body, size_t length)
{
	HttpConnection *connection = exchange->connection;
	const HttpRequest *request = &exchange->request;
	HttpLoop *loop;

	if (connection == NULL)
	{
		/* The client is gone.  free_exchange() needs no loop to free all of it. */
		free_exchange(exchange, NULL);
		return;
	}
	loop = connection->loop;
	exchange->answered = true;
	metric_http(loop->metrics, exchange->route ? exchange->route->metric : ROUTE_OTHER, status,
				uv_hrtime() - exchange->started_ns);

	/*
	 * A body that nobody needs is read to keep the connection, unless that may cost too much or
	 * the client may not send it at all.
	 */
	if (!exchange->received && has_body(request) &&
		(request->expect_continue || request->chunked ||
		 request->content_length > MAX_IGNORED_BODY))
		exchange->close = true;
	if (is_draining(loop) && exchange->next == NULL)
		exchange->close = true;

	http_format_answer(exchange == connection->first ? &connection->output.pending
													 : &exchange->response,
					   &(HttpAnswer){
						   .status = status,
						   .content_type = content_type,
						   .headers = headers,
						   .body = body,
						   .length = length,
						   .close = exchange->close,
						   .http_1_0 = request->http_1_0,
						   .head_only = request->method == HTTP_HEAD,
					   },
					   loop->date);
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
		advance_queue(connection);
	if (!connection->parsing)
		flush(connection);
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
	bytes_append(&detail, "", 1);
	http_format_problem(&body, status, detail.data);
	bytes_free(&detail);
	http_problem_body(exchange, status, &body);
}

void
http_problem_body(Exchange *exchange, int status, Bytes *body)
{
	bytes_puts(body, "}");
	http_answer(exchange, status, "application/problem+json",
				status == 503 ? "Retry-After: 1\r\n" : NULL, body->data, body->length);
	bytes_free(body);
}

/* Answers the request being received, or one that could not even begin, and ends the connection. */
static void
refuse(HttpConnection *connection, int status, const char *detail)
{
	Exchange *exchange = connection->current;

	connection->closing = true;
	uv_read_stop((uv_stream_t *) &connection->tcp);
	if (exchange == NULL)
		exchange = new_exchange(connection);
	connection->current = NULL;
	exchange->received = true;
	exchange->close = true;
	if (!exchange->answered)
		http_problem(exchange, status, "%s", detail);
	else
		advance_queue(connection);
}

/*
 * Streamed answers
 */

/* Where an answer is written: to the client, or aside until its turn comes. */
static Bytes *
response_of(Exchange *exchange)
{
	return exchange == exchange->connection->first ? &exchange->connection->output.pending
												   : &exchange->response;
}

void
http_stream_begin(Exchange *exchange, const char *content_type, const char *headers)
{
	HttpConnection *connection = exchange->connection;

	if (exchange->request.http_1_0 || (is_draining(connection->loop) && exchange->next == NULL))
		exchange->close = true;
	connection->unframed |= exchange->request.http_1_0;
	http_format_answer(response_of(exchange),
					   &(HttpAnswer){
						   .status = 200,
						   .content_type = content_type,
						   .headers = headers,
						   .streamed = true,
						   .close = exchange->close,
						   .http_1_0 = exchange->request.http_1_0,
					   },
					   connection->loop->date);
	flush_later(connection);
}

bool
http_stream_send(Exchange *exchange, const char *data, size_t length)
{
	HttpConnection *connection = exchange->connection;
	Bytes *out = response_of(exchange);
	bool chunked = !exchange->request.http_1_0;

	if (exchange->request.method == HTTP_HEAD || length == 0)
		return true;
	if (chunked)
		bytes_printf(out, "%zx\r\n", length);
	bytes_append(out, data, length);
	if (chunked)
		bytes_append(out, "\r\n", 2);
	flush_later(connection);
	exchange->full = (exchange == connection->first ? http_output_unsent(&connection->output)
													: out->length) >= MAX_STREAM_BYTES;
	return !exchange->full;
}

void
http_stream_end(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	if (exchange->request.method != HTTP_HEAD && !exchange->request.http_1_0)
		bytes_puts(response_of(exchange), "0\r\n\r\n");
	metric_http(connection->loop->metrics, exchange->route->metric, 200,
				uv_hrtime() - exchange->started_ns);
	exchange->answered = true;
	exchange->full = false;
	if (exchange->received)
		advance_queue(connection);
	flush_later(connection);
}

bool
http_stream_retract(Exchange *exchange)
{
	if (exchange == exchange->connection->first)
		return false;
	exchange->response.length = 0;
	exchange->full = false;
	return true;
}

void
http_stream_break(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	metric_http(connection->loop->metrics, exchange->route->metric, 500,
				uv_hrtime() - exchange->started_ns);
	exchange->full = false;
	connection->closing = true;
	connection->broken = true;
	flush_later(connection);
}

/* Lets the route go on whose answer is being streamed. */
static void
offer_room(HttpConnection *connection)
{
	Exchange *exchange = connection->first;

	if (exchange == NULL || !exchange->full ||
		http_output_unsent(&connection->output) > MAX_STREAM_BYTES / 2)
		return;
	exchange->full = false;
	exchange->route->drained(exchange);
}

/* Passes finished exchanges on, in order. */
static void
advance_queue(HttpConnection *connection)
{
	Exchange *exchange;

	while ((exchange = connection->first) != NULL && exchange->answered && exchange->received)
	{
		connection->first = exchange->next;
		if (connection->first == NULL)
			connection->last = NULL;
		connection->exchange_count--;
		connection->closing |= exchange->close;
		free_exchange(exchange, connection->loop);
		if (connection->first != NULL)
		{
			/* What was formatted while others stood before it. */
			Bytes *response = &connection->first->response;

			bytes_append(&connection->output.pending, response->data, response->length);
			response->length = 0;
		}
	}
	if (connection->first == NULL && connection->phase != PHASE_LINGER)
		set_phase(connection, PHASE_IDLE);
}

/*
 * Writing
 */

static void
on_shutdown(uv_shutdown_t *request, int status)
{
	(void) request;
	(void) status;
}

/*
 * After the last answer: closing at once could make the kernel discard it together with input that
 * nobody has read.  So only our side is shut, and input ignored until the client closes or the time
 * is up.
 */
static void
linger(HttpConnection *connection)
{
	if (connection->ended ||
		uv_shutdown(&connection->shutdown, (uv_stream_t *) &connection->tcp, on_shutdown) != 0)
	{
		close_connection(connection);
		return;
	}
	set_phase(connection, PHASE_LINGER);
	uv_read_start((uv_stream_t *) &connection->tcp, on_allocate, on_read);
}

/* Writes the answers, then does what waited for them to be away. */
static void
flush(HttpConnection *connection)
{
	if (connection->closed || connection->output.active)
		return;
	if (!http_output_flush(&connection->output))
	{
		close_connection(connection);
		return;
	}
	settle(connection);
	offer_room(connection);
	if (connection->output.active)
		return;
	if (connection->broken)
		close_connection(connection);
	else if (connection->first == NULL && connection->phase != PHASE_LINGER &&
			 (connection->closing || connection->ended || is_draining(connection->loop)))
		linger(connection);
	else if (connection->paused && connection->phase != PHASE_BLOCKED && !too_far_ahead(connection))
		resume_parsing(connection);
}

static void
on_output_done(HttpOutput *output, bool failed)
{
	HttpConnection *connection = output->stream->data;

	if (failed)
		close_connection(connection);
	else
		flush(connection);
}

/*
 * Exchanges and the end
 */

static Exchange *
new_exchange(HttpConnection *connection)
{
	HttpLoop *loop = connection->loop;
	Exchange *exchange = loop->free_exchanges;

	if (exchange != NULL)
		loop->free_exchanges = exchange->next;
	else
		exchange = memory_new(sizeof(Exchange));
	http_request_reset(&exchange->request);
	exchange->next = NULL;
	exchange->connection = connection;
	exchange->server_loop = loop->server_loop;
	exchange->route = NULL;
	exchange->state = NULL;
	exchange->started_ns = uv_hrtime();
	exchange->received = false;
	exchange->answered = false;
	exchange->waiting = false;
	exchange->close = false;
	exchange->full = false;
	if (connection->last == NULL)
		connection->first = exchange;
	else
		connection->last->next = exchange;
	connection->last = exchange;
	connection->exchange_count++;
	return exchange;
}

/* Keeps it for reuse in loop, or frees it where that is NULL. */
static void
free_exchange(Exchange *exchange, HttpLoop *loop)
{
	if (exchange->route != NULL && exchange->route->release != NULL)
		exchange->route->release(exchange);
	exchange->route = NULL;
	if (loop == NULL || exchange->response.capacity > KEPT_BYTES)
		bytes_free(&exchange->response);
	exchange->response.length = 0;
	if (loop == NULL)
	{
		bytes_free(&exchange->request.target);
		free(exchange);
		return;
	}
	exchange->next = loop->free_exchanges;
	loop->free_exchanges = exchange;
}

static void
close_connection(HttpConnection *connection)
{
	HttpLoop *loop = connection->loop;
	/* Without chunks only a reset tells a client that the end of an answer is missing. */
	bool reset = connection->unframed &&
				 (connection->first != NULL || !http_output_idle(&connection->output));

	if (connection->closed)
		return;
	connection->closed = true;
	connection->closing = true;
	while (connection->first != NULL)
	{
		Exchange *exchange = connection->first;

		connection->first = exchange->next;
		if (exchange->waiting && !exchange->answered)
			exchange->connection = NULL; /* http_answer() frees it */
		else
			free_exchange(exchange, loop);
	}
	connection->last = NULL;
	connection->current = NULL;
	if (!reset || uv_tcp_close_reset(&connection->tcp, on_closed) != 0)
		uv_close((uv_handle_t *) &connection->tcp, on_closed);
}

static void
on_closed(uv_handle_t *handle)
{
	HttpConnection *connection = handle->data;
	HttpLoop *loop = connection->loop;

	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		loop->connections = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	atomic_fetch_sub(loop->open_connections, 1);
	metric_add(&loop->metrics->connections_closed, 1);
	settle(connection);
	bytes_free(&connection->unparsed);
	bytes_free(&connection->blocked);
	http_output_free(&connection->output);
	free(connection);
}
