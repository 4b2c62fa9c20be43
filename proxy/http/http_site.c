/*
 * http_site.c
 *	  Decides whether a page of another site made a request.
 *
 * A browser sends any request that a page asks for, even to a server that only the user's machine
 * can reach.  Three headers say for which page it does so:
 *
 *	- Sec-Fetch-Site says how page and server are related.  Browsers send it to servers on the same
 *	  machine, and over TLS.
 *	- Origin is the site of the page.  Browsers send it with each POST, and with each read whose
 *	  answer the page itself could see.
 *	- Host is the name in the address.  A page can make its own name lead to this server (DNS
 *	  rebinding).  For the browser both are then one site, and only the name shows that they are not.
 *
 * Pages of the origins of --cors-origin are invited: they may do what this server's own page may, and
 * read the answers (CORS, the Fetch standard).  Host must be right for them, too.
 *
 * So Host must be a name that no other site can have: an address, a name without a dot, a name
 * under a top level that the public DNS does not have, this machine's name, or one of
 * --allowed-hosts.  A server that listens on loopback has no other names.  A server that listens
 * elsewhere may have any name, which programs may use; only browsers must use a known one there.  A
 * page can change what its browser says of itself, but cannot leave out Accept-Language.
 */
#include "http/http_site.h"

#include "base/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool __attribute__((format(printf, 3, 4)))
foreign(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return true;
}

/* Did a user follow a link?  The user then sees the answer instead of the page with the link. */
static bool
follows_link(const HttpRequest *request)
{
	return strcmp(request->sec_fetch_mode, "navigate") == 0 &&
		   strcmp(request->sec_fetch_dest, "document") == 0 &&
		   (request->method == HTTP_GET || request->method == HTTP_HEAD);
}

/* Is the origin this server, under the name that Host gives or under one of --allowed-hosts? */
static bool
origin_is_ours(const HttpRequest *request, const char *allowed)
{
	const char *standard;
	const char *host = host_of_origin(request->origin, &standard);

	return host != NULL &&
		   (host_equal(host, request->host, standard) || host_listed(host, allowed, standard));
}

static bool
by_browser(const HttpRequest *request)
{
	return request->origin[0] != '\0' || request->sec_fetch_site[0] != '\0' ||
		   request->accepts_language || strncmp(request->user_agent, "Mozilla/", 8) == 0;
}

bool
http_site_host_known(const KnownHost *known, const HttpRequest *request)
{
	return request->host[0] != '\0' && strcmp(request->host, known->host) == 0;
}

/* Is Host a name that no other site can have?  If so, keeps it in known. */
static bool
host_is_ours(const HttpRequest *request, const Config *config, KnownHost *known)
{
	size_t length = strlen(request->host);

	if (!host_private(request->host) && !host_listed(request->host, config->allowed_hosts, NULL))
		return false;
	if (length < sizeof(known->host))
		memcpy(known->host, request->host, length + 1);
	return true;
}

bool
http_site_invited(const HttpRequest *request, const Config *config)
{
	return request->origin[0] != '\0' && host_origin_listed(request->origin, config->cors_origin);
}

bool
http_site_foreign(const HttpRequest *request, const Config *config, KnownHost *unknown,
				  bool invited, bool linked, char *why, size_t size)
{
	const char *site = request->sec_fetch_site;

	if (!invited && site[0] != '\0' && strcmp(site, "same-origin") != 0 &&
		strcmp(site, "none") != 0 && !(linked && follows_link(request)))
		return foreign(
			why, size,
			"pages of other sites may not use this server (Sec-Fetch-Site); open its own "
			"page, have a reverse proxy serve both under one name, or name the other site in "
			"--cors-origin");
	if (!invited && request->origin[0] != '\0' && !origin_is_ours(request, config->allowed_hosts))
		return foreign(
			why, size,
			"pages of other sites may not use this server (Origin); where a reverse proxy "
			"changes Host, give the name that browsers use to --allowed-hosts; to let pages of "
			"another "
			"site read and write, name its origin in --cors-origin");
	if (unknown != NULL && request->host[0] != '\0' && (config->loopback || by_browser(request)) &&
		!host_is_ours(request, config, unknown))
		return foreign(why, size,
					   "%.*s is not known as a name of this server, and may be another site's (DNS "
					   "rebinding); add it to --allowed-hosts, or use the address",
					   (int) host_name_length(request->host), request->host);
	return false;
}
