/*
 * http_trace.h
 *	  Which request is which: its id, the trace that it belongs to, and its line in the log.
 */
#ifndef HISTORIAND_HTTP_TRACE_H
#define HISTORIAND_HTTP_TRACE_H

#include "http/http_exchange.h"

/* The client's X-Request-Id where it is a sound one, else one made here.  The client is there. */
extern const char *trace_request_id(Exchange *exchange);

/*
 * The client's traceparent (W3C Trace Context), or NULL where there is none or it is not valid.
 * It consists of hexadecimal digits and dashes only, so it may stand in SQL.
 */
extern const char *trace_parent(const Exchange *exchange);

/* Logs the answer to a request, if it is one that is logged, passed_ns after its first byte. */
extern void trace_answered(Exchange *exchange, int status, uint64_t passed_ns);

/* Logs why a connection is closed, at the level debug. */
extern void trace_closed(const HttpConnection *connection);

/* Why the request fails, for its line; the first cause stays.  sqlstate may be "". */
extern void trace_cause(Exchange *exchange, const char *sqlstate, const char *message);

#endif /* HISTORIAND_HTTP_TRACE_H */
