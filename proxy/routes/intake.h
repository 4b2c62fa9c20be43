/*
 * intake.h
 *	  Takes messages from a request's body into the ingest buffer, for /save and /write.
 */
#ifndef HISTORIAND_INTAKE_H
#define HISTORIAND_INTAKE_H

#include "base/timestamp.h"
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
	bool partial;		  /* partial=true; otherwise the body is strict: all or nothing is stored */
	bool committed;		  /* ack=committed */
	TimestampRules times; /* how integers are read as times */
	bool full;			  /* a strict body does not fit the buffer */
	bool too_large;		  /* the body exceeds a limit: 413 */
	bool limited;		  /* the client has sent too many messages: 429 */
	bool stopped;		  /* the rest of the body is ignored */
	bool waited;		  /* a waiter with the ticket was queued */
	CommitWaiter *waiter; /* NULL: the request does not wait */
	Stage stage;
	size_t most_staged; /* the most bytes that the stage had, of a partial body */
	ListLink placeless; /* in Loop.placeless */
	List pieces;		/* of StagePiece: earlier messages of a strict body */
	TagCount *tags;		/* of the pieces */
	size_t piece_count;
	size_t piece_bytes; /* sum of the pieces */
	TurnTask task;		/* appends the pieces */
	size_t reserved;	/* bytes that are counted in the buffer */
	BodyDecoder decoder;
	uint64_t counted; /* how many of the decoder's errors the metrics have */
	Gunzip *gunzip;
	const char *output; /* of gunzip, not decoded yet */
	const char *output_end;
	uint64_t received_bytes; /* of the body as it was sent */
	uint64_t body_bytes;	 /* of the body after decompression */
	uint64_t accepted;		 /* messages that are in the buffer */
	uint64_t unstaged;		 /* messages that were decoded, and are not in the stage any more */
	uint64_t spent;			 /* messages that --limit-messages has counted, bad ones too */
	IngestTicket ticket;
	StreamName *stream; /* of the messages */
	void *owner;		/* of the route */
	/*
	 * Takes a strict body that is complete, in the place of the buffer; NULL: the buffer takes it.
	 */
	void (*deliver)(Exchange *exchange);
	/*
	 * Answers after the body was taken, and committed if that was asked for; there may be errors.
	 */
	void (*answer)(Exchange *exchange);
	/* Answers after a strict body had an error, so that nothing of it is stored. */
	void (*answer_refused)(Exchange *exchange);
} Intake;

/*
 * Makes the exchange's state with defaults; the caller then sets partial, committed, times and the
 * answers.
 */
extern Intake *intake_new(Exchange *exchange);

/* Prepares the intake for a body.  If the body cannot be taken, answers that and returns false. */
extern bool intake_begin(Exchange *exchange, BodyFormat format);

/* Takes a parameter of the route's own; false if it is none of them, or has a wrong value. */
typedef bool (*IntakeParameter)(void *argument, const char *name, const char *value);

/*
 * Reads the request's parameters: ack and partial, which all intakes have, each at most once, and
 * the route's own ones.  If one is wrong, answers what the route takes and returns false.
 */
extern bool intake_parameters(Exchange *exchange, IntakeParameter own, void *argument,
							  const char *taken);

/* Appends "line 3: " to text, unless that is NULL, and "line":3, to member. */
extern void intake_describe_position(const BodyDecoder *decoder, const BodyError *error,
									 Bytes *text, Bytes *member);

/*
 * Appends members that say what became of a partial body: how many messages were accepted, how many
 * were not (a member of the given name), and the errors of the first of these.
 */
extern void intake_put_partial(const Intake *intake, const char *errors_name, Bytes *body);

/*
 * Finds the format of messages by Content-Type: a request without one, or with curl's default, is
 * taken as JSON.  Answers 415 and returns false if it is neither JSON nor NDJSON.
 */
extern bool intake_read_type(Exchange *exchange, BodyFormat *format);

/* Answers a strict body of messages with its error, nothing of which is stored. */
extern void intake_answer_refused(Exchange *exchange);

/*
 * For deliver(): moves the next messages of the body into the stage, which is empty; false: there are
 * no more.  Their memory stays counted until the request is released.
 */
extern bool intake_take_messages(Intake *intake, Stage *stage);

/* The functions of a Route. */
extern size_t intake_body(Exchange *exchange, const char *data, size_t length);
extern bool intake_end(Exchange *exchange);
extern void intake_release(Exchange *exchange);
extern void intake_block_timeout(Exchange *exchange);

/* Appends what partial bodies of the loop have, as far as the places of its fields are known by now. */
extern void intake_append_placeless(Loop *loop);

#endif /* HISTORIAND_INTAKE_H */
