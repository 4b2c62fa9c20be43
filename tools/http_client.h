/*
 * http_client.h
 *	  One HTTP/1.1 connection to a server, with pipelining, which is made again when it is lost.
 *
 * Each request ends with exactly one call of its callback: with the response, or with NULL if the
 * connection was lost before the response was complete.  In that case the caller decides whether to
 * send the request again; the client only connects again, after a pause that grows up to a second.
 * How long it does so is for the program to say, which is told of each attempt that failed.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "server_url.h"
#include "tls_client.h"
#include "token_option.h"

typedef struct HttpClient HttpClient;

/*
 * Called when a server cannot be reached, or goes away without an answer: why, whether it has ever
 * answered, and for how long it has not since.  It may end the process.
 */
typedef void (*HttpUnreachable)(void *context, const char *why, bool ever, uint64_t ms);

/* A server, and what all connections to it have in common. */
typedef struct HttpServer
{
	ServerUrl url;
	struct sockaddr_storage address;
	char headers[TOKEN_HEADER_BYTES]; /* further ones of every request, with their line ends */
	TlsClient *tls;					  /* NULL: plain */
	HttpUnreachable on_unreachable;	  /* NULL: nobody is told */
	void *context;
	bool answered;		/* at least once; this and all below belong to the connections */
	uint64_t silent_ms; /* of uv_now(), since when it cannot be reached; 0: it can */
} HttpServer;

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
 * Parses a URL and looks up the host, and reads the token's and the certificates' files, each of
 * which may be NULL.  Returns what is wrong, or NULL.
 */
extern const char *http_server_set(HttpServer *server, const char *url, const char *token_file,
								   const TlsFiles *files);

/*
 * Writes a request's head; the caller sets body and callback.  Returns nonzero if the path is too
 * long.
 */
extern int http_request_get(HttpRequest *request, const HttpServer *server, const char *path);
extern int http_request_post(HttpRequest *request, const HttpServer *server, const char *path,
							 const char *content_type, size_t body_bytes);

/*
 * If a request has no answer after timeout_s, the connection is closed.  The server must outlive the
 * client.
 */
extern HttpClient *http_client_open(uv_loop_t *loop, HttpServer *server, uint32_t timeout_s);
/* Ends all requests, whose callbacks get NULL; the loop then frees the client. */
extern void http_client_close(HttpClient *client);
extern void http_client_send(HttpClient *client, HttpRequest *request);
/* How many requests have no answer yet. */
extern uint32_t http_client_pending(const HttpClient *client);

#endif
