/*
 * http_get.c
 *	  One GET request over HTTP, whose answer is waited for.
 */
#include "http_get.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_S	 10
#define ANSWER_BYTES 16384

static bool __attribute__((format(printf, 2, 3))) fail(HttpAnswer *answer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(answer->wrong, sizeof(answer->wrong), format, args);
	va_end(args);
	return false;
}

/* Takes http://host:port apart; an IPv6 address is in brackets. */
static bool
split_url(HttpAnswer *answer, const char *url, char host[256], char port[16])
{
	const char *start = url + strlen("http://");
	const char *end;
	const char *colon;
	unsigned long number;

	if (strncmp(url, "http://", 7) != 0)
		return fail(answer, "%s is no address such as http://127.0.0.1:8080", url);
	end = start + strcspn(start, "/");
	colon = *start == '[' ? strchr(start, ']') : start;
	colon = colon != NULL ? memchr(colon, ':', (size_t) (end - colon)) : NULL;
	snprintf(port, 16, "%.*s", colon != NULL ? (int) (end - colon - 1) : 2,
			 colon != NULL ? colon + 1 : "80");
	/* getaddrinfo() takes larger numbers, too, of which the lower 16 bits are another port. */
	number = strtoul(port, NULL, 10);
	if (port[strspn(port, "0123456789")] != '\0' || number < 1 || number > 65535)
		return fail(answer, "%s: the port is not a number from 1 to 65535", url);
	if (colon == NULL)
		colon = end;
	if (*start == '[')
		snprintf(host, 256, "%.*s", (int) (colon - start - 2), start + 1);
	else
		snprintf(host, 256, "%.*s", (int) (colon - start), start);
	return true;
}

/* Returns a connected socket, or -1. */
static int
connect_to(HttpAnswer *answer, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	struct timeval limit = {.tv_sec = TIMEOUT_S};
	int error = getaddrinfo(host, port, &hints, &found);
	int result = -1;

	if (error != 0)
	{
		fail(answer, "%s port %s: %s", host, port, gai_strerror(error));
		return -1;
	}
	for (struct addrinfo *address = found; address != NULL && result < 0;
		 address = address->ai_next)
	{
		result = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
		if (result < 0)
			continue;
		setsockopt(result, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(result, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (connect(result, address->ai_addr, address->ai_addrlen) != 0)
		{
			fail(answer, "%s port %s: %s", host, port, strerror(errno));
			close(result);
			result = -1;
		}
	}
	freeaddrinfo(found);
	return result;
}

static bool
parse(HttpAnswer *answer, const char *text)
{
	const char *body = strstr(text, "\r\n\r\n");
	const char *date = strcasestr(text, "\r\nDate: ");
	struct tm fields = {0};

	if (body == NULL || sscanf(text, "HTTP/1.1 %d", &answer->status) != 1)
		return fail(answer, "the answer is not HTTP");
	if (date != NULL && date < body &&
		strptime(date + 8, "%a, %d %b %Y %H:%M:%S GMT", &fields) != NULL)
		answer->date = timegm(&fields);
	snprintf(answer->body, sizeof(answer->body), "%s", body + 4);
	return true;
}

bool
http_get(HttpAnswer *answer, const char *url, const char *path, const char *headers)
{
	char host[256];
	char port[16];
	char request[1024];
	char text[ANSWER_BYTES + 1];
	size_t length = 0;
	ssize_t count = 1;
	int file;

	memset(answer, 0, sizeof(*answer));
	if (!split_url(answer, url, host, port))
		return false;
	file = connect_to(answer, host, port);
	if (file < 0)
		return false;
	snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: %s:%s\r\n%sConnection: close\r\n\r\n", path, host, port,
			 headers);
	if (send(file, request, strlen(request), MSG_NOSIGNAL) < 0)
		count = -1;
	while (count > 0 && length < ANSWER_BYTES)
	{
		count = recv(file, text + length, ANSWER_BYTES - length, 0);
		if (count > 0)
			length += (size_t) count;
	}
	close(file);
	text[length] = '\0';
	if (length == 0)
		return fail(answer, "%s port %s does not answer%s%s", host, port, count < 0 ? ": " : "",
					count < 0 ? strerror(errno) : "");
	return parse(answer, text);
}
