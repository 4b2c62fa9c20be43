/*
 * http_client.c
 *	  One HTTP/1.1 connection to a server, with pipelining, which is made again when it is lost.
 *
 * All requests are in one list, in the order of sending: those before "unsent" were sent, and the
 * others wait for the connection.  A response belongs to the first request of the list.  If the
 * connection is lost, the requests that were sent end.  A request's callback is called only after
 * libuv has ended its write, so that the caller may free it.
 *
 * With TLS, what a request is sealed to is a buffer of its own, which its write ends.
 */
#include "http_client.h"

#include <llhttp.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PAUSE_MS 1000
#define READ_BYTES	 (64 * 1024)

typedef struct Connection
{
	uv_tcp_t tcp;
	uv_connect_t connect;
	llhttp_t parser;
	HttpClient *client; /* NULL after the connection was given up */
	TlsSession *tls;	/* NULL: plain */
	bool connected;		/* requests may be sent */
} Connection;

/* Bytes of TLS on their way. */
typedef struct SealedWrite
{
	uv_write_t write;
	char data[];
} SealedWrite;

struct HttpClient
{
	uv_loop_t *loop;
	HttpServer *server;
	uint32_t timeout_s;
	uv_timer_t timer; /* the pause before connecting, or the time limit */
	bool closing;
	uint32_t pause_ms;
	Connection *connection;
	HttpRequest *first;
	HttpRequest *last;
	HttpRequest *unsent;
	uint32_t pending;

	/* the response that is being received */
	char *body;
	size_t body_bytes;
	size_t body_allocated;
	char field[32];
	size_t field_bytes;
	uint32_t retry_after_s;
	char read_buffer[READ_BYTES];
	char plain[TLS_RECORD_BYTES]; /* with TLS: what was received */
};

static void start_connecting(HttpClient *client);
static void on_connect(uv_connect_t *request, int status);
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer);
static void on_write(uv_write_t *write, int status);
static void on_sealed_write(uv_write_t *write, int status);
static bool parse(Connection *connection, const char *data, size_t bytes);
static void receive_sealed(Connection *connection, const char *data, size_t bytes);
static void flush_sealed(Connection *connection);
static void tell_unreachable(HttpClient *client, const char *why);
static void on_timer(uv_timer_t *timer);
static void on_connection_closed(uv_handle_t *handle);
static void on_client_closed(uv_handle_t *handle);
static void send_unsent(HttpClient *client);
static void lose_connection(HttpClient *client);
static void finish_first(HttpClient *client, const HttpResponse *response);
static void start_timer(HttpClient *client, uint64_t ms);

static int on_message_begin(llhttp_t *parser);
static int on_header_field(llhttp_t *parser, const char *at, size_t bytes);
static int on_header_value(llhttp_t *parser, const char *at, size_t bytes);
static int on_body(llhttp_t *parser, const char *at, size_t bytes);
static int on_message_complete(llhttp_t *parser);

static const llhttp_settings_t parser_settings = {
	.on_message_begin = on_message_begin,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

const char *
http_server_set(HttpServer *server, const char *url, const char *token_file, const TlsFiles *files)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	const char *wrong = server_url_parse(&server->url, url);

	if (wrong == NULL)
		wrong = tls_client_open(&server->tls, &server->url, files);
	if (wrong == NULL)
		wrong = token_option_header(token_file, server->headers, sizeof(server->headers));
	if (wrong != NULL)
		return wrong;
	if (getaddrinfo(server->url.host, server->url.port, &hints, &found) != 0)
		return "the URL's host is not known";
	memcpy(&server->address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return NULL;
}

int
http_request_get(HttpRequest *request, const HttpServer *server, const char *path)
{
	int bytes =
		snprintf(request->head, sizeof(request->head), "GET %s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
				 server->url.prefix, path, server->url.authority, server->headers);

	request->head_bytes = (size_t) bytes;
	request->body = NULL;
	request->body_bytes = 0;
	return bytes < 0 || (size_t) bytes >= sizeof(request->head);
}

int
http_request_post(HttpRequest *request, const HttpServer *server, const char *path,
				  const char *content_type, size_t body_bytes)
{
	int bytes = snprintf(request->head, sizeof(request->head),
						 "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n"
						 "Content-Length: %zu\r\n%s\r\n",
						 server->url.prefix, path, server->url.authority, content_type, body_bytes,
						 server->headers);

	request->head_bytes = (size_t) bytes;
	request->body_bytes = body_bytes;
	return bytes < 0 || (size_t) bytes >= sizeof(request->head);
}

HttpClient *
http_client_open(uv_loop_t *loop, HttpServer *server, uint32_t timeout_s)
{
	HttpClient *client = calloc(1, sizeof(*client));

	if (client == NULL)
		abort();
	client->loop = loop;
	client->server = server;
	client->timeout_s = timeout_s;
	uv_timer_init(loop, &client->timer);
	client->timer.data = client;
	start_connecting(client);
	return client;
}

void
http_client_close(HttpClient *client)
{
	client->closing = true;
	lose_connection(client);
	while (client->first != NULL)
		finish_first(client, NULL);
	uv_close((uv_handle_t *) &client->timer, on_client_closed);
}

void
http_client_send(HttpClient *client, HttpRequest *request)
{
	request->next = NULL;
	request->done = 0;
	request->writes = 0;
	request->early_status = 0;
	if (client->first == NULL)
		client->first = request;
	else
		client->last->next = request;
	client->last = request;
	if (client->unsent == NULL)
		client->unsent = request;
	client->pending++;
	send_unsent(client);
}

uint32_t
http_client_pending(const HttpClient *client)
{
	return client->pending;
}

static void
start_connecting(HttpClient *client)
{
	Connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL)
		abort();
	connection->client = client;
	client->connection = connection;
	uv_tcp_init(client->loop, &connection->tcp);
	connection->tcp.data = connection;
	connection->connect.data = connection;
	if (uv_tcp_connect(&connection->connect, &connection->tcp,
					   (const struct sockaddr *) &client->server->address, on_connect) != 0)
		lose_connection(client);
	else
		start_timer(client, client->timeout_s * UINT64_C(1000));
}

/*
 * Tells the program that the server gave no answer.  It is silent from the first failure after its
 * last answer, whichever connection failed.
 */
static void
tell_unreachable(HttpClient *client, const char *why)
{
	HttpServer *server = client->server;
	uint64_t now = uv_now(client->loop);

	if (client->closing)
		return;
	if (server->silent_ms == 0)
		server->silent_ms = now;
	if (server->on_unreachable != NULL)
		server->on_unreachable(server->context, why, server->answered, now - server->silent_ms);
}

/* Sends the requests that wait, or tries again after a pause. */
static void
on_connect(uv_connect_t *request, int status)
{
	Connection *connection = request->data;
	HttpClient *client = connection->client;

	if (client == NULL)
		return;
	if (status != 0)
	{
		tell_unreachable(client, uv_strerror(status));
		lose_connection(client);
		return;
	}
	llhttp_init(&connection->parser, HTTP_RESPONSE, &parser_settings);
	connection->parser.data = client;
	uv_tcp_nodelay(&connection->tcp, 1);
	uv_read_start((uv_stream_t *) &connection->tcp, on_alloc, on_read);
	if (client->server->tls != NULL)
	{
		/* the timer goes on: it is for the handshake, too */
		connection->tls = tls_session_open(client->server->tls, &client->server->url);
		flush_sealed(connection);
		return;
	}
	uv_timer_stop(&client->timer);
	connection->connected = true;
	send_unsent(client);
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	Connection *connection = handle->data;

	(void) suggested;
	if (connection->client == NULL)
		*buffer = uv_buf_init(NULL, 0);
	else
		*buffer = uv_buf_init(connection->client->read_buffer, READ_BYTES);
}

/* Parses what was read; at the end, or after an error, connects again. */
static void
on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer)
{
	Connection *connection = stream->data;
	HttpClient *client = connection->client;

	if (bytes == 0 || client == NULL)
		return;
	if (bytes > 0 && connection->tls != NULL)
	{
		receive_sealed(connection, buffer->base, (size_t) bytes);
		return;
	}
	if (bytes > 0 && parse(connection, buffer->base, (size_t) bytes))
		return;
	if (connection->client == NULL)
		return; /* a callback closed the client */
	if (bytes < 0 && (client->first != client->unsent || !connection->connected))
		tell_unreachable(client, connection->tls != NULL
									 ? tls_session_ended_early(connection->tls)
									 : "the server closed the connection before it answered");
	lose_connection(client);
}

/* Returns whether the connection goes on; a callback may close the client. */
static bool
parse(Connection *connection, const char *data, size_t bytes)
{
	HttpServer *server = connection->client->server;
	llhttp_errno_t error;

	server->answered = true;
	server->silent_ms = 0;
	connection->client->pause_ms = 0;
	error = llhttp_execute(&connection->parser, data, bytes);
	if (error != HPE_OK && error != HPE_PAUSED)
		fprintf(stderr, "the server's answer is not HTTP: %s\n",
				llhttp_get_error_reason(&connection->parser));
	return error == HPE_OK && connection->client != NULL;
}

/* Opens what was received; the first requests are sent after the handshake. */
static void
receive_sealed(Connection *connection, const char *data, size_t bytes)
{
	HttpClient *client = connection->client;
	ssize_t count;

	tls_session_receive(connection->tls, data, bytes);
	while ((count = tls_session_read(connection->tls, client->plain, sizeof(client->plain))) > 0)
	{
		bool goes_on = parse(connection, client->plain, (size_t) count);

		if (connection->client == NULL)
			return;
		if (!goes_on)
		{
			lose_connection(client);
			return;
		}
	}
	flush_sealed(connection); /* also an alert that tells the server why */
	if (count < 0)
	{
		if (tls_session_wrong(connection->tls) != NULL || client->first != client->unsent)
			tell_unreachable(client, tls_session_ended_early(connection->tls));
		lose_connection(client);
		return;
	}
	if (connection->connected || !tls_session_ready(connection->tls))
		return;
	uv_timer_stop(&client->timer);
	connection->connected = true;
	send_unsent(client);
}

/* Sends what TLS has to be sent. */
static void
flush_sealed(Connection *connection)
{
	size_t bytes = tls_session_waiting(connection->tls);
	SealedWrite *sealed;
	uv_buf_t buffer;

	if (bytes == 0)
		return;
	sealed = malloc(sizeof(*sealed) + bytes);
	if (sealed == NULL)
		abort();
	buffer = uv_buf_init(sealed->data,
						 (unsigned int) tls_session_take(connection->tls, sealed->data, bytes));
	if (uv_write(&sealed->write, (uv_stream_t *) &connection->tcp, &buffer, 1, on_sealed_write) !=
		0)
		free(sealed); /* on_read() notices it */
}

static void
on_sealed_write(uv_write_t *write, int status)
{
	(void) status;
	free(write);
}

static void
on_write(uv_write_t *write, int status)
{
	HttpRequest *request = write->data;

	(void) status; /* on_read() notices a lost connection */
	request->writes--;
	if (request->done)
	{
		HttpResponse early = {.status = request->early_status,
							  .body = "",
							  .retry_after_s = request->early_retry_after_s};

		request->callback(request, request->early_status == 0 ? NULL : &early);
	}
}

/* Connects after the pause, or gives up a connection on which the server took too long. */
static void
on_timer(uv_timer_t *timer)
{
	HttpClient *client = timer->data;

	if (client->connection == NULL)
	{
		start_connecting(client);
		return;
	}
	tell_unreachable(client, client->connection->connected ? "it does not answer"
														   : "no connection within the time limit");
	lose_connection(client);
}

static void
send_request(Connection *connection, HttpRequest *request)
{
	uv_buf_t buffers[2] = {
		uv_buf_init(request->head, (unsigned int) request->head_bytes),
		uv_buf_init(request->body, (unsigned int) request->body_bytes),
	};

	if (connection->tls != NULL)
	{
		tls_session_write(connection->tls, request->head, request->head_bytes);
		tls_session_write(connection->tls, request->body, request->body_bytes);
		flush_sealed(connection);
		return;
	}
	request->write.data = request;
	request->writes++;
	if (uv_write(&request->write, (uv_stream_t *) &connection->tcp, buffers,
				 request->body_bytes > 0 ? 2 : 1, on_write) != 0)
		request->writes--; /* on_read() notices it */
}

/* Sends the requests that wait, if there is a connection. */
static void
send_unsent(HttpClient *client)
{
	Connection *connection = client->connection;

	if (connection == NULL || !connection->connected)
		return;
	for (; client->unsent != NULL; client->unsent = client->unsent->next)
		send_request(connection, client->unsent);
	if (client->first != NULL && !uv_is_active((uv_handle_t *) &client->timer))
		start_timer(client, client->timeout_s * UINT64_C(1000));
}

/* Ends the connection and the requests that were sent, and connects again after a pause. */
static void
lose_connection(HttpClient *client)
{
	Connection *connection = client->connection;

	if (connection != NULL)
	{
		connection->client = NULL;
		client->connection = NULL;
		uv_close((uv_handle_t *) &connection->tcp, on_connection_closed);
	}
	if (!client->closing)
	{
		start_timer(client, client->pause_ms);
		client->pause_ms = client->pause_ms == 0 ? 20 : client->pause_ms * 2;
		if (client->pause_ms > MAX_PAUSE_MS)
			client->pause_ms = MAX_PAUSE_MS;
	}
	if (connection != NULL && connection->connected)
	{
		/* A callback may send again, which appends to the list. */
		while (client->first != NULL && client->first != client->unsent)
			finish_first(client, NULL);
	}
}

/*
 * Ends the first request.  If libuv has not ended its write (because the server refused the request
 * before it had read everything, or because the connection was lost), on_write() calls back later,
 * without the response's body.
 */
static void
finish_first(HttpClient *client, const HttpResponse *response)
{
	HttpRequest *request = client->first;

	client->first = request->next;
	if (client->unsent == request)
		client->unsent = request->next;
	client->pending--;
	request->done = 1;
	if (request->writes == 0)
		request->callback(request, response);
	else if (response != NULL)
	{
		request->early_status = response->status;
		request->early_retry_after_s = response->retry_after_s;
	}
}

/*
 * Starts the timer, which is used for the pause before connecting and for the time limit of
 * requests.
 */
static void
start_timer(HttpClient *client, uint64_t ms)
{
	uv_timer_start(&client->timer, on_timer, ms, 0);
}

static void
on_connection_closed(uv_handle_t *handle)
{
	Connection *connection = handle->data;

	tls_session_close(connection->tls);
	free(connection);
}

static void
on_client_closed(uv_handle_t *handle)
{
	HttpClient *client = handle->data;

	free(client->body);
	free(client);
}

static int
on_message_begin(llhttp_t *parser)
{
	HttpClient *client = parser->data;

	client->body_bytes = 0;
	client->field_bytes = 0;
	client->retry_after_s = 0;
	return 0;
}

static int
on_header_field(llhttp_t *parser, const char *at, size_t bytes)
{
	HttpClient *client = parser->data;

	/* on_header_value() sets field_bytes to 0, so that this may be a later part of a name. */
	if (bytes > sizeof(client->field) - client->field_bytes)
		bytes = sizeof(client->field) - client->field_bytes;
	memcpy(client->field + client->field_bytes, at, bytes);
	client->field_bytes += bytes;
	return 0;
}

static int
on_header_value(llhttp_t *parser, const char *at, size_t bytes)
{
	HttpClient *client = parser->data;

	if (client->field_bytes == strlen("retry-after") &&
		strncasecmp(client->field, "retry-after", client->field_bytes) == 0)
		for (size_t i = 0; i < bytes && at[i] >= '0' && at[i] <= '9'; i++)
			if (client->retry_after_s < 10000)
				client->retry_after_s = client->retry_after_s * 10 + (uint32_t) (at[i] - '0');
	client->field_bytes = 0;
	return 0;
}

static int
on_body(llhttp_t *parser, const char *at, size_t bytes)
{
	HttpClient *client = parser->data;

	if (client->body_bytes + bytes + 1 > client->body_allocated)
	{
		client->body_allocated = (client->body_bytes + bytes + 1) * 2;
		client->body = realloc(client->body, client->body_allocated);
		if (client->body == NULL)
			abort();
	}
	memcpy(client->body + client->body_bytes, at, bytes);
	client->body_bytes += bytes;
	return 0;
}

/* Ends the request that the response belongs to. */
static int
on_message_complete(llhttp_t *parser)
{
	HttpClient *client = parser->data;
	Connection *connection = client->connection;
	HttpResponse response = {.status = llhttp_get_status_code(parser),
							 .body = "",
							 .body_bytes = client->body_bytes,
							 .retry_after_s = client->retry_after_s};
	bool keep_alive = llhttp_should_keep_alive(parser);

	if (response.status / 100 == 1)
		return 0;
	if (client->first == NULL || client->first == client->unsent)
		return HPE_PAUSED; /* the answer belongs to no request: 408, for example */
	if (client->body_bytes > 0)
	{
		client->body[client->body_bytes] = '\0';
		response.body = client->body;
	}
	if (client->first->next == NULL || client->first->next == client->unsent)
		uv_timer_stop(&client->timer);
	else
		start_timer(client, client->timeout_s * UINT64_C(1000));
	finish_first(client, &response);
	if (connection->client == NULL)
		return HPE_PAUSED; /* the callback closed the client */
	return keep_alive ? 0 : HPE_PAUSED;
}
