/*
 * http_get.h
 *	  One GET request over HTTP, whose answer is waited for.
 */
#ifndef HISTORIAN_HTTP_GET_H
#define HISTORIAN_HTTP_GET_H

#include "tls_client.h"

#include <stdbool.h>
#include <time.h>

#define HTTP_GET_BODY_BYTES 4096

typedef struct HttpAnswer
{
	int status;
	time_t date;					/* of the header Date; 0: there is none */
	char body[HTTP_GET_BODY_BYTES]; /* the first bytes of the body, with a NUL */
	char wrong[700];				/* why there is no answer */
	bool distrusted;				/* because of TLS */
} HttpAnswer;

/*
 * Asks for a path at http[s]://host[:port][/prefix], with further header lines, each with its end;
 * false if there is no answer within some seconds.  The client is for https:// URLs, and NULL for
 * others.
 */
extern bool http_get(HttpAnswer *answer, const char *url, const char *path, const char *headers,
					 const TlsClient *client);

#endif /* HISTORIAN_HTTP_GET_H */
