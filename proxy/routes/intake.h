/*
 * intake.h
 *	  A request's body of messages on its way into the ingest buffer: what /save and /write share.
 */
#ifndef HISTORIAND_INTAKE_H
#define HISTORIAND_INTAKE_H

#include "ingest/body_decoder.h"
#include "ingest/gunzip.h"
#include "http/http_exchange.h"
#include "loop.h"
#include "ingest/tag_count.h"

typedef struct Intake
{
	ListLink link; /* in Loop.free_intakes */
	Loop *loop;
	Exchange *exchange;
	bool partial;
	bool committed;		  /* ack=committed */
	bool full;			  /* strict: there was no room for the stage */
	bool stopped;		  /* nothing more of the body is of use */
	bool waited;		  /* the ticket waits, or has waited, for its commit */
	CommitWaiter *waiter; /* NULL: nobody waits */
	Stage stage;
	List pieces;	/* strict: what was staged before */
	TagCount *tags; /* of the pieces */
	size_t piece_count;
	size_t piece_bytes; /* what they hold */
	TurnTask task;		/* appends them */
	size_t reserved;	/* counted against the buffer */
	BodyDecoder decoder;
	uint64_t counted; /* of its errors, in the metrics */
	Gunzip *gunzip;
	const char *output; /* of gunzip's, not decoded yet */
	const char *output_end;
	uint64_t received_bytes; /* of the body, as sent */
	uint64_t body_bytes;	 /* decoded */
	uint64_t accepted;		 /* messages in the buffer */
	IngestTicket ticket;
	/* The body was taken, and committed where that was asked for; there may be errors. */
	void (*answer)(Exchange *exchange);
	/* A strict body has an error: nothing of it was stored. */
	void (*answer_refused)(Exchange *exchange);
} Intake;

/* The exchange's state, with defaults; the caller then fills in partial, committed and the answers. */
extern Intake *intake_new(Exchange *exchange);

/* Makes it ready for a body.  Returns false after having answered that the body cannot be taken. */
extern bool intake_begin(Exchange *exchange, BodyFormat format);

/* Takes one of a route's own parameters; false where it is none of them or has another value. */
typedef bool (*IntakeParameter)(void *argument, const char *name, const char *value);

/*
 * Reads the request's parameters: ack and partial, which all intakes have, each at most once, and
 * the route's own ones.  Returns false after having answered what the route takes.
 */
extern bool intake_parameters(Exchange *exchange, IntakeParameter own, void *argument,
							  const char *taken);

/* "line 3: " to text, where that is not NULL, and the same as a member with a comma to member. */
extern void intake_describe_position(const BodyDecoder *decoder, const BodyError *error,
									 Bytes *text, Bytes *member);

/*
 * What became of a partial body, as members after others: how many messages were accepted, how many
 * were not under the given name, and the first of those.
 */
extern void intake_put_partial(const Intake *intake, const char *errors_name, Bytes *body);

/* For the routes. */
extern size_t intake_body(Exchange *exchange, const char *data, size_t length);
extern bool intake_end(Exchange *exchange);
extern void intake_release(Exchange *exchange);
extern void intake_block_timeout(Exchange *exchange);

#endif /* HISTORIAND_INTAKE_H */
