/*
 * http_trace.h
 *	  The ids of requests, the traces that they belong to, and the log of requests and connections.
 */
#ifndef HISTORIAND_HTTP_TRACE_H
#define HISTORIAND_HTTP_TRACE_H

#include "http/http_exchange.h"

/*
 * Returns the client's X-Request-Id if it is valid, or an id that is made here.  The exchange must
 * have a connection.
 */
extern const char *trace_request_id(Exchange *exchange);

/*
 * Returns the client's traceparent (W3C Trace Context), or NULL if there is none that is valid.  It
 * has only hexadecimal digits and dashes, so that it may be part of an SQL comment.
 */
extern const char *trace_parent(const Exchange *exchange);

/* Logs an answer, passed_ns after the request's first byte, if the log's level asks for it. */
extern void trace_answered(Exchange *exchange, int status, uint64_t passed_ns);

/*
 * Logs that who asks has changed what is stored, whatever the level of the log is.  to is the tag that
 * another one has become, or "".
 */
extern void trace_audit(Exchange *exchange, const char *action, const char *tag, const char *to);

/* Logs that a client and this server could not agree on TLS. */
extern void trace_tls_failed(const HttpConnection *connection, const char *why);

/* Logs why a connection is closed, at the level debug. */
extern void trace_closed(const HttpConnection *connection);

/*
 * Notes why a request fails, for the log; if a cause is noted already, that one stays.  sqlstate
 * may be "".
 */
extern void trace_cause(Exchange *exchange, const char *sqlstate, const char *message);

#endif /* HISTORIAND_HTTP_TRACE_H */
