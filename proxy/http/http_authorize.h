/*
 * http_authorize.h
 *	  Finds who makes a request, and decides whether it may.
 */
#ifndef HISTORIAND_HTTP_AUTHORIZE_H
#define HISTORIAND_HTTP_AUTHORIZE_H

#include "http/http_exchange.h"

/*
 * Sets the exchange's principal, and returns whether it may use the route with the request's method.
 * If not, answers 401 (no token, or a wrong one), 403 (the token does not allow it) or 429 (the client
 * exceeds a limit).
 */
extern bool http_authorize(Exchange *exchange, const Route *route);

/* Answers 403: the principal may not use a tag that the request names. */
extern void http_authorize_refuse_tag(Exchange *exchange);

#endif /* HISTORIAND_HTTP_AUTHORIZE_H */
