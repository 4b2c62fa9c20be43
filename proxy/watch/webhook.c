/*
 * webhook.c
 *	  Tells transitions of tags by POST to a URL.
 *
 * Some requests are under way at a time, on connections that are kept.  Redirections are not
 * followed: the operator has named one URL, and no other host may choose where requests go.  What an
 * answer says behind its status is read, so that the connection can be kept, and thrown away; one
 * that does not end is cut off.  The URL may have a password in it, and is never logged.
 */
#include "watch/webhook.h"

#include "base/config.h"
#include "base/memory.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARALLEL 8

/* Bytes of a body after which an answer is cut off. */
#define MOST_BODY_BYTES 65536

#define WAIT_MS 100

/* A request under way. */
typedef struct Request
{
	CURL *easy;
	Telling *telling; /* NULL: none */
	size_t body_bytes;
	char error[CURL_ERROR_SIZE];
} Request;

struct Webhook
{
	const char *url;
	CURLM *multi;
	struct curl_slist *headers;
	Request requests[PARALLEL];
};

static bool begin(Webhook *webhook, Request *request, Telling *telling, uint64_t timeout_ms);
static size_t on_body(char *data, size_t size, size_t count, void *argument);
static void take_ends(Webhook *webhook, Tellings *tellings);
static void end(Webhook *webhook, Request *request, CURLcode result, Tellings *tellings);

Webhook *
webhook_new(const char *url)
{
	Webhook *webhook = memory_new(sizeof(Webhook));
	Bytes agent = {0};

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (webhook->multi = curl_multi_init()) == NULL)
	{
		free(webhook);
		return NULL;
	}
	webhook->url = url;
	bytes_printf(&agent, "User-Agent: historiand/%s", historiand_version);
	webhook->headers = curl_slist_append(NULL, bytes_text(&agent));
	webhook->headers = curl_slist_append(webhook->headers, "Content-Type: application/json");
	/* The body is small: asking first would take longer. */
	webhook->headers = curl_slist_append(webhook->headers, "Expect:");
	bytes_free(&agent);
	for (int i = 0; i < PARALLEL; i++)
	{
		webhook->requests[i].easy = curl_easy_init();
		if (webhook->requests[i].easy == NULL)
			return NULL;
	}
	return webhook;
}

/* A request that is not under way, or NULL. */
static Request *
free_request(Webhook *webhook)
{
	for (int i = 0; i < PARALLEL; i++)
	{
		if (webhook->requests[i].telling == NULL)
			return &webhook->requests[i];
	}
	return NULL;
}

void
webhook_tell(void *argument, Tellings *tellings)
{
	Webhook *webhook = argument;
	int next = 0;
	int running = 0;

	do
	{
		Request *request;

		while (next < tellings->count && (request = free_request(webhook)) != NULL &&
			   telling_may_begin(tellings))
		{
			if (!begin(webhook, request, &tellings->items[next++], tellings->timeout_ms))
				snprintf(tellings->why, sizeof(tellings->why), "libcurl refuses the request");
		}
		curl_multi_perform(webhook->multi, &running);
		take_ends(webhook, tellings);
		if (running > 0)
			curl_multi_poll(webhook->multi, NULL, 0, WAIT_MS, NULL);
	} while (running > 0 || (next < tellings->count && telling_may_begin(tellings)));
}

static bool
begin(Webhook *webhook, Request *request, Telling *telling, uint64_t timeout_ms)
{
	CURL *easy = request->easy;

	telling->tried = true;
	request->body_bytes = 0;
	request->error[0] = '\0';
	curl_easy_reset(easy);
	if (curl_easy_setopt(easy, CURLOPT_URL, webhook->url) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK)
		return false;
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, telling->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) strlen(telling->body));
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, webhook->headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) timeout_ms);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	if (curl_multi_add_handle(webhook->multi, easy) != CURLM_OK)
		return false;
	request->telling = telling;
	return true;
}

static size_t
on_body(char *data, size_t size, size_t count, void *argument)
{
	Request *request = argument;

	(void) data;
	request->body_bytes += size * count;
	return request->body_bytes > MOST_BODY_BYTES ? 0 : size * count;
}

/* Notes the requests that have ended. */
static void
take_ends(Webhook *webhook, Tellings *tellings)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(webhook->multi, &left)) != NULL)
	{
		CURLcode result = message->data.result;
		char *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		end(webhook, (Request *) request, result, tellings);
	}
}

static void
end(Webhook *webhook, Request *request, CURLcode result, Tellings *tellings)
{
	long status = 0;

	/* The status tells that the transition has been taken, whatever becomes of the body. */
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	request->telling->told = status >= 200 && status <= 299;
	if (!request->telling->told && status != 0)
		snprintf(tellings->why, sizeof(tellings->why), "it answered %ld", status);
	else if (!request->telling->told)
		snprintf(tellings->why, sizeof(tellings->why), "%.200s",
				 request->error[0] != '\0' ? request->error : curl_easy_strerror(result));
	curl_multi_remove_handle(webhook->multi, request->easy);
	request->telling = NULL;
}
