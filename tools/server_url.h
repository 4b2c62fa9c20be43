/*
 * server_url.h
 *	  The URL of a server, taken apart.
 */
#ifndef SERVER_URL_H
#define SERVER_URL_H

#include <stdbool.h>

typedef struct ServerUrl
{
	bool secure;	/* https:// */
	char host[256]; /* a name or an address, of IPv6 without its brackets */
	char port[8];
	char authority[300]; /* host and port as they were given, for the header Host */
	char prefix[300];	 /* comes before every path, and has no slash at its end */
} ServerUrl;

/* Parses http[s]://host[:port][/prefix].  Returns what is wrong, or NULL. */
extern const char *server_url_parse(ServerUrl *url, const char *text);

#endif
