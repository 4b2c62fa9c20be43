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

/* Sends what TLS has to be sent. */
static bool
flush_sealed(TlsSession *tls, int file)
{
	char data[TLS_RECORD_BYTES];
	size_t bytes;

	while ((bytes = tls_session_take(tls, data, sizeof(data))) > 0)
		if (send(file, data, bytes, MSG_NOSIGNAL) != (ssize_t) bytes)
			return false;
	return true;
}

/* Like recv(), over TLS; the request is sent as soon as it can be. */
static ssize_t
receive_sealed(TlsSession *tls, int file, const char *request, bool *asked, char *text, size_t room)
{
	char data[TLS_RECORD_BYTES];
	ssize_t count;

	for (;;)
	{
		ssize_t plain = tls_session_read(tls, text, room);

		if (plain == 0 && !*asked && tls_session_ready(tls))
		{
			tls_session_write(tls, request, strlen(request));
			*asked = true;
		}
		if (!flush_sealed(tls, file))
			return -1;
		if (plain != 0)
			return plain;
		count = recv(file, data, sizeof(data), 0);
		if (count <= 0)
			return count;
		tls_session_receive(tls, data, (size_t) count);
	}
}

/* Asks, and reads what comes until the server closes the connection; returns -1 after an error. */
static ssize_t
ask(int file, TlsSession *tls, const char *request, char *text, size_t *length)
{
	bool asked = tls == NULL;
	ssize_t count = 1;

	if (tls == NULL && send(file, request, strlen(request), MSG_NOSIGNAL) < 0)
		return -1;
	while (count > 0 && *length < ANSWER_BYTES)
	{
		count = tls == NULL ? recv(file, text + *length, ANSWER_BYTES - *length, 0)
							: receive_sealed(tls, file, request, &asked, text + *length,
											 ANSWER_BYTES - *length);
		if (count > 0)
			*length += (size_t) count;
	}
	return count;
}

bool
http_get(HttpAnswer *answer, const char *url, const char *path, const char *headers,
		 const TlsClient *client)
{
	ServerUrl server;
	TlsSession *tls = NULL;
	char request[1024];
	char text[ANSWER_BYTES + 1];
	size_t length = 0;
	const char *wrong;
	ssize_t ended;
	int file;

	memset(answer, 0, sizeof(*answer));
	wrong = server_url_parse(&server, url);
	if (wrong != NULL)
		return fail(answer, "%s: %s", url, wrong);
	file = connect_to(answer, server.host, server.port);
	if (file < 0)
		return false;
	snprintf(request, sizeof(request),
			 "GET %s%s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", server.prefix, path,
			 server.authority, headers);
	if (client != NULL)
		tls = tls_session_open(client, &server);
	errno = 0;
	ended = ask(file, tls, request, text, &length);
	close(file);
	text[length] = '\0';
	if (length > 0)
		parse(answer, text);
	else if (tls != NULL && errno == 0)
	{
		answer->distrusted = true;
		fail(answer, "%s: %s", url, tls_session_ended_early(tls));
	}
	else
		fail(answer, "%s port %s does not answer%s%s", server.host, server.port,
			 ended < 0 ? ": " : "", ended < 0 ? strerror(errno) : "");
	tls_session_close(tls);
	return answer->wrong[0] == '\0';
}
