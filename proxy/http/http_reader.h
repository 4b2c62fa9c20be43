/*
 * http_reader.h
 *	  From what a client sends to calls of routes.
 */
#ifndef HISTORIAND_HTTP_READER_H
#define HISTORIAND_HTTP_READER_H

#include "http/http_connection.h"

extern void reader_init(HttpLoop *loop);
extern void reader_start(HttpConnection *connection);

/* Reads again after uv_read_stop(). */
extern void reader_continue(HttpConnection *connection);

/* The connection's task: offers what was withheld again, then parses on. */
extern void reader_go_on(TurnTask *task);

/* Answers the blocked request. */
extern void reader_give_up_blocked(HttpConnection *connection);

#endif /* HISTORIAND_HTTP_READER_H */
