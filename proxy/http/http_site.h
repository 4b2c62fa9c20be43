/*
 * http_site.h
 *	  Did a page of another site make a request?
 */
#ifndef HISTORIAND_HTTP_SITE_H
#define HISTORIAND_HTTP_SITE_H

#include "base/config.h"
#include "http/http_request.h"

/*
 * A Host that was found to be a name of this server, for the requests behind it on the connection: while
 * the server runs only renaming the machine could change that.  Longer ones are looked at each time.
 */
typedef struct KnownHost
{
	char host[64]; /* empty at first */
} KnownHost;

/* Has the request that Host? */
extern bool http_site_host_known(const KnownHost *known, const HttpRequest *request);

/*
 * Returns true where it did, or may have, with a sentence in why that names the cure.  unknown: gets Host
 * where it is found to be a name of this server; NULL: it is the known one.  linked: other sites may have
 * links to what is asked for.
 */
extern bool http_site_foreign(const HttpRequest *request, const Config *config, KnownHost *unknown,
							  bool linked, char *why, size_t size);

#endif /* HISTORIAND_HTTP_SITE_H */
