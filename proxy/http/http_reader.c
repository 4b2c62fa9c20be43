/*
 * http_reader.c
 *	  Reads what clients send, and calls routes.
 *
 * Every byte passes http_framing before llhttp sees it.  Bytes that are refused there are never
 * parsed; their request is answered after llhttp has seen all bytes before them.
 *
 * All connections of a loop read into one buffer, and what was read is parsed at once.  Only if
 * parsing must pause (for a blocked body, for too many unanswered requests, for the turn of
 * others), the rest is copied and counted, and reading stops, which in the end slows the client
 * down.  When the turn's time is used up nothing is read: thousands of connections may have input
 * in one turn, and to copy that of all would take memory that no bound limits.
 */
#include "http/http_reader.h"

#include "base/assert.h"
#include "http/http_answer.h"
#include "http/http_authorize.h"
#include "http/http_close.h"
#include "http/http_format.h"
#include "http/http_limit.h"
#include "http/http_trace.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BUFFER_BYTES 65536
#define SHORT_READ_BYTES  4096 /* of input that may have to be kept while memory is short */

static void read_later(HttpConnection *connection);
static void read_now(HttpConnection *connection);
static bool open_input(HttpConnection *connection, const char **data, size_t *length);
static void take_input(HttpConnection *connection, const char *data, size_t length);
static void parse_slice(HttpConnection *connection, const char *data, size_t length);
static void parse(HttpConnection *connection, const char *data, size_t length);
static void resume(HttpConnection *connection);
static void end_input(HttpConnection *connection);
static bool offer_withheld(HttpConnection *connection);
static bool take_withheld(HttpConnection *connection);
static bool end_request(Exchange *exchange);
static void message_received(HttpConnection *connection);

static int on_message_begin(llhttp_t *parser);
static int on_url(llhttp_t *parser, const char *data, size_t length);
static int on_header_field(llhttp_t *parser, const char *data, size_t length);
static int on_header_value(llhttp_t *parser, const char *data, size_t length);
static int on_headers_complete(llhttp_t *parser);
static int on_body(llhttp_t *parser, const char *data, size_t length);
static int on_message_complete(llhttp_t *parser);

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static llhttp_settings_t parser_settings;

void
reader_init(HttpLoop *loop)
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
	if (loop->tls != NULL)
		loop->open_buffer = memory_new_raw(READ_BUFFER_BYTES + TLS_RECORD_BYTES);
}

void
reader_start(HttpConnection *connection)
{
	llhttp_init(&connection->parser, HTTP_REQUEST, &parser_settings);
	connection->parser.data = connection;
	reader_continue(connection);
}

void
reader_continue(HttpConnection *connection)
{
	uv_read_start((uv_stream_t *) &connection->tcp, on_allocate, on_read);
}

/* How much to read at a time. */
static size_t
read_size(const HttpConnection *connection)
{
	bool kept = connection->input != INPUT_PARSED || budget_full(connection->loop->memory);

	return kept && connection_open(connection) ? SHORT_READ_BYTES : READ_BUFFER_BYTES;
}

/* Gives libuv the loop's buffer to read into, or none if the turn's time is used up. */
static void
on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	HttpConnection *connection = handle->data;
	HttpLoop *loop = connection->loop;

	(void) suggested;
	if (connection->input == INPUT_PARSED && connection_open(connection) && turn_over(&loop->turns))
		*buffer = uv_buf_init(NULL, 0);
	else
		*buffer = uv_buf_init(loop->read_buffer, (unsigned) read_size(connection));
}

/*
 * Checks and parses input, or keeps it; at the end of input, closes a connection without answers.
 */
static void
on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	HttpConnection *connection = stream->data;
	const char *data = buffer->base;
	size_t length = (size_t) count;

	if (count == 0)
		return;
	if (count == UV_ENOBUFS)
	{
		read_later(connection);
		return;
	}
	if (count > 0)
	{
		if (!connection_open(connection) || !open_input(connection, &data, &length))
			return;
		if (length > 0)
			take_input(connection, data, length);
		if (connection->closing && connection->input == INPUT_PARSED)
			end_input(connection);
		return;
	}
	if (count == UV_EOF)
	{
		end_input(connection);
		return;
	}
	connection->ended = true;
	uv_read_stop(stream);
	connection_close(connection, CLOSE_FAILED);
}

/* The client will send no more, but may still read its answers; then flush() closes. */
static void
end_input(HttpConnection *connection)
{
	if (connection->ended || connection->life == LIFE_CLOSED)
		return;
	connection->ended = true;
	uv_read_stop((uv_stream_t *) &connection->tcp);
	if (connection->current != NULL && !connection->current->received)
		connection_close(connection, CLOSE_CLIENT_LEFT);
	else if (exchange_first(connection) == NULL && http_output_idle(&connection->output))
		connection_close(connection, CLOSE_CLIENT);
}

/*
 * With TLS, opens what was received, so that *data is what the client sent; false: the connection
 * has ended, or its only answer is under way.
 */
static bool
open_input(HttpConnection *connection, const char **data, size_t *length)
{
	HttpOutput *output = &connection->output;
	char *plain = connection->loop->open_buffer;
	TlsInput input;
	size_t held;

	if (output->tls == NULL)
		return true;
	held = tls_memory(output->tls);
	input = tls_open(output->tls, *data, *length, plain, length, &output->sealed);
	*data = plain;
	switch (input)
	{
		case TLS_OPEN:
			break;
		case TLS_ENDED:
			connection->closing = true;
			break;
		case TLS_BROKEN:
			trace_tls_failed(connection, tls_why(output->tls));
			http_output_flush(output); /* an alert that tells the client why */
			connection_close(connection, CLOSE_TLS);
			return false;
		case TLS_ABSENT:
			tls_free(output->tls);
			output->tls = NULL;
			http_refuse(connection, 400, CLOSE_INVALID,
						"this port takes HTTP over TLS only: the address must begin with https://");
			connection_flush_later(connection);
			return false;
	}
	if (connection->subject == NULL)
		connection->subject = tls_take_subject(output->tls);
	if (output->sealed.length > 0)
		connection_flush_later(connection);
	else if (tls_memory(output->tls) != held)
		exchange_count_memory(connection); /* of a record that is not complete, for example */
	return true;
}

/* Leaves the input in the kernel until the connection's task runs. */
static void
read_later(HttpConnection *connection)
{
	connection->unread = true;
	connection_set_input(connection, INPUT_PAUSED);
	uv_read_stop((uv_stream_t *) &connection->tcp);
	turn_queue_fresh(&connection->loop->turns, &connection->task);
}

/*
 * Reads in the connection's task what read_later() has left.  libuv would read it in the next turn,
 * whose time may be used up before.  The end of the input and errors are left to libuv.
 */
static void
read_now(HttpConnection *connection)
{
	char *buffer = connection->loop->read_buffer;
	uv_os_fd_t fd;
	const char *data = buffer;
	size_t length;
	ssize_t count;

	connection->unread = false;
	if (uv_fileno((uv_handle_t *) &connection->tcp, &fd) != 0)
		return;
	count = recv(fd, buffer, read_size(connection), MSG_DONTWAIT);
	length = (size_t) count;
	if (count > 0 && open_input(connection, &data, &length) && length > 0)
		parse_slice(connection, data, framing_check(&connection->framing, data, length));
}

/*
 * Checks input, and parses it or keeps it.  A connection may be read from several times in a turn,
 * but has one slice.
 */
static void
take_input(HttpConnection *connection, const char *data, size_t length)
{
	Turns *turns = &connection->loop->turns;
	size_t right = framing_check(&connection->framing, data, length);

	if (connection->input != INPUT_PARSED)
	{
		bytes_append(&connection->unparsed, data, right);
		exchange_count_memory(connection);
		uv_read_stop((uv_stream_t *) &connection->tcp);
		return;
	}
	if (connection->turn != turns->number)
	{
		connection->turn = turns->number;
		connection->slice_end_ns = turn_slice(turns);
	}
	else
		turn_slice_again(turns, connection->slice_end_ns);
	parse_slice(connection, data, right);
}

/* Parses input; after the end of the slice, the connection's task goes on. */
static void
parse_slice(HttpConnection *connection, const char *data, size_t length)
{
	Turns *turns = &connection->loop->turns;

	parse(connection, data, length);
	if (connection->input != INPUT_PARSED || connection->life == LIFE_CLOSED ||
		!turn_slice_was_over(turns))
		return;
	connection_set_input(connection, INPUT_PAUSED);
	uv_read_stop((uv_stream_t *) &connection->tcp);
	turn_queue(turns, &connection->task);
}

/*
 * Gives input to llhttp, which calls the route; keeps the rest or refuses the request if that
 * stops.
 */
static void
parse(HttpConnection *connection, const char *data, size_t length)
{
	llhttp_t *parser = &connection->parser;
	llhttp_errno_t error;
	char detail[160];

	connection->parsing = true;
	error = llhttp_execute(parser, data, length);
	connection->parsing = false;

	if (connection->life == LIFE_CLOSED)
		return;
	if (!connection_open(connection))
		; /* all that follows the last request is ignored */
	else if (error == HPE_PAUSED)
	{
		const char *rest = llhttp_get_error_pos(parser);

		bytes_append(&connection->unparsed, rest, (size_t) (data + length - rest));
		exchange_count_memory(connection); /* before more is read, of others too */
		if (connection->input == INPUT_PARSED)
			connection_set_input(connection, INPUT_PAUSED);
		/*
		 * Between requests, reading goes on until something comes: it shows that a client has left.  It
		 * begins again if the request waited in the kernel for its turn (read_later()).
		 */
		if (connection->current != NULL || connection->unparsed.length > 0)
			uv_read_stop((uv_stream_t *) &connection->tcp);
		else if (!connection->ended)
			reader_continue(connection);
		if (connection->phase != PHASE_BLOCKED && !exchange_too_far_ahead(connection))
			turn_queue(&connection->loop->turns, &connection->task);
	}
	else if (error == HPE_PAUSED_UPGRADE)
		http_refuse(connection, 400, CLOSE_INVALID, "the protocol cannot be changed");
	else if (error != HPE_OK)
	{
		int status = error == HPE_USER				? 414
					 : error == HPE_INVALID_METHOD	? 501
					 : error == HPE_INVALID_VERSION ? 505
													: 400;

		if (status == 414)
			snprintf(detail, sizeof(detail), "the request target is longer than %d bytes",
					 HTTP_MAX_TARGET_BYTES);
		else if (status == 501)
			snprintf(detail, sizeof(detail), "the method is not known");
		else
			snprintf(detail, sizeof(detail), "the request is not valid HTTP/1.1: %s",
					 llhttp_get_error_reason(parser));
		http_refuse(connection, status, CLOSE_INVALID, detail);
	}
	else if (connection->framing.status != 0)
		http_refuse(connection, connection->framing.status, CLOSE_INVALID,
					connection->framing.detail);
	connection_flush_later(connection);
}

void
reader_go_on(TurnTask *task)
{
	HttpConnection *connection = LIST_ITEM(task, HttpConnection, task);

	if (connection->life == LIFE_CLOSED)
		return;
	if (connection->input == INPUT_WITHHELD && !offer_withheld(connection))
		return;
	if (!exchange_too_far_ahead(connection))
		resume(connection);
}

/* Parses the input that was kept, and reads on. */
static void
resume(HttpConnection *connection)
{
	Bytes unparsed = connection->unparsed;

	if (connection->input != INPUT_PAUSED || !connection_open(connection))
		return;
	connection_set_input(connection, INPUT_PARSED);
	connection->unparsed = (Bytes){0};
	llhttp_resume(&connection->parser);
	/*
	 * This is done even without data, because the end of a message may be all that is left.  With
	 * NULL, llhttp would forget that it is in the middle of a body.
	 */
	parse(connection, unparsed.length > 0 ? unparsed.data : "", unparsed.length);
	bytes_free(&unparsed);
	if (connection->unread && connection->input == INPUT_PARSED && connection_open(connection))
		read_now(connection);
	if (connection->input == INPUT_PARSED && connection->life != LIFE_CLOSED && !connection->ended)
		reader_continue(connection);
	if (connection->closing && connection->input == INPUT_PARSED)
		end_input(connection);
}

/*
 * Offers withheld input to the route again, and returns whether parsing may go on.  As in the
 * parser's callbacks, an answer must not be flushed at once: that could begin the next request
 * while this one is still the current one.
 */
static bool
offer_withheld(HttpConnection *connection)
{
	bool taken;

	if (connection->current == NULL || connection->current->answered)
		return false;
	connection->parsing = true;
	taken = take_withheld(connection);
	connection->parsing = false;
	connection_flush_later(connection);
	return taken;
}

/*
 * Keeps input from a route that does not take it now, for one of three reasons.  The route is
 * blocked, until http_loop_resume().  Or it is the turn of others, and the task is queued.  Or the
 * request must wait for the answers before its own, after which flush() of http_loop.c queues the
 * task.
 */
static void
withhold(HttpConnection *connection)
{
	Exchange *exchange = connection->current;
	bool turned = exchange->turned;
	bool blocked = !turned && !(exchange->received && exchange_too_early(exchange));

	connection_set_input(connection, INPUT_WITHHELD);
	exchange->turned = false;
	ASSERT(connection->phase == PHASE_BODY || connection->phase == PHASE_BLOCKED);
	if (blocked && connection->phase != PHASE_BLOCKED)
		connection_set_phase(connection, PHASE_BLOCKED);
	else if (!blocked && connection->phase == PHASE_BLOCKED)
		connection_set_phase(connection, PHASE_BODY);
	if (turned)
		turn_queue(&connection->loop->turns, &connection->task);
}

/* Does the work of offer_withheld(), which holds the answers back. */
static bool
take_withheld(HttpConnection *connection)
{
	Exchange *exchange = connection->current;
	Bytes *blocked = &connection->blocked;

	if (!exchange->received)
	{
		size_t taken = exchange->route->body(exchange, blocked->data, blocked->length);

		if (!connection_open(connection))
			return false;
		bytes_consume(blocked, taken);
		if (blocked->length > 0 || exchange->turned)
		{
			withhold(connection);
			return false;
		}
		bytes_free(blocked);
		connection_set_phase(connection, PHASE_BODY);
	}
	/* The end of the request was withheld. */
	else if (!end_request(exchange))
	{
		withhold(connection);
		return false;
	}
	else
		message_received(connection);
	connection_set_input(connection, INPUT_PAUSED);
	return true;
}

/*
 * The answer may have to wait for those before it.  So the request stops being the current one:
 * nothing more of it is offered, and nothing after it is parsed.
 */
void
reader_give_up_blocked(HttpConnection *connection)
{
	Exchange *exchange = connection->current;

	connection->current = NULL;
	connection_set_life(connection, LIFE_LAST, CLOSE_BUFFER_FULL);
	bytes_free(&connection->blocked);
	connection_set_phase(connection, PHASE_ANSWERING);
	connection_set_input(connection, INPUT_PAUSED);
	exchange->received = true;
	if (exchange->close == CLOSE_NONE)
		exchange->close = CLOSE_BUFFER_FULL;
	exchange->route->block_timeout(exchange);
}

/*
 * The parser's callbacks.  A nonzero return stops the parser; see parse().
 */

static int
on_message_begin(llhttp_t *parser)
{
	HttpConnection *connection = parser->data;

	connection->current = exchange_new(connection);
	connection->body_bytes = 0;
	connection_set_phase(connection, PHASE_HEAD);
	return 0;
}

static int
on_url(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;

	return http_request_target(&connection->current->request, data, length) ? 0 : HPE_USER;
}

static int
on_header_field(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;

	http_request_header_name(&connection->current->request, data, length);
	return 0;
}

static int
on_header_value(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;

	http_request_header_value(&connection->current->request, data, length);
	return 0;
}

/* Does the route take the method? */
static bool
takes(const Route *route, uint8_t method)
{
	switch (method)
	{
		case HTTP_GET:
		case HTTP_HEAD:
			return route->get || !(route->post || route->put || route->remove);
		case HTTP_POST:
			return route->post;
		case HTTP_PUT:
			return route->put;
		case HTTP_DELETE:
			return route->remove;
		default:
			return false;
	}
}

/*
 * Appends what a browser asks before it sends a request of an invited page (CORS preflight).  The
 * headers are those that some route looks at and that a page may not send unasked.
 */
static void
put_preflight(Bytes *headers, const char *const *methods, int count)
{
	bytes_puts(headers, "Access-Control-Allow-Methods: ");
	for (int i = 0; i < count; i++)
		bytes_printf(headers, "%s%s", i == 0 ? "" : ", ", methods[i]);
	bytes_puts(headers, "\r\nAccess-Control-Allow-Headers: Authorization, Content-Encoding, "
						"Content-Type, If-None-Match, Last-Event-ID, Traceparent, "
						"X-Request-Id\r\n"
						"Access-Control-Allow-Private-Network: true\r\n"
						"Access-Control-Max-Age: 600\r\n");
}

/* Answers what may be done instead, or only that if it was asked. */
static void
answer_allowed(Exchange *exchange, const Route *route)
{
	static const uint8_t methods[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE};
	const char *names[5];
	int count = 0;
	Bytes detail = {0};
	Bytes allow = {0};
	Bytes body = {0};

	for (int i = 0; i < 5; i++)
	{
		if (takes(route, methods[i]))
			names[count++] = llhttp_method_name(methods[i]);
	}
	for (int i = 0; i < count; i++)
	{
		bytes_printf(&detail, "%s%s",
					 i == 0			 ? "this path takes "
					 : i + 1 < count ? ", "
									 : " and ",
					 names[i]);
		bytes_printf(&allow, "%s%s", i == 0 ? "Allow: " : ", ", names[i]);
	}
	bytes_puts(&detail, " only");
	bytes_puts(&allow, ", OPTIONS\r\n");
	if (exchange->invited && exchange->request.method == HTTP_OPTIONS)
		put_preflight(&allow, names, count);
	if (exchange->request.method == HTTP_OPTIONS)
		http_answer(exchange, 204, NULL, bytes_text(&allow), NULL, 0);
	else
	{
		http_format_problem(&body, 405, bytes_text(&detail));
		bytes_puts(&body, "}\n");
		http_answer(exchange, 405, "application/problem+json", bytes_text(&allow), body.data,
					body.length);
	}
	bytes_free(&detail);
	bytes_free(&allow);
	bytes_free(&body);
}

/* Answers that there is nothing at the path, and where there is something. */
static void
answer_not_found(Exchange *exchange)
{
	Bytes body = {0};

	http_problem_begin(exchange, &body, 404, "there is nothing at this path");
	bytes_puts(&body, ",\"paths\":");
	exchange->loop->put_paths(&body);
	http_problem_body(exchange, 404, &body);
}

/* Finds the route and begins it, or answers why the request is refused. */
static void
dispatch(Exchange *exchange)
{
	HttpRequest *request = &exchange->request;
	const Config *config = exchange->loop->config;
	KnownHost *known = &exchange->connection->known_host;
	bool host_known;
	const Route *route;
	const char *wrong;
	char why[640];

	wrong = http_request_resolve_target(request, exchange->connection->output.tls != NULL)
				? NULL
				: "the request target must be a path, or http://host/path";
	host_known = http_site_host_known(known, request);
	if (wrong == NULL && !host_known && !http_request_host_valid(request))
		wrong = "the header Host is not host, or host:port";
	if (wrong != NULL)
	{
		exchange->close = CLOSE_INVALID;
		http_problem(exchange, 400, "%s", wrong);
		return;
	}
	route = exchange->connection->loop->find_route(request->target.data,
												   http_request_path_length(request));

	exchange->invited = http_site_invited(request, config);
	if (http_site_foreign(request, config, host_known ? NULL : known, exchange->invited,
						  route != NULL && route->linked, why, sizeof(why)))
		http_problem(exchange, 403, "%s", why);
	else if (request->expect[0] != '\0' && !request->expect_continue)
		http_problem(exchange, 417, "the header Expect may only ask for 100-continue");
	else if (request->target.data[0] == '*')
		http_answer(exchange, 204, NULL, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n", NULL,
					0);
	else if (exchange->connection->health && (route == NULL || !route->health))
		http_problem(exchange, 404, "this address has health and metrics alone (--listen-health)");
	else if (route == NULL)
	{
		if (http_limit_request(exchange, NULL))
			answer_not_found(exchange);
	}
	else if (!takes(route, request->method))
	{
		if (http_limit_request(exchange, NULL))
			answer_allowed(exchange, route);
	}
	else if (http_authorize(exchange, route))
	{
		exchange->route = route;
		exchange->alone = route->alone;
		if (route->begin != NULL)
			route->begin(exchange);
	}
}

/* Takes over what llhttp knows of the head, and finds the route. */
static int
on_headers_complete(llhttp_t *parser)
{
	HttpConnection *connection = parser->data;
	Exchange *exchange = connection->current;
	HttpRequest *request = &exchange->request;

	/* The server may ignore an offer to change the protocol, and does. */
	if (parser->method != HTTP_CONNECT)
		parser->upgrade = 0;
	http_request_head_complete(request);
	request->method = parser->method;
	request->http_1_0 = parser->http_minor == 0;
	request->chunked = (parser->flags & F_CHUNKED) != 0;
	request->content_length = request->chunked ? 0 : parser->content_length;
	if (request->http_1_0)
		request->expect[0] = '\0'; /* RFC 9110, 10.1.1 */
	request->expect_continue =
		request->expect[0] != '\0' && strcasecmp(request->expect, "100-continue") == 0;
	if (!llhttp_should_keep_alive(parser) || parser->method == HTTP_CONNECT)
		exchange->close = CLOSE_ASKED;

	connection_set_phase(connection, PHASE_BODY);
	dispatch(exchange);
	if (!connection_open(connection))
		return HPE_PAUSED;
	if (!exchange->answered && request->expect_continue && http_request_has_body(request))
		bytes_puts(exchange == exchange_first(connection) ? &connection->output.pending
														  : &exchange->response,
				   "HTTP/1.1 100 Continue\r\n\r\n");
	return 0;
}

/* Offers a piece of the body to the route, and withholds what that does not take. */
static int
on_body(llhttp_t *parser, const char *data, size_t length)
{
	HttpConnection *connection = parser->data;
	Exchange *exchange = connection->current;
	size_t taken;

	connection->body_bytes += length;
	/* A body that no route takes is read only to get to the next request. */
	if (exchange->answered || exchange->route->body == NULL)
		return 0;
	taken = exchange->route->body(exchange, data, length);
	if (!connection_open(connection))
		return HPE_PAUSED;
	if (taken == length && !exchange->turned)
		return 0;
	bytes_append(&connection->blocked, data + taken, length - taken);
	withhold(connection);
	return HPE_PAUSED;
}

/* Ends the request, and pauses the parser if it must not go on with the next one. */
static int
on_message_complete(llhttp_t *parser)
{
	HttpConnection *connection = parser->data;
	Exchange *exchange = connection->current;

	exchange->received = true;
	/* After the last request nothing is answered, however long its own answer takes. */
	if (exchange->close != CLOSE_NONE)
		connection_set_life(connection, LIFE_LAST, exchange->close);
	if (!end_request(exchange))
	{
		withhold(connection);
		return HPE_PAUSED;
	}
	message_received(connection);
	return !connection_open(connection) || exchange_too_far_ahead(connection) ||
				   turn_slice_was_over(&connection->loop->turns)
			   ? HPE_PAUSED
			   : 0;
}

/* Tells the route that its request has ended; false if it must be told again. */
static bool
end_request(Exchange *exchange)
{
	return exchange->answered || (!exchange_too_early(exchange) && exchange->route->end(exchange));
}

static void
message_received(HttpConnection *connection)
{
	connection->current = NULL;
	exchange_advance(connection);
	if (connection->phase != PHASE_IDLE)
		connection_set_phase(connection, PHASE_ANSWERING);
}
