/*
 * body_decoder.h
 *	  Cuts a request body, which arrives in pieces, into messages.
 */
#ifndef HISTORIAND_BODY_DECODER_H
#define HISTORIAND_BODY_DECODER_H

#include "ingest/line_scan.h"
#include "base/memory.h"
#include "ingest/message_scan.h"
#include "ingest/stage.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum BodyFormat
{
	BODY_JSON,	 /* one object, or an array of them */
	BODY_NDJSON, /* one object a line */
	BODY_POINTS, /* InfluxDB's line protocol: one point a line */
} BodyFormat;

/* How many errors an answer lists. */
#define BODY_MAX_LISTED_ERRORS 100

typedef struct BodyError
{
	int64_t position; /* see BodyDecoder; -1 where the body is one object */
	MessageError message;
} BodyError;

typedef struct BodyDecoder
{
	Stage *stage; /* where the messages go; the caller owns it */
	BodyFormat format;
	TimestampRules times;
	LineRules points; /* for BODY_POINTS the caller sets it after body_decoder_init() */
	const char
		*tag_prefix; /* of the tags that are taken; "": all.  As points, the caller sets it */
	size_t tag_prefix_length;
	const MessageRange *range; /* as points, the caller sets it; NULL: any tag and time are taken */
	bool partial;			   /* go on after a bad message */
	int state;				   /* an enum of body_decoder.c */
	int64_t position;		   /* the line, from 1, or the index in an array, from 0 */
	Bytes carry;			   /* a message whose end has not arrived yet */
	size_t carry_tried;		   /* length of carry when it was last found incomplete */
	size_t allowance;		   /* how many messages the current call may still look at */
	uint64_t error_count;
	size_t error_capacity;
	BodyError *errors; /* the first BODY_MAX_LISTED_ERRORS */
} BodyDecoder;

extern void body_decoder_init(BodyDecoder *decoder, Stage *stage, BodyFormat format, bool partial,
							  const TimestampRules *times);

/*
 * Decodes the next piece, *data to end, for some hundred microseconds at most, and moves *data on.
 * It takes at least one message, or what there is of it.  Returns false once nothing more of the
 * body can be used: after the first error; with partial, after text that is not JSON.  Later pieces
 * are ignored then.
 */
extern bool body_decoder_step(BodyDecoder *decoder, const char **data, const char *end);

/* Decodes what is left at the body's end; returns the same. */
extern bool body_decoder_finish(BodyDecoder *decoder);

/* Takes a whole piece. */
static inline bool
body_decoder_feed(BodyDecoder *decoder, const char *data, size_t length)
{
	const char *end = data + length;
	bool good;

	do
		good = body_decoder_step(decoder, &data, end);
	while (data < end);
	return good;
}

/* Notes an error that the caller has found, such as corrupt compression; no more input is taken. */
extern void body_decoder_fail(BodyDecoder *decoder, const char *detail);

/* Notes an error of a message that was decoded before, whose position is not known any more. */
extern void body_decoder_refuse(BodyDecoder *decoder, const char *detail);

/* The memory that the decoder holds, without the stage. */
extern size_t body_decoder_bytes(const BodyDecoder *decoder);

extern void body_decoder_free(BodyDecoder *decoder);

#endif /* HISTORIAND_BODY_DECODER_H */
