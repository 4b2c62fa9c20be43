/*
 * http_loop.c
 *	  HTTP/1.1 on one event loop: connections are accepted, limited in time, written to.
 *
 * Each connection has a buffer, into which its answers are formatted.  It is written once, after
 * all input of the turn has been parsed, so that many pipelined requests cost one write.
 */
#include "http/http_loop.h"

#include "http/http_answer.h"
#include "http/http_close.h"
#include "http/http_format.h"
#include "http/http_limit.h"
#include "http/http_reader.h"

#include <poll.h>

#define HALF_CLOSED_MS		 1000 /* how long a read goes on after the client's last byte */
#define LINGER_MS			 2000
#define KEPT_MS				 1000 /* how long an idle connection keeps its buffer */
#define SLOWEST_BYTES_SECOND 1024
#define SLEEPY_NS			 1000000 /* initial apart_ns, with which a loop does not poll */

static void check_limits(HttpConnection *connection, uint64_t now_ms);
static void linger(HttpConnection *connection);
static void on_shutdown(uv_shutdown_t *request, int status);
static void on_output_done(HttpOutput *output, bool failed);
static void flush(HttpConnection *connection);
static void on_after_reading(uv_check_t *check);
static void stay_awake(HttpLoop *loop, bool worked);
static void on_awake(uv_idle_t *idle);

void
http_loop_init(HttpLoop *loop)
{
	if (uv_random(NULL, NULL, &loop->next_request_id, sizeof(loop->next_request_id), 0, NULL) != 0)
		loop->next_request_id = uv_hrtime();
	loop->flush = flush;
	list_init(&loop->connections);
	list_init(&loop->unflushed);
	reader_init(loop);
	uv_check_init(loop->uv, &loop->after_reading);
	loop->after_reading.data = loop;
	uv_check_start(&loop->after_reading, on_after_reading);
	turns_init(&loop->turns, loop->uv);
	uv_idle_init(loop->uv, &loop->awake);
	loop->apart_ns = SLEEPY_NS;
	http_format_date(loop->date, sizeof(loop->date));
}

/*
 * Over --max-connections the connection is answered 503, and over --limit-connections 429; or it is
 * closed at once, as always with TLS.
 */
void
http_loop_accept(HttpLoop *loop, uv_stream_t *listener, const ListenAddress *at)
{
	HttpConnection *connection = memory_new(sizeof(HttpConnection));
	bool secure = loop->tls != NULL && !at->health && at->address.ss_family != AF_UNIX;
	uint64_t over_limit;
	bool failed;
	int64_t over;

	connection->loop = loop;
	/* What libuv does with a stream of TCP is right for a socket in the file system, too. */
	uv_tcp_init(loop->uv, &connection->tcp);
	connection->tcp.data = connection;
	connection->output.stream = (uv_stream_t *) &connection->tcp;
	connection->output.on_done = on_output_done;
	connection->output.tls = secure ? tls_new(loop->tls) : NULL;
	connection->health = at->health;
	connection->task.run = reader_go_on;
	list_init(&connection->exchanges);
	list_append(&loop->connections, &connection->link);
	budget_add(loop->states, CONNECTION_STATE_BYTES);
	metric_add(&loop->metrics->connections_opened, 1);

	failed = uv_accept(listener, (uv_stream_t *) &connection->tcp) != 0;
	over_limit = http_limit_connection(connection);
	if (failed || (secure && connection->output.tls == NULL))
	{
		atomic_fetch_add(loop->open_connections, 1);
		connection_close(connection, CLOSE_FAILED);
		return;
	}
	uv_tcp_nodelay(&connection->tcp, 1);
	connection_set_phase(connection, PHASE_IDLE);
	exchange_count_memory(connection); /* TLS holds some from the start */
	reader_start(connection);
	over =
		atomic_fetch_add(loop->open_connections, 1) + 1 - (int64_t) loop->config->max_connections;
	if (over > 0)
		metric_add(&loop->metrics->connections_refused, 1);
	else if (over_limit == 0)
		return;
	if ((over > 0 ? (uint64_t) over : over_limit) > HTTP_REFUSED_CONNECTIONS ||
		connection->output.tls != NULL)
		connection_close(connection, CLOSE_REFUSED);
	else if (over > 0)
		http_refuse(connection, 503, CLOSE_REFUSED, "too many connections (--max-connections)");
	else
		http_refuse(connection, 429, CLOSE_REFUSED,
					"too many connections from this address (--limit-connections)");
}

void
http_loop_tick(HttpLoop *loop)
{
	uint64_t now_ms = uv_now(loop->uv);

	http_format_date(loop->date, sizeof(loop->date));
	turn_clock(&loop->turns);
	for (ListLink *link = list_first(&loop->connections); link != NULL;
		 link = list_next(&loop->connections, link))
	{
		HttpConnection *connection = LIST_ITEM(link, HttpConnection, link);

		if (connection->life == LIFE_CLOSED)
			continue;
		if (connection->phase == PHASE_IDLE && http_output_idle(&connection->output) &&
			now_ms - connection->phase_start_ms > KEPT_MS)
		{
			http_output_shrink(&connection->output);
			exchange_count_memory(connection);
		}
		/* Room comes not only from loads, but also from clients that leave. */
		if (connection->phase == PHASE_BLOCKED && !budget_full(loop->memory))
			turn_queue(&loop->turns, &connection->task);
		check_limits(connection, now_ms);
	}
}

void
http_loop_resume(HttpLoop *loop)
{
	for (ListLink *link = list_first(&loop->connections); link != NULL;
		 link = list_next(&loop->connections, link))
	{
		HttpConnection *connection = LIST_ITEM(link, HttpConnection, link);

		if (connection->life != LIFE_CLOSED && connection->phase == PHASE_BLOCKED)
			turn_queue(&loop->turns, &connection->task);
	}
}

void
http_loop_drain(HttpLoop *loop)
{
	for (ListLink *link = list_first(&loop->connections); link != NULL;
		 link = list_next(&loop->connections, link))
	{
		HttpConnection *connection = LIST_ITEM(link, HttpConnection, link);

		if (connection->life < LIFE_LINGER && connection->phase == PHASE_IDLE &&
			http_output_idle(&connection->output) && !turn_queued(&connection->task))
			connection_close(connection, CLOSE_STOPPING);
	}
}

void
http_loop_close(HttpLoop *loop)
{
	for (ListLink *link = list_first(&loop->connections); link != NULL;
		 link = list_next(&loop->connections, link))
		connection_close(LIST_ITEM(link, HttpConnection, link), CLOSE_STOPPING);
}

/*
 * Time limits
 */

/*
 * Has the client closed its sending side?  While a request waits behind the one that is answered,
 * nothing is read, so that libuv does not see it.
 */
static bool
sends_no_more(const HttpConnection *connection)
{
	struct pollfd poller = {.events = POLLRDHUP};
	uv_os_fd_t fd;

	if (connection->ended || uv_is_active((const uv_handle_t *) &connection->tcp))
		return connection->ended;
	if (uv_fileno((const uv_handle_t *) &connection->tcp, &fd) != 0)
		return false;
	poller.fd = fd;
	return poll(&poller, 1, 0) == 1;
}

/*
 * Is a read under way for a client that has closed its sending side?  The client may have left: TCP
 * shows that only when data is sent, which a streamed answer does.
 */
static bool
left_before_answer(const HttpConnection *connection)
{
	const Exchange *exchange = exchange_first(connection);

	return exchange != NULL && !exchange->answered && exchange->route != NULL &&
		   exchange->route->alone && exchange->route->drained == NULL && sends_no_more(connection);
}

/* Ends a connection that is too slow, with an answer that names the limit. */
static void
refuse_slow(HttpConnection *connection, CloseReason reason, const char *detail)
{
	metric_add(&connection->loop->metrics->connections_timed_out, 1);
	http_refuse(connection, 408, reason, detail);
}

/* Ends a connection that has exceeded the time limit of its phase. */
static void
check_limits(HttpConnection *connection, uint64_t now_ms)
{
	const Config *config = connection->loop->config;
	uint64_t passed_ms = now_ms - connection->phase_start_ms;

	if (http_output_stuck(&connection->output, now_ms, config->write_timeout_ms))
	{
		metric_add(&connection->loop->metrics->connections_timed_out, 1);
		connection_close(connection, CLOSE_WRITE_TIMEOUT);
		return;
	}
	if (connection->life == LIFE_LINGER)
	{
		if (passed_ms > LINGER_MS)
			connection_close(connection, CLOSE_IDLE_TIMEOUT);
		return;
	}
	if (connection->output.tls != NULL && !tls_established(connection->output.tls))
	{
		if (passed_ms <= config->header_timeout_ms)
			return;
		metric_add(&connection->loop->metrics->connections_timed_out, 1);
		connection_close(connection, CLOSE_HEADER_TIMEOUT);
		return;
	}
	switch (connection->phase)
	{
		case PHASE_IDLE:
			if (passed_ms > config->idle_timeout_ms)
				connection_close(connection, CLOSE_IDLE_TIMEOUT);
			break;
		case PHASE_HEAD:
			if (passed_ms > config->header_timeout_ms)
				refuse_slow(connection, CLOSE_HEADER_TIMEOUT,
							"the request's headers took too long (--header-timeout)");
			break;
		case PHASE_BODY:
			/* While input is withheld, the server is slow and not the client. */
			if (connection->input != INPUT_WITHHELD &&
				passed_ms >
					config->body_timeout_ms + connection->body_bytes * 1000 / SLOWEST_BYTES_SECOND)
				refuse_slow(connection, CLOSE_BODY_TIMEOUT,
							"the request's body took too long (--body-timeout)");
			break;
		case PHASE_BLOCKED:
			if (passed_ms > config->commit_timeout_ms)
				reader_give_up_blocked(connection);
			break;
		case PHASE_ANSWERING:
			/* Queries and commits have their own limits. */
			if (passed_ms > HALF_CLOSED_MS && left_before_answer(connection))
				connection_close(connection, CLOSE_CLIENT_LEFT);
			break;
	}
}

/*
 * Writing
 */

static void
flush_all(HttpLoop *loop)
{
	ListLink *link;

	while ((link = list_take_first(&loop->unflushed)) != NULL)
		flush(LIST_ITEM(link, HttpConnection, unflushed));
}

/* After all input was read: writes the answers, then runs tasks while the turn's time lasts. */
static void
on_after_reading(uv_check_t *check)
{
	HttpLoop *loop = check->data;

	if (loop->config->busy_poll_us > 0)
		stay_awake(loop, !list_empty(&loop->unflushed));
	flush_all(loop);
	turn_tasks_begin(&loop->turns);
	while (turn_run_task(&loop->turns))
		flush_all(loop);
}

/*
 * Busy polling: for some microseconds after a turn with requests, the loop looks for more before it
 * sleeps.  To wake it costs the next client a few microseconds, and delays its request by as many.
 * The loop polls only while such turns come at least twice as often: it would hardly sleep then
 * anyway.
 */
static void
stay_awake(HttpLoop *loop, bool worked)
{
	uint64_t limit_ns = loop->config->busy_poll_us * 1000;
	uint64_t now_ns = uv_hrtime();
	uint64_t apart_ns = now_ns - loop->worked_ns;

	if (!worked)
	{
		if (apart_ns >= limit_ns)
			uv_idle_stop(&loop->awake);
		return;
	}
	if (apart_ns > 4 * limit_ns)
		apart_ns = 4 * limit_ns;
	loop->apart_ns += apart_ns / 16 - loop->apart_ns / 16;
	loop->worked_ns = now_ns;
	if (loop->apart_ns < limit_ns / 2)
		uv_idle_start(&loop->awake, on_awake);
}

static void
on_awake(uv_idle_t *idle)
{
	(void) idle;
}

/* Is there input that waits for answers to be sent, or for its turn? */
static bool
input_waits(const HttpConnection *connection)
{
	return connection->phase != PHASE_BLOCKED &&
		   (connection->input == INPUT_WITHHELD ||
			(connection->input == INPUT_PAUSED && connection_open(connection)));
}

/*
 * Writes the answers, then ends the connection or goes on with its input if that waited for them.
 */
static void
flush(HttpConnection *connection)
{
	if (connection->life == LIFE_CLOSED)
		return;
	exchange_count_memory(connection);
	if (connection->output.active)
		return;
	if (!http_output_flush(&connection->output))
	{
		connection_close(connection, CLOSE_FAILED);
		return;
	}
	exchange_settle(connection);
	exchange_count_memory(connection);
	exchange_offer_room(connection);
	if (connection->output.active)
		return;
	if (connection->life == LIFE_BROKEN)
		connection_close(connection, CLOSE_BROKEN_ANSWER);
	else if (connection->life < LIFE_LINGER && exchange_first(connection) == NULL &&
			 (!connection_open(connection) || connection->ended ||
			  (connection_draining(connection->loop) && !turn_queued(&connection->task))))
		linger(connection);
	else if (input_waits(connection) && !exchange_too_far_ahead(connection))
		turn_queue(&connection->loop->turns, &connection->task);
}

static void
on_output_done(HttpOutput *output, bool failed)
{
	HttpConnection *connection = output->stream->data;

	if (failed)
		connection_close(connection, CLOSE_FAILED);
	else
		flush(connection);
}

static void
on_shutdown(uv_shutdown_t *request, int status)
{
	(void) request;
	(void) status;
}

/*
 * Ends a connection after its last answer.  If there is input that was not read, closing at once
 * could make the kernel discard the answer.  So only the sending side is shut, and input is ignored
 * until the client closes or the time is up.
 */
static void
linger(HttpConnection *connection)
{
	CloseReason reason = connection->ended ? CLOSE_CLIENT : CLOSE_STOPPING;

	http_output_end(&connection->output);
	if (connection->ended ||
		uv_shutdown(&connection->shutdown, (uv_stream_t *) &connection->tcp, on_shutdown) != 0)
	{
		connection_close(connection, reason);
		return;
	}
	connection_set_life(connection, LIFE_LINGER, reason);
	reader_continue(connection);
}
