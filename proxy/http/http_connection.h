/*
 * http_connection.h
 *	  HTTP/1.1 connections: requests in, answers out in their order.
 */
#ifndef HISTORIAND_HTTP_CONNECTION_H
#define HISTORIAND_HTTP_CONNECTION_H

#include "base/budget.h"
#include "base/config.h"
#include "http/http_exchange.h"
#include "base/metrics.h"
#include "base/turn.h"

#include <stdatomic.h>
#include <uv.h>

/* So many connections over the limit are told why at a time, the others are closed at once. */
#define HTTP_REFUSED_CONNECTIONS 16

/* What the connections of one loop share; zeroed, then filled in by the server. */
typedef struct HttpLoop
{
	uv_loop_t *uv;
	void *server_loop;
	const Config *config;
	Metrics *metrics;
	const Route *(*find_route)(const char *path, size_t length);
	atomic_int *open_connections; /* of all loops */
	atomic_bool *draining;
	Budget *results; /* long answers count until they are sent */
	Budget *memory;	 /* requests and short answers count against it, as messages do */

	HttpConnection *connections;
	HttpConnection *unflushed; /* have answers that are not written yet */
	uv_check_t after_reading;
	Turns turns;
	uv_idle_t awake;	/* while it runs the loop does not sleep */
	uint64_t worked_ns; /* the last turn with requests */
	uint64_t apart_ns;	/* how far such turns are apart, a moving mean */
	Exchange *free_exchanges;
	int free_exchange_count;
	char *read_buffer;
	char date[32];
	uint64_t next_request_id;

	/* of http_trace.c */
	uint64_t log_second;
	uint64_t log_lines;
} HttpLoop;

extern void http_loop_init(HttpLoop *loop);

/* Takes a connection that the listener has ready. */
extern void http_connection_accept(HttpLoop *loop, uv_stream_t *listener);

/* To be called some times a second: time limits, the Date header. */
extern void http_loop_tick(HttpLoop *loop);

/* Blocked bodies may go on. */
extern void http_loop_resume(HttpLoop *loop);

/* Closes idle connections; the others close after their answers (HttpLoop.draining is set). */
extern void http_loop_drain(HttpLoop *loop);

/* Ends all connections. */
extern void http_loop_close(HttpLoop *loop);

#endif /* HISTORIAND_HTTP_CONNECTION_H */
