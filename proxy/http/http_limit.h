/*
 * http_limit.h
 *	  Limits on clients: what is answered 429 (RFC 6585).
 */
#ifndef HISTORIAND_HTTP_LIMIT_H
#define HISTORIAND_HTTP_LIMIT_H

#include "http/http_exchange.h"

/*
 * Counts a connection that was accepted, whose quota is released when it has closed.  Returns how many
 * the client has over --limit-connections; 0: none.
 */
extern uint64_t http_limit_connection(HttpConnection *connection);

/*
 * Counts a request for a route, or for none (NULL), once its principal is known, or it is known that
 * it has none.  If the client exceeds a limit, answers 429 and returns false.
 */
extern bool http_limit_request(Exchange *exchange, const Route *route);

/*
 * Counts messages that a request has brought; false if the client's next request would be refused for
 * them.
 */
extern bool http_limit_messages(Exchange *exchange, uint64_t count);

/* Counts a refusal, and appends headers that say when the client may come again. */
extern void http_limit_refused(Exchange *exchange, LimitKind kind, Bytes *headers);

#endif /* HISTORIAND_HTTP_LIMIT_H */
