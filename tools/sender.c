/*
 * sender.c
 *	  Posts batches of messages over several connections until each is acknowledged.
 *
 * There are connections * pipeline batches, which bounds the memory.  Each is free, in flight, or
 * waits to be sent again.
 */
#include "sender.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_S 60

typedef struct Batch
{
	Text text; /* must be first: sender_batch() returns it */
	uint32_t messages;
	Sender *sender;
	HttpRequest request;
	uv_timer_t timer; /* runs until the batch is sent again */
	struct Batch *next_free;
} Batch;

struct Sender
{
	uv_loop_t *loop;
	SenderOptions options;
	char path[64];
	SenderStatistics statistics;
	HttpClient **clients;
	Batch *batches;
	Batch *free;
	uint32_t handles; /* timers that libuv has not closed yet */
};

static void send_batch(Batch *batch);
static void on_response(HttpRequest *request, const HttpResponse *response);
static void on_acknowledged(Batch *batch);
static void on_refused(Batch *batch, const HttpResponse *response);
static void send_later(Batch *batch, uint64_t pause_ms);
static void on_timer(uv_timer_t *timer);
static void on_timer_closed(uv_handle_t *handle);

Sender *
sender_open(uv_loop_t *loop, const SenderOptions *options)
{
	Sender *sender = calloc(1, sizeof(*sender));
	uint32_t batches = options->connections * options->pipeline;

	if (sender == NULL)
		abort();
	sender->loop = loop;
	sender->options = *options;
	snprintf(sender->path, sizeof(sender->path), "/save?ack=%s%s%s",
			 options->committed ? "committed" : "received",
			 options->precision != NULL ? "&precision=" : "",
			 options->precision != NULL ? options->precision : "");
	sender->clients = calloc(options->connections, sizeof(*sender->clients));
	sender->batches = calloc(batches, sizeof(*sender->batches));
	if (sender->clients == NULL || sender->batches == NULL)
		abort();
	for (uint32_t i = 0; i < options->connections; i++)
		sender->clients[i] = http_client_open(loop, options->server, TIMEOUT_S);
	for (uint32_t i = 0; i < batches; i++)
	{
		Batch *batch = &sender->batches[i];

		batch->sender = sender;
		uv_timer_init(loop, &batch->timer);
		batch->timer.data = batch;
		batch->next_free = sender->free;
		sender->free = batch;
	}
	sender->handles = batches;
	return sender;
}

void
sender_close(Sender *sender)
{
	uint32_t batches = sender->handles;

	sender->options.on_free = NULL;
	for (uint32_t i = 0; i < sender->options.connections; i++)
		http_client_close(sender->clients[i]);
	for (uint32_t i = 0; i < batches; i++)
		uv_close((uv_handle_t *) &sender->batches[i].timer, on_timer_closed);
}

Text *
sender_batch(Sender *sender)
{
	if (sender->free == NULL)
		return NULL;
	sender->free->text.bytes = 0;
	return &sender->free->text;
}

void
sender_send(Sender *sender, Text *text, uint32_t messages)
{
	Batch *batch = (Batch *) text;

	sender->free = batch->next_free;
	batch->messages = messages;
	sender->statistics.batches_in_flight++;
	send_batch(batch);
}

const SenderStatistics *
sender_statistics(const Sender *sender)
{
	return &sender->statistics;
}

/* Sends a batch over the connection that has the fewest batches in flight. */
static void
send_batch(Batch *batch)
{
	Sender *sender = batch->sender;
	HttpClient *best = sender->clients[0];

	for (uint32_t i = 1; i < sender->options.connections; i++)
		if (http_client_pending(sender->clients[i]) < http_client_pending(best))
			best = sender->clients[i];
	http_request_post(&batch->request, sender->options.server, sender->path,
					  sender->options.single ? "application/json" : "application/x-ndjson",
					  batch->text.bytes);
	batch->request.body = batch->text.data;
	batch->request.callback = on_response;
	batch->request.context = batch;
	http_client_send(best, &batch->request);
}

/* Frees the batch, or sends it again later. */
static void
on_response(HttpRequest *request, const HttpResponse *response)
{
	Batch *batch = request->context;
	int expected = batch->sender->options.committed ? 204 : 202;

	if (batch->sender->options.on_free == NULL)
		return; /* the sender is being closed */
	if (response == NULL)
		send_later(batch, 20);
	else if (response->status == expected)
		on_acknowledged(batch);
	else if (response->status >= 500 || response->status == 408 || response->status == 429)
		send_later(batch, response->retry_after_s > 0 ? response->retry_after_s * 1000 : 500);
	else
		on_refused(batch, response);
}

static void
on_acknowledged(Batch *batch)
{
	Sender *sender = batch->sender;

	sender->statistics.messages_acknowledged += batch->messages;
	sender->statistics.bytes += batch->text.bytes;
	sender->statistics.batches_in_flight--;
	batch->next_free = sender->free;
	sender->free = batch;
	sender->options.on_free(sender->options.context);
}

static void
on_refused(Batch *batch, const HttpResponse *response)
{
	Sender *sender = batch->sender;

	if (sender->statistics.messages_refused == 0)
		fprintf(stderr, "the server refused a batch with %d: %.*s\n", response->status, 1000,
				response->body);
	sender->statistics.messages_refused += batch->messages;
	sender->statistics.batches_in_flight--;
	batch->next_free = sender->free;
	sender->free = batch;
	sender->options.on_free(sender->options.context);
}

static void
send_later(Batch *batch, uint64_t pause_ms)
{
	batch->sender->statistics.batches_retried++;
	uv_timer_start(&batch->timer, on_timer, pause_ms, 0);
}

static void
on_timer(uv_timer_t *timer)
{
	send_batch(timer->data);
}

static void
on_timer_closed(uv_handle_t *handle)
{
	Batch *batch = handle->data;
	Sender *sender = batch->sender;

	free(batch->text.data);
	batch->text.data = NULL;
	if (--sender->handles > 0)
		return;
	free(sender->batches);
	free(sender->clients);
	free(sender);
}
