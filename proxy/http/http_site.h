/*
 * http_site.h
 *	  Did a page of another site make a request?
 */
#ifndef HISTORIAND_HTTP_SITE_H
#define HISTORIAND_HTTP_SITE_H

#include "base/config.h"
#include "http/http_request.h"

/*
 * Returns true where it did, or may have, with a sentence in why that names the cure.  linked: other
 * sites may have links to what is asked for.
 */
extern bool http_site_foreign(const HttpRequest *request, const Config *config, bool linked,
							  char *why, size_t size);

#endif /* HISTORIAND_HTTP_SITE_H */
