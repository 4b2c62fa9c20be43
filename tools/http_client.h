/*
 * http_client.h
 *	  One HTTP/1.1 connection to a server, with pipelining, which is made again when it is lost.
 *
 * Each request ends with exactly one call of its callback: with the response, or with NULL if the
 * connection was lost before the response was complete.  In that case the caller decides whether to
 * send the request again; the client only connects again, after a pause that grows up to a second.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "token_option.h"

typedef struct HttpClient HttpClient;

/* The address of a server; http_url_parse() fills it. */
typedef struct HttpUrl
{
	struct sockaddr_storage address;
	char authority[300];			  /* for the header Host */
	char prefix[300];				  /* comes before every path, and has no slash at its end */
	char headers[TOKEN_HEADER_BYTES]; /* further ones of every request, with their line ends */
} HttpUrl;

typedef struct HttpResponse
{
	int status;
	const char *body; /* ends with a NUL that body_bytes does not count; valid in the callback */
	size_t body_bytes;
	uint32_t retry_after_s; /* 0: the header is missing */
} HttpResponse;

/* A request, which the caller owns and keeps until the callback. */
typedef struct HttpRequest HttpRequest;
typedef void (*HttpCallback)(HttpRequest *request, const HttpResponse *response);
struct HttpRequest
{
	char head[1024];
	size_t head_bytes;
	char *body; /* must stay until the callback */
	size_t body_bytes;
	HttpCallback callback;
	void *context;
	HttpRequest *next; /* this and all below belong to the client */
	uv_write_t write;
	int writes; /* writes that libuv has not ended */
	int done;
	int early_status; /* of a response that came before the end of the write; 0: none */
	uint32_t early_retry_after_s;
};

/*
 * Parses http://host[:port][/prefix] and looks up the host; there are no further headers then.
 * Returns what is wrong, or NULL.
 */
extern const char *http_url_parse(HttpUrl *url, const char *text);

/*
 * Writes a request's head; the caller sets body and callback.  Returns nonzero if the path is too
 * long.
 */
extern int http_request_get(HttpRequest *request, const HttpUrl *url, const char *path);
extern int http_request_post(HttpRequest *request, const HttpUrl *url, const char *path,
							 const char *content_type, size_t body_bytes);

/*
 * If a request has no answer after timeout_s, the connection is closed.  The url must outlive the
 * client.
 */
extern HttpClient *http_client_open(uv_loop_t *loop, const HttpUrl *url, uint32_t timeout_s);
/* Ends all requests, whose callbacks get NULL; the loop then frees the client. */
extern void http_client_close(HttpClient *client);
extern void http_client_send(HttpClient *client, HttpRequest *request);
/* How many requests have no answer yet. */
extern uint32_t http_client_pending(const HttpClient *client);

#endif
