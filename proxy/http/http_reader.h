/*
 * http_reader.h
 *	  Reads what clients send, and calls routes.
 */
#ifndef HISTORIAND_HTTP_READER_H
#define HISTORIAND_HTTP_READER_H

#include "http/http_connection.h"

extern void reader_init(HttpLoop *loop);
extern void reader_start(HttpConnection *connection);

/* Begins to read again after uv_read_stop(). */
extern void reader_continue(HttpConnection *connection);

/* The task of a connection: offers withheld input to the route again, then parses on. */
extern void reader_go_on(TurnTask *task);

/* Has the route answer its blocked request. */
extern void reader_give_up_blocked(HttpConnection *connection);

#endif /* HISTORIAND_HTTP_READER_H */
