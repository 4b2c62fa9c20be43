/*
 * body_decoder.h
 *	  Cuts a request body, as it arrives in pieces, into messages.
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
	BODY_NDJSON, /* an object a line */
	BODY_POINTS, /* a point of InfluxDB's line protocol a line */
} BodyFormat;

/* The errors that an answer lists. */
#define BODY_MAX_LISTED_ERRORS 100

typedef struct BodyError
{
	int64_t position; /* see BodyDecoder; -1 where the body is one object */
	MessageError message;
} BodyError;

typedef struct BodyDecoder
{
	Stage *stage; /* where the messages go; the caller's */
	BodyFormat format;
	LineRules points;	/* of BODY_POINTS; the caller's to set after body_decoder_init() */
	bool partial;		/* go on after a bad message */
	int state;			/* body_decoder.c knows */
	int64_t position;	/* lines: line, from 1; array: index, from 0 */
	Bytes carry;		/* a message whose end has not arrived yet */
	size_t carry_tried; /* length of carry when it was last found incomplete */
	size_t allowance;	/* what the call under way may still look at */
	uint64_t error_count;
	BodyError *errors; /* the first of them */
} BodyDecoder;

extern void body_decoder_init(BodyDecoder *decoder, Stage *stage, BodyFormat format, bool partial);

/*
 * Takes of the next piece, *data to end, what takes some hundred microseconds at most, and moves *data
 * on; at least one message, or what is there of it.  Returns false once the body is known to be bad and
 * nothing after it can be used: at the first error, or with partial where the text is no longer JSON.
 * More pieces may be given then; they are ignored.
 */
extern bool body_decoder_step(BodyDecoder *decoder, const char **data, const char *end);

/* The same with the body's end, and what was kept for it. */
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

/* For errors found by the caller, such as a corrupt compression: no more input is taken. */
extern void body_decoder_fail(BodyDecoder *decoder, const char *detail);

extern void body_decoder_free(BodyDecoder *decoder);

#endif /* HISTORIAND_BODY_DECODER_H */
