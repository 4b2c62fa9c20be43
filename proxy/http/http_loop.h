/*
 * http_loop.h
 *	  HTTP/1.1 on one event loop: connections are accepted, limited in time, written to.
 */
#ifndef HISTORIAND_HTTP_LOOP_H
#define HISTORIAND_HTTP_LOOP_H

#include "http/http_connection.h"

/* How many connections over the limit are answered at a time; others are closed at once. */
#define HTTP_REFUSED_CONNECTIONS 16

extern void http_loop_init(HttpLoop *loop);

/* Takes a connection that the listener at that address has ready. */
extern void http_loop_accept(HttpLoop *loop, uv_stream_t *listener, const ListenAddress *at);

/* Must be called some times a second: checks time limits, and renews the header Date. */
extern void http_loop_tick(HttpLoop *loop);

/* Offers blocked bodies to their routes again. */
extern void http_loop_resume(HttpLoop *loop);

/* Closes idle connections; the others close after their answers (HttpLoop.draining is set). */
extern void http_loop_drain(HttpLoop *loop);

/* Ends all connections. */
extern void http_loop_close(HttpLoop *loop);

#endif /* HISTORIAND_HTTP_LOOP_H */
