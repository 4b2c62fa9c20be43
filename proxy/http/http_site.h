/*
 * http_site.h
 *	  Decides whether a page of another site made a request.
 */
#ifndef HISTORIAND_HTTP_SITE_H
#define HISTORIAND_HTTP_SITE_H

#include "base/config.h"
#include "http/http_request.h"

/*
 * A Host that was found to be a name of this server.  A connection keeps it for its later requests,
 * because only renaming the machine could change that.  A longer Host is looked at each time.
 */
typedef struct KnownHost
{
	char host[64]; /* "": none is known */
} KnownHost;

/* Does the request have that Host? */
extern bool http_site_host_known(const KnownHost *known, const HttpRequest *request);

/* Did a page make the request whose origin is one of --cors-origin? */
extern bool http_site_invited(const HttpRequest *request, const Config *config);

/*
 * Did a page of another site make the request, or may it have?  If so, sets why to a sentence that
 * names the cure.  unknown is NULL if the request has the known Host; otherwise it is set to the
 * request's Host if that is a name of this server.  invited is what http_site_invited() has said.
 * linked says that pages of other sites may have links to what is asked for.
 */
extern bool http_site_foreign(const HttpRequest *request, const Config *config, KnownHost *unknown,
							  bool invited, bool linked, char *why, size_t size);

#endif /* HISTORIAND_HTTP_SITE_H */
