/*
 * sender.h
 *	  Posts batches of messages over several connections until each is acknowledged.
 *
 * A batch is sent again if the connection was lost, or if the server was busy (503), after its
 * Retry-After.  The server may then get a message twice, which it stores once.  A refusal (4xx) is
 * final: the first one is printed, and all are counted.
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
	HttpServer *server;
	uint32_t connections;
	uint32_t pipeline;				/* batches in flight on a connection */
	bool committed;					/* ask for ack=committed */
	const char *precision;			/* unit of the times; NULL: none is named */
	bool single;					/* a batch is one message, sent as a plain object */
	void (*on_free)(void *context); /* called when a batch is free again */
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

/* Returns an empty batch to fill, or NULL if all are in flight. */
extern Text *sender_batch(Sender *sender);
/* Sends the batch that sender_batch() returned, which has so many messages. */
extern void sender_send(Sender *sender, Text *batch, uint32_t messages);

extern const SenderStatistics *sender_statistics(const Sender *sender);

#endif
