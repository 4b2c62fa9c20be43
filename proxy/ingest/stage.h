/*
 * stage.h
 *	  Decoded messages of one request, before they are accepted into the buffer.
 *
 * A stage is one growing piece of memory that has the messages one after the other.  So a message
 * costs no allocation, and one that was half read is dropped by setting a length.
 */
#ifndef HISTORIAND_STAGE_H
#define HISTORIAND_STAGE_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The longest tag in bytes, and the most values of one message (the extension's limit too). */
#define MESSAGE_MAX_TAG_BYTES 256
#define MESSAGE_MAX_VALUES	  1000

/*
 * The largest row that fits a page of the table, whatever its values are.  It takes 8 bytes a
 * value, a bit a value if any is null, and the bytes of the tag.
 */
#define MESSAGE_MAX_ROW_BYTES 8086

/* Can a message of at most MESSAGE_MAX_VALUES values be stored, whatever these are? */
static inline bool
stage_fits(size_t value_count, bool has_nulls, size_t tag_length)
{
	size_t null_bytes = has_nulls ? (value_count + 7) / 8 : 0;

	return value_count * sizeof(double) + null_bytes + tag_length <= MESSAGE_MAX_ROW_BYTES;
}

/*
 * A value that is NULL in the table is this NaN in a stage, a batch and the spool; its last bytes
 * are "null".  A client cannot send it as a value, because neither JSON nor line protocol has a
 * NaN.
 */
#define VALUE_NULL_BITS UINT64_C(0x7FF800006E756C6C)

static inline void
value_set_null(double *value)
{
	uint64_t bits = VALUE_NULL_BITS;

	memcpy(value, &bits, sizeof(bits));
}

static inline bool
value_is_null(const double *value)
{
	uint64_t bits;

	memcpy(&bits, value, sizeof(bits));
	return bits == VALUE_NULL_BITS;
}

/* A message in a stage: this head, value_count doubles (or nulls), the tag padded to 8 bytes. */
typedef struct StagedMessage
{
	int64_t time_ns;
	uint32_t value_count;
	uint32_t tag_length;
	double values[];
} StagedMessage;

typedef struct Stage
{
	char *data;
	size_t length; /* bytes in use, a multiple of 8 */
	size_t capacity;
	uint32_t count; /* messages in use */
	Bytes waiting;	/* of field_places.c: the names of the points that have no places yet */
} Stage;

/* Frees the messages; the stage is empty then, and may be used again. */
static inline void
stage_free(Stage *stage)
{
	free(stage->data);
	bytes_free(&stage->waiting);
	*stage = (Stage){0};
}

static inline const char *
staged_tag(const StagedMessage *message)
{
	return (const char *) (message->values + message->value_count);
}

static inline size_t
staged_size(uint32_t value_count, uint32_t tag_length)
{
	return sizeof(StagedMessage) + value_count * sizeof(double) + ((tag_length + 7u) & ~7u);
}

/* The message after this one.  The caller counts the messages. */
static inline const StagedMessage *
staged_next(const StagedMessage *message)
{
	return (const StagedMessage *) ((const char *) message +
									staged_size(message->value_count, message->tag_length));
}

/* Makes room for one more message with count values, and returns where it will lie. */
static inline StagedMessage *
stage_reserve(Stage *stage, uint32_t count)
{
	/* stage_add() clears a word after a tag whose length is a multiple of 8. */
	size_t need = stage->length + staged_size(count, MESSAGE_MAX_TAG_BYTES + 8);

	if (stage->capacity < need)
	{
		stage->capacity = stage->capacity * 2 > need ? stage->capacity * 2 : need;
		stage->data = (char *) memory_resize(stage->data, stage->capacity);
	}
	return (StagedMessage *) (stage->data + stage->length);
}

/* Adds the message whose values the caller has put where stage_reserve() said. */
static inline void
stage_add(Stage *stage, int64_t time_ns, uint32_t value_count, const char *tag, size_t tag_length)
{
	StagedMessage *message = (StagedMessage *) (stage->data + stage->length);
	char *to = (char *) (message->values + value_count);

	message->time_ns = time_ns;
	message->value_count = value_count;
	message->tag_length = (uint32_t) tag_length;
	/* Hashing and comparing read whole words, so the padding must be defined. */
	memset(to + (tag_length & ~(size_t) 7), 0, 8);
	memcpy(to, tag, tag_length);
	stage->length += staged_size(value_count, message->tag_length);
	stage->count++;
}

#endif /* HISTORIAND_STAGE_H */
