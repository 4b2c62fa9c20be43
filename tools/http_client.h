/*
 * http_client.h
 *	  One HTTP/1.1 connection to a server, with pipelining, that comes back when it is lost.
 *
 * A request ends in exactly one call of its callback: with the response, or with NULL when the
 * connection was lost before the response was complete.  The caller then decides whether to send
 * it again; the client only connects anew, with a pause that grows up to a second.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct HttpClient HttpClient;

/* Where requests go; http_url_parse fills it. */
typedef struct HttpUrl
{
	struct sockaddr_storage address;
	char authority[300]; /* for the header Host */
	char prefix[300];	 /* of every path, without a slash at the end */
} HttpUrl;

typedef struct HttpResponse
{
	int status;
	const char *body; /* ends in a NUL that body_bytes does not count; valid in the callback */
	size_t body_bytes;
	uint32_t retry_after_s; /* 0 where the header is absent */
} HttpResponse;

/* A request in flight; embed it or allocate it, it is the caller's. */
typedef struct HttpRequest HttpRequest;
typedef void (*HttpCallback)(HttpRequest *request, const HttpResponse *response);
struct HttpRequest
{
	char head[700];
	size_t head_bytes;
	char *body; /* must stay until the callback */
	size_t body_bytes;
	HttpCallback callback;
	void *context;
	HttpRequest *next; /* the client's, like all below */
	uv_write_t write;
	int writes; /* writes that libuv has not given back */
	int done;
	int early_status; /* of a response before the end of the write, 0 for none */
	uint32_t early_retry_after_s;
};

/* Parses http://host[:port][/prefix] and looks the host up; says what is wrong, or NULL. */
extern const char *http_url_parse(HttpUrl *url, const char *text);

/* Writes the request's head; body and callback are the caller's to set. Nonzero: path too long. */
extern int http_request_get(HttpRequest *request, const HttpUrl *url, const char *path);
extern int http_request_post(HttpRequest *request, const HttpUrl *url, const char *path,
							 const char *content_type, size_t body_bytes);

/* A request with no answer after timeout_s ends the connection. The url must stay. */
extern HttpClient *http_client_open(uv_loop_t *loop, const HttpUrl *url, uint32_t timeout_s);
/* Ends all requests (callbacks with NULL), then frees the client on the loop. */
extern void http_client_close(HttpClient *client);
extern void http_client_send(HttpClient *client, HttpRequest *request);
/* Requests without an answer. */
extern uint32_t http_client_pending(const HttpClient *client);

#endif
