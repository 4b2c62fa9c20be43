/*
 * http_connection.c
 *	  The life of a client's connection: accepted, limited in time, written to, closed.
 *
 * Writing: answers are formatted into one buffer a connection and written once after everything
 * that was read has been parsed, so that many pipelined requests cost one write.
 *
 * Ownership: a connection is freed in its close callback.  An exchange belongs to its connection's
 * queue until it is answered and received; if the client goes away while the route still waits for
 * something, the exchange lives on alone until it is answered to nobody.
 */
#include "http/http_internal.h"

#include <stdlib.h>

/* A client that has closed its side is waited for so long with the answer of a read. */
#define HALF_CLOSED_MS		 1000
#define LINGER_MS			 2000
#define KEPT_MS				 1000 /* an idle connection keeps its buffer */
#define SLOWEST_BYTES_SECOND 1024
#define SLEEPY_NS			 1000000 /* so far apart that a new loop does not look for requests */

static void check_limits(HttpConnection *connection, uint64_t now_ms);
static void linger(HttpConnection *connection);
static void on_shutdown(uv_shutdown_t *request, int status);
static void on_output_done(HttpOutput *output, bool failed);
static void on_closed(uv_handle_t *handle);
static void on_after_reading(uv_check_t *check);
static void stay_awake(HttpLoop *loop, bool worked);
static void on_awake(uv_idle_t *idle);

void
http_loop_init(HttpLoop *loop)
{
	if (uv_random(NULL, NULL, &loop->next_request_id, sizeof(loop->next_request_id), 0, NULL) != 0)
		loop->next_request_id = uv_hrtime();
	reader_init(loop);
	uv_check_init(loop->uv, &loop->after_reading);
	loop->after_reading.data = loop;
	uv_check_start(&loop->after_reading, on_after_reading);
	turns_init(&loop->turns, loop->uv);
	uv_idle_init(loop->uv, &loop->awake);
	loop->apart_ns = SLEEPY_NS;
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
	connection->task.run = reader_go_on;
	connection->next = loop->connections;
	if (loop->connections != NULL)
		loop->connections->previous = connection;
	loop->connections = connection;
	metric_add(&loop->metrics->connections_opened, 1);

	if (uv_accept(listener, (uv_stream_t *) &connection->tcp) != 0)
	{
		atomic_fetch_add(loop->open_connections, 1);
		connection_close(connection);
		return;
	}
	uv_tcp_nodelay(&connection->tcp, 1);
	connection_set_phase(connection, PHASE_IDLE);
	reader_start(connection);
	over = atomic_fetch_add(loop->open_connections, 1) - (int64_t) loop->config->max_connections;
	if (over < 0)
		return;
	metric_add(&loop->metrics->connections_refused, 1);
	if (over < HTTP_REFUSED_CONNECTIONS)
		exchange_refuse(connection, 503, "too many connections (--max-connections)");
	else
		connection_close(connection);
}

void
http_loop_tick(HttpLoop *loop)
{
	uint64_t now_ms = uv_now(loop->uv);
	HttpConnection *next;

	http_format_date(loop->date, sizeof(loop->date));
	turn_clock(&loop->turns);
	for (HttpConnection *connection = loop->connections; connection != NULL; connection = next)
	{
		next = connection->next;
		if (connection->closed)
			continue;
		if (connection->phase == PHASE_IDLE && http_output_idle(&connection->output) &&
			now_ms - connection->phase_start_ms > KEPT_MS)
		{
			bytes_free(&connection->output.pending);
			exchange_count_memory(connection);
		}
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
		if (!connection->closed && connection->phase == PHASE_BLOCKED)
			turn_queue(&loop->turns, &connection->task);
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
			http_output_idle(&connection->output) && !turn_queued(&connection->task))
			connection_close(connection);
	}
}

void
http_loop_close(HttpLoop *loop)
{
	HttpConnection *next;

	for (HttpConnection *connection = loop->connections; connection != NULL; connection = next)
	{
		next = connection->next;
		connection_close(connection);
	}
}

void
connection_set_phase(HttpConnection *connection, Phase phase)
{
	connection->phase = phase;
	connection->phase_start_ms = uv_now(connection->loop->uv);
}

bool
connection_draining(const HttpLoop *loop)
{
	return atomic_load_explicit(loop->draining, memory_order_relaxed);
}

/*
 * Time limits
 */

/*
 * Is a read under way for a client that has closed its side?  It may have closed all of it: TCP does
 * not tell before something is sent.  What is streamed will tell.
 */
static bool
left_before_answer(const HttpConnection *connection)
{
	const Exchange *exchange = connection->first;

	return connection->ended && exchange != NULL && !exchange->answered &&
		   exchange->route != NULL && exchange->route->alone && exchange->route->drained == NULL;
}

static void
check_limits(HttpConnection *connection, uint64_t now_ms)
{
	const Config *config = connection->loop->config;
	uint64_t passed_ms = now_ms - connection->phase_start_ms;

	if (http_output_stuck(&connection->output, now_ms, config->write_timeout_ms))
	{
		metric_add(&connection->loop->metrics->connections_timed_out, 1);
		connection_close(connection);
		return;
	}
	switch (connection->phase)
	{
		case PHASE_IDLE:
			if (passed_ms > config->idle_timeout_ms)
				connection_close(connection);
			break;
		case PHASE_HEAD:
			if (passed_ms <= config->header_timeout_ms)
				break;
			metric_add(&connection->loop->metrics->connections_timed_out, 1);
			exchange_refuse(connection, 408,
							"the request's headers took too long (--header-timeout)");
			break;
		case PHASE_BODY:
			/* What was withheld is our time, not the client's. */
			if (connection->withheld ||
				passed_ms <=
					config->body_timeout_ms + connection->body_bytes * 1000 / SLOWEST_BYTES_SECOND)
				break;
			metric_add(&connection->loop->metrics->connections_timed_out, 1);
			exchange_refuse(connection, 408, "the request's body took too long (--body-timeout)");
			break;
		case PHASE_BLOCKED:
			if (passed_ms > config->commit_timeout_ms)
				reader_give_up_blocked(connection);
			break;
		case PHASE_ANSWERING:
			/* Queries and commits have their own limits. */
			if (passed_ms > HALF_CLOSED_MS && left_before_answer(connection))
				connection_close(connection);
			break;
		case PHASE_LINGER:
			if (passed_ms > LINGER_MS)
				connection_close(connection);
			break;
	}
}

/*
 * Writing
 */

void
connection_flush_later(HttpConnection *connection)
{
	if (connection->flush_later)
		return;
	connection->flush_later = true;
	connection->next_unflushed = connection->loop->unflushed;
	connection->loop->unflushed = connection;
}

static void
flush_all(HttpLoop *loop)
{
	HttpConnection *connection;

	while ((connection = loop->unflushed) != NULL)
	{
		loop->unflushed = connection->next_unflushed;
		connection->flush_later = false;
		connection_flush(connection);
	}
}

/*
 * After all connections that had input were read: writes what was answered, then goes on with what
 * was left for later.
 */
static void
on_after_reading(uv_check_t *check)
{
	HttpLoop *loop = check->data;

	if (loop->config->busy_poll_us > 0)
		stay_awake(loop, loop->unflushed != NULL);
	flush_all(loop);
	turn_tasks_begin(&loop->turns);
	while (turn_run_task(&loop->turns))
		flush_all(loop);
}

/*
 * Busy polling: for some microseconds after a turn with requests the loop looks for more before it
 * sleeps.  Waking it costs whoever sends the next request a few microseconds, and the request as many.
 * It does so only while such turns come twice as often: then it would hardly sleep anyway.
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

void
connection_flush(HttpConnection *connection)
{
	if (connection->closed)
		return;
	exchange_count_memory(connection);
	if (connection->output.active)
		return;
	if (!http_output_flush(&connection->output))
	{
		connection_close(connection);
		return;
	}
	exchange_settle(connection);
	exchange_count_memory(connection);
	exchange_offer_room(connection);
	if (connection->output.active)
		return;
	if (connection->broken)
		connection_close(connection);
	else if (connection->first == NULL && connection->phase != PHASE_LINGER &&
			 (connection->closing || connection->ended ||
			  (connection_draining(connection->loop) && !turn_queued(&connection->task))))
		linger(connection);
	else if ((connection->paused || connection->withheld) && connection->phase != PHASE_BLOCKED &&
			 !exchange_too_far_ahead(connection))
		turn_queue(&connection->loop->turns, &connection->task);
}

static void
on_output_done(HttpOutput *output, bool failed)
{
	HttpConnection *connection = output->stream->data;

	if (failed)
		connection_close(connection);
	else
		connection_flush(connection);
}

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
		connection_close(connection);
		return;
	}
	connection_set_phase(connection, PHASE_LINGER);
	reader_continue(connection);
}

/*
 * The end
 */

void
connection_close(HttpConnection *connection)
{
	HttpLoop *loop = connection->loop;
	/* Without chunks only a reset tells a client that the end of an answer is missing. */
	bool reset = connection->unframed &&
				 (connection->first != NULL || !http_output_idle(&connection->output));

	if (connection->closed)
		return;
	connection->closed = true;
	connection->closing = true;
	turn_unqueue(&connection->task);
	while (connection->first != NULL)
	{
		Exchange *exchange = connection->first;

		connection->first = exchange->next;
		if (exchange->waiting && !exchange->answered)
			exchange->connection = NULL; /* http_answer() frees it */
		else
			exchange_free(exchange, loop);
	}
	connection->last = NULL;
	connection->current = NULL;
	exchange_count_memory(connection);
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
	exchange_settle(connection);
	bytes_free(&connection->unparsed);
	bytes_free(&connection->blocked);
	http_output_free(&connection->output);
	free(connection);
}
