/*
 * http_host.c
 *	  The name of a host with its port, as in the header Host.
 */
#include "http_host.h"

#include <string.h>

#define DIGITS	"0123456789"
#define HEX		DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* RFC 3986, 3.2.2: unreserved, sub-delims, and the sign of an escape. */
#define NAME_CHARACTERS LETTERS DIGITS "-._~!$&'()*+,;=%"

size_t
http_host_name_length(const char *host)
{
	size_t length;
	const char *rest;

	if (host[0] == '[')
	{
		length = 1 + strspn(host + 1, HEX ":.");
		if (length < 3 || host[length] != ']')
			return 0;
		length++;
	}
	else
		length = strspn(host, NAME_CHARACTERS);
	rest = host + length;
	if (*rest == ':')
	{
		rest++;
		rest += strspn(rest, DIGITS);
	}
	return *rest == '\0' ? length : 0;
}
