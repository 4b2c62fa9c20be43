/*
 * server_url.c
 *	  The URL of a server, taken apart.
 */
#include "server_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* getaddrinfo() takes larger numbers, too, of which the lower 16 bits are another port. */
static bool
is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = strtoul(text, NULL, 10);

	return digits > 0 && text[digits] == '\0' && port >= 1 && port <= 65535;
}

const char *
server_url_parse(ServerUrl *url, const char *text)
{
	const char *authority, *colon, *end;
	size_t bytes, prefix_bytes;

	url->secure = strncmp(text, "https://", strlen("https://")) == 0;
	if (!url->secure && strncmp(text, "http://", strlen("http://")) != 0)
		return "the URL must begin with http:// or https://, such as http://127.0.0.1:8080";
	authority = strstr(text, "://") + strlen("://");
	bytes = strcspn(authority, "/");
	prefix_bytes = strlen(authority + bytes);
	if (bytes == 0 || bytes >= sizeof(url->host) || prefix_bytes >= sizeof(url->prefix))
		return "the URL has no host or is too long";
	memcpy(url->authority, authority, bytes);
	url->authority[bytes] = '\0';
	memcpy(url->prefix, authority + bytes, prefix_bytes + 1);
	if (prefix_bytes > 0 && url->prefix[prefix_bytes - 1] == '/')
		url->prefix[prefix_bytes - 1] = '\0';

	/* host, host:port, [IPv6] or [IPv6]:port */
	colon = strrchr(url->authority, ':');
	if (colon != NULL && strchr(colon, ']') != NULL)
		colon = NULL;
	if (colon != NULL && (strlen(colon + 1) >= sizeof(url->port) || !is_port(colon + 1)))
		return "the port is not a number from 1 to 65535";
	snprintf(url->port, sizeof(url->port), "%s",
			 colon != NULL ? colon + 1
			 : url->secure ? "443"
						   : "80");
	end = colon != NULL ? colon : url->authority + bytes;
	authority = url->authority;
	if (*authority == '[' && end > authority + 1 && end[-1] == ']')
	{
		authority++;
		end--;
	}
	snprintf(url->host, sizeof(url->host), "%.*s", (int) (end - authority), authority);
	return url->host[0] == '\0' ? "the URL has no host or is too long" : NULL;
}
