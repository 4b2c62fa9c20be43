/*
 * host.c
 *	  Names and addresses of hosts with their ports, as in the header Host and in --listen.
 */
#include "base/host.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <sys/un.h>
#include <uv.h>

#define DIGITS "0123456789"
#define HEX	   DIGITS "abcdefABCDEF"
#define SPACES " \t"
#define HTTP   "http://"
#define HTTPS  "https://"

/*
 * The characters of a name by RFC 3986, 3.2.2: unreserved, sub-delims, and the percent sign of an
 * escape.  It is a table because strspn() would build one in each call.
 */
static const bool in_name[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
	['_'] = true,		  ['~'] = true,			['!'] = true,		  ['$'] = true, ['&'] = true,
	['\''] = true,		  ['('] = true,			[')'] = true,		  ['*'] = true, ['+'] = true,
	[','] = true,		  [';'] = true,			['='] = true,		  ['%'] = true,
};

#define MAX_HOST_BYTES 264 /* a name has 253 */

size_t
host_name_length(const char *host)
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
	{
		for (length = 0; in_name[(unsigned char) host[length]];)
			length++;
	}
	rest = host + length;
	if (*rest == ':')
	{
		rest++;
		rest += strspn(rest, DIGITS);
	}
	return *rest == '\0' ? length : 0;
}

/* The length of the name without the dot that ends it if it is written in full. */
static size_t
bare_length(const char *host)
{
	size_t length = host_name_length(host);

	return length > 1 && host[length - 1] == '.' ? length - 1 : length;
}

static const char *
port_of(const char *host, const char *standard)
{
	const char *port = host + host_name_length(host);

	return port[0] == ':' && port[1] != '\0' ? port + 1 : standard;
}

static bool
same_name(const char *a, const char *b)
{
	return bare_length(a) == bare_length(b) && strncasecmp(a, b, bare_length(a)) == 0;
}

bool
host_equal(const char *a, const char *b, const char *standard)
{
	return host_name_length(b) > 0 && same_name(a, b) &&
		   strcmp(port_of(a, standard), port_of(b, standard)) == 0;
}

/* Takes the next element off a list, without the white space around it; false at the end. */
static bool
next_element(const char **list, char *element)
{
	size_t length;

	*list += strspn(*list, SPACES ",");
	length = strcspn(*list, ",");
	if (length == 0)
		return false;
	if (length >= MAX_HOST_BYTES)
		length = MAX_HOST_BYTES - 1;
	memcpy(element, *list, length);
	element[length] = '\0';
	while (strchr(SPACES, element[length - 1]) != NULL)
		element[--length] = '\0';
	*list += strcspn(*list, ",");
	return true;
}

/* Is the name below the one of pattern, or the same? */
static bool
is_below(const char *host, const char *pattern)
{
	size_t length = bare_length(host);
	size_t below = strlen(pattern);

	return (length >= below && strncasecmp(host + length - below, pattern, below) == 0) ||
		   (length == below - 1 && strncasecmp(host, pattern + 1, length) == 0);
}

bool
host_listed(const char *host, const char *list, const char *standard)
{
	char element[MAX_HOST_BYTES];
	/* Without a standard, a host without a port has none that an element may name. */
	const char *port = port_of(host, standard != NULL ? standard : "");

	while (next_element(&list, element))
	{
		const char *wanted = element[0] == '.' ? standard : port_of(element, standard);
		bool right_port = wanted == NULL || strcmp(port, wanted) == 0;

		if (strcmp(element, "*") == 0 ? standard == NULL
			: element[0] == '.'		  ? right_port && is_below(host, element)
									  : right_port && same_name(host, element))
			return true;
	}
	return false;
}

bool
host_list_valid(const char *list)
{
	char element[MAX_HOST_BYTES];

	while (next_element(&list, element))
	{
		size_t length = host_name_length(element);

		if (length == 0 || strlen(element) == MAX_HOST_BYTES - 1 ||
			(strchr(element, '*') != NULL && strcmp(element, "*") != 0) ||
			(element[0] == '.' && (length == 1 || element[length] != '\0')))
			return false;
	}
	return true;
}

const char *
host_of_origin(const char *origin, const char **standard)
{
	const char *host = NULL;

	if (strncasecmp(origin, HTTP, strlen(HTTP)) == 0)
	{
		host = origin + strlen(HTTP);
		*standard = "80";
	}
	else if (strncasecmp(origin, HTTPS, strlen(HTTPS)) == 0)
	{
		host = origin + strlen(HTTPS);
		*standard = "443";
	}
	return host != NULL && host_name_length(host) > 0 ? host : NULL;
}

bool
host_origin_listed(const char *origin, const char *list)
{
	char element[MAX_HOST_BYTES];
	const char *standard;
	const char *host = host_of_origin(origin, &standard);

	while (host != NULL && next_element(&list, element))
	{
		const char *listed_standard;
		const char *listed = host_of_origin(element, &listed_standard);

		/* The standard port tells the scheme. */
		if (listed != NULL && strcmp(standard, listed_standard) == 0 &&
			host_equal(host, listed, standard))
			return true;
	}
	return false;
}

bool
host_origin_list_valid(const char *list)
{
	char element[MAX_HOST_BYTES];

	while (next_element(&list, element))
	{
		const char *standard;
		const char *host = host_of_origin(element, &standard);

		if (host == NULL || host[0] == '.' || strchr(host, '*') != NULL ||
			strlen(element) == MAX_HOST_BYTES - 1)
			return false;
	}
	return true;
}

bool
host_private(const char *host)
{
	/* RFC 6761, RFC 6762 (with its appendix G), RFC 8375: names that stay within a site. */
	static const char *const tops[] = {".localhost", ".local",	  ".home.arpa",
									   ".internal",	 ".intranet", ".corp",
									   ".home",		 ".lan",	  ".private"};
	char name[MAX_HOST_BYTES];
	char machine[MAX_HOST_BYTES];
	struct in_addr address;
	size_t length = bare_length(host);

	if (length == 0 || length >= sizeof(name))
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	if (name[0] == '[' || strchr(name, '.') == NULL || inet_pton(AF_INET, name, &address) == 1)
		return true;
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
	{
		if (is_below(name, tops[i]))
			return true;
	}
	machine[sizeof(machine) - 1] = '\0';
	return gethostname(machine, sizeof(machine) - 1) == 0 && strcasecmp(name, machine) == 0;
}

static const char *
parse_path(const char *path, struct sockaddr_un *address)
{
	if (path[0] != '/' || strlen(path) >= sizeof(address->sun_path))
		return "is not unix: and an absolute path of at most 107 bytes";
	memset(address, 0, sizeof(struct sockaddr_storage));
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, path);
	return NULL;
}

const char *
host_parse_address(const char *text, struct sockaddr_storage *address)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	size_t length;
	int port;

	if (strncmp(text, "unix:", 5) == 0)
		return parse_path(text + 5, (struct sockaddr_un *) address);
	if (colon == NULL || colon == text || colon[1] == '\0' || strlen(colon + 1) > 5 ||
		colon[1 + strspn(colon + 1, DIGITS)] != '\0')
		return "is not address:port";
	port = atoi(colon + 1);
	if (port > 65535)
		return "is not address:port";
	length = (size_t) (colon - text);
	/* An IPv6 address is written in brackets. */
	if (text[0] == '[' && length > 1 && text[length - 1] == ']')
	{
		text++;
		length -= 2;
	}
	if (length >= sizeof(host))
		return "has no numeric IPv4 or IPv6 address";
	memcpy(host, text, length);
	host[length] = '\0';
	memset(address, 0, sizeof(*address));
	if (uv_ip4_addr(host, port, (struct sockaddr_in *) address) == 0 ||
		uv_ip6_addr(host, port, (struct sockaddr_in6 *) address) == 0)
		return NULL;
	return "has no numeric IPv4 or IPv6 address";
}

bool
host_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *ip4 = (const struct sockaddr_in *) address;
	const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *) address;

	if (address->ss_family == AF_UNIX)
		return true;
	if (address->ss_family == AF_INET)
		return ntohl(ip4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&ip6->sin6_addr);
}
