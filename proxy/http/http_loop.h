/*
 * http_loop.h
 *	  HTTP/1.1 on one event loop: requests in, answers out in their order.
 */
#ifndef HISTORIAND_HTTP_LOOP_H
#define HISTORIAND_HTTP_LOOP_H

#include "http/http_connection.h"

/* So many connections over the limit are told why at a time, the others are closed at once. */
#define HTTP_REFUSED_CONNECTIONS 16

extern void http_loop_init(HttpLoop *loop);

/* Takes a connection that the listener has ready. */
extern void http_loop_accept(HttpLoop *loop, uv_stream_t *listener);

/* To be called some times a second: time limits, the Date header. */
extern void http_loop_tick(HttpLoop *loop);

/* Blocked bodies may go on. */
extern void http_loop_resume(HttpLoop *loop);

/* Closes idle connections; the others close after their answers (HttpLoop.draining is set). */
extern void http_loop_drain(HttpLoop *loop);

/* Ends all connections. */
extern void http_loop_close(HttpLoop *loop);

#endif /* HISTORIAND_HTTP_LOOP_H */
