/*
 * http_close.h
 *	  The end of a connection, with its reason.
 */
#ifndef HISTORIAND_HTTP_CLOSE_H
#define HISTORIAND_HTTP_CLOSE_H

#include "http/http_connection.h"

/*
 * Closes a connection, unless it is closed already, and gives up its answers.  Counts and logs the
 * reason, or the earlier one for which the connection was to end anyway.
 */
extern void connection_close(HttpConnection *connection, CloseReason reason);

#endif /* HISTORIAND_HTTP_CLOSE_H */
