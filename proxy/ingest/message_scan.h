/*
 * message_scan.h
 *	  Scans one message {"time": .., "tag": .., "values": [..]} from JSON text into a stage.
 */
#ifndef HISTORIAND_MESSAGE_SCAN_H
#define HISTORIAND_MESSAGE_SCAN_H

#include "base/timestamp.h"
#include "ingest/stage.h"

#include <stdbool.h>

/* The longest message, and with it the longest NDJSON line and array element. */
#define MESSAGE_MAX_BYTES 65536

typedef enum ScanStatus
{
	SCAN_OK,		 /* the message is in the stage, and *cursor is after its brace */
	SCAN_INCOMPLETE, /* the text ended inside the message; nothing was staged */
	SCAN_INVALID,	 /* *error says why; nothing was staged */
} ScanStatus;

typedef struct MessageError
{
	char field[48]; /* "time", "values[3]", ..; empty if no field is to blame */
	char detail[160];
	bool forbidden; /* it is a message, but its tag is not for who sends it */
} MessageError;

/* Makes it the error of no field, whose detail is to be set. */
static inline void
message_error_clear(MessageError *error)
{
	error->field[0] = '\0';
	error->detail[0] = '\0';
	error->forbidden = false;
}

/* What all messages of a body must be about; they may leave the tag out. */
typedef struct MessageRange
{
	const char *tag;
	size_t tag_length;
	int64_t start_ns;
	int64_t end_ns; /* start <= time < end */
} MessageRange;

/*
 * *cursor points at the message's opening brace.  It moves on SCAN_OK only.  The rules say how an
 * integer is read as a time.  range is NULL where any tag and time are taken.
 */
extern ScanStatus message_scan(Stage *stage, const char **cursor, const char *end,
							   const TimestampRules *times, const MessageRange *range,
							   MessageError *error);

/* The same, but a newline ends the message too early: it is invalid then. */
extern ScanStatus message_scan_line(Stage *stage, const char **cursor, const char *end,
									const TimestampRules *times, const MessageRange *range,
									MessageError *error);

/* Has the tag the prefix?  If not, sets *error. */
static inline bool
message_scan_allows(const char *tag, size_t tag_length, const char *prefix, size_t prefix_length,
					MessageError *error)
{
	if (tag_length >= prefix_length && memcmp(tag, prefix, prefix_length) == 0)
		return true;
	strcpy(error->field, "tag");
	strcpy(error->detail, "the token that was sent is not for this tag");
	error->forbidden = true;
	return false;
}

#endif /* HISTORIAND_MESSAGE_SCAN_H */
