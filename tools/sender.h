/*
 * sender.h
 *	  Posts batches of messages over several connections until each is acknowledged.
 *
 * A batch that a lost connection or a busy server (503) left open is sent again, after the
 * server's Retry-After; what the server then has twice is the same message.  A refusal (4xx) is
 * final: it is printed and remembered.
 */
#ifndef SENDER_H
#define SENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "http_client.h"
#include "source.h"

typedef struct Sender Sender;

typedef struct SenderOptions
{
	const HttpUrl *url;
	uint32_t connections;
	uint32_t pipeline;				/* batches in flight on a connection */
	bool committed;					/* ask for ack=committed */
	bool single;					/* a batch is one message, sent as a plain object */
	void (*on_free)(void *context); /* a batch is free again */
	void *context;
} SenderOptions;

typedef struct SenderStatistics
{
	uint64_t messages_acknowledged;
	uint64_t messages_refused;
	uint64_t batches_retried;
	uint64_t bytes; /* of bodies acknowledged */
	uint32_t batches_in_flight;
} SenderStatistics;

extern Sender *sender_open(uv_loop_t *loop, const SenderOptions *options);
extern void sender_close(Sender *sender);

/* An empty batch to fill, or NULL when all are in flight. */
extern Text *sender_batch(Sender *sender);
/* Sends the batch that sender_batch gave, with so many messages. */
extern void sender_send(Sender *sender, Text *batch, uint32_t messages);

extern const SenderStatistics *sender_statistics(const Sender *sender);

#endif
